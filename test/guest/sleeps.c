// Sleeps, clocks and timers: what is promised about order and least times, not how long things take.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int fired;
static void on_timer(int n) {
  (void)n;
  fired++;
}
static void show(const char *what, int result) { printf("%s %d errno %d\n", what, result, result < 0 ? errno : 0); }
static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(void) {
  double start = now(CLOCK_MONOTONIC);
  struct timespec ten_ms = {0, 10000000};
  printf("nanosleep %d\n", nanosleep(&ten_ms, NULL));
  printf("slept %d\n", now(CLOCK_MONOTONIC) - start >= 0.010);
  double previous = 0;
  int backwards = 0;
  for (int i = 0; i < 1000; i++) {
    double t = now(CLOCK_MONOTONIC);
    if (t < previous) backwards++;
    previous = t;
  }
  printf("backwards %d\n", backwards);
  printf("realtime sane %d\n", now(CLOCK_REALTIME) > 1.6e9 && time(NULL) > 1600000000);
  struct timespec res;
  printf("getres %d\n", clock_getres(CLOCK_MONOTONIC, &res));
  show("bad clock", clock_gettime(99, &res));
  struct timespec bad = {0, 1000000000};
  show("bad nanoseconds", nanosleep(&bad, NULL));
  struct timespec past = {1, 0};
  printf("absolute past %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL));

  signal(SIGALRM, on_timer);
  struct itimerval every = {{0, 5000}, {0, 5000}}, off = {0};
  setitimer(ITIMER_REAL, &every, NULL);
  while (fired < 5) pause();
  setitimer(ITIMER_REAL, &off, &every);
  printf("itimer fired, interval %ld\n", (long)every.it_interval.tv_usec);
  printf("alarm %u", alarm(100));
  printf(" %d\n", alarm(0) >= 99);

  // nanosleep interrupted by a handler gives back the rest.
  struct sigaction act = {.sa_handler = on_timer};
  sigaction(SIGALRM, &act, NULL);
  struct itimerval once = {{0, 0}, {0, 10000}};
  setitimer(ITIMER_REAL, &once, NULL);
  struct timespec minute = {60, 0}, rest = {0};
  int slept = nanosleep(&minute, &rest);
  printf("interrupted %d errno %d rest %d\n", slept, errno, rest.tv_sec >= 55);

  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec spec = {{0, 2000000}, {0, 2000000}};
  timerfd_settime(fd, 0, &spec, NULL);
  uint64_t total = 0, n;
  while (total < 5 && read(fd, &n, 8) == 8) total += n;
  printf("timerfd %d\n", total >= 5);

  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  signal(SIGUSR1, on_timer);
  fired = 0;
  printf("timer_create %d\n", timer_create(CLOCK_MONOTONIC, &event, &timer));
  sigset_t block, old;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  sigprocmask(SIG_BLOCK, &block, &old);
  timer_settime(timer, 0, &spec, NULL);
  while (fired < 3) sigsuspend(&old);
  timer_delete(timer);
  printf("posix timer fired\n");

  // Children that sleep longer end later.
  int p[2];
  if (pipe(p)) return 1;
  for (int i = 3; i >= 1; i--)
    if (fork() == 0) {
      usleep(i * 60000);
      char c = '0' + i;
      _exit(write(p[1], &c, 1) != 1);
    }
  close(p[1]);
  char order[4] = "";
  for (int i = 0; i < 3; i++)
    if (read(p[0], order + i, 1) != 1) return 1;
  while (wait(NULL) > 0) {
  }
  printf("order %s\n", order);
  return 0;
}
