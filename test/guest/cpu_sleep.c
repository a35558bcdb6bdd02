// Sleeping on CPU clocks: until this process, or another, has used so much time.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int done;

static void *spin(void *unused) {
  while (!done);
  return unused;
}

static void handler(int signo) { (void)signo; }

static long sleep_on(clockid_t clock, int flags, long ns, struct timespec *left) {
  struct timespec time = {ns / 1000000000, ns % 1000000000};
  long result = syscall(SYS_clock_nanosleep, clock, flags, &time, left);
  return result < 0 ? -errno : result;
}

static long now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

int main(void) {
  clockid_t own = CLOCK_PROCESS_CPUTIME_ID;
  pthread_t thread;
  pthread_create(&thread, NULL, spin, NULL);
  long before = now(own);
  printf("relative %ld", sleep_on(own, 0, 20000000, NULL));
  printf(" late enough %d\n", now(own) >= before + 20000000);
  before = now(own);
  printf("absolute %ld", sleep_on(own, TIMER_ABSTIME, before + 10000000, NULL));
  printf(" late enough %d\n", now(own) >= before + 10000000);
  printf("past %ld\n", sleep_on(own, TIMER_ABSTIME, 1, NULL));
  printf("zero %ld\n", sleep_on(own, 0, 0, NULL));
  clockid_t of_thread;
  pthread_getcpuclockid(thread, &of_thread);
  before = now(of_thread);
  printf("thread %ld", sleep_on(of_thread, 0, 10000000, NULL));
  printf(" late enough %d\n", now(of_thread) >= before + 10000000);
  done = 1;
  pthread_join(thread, NULL);
  printf("thread that ended %ld\n", sleep_on(of_thread, 0, 1000, NULL));
  printf("own thread %ld\n", sleep_on(CLOCK_THREAD_CPUTIME_ID, 0, 1000, NULL));
  pthread_getcpuclockid(pthread_self(), &of_thread);
  printf("own thread by number %ld\n", sleep_on(of_thread, 0, 1000, NULL));
  printf("invalid %ld\n", sleep_on(own, 0, -5, NULL));

  pid_t child = fork();
  if (child == 0)
    for (;;);
  clockid_t of_child;
  clock_getcpuclockid(child, &of_child);
  printf("child %ld", sleep_on(of_child, 0, 10000000, NULL));
  printf(" late enough %d\n", now(of_child) >= 10000000);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  printf("child that ended %ld\n", sleep_on(of_child, 0, 1000, NULL));

  // Nobody runs: only a signal ends it.
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval soon = {.it_value = {0, 20000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  struct timespec left = {-1, -1};
  printf("interrupted %ld", sleep_on(own, 0, 5000000000, &left));
  printf(" left %d\n", left.tv_sec == 4 || left.tv_sec == 5);
  setitimer(ITIMER_REAL, &soon, NULL);
  left.tv_sec = -1;
  printf("absolute interrupted %ld", sleep_on(own, TIMER_ABSTIME, 1000000000000, &left));
  printf(" left %d\n", (int)left.tv_sec);
  return 0;
}
