/* A program that writes a function, runs it until it is hot, and writes it anew. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* mov eax, edi; L: imul eax, eax, 1664525; add eax, VERSION; dec esi; jnz L; ret */
static const unsigned char CODE[] = {0x89, 0xf8, 0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00, 0x05, 0,
                                     0,    0,    0,    0xff, 0xce, 0x75, 0xf1, 0xc3};

int main(void) {
    unsigned char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned sum = 1;
    for (unsigned version = 0; version < 200; version++) {
        /* Not always at the same place, and sometimes over the end of a page. */
        unsigned char *at = page + (version % 3 == 0 ? 4090 : version * 16 % 2048);
        memcpy(at, CODE, sizeof CODE);
        memcpy(at + 9, &version, 4);
        unsigned (*run)(unsigned, unsigned) = (unsigned (*)(unsigned, unsigned))at;
        sum = run(sum, version % 4 == 0 ? 40000 : 500);
    }
    printf("%u\n", sum);
    return 0;
}
