// Address space calls and what they promise.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
static sigjmp_buf escape;
static volatile int fault_code;
static void *volatile fault_address;

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  fault_code = info->si_code + number * 100;
  fault_address = info->si_addr;
  siglongjmp(escape, 1);
}

// -1: the access went through, else signal * 100 + si_code.
static int probe(volatile char *p, int write) {
  if (sigsetjmp(escape, 1)) return fault_address == p ? fault_code : -2;
  if (write) *p = 1;
  else (void)*p;
  return -1;
}

static void show(const char *what, long value) { printf("%s %ld errno %d\n", what, value, value == -1 ? errno : 0); }

int main(void) {
  struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &act, NULL);
  sigaction(SIGBUS, &act, NULL);

  char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(p, 'a', 8 * PAGE);
  show("munmap middle", munmap(p + 2 * PAGE, PAGE));
  printf("probe %d %d %d\n", probe(p + PAGE, 0), probe(p + 2 * PAGE, 0), probe(p + 3 * PAGE, 1));
  show("mprotect ro", mprotect(p + 3 * PAGE, PAGE, PROT_READ));
  printf("probe %d %d\n", probe(p + 3 * PAGE, 0), probe(p + 3 * PAGE, 1));
  show("mprotect none", mprotect(p + 3 * PAGE, PAGE, PROT_NONE));
  printf("probe %d\n", probe(p + 3 * PAGE, 0));
  show("mprotect hole", mprotect(p, 4 * PAGE, PROT_READ));
  show("mprotect unaligned", mprotect(p + 1, PAGE, PROT_READ));
  show("munmap unaligned", munmap(p + 1, PAGE));
  show("munmap zero", munmap(p, 0));
  printf("fixed %d\n", mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                           p + 2 * PAGE);
  printf("zero %d\n", p[2 * PAGE]);
  void *no = mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  show("noreplace", (long)no);
  show("mmap length 0", (long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  show("mmap no type", (long)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
  show("mmap bad fd", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 77, 0));
  show("mmap odd offset", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 0, 1));
  show("mmap huge", (long)mmap(NULL, 1UL << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

  char *q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(q, "moved");
  char *r = mremap(q, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
  printf("mremap '%s' %d\n", r, r[63 * PAGE]);
  printf("shrink %d\n", mremap(r, 64 * PAGE, PAGE, 0) == r);
  printf("probe %d\n", probe(r + PAGE, 0));
  strcpy(r, "gone");
  show("dontneed", madvise(r, PAGE, MADV_DONTNEED));
  printf("after '%s'\n", r);

  char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(shared, "parent");
  strcpy(private, "parent");
  if (fork() == 0) {
    strcpy(shared, "child");
    strcpy(private, "child");
    _exit(0);
  }
  wait(NULL);
  printf("shared %s private %s\n", shared, private);

  char name[] = "/tmp/address_space_XXXXXX";
  int fd = mkstemp(name);
  unlink(name);
  if (ftruncate(fd, PAGE + 100)) return 1;
  char *f = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *g = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  strcpy(f + 10, "through the mapping");
  char text[32] = "";
  if (pread(fd, text, 20, 10) != 20) return 1;
  printf("file '%s' private '%s'\n", text, g + 10);
  strcpy(g + 10, "mine");
  if (pwrite(fd, "written", 7, 10) != 7) return 1;
  printf("shared '%.7s' private '%s'\n", f + 10, g + 10);
  printf("beyond %d %d %d\n", f[PAGE + 99], probe(f + PAGE + 200, 1), probe(f + 2 * PAGE, 0));
  show("msync", msync(f, PAGE, MS_SYNC));
  show("shared ro fd", (long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/null", O_RDONLY), 0) != -1);

  char *start = sbrk(0);
  show("sbrk", sbrk(3 * PAGE) == start);
  memset(start, 1, 3 * PAGE);
  show("shrink", sbrk(-3 * PAGE) == start + 3 * PAGE);
  printf("null %d kernel %d\n", probe((char *)8, 0), probe((char *)0xffff800000000000UL, 0) / 100);
  return 0;
}
