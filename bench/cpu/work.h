/* The amount of work of a benchmark: the first argument, or what the program calls full. */
#include <stdio.h>
#include <stdlib.h>

static long amount_of_work(int argc, char **argv, long full) {
  if (argc < 2) return full;
  char *end;
  long amount = strtol(argv[1], &end, 10);
  if (*end != 0 || amount < 1) {
    fprintf(stderr, "usage: %s [amount of work, 1 or more]\n", argv[0]);
    exit(2);
  }
  return amount;
}
