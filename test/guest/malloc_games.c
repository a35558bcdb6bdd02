/* malloc, realloc and free in a pattern that grows and shrinks brk and uses mmap for large blocks. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 12345;
static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

enum { SLOTS = 500 };
static unsigned char *blocks[SLOTS];
static size_t sizes[SLOTS];

int main(void) {
    uint64_t sum = 0;
    for (int round = 0; round < 20000; round++) {
        int i = next() % SLOTS;
        if (blocks[i]) {
            for (size_t k = 0; k < sizes[i]; k += 97)
                if (blocks[i][k] != (unsigned char)(i + k)) return printf("corrupt %d %zu\n", i, k), 1;
            sum += sizes[i];
            if (next() % 3 == 0) {
                size_t bigger = sizes[i] + next() % 5000;
                blocks[i] = realloc(blocks[i], bigger);
                for (size_t k = 0; k < sizes[i]; k += 97)
                    if (blocks[i][k] != (unsigned char)(i + k)) return printf("corrupt after realloc\n"), 1;
                sizes[i] = bigger;
                for (size_t k = 0; k < bigger; k++) blocks[i][k] = i + k;
                continue;
            }
            free(blocks[i]);
            blocks[i] = NULL;
        } else {
            sizes[i] = next() % 50 == 0 ? 200000 + next() % 300000 : 1 + next() % 2000;
            blocks[i] = malloc(sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) blocks[i][k] = i + k;
        }
    }
    for (int i = 0; i < SLOTS; i++) free(blocks[i]);
    unsigned char *zeroed = calloc(1000, 1000);
    for (size_t k = 0; k < 1000000; k += 1001) sum += zeroed[k];
    free(zeroed);
    printf("sum %llu\n", (unsigned long long)sum);
    return 0;
}
