// Waiters that are woken one at a time: each event reaches somebody, whoever it was meant for first.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct waiter {
  pthread_t thread;
  long number, p[6];
  volatile int tid, done;
  long result;
};

static void pause_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, 0);
}

static void *run(void *argument) {
  struct waiter *w = argument;
  w->tid = (int)syscall(SYS_gettid);
  long value = syscall(w->number, w->p[0], w->p[1], w->p[2], w->p[3], w->p[4], w->p[5]);
  w->result = value < 0 ? -errno : value;
  w->done = 1;
  return 0;
}

static char state_of(int id) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
  int fd = open(path, O_RDONLY);
  long n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return '?';
  text[n] = 0;
  char *end = strrchr(text, ')');
  return end == 0 ? '?' : end[2];
}

// Begins a call in another thread, and returns when it sleeps.
static void begin(struct waiter *w, long number, long p0, long p1, long p2, long p3) {
  *w = (struct waiter){.number = number, .p = {p0, p1, p2, p3}};
  pthread_create(&w->thread, 0, run, w);
  for (int asleep = 0; asleep < 3;) {
    pause_ms(1);
    asleep = w->tid != 0 && state_of(w->tid) == 'S' ? asleep + 1 : 0;
  }
}

// Gives the calls time to end: how many have. What has not is cancelled by a signal.
static int ended(struct waiter *waiters, int count) {
  int done = 0;
  for (int tries = 0; tries < 2000; tries++) {
    done = 0;
    for (int i = 0; i < count; i++) done += waiters[i].done;
    if (done == count) break;
    pause_ms(1);
  }
  for (int i = 0; i < count; i++) {
    if (!waiters[i].done) pthread_kill(waiters[i].thread, SIGUSR1);
    pthread_join(waiters[i].thread, 0);
  }
  return done;
}

static void nothing(int signo) { (void)signo; }

static void watch(int epoll, int fd, uint32_t events) {
  struct epoll_event event = {events, {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) exit(3);
}

static void level(void) {
  int p[2], e = epoll_create1(0);
  struct epoll_event got[3];
  struct waiter w[3];
  if (pipe(p) != 0) exit(4);
  watch(e, p[0], EPOLLIN);
  for (int i = 0; i < 3; i++) begin(&w[i], SYS_epoll_wait, e, (long)&got[i], 1, -1);
  if (write(p[1], "x", 1) != 1) exit(5);
  printf("level-triggered: %d of 3\n", ended(w, 3));
  close(p[0]), close(p[1]), close(e);
}

static void child(void) {
  int go[2], e = epoll_create1(0);
  struct epoll_event got[2];
  struct waiter w[2];
  if (pipe(go) != 0) exit(4);
  pid_t pid = fork();
  if (pid == 0) {
    char c;
    close(go[1]);
    _exit(read(go[0], &c, 1) != 0);
  }
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  watch(e, fd, EPOLLIN);
  for (int i = 0; i < 2; i++) begin(&w[i], SYS_epoll_pwait2, e, (long)&got[i], 1, 0);
  close(go[1]);
  printf("end of a process: %d of 2\n", ended(w, 2));
  waitpid(pid, 0, 0);
  close(go[0]), close(e), close(fd);
}

static struct sockaddr_un name = {AF_UNIX, "\0wake_one"};

static int listener(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&name, sizeof name) != 0 || listen(fd, 8) != 0) exit(6);
  return fd;
}

static int dial(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&name, sizeof name) != 0) exit(7);
  return fd;
}

static void accepting(void) {
  int s = listener(), c[3];
  struct waiter w[3];
  for (int i = 0; i < 3; i++) begin(&w[i], SYS_accept4, s, 0, 0, 0);
  for (int i = 0; i < 3; i++) c[i] = dial();
  printf("accept: %d of 3\n", ended(w, 3));
  for (int i = 0; i < 3; i++) close(c[i]), close((int)w[i].result);

  // The one that was woken may be interrupted: the connection is for somebody.
  for (int i = 0; i < 2; i++) begin(&w[i], SYS_accept4, s, 0, 0, 0);
  c[0] = dial();
  pthread_kill(w[0].thread, SIGUSR1);
  ended(w, 2);
  printf("accept and a signal: %d accepted\n", (w[0].result >= 0) + (w[1].result >= 0));
  close(c[0]), close(s);
}

static void exclusive(void) {
  int fd = eventfd(0, 0), idle = epoll_create1(0), e = epoll_create1(0);
  struct epoll_event got;
  struct waiter w;
  watch(idle, fd, EPOLLIN | EPOLLEXCLUSIVE);
  watch(e, fd, EPOLLIN | EPOLLEXCLUSIVE);
  begin(&w, SYS_epoll_wait, e, (long)&got, 1, -1);
  uint64_t one = 1;
  if (write(fd, &one, 8) != 8) exit(8);
  printf("exclusive, behind an instance that nobody waits for: %d of 1\n", ended(&w, 1));
  close(fd), close(idle), close(e);
}

static void bad_buffer(void) {
  int fd = eventfd(0, 0), e = epoll_create1(0);
  void *none = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct epoll_event got;
  struct waiter w[2];
  watch(e, fd, EPOLLIN);
  begin(&w[0], SYS_epoll_wait, e, (long)none, 1, -1);
  begin(&w[1], SYS_epoll_wait, e, (long)&got, 1, -1);
  uint64_t one = 1;
  if (write(fd, &one, 8) != 8) exit(9);
  int count = ended(w, 2);
  printf("an unwritable buffer: %d of 2, %ld %ld\n", count, w[0].result, w[1].result);
  close(fd), close(e);
}

static void edge(void) {
  int p[2], q[2], e = epoll_create1(0);
  struct epoll_event got[2];
  struct waiter w[2];
  if (pipe(p) != 0 || pipe(q) != 0) exit(4);
  watch(e, p[0], EPOLLIN | EPOLLET);
  watch(e, q[0], EPOLLIN | EPOLLONESHOT);
  for (int i = 0; i < 2; i++) begin(&w[i], SYS_epoll_wait, e, (long)&got[i], 1, -1);
  if (write(p[1], "x", 1) != 1 || write(q[1], "x", 1) != 1) exit(10);
  printf("two edges: %d of 2\n", ended(w, 2));
  close(p[0]), close(p[1]), close(q[0]), close(q[1]), close(e);
}

static void readers(void) {
  int p[2], fd = eventfd(0, EFD_SEMAPHORE);
  static char byte[2];
  static uint64_t value[2];
  struct waiter w[2];
  if (pipe(p) != 0) exit(4);
  for (int i = 0; i < 2; i++) begin(&w[i], SYS_read, p[0], (long)&byte[i], 1, 0);
  if (write(p[1], "ab", 2) != 2) exit(11);
  printf("readers of a pipe: %d of 2\n", ended(w, 2));
  for (int i = 0; i < 2; i++) begin(&w[i], SYS_read, fd, (long)&value[i], 8, 0);
  uint64_t two = 2;
  if (write(fd, &two, 8) != 8) exit(12);
  printf("readers of a semaphore: %d of 2\n", ended(w, 2));
  close(p[0]), close(p[1]), close(fd);
}

static void words(void) {
  static uint32_t word;
  struct waiter w[2];
  for (int i = 0; i < 2; i++) begin(&w[i], SYS_futex, (long)&word, FUTEX_WAIT, 0, 0);
  long woken = 0;
  for (int i = 0; i < 2; i++) woken += syscall(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0);
  printf("futex: %ld woken, %d of 2\n", woken, ended(w, 2));
}

int main(void) {
  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGUSR1, &action, 0);
  level();
  child();
  accepting();
  exclusive();
  bad_buffer();
  edge();
  readers();
  words();
  return 0;
}
