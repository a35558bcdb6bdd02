/* The C library's memory and string routines, short and long. Work: thousands of rounds of about 20 KB. */
#include "work.h"
#include <string.h>

#define PAGE 4096

static char text[2 * PAGE], copy[2 * PAGE];

/* Keeps the compiler from knowing what a pointer points to. */
static void *opaque(void *p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

int main(int argc, char **argv) {
  long thousands = amount_of_work(argc, argv, 2000);
  unsigned long sum = 0;
  for (int i = 0; i < PAGE; i++) text[i] = 'a' + i % 26;
  for (long i = 0; i < thousands * 1000; i++) {
    char *from = opaque(text), *to = opaque(copy);
    from[PAGE - 1] = (char)('a' + i % 26);
    memcpy(to, from, PAGE);
    sum += strlen(from + i % 64);
    sum += memcmp(to, from, PAGE) == 0;
    sum += (char *)memchr(from, 0, PAGE + 1) - from;
    memset(to + i % 32, 'x', PAGE / 2);
    for (int k = 0; k < 8; k++) {
      memcpy(to + 64 * k, from + 3 * k, (size_t)(i + 5 * k) % 48);
      sum += strlen(to + PAGE - 1 - 4 * k);
    }
    memmove(to + 7, to, PAGE / 2);
    sum += strchr(to, from[PAGE - 1]) != 0;
  }
  printf("%lx %d\n", sum, copy[100]);
  return 0;
}
