// What calls on descriptors answer for each kind of file: which error of several, and in which order they are found.
// Runs without rights, on a tmpfs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FIGETBSZ _IO(0, 2)
#define FIOQSIZE 0x5460
#define NOBODY 65534

static const char *kind;
static char buffer[65537];
static void *volatile nowhere = (void *)8;

static void tell(const char *what, long argument, long result) {
  if (result < 0) printf("%s %s %lx: errno %d\n", kind, what, argument, errno);
  else printf("%s %s %lx: %ld\n", kind, what, argument, result);
}
#define T(what, argument, call) tell(what, (long)(argument), (errno = 0, (long)(call)))

static int pipe_end(int which) {
  int ends[2];
  if (pipe(ends) < 0) abort();
  if (which == 0) {
    if (write(ends[1], "abc", 3) != 3) abort();
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  } else close(ends[0]);
  return ends[which];
}

static int socket_end(int type) {
  int ends[2];
  return socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends) < 0 ? -1 : ends[0];
}

static int signal_file(void) {
  sigset_t set;
  sigemptyset(&set);
  return signalfd(-1, &set, SFD_NONBLOCK);
}

static int memory_file(void) {
  int fd = memfd_create("x", MFD_ALLOW_SEALING);
  if (write(fd, "hello", 5) != 5) abort();
  return fd;
}

static int make(int number) {
  switch (number) {
    case 0: kind = "read-only"; return open("file", O_RDONLY);
    case 1: kind = "write-only"; return open("file", O_WRONLY);
    case 2: kind = "read-write"; return open("file", O_RDWR);
    case 3: kind = "append"; return open("file", O_RDWR | O_APPEND);
    case 4: kind = "directory"; return open("directory", O_RDONLY);
    case 5: kind = "path"; return open("file", O_PATH);
    case 6: kind = "path of directory"; return open("directory", O_PATH);
    case 7: kind = "fifo"; return open("fifo", O_RDWR | O_NONBLOCK);
    case 8: kind = "pipe"; return pipe_end(0);
    case 9: kind = "broken pipe"; return pipe_end(1);
    case 10: kind = "eventfd"; return eventfd(1, EFD_NONBLOCK);
    case 11: kind = "epoll"; return epoll_create1(0);
    case 12: kind = "timerfd"; return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    case 13: kind = "signalfd"; return signal_file();
    case 14: kind = "inotify"; return inotify_init1(IN_NONBLOCK);
    case 15: kind = "memfd"; return memory_file();
    case 16: kind = "stream"; return socket_end(SOCK_STREAM);
    case 17: kind = "datagrams"; return socket_end(SOCK_DGRAM);
    case 18: kind = "null"; return open("/dev/null", O_RDWR);
    case 19: kind = "zero"; return open("/dev/zero", O_RDWR);
    case 20: kind = "full"; return open("/dev/full", O_RDWR);
    default: return -1;
  }
}

static void waiting(int fd) {
  struct pollfd pollfd = {fd, -1, 0};
  struct timeval none = {0, 0};
  fd_set sets[3];
  for (int i = 0; i < 3; i++) {
    FD_ZERO(&sets[i]);
    FD_SET(fd, &sets[i]);
  }
  T("poll", 0, poll(&pollfd, 1, 0));
  T("revents", 0, pollfd.revents);
  T("poll of none", 1, poll((void *)-4096L, 0, 0));
  T("select", 0, select(fd + 1, &sets[0], &sets[1], &sets[2], &none));
  T("sets", 0, FD_ISSET(fd, &sets[0]) * 4 + FD_ISSET(fd, &sets[1]) * 2 + FD_ISSET(fd, &sets[2]));
  struct epoll_event event = {EPOLLIN, {0}};
  int epoll = epoll_create1(0);
  for (int op = 0; op < 5; op++) T("epoll_ctl", op, epoll_ctl(epoll, op, fd, &event));
  event.events |= EPOLLEXCLUSIVE;
  T("epoll_ctl exclusive", 0, epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
  T("epoll_ctl itself", 0, epoll_ctl(fd, EPOLL_CTL_ADD, fd, &event));
  T("epoll_wait", 0, epoll_wait(fd, &event, 1, 0));
  close(epoll);
}

static void flags(int fd) {
  static const int wanted[] = {0, O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME, O_SYNC, O_RDWR, -1};
  int old = fcntl(fd, F_GETFL);
  for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    T("F_SETFL", wanted[i], fcntl(fd, F_SETFL, wanted[i]));
    T("F_GETFL", wanted[i], fcntl(fd, F_GETFL));
    fcntl(fd, F_SETFL, old);
  }
  static const long commands[] = {FIONREAD, FIOQSIZE, FIGETBSZ, FIONBIO, FIOASYNC, TIOCGWINSZ};
  for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
    long value = 0;
    T("ioctl", commands[i], ioctl(fd, commands[i], &value));
    T("value", commands[i], value);
    T("ioctl nowhere", commands[i], ioctl(fd, commands[i], 8));
  }
  struct flock lock = {.l_type = 7, .l_len = 1};
  T("F_SETLK", 7, fcntl(fd, F_SETLK, &lock));
  lock.l_type = F_UNLCK;
  T("F_OFD_GETLK", F_UNLCK, fcntl(fd, F_OFD_GETLK, &lock));
  T("flock", 32, flock(fd, 32 | LOCK_SH));
}

static void storage(int fd) {
  T("sync_file_range", 0, sync_file_range(fd, 0, 0, 0));
  T("sync_file_range", -1, sync_file_range(fd, 0, -1, 7));
  T("sync_file_range flags", 8, sync_file_range(fd, 0, 0, 8));
  for (int mode = -1; mode < 0x81; mode = mode < 8 ? mode + 1 : mode * 2) {
    T("fallocate", mode, fallocate(fd, mode, 0, 4096));
    T("fallocate", mode | 1, fallocate(fd, mode | 1, 0, 4096));
  }
  T("fallocate", -1, fallocate(fd, 0, -1, 1));
  T("ftruncate", 5, ftruncate(fd, 5));
  for (int whence = 0; whence < 6; whence++) T("lseek", whence, lseek(fd, 0, whence));
  T("getdents", 0, syscall(SYS_getdents64, fd, buffer, 0));
  T("read nowhere", 0, read(fd, (void *)-4096L, 0));
  T("write nowhere", 0, write(fd, (void *)-4096L, 0));
  T("readv nowhere", 0, readv(fd, nowhere, 1));
  struct iovec iov = {buffer, 2};
  for (int flag = 1; flag < 0x80; flag *= 2) {
    T("preadv2", flag, preadv2(fd, &iov, 1, 0, flag));
    T("pwritev2", flag, pwritev2(fd, &iov, 1, 0, flag));
  }
  T("pwritev2", 0x30, pwritev2(fd, &iov, 1, 0, 0x30));
  for (int protection = 0; protection < 8; protection++)
    for (int type = 0; type < 3; type++) {
      void *at = mmap(NULL, 4096, protection, type, fd, 0);
      T("mmap", type << 4 | protection, at == MAP_FAILED ? -1 : 0);
      if (at != MAP_FAILED) munmap(at, 4096);
    }
}

static void attributes(int fd) {
  struct timespec times[2] = {{1, 2}, {3, 4}};
  struct stat status;
  struct statfs statfs;
  // Devices belong to others, who would notice.
  if (fstat(fd, &status) == 0 && status.st_uid == geteuid()) T("fchmod", 0, fchmod(fd, 0640));
  T("fchown", 1, fchown(fd, 1, 1));
  T("fchown", -1, status.st_uid == geteuid() ? fchown(fd, -1, -1) : 0);
  T("futimens", 0, futimens(fd, times));
  T("utimensat", 1, syscall(SYS_utimensat, fd, NULL, times, AT_SYMLINK_NOFOLLOW));
  T("fstat", 0, fstat(fd, &status));
  T("mode", 0, status.st_mode);
  T("size", 0, status.st_size);
  T("uid", 0, status.st_uid);
  T("fstatfs", 0, fstatfs(fd, &statfs));
  T("faccessat2", R_OK, syscall(439, fd, "", R_OK, AT_EMPTY_PATH));
  T("readlinkat", 0, readlinkat(fd, "", buffer, 10));
  static const char *const names[] = {
    "user.a", "user.", "trusted.a", "security.a", "security.", "security.capability", "system.a", "a", "",
    "system.posix_acl_access", "system.posix_acl_default", "system.sockprotoname",
  };
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    T("fgetxattr", i, fgetxattr(fd, names[i], buffer, 100));
    for (int flag = 0; flag < 5; flag++) T("fsetxattr", i << 4 | flag, fsetxattr(fd, names[i], "v", 1, flag));
    T("fsetxattr nowhere", i, fsetxattr(fd, names[i], nowhere, 10, 0));
    T("fsetxattr long", i, fsetxattr(fd, names[i], buffer, 65537, 0));
    if (status.st_uid == geteuid()) T("fsetxattr empty", i, fsetxattr(fd, names[i], NULL, 0, 0));
    T("fgetxattr", i, fgetxattr(fd, names[i], NULL, 0));
    T("flistxattr", i, flistxattr(fd, NULL, 0));
    T("fremovexattr", i, fremovexattr(fd, names[i]));
  }
}

static void moving(int fd) {
  int other = open("other", O_RDWR | O_CREAT, 0600);
  int full[2], empty[2];
  if (pipe2(full, O_NONBLOCK) < 0 || pipe2(empty, O_NONBLOCK) < 0 || write(full[1], "xyz", 3) != 3) abort();
  struct iovec iov = {buffer, 1};
  for (off_t at = -1; at < 1; at++)
    for (int count = 0; count < 2; count++) {
      off_t offset = at, second = at;
      T("copy_file_range", at * 2 + count, copy_file_range(fd, &offset, other, NULL, count, 0));
      T("copy_file_range to", at * 2 + count, copy_file_range(other, NULL, fd, &second, count, 0));
      T("copy_file_range itself", count, copy_file_range(fd, NULL, fd, NULL, count, 0));
      T("sendfile", at * 2 + count, sendfile(empty[1], fd, &offset, count));
      T("sendfile to file", count, sendfile(other, fd, NULL, count));
      T("sendfile to", count, sendfile(fd, other, NULL, count));
      T("splice", at * 2 + count, splice(fd, &offset, empty[1], NULL, count, SPLICE_F_NONBLOCK));
      T("splice to", at * 2 + count, splice(full[0], NULL, fd, &second, count, SPLICE_F_NONBLOCK));
      T("splice both", count, splice(fd, NULL, other, NULL, count, SPLICE_F_NONBLOCK));
      T("tee", count, tee(fd, empty[1], count, SPLICE_F_NONBLOCK));
      T("vmsplice", count, vmsplice(fd, &iov, count, SPLICE_F_NONBLOCK));
    }
  const int files[] = {other, full[0], full[1], empty[0], empty[1]};
  for (int i = 0; i < 5; i++) close(files[i]);
}

static void in_directory(const char *name) {
  int file = open("file", O_CREAT | O_RDWR, 0666);
  if (file < 0 || write(file, "hello", 5) != 5 || mkdir("directory", 0777) < 0 || mkfifo("fifo", 0666) < 0) {
    perror(name);
    exit(1);
  }
  close(file);
  for (int i = 0;; i++) {
    int fd = make(i);
    if (fd < 0) break;
    void (*const parts[])(int) = {waiting, flags, storage, attributes, moving};
    for (unsigned k = 0; k < sizeof parts / sizeof *parts; k++) parts[k](fd);
    close(fd);
  }
  unlink("file"), unlink("other"), unlink("fifo"), rmdir("directory");
}

int main(void) {
  char name[] = "/dev/shm/file_kinds_XXXXXX";
  signal(SIGPIPE, SIG_IGN);
  signal(SIGIO, SIG_IGN);
  umask(0);
  if (mkdtemp(name) == NULL || chmod(name, 0777) < 0 || chdir(name) < 0) {
    perror(name);
    return 1;
  }
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)) return 1;
    in_directory(name);
    return 0;
  }
  int status = 1;
  waitpid(child, &status, 0);
  return rmdir(name) < 0 || status != 0;
}
