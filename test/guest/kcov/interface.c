// build: static
// The device's interface: path, INIT_TRACE, mmap, ENABLE, DISABLE, other calls.
#include "kcov.h"

static void path(void) {
  struct stat st;
  CHECK(stat(KCOV, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
  CHECK(st.st_uid == 0 && st.st_gid == 0);
  struct statfs fs;
  CHECK(statfs(KCOV, &fs) == 0 && fs.f_type == 0x64626720);
  CHECK(stat("/sys/kernel/debug", &st) == 0 && (st.st_mode & 07777) == 0700);
  pid_t child = fork();
  if (child == 0) _exit(setuid(1000) != 0 || open(KCOV, O_RDWR) != -1 || errno != EACCES);
  int status;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

static void init(void) {
  int fd = open_kcov();
  FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EINVAL);
  FAILS(ioctl(fd, KCOV_ENABLE, TRACE_PC), EINVAL);
  FAILS(ioctl(fd, KCOV_DISABLE, 0), EINVAL);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 0), EINVAL);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 1), EINVAL);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 0x7fffffffUL / 8 + 1), EINVAL);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, -1L), EINVAL);
  CHECK(ioctl(fd, KCOV_INIT_TRACE, 4096) == 0);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 4096), EBUSY);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 1), EBUSY);
  close(fd);
  // The least, and a size that is no number of pages, which mmap can never match.
  fd = open_kcov();
  CHECK(ioctl(fd, KCOV_INIT_TRACE, 2) == 0);
  FAILS(mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EINVAL);
  FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EINVAL);
  close(fd);
}

static void map(void) {
  int fd = open_kcov();
  CHECK(ioctl(fd, KCOV_INIT_TRACE, 1024) == 0);
  FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EINVAL);
  FAILS(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EINVAL);
  FAILS(mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096), EINVAL);
  char *one = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *two = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(one != MAP_FAILED && two != MAP_FAILED);
  one[4096] = 'x';
  CHECK(two[4096] == 'x' && two[0] == 0);
  FAILS(mremap(one, 2 * 4096, 3 * 4096, MREMAP_MAYMOVE), EFAULT);
  FAILS(madvise(one, 4096, MADV_REMOVE), EOPNOTSUPP);
  CHECK(munmap(one, 2 * 4096) == 0 && munmap(two, 2 * 4096) == 0);
  // What was stored is in the area, not in the mapping.
  one = mmap(NULL, 2 * 4096, PROT_READ, MAP_SHARED, fd, 0);
  CHECK(one[4096] == 'x');
  close(fd);
  CHECK(one[4096] == 'x');
  munmap(one, 2 * 4096);
}

static void enable(void) {
  int fd, other;
  Word *area = open_area(&fd, 4096);
  open_area(&other, 4096);
  FAILS(ioctl(fd, KCOV_ENABLE, 2), EINVAL);
  FAILS(ioctl(fd, KCOV_ENABLE, -1L), EINVAL);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  for (int i = 0; i < 10; i++) FAILS(ioctl(fd, KCOV_ENABLE, TRACE_PC), EINVAL);
  // Tracing is no mode in which INIT_TRACE works again.
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 4096), EBUSY);
  FAILS(ioctl(other, KCOV_ENABLE, TRACE_PC), EBUSY);
  FAILS(ioctl(fd, KCOV_DISABLE, 1), EINVAL);
  FAILS(ioctl(other, KCOV_DISABLE, 0), EINVAL);
  getppid();
  CHECK(area[0] > 0);
  for (uint64_t i = 1; i <= area[0] && i < 4096; i++) CHECK(area[i] > 0xffffffff7fffffffUL);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  uint64_t count = area[0];
  getppid();
  CHECK(area[0] == count);
  FAILS(ioctl(fd, KCOV_DISABLE, 0), EINVAL);
  FAILS(ioctl(fd, KCOV_INIT_TRACE, 4096), EBUSY);
  // The mapping is kept: no new one is needed.
  area[0] = 0;
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_CMP) == 0);
  access("/no/such", F_OK);
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  CHECK(area[0] > 0);
  // Nothing covered between.
  CHECK(ioctl(other, KCOV_ENABLE, TRACE_PC) == 0);
  CHECK(ioctl(other, KCOV_DISABLE, 0) == 0);
  close(fd);
  close(other);
}

static void others(void) {
  int fd;
  char byte = 0;
  open_area(&fd, 512);
  FAILS(ioctl(fd, TCGETS, &byte), ENOTTY);
  FAILS(ioctl(fd, _IO('c', 103), 0), ENOTTY);
  FAILS(ioctl(fd, _IOR('c', 1, int), 512), ENOTTY);
  FAILS(read(fd, &byte, 1), EINVAL);
  FAILS(write(fd, &byte, 1), EINVAL);
  FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
  FAILS(pread(fd, &byte, 1, 0), ESPIPE);
  close(fd);
  fd = open(KCOV, O_RDONLY);
  CHECK(fd >= 0 && ioctl(fd, KCOV_INIT_TRACE, 512) == 0);
  FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
  CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
  close(fd);
}

int main(void) {
  path();
  init();
  map();
  enable();
  others();
  return finish();
}
