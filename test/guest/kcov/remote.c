// build: static
// Remote coverage: a timer's expiry is traced for the task that armed it, and nothing else is.
#include "kcov.h"

#define WORDS 65536

static struct kcov_remote_arg *arg(int mode, uint64_t common, int handles, uint64_t handle) {
  struct kcov_remote_arg *a = calloc(1, sizeof *a + 300 * 8);
  a->trace_mode = mode;
  a->area_size = WORDS / 2;
  a->num_handles = handles;
  a->common_handle = common;
  for (int i = 0; i < handles && i < 300; i++) a->handles[i] = handle + i;
  return a;
}

#define USB(instance) (1UL << 56 | (instance))

static volatile int rung;
static void ring(int signo) { rung = signo; }

static void expiry(int mode) {
  int fd, other;
  Word *area = open_area(&fd, WORDS);
  Word *second = open_area(&other, WORDS);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, arg(mode, 42, 257, USB(1))), EINVAL);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, arg(mode, USB(1), 0, 0)), EINVAL);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, arg(mode, 0, 1, 42)), EINVAL);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, arg(mode, 1UL << 32, 0, 0)), EINVAL);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, arg(7, 42, 0, 0)), EINVAL);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, 8), EFAULT);
  CHECK(ioctl(fd, KCOV_REMOTE_ENABLE, arg(mode, 42, 256, USB(1))) == 0);
  FAILS(ioctl(fd, KCOV_REMOTE_ENABLE, arg(mode, 43, 0, 0)), EINVAL);
  FAILS(ioctl(fd, KCOV_ENABLE, TRACE_PC), EINVAL);
  FAILS(ioctl(other, KCOV_ENABLE, TRACE_PC), EBUSY);
  pid_t child = fork();
  int status;
  if (child == 0) {
    // The handles are taken.
    FAILS(ioctl(other, KCOV_REMOTE_ENABLE, arg(mode, 42, 0, 0)), EEXIST);
    FAILS(ioctl(other, KCOV_REMOTE_ENABLE, arg(mode, 44, 1, USB(200))), EEXIST);
    CHECK(ioctl(other, KCOV_REMOTE_ENABLE, arg(mode, 44, 1, USB(300))) == 0);
    _exit(failures);
  }
  waitpid(child, &status, 0);
  CHECK(status == 0);
  // The task's own calls are not traced.
  for (int i = 0; i < 10; i++) syscall(SYS_getppid);
  CHECK(area[0] == 0);
  signal(SIGALRM, ring);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  struct itimerspec in = {.it_value.tv_nsec = 2000000};
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  CHECK(timer_settime(timer, 0, &in, NULL) == 0);
  while (rung == 0) usleep(1000);
  rung = 0;
  uint64_t count = area[0];
  CHECK(count > 0);
  for (uint64_t i = 1; i <= count; i++)
    if (mode == TRACE_PC) CHECK(area[i] > 0xffffffff7fffffffUL);
  CHECK(second[0] == 0);
  // Armed while traced, fired after: nothing is added.
  CHECK(timer_settime(timer, 0, &in, NULL) == 0);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  count = area[0];
  while (rung == 0) usleep(1000);
  rung = 0;
  CHECK(area[0] == count);
  // The handles are free again.
  CHECK(ioctl(other, KCOV_REMOTE_ENABLE, arg(mode, 42, 1, USB(1))) == 0);
  CHECK(ioctl(other, KCOV_DISABLE, 0) == 0);
  timer_delete(timer);
  close(fd);
  close(other);
}

int main(void) {
  expiry(TRACE_PC);
  expiry(TRACE_CMP);
  return finish();
}
