// build: static
// What is stored in the area: order and repeats, reset, a full area, a hostile word 0.
#include "kcov.h"

#define WORDS 4096
static uint64_t first[WORDS], second[WORDS];

// The trace of one getppid.
static uint64_t trace(Word *area, uint64_t *copy) {
  area[0] = 0;
  syscall(SYS_getppid);
  uint64_t count = area[0];
  for (uint64_t i = 0; i < count && i < WORDS - 1; i++) copy[i] = area[i + 1];
  return count;
}

static void order(Word *area) {
  trace(area, first);
  uint64_t count = trace(area, first);
  CHECK(count > 0 && count < WORDS / 4);
  CHECK(trace(area, second) == count);
  CHECK(memcmp(first, second, count * 8) == 0);
  // Repeats are kept: three calls are three times the same words.
  area[0] = 0;
  for (int i = 0; i < 3; i++) syscall(SYS_getppid);
  CHECK(area[0] == 3 * count);
  for (uint64_t i = 0; i < 3 * count; i++) CHECK(area[1 + i] == first[i % count]);
  // What interrupts the task is not its doing: the ends of its slices, among so many calls, add nothing.
  for (int i = 0; i < 20000; i++)
    if (trace(area, second) != count) failures++;
  CHECK(failures == 0);
  // A word 0 that is not 0 is where it goes on.
  area[0] = 100;
  syscall(SYS_getppid);
  CHECK(area[0] == 100 + count);
  for (uint64_t i = 0; i < count; i++) CHECK(area[101 + i] == first[i]);
}

static void full(int fd) {
  // Between pages that nobody may touch, and with a neighbour whose frames came next.
  char *place = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Word *small = mmap(place + 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  CHECK(small == (Word *)(place + 4096));
  Word *neighbour = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset((void *)neighbour, 0x5a, 64 * 4096);
  small[0] = 0;
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  for (int i = 0; i < 1000; i++) syscall(SYS_getppid);
  CHECK(small[0] == 511);
  uint64_t last = small[511];
  CHECK(last > 0xffffffff7fffffffUL);
  syscall(SYS_getppid);
  CHECK(small[0] == 511 && small[511] == last);
  static const uint64_t hostile[] = {
      511, 512, 513, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x100000000, 0x100000001, 0x7fffffffffffffff,
      0x8000000000000000, 0xfffffffffffffffe, 0x1fffffffffffffff, 0x2000000000000000,
  };
  for (int mode = TRACE_PC; mode <= TRACE_CMP; mode++) {
    CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
    for (unsigned i = 0; i < sizeof hostile / sizeof *hostile; i++) {
      for (int j = 1; j < 512; j++) small[j] = 7;
      small[0] = hostile[i];
      CHECK(ioctl(fd, KCOV_ENABLE, mode) == 0);
      access("/no/such/file", F_OK);
      CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
      CHECK(small[0] == hostile[i]);
      for (int j = 1; j < 512; j++) CHECK(small[j] == 7);
    }
    CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  }
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  for (int i = 0; i < 64 * 512; i++) CHECK(neighbour[i] == 0x5a5a5a5a5a5a5a5aUL);
}

// A record of four words for each comparison: type, operands, program counter.
static void comparisons(int fd, Word *area) {
  area[0] = 0;
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_CMP) == 0);
  area[0] = 0;
  syscall(SYS_fcntl, fd, 0x12345678, 0);
  uint64_t count = area[0];
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  CHECK(count > 0 && 4 * count < WORDS);
  int found = 0;
  for (uint64_t i = 0; i < count; i++) {
    Word *record = area + 1 + 4 * i;
    CHECK((record[0] & ~7UL) == 0);
    CHECK(record[3] > 0xffffffff7fffffffUL);
    if (record[1] == 0x12345678 || record[2] == 0x12345678) found++;
    // A constant comes first, and 32-bit operands have no high half.
    if ((record[0] >> 1) == 2) CHECK(record[1] >> 32 == 0 && record[2] >> 32 == 0);
    if (record[2] == 0x12345678) CHECK(record[0] & 1);
  }
  CHECK(found > 0);
}

int main(void) {
  int fd, small;
  Word *area = open_area(&fd, WORDS);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  order(area);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  small = open_kcov();
  CHECK(ioctl(small, KCOV_INIT_TRACE, 512) == 0);
  full(small);
  comparisons(fd, area);
  return finish();
}
