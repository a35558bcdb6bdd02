// A tree of processes: each adds its children's exit statuses to its own.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int grow(int depth, int width) {
  int total = 1;
  pid_t children[8];
  if (depth == 0) return total;
  for (int i = 0; i < width; i++) {
    children[i] = fork();
    if (children[i] < 0) _exit(99);
    if (children[i] == 0) _exit(grow(depth - 1, width));
  }
  for (int i = width - 1; i >= 0; i--) {
    int status;
    if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status)) _exit(98);
    total += WEXITSTATUS(status);
  }
  return total;
}

int main(void) {
  printf("wide %d\n", grow(1, 8));
  printf("deep %d\n", grow(12, 1));
  printf("bushy %d\n", grow(3, 3));
  fflush(stdout);
  // A value copied at fork stays what it was, on either side.
  static int data[4096];
  for (int i = 0; i < 4096; i++) data[i] = i;
  for (int round = 0; round < 10; round++) {
    pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 4096; i++) data[i] += 1 + round;
      _exit(data[100] == 101 + round + round * 1000 ? 0 : 1);
    }
    for (int i = 0; i < 4096; i++) data[i] += 1000;
    int status;
    waitpid(child, &status, 0);
    if (status != 0) return printf("round %d status %x\n", round, status), 1;
  }
  printf("data %d\n", data[4095]);
  return grow(2, 3);
}
