/* Sleeps, interval timers, POSIX timers, clocks: order and lower bounds, no upper ones. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static volatile int alarms;
static void on_alarm(int sig) { (void)sig; alarms++; }
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(void) {
    double start = now();
    struct timespec ms20 = {0, 20000000}, left;
    printf("nanosleep %d\n", nanosleep(&ms20, NULL));
    printf("at least 20 ms %d\n", now() - start >= 0.02);
    struct sigaction sa = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 10000}, {0, 10000}};
    setitimer(ITIMER_REAL, &it, NULL);
    while (alarms < 5) pause();
    struct itimerval off = {{0, 0}, {0, 0}}, old;
    setitimer(ITIMER_REAL, &off, &old);
    printf("five alarms, interval %ld us\n", (long)old.it_interval.tv_usec);
    alarms = 0;
    struct timespec second = {1, 0};
    ualarm(10000, 0);
    int r = nanosleep(&second, &left);
    printf("interrupted %d %s left %d\n", r, strerrorname_np(errno), left.tv_sec == 0 && left.tv_nsec > 100000000);
    timer_t timer;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    printf("timer_create %d\n", timer_create(CLOCK_MONOTONIC, &ev, &timer));
    struct itimerspec its = {{0, 5000000}, {0, 5000000}};
    alarms = 0;
    timer_settime(timer, 0, &its, NULL);
    while (alarms < 3) pause();
    printf("timer_delete %d\n", timer_delete(timer));
    struct timespec abs;
    clock_gettime(CLOCK_MONOTONIC, &abs);
    abs.tv_nsec += 5000000;
    if (abs.tv_nsec >= 1000000000) abs.tv_sec++, abs.tv_nsec -= 1000000000;
    printf("absolute %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, NULL));
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec tf = {{0, 2000000}, {0, 2000000}};
    timerfd_settime(fd, 0, &tf, NULL);
    unsigned long long expirations;
    usleep(10000);
    ssize_t got = read(fd, &expirations, 8);
    printf("timerfd read %zd, several %d\n", got, expirations >= 4);
    struct timespec res;
    clock_getres(CLOCK_MONOTONIC, &res);
    printf("resolution %ld ns\n", res.tv_nsec);
    double a = now(), b = now();
    printf("monotonic %d\n", b >= a);
    struct timespec bad = {0, 1000000000};
    r = nanosleep(&bad, NULL);
    printf("bad nanoseconds %d %s\n", r, strerrorname_np(errno));
    time_t t = time(NULL);
    struct timespec rt;
    clock_gettime(CLOCK_REALTIME, &rt);
    printf("time agrees %d, after 2020 %d\n", rt.tv_sec - t <= 1, t > 1577836800);
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("cpu time moves %d\n", cpu.tv_sec > 0 || cpu.tv_nsec > 0);
    return 0;
}
