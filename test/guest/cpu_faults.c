// A SIGSEGV handler that repairs the fault, one that steps over the instruction, and exceptions of the CPU.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static char *region;
static volatile int faults, last_code, last_signal;
static void *volatile last_address;
static sigjmp_buf escape;

static void repair(int n, siginfo_t *info, void *context) {
  (void)n, (void)context;
  faults++;
  last_code = info->si_code;
  char *page = (char *)((uintptr_t)info->si_addr & ~4095UL);
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void step_over(int n, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  last_signal = n;
  last_code = info->si_code;
  last_address = info->si_addr;
  u->uc_mcontext.gregs[REG_RIP] += 2;
  u->uc_mcontext.gregs[REG_RAX] = 1234;
}

static void leave(int n, siginfo_t *info, void *context) {
  (void)context;
  last_signal = n;
  last_code = info->si_code;
  siglongjmp(escape, 1);
}

static void install(int n, void (*f)(int, siginfo_t *, void *)) {
  struct sigaction act = {.sa_sigaction = f, .sa_flags = SA_SIGINFO};
  sigaction(n, &act, NULL);
}

int main(void) {
  region = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  install(SIGSEGV, repair);
  for (int i = 0; i < 64; i++) region[i * 4096 + 7] = i;
  int sum = 0;
  for (int i = 0; i < 64; i++) sum += region[i * 4096 + 7];
  printf("repaired %d faults, sum %d, code %d\n", faults, sum, last_code);

  // Repeated string instruction across a protected page: resumes where it stopped.
  mprotect(region + 4096, 4096, PROT_NONE);
  faults = 0;
  char *to = region;
  long count = 3 * 4096;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"('z') : "memory");
  printf("rep %d faults, %ld left, %c%c%c\n", faults, count, region[0], region[4096], region[3 * 4096 - 1]);

  install(SIGSEGV, step_over);
  uint64_t rax = 0;
  __asm__ volatile("xorl %%ebx, %%ebx; movl (%%rbx), %%eax" : "+a"(rax) : : "rbx", "memory");
  printf("null load: signal %d code %d address %p rax %lu\n", last_signal, last_code, last_address, rax);
  __asm__ volatile("movq $0x123456789000, %%rbx; movb %%al, (%%rbx)" : "+a"(rax) : : "rbx", "memory");
  printf("wild store: signal %d code %d address %p rax %lu\n", last_signal, last_code, last_address, rax);
  __asm__ volatile("movq $0x8000000000000000, %%rbx; movb %%al, (%%rbx)" : "+a"(rax) : : "rbx", "memory");
  printf("non-canonical: signal %d code %d address %p\n", last_signal, last_code, last_address);
  install(SIGILL, step_over);
  __asm__ volatile("ud2" : "+a"(rax) : : "memory");
  printf("ud2: signal %d code %d\n", last_signal, last_code);

  install(SIGFPE, leave);
  volatile int zero = 0, one = 1;
  if (!sigsetjmp(escape, 1)) printf("no %d\n", one / zero);
  printf("divide: signal %d code %d\n", last_signal, last_code);
  volatile int least = -2147483647 - 1, minus = -1;
  if (!sigsetjmp(escape, 1)) printf("no %d\n", least / minus);
  printf("overflow: signal %d code %d\n", last_signal, last_code);
  install(SIGTRAP, leave);
  if (!sigsetjmp(escape, 1)) __asm__ volatile("int3");
  printf("int3: signal %d code %d\n", last_signal, last_code);
  install(SIGSEGV, leave);
  if (!sigsetjmp(escape, 1)) __asm__ volatile("hlt");
  printf("hlt: signal %d code %d\n", last_signal, last_code);
  if (!sigsetjmp(escape, 1)) ((void (*)(void))region)();
  printf("no exec: signal %d code %d\n", last_signal, last_code);
  char unaligned[32] __attribute__((aligned(16)));
  if (!sigsetjmp(escape, 1)) __asm__ volatile("movaps %%xmm0, 1(%0)" : : "r"(unaligned) : "memory");
  printf("movaps: signal %d code %d\n", last_signal, last_code);
  fflush(stdout);
  signal(SIGSEGV, SIG_DFL);
  *(volatile int *)8 = 1;
  return 0;
}
