// build: static
// Whom a descriptor traces: forks, threads, exec, exit, close.
#include "kcov.h"

static uint64_t count_of(Word *area) {
  area[0] = 0;
  for (int i = 0; i < 5; i++) syscall(SYS_getppid);
  return area[0];
}

static int status_of(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

static void forks(void) {
  int fd;
  Word *area = open_area(&fd, 4096);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  pid_t child = fork();
  if (child == 0) {
    // Shares the mapping and the descriptor, and is not traced; the parent waits and adds nothing.
    CHECK(area[0] > 0);
    while (waitpid(-1, NULL, WNOHANG) > 0);
    FAILS(ioctl(fd, KCOV_ENABLE, TRACE_PC), EINVAL);
    FAILS(ioctl(fd, KCOV_DISABLE, 0), EINVAL);
    _exit(failures);
  }
  CHECK(status_of(child) == 0);
  CHECK(count_of(area) > 0);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  // Now the child may have it, and its end gives it back.
  area[0] = 0;
  child = fork();
  if (child == 0) {
    int failed = ioctl(fd, KCOV_ENABLE, TRACE_PC) != 0;
    syscall(SYS_getppid);
    _exit(failed || area[0] == 0);
  }
  CHECK(status_of(child) == 0);
  uint64_t theirs = area[0];
  CHECK(theirs > 0);
  syscall(SYS_getppid);
  CHECK(area[0] == theirs);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  CHECK(count_of(area) > 0);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  close(fd);
}

// A child that is not traced leaves the parent's area alone, whatever it does.
static void untraced_child(void) {
  int fd, ready[2], done[2];
  Word *area = open_area(&fd, 4096);
  char byte = 0;
  pipe(ready);
  pipe(done);
  pid_t child = fork();
  if (child == 0) {
    read(ready[0], &byte, 1);
    for (int i = 0; i < 200; i++) syscall(SYS_getppid);
    write(done[1], &byte, 1);
    _exit(0);
  }
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  for (int i = 0; i < 3; i++) count_of(area);
  uint64_t alone = count_of(area);
  write(ready[1], &byte, 1);
  read(done[0], &byte, 1);
  CHECK(count_of(area) == alone);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  CHECK(status_of(child) == 0);
  close(fd);
}

static int shared;

static void *second_thread(void *argument) {
  (void)argument;
  FAILS(ioctl(shared, KCOV_ENABLE, TRACE_PC), EINVAL);
  FAILS(ioctl(shared, KCOV_DISABLE, 0), EINVAL);
  return NULL;
}

static void *owner_thread(void *argument) {
  Word *area = argument;
  CHECK(ioctl(shared, KCOV_ENABLE, TRACE_PC) == 0);
  CHECK(count_of(area) > 0);
  // Ends while it is traced.
  return NULL;
}

static void *many_threads(void *argument) {
  (void)argument;
  int fd;
  Word *area = open_area(&fd, 4096);
  for (int i = 0; i < 50; i++) {
    CHECK(ioctl(fd, KCOV_ENABLE, i & 1) == 0);
    syscall(SYS_getppid);
    CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  }
  munmap((void *)area, 4096 * 8);
  close(fd);
  return NULL;
}

static void threads(void) {
  pthread_t thread;
  Word *area = open_area(&shared, 4096);
  CHECK(ioctl(shared, KCOV_ENABLE, TRACE_PC) == 0);
  pthread_create(&thread, NULL, second_thread, NULL);
  pthread_join(thread, NULL);
  CHECK(ioctl(shared, KCOV_DISABLE, 0) == 0);
  pthread_create(&thread, NULL, owner_thread, (void *)area);
  pthread_join(thread, NULL);
  // Its end has given it back, with the mapping.
  int result = -1;
  for (int i = 0; i < 1000 && result != 0; i++) {
    result = ioctl(shared, KCOV_ENABLE, TRACE_PC);
    if (result != 0) usleep(1000);
  }
  CHECK(result == 0);
  CHECK(count_of(area) > 0);
  CHECK(ioctl(shared, KCOV_DISABLE, 0) == 0);
  close(shared);
  pthread_t all[8];
  for (int i = 0; i < 8; i++) pthread_create(&all[i], NULL, many_threads, NULL);
  for (int i = 0; i < 8; i++) pthread_join(all[i], NULL);
}

static void closing(void) {
  int fd;
  Word *area = open_area(&fd, 4096);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  close(fd);
  // The task holds a reference: tracing goes on, and another descriptor cannot have the task.
  CHECK(count_of(area) > 0);
  int other;
  Word *area2 = open_area(&other, 4096);
  FAILS(ioctl(other, KCOV_ENABLE, TRACE_PC), EBUSY);
  area[0] = 0;
  munmap((void *)area, 4096 * 8);
  for (int i = 0; i < 5; i++) syscall(SYS_getppid);
  CHECK(area2[0] == 0);
  close(other);
}

static void execing(const char *self) {
  int fd, status;
  Word *area = open_area(&fd, 1 << 16);
  pid_t child = fork();
  if (child == 0) {
    ioctl(fd, KCOV_ENABLE, TRACE_PC);
    area[0] = 0;
    execl(self, self, "exec", NULL);
    _exit(9);
  }
  waitpid(child, &status, 0);
  CHECK(status == 0);
  // The new program was traced into the area that it no longer maps, until it ended.
  uint64_t count = area[0];
  CHECK(count > 1000 || count == (1 << 16) - 1);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  close(fd);
}

int main(int argc, char **argv) {
  if (argc > 1) return 0;
  forks();
  untraced_child();
  threads();
  execing(argv[0]);
  // Last, since the task stays traced until it ends.
  closing();
  return finish();
}
