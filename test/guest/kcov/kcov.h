// kcov's interface and a check that counts failures, for the programs of this folder.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KCOV "/sys/kernel/debug/kcov"
#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE _IO('c', 100)
#define KCOV_DISABLE _IO('c', 101)
#define KCOV_REMOTE_ENABLE _IOW('c', 102, struct kcov_remote_arg)
#define TRACE_PC 0
#define TRACE_CMP 1

struct kcov_remote_arg {
  uint32_t trace_mode;
  uint32_t area_size;
  uint32_t num_handles;
  uint64_t common_handle __attribute__((aligned(8)));
  uint64_t handles[] __attribute__((aligned(8)));
};

typedef volatile uint64_t Word;

static int failures;

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      failures++;                                                     \
      printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
    }                                                                 \
  } while (0)

// The call fails with this error.
#define FAILS(call, error)                                                                 \
  do {                                                                                     \
    errno = 0;                                                                             \
    long result = (long)(call);                                                            \
    if (result != -1 || errno != (error)) {                                                \
      failures++;                                                                          \
      printf("%s:%d: %s: %ld, errno %d\n", __FILE__, __LINE__, #call, result, errno);      \
    }                                                                                      \
  } while (0)

static int open_kcov(void) {
  int fd = open(KCOV, O_RDWR);
  if (fd < 0) {
    perror(KCOV);
    exit(2);
  }
  return fd;
}

static Word *map_area(int fd, size_t words) {
  void *area = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (area == MAP_FAILED) {
    perror("mmap of the area");
    exit(2);
  }
  // Faulted in now, so that the faults are in no trace.
  for (size_t i = 0; i < words; i += 512) ((Word *)area)[i] = ((Word *)area)[i];
  return area;
}

static Word *open_area(int *fd, size_t words) {
  *fd = open_kcov();
  if (ioctl(*fd, KCOV_INIT_TRACE, words) != 0) {
    perror("KCOV_INIT_TRACE");
    exit(2);
  }
  return map_area(*fd, words);
}

static int finish(void) {
  printf(failures == 0 ? "ok\n" : "%d failed\n", failures);
  return failures != 0;
}
