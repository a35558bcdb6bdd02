/* A program with a loop to be found, below functions with frame pointers. */
// build: static -O1 -fno-omit-frame-pointer
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) unsigned spin_here(unsigned n) {
    unsigned x = 1;
    for (unsigned i = 0; i < n; i++) x = x * 1664525u + 1013904223u;
    return x;
}

__attribute__((noinline)) unsigned middle(unsigned n) { return spin_here(n) + 1; }

__attribute__((noinline)) unsigned outer(unsigned n) { return middle(n) + 2; }

int main(int argc, char **argv) {
    printf("%u\n", outer(argc > 1 ? atoi(argv[1]) : 20000000));
    return 3;
}
