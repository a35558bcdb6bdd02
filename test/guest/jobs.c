/* Process groups, sessions, stop and continue, waitid, every wait option. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        for (;;) pause();
    }
    setpgid(child, child);
    printf("group %d\n", getpgid(child) == child);
    int status;
    printf("nothing yet %d\n", waitpid(child, &status, WNOHANG));
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status) == SIGSTOP);
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    printf("continued %d\n", WIFCONTINUED(status));
    kill(-child, SIGTERM);
    siginfo_t si;
    printf("waitid %d\n", waitid(P_PGID, child, &si, WEXITED | WNOWAIT));
    printf("code %d status %d signo %d\n", si.si_code == CLD_KILLED, si.si_status == SIGTERM, si.si_signo == SIGCHLD);
    printf("still there %d\n", waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    int r = waitpid(child, &status, 0);
    printf("gone %d %s\n", r, strerrorname_np(errno));
    r = waitpid(-1, &status, 0x1000);
    printf("bad option %d %s\n", r, strerrorname_np(errno));
    child = fork();
    if (child == 0) {
        pid_t sid = setsid();
        _exit(sid == getpid() && getsid(0) == sid && getpgrp() == sid && setsid() == -1 && errno == EPERM ? 0 : 1);
    }
    waitpid(child, &status, 0);
    printf("session %d\n", WEXITSTATUS(status));
    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (child == 0) _exit(5);
    r = waitpid(child, &status, 0);
    printf("ignored child reaps itself %d %s\n", r, strerrorname_np(errno));
    signal(SIGCHLD, SIG_DFL);
    child = vfork();
    if (child == 0) _exit(9);
    waitpid(child, &status, 0);
    printf("vfork %d\n", WEXITSTATUS(status));
    child = fork();
    if (child == 0) {
        kill(getpid(), SIGKILL);
        _exit(0);
    }
    waitpid(child, &status, __WALL);
    printf("killed %d core %d\n", WTERMSIG(status), WCOREDUMP(status) != 0);
    return 0;
}
