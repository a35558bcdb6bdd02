// Comparing what processes share (kcmp) and taking a descriptor of another process (pidfd_getfd).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILE_, VM, FILES, FS, SIGHAND, IO, SYSVSEM, EPOLL };

static void tell(const char *what, long result) {
  if (result < 0) printf("%s: errno %d\n", what, errno);
  else printf("%s: %s\n", what, result == 0 ? "same" : "different");
}

static long compare(pid_t a, pid_t b, int type, unsigned long x, unsigned long y) {
  return syscall(SYS_kcmp, a, b, type, x, y);
}

static int waiting_child(void *pipe_fd) {
  char byte;
  return read(*(int *)pipe_fd, &byte, 1) < 0;
}

static void compare_parts(const char *name, int flags) {
  static char stack[65536];
  int p[2];
  if (pipe(p) < 0) exit(1);
  pid_t child = clone(waiting_child, stack + sizeof stack, flags | SIGCHLD, &p[0]);
  printf("%s\n", name);
  tell("vm", compare(getpid(), child, VM, 0, 0));
  tell("files", compare(getpid(), child, FILES, 0, 0));
  tell("fs", compare(getpid(), child, FS, 0, 0));
  tell("sighand", compare(getpid(), child, SIGHAND, 0, 0));
  tell("file", compare(getpid(), child, FILE_, 1, 1));
  tell("other file", compare(getpid(), child, FILE_, p[0], p[1]));
  if (write(p[1], "x", 1) != 1) exit(1);
  close(p[1]);
  waitpid(child, NULL, 0);
  close(p[0]);
}

static void compare_files(void) {
  pid_t self = getpid();
  int a = open("/dev/null", O_RDONLY), b = dup(a), c = open("/dev/null", O_RDONLY), path = open("/", O_PATH);
  tell("dup", compare(self, self, FILE_, a, b));
  tell("opened twice", compare(self, self, FILE_, a, c));
  tell("path", compare(self, self, FILE_, path, path));
  long ab = compare(self, self, FILE_, a, c), ba = compare(self, self, FILE_, c, a);
  printf("ordered %d\n", ab + ba == 3);
  tell("no descriptor", compare(self, self, FILE_, a, 999));
  tell("no process", compare(self, 0x3fffffff, VM, 0, 0));
  tell("no type", compare(self, self, 8, 0, 0));
  tell("negative type", compare(self, self, -1, 0, 0));
  int ep = epoll_create1(0), p[2];
  if (pipe(p) < 0) exit(1);
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event);
  unsigned slot[3] = {ep, p[0], 0};
  tell("target", compare(self, self, EPOLL, p[0], (unsigned long)slot));
  tell("other target", compare(self, self, EPOLL, p[1], (unsigned long)slot));
  slot[2] = 1;
  tell("second target", compare(self, self, EPOLL, p[0], (unsigned long)slot));
  slot[0] = a;
  tell("no epoll", compare(self, self, EPOLL, p[0], (unsigned long)slot));
  tell("no slot", compare(self, self, EPOLL, p[0], 8));
  tell("neither", compare(self, self, EPOLL, 999, 8));
}

static void take(void) {
  int p[2], ready[2];
  char byte = 0;
  if (pipe(p) < 0 || pipe(ready) < 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    dup2(p[1], 100);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  if (read(ready[0], &byte, 1) != 1) exit(1);
  int pidfd = syscall(SYS_pidfd_open, child, 0);
  int taken = syscall(SYS_pidfd_getfd, pidfd, 100, 0);
  printf("taken %d cloexec %d\n", taken >= 0, fcntl(taken, F_GETFD));
  tell("taken is", compare(getpid(), child, FILE_, taken, 100));
  if (write(taken, "t", 1) != 1 || read(p[0], &byte, 1) != 1) exit(1);
  printf("passed %c\n", byte);
  tell("no target", syscall(SYS_pidfd_getfd, pidfd, 999, 0));
  tell("flags", syscall(SYS_pidfd_getfd, pidfd, 100, 1));
  tell("no pidfd", syscall(SYS_pidfd_getfd, p[0], 100, 0));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  tell("gone", syscall(SYS_pidfd_getfd, pidfd, 100, 0));
}

static void meet(int in, int out) {
  char byte = 'm';
  if (out >= 0 && write(out, &byte, 1) != 1) _exit(1);
  if (in >= 0 && read(in, &byte, 1) != 1) _exit(1);
}

// An open directory of /proc stands for the process when a signal is sent.
static void signal_by_directory(void) {
  char path[64];
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  snprintf(path, sizeof path, "/proc/%d", child);
  int dir = open(path, O_DIRECTORY | O_RDONLY), other = open("/proc", O_DIRECTORY | O_RDONLY);
  int in_path = open(path, O_PATH);
  tell("by /proc", syscall(SYS_pidfd_send_signal, other, SIGTERM, NULL, 0));
  tell("by a path", syscall(SYS_pidfd_send_signal, in_path, SIGTERM, NULL, 0));
  tell("by a directory", syscall(SYS_pidfd_send_signal, dir, SIGTERM, NULL, 0));
  waitpid(child, &status, 0);
  printf("ended by %d\n", WTERMSIG(status));
  tell("gone", syscall(SYS_pidfd_send_signal, dir, SIGTERM, NULL, 0));
}

// What select leaves of its timeout, with and without the personality that keeps it.
static void sticky_timeouts(void) {
  for (int sticky = 0; sticky < 2; sticky++) {
    personality(sticky ? STICKY_TIMEOUTS : 0);
    struct timeval tv = {0, 1000};
    select(0, NULL, NULL, NULL, &tv);
    printf("left %ld\n", (long)tv.tv_usec);
    struct timespec ts = {0, 1000};
    syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8);
    printf("left %ld\n", ts.tv_nsec);
  }
}

// A process that is not dumpable is closed to others of its user.
static void closed(void) {
  int up[2], down[2];
  if (pipe(up) < 0 || pipe(down) < 0) exit(1);
  pid_t child = fork();
  if (child != 0) {
    waitpid(child, NULL, 0);
    return;
  }
  int death = -1;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) != 0) _exit(1);
  prctl(PR_GET_PDEATHSIG, &death);
  printf("death signal %d\n", death);
  setresuid(-1, -1, 1000);
  printf("after setuid %d\n", prctl(PR_GET_DUMPABLE));
  prctl(PR_SET_DUMPABLE, 1);
  pid_t other = fork();
  if (other == 0) {
    for (int dumpable = 1; dumpable >= 0; dumpable--) {
      prctl(PR_SET_DUMPABLE, dumpable);
      printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
      meet(down[0], up[1]);
    }
    _exit(0);
  }
  meet(up[0], -1);
  tell("dumpable", compare(getpid(), other, VM, 0, 0));
  meet(up[0], down[1]);
  tell("not dumpable", compare(getpid(), other, VM, 0, 0));
  meet(-1, down[1]);
  waitpid(other, NULL, 0);
  int tsc = 0;
  printf("tsc %d", prctl(PR_GET_TSC, &tsc));
  printf(" %d %d %d\n", tsc, prctl(PR_SET_TSC, PR_TSC_ENABLE), prctl(PR_SET_TSC, 77));
  _exit(0);
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  compare_parts("fork", 0);
  compare_parts("shared files and fs", CLONE_FILES | CLONE_FS);
  compare_parts("shared vm and handlers", CLONE_VM | CLONE_SIGHAND);
  compare_files();
  take();
  closed();
  signal_by_directory();
  sticky_timeouts();
  return 0;
}
