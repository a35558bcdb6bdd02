// Takes one thing without end: greedy WHAT. Says what stopped it, unless that kills it.
// build: static
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int stopped(const char *what) {
  int error = errno;
  char line[64];
  int n = snprintf(line, sizeof line, "%s: %s\n", what, strerrorname_np(error));
  return write(1, line, n) < 0;
}

static int tasks(void) {
  for (;;) {
    pid_t child = fork();
    if (child < 0) {
      stopped("fork");
      kill(-getpgrp(), SIGKILL);
    }
    if (child == 0) pause();
  }
}

static void *sleeper(void *argument) {
  for (;;) pause();
}

static int threads(void) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 16384);
  for (pthread_t thread;;)
    if ((errno = pthread_create(&thread, &attr, sleeper, NULL))) return stopped("thread");
}

static int map(int touch) {
  for (;;) {
    char *p = touch ? mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    : mmap(NULL, 1UL << 34, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return stopped("mmap");
    if (touch) memset(p, 1, 1 << 20);
  }
}

static int pages(void) {
  // Every other page of its own kind: as many areas as there are pages.
  for (char *p = mmap(NULL, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);; p += 8192)
    if (mprotect(p, 4096, PROT_READ)) return stopped("mprotect");
}

static int breaks(void) {
  for (;;) {
    char *p = sbrk(1 << 20);
    if (p == (void *)-1) return stopped("brk");
    memset(p, 1, 1 << 20);
  }
}

static int file(const char *name) {
  static char block[65536];
  int fd = open(name, O_WRONLY | O_CREAT, 0666);
  if (fd < 0) return stopped("open");
  memset(block, 7, sizeof block);
  while (write(fd, block, sizeof block) > 0) continue;
  return stopped("write") + unlink(name);
}

static int names(void) {
  char name[32];
  if (mkdir("/tmp/names", 0777) || chdir("/tmp/names")) return stopped("names");
  for (int i = 0; i < 1000000; i++) {
    sprintf(name, "%d", i);
    int fd = open(name, O_CREAT | O_WRONLY, 0666);
    if (fd < 0) return stopped("create");
    close(fd);
  }
  puts("a million names");
  return 0;
}

static int directories(void) {
  for (int i = 0; i < 200000; i++)
    if (mkdir("d", 0777) || chdir("d")) return stopped("mkdir");
  puts("deep");
  return 0;
}

static int links(void) {
  char target[4000], name[32];
  memset(target, 'x', sizeof target);
  target[sizeof target - 1] = 0;
  if (mkdir("/tmp/links", 0777) || chdir("/tmp/links")) return stopped("links");
  for (int i = 0; i < 1000000; i++) {
    sprintf(name, "%d", i);
    if (symlink(target, name)) return stopped("symlink");
  }
  return 1;
}

static int attributes(void) {
  static char value[3000];
  char name[32];
  if (mkdir("/tmp/names", 0777) || chdir("/tmp/names")) return stopped("names");
  for (int i = 0; i < 1000000; i++) {
    sprintf(name, "%d", i);
    int fd = open(name, O_CREAT | O_WRONLY, 0666);
    if (fd < 0) return stopped("attributes");
    close(fd);
    for (int j = 0; j < 20; j++) {
      char key[32];
      sprintf(key, "user.%d", j);
      if (setxattr(name, key, value, sizeof value, 0)) return stopped("attributes");
    }
  }
  return 1;
}

static int messages(void) {
  static struct {
    long type;
    char text[8192];
  } message = {1};
  for (;;) {
    int queue = msgget(IPC_PRIVATE, 0600);
    if (queue < 0) return stopped("msgget");
    while (!msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT)) continue;
    if (errno != EAGAIN) return stopped("msgsnd");
  }
}

static int semaphores(void) {
  for (;;)
    if (semget(IPC_PRIVATE, 2000, 0600) < 0) return stopped("semget");
}

static int remove_ipc(void) {
  struct msginfo info;
  for (int i = msgctl(0, MSG_INFO, (struct msqid_ds *)&info); i >= 0; i--) {
    struct msqid_ds queue;
    int id = msgctl(i, MSG_STAT, &queue);
    if (id >= 0) msgctl(id, IPC_RMID, NULL);
  }
  union {
    struct seminfo *info;
    struct semid_ds *set;
  } argument = {(struct seminfo[1]){}};
  for (int i = semctl(0, 0, SEM_INFO, argument); i >= 0; i--) {
    argument.set = (struct semid_ds[1]){};
    int id = semctl(i, 0, SEM_STAT, argument);
    if (id >= 0) semctl(id, 0, IPC_RMID);
  }
  return 0;
}

static int descriptors(int how) {
  struct rlimit limit = {1 << 19, 1 << 19};
  if (setrlimit(RLIMIT_NOFILE, &limit)) return stopped("setrlimit");
  for (int pair[2];;) {
    int fd = how == 0   ? open("/dev/null", O_RDONLY)
             : how == 1 ? pipe(pair)
             : how == 2 ? eventfd(0, 0)
             : how == 3 ? epoll_create1(0)
             : how == 4 ? timerfd_create(CLOCK_MONOTONIC, 0)
                        : syscall(SYS_memfd_create, "m", 0);
    if (fd < 0) return stopped("descriptor");
  }
}

static int pipes(void) {
  static char block[65536];
  int pair[2];
  struct rlimit limit = {1 << 19, 1 << 19};
  setrlimit(RLIMIT_NOFILE, &limit);
  for (;;) {
    if (pipe2(pair, O_NONBLOCK)) return stopped("pipe");
    fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
    while (write(pair[1], block, sizeof block) > 0) continue;
    if (errno != EAGAIN) return stopped("write");
  }
}

static int signals(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  for (union sigval v = {0};;)
    if (sigqueue(getpid(), SIGRTMIN, v)) return stopped("sigqueue");
}

static int nest(void) {
  int below = eventfd(1, 0);
  for (;;) {
    int fd = epoll_create1(0);
    if (fd < 0) return stopped("epoll_create");
    struct epoll_event event = {EPOLLIN};
    if (epoll_ctl(fd, EPOLL_CTL_ADD, below, &event)) return stopped("epoll_ctl");
    below = fd;
  }
}

static int timers(void) {
  struct itimerspec soon = {{0, 1000}, {0, 1000}};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  signal(SIGUSR1, SIG_IGN);
  for (timer_t t;;)
    if (timer_create(CLOCK_MONOTONIC, &event, &t) || timer_settime(t, 0, &soon, NULL)) return stopped("timer");
}

static int recurse(volatile int depth) {
  volatile char frame[4096];
  frame[depth & 4095] = 1;
  return recurse(depth + 1) + frame[0];
}

static int shm(void) {
  for (;;) {
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return stopped("mmap");
    memset(p, 1, 1 << 20);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!strcmp(what, "fork")) return tasks();
  if (!strcmp(what, "thread")) return threads();
  if (!strcmp(what, "map")) return map(0);
  if (!strcmp(what, "touch")) return map(1);
  if (!strcmp(what, "areas")) return pages();
  if (!strcmp(what, "brk")) return breaks();
  if (!strcmp(what, "shared")) return shm();
  if (!strcmp(what, "overlay")) return file("/filler");
  if (!strcmp(what, "tmpfs")) return file("/tmp/filler");
  if (!strcmp(what, "names")) return names();
  if (!strcmp(what, "directories")) return chdir("/tmp") || directories();
  if (!strcmp(what, "links")) return links();
  if (!strcmp(what, "attributes")) return attributes();
  if (!strcmp(what, "messages")) return messages();
  if (!strcmp(what, "semaphores")) return semaphores();
  if (!strcmp(what, "remove-ipc")) return remove_ipc();
  if (!strcmp(what, "files")) return descriptors(0);
  if (!strcmp(what, "pipe-pairs")) return descriptors(1);
  if (!strcmp(what, "eventfds")) return descriptors(2);
  if (!strcmp(what, "epolls")) return descriptors(3);
  if (!strcmp(what, "timerfds")) return descriptors(4);
  if (!strcmp(what, "memfds")) return descriptors(5);
  if (!strcmp(what, "pipe-bytes")) return pipes();
  if (!strcmp(what, "signals")) return signals();
  if (!strcmp(what, "nest")) return nest();
  if (!strcmp(what, "timers")) return timers();
  if (!strcmp(what, "stack")) return recurse(0);
  return 2;
}
