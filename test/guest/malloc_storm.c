// The allocator under a deterministic storm of malloc, realloc, calloc, free, with contents checked.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 512
static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

int main(void) {
  static unsigned char *slot[SLOTS];
  static size_t size[SLOTS];
  uint64_t sum = 0;
  for (int round = 0; round < 20000; round++) {
    int i = next() % SLOTS;
    size_t want = next() % (next() % 64 == 0 ? 300000 : 600);
    if (slot[i]) {
      for (size_t k = 0; k < size[i]; k += 97)
        if (slot[i][k] != (unsigned char)(i + k)) return printf("damage at round %d\n", round), 1;
      if (next() % 3 == 0) {
        size_t keep = want < size[i] ? want : size[i];
        slot[i] = realloc(slot[i], want + 1);
        for (size_t k = 0; k < keep; k += 97)
          if (slot[i][k] != (unsigned char)(i + k)) return printf("realloc damage at %d\n", round), 1;
      } else {
        free(slot[i]);
        slot[i] = NULL;
        continue;
      }
    } else {
      slot[i] = next() % 2 ? malloc(want + 1) : calloc(1, want + 1);
    }
    size[i] = want;
    for (size_t k = 0; k < want; k++) slot[i][k] = (unsigned char)(i + k);
    sum += want;
  }
  void *aligned = NULL;
  printf("%d %d\n", posix_memalign(&aligned, 65536, 100), (int)((uintptr_t)aligned % 65536));
  printf("huge %d\n", malloc(SIZE_MAX / 2) == NULL);
  printf("sum %lu\n", (unsigned long)sum);
  return 0;
}
