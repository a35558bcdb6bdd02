// What comes first: what a file has to say, or that a buffer cannot be accessed. Every kind of file, every call.
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
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static char *bad;
static char *edge;  // 4 bytes, then nothing

static int read_end, write_end;

static int null_file(void) { return open("/dev/null", O_RDWR); }
static int zero_file(void) { return open("/dev/zero", O_RDWR); }
static int full_file(void) { return open("/dev/full", O_RDWR); }
static int random_file(void) { return open("/dev/urandom", O_RDWR); }
static int empty_file(void) { return memfd_create("empty", 0); }
static int some_file(void) {
  int fd = memfd_create("some", 0);
  if (write(fd, "0123456789", 10) != 10) exit(1);
  lseek(fd, 0, SEEK_SET);
  return fd;
}
static int appended_file(void) {
  int fd = some_file();
  fcntl(fd, F_SETFL, O_APPEND);
  return fd;
}
static int sealed_file(void) {
  int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
  if (write(fd, "0123456789", 10) != 10) exit(1);
  fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
  lseek(fd, 0, SEEK_SET);
  return fd;
}
static int read_only_file(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", some_file());
  return open(path, O_RDONLY);
}
static int directory(void) { return open("/", O_RDONLY | O_DIRECTORY); }
static int path_file(void) { return open("/", O_PATH); }
static void make_pipe(void) {
  int ends[2];
  if (pipe2(ends, O_NONBLOCK) != 0) exit(1);
  read_end = ends[0];
  write_end = ends[1];
}
static int empty_pipe(void) {
  make_pipe();
  return read_end;
}
static int ended_pipe(void) {
  make_pipe();
  close(write_end);
  return read_end;
}
static int filled_pipe(void) {
  make_pipe();
  if (write(write_end, "0123456789", 10) != 10) exit(1);
  return read_end;
}
static int pipe_with_room(void) {
  make_pipe();
  return write_end;
}
static int full_pipe(void) {
  make_pipe();
  static char page[4096];
  while (write(write_end, page, sizeof page) > 0);
  return write_end;
}
static int broken_pipe(void) {
  make_pipe();
  close(read_end);
  return write_end;
}
static int event(void) { return eventfd(0, EFD_NONBLOCK); }
static int counted_event(void) { return eventfd(5, EFD_NONBLOCK); }
static int full_event(void) {
  int fd = eventfd(0, EFD_NONBLOCK);
  unsigned long most = 0xfffffffffffffffe;
  if (write(fd, &most, 8) != 8) exit(1);
  return fd;
}
static int timer(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); }
static int expired_timer(void) {
  int fd = timer();
  struct itimerspec soon = {.it_value = {0, 1}};
  timerfd_settime(fd, 0, &soon, NULL);
  struct pollfd wait = {fd, POLLIN, 0};
  poll(&wait, 1, -1);
  return fd;
}
static int signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return signalfd(-1, &set, SFD_NONBLOCK);
}
static int pending_signals(void) {
  raise(SIGUSR1);
  return signals();
}
static int watches(void) { return inotify_init1(IN_NONBLOCK); }
static int happened(void) {
  int fd = watches();
  inotify_add_watch(fd, ".", IN_CREATE);
  close(open("fault_order.tmp", O_CREAT | O_RDWR, 0600));
  unlink("fault_order.tmp");
  return fd;
}
static int epoll(void) { return epoll_create1(0); }
static int sock(int type, int filled, int ended) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends) != 0) exit(1);
  if (filled && write(ends[1], "0123456789", 10) != 10) exit(1);
  if (ended) close(ends[1]);
  return ends[0];
}
static int stream(void) { return sock(SOCK_STREAM, 0, 0); }
static int filled_stream(void) { return sock(SOCK_STREAM, 1, 0); }
static int ended_stream(void) { return sock(SOCK_STREAM, 0, 1); }
static int datagrams(void) { return sock(SOCK_DGRAM, 0, 0); }
static int filled_datagrams(void) { return sock(SOCK_DGRAM, 1, 0); }
static int packets(void) { return sock(SOCK_SEQPACKET, 0, 0); }
static int filled_packets(void) { return sock(SOCK_SEQPACKET, 1, 0); }
static int ended_packets(void) { return sock(SOCK_SEQPACKET, 0, 1); }
static int unconnected(void) { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0); }
static int unconnected_datagrams(void) { return socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0); }
static int listening(void) {
  int fd = unconnected();
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  if (bind(fd, (struct sockaddr *)&name, 2) != 0 || listen(fd, 1) != 0) exit(1);
  return fd;
}
static int terminal(void) {
  int fd = posix_openpt(O_RDWR | O_NOCTTY);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}
static int closed(void) { return 999; }

static const struct {
  const char *name;
  int (*make)(void);
} kinds[] = {
    {"null", null_file},           {"zero", zero_file},         {"full", full_file},
    {"random", random_file},       {"empty file", empty_file},  {"file", some_file},
    {"append", appended_file},     {"sealed", sealed_file},     {"read-only", read_only_file},
    {"directory", directory},      {"path", path_file},         {"pipe", empty_pipe},
    {"ended pipe", ended_pipe},    {"filled pipe", filled_pipe},
    {"pipe with room", pipe_with_room}, {"full pipe", full_pipe}, {"broken pipe", broken_pipe},
    {"event", event},              {"counted event", counted_event}, {"full event", full_event},
    {"timer", timer},              {"expired timer", expired_timer}, {"signals", signals},
    {"pending signals", pending_signals}, {"watches", watches}, {"happened", happened},
    {"epoll", epoll},              {"stream", stream},          {"filled stream", filled_stream},
    {"ended stream", ended_stream}, {"datagrams", datagrams},   {"filled datagrams", filled_datagrams},
    {"packets", packets},          {"filled packets", filled_packets}, {"ended packets", ended_packets},
    {"unconnected", unconnected},  {"unconnected datagrams", unconnected_datagrams},
    {"listening", listening},      {"terminal", terminal},      {"closed", closed},
};

static long do_read(int fd, void *at, size_t n) { return read(fd, at, n); }
static long do_write(int fd, void *at, size_t n) { return write(fd, at, n); }
static long do_pread(int fd, void *at, size_t n) { return pread(fd, at, n, 2); }
static long do_pwrite(int fd, void *at, size_t n) { return pwrite(fd, at, n, 2); }
static long do_readv(int fd, void *at, size_t n) {
  struct iovec one = {at, n};
  return readv(fd, &one, 1);
}
static long do_writev(int fd, void *at, size_t n) {
  struct iovec one = {at, n};
  return writev(fd, &one, 1);
}
static long do_readv_at(int fd, void *at, size_t n) { return readv(fd, at, n ? 1 : 0); }
static long do_writev_at(int fd, void *at, size_t n) { return writev(fd, at, n ? 1 : 0); }
static long do_recv(int fd, void *at, size_t n) { return recv(fd, at, n, 0); }
static long do_peek(int fd, void *at, size_t n) { return recv(fd, at, n, MSG_PEEK); }
static long do_send(int fd, void *at, size_t n) { return send(fd, at, n, MSG_NOSIGNAL); }
static long do_sendto(int fd, void *at, size_t n) { return sendto(fd, "x", 1, MSG_NOSIGNAL, at, n); }
static long do_recvmsg(int fd, void *at, size_t n) { return recvmsg(fd, at, n ? MSG_PEEK : 0); }
static long do_sendmsg(int fd, void *at, size_t n) { return sendmsg(fd, at, n ? MSG_NOSIGNAL : 0); }
static long do_recvmsg_to(int fd, void *at, size_t n) {
  struct iovec one = {at, n};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  return recvmsg(fd, &message, 0);
}
static long do_sendmsg_from(int fd, void *at, size_t n) {
  struct iovec one = {at, n};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}
static long do_sendfile(int fd, void *at, size_t n) { return sendfile(fd, fd, at, n); }
static long do_getsockname(int fd, void *at, size_t n) { return getsockname(fd, (struct sockaddr *)edge, at) + 0 * n; }
static long do_getpeername(int fd, void *at, size_t n) {
  socklen_t length = n;
  return getpeername(fd, at, &length);
}
static long do_accept(int fd, void *at, size_t n) {
  socklen_t length = n;
  return accept(fd, at, &length);
}
static long do_bind(int fd, void *at, size_t n) { return bind(fd, at, n); }
static long do_connect(int fd, void *at, size_t n) { return connect(fd, at, n); }
static long do_epoll_ctl(int fd, void *at, size_t n) { return epoll_ctl(fd, EPOLL_CTL_ADD, n == 0 ? fd : 0, at); }
static long do_epoll_wait(int fd, void *at, size_t n) { return epoll_wait(fd, at, n, 0); }
static long do_settime(int fd, void *at, size_t n) { return timerfd_settime(fd, n == 0 ? 99 : 0, at, NULL); }
static long do_gettime(int fd, void *at, size_t n) { return timerfd_gettime(fd, at) + 0 * n; }
static long do_watch(int fd, void *at, size_t n) { return inotify_add_watch(fd, at, n == 0 ? 0 : IN_OPEN); }
static long do_getsockopt(int fd, void *at, size_t n) { return getsockopt(fd, SOL_SOCKET, SO_TYPE, edge, at) + 0 * n; }
static long do_setsockopt(int fd, void *at, size_t n) { return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, at, n); }

static const struct {
  const char *name;
  long (*call)(int fd, void *at, size_t n);
} calls[] = {
    {"read", do_read},         {"write", do_write},         {"pread", do_pread},     {"pwrite", do_pwrite},
    {"readv", do_readv},       {"writev", do_writev},       {"readv at", do_readv_at}, {"writev at", do_writev_at},
    {"recv", do_recv},         {"peek", do_peek},           {"send", do_send},       {"sendto", do_sendto},
    {"recvmsg", do_recvmsg},   {"sendmsg", do_sendmsg},     {"recvmsg to", do_recvmsg_to},
    {"sendmsg from", do_sendmsg_from}, {"sendfile", do_sendfile},
    {"getsockname", do_getsockname}, {"getpeername", do_getpeername}, {"accept", do_accept},
    {"bind", do_bind},         {"connect", do_connect},     {"epoll_ctl", do_epoll_ctl},
    {"epoll_wait", do_epoll_wait}, {"settime", do_settime}, {"gettime", do_gettime}, {"watch", do_watch},
    {"getsockopt", do_getsockopt}, {"setsockopt", do_setsockopt},
};

static const char *what(long result) {
  static char text[32];
  if (result < 0) return strerrorname_np(errno);
  snprintf(text, sizeof text, "%ld", result);
  return text;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(pages + 4096, 4096, PROT_NONE);
  edge = pages + 4096 - 4;
  bad = pages + 4096;
  if (chdir("/tmp") != 0) return 1;
  static const size_t lengths[] = {0, 3, 8, 4096};
  for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    printf("%s\n", kinds[k].name);
    for (unsigned c = 0; c < sizeof calls / sizeof *calls; c++) {
      printf("  %s:", calls[c].name);
      for (unsigned place = 0; place < 3; place++)
        for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
          void *at = place == 0 ? bad : place == 1 ? edge : (void *)-4096L;
          memset(pages, 0, 4096);
          int fd = kinds[k].make();
          printf(" %s", what(calls[c].call(fd, at, lengths[i])));
          // What is left tells, too; an echo comes when it comes.
          char left[64];
          if (kinds[k].make != terminal) printf("/%s", what(read(fd, left, sizeof left)));
          for (int open_fd = 3; open_fd < 16; open_fd++) close(open_fd);
          struct timespec none = {0, 0};
          sigtimedwait(&set, NULL, &none);
        }
      printf("\n");
    }
  }
  return 0;
}
