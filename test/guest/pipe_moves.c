// Bytes that are moved to a pipe take pages of their own: how many moves fill one, and what is written behind them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char pages[3 * 4096] __attribute__((aligned(4096)));
static int file, zero, from[2], to[2], ends[2];

static const char *told(long n) {
  static char text[24];
  if (n < 0) return strerrorname_np(errno);
  snprintf(text, sizeof text, "%ld", n);
  return text;
}

static void set_nonblocking(int fd) { fcntl(fd, F_SETFL, O_NONBLOCK); }

static void make(void) {
  if (pipe(from) != 0 || pipe(to) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) exit(1);
  for (int i = 0; i < 2; i++) {
    set_nonblocking(from[i]);
    set_nonblocking(to[i]);
    set_nonblocking(ends[i]);
  }
}

static void end(void) {
  for (int i = 0; i < 2; i++) {
    close(from[i]);
    close(to[i]);
    close(ends[i]);
  }
}

static int waiting(int fd) {
  int bytes = -1;
  ioctl(fd, FIONREAD, &bytes);
  return bytes;
}

static long move(int kind, off_t at, size_t length) {
  struct iovec iov = {pages + at, length};
  switch (kind) {
    case 0: return sendfile(to[1], file, &at, length);
    case 1: return splice(file, &at, to[1], NULL, length, 0);
    case 2: return splice(from[0], NULL, to[1], NULL, length, 0);
    case 3: return tee(from[0], to[1], length, 0);
    case 4: return vmsplice(to[1], &iov, 1, SPLICE_F_NONBLOCK);
    case 5: return splice(ends[0], NULL, to[1], NULL, length, 0);
    default: return splice(zero, NULL, to[1], NULL, length, 0);
  }
}

// As often as it goes, then writes that would fit behind the last byte.
static void until_full(int kind, off_t at, size_t length) {
  make();
  for (int i = 0; i < 60; i++)
    if (write(from[1], pages, length) < 0 || write(ends[1], pages, length) < 0) break;
  int count = 0;
  long n = 0, total = 0;
  while (count < 60 && (n = move(kind, at, length)) > 0) {
    count++;
    total += n;
  }
  printf("%d %ld %zu: %d, %s, %ld bytes", kind, (long)at, length, count, told(n), total);
  printf(", write %s", told(write(to[1], pages, 10)));
  printf(", read %s", told(read(to[0], pages, 3)));
  printf(", write %s\n", told(write(to[1], pages, 10)));
  end();
}

// Fills the pipe with small writes as far as that goes: what is left of its pages.
static void show_room(const char *what, long n) {
  printf("%s: %s", what, told(n));
  int before = waiting(to[0]);
  while (write(to[1], pages, 4096) > 0) {
  }
  printf(", pages %d", (waiting(to[0]) - before) / 4096);
  before = waiting(to[0]);
  while (write(to[1], pages, 1) > 0) {
  }
  printf(", bytes %d\n", waiting(to[0]) - before);
}

// Whole pages of a pipe go over as they are, and may grow there; parts of them may not.
static void between_pipes(void) {
  static const int lengths[] = {1, 99, 100, 101, 200, 300, 5000, 60000};
  for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++)
    for (int copies = 0; copies < 2; copies++) {
      make();
      for (int j = 0; j < 3; j++) {
        if (write(from[1], pages, 100) != 100 || write(from[1], pages, 4096) != 4096) exit(1);
      }
      if (write(to[1], pages, 10) != 10) exit(1);
      long n = copies ? tee(from[0], to[1], lengths[i], 0) : splice(from[0], NULL, to[1], NULL, lengths[i], 0);
      show_room(copies ? "tee" : "splice", n);
      printf("left %d\n", waiting(from[0]));
      end();
    }
}

// What does not fit stays where it was.
static void little_room(void) {
  for (int kind = 0; kind < 7; kind++)
    for (int used = 13; used <= 16; used++) {
      make();
      for (int i = 0; i < used; i++)
        if (write(to[1], pages, 4096) != 4096) exit(1);
      for (int i = 0; i < 8; i++)
        if (write(from[1], pages, 4096) != 4096) exit(1);
      for (int i = 0; i < 8; i++)
        if (write(ends[1], pages, 4096) != 4096) exit(1);
      long n = move(kind, 0, 3 * 4096);
      printf("%d with %d used: %s, left %d", kind, used, told(n), waiting(from[0]));
      long sum = 0, got;
      while ((got = read(ends[0], pages, sizeof pages)) > 0) sum += got;
      printf(" and %ld\n", sum);
      end();
    }
}

int main(void) {
  char name[] = "/tmp/pipe_moves.XXXXXX";
  file = mkstemp(name);
  unlink(name);
  zero = open("/dev/zero", O_RDONLY);
  if (zero < 0 || write(file, pages, sizeof pages) != sizeof pages) return 1;
  for (int kind = 0; kind < 7; kind++) {
    until_full(kind, 0, 1);
    until_full(kind, 0, 4096);
  }
  for (int kind = 0; kind < 2; kind++) {
    until_full(kind, 4000, 100);
    until_full(kind, 4000, 4000);
    until_full(kind, 1, 4096);
  }
  until_full(4, 4000, 100);
  until_full(4, 1, 8192);
  until_full(6, 0, 8192);
  between_pipes();
  little_room();
  return 0;
}
