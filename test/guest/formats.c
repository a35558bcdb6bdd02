// Formatted output of every basic type, buffered and unbuffered.
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf("hello %s %d %5.2f %c %x %p\n", "world", -42, 3.14159, 'x', 0xbeef, (void *)0);
  printf("%ld %lu %lld %hhd %e %g %a\n", -1L, ~0UL, 1LL << 62, (char)200, 1e100, 1.0 / 3, 0.1);
  for (int i = 0; i < 5; i++) printf("%*d|%-*d|%0*d\n", i + 2, i, i + 2, i, i + 2, i);
  fflush(stdout);
  if (write(1, "raw\n", 4) != 4) return 1;
  fprintf(stdout, "%.30f %Lf\n", 0.1, 1.0L / 3);
  return 3;
}
