/* tee and splice between pipes whose other ends are closed: with and without data, and with none to come. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile int pipes_broken;

static void on_sigpipe(int number) {
  (void)number;
  pipes_broken++;
}

static void show(const char *what, long result) {
  printf("%s: %ld %s, %d signals\n", what, result, result < 0 ? strerror(errno) : "", pipes_broken);
  pipes_broken = 0;
}

int main(void) {
  signal(SIGPIPE, on_sigpipe);
  for (int data = 0; data < 2; data++)
    for (int writers = 0; writers < 2; writers++)
      for (int readers = 0; readers < 2; readers++) {
        int from[2], to[2];
        if (pipe(from) < 0 || pipe(to) < 0) return 1;
        if (data && write(from[1], "abc", 3) != 3) return 1;
        if (!writers) close(from[1]);
        if (!readers) close(to[0]);
        printf("%s data, %s writer, %s reader\n", data ? "with" : "no", writers ? "a" : "no", readers ? "a" : "no");
        show("tee", tee(from[0], to[1], 100, SPLICE_F_NONBLOCK));
        show("splice", splice(from[0], NULL, to[1], NULL, 100, SPLICE_F_NONBLOCK));
        show("splice again", splice(from[0], NULL, to[1], NULL, 100, SPLICE_F_NONBLOCK));
        show("tee none", tee(from[0], to[1], 0, SPLICE_F_NONBLOCK));
        close(from[0]);
        close(to[1]);
        if (writers) close(from[1]);
        if (readers) close(to[0]);
      }
  return 0;
}
