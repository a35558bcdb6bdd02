/*
 * What system calls cost, measured by the guest itself: one line a case, "name nanoseconds". Each case runs in
 * batches of about a millisecond; the quickest batch counts, since others use the machine as well.
 *
 *     syscalls [case...]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static int zero, null, file, pipe_fds[2], ping[2], pong[2];
static char byte;
static char page[4096];
static const char *self;

static void null_call(void) { syscall(SYS_getppid); }
static void read_zero(void) { must(read(zero, &byte, 1) == 1, "read"); }
static void write_null(void) { must(write(null, &byte, 1) == 1, "write"); }
static void read_file(void) { must(pread(file, &byte, 1, 0) == 1, "pread"); }
static void write_file(void) { must(pwrite(file, &byte, 1, 0) == 1, "pwrite"); }
static void read_page(void) { must(pread(file, page, 4096, 0) == 4096, "pread"); }
static void write_page(void) { must(pwrite(file, page, 4096, 0) == 4096, "pwrite"); }
static void through_pipe(void) {
  must(write(pipe_fds[1], &byte, 1) == 1, "write");
  must(read(pipe_fds[0], &byte, 1) == 1, "read");
}
static void open_close(void) {
  int fd = openat(AT_FDCWD, "/tmp/bench/file", O_RDONLY);
  must(fd >= 0, "openat");
  close(fd);
}
static void stat_path(void) {
  struct stat st;
  must(stat("/tmp/bench/file", &st) == 0, "stat");
}
static void fstat_file(void) {
  struct stat st;
  must(fstat(file, &st) == 0, "fstat");
}
static void map_touch(void) {
  char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(p != MAP_FAILED, "mmap");
  *p = 1;
  munmap(p, 4096);
}
static void clock_call(void) {
  struct timespec t;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
}
static void fork_wait(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  must(pid > 0 && waitpid(pid, 0, 0) == pid, "fork");
}
static void exec_wait(void) {
  pid_t pid = vfork();
  if (pid == 0) {
    execl(self, self, "exit", (char *)0);
    _exit(1);
  }
  int status = -1;
  must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "exec");
}
static void *nothing(void *argument) { return argument; }
static void thread_join(void) {
  pthread_t thread;
  must(pthread_create(&thread, 0, nothing, 0) == 0, "pthread_create");
  pthread_join(thread, 0);
}

/* The other process of the pipe ping-pong sends back what it gets, until the pipe ends. */
static void start_echo(void) {
  must(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
  pid_t pid = fork();
  must(pid >= 0, "fork");
  if (pid > 0) return;
  close(ping[1]);
  while (read(ping[0], &byte, 1) == 1)
    if (write(pong[1], &byte, 1) != 1) break;
  _exit(0);
}
static void ping_pong(void) {
  must(write(ping[1], &byte, 1) == 1, "write");
  must(read(pong[0], &byte, 1) == 1, "read");
}

static int turn;
static void futex_wait(int value) {
  while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) == value)
    syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}
static void futex_pass(int value) {
  __atomic_store_n(&turn, value, __ATOMIC_RELEASE);
  syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}
static void *futex_echo(void *unused) {
  (void)unused;
  for (;;) {
    futex_wait(0);
    futex_pass(0);
  }
  return 0;
}
static void start_futex(void) {
  pthread_t thread;
  must(pthread_create(&thread, 0, futex_echo, 0) == 0, "pthread_create");
}
static void futex_ping_pong(void) {
  futex_pass(1);
  futex_wait(1);
}

static const struct bench {
  const char *name;
  void (*run)(void);
  void (*start)(void);
} CASES[] = {
    {"getppid", null_call, 0},
    {"clock_gettime", clock_call, 0},
    {"read 1 B of /dev/zero", read_zero, 0},
    {"write 1 B to /dev/null", write_null, 0},
    {"pread 1 B, tmpfs", read_file, 0},
    {"pwrite 1 B, tmpfs", write_file, 0},
    {"pread 4 KiB, tmpfs", read_page, 0},
    {"pwrite 4 KiB, tmpfs", write_page, 0},
    {"write and read 1 B, pipe", through_pipe, 0},
    {"openat and close", open_close, 0},
    {"stat", stat_path, 0},
    {"fstat", fstat_file, 0},
    {"mmap, touch, munmap", map_touch, 0},
    {"fork, exit, wait", fork_wait, 0},
    {"vfork, exec, exit, wait", exec_wait, 0},
    {"thread create and join", thread_join, 0},
    {"pipe ping-pong, processes", ping_pong, start_echo},
    {"futex ping-pong, threads", futex_ping_pong, start_futex},
};

static void measure(const struct bench *bench) {
  if (bench->start) bench->start();
  double best = 1e18, start = now_ns(), spent = 0;
  long rounds = 1;
  while (spent < 700e6) {
    double before = now_ns();
    for (long i = 0; i < rounds; i++) bench->run();
    double took = now_ns() - before;
    if (took / rounds < best) best = took / rounds;
    if (took < 1e6) rounds *= 2;
    spent = now_ns() - start;
  }
  printf("%s\t%.1f\n", bench->name, best);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "exit") == 0) return 0;
  self = argv[0];
  zero = open("/dev/zero", O_RDONLY);
  null = open("/dev/null", O_WRONLY);
  mkdir("/tmp/bench", 0755);
  file = open("/tmp/bench/file", O_RDWR | O_CREAT | O_TRUNC, 0644);
  must(zero >= 0 && null >= 0 && file >= 0, "open");
  must(write(file, page, sizeof page) == sizeof page, "write");
  must(pipe(pipe_fds) == 0, "pipe");
  for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    int wanted = argc == 1;
    for (int a = 1; a < argc; a++)
      if (strstr(CASES[i].name, argv[a])) wanted = 1;
    if (wanted) measure(&CASES[i]);
  }
  unlink("/tmp/bench/file");
  rmdir("/tmp/bench");
  exit(0);
}
