/* Stack growth on demand, deep recursion, overflow as SIGSEGV on an alternate stack, big frames. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char alt[65536];
static int __attribute__((noinline)) deep(int n) {
    volatile char pad[1000];
    pad[0] = n;
    if (n == 0) return pad[0];
    return deep(n - 1) + (pad[0] == (char)n);
}
static int __attribute__((noinline)) forever(volatile int n) { return forever(n + 1) + n; }
static void overflow(int sig) {
    (void)sig;
    static const char text[] = "overflow caught\n";
    if (write(1, text, sizeof text - 1) < 0) _exit(9);
    _exit(5);
}

int main(void) {
    printf("deep %d\n", deep(5000));
    char *big = alloca(2 << 20);
    memset(big, 1, 2 << 20);
    printf("alloca %d\n", big[12345]);
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    printf("limit set %d\n", limit.rlim_cur > 0);
    fflush(stdout);
    limit.rlim_cur = 1 << 20;
    setrlimit(RLIMIT_STACK, &limit);
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt};
    sigaltstack(&ss, NULL);
    struct sigaction sa = {.sa_handler = overflow, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &sa, NULL);
    return forever(0);
}
