// Does one thing without end: endless WHAT.
// build: static
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static char *memory(size_t size, int protection) {
  return mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* One instruction that takes very long, and again. */
static void rep_load(void) {
  size_t size = 1ul << 30;
  char *p = memory(size, PROT_READ);
  for (;;) {
    char *from = p;
    size_t count = size;
    __asm__ volatile("rep lodsb" : "+S"(from), "+c"(count) : : "rax", "memory");
  }
}

static void rep_move(void) {
  size_t size = 8 << 20;
  char *p = memory(2 * size, PROT_READ | PROT_WRITE);
  for (;;) {
    char *from = p, *to = p + size + 1;
    size_t count = size - 1;
    __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
    count = size, to = p;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(count) : "memory");
  }
}

/* A comparison that never finds anything, backwards. */
static void rep_scan(void) {
  size_t size = 1 << 20;
  char *p = memory(size, PROT_READ | PROT_WRITE);
  for (;;) {
    char *at = p + size - 1;
    size_t count = size;
    __asm__ volatile("std; repne scasb; cld" : "+D"(at), "+c"(count) : "a"(1) : "memory", "cc");
  }
}

/* Code that rewrites a function it calls, each time. */
static void rewrite(void) {
  unsigned char *code = (unsigned char *)memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  static const unsigned char text[] = {0xb8, 0, 0, 0, 0, 0xc3};
  memcpy(code, text, sizeof text);
  for (uint32_t i = 0;; i++) {
    memcpy(code + 1, &i, 4);
    if (((uint32_t(*)(void))code)() != i) return (void)puts("old code ran");
  }
}

/* A loop whose own immediate changes while it runs, also from another thread. */
static void *poke(void *at) {
  for (unsigned char i = 1;; i++) *(volatile unsigned char *)at = i | 1;
}

static void rewrite_itself(void) {
  unsigned char *code = (unsigned char *)memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  /* again: add eax, 1; inc byte [rip - 7] (the immediate); jmp again */
  static const unsigned char text[] = {0x83, 0xc0, 0x01, 0xfe, 0x05, 0xf9, 0xff, 0xff, 0xff, 0xeb, 0xf5};
  memcpy(code, text, sizeof text);
  pthread_t thread;
  pthread_create(&thread, NULL, poke, code + 2);
  ((void (*)(void))code)();
}

static void syscalls(void) {
  for (;;) {
    long number = SYS_getppid;
    __asm__ volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
  }
}

/* Numbers that no system call has. */
static void wrong_syscalls(void) {
  for (long i = 0;; i++) {
    long number = 1000 + i % 1000000;
    __asm__ volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
  }
}

static void on_alarm(int signo) { (void)signo; }

/* Timers that expire as soon as they can, each with a signal. */
static void timers(void) {
  sigset_t none;
  sigemptyset(&none);
  signal(SIGALRM, on_alarm), signal(SIGVTALRM, on_alarm), signal(SIGPROF, on_alarm), signal(SIGUSR1, on_alarm);
  struct itimerval soon = {{0, 1}, {0, 1}};
  setitimer(ITIMER_REAL, &soon, NULL), setitimer(ITIMER_VIRTUAL, &soon, NULL), setitimer(ITIMER_PROF, &soon, NULL);
  struct itimerspec at_once = {{0, 1}, {0, 1}};
  for (int i = 0; i < 500; i++) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) timer_settime(timer, 0, &at_once, NULL);
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (fd >= 0) timerfd_settime(fd, 0, &at_once, NULL);
  }
  for (;;) sigsuspend(&none);
}

/* Sleeps that are over at once. */
static void sleeps(void) {
  struct timespec shortest = {0, 1};
  for (;;) nanosleep(&shortest, NULL);
}

/* A fault that its handler does not mend. */
static void faults(void) {
  signal(SIGSEGV, on_alarm);
  *(volatile int *)8 = 1;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } kinds[] = {
      {"rep-load", rep_load}, {"rep-move", rep_move},   {"rep-scan", rep_scan},
      {"rewrite", rewrite},   {"rewrite-itself", rewrite_itself}, {"syscalls", syscalls},
      {"wrong-syscalls", wrong_syscalls}, {"timers", timers}, {"sleeps", sleeps}, {"faults", faults},
  };
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (argc > 1 && !strcmp(argv[1], kinds[i].name)) {
      puts("begun"), fflush(stdout);
      kinds[i].run();
    }
  return 1;
}
