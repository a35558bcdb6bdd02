/* How much a pipe holds: small writes share pages, atomic writes are whole, reads free pages only as a whole. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned char buf[300000], pattern[300300];
static unsigned put_next, take_next;
static int p[2];

static void open_pipe(void) {
    if (pipe2(p, O_NONBLOCK) < 0) exit(1);
    put_next = take_next = 0;
}

static void close_pipe(void) { close(p[0]), close(p[1]); }

static long put(size_t n) {
    long r = write(p[1], pattern + put_next % 251, n);
    if (r > 0) put_next += r;
    return r < 0 ? -errno : r;
}

static long take(size_t n) {
    long r = read(p[0], buf, n);
    if (r > 0 && memcmp(buf, pattern + take_next % 251, r)) exit(printf("wrong bytes among %ld\n", r));
    if (r > 0) take_next += r;
    return r < 0 ? -errno : r;
}

static int waiting(void) {
    int n = -1;
    ioctl(p[0], FIONREAD, &n);
    return n;
}

static int writable(void) { return poll(&(struct pollfd){p[1], POLLOUT, 0}, 1, 0); }

static long fill(size_t n) {
    long total = 0, r;
    while ((r = put(n)) > 0) total += r;
    return total;
}

static unsigned state = 1;
static unsigned below(unsigned n) { return (state = state * 1103515245 + 12345, (state >> 8) % n); }

int main(void) {
    static const size_t sizes[] = {1, 2, 3, 7, 64, 100, 1000, 1365, 1366, 2047, 2048, 2049, 3000, 4095, 4096, 4097, 5000, 8191, 8192, 10000, 65535, 65536, 65537, 100000, 200001};
    int count = sizeof sizes / sizeof *sizes;
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = i % 251;
    for (int i = 0; i < count; i++) {
        open_pipe();
        long total = fill(sizes[i]);
        printf("%zu bytes: %ld, waiting %d, writable %d", sizes[i], total, waiting(), writable());
        printf(", one more byte %ld", put(1));
        /* A page is free when all of it was read. */
        long a = take(100), b = writable(), c = take(4095), d = writable();
        printf(", took %ld, writable %ld, took %ld, writable %ld, again %ld", a, b, c, d, fill(sizes[i]));
        close_pipe();
        open_pipe();
        put(10);
        a = fill(sizes[i]), b = take(sizes[i]), c = put(sizes[i]);
        printf(", after 10: %ld, took %ld, one more %ld\n", a, b, c);
        close_pipe();
    }
    for (int seed = 1; seed <= 12; seed++) {
        unsigned long sum = 0;
        state = seed * 7919;
        open_pipe();
        for (int step = 0; step < 400; step++) {
            size_t n = below(3) ? sizes[below(count)] : below(6000) + 1;
            long r;
            int what = below(20);
            if (what < 9) r = put(n);
            else if (what < 17) r = take(n);
            else if (what < 18) r = fcntl(p[1], F_SETPIPE_SZ, 4096 << below(7));
            else {
                unsigned char *at = pattern + put_next % 251;
                struct iovec v[3] = {{at, n % 5000}, {at + n % 5000, 17}, {at + n % 5000 + 17, n % 3000}};
                r = writev(p[1], v, 3);
                if (r > 0) put_next += r;
            }
            if (r < 0 && what == 17) r = -errno;
            sum = sum * 31 + r * 4 + writable() * 2 + waiting();
        }
        printf("seed %d: %08lx, %u bytes, size %d\n", seed, sum & 0xffffffff, put_next, fcntl(p[0], F_GETPIPE_SZ));
        close_pipe();
    }
    return 0;
}
