// build: static
// Prints the traces of a few calls, for comparison of one run with another: hexadecimal program counters.
#include "kcov.h"

#define WORDS (1 << 16)

int main(void) {
  int fd;
  Word *area = open_area(&fd, WORDS);
  static uint64_t copy[WORDS];
  static char text[256];
  struct stat st;
  int file = -1;
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  for (int call = 0; call < 8; call++) {
    area[0] = 0;
    switch (call) {
      case 0: syscall(SYS_getppid); break;
      case 1: file = open("/tmp/traced", O_RDWR | O_CREAT, 0600); break;
      case 2: write(file, text, sizeof text); break;
      case 3: pread(file, text, 10, 5); break;
      case 4: fstat(file, &st); break;
      case 5: munmap(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192); break;
      case 6: if (fork() == 0) _exit(0); wait(NULL); break;
      case 7: unlink("/tmp/traced"); break;
    }
    uint64_t count = area[0];
    for (uint64_t i = 0; i < count; i++) copy[i] = area[i + 1];
    ioctl(fd, KCOV_DISABLE, 0);
    printf("call %d\n", call);
    for (uint64_t i = 0; i < count; i++) printf("0x%lx\n", copy[i]);
    fflush(stdout);
    ioctl(fd, KCOV_ENABLE, TRACE_PC);
  }
  return failures != 0;
}
