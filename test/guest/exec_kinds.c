/* execve of programs, scripts and things that are neither; what survives an exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char dir[] = "/tmp/tvisor_exec_XXXXXX";

static void put(const char *name, const char *text, size_t length, int mode) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (write(fd, text, length) != (ssize_t)length) exit(1);
    close(fd);
    chmod(name, mode);
}
static void try(const char *what, const char *path, char *const argv[]) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execv(path, argv);
        printf("%s: %s\n", what, strerrorname_np(errno));
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status)) printf("%s: status %d\n", what, WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "inner") == 0) {
        struct sigaction sa;
        sigaction(SIGUSR1, NULL, &sa);
        printf("handler reset %d", sa.sa_handler == SIG_DFL);
        sigaction(SIGUSR2, NULL, &sa);
        printf(", ignored kept %d", sa.sa_handler == SIG_IGN);
        sigset_t set;
        sigprocmask(0, NULL, &set);
        printf(", mask kept %d", sigismember(&set, SIGHUP));
        printf(", cloexec closed %d, other open %d\n", fcntl(50, F_GETFD) == -1, fcntl(51, F_GETFD) != -1);
        return 3;
    }
    if (!mkdtemp(dir) || chdir(dir)) return 1;
    put("script", "#!/bin/sh\necho script got $# [$1] [$2]\nexit 4\n", 45, 0755);
    put("oneopt", "#!/bin/echo -n two words  \nbody\n", 32, 0755);
    put("nested", "#!./script x\n", 13, 0755);
    put("nointerp", "#!/no/such/interpreter\n", 23, 0755);
    put("plain", "echo plain text\n", 16, 0755);
    put("empty", "", 0, 0755);
    put("notexec", "#!/bin/sh\n", 10, 0644);
    put("elfhead", "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0", 16, 0755);
    put("bang", "#!", 2, 0755);
    put("loop", "#!./loop\n", 9, 0755);
    char *const a[] = {"name", "one", "two words", NULL};
    try("script", "./script", a);
    try("one option", "./oneopt", a);
    printf("\n");
    try("nested", "./nested", a);
    try("no interpreter", "./nointerp", a);
    try("plain text", "./plain", a);
    try("empty", "./empty", a);
    try("not executable", "./notexec", a);
    try("ELF head only", "./elfhead", a);
    try("bare bang", "./bang", a);
    try("loop", "./loop", a);
    try("directory", "/tmp", a);
    try("missing", "./missing", a);
    try("under a file", "./script/x", a);
    char self[4096] = {0};
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 1;
    struct sigaction sa = {.sa_handler = (void (*)(int))main};
    sigaction(SIGUSR1, &sa, NULL);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    dup3(0, 50, O_CLOEXEC);
    dup2(0, 51);
    char *const inner[] = {"self", "inner", NULL};
    try("self", self, inner);
    pid_t spawned;
    int r = posix_spawn(&spawned, self, NULL, NULL, inner, environ);
    int status = 0;
    waitpid(spawned, &status, 0);
    printf("posix_spawn %d status %d\n", r, WEXITSTATUS(status));
    r = posix_spawn(&spawned, "/no/such", NULL, NULL, inner, environ);
    printf("posix_spawn missing %s\n", strerrorname_np(r));
    fflush(stdout);
    FILE *p = popen("read x; echo \"popen $x\"; exit 6", "w");
    fprintf(p, "hello\n");
    printf("pclose %d\n", WEXITSTATUS(pclose(p)));
    fflush(stdout);
    int fd = open(self, O_RDONLY);
    if (fork() == 0) {
        fexecve(fd, inner, environ);
        _exit(1);
    }
    wait(&status);
    printf("fexecve status %d\n", WEXITSTATUS(status));
    size_t big = 200000;
    char *huge = malloc(big + 1);
    memset(huge, 'h', big);
    huge[big] = 0;
    char *const large[] = {"x", huge, NULL};
    try("argument too long", "/bin/true", large);
    if (system("rm -r /tmp/tvisor_exec_*")) return 1;
    return 0;
}
