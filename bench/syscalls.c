/*
 * What system calls cost, measured by the program itself. A line a case: its name, a tab, and nanoseconds a call of
 * every sample.
 *
 *     syscalls MILLISECONDS [case...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static const char *self;
static int zero, null, file, event, epoll, pipe_fds[2];
static char folder[64], path[80];
static char byte, page[4096];

static void get_parent(void) { syscall(SYS_getppid); }
static void clock_call(void) {
  struct timespec t;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
}
static void clock_function(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
}

static void read_zero(void) { must(read(zero, &byte, 1) == 1, "read"); }
static void read_zero_page(void) { must(read(zero, page, 4096) == 4096, "read"); }
static void write_null(void) { must(write(null, &byte, 1) == 1, "write"); }
static void write_null_page(void) { must(write(null, page, 4096) == 4096, "write"); }
static void read_file(void) { must(pread(file, &byte, 1, 0) == 1, "pread"); }
static void write_file(void) { must(pwrite(file, &byte, 1, 0) == 1, "pwrite"); }
static void read_file_page(void) { must(pread(file, page, 4096, 0) == 4096, "pread"); }
static void write_file_page(void) { must(pwrite(file, page, 4096, 0) == 4096, "pwrite"); }
static void through_pipe(void) {
  must(write(pipe_fds[1], &byte, 1) == 1, "write");
  must(read(pipe_fds[0], &byte, 1) == 1, "read");
}
static void through_pipe_page(void) {
  must(write(pipe_fds[1], page, 4096) == 4096, "write");
  must(read(pipe_fds[0], page, 4096) == 4096, "read");
}

static void open_close(void) {
  int fd = openat(AT_FDCWD, path, O_RDONLY);
  must(fd >= 0, "openat");
  close(fd);
}
static void stat_path(void) {
  struct stat st;
  must(stat(path, &st) == 0, "stat");
}
static void stat_open(void) {
  struct stat st;
  must(fstat(file, &st) == 0, "fstat");
}
static void map_touch(void) {
  char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(p != MAP_FAILED, "mmap");
  *p = 1;
  munmap(p, 4096);
}

static int word;
static void futex_wake(void) { must(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0) == 0, "futex"); }
static void through_eventfd(void) {
  must(eventfd_write(event, 1) == 0, "write");
  eventfd_t value;
  must(eventfd_read(event, &value) == 0, "read");
}
static void make_ready(void) {
  struct epoll_event wanted = {.events = EPOLLIN};
  must(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0 || errno == EEXIST, "epoll_ctl");
  must(eventfd_write(event, 1) == 0, "write");
}
static void wait_ready(void) {
  struct epoll_event got;
  must(epoll_wait(epoll, &got, 1, -1) == 1, "epoll_wait");
}
static void make_unready(void) {
  eventfd_t value;
  must(eventfd_read(event, &value) == 0, "read");
}

static volatile int handled;
static void handle(int signal) { handled = signal; }
static void signal_self(void) {
  struct sigaction action = {.sa_handler = handle};
  must(sigaction(SIGUSR1, &action, 0) == 0, "sigaction");
  handled = 0;
  must(kill(getpid(), SIGUSR1) == 0 && handled == SIGUSR1, "kill");
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

/* The other process of a ping-pong sends back what it gets, until it is killed. */
static pid_t other;
static void end_other(void) {
  kill(other, SIGKILL);
  waitpid(other, 0, 0);
}

static int ping[2], pong[2];
static void start_echo(void) {
  must(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
  other = fork();
  must(other >= 0, "fork");
  while (other == 0)
    if (read(ping[0], &byte, 1) != 1 || write(pong[1], &byte, 1) != 1) _exit(1);
}
static void pipe_ping_pong(void) {
  must(write(ping[1], &byte, 1) == 1, "write");
  must(read(pong[0], &byte, 1) == 1, "read");
}

static int *turn;
static void futex_await(int value) {
  while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != value)
    syscall(SYS_futex, turn, FUTEX_WAIT, !value, 0, 0, 0);
}
static void futex_pass(int value) {
  __atomic_store_n(turn, value, __ATOMIC_RELEASE);
  syscall(SYS_futex, turn, FUTEX_WAKE, 1, 0, 0, 0);
}
static void start_futex(void) {
  turn = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(turn != MAP_FAILED, "mmap");
  other = fork();
  must(other >= 0, "fork");
  while (other == 0) {
    futex_await(1);
    futex_pass(0);
  }
}
static void futex_ping_pong(void) {
  futex_pass(1);
  futex_await(0);
}

/* The same with both processes on one CPU: on several the time is that of waking an idle one, on many hosts. */
static cpu_set_t every_cpu;
static void stay_on_one_cpu(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  must(sched_getaffinity(0, sizeof every_cpu, &every_cpu) == 0, "sched_getaffinity");
  CPU_SET(sched_getcpu(), &one);
  must(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity");
}
static void start_echo_on_one_cpu(void) {
  stay_on_one_cpu();
  start_echo();
}
static void start_futex_on_one_cpu(void) {
  stay_on_one_cpu();
  start_futex();
}
static void end_other_on_one_cpu(void) {
  end_other();
  must(sched_setaffinity(0, sizeof every_cpu, &every_cpu) == 0, "sched_setaffinity");
}

static const struct bench {
  const char *name;
  void (*run)(void);
  void (*start)(void), (*end)(void);
} CASES[] = {
    {"getppid", get_parent, 0, 0},
    {"clock_gettime, system call", clock_call, 0, 0},
    {"clock_gettime, libc", clock_function, 0, 0},
    {"read 1 B, /dev/zero", read_zero, 0, 0},
    {"read 4 KiB, /dev/zero", read_zero_page, 0, 0},
    {"write 1 B, /dev/null", write_null, 0, 0},
    {"write 4 KiB, /dev/null", write_null_page, 0, 0},
    {"pread 1 B, tmpfs", read_file, 0, 0},
    {"pread 4 KiB, tmpfs", read_file_page, 0, 0},
    {"pwrite 1 B, tmpfs", write_file, 0, 0},
    {"pwrite 4 KiB, tmpfs", write_file_page, 0, 0},
    {"write and read 1 B, pipe", through_pipe, 0, 0},
    {"write and read 4 KiB, pipe", through_pipe_page, 0, 0},
    {"openat and close", open_close, 0, 0},
    {"stat", stat_path, 0, 0},
    {"fstat", stat_open, 0, 0},
    {"mmap, touch, munmap", map_touch, 0, 0},
    {"futex wake", futex_wake, 0, 0},
    {"write and read, eventfd", through_eventfd, 0, 0},
    {"epoll_wait, ready", wait_ready, make_ready, make_unready},
    {"sigaction, kill, handler", signal_self, 0, 0},
    {"fork, exit, wait", fork_wait, 0, 0},
    {"vfork, exec, exit, wait", exec_wait, 0, 0},
    {"thread create and join", thread_join, 0, 0},
    {"pipe ping-pong, processes", pipe_ping_pong, start_echo, end_other},
    {"futex ping-pong, processes", futex_ping_pong, start_futex, end_other},
    {"pipe ping-pong, one CPU", pipe_ping_pong, start_echo_on_one_cpu, end_other_on_one_cpu},
    {"futex ping-pong, one CPU", futex_ping_pong, start_futex_on_one_cpu, end_other_on_one_cpu},
};

#define SAMPLES 50
/* A sample is the quickest of so many batches: other work on the machine interrupts some of them. */
#define BATCHES 10

/* Nothing is kept of the first fifth of the time, in which code may still be translated and caches are cold. */
static void measure(const struct bench *bench, double time) {
  if (bench->start) bench->start();
  double samples[SAMPLES], best = 1e18, start = now_ns(), batch = time / SAMPLES / BATCHES;
  long calls = 1;
  int count = 0, batches = 0;
  while (count < SAMPLES && (count < 3 || now_ns() - start < time)) {
    double before = now_ns();
    for (long i = 0; i < calls; i++) bench->run();
    double after = now_ns();
    if (after - before < batch / 2) {
      calls *= 2;
      continue;
    }
    if (after - start < time / 5) continue;
    if ((after - before) / calls < best) best = (after - before) / calls;
    // Few samples of few batches where a call takes longer than a batch.
    if (++batches < BATCHES && after - start < time) continue;
    samples[count++] = best;
    best = 1e18;
    batches = 0;
  }
  if (bench->end) bench->end();
  printf("%s\t", bench->name);
  for (int i = 0; i < count; i++) printf("%.1f ", samples[i]);
  printf("\n");
  fflush(stdout);
}

/* A folder on tmpfs, which both kernels have in one of two places; else one of the current folder. */
static void make_folder(void) {
  const char *places[] = {"/dev/shm", "/tmp"};
  const char *place = ".";
  for (int i = 1; i >= 0; i--) {
    struct statfs fs;
    if (statfs(places[i], &fs) == 0 && fs.f_type == TMPFS_MAGIC && access(places[i], W_OK) == 0) place = places[i];
  }
  snprintf(folder, sizeof folder, "%s/tvisor-bench-%d", place, getpid());
  snprintf(path, sizeof path, "%s/file", folder);
  must(mkdir(folder, 0700) == 0, "mkdir");
}

static void clean_up(void) {
  unlink(path);
  rmdir(folder);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "exit") == 0) return 0;
  double time = argc > 1 ? atof(argv[1]) * 1e6 : 0;
  if (time <= 0) {
    fprintf(stderr, "usage: %s milliseconds-per-case [case...]\n", argv[0]);
    return 2;
  }
  self = argv[0];
  zero = open("/dev/zero", O_RDONLY);
  null = open("/dev/null", O_WRONLY);
  event = eventfd(0, 0);
  epoll = epoll_create1(0);
  make_folder();
  file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  must(zero >= 0 && null >= 0 && event >= 0 && epoll >= 0 && file >= 0, "open");
  must(write(file, page, sizeof page) == sizeof page, "write");
  must(pipe(pipe_fds) == 0, "pipe");
  for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    int wanted = argc == 2;
    for (int a = 2; a < argc; a++)
      if (strstr(CASES[i].name, argv[a])) wanted = 1;
    if (wanted) measure(&CASES[i], time);
  }
  clean_up();
  return 0;
}
