// Pipes in packet mode: a read gets one packet and no more, and loses what it has no room for.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static char buf[70000], data[70000];
static int p[2];

static void put(long n) {
  static int next;
  memset(data, 'a' + next++ % 26, n);
  long r = write(p[1], data, n);
  printf("write %ld: %ld\n", n, r < 0 ? -errno : r);
}

static void take(long n) {
  long r = read(p[0], buf, n);
  int waiting = -1;
  ioctl(p[0], FIONREAD, &waiting);
  printf("read %ld: %ld %c..%c, %d waiting\n", n, r < 0 ? -errno : r, r > 0 ? buf[0] : '-', r > 0 ? buf[r - 1] : '-', waiting);
}

static void mode(int end, int flags) {
  printf("F_SETFL %d\n", fcntl(p[end], F_SETFL, flags | O_NONBLOCK));
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  if (pipe2(p, O_DIRECT | O_NONBLOCK) < 0) return 1;
  printf("flags %o %o\n", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
  put(3), put(5), put(0), put(4096), put(5000);
  take(10), take(2), take(0), take(70000), take(70000), take(70000), take(10);
  // Packets among bytes.
  mode(1, 0);
  put(10), put(20);
  mode(1, O_DIRECT);
  put(30), put(40);
  mode(1, 0);
  put(50), put(60);
  take(5), take(26), take(100), take(20), take(100);
  // Full of small packets, in another place of the ring after a change of its size.
  mode(1, O_DIRECT);
  put(7), put(8);
  take(7);
  printf("size %d\n", fcntl(p[1], F_SETPIPE_SZ, 32 * 4096));
  put(9);
  take(100), take(100);
  int n = 0;
  while (write(p[1], "x", 1) == 1) n++;
  printf("packets that fit %d\n", n);
  printf("smaller %d\n", fcntl(p[1], F_SETPIPE_SZ, 4096) < 0 ? -errno : 0);
  for (int i = 0; i < 31; i++)
    if (read(p[0], buf, 10) != 1) return 2;
  printf("smaller %d\n", fcntl(p[1], F_SETPIPE_SZ, 4096));
  take(10), take(10);
  printf("size %d\n", fcntl(p[1], F_SETPIPE_SZ, 8 * 4096));
  put(11), put(12);
  struct iovec v[3] = {{buf, 4}, {buf + 4, 4}, {buf + 8, 4000}};
  printf("readv %zd\n", readv(p[0], v, 3));
  return 0;
}
