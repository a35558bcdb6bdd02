// Many signals between processes and threads: none lost, none twice.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 2000
static volatile long received, sum;
static volatile int pongs;

static void on_queue(int n, siginfo_t *info, void *context) {
  (void)n, (void)context;
  received++;
  sum += info->si_value.sival_int;
}
static void on_pong(int n) {
  (void)n;
  pongs++;
}

static volatile int stop;
static volatile long work;
static void *worker(void *arg) {
  (void)arg;
  while (!stop) work++;
  return NULL;
}

int main(void) {
  struct sigaction act = {.sa_sigaction = on_queue, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGRTMIN, &act, NULL);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    for (int i = 1; i <= ROUNDS; i++)
      while (sigqueue(parent, SIGRTMIN, (union sigval){.sival_int = i})) sched_yield();
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  while (received < ROUNDS) sched_yield();
  printf("queued %ld sum %ld\n", received, sum);

  // Ping-pong: each waits for the other's signal.
  sigset_t usr1, old;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, &old);
  signal(SIGUSR1, on_pong);
  child = fork();
  for (int i = 0; i < 300; i++) {
    if (child == 0) {
      sigsuspend(&old);
      kill(parent, SIGUSR1);
    } else {
      kill(child, SIGUSR1);
      sigsuspend(&old);
    }
  }
  if (child == 0) _exit(pongs == 300 ? 0 : 1);
  waitpid(child, &status, 0);
  printf("pongs %d child %d\n", pongs, status);
  sigprocmask(SIG_SETMASK, &old, NULL);

  // Signals at threads that never make a system call.
  pthread_t threads[3];
  received = 0;
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, worker, NULL);
  for (int i = 0; i < 300; i++) {
    long before = received;
    pthread_sigqueue(threads[i % 3], SIGRTMIN, (union sigval){.sival_int = 1});
    while (received == before) sched_yield();
  }
  stop = 1;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  printf("thread signals %ld busy %d\n", received, work > 0);
  return 0;
}
