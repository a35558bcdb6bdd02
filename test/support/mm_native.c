/* Runs memory calls read from standard input natively and prints, after each, its result and the maps of
 * the arena: the oracle of mm/native.test.ts. One call a line: name and numbers in hexadecimal. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LOW 0x10000000UL
#define HIGH 0x10100000UL

static void print_maps(void) {
  FILE *f = fopen("/proc/self/maps", "r");
  char line[512];
  while (fgets(line, sizeof line, f)) {
    unsigned long start, end, offset;
    char rights[8];
    if (sscanf(line, "%lx-%lx %7s %lx", &start, &end, rights, &offset) == 4 && start >= LOW && end <= HIGH)
      printf(" %lx-%lx%s@%lx", start, end, rights, rights[3] == 's' ? offset : 0);
  }
  fclose(f);
}

int main(void) {
  char name[16];
  unsigned long a, b, c, d, e;
  while (scanf("%15s %lx %lx %lx %lx %lx", name, &a, &b, &c, &d, &e) == 6) {
    long result = 0;
    if (!strcmp(name, "mmap")) result = (long)mmap((void *)a, b, c, d, -1, 0);
    else if (!strcmp(name, "munmap")) result = munmap((void *)a, b);
    else if (!strcmp(name, "mprotect")) result = mprotect((void *)a, b, c);
    else if (!strcmp(name, "mremap")) result = (long)mremap((void *)a, b, c, d, (void *)e);
    else if (!strcmp(name, "madvise")) result = madvise((void *)a, b, c);
    else if (!strcmp(name, "msync")) result = msync((void *)a, b, c);
    else if (!strcmp(name, "mlock")) result = mlock((void *)a, b);
    else if (!strcmp(name, "munlock")) result = munlock((void *)a, b);
    printf("%s %lx", name, result == -1 ? (unsigned long)-errno : (unsigned long)result);
    print_maps();
    putchar('\n');
  }
  return 0;
}
