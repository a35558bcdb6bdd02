/*
 * Throughput of processes that have nothing to do with each other: so many of them run for a time, and the rounds that
 * all of them made a second are printed.
 *
 *     scaling compute|calls|faults|pipes PROCESSES MILLISECONDS
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static volatile uint64_t sink;

/* Each round takes some tens of microseconds natively. */
static void compute(void) {
  uint64_t x = sink + 1;
  for (int i = 0; i < 30000; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  sink = x;
}
static void calls(void) {
  for (int i = 0; i < 300; i++) syscall(SYS_getppid);
}
static void faults(void) {
  char *p = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(p != MAP_FAILED, "mmap");
  for (int i = 0; i < 16; i++) p[i * 4096] = 1;
  munmap(p, 16 * 4096);
}
static int fds[2];
static void pipes(void) {
  static char data[4096];
  if (fds[1] == 0) must(pipe(fds) == 0, "pipe");
  for (int i = 0; i < 50; i++)
    must(write(fds[1], data, sizeof data) == sizeof data && read(fds[0], data, sizeof data) == sizeof data, "pipe");
}

static const struct {
  const char *name;
  void (*run)(void);
} KINDS[] = {{"compute", compute}, {"calls", calls}, {"faults", faults}, {"pipes", pipes}};

struct shared {
  int ready, go;
  double rates[64];
};

static void work(struct shared *shared, int index, void (*run)(void), double time) {
  run();
  __atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST)) usleep(100);
  double start = now_ns();
  long rounds = 0;
  while (now_ns() - start < time) {
    run();
    rounds++;
  }
  shared->rates[index] = rounds / ((now_ns() - start) / 1e9);
  _exit(0);
}

int main(int argc, char **argv) {
  int processes = argc == 4 ? atoi(argv[2]) : 0;
  void (*run)(void) = 0;
  for (unsigned i = 0; argc > 1 && i < sizeof KINDS / sizeof *KINDS; i++)
    if (strcmp(argv[1], KINDS[i].name) == 0) run = KINDS[i].run;
  if (run == 0 || processes < 1 || processes > 64) {
    fprintf(stderr, "usage: %s compute|calls|faults|pipes processes milliseconds\n", argv[0]);
    return 2;
  }
  double time = atof(argv[3]) * 1e6;
  struct shared *shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(shared != MAP_FAILED, "mmap");
  for (int i = 0; i < processes; i++) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) work(shared, i, run, time);
  }
  while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < processes) usleep(100);
  __atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
  double sum = 0;
  for (int i = 0; i < processes; i++) {
    int status;
    must(wait(&status) > 0 && status == 0, "wait");
  }
  for (int i = 0; i < processes; i++) sum += shared->rates[i];
  printf("%.1f\n", sum);
  return 0;
}
