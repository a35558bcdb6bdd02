/* Two processes throw signals at each other while computing; counts of real-time signals are exact. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNALS = 3000 };
static volatile sig_atomic_t received;
static void count(int sig) { (void)sig; received++; }

int main(void) {
    struct sigaction sa = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigaction(SIGRTMIN, &sa, NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        union sigval v = {0};
        for (int i = 0; i < SIGNALS; i++)
            while (sigqueue(parent, SIGRTMIN, v)) usleep(100);
        _exit(3);
    }
    volatile unsigned long sum = 0;
    while (received < SIGNALS) sum += received;
    int status;
    waitpid(child, &status, 0);
    printf("received %d, child %d\n", received, WEXITSTATUS(status));
    return 0;
}
