// Three processes in a row over pipes, more data than a pipe holds, and the ends of pipes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  int a[2], b[2];
  if (pipe(a) || pipe(b)) return 1;
  if (fork() == 0) {
    close(a[0]), close(b[0]), close(b[1]);
    FILE *out = fdopen(a[1], "w");
    for (int i = 1; i <= 100000; i++) fprintf(out, "%d\n", i);
    fclose(out);
    _exit(0);
  }
  if (fork() == 0) {
    close(a[1]), close(b[0]);
    FILE *in = fdopen(a[0], "r"), *out = fdopen(b[1], "w");
    int value;
    while (fscanf(in, "%d", &value) == 1)
      if (value % 3 == 0) fprintf(out, "%d\n", value * 2);
    fclose(out);
    _exit(0);
  }
  close(a[0]), close(a[1]), close(b[1]);
  FILE *in = fdopen(b[0], "r");
  long sum = 0, count = 0;
  int value;
  while (fscanf(in, "%d", &value) == 1) sum += value, count++;
  printf("%ld %ld\n", sum, count);
  while (wait(NULL) > 0) {
  }
  int p[2];
  if (pipe2(p, O_NONBLOCK)) return 1;
  char block[4096] = "";
  long filled = 0;
  for (ssize_t n; (n = write(p[1], block, sizeof block)) > 0;) filled += n;
  printf("full at %ld errno %d size %d\n", filled, errno, fcntl(p[1], F_GETPIPE_SZ));
  printf("read %zd\n", read(p[0], block, 4096));
  printf("write %zd\n", write(p[1], block, 4096));
  close(p[1]);
  long drained = 0;
  for (ssize_t n; (n = read(p[0], block, sizeof block)) > 0;) drained += n;
  printf("drained %ld\n", drained);
  if (pipe(p)) return 1;
  close(p[0]);
  signal(SIGPIPE, SIG_IGN);
  ssize_t n = write(p[1], "x", 1);
  printf("broken %zd errno %d\n", n, errno);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    n = write(p[1], "x", 1);
    _exit(1);
  }
  int status;
  waitpid(child, &status, 0);
  printf("killed by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return 0;
}
