/* The smallest program: one line, through stdio and through a raw write. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    printf("hello, world %d %s %c %5.2f\n", 42, "text", 'x', 3.14159);
    fflush(stdout);
    return write(1, "raw\n", 4) == 4 ? 7 : 1;
}
