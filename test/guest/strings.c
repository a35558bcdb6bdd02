/* libc's vectorised string functions at every alignment and at the end of a page, against plain loops. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t state = 99;
static uint32_t next(void) {
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

int main(void) {
    char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 2 * 4096, 4096, PROT_NONE);
    char *end = page + 2 * 4096;
    unsigned long long sum = 0;
    for (int i = 0; i < 4000; i++) {
        size_t length = next() % 300, offset = next() % 70;
        char *s = end - length - 1 - (i % 2 ? 0 : offset);
        for (size_t k = 0; k < length; k++) s[k] = 'a' + next() % 20;
        s[length] = 0;
        if (strlen(s) != length) return printf("strlen\n"), 1;
        char c = 'a' + next() % 26;
        char *plain = NULL, *last = NULL;
        for (size_t k = 0; k < length; k++)
            if (s[k] == c) {
                if (!plain) plain = s + k;
                last = s + k;
            }
        if (strchr(s, c) != plain || strrchr(s, c) != last || memchr(s, c, length) != plain) return printf("strchr\n"), 1;
        char *copy = page + next() % 64;
        memcpy(copy, s, length + 1);
        if (memcmp(copy, s, length + 1) || strcmp(copy, s) || strncmp(copy, s, length)) return printf("memcmp\n"), 1;
        if (length) {
            size_t at = next() % length;
            copy[at]++;
            int r = strcmp(copy, s), m = memcmp(copy, s, length);
            if (r <= 0 || m <= 0) return printf("order\n"), 1;
        }
        memmove(copy + 3, copy, length);
        memset(copy, c, 3);
        for (size_t k = 0; k < length; k++) sum = sum * 31 + (unsigned char)copy[k];
        char needle[4] = {s[length / 2], length / 2 + 1 < length ? s[length / 2 + 1] : 0, 0};
        char *found = strstr(s, needle);
        if (length && (!found || found > s + length / 2)) return printf("strstr\n"), 1;
        sum += found ? found - s : 7;
        sum += strcspn(s, "xyzt") + strspn(s, "abcdefghij");
        char *stp = stpcpy(copy, s);
        if (stp != copy + length) return printf("stpcpy\n"), 1;
    }
    printf("sum %llu\n", sum);
    return 0;
}
