/*
 * Loads that wait for each other: a random cycle through 64 MB, one node a cache line.
 * Work: millions of steps, after a set-up of a million nodes.
 */
#include "work.h"
#include <stdint.h>

#define NODES (1 << 20)

struct node {
  struct node *next;
  uint64_t value;
  char rest[48];
};

static struct node nodes[NODES];

int main(int argc, char **argv) {
  long millions = amount_of_work(argc, argv, 10);
  static uint32_t order[NODES];
  uint64_t state = 1;
  for (uint32_t i = 0; i < NODES; i++) order[i] = i;
  for (uint32_t i = NODES - 1; i > 0; i--) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint32_t j = (uint32_t)(state >> 33) % i, other = order[j];
    order[j] = order[i];
    order[i] = other;
  }
  for (uint32_t i = 0; i < NODES; i++) {
    nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
    nodes[order[i]].value = i;
  }
  uint64_t sum = 0;
  const struct node *at = nodes;
  for (long i = 0; i < millions * 1000000; i++) {
    sum = sum * 3 + at->value;
    at = at->next;
  }
  printf("%016llx\n", (unsigned long long)sum);
  return 0;
}
