/* Handlers, masks, siginfo, alternate stacks, restart, nesting, default actions. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int order[16], n;
static void record(int sig) { order[n++] = sig; }
static void nest(int sig) {
    order[n++] = sig;
    if (sig == SIGUSR1) raise(SIGUSR2);
    order[n++] = -sig;
}
static volatile int code, value, pid_ok, on_alt;
static char alt[65536];
static void info(int sig, siginfo_t *si, void *context) {
    (void)sig;
    code = si->si_code;
    value = si->si_value.sival_int;
    pid_ok = si->si_pid == getpid();
    char here;
    on_alt = &here >= alt && &here < alt + sizeof alt;
    ucontext_t *u = context;
    if (u->uc_mcontext.gregs[REG_RIP] == 0) code = -1;
}
static void install(int sig, void (*f)(int), int flags) {
    struct sigaction sa = {.sa_handler = f, .sa_flags = flags};
    sigaction(sig, &sa, NULL);
}

int main(void) {
    install(SIGUSR1, record, 0);
    install(SIGUSR2, record, 0);
    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&pending);
    printf("pending %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2), sigismember(&pending, SIGHUP));
    printf("handled while blocked: %d\n", n);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("after unblock:");
    for (int i = 0; i < n; i++) printf(" %d", order[i]);
    printf("\n");

    n = 0;
    install(SIGUSR1, nest, 0);
    install(SIGUSR2, nest, 0);
    raise(SIGUSR1);
    printf("nested:");
    for (int i = 0; i < n; i++) printf(" %d", order[i]);
    printf("\n");

    n = 0;
    struct sigaction sa = {.sa_handler = nest};
    sigaddset(&sa.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    printf("masked in handler:");
    for (int i = 0; i < n; i++) printf(" %d", order[i]);
    printf("\n");

    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt};
    sigaltstack(&ss, NULL);
    struct sigaction si = {.sa_sigaction = info, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGRTMIN + 1, &si, NULL);
    union sigval v = {.sival_int = 1234};
    sigqueue(getpid(), SIGRTMIN + 1, v);
    printf("siginfo: code %d value %d pid %d alternate stack %d\n", code, value, pid_ok, on_alt);
    si.sa_flags = SA_SIGINFO;
    sigaction(SIGRTMIN + 1, &si, NULL);
    kill(getpid(), SIGRTMIN + 1);
    printf("siginfo: code %d pid %d alternate stack %d\n", code, pid_ok, on_alt);

    install(SIGALRM, record, 0);
    int fds[2];
    if (pipe(fds)) return 1;
    ualarm(20000, 0);
    char c;
    long r = read(fds[0], &c, 1);
    printf("read without SA_RESTART: %ld %s\n", r, strerrorname_np(errno));
    if (fork() == 0) {
        usleep(60000);
        if (write(fds[1], "x", 1) != 1) _exit(1);
        _exit(0);
    }
    install(SIGALRM, record, SA_RESTART);
    ualarm(20000, 0);
    r = read(fds[0], &c, 1);
    printf("read with SA_RESTART: %ld\n", r);
    int status;
    wait(&status);

    install(SIGUSR1, record, SA_RESETHAND);
    n = 0;
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    printf("reset: %d %d\n", n, now.sa_handler == SIG_DFL);

    int defaults[] = {SIGTERM, SIGKILL, SIGSEGV, SIGCHLD, SIGWINCH, SIGUSR1, SIGPIPE, SIGRTMIN};
    for (unsigned i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        fflush(stdout);
        if (fork() == 0) {
            signal(defaults[i], SIG_DFL);
            raise(defaults[i]);
            _exit(0);
        }
        wait(&status);
        if (WIFSIGNALED(status)) printf("default %d: killed by %d\n", i, WTERMSIG(status) == defaults[i]);
        else printf("default %d: exit %d\n", i, WEXITSTATUS(status));
    }
    int result = kill(getpid(), 65);
    printf("bad signal: %d %s\n", result, strerrorname_np(errno));
    printf("SIGKILL handler: %d\n", sigaction(SIGKILL, &si, NULL));
    result = kill(getpid(), 0);
    int missing = kill(999999, 0);
    printf("kill 0: %d, kill missing: %d %s\n", result, missing, strerrorname_np(errno));
    sigset_t wait_set;
    sigemptyset(&wait_set);
    sigaddset(&wait_set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &wait_set, NULL);
    kill(getpid(), SIGUSR2);
    siginfo_t got;
    result = sigwaitinfo(&wait_set, &got);
    printf("sigwaitinfo %d code %d\n", result == SIGUSR2, got.si_code);
    struct timespec zero = {0, 1000000};
    result = sigtimedwait(&wait_set, &got, &zero);
    printf("sigtimedwait %d %s\n", result, strerrorname_np(errno));
    return 0;
}
