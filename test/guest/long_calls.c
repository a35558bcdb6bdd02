// Calls that go on for a long time: killed in the middle, ended by a signal, beside others.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT 1024
#define BYTES (1 << 20)

static struct iovec vector[COUNT];
static volatile sig_atomic_t caught;

static void handler(int signo) { caught = signo; }

static void read_zeros(void) { if (readv(open("/dev/zero", O_RDONLY), vector, COUNT) < 0) _exit(1); }
static void read_random(void) { if (readv(open("/dev/urandom", O_RDONLY), vector, COUNT) < 0) _exit(1); }
static void write_null(void) { if (writev(open("/dev/null", O_WRONLY), vector, COUNT) < 0) _exit(1); }
static void send_zeros(void) {
  if (sendfile(open("/dev/null", O_WRONLY), open("/dev/zero", O_RDONLY), NULL, 1UL << 30) < 0) _exit(1);
}
static void send_hole(void) {
  int fd = memfd_create("hole", 0);
  if (ftruncate(fd, 1L << 31) != 0 || sendfile(open("/dev/null", O_WRONLY), fd, NULL, 1L << 31) < 0) _exit(1);
}
static void read_hole(void) {
  int fd = memfd_create("hole", 0);
  if (ftruncate(fd, 1L << 31) != 0 || readv(fd, vector, COUNT) < 0) _exit(1);
}
static void type_much(void) {
  int fd = posix_openpt(O_RDWR | O_NOCTTY);
  if (writev(fd, vector, COUNT) < 0) _exit(1);
}

static const struct {
  const char *name;
  void (*run)(void);
} jobs[] = {
    {"zeros", read_zeros}, {"random", read_random}, {"null", write_null},    {"send zeros", send_zeros},
    {"hole", send_hole},   {"read", read_hole},     {"terminal", type_much},
};

/** A process that does nothing but such calls can be killed at any moment. */
static void killed(const char *name, void (*run)(void)) {
  int ready[2];
  if (pipe(ready) != 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    if (write(ready[1], "x", 1) != 1) _exit(2);
    for (;;) run();
  }
  char byte;
  if (read(ready[0], &byte, 1) != 1) exit(1);
  usleep(20000);
  kill(child, SIGKILL);
  int status;
  waitpid(child, &status, 0);
  printf("%s: killed by %d\n", name, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  close(ready[0]);
  close(ready[1]);
}

/** A timer's signal ends the call with what it has done, or the call behind it finds the signal. */
static void interrupted(void) {
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {.it_value = {0, 20000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  int zero = open("/dev/zero", O_RDONLY);
  ssize_t n;
  while (!caught) n = readv(zero, vector, COUNT);
  printf("caught %d: %s\n", caught, n > 0 || errno == EINTR ? "as it should" : strerror(errno));
}

int main(void) {
  char *buffer = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < COUNT; i++) vector[i] = (struct iovec){buffer, BYTES};
  setvbuf(stdout, NULL, _IONBF, 0);
  for (unsigned i = 0; i < sizeof jobs / sizeof *jobs; i++) killed(jobs[i].name, jobs[i].run);
  interrupted();
  return 0;
}
