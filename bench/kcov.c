/*
 * What system calls cost in the plain and the instrumented kernel, measured by the program itself. A line a case:
 * column, name and nanoseconds a call of every batch, with tabs between. Where there is no kcov the column is `plain`.
 *
 *     kcov MILLISECONDS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORDS (1 << 16)
#define BATCH_NS 1e6

static volatile uint64_t nowhere;
static volatile uint64_t *area = &nowhere;
static int zero;
static char byte;
static struct stat status;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void getppid_call(void) { syscall(SYS_getppid); }
static void read_call(void) { syscall(SYS_read, zero, &byte, 1); }
static void stat_call(void) { syscall(SYS_newfstatat, AT_FDCWD, "/sys/devices/system/cpu", &status, 0); }
static void open_call(void) { close(open("/tmp/bench", O_RDWR | O_CREAT, 0600)); }

static const struct {
  const char *name;
  void (*call)(void);
} CASES[] = {
    {"getppid", getppid_call},
    {"read 1 B, /dev/zero", read_call},
    {"stat", stat_call},
    {"open and close", open_call},
};

static double batch(void (*call)(void), long rounds) {
  double start = now_ns();
  for (long i = 0; i < rounds; i++) {
    area[0] = 0;
    call();
  }
  return (now_ns() - start) / rounds;
}

static void measure(const char *column, double time) {
  // First everything once, so that the kernel's code is optimized for all of it.
  for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++)
    for (double end = now_ns() + time; now_ns() < end; batch(CASES[i].call, 100));
  for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    double end = now_ns() + time;
    double once = batch(CASES[i].call, 100);
    long rounds = BATCH_NS / once + 1;
    while (now_ns() < end - time / 2) batch(CASES[i].call, rounds);
    printf("%s\t%s\t", column, CASES[i].name);
    do printf("%.1f ", batch(CASES[i].call, rounds));
    while (now_ns() < end);
    printf("\n");
  }
}

int main(int argc, char **argv) {
  double time = argc > 1 ? atof(argv[1]) * 1e6 : 0;
  zero = open("/dev/zero", O_RDONLY);
  int kcov = open("/sys/kernel/debug/kcov", O_RDWR);
  measure(kcov < 0 ? "plain" : "not tracing", time);
  if (kcov < 0) return 0;
  if (ioctl(kcov, _IOR('c', 1, unsigned long), WORDS) != 0) return 1;
  area = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
  if (area == MAP_FAILED) return 1;
  static const char *const COLUMNS[] = {"tracing blocks", "tracing comparisons"};
  for (int mode = 0; mode < 2; mode++) {
    if (ioctl(kcov, _IO('c', 100), mode) != 0) return 1;
    measure(COLUMNS[mode], time);
    if (ioctl(kcov, _IO('c', 101), 0) != 0) return 1;
  }
  return 0;
}
