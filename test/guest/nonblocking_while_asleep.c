// Who asks for O_NONBLOCK while calls sleep: most of them were told how to wait when they began, some look again when
// they are woken. Two threads make the same call and sleep; then what they wait for comes for one of them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ASLEEP -9999

static int fds[2], others[2], file;
static char page[4096] __attribute__((aligned(4096)));
static long (*call)(void);
static atomic_int tids[2];
static atomic_long results[2];
static pthread_t threads[2];

static void *run(void *argument) {
  long i = (long)argument;
  atomic_store(&tids[i], (int)syscall(SYS_gettid));
  long n = call();
  atomic_store(&results[i], n < 0 ? -errno : n);
  return NULL;
}

static int sleeps(int tid) {
  char name[64], text[256] = "";
  snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid);
  int fd = open(name, O_RDONLY);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  char *end = n > 0 ? strrchr(text, ')') : NULL;
  return end != NULL && end[2] == 'S';
}

// Until each thread has ended its call, or sleeps in it.
static void settle(void) {
  for (int i = 0; i < 2; i++)
    for (int seen = 0; seen < 2;) {
      int settled = results[i] != ASLEEP || (tids[i] != 0 && sleeps(tids[i]));
      seen = settled ? seen + 1 : 0;
      usleep(300);
    }
}

static void show(const char *what) {
  long a = results[0], b = results[1];
  printf("  %s:", what);
  for (int i = 0; i < 2; i++) {
    long n = (i == 0) == (a > b) ? a : b;
    if (n == ASLEEP) printf(" asleep");
    else if (n < 0) printf(" %s", strerrorname_np(-n));
    else printf(" %ld", n);
  }
  printf("\n");
}

static void start(const char *name, long (*made)(void)) {
  call = made;
  for (int i = 0; i < 2; i++) {
    tids[i] = 0;
    results[i] = ASLEEP;
  }
  for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, run, (void *)i);
  settle();
  printf("%s\n", name);
}

static void set_nonblocking(int fd, int value) {
  if (fd >= 0) ioctl(fd, FIONBIO, &value);
}

// Serves one of the sleepers, then whoever is left.
static void serve(void (*one)(void)) {
  set_nonblocking(fds[0], 1);
  set_nonblocking(others[1], 1);
  one();
  settle();
  show("one");
  for (int i = 0; i < 2; i++)
    if (results[i] == ASLEEP) {
      one();
      break;
    }
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  show("both");
  for (int i = 0; i < 2; i++) {
    if (fds[i] >= 0) close(fds[i]);
    if (others[i] >= 0) close(others[i]);
    fds[i] = others[i] = -1;
  }
}

static void fill(int fd) {
  set_nonblocking(fd, 1);
  while (write(fd, page, sizeof page) > 0) {
  }
  set_nonblocking(fd, 0);
}

static long read_one(void) { char text[8]; return read(fds[0], text, call == NULL ? 8 : 1); }
static long read_eight(void) { char text[512]; return read(fds[0], text, 8) == 8 ? 8 : -1; }
static long read_event(void) { char text[512]; return read(fds[0], text, sizeof text); }
static long write_number(void) { uint64_t n = 1; return write(fds[0], &n, 8); }
static long receive(void) { char text[8]; return recv(fds[0], text, 8, 0); }
static long receive_message(void) {
  char text[8];
  struct iovec iov = {text, 8};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  return recvmsg(fds[0], &message, 0);
}
static long receive_many(void) {
  char text[8];
  struct iovec iov = {text, 8};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
  return recvmmsg(fds[0], &message, 1, 0, NULL);
}
static long accept_one(void) { return accept(fds[0], NULL, NULL) >= 0 ? 1 : -1; }
static long splice_one(void) { return splice(fds[0], NULL, others[1], NULL, 1, 0); }
static long tee_one(void) { return tee(fds[0], others[1], 1, 0); }
static long give_page(void) { struct iovec iov = {page, sizeof page}; return vmsplice(others[1], &iov, 1, 0); }
static long take_byte(void) { char text; struct iovec iov = {&text, 1}; return vmsplice(fds[0], &iov, 1, 0); }
static long send_file(void) { off_t at = 0; return sendfile(others[1], file, &at, 1); }
static long splice_file(void) { off_t at = 0; return splice(file, &at, others[1], NULL, 1, 0); }

static void send_byte(void) { if (write(fds[1], "x", 1) != 1) perror("write"); }
static void add_one(void) { uint64_t n = 1; if (write(fds[0], &n, 8) != 8) perror("eventfd"); }
static void take_one(void) { uint64_t n; if (read(fds[0], &n, 8) != 8) perror("eventfd"); }
static void expire(void) {
  struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
  timerfd_settime(fds[0], 0, &soon, NULL);
  usleep(3000);
}
static void send_signal(void) { kill(getpid(), SIGUSR1); }
static void make_event(void) { close(open("/tmp", O_RDONLY | O_DIRECTORY)); }
static void take_page(void) { if (read(others[0], page, sizeof page) <= 0) perror("read"); }
static void shut_down(void) { shutdown(fds[0], SHUT_RD); }
static void connect_one(void) {
  struct sockaddr_un name;
  socklen_t length = sizeof name;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  getsockname(fds[0], (struct sockaddr *)&name, &length);
  if (connect(fd, (struct sockaddr *)&name, length) != 0) perror("connect");
  close(fd);
}

static void make_terminal(int master) {
  int pair[2] = {posix_openpt(O_RDWR | O_NOCTTY), -1};
  unlockpt(pair[0]);
  pair[1] = open(ptsname(pair[0]), O_RDWR | O_NOCTTY);
  struct termios raw;
  tcgetattr(pair[1], &raw);
  cfmakeraw(&raw);
  tcsetattr(pair[1], TCSANOW, &raw);
  fds[0] = pair[master ? 0 : 1];
  fds[1] = pair[master ? 1 : 0];
}

static void files(void) {
  fds[0] = eventfd(0, EFD_SEMAPHORE);
  start("eventfd, read", read_eight);
  serve(add_one);
  fds[0] = eventfd(0, EFD_SEMAPHORE);
  uint64_t full = UINT64_MAX - 1;
  if (write(fds[0], &full, 8) != 8) perror("eventfd");
  start("eventfd, write", write_number);
  serve(take_one);
  fds[0] = timerfd_create(CLOCK_MONOTONIC, 0);
  start("timerfd", read_eight);
  serve(expire);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  fds[0] = signalfd(-1, &set, 0);
  start("signalfd", read_event);
  serve(send_signal);
  fds[0] = inotify_init();
  inotify_add_watch(fds[0], "/tmp", IN_OPEN | IN_ONLYDIR);
  start("inotify", read_event);
  serve(make_event);
  make_terminal(1);
  start("master", read_one);
  serve(send_byte);
  make_terminal(0);
  start("slave", read_one);
  serve(send_byte);
  if (pipe(fds) != 0) return;
  start("pipe", read_one);
  serve(send_byte);
}

static void sockets(void) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  static const char *const names[] = {"stream", "datagrams", "packets"};
  static long (*const calls[])(void) = {read_one, receive, receive_message, receive_many};
  for (int type = 0; type < 3; type++)
    for (int i = 0; i < 4; i++)
      for (int end = 0; end < 2; end++) {
        if (socketpair(AF_UNIX, types[type], 0, fds) != 0) return;
        start(names[type], calls[i]);
        serve(end ? shut_down : send_byte);
      }
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
  bind(fds[0], (struct sockaddr *)&name, sizeof(sa_family_t));
  listen(fds[0], 5);
  start("accept", accept_one);
  serve(connect_one);
}

static void from_empty(const char *name, long (*made)(void)) {
  if (pipe(fds) != 0 || pipe(others) != 0) return;
  start(name, made);
  serve(send_byte);
}

static void to_full(const char *name, long (*made)(void)) {
  if (pipe(fds) != 0 || pipe(others) != 0) return;
  if (write(fds[1], "abc", 3) != 3) return;
  fill(others[1]);
  start(name, made);
  serve(take_page);
}

static void moves(void) {
  from_empty("splice from a pipe", splice_one);
  from_empty("vmsplice from a pipe", take_byte);
  to_full("splice to a pipe", splice_one);
  to_full("tee", tee_one);
  to_full("vmsplice to a pipe", give_page);
  to_full("sendfile to a pipe", send_file);
  to_full("splice of a file", splice_file);
}

// Which O_NONBLOCK is heeded where nothing sleeps yet; a call that waits is interrupted.
static void say(const char *what, long n) {
  ualarm(0, 0);
  if (n < 0) printf(" %s %s", what, strerrorname_np(errno));
  else printf(" %s %ld", what, n);
}

#define SAY(what, expression) (ualarm(20000, 20000), say(what, expression))

static void pipe_flags(unsigned flags, int in, int out) {
  struct iovec iov = {page, sizeof page};
  if (pipe(fds) != 0 || pipe(others) != 0) return;
  set_nonblocking(fds[0], in);
  set_nonblocking(others[1], out);
  printf("pipes %u %d %d, empty:", flags, in, out);
  SAY("splice", splice(fds[0], NULL, others[1], NULL, 1, flags));
  SAY("tee", tee(fds[0], others[1], 1, flags));
  SAY("vmsplice", vmsplice(fds[0], &iov, 1, flags));
  if (write(fds[1], "abc", 3) != 3) return;
  fill(others[1]);
  set_nonblocking(others[1], out);
  printf(", full:");
  SAY("splice", splice(fds[0], NULL, others[1], NULL, 1, flags));
  SAY("tee", tee(fds[0], others[1], 1, flags));
  SAY("vmsplice", vmsplice(others[1], &iov, 1, flags));
  SAY("sendfile", send_file());
  off_t at = 0;
  SAY("file", splice(file, &at, others[1], NULL, 1, flags));
  printf("\n");
}

static void socket_flags(int type, unsigned flags, int own, int pipes) {
  off_t at = 0;
  if (socketpair(AF_UNIX, type, 0, fds) != 0 || pipe(others) != 0) return;
  set_nonblocking(fds[0], own);
  set_nonblocking(others[1], pipes);
  printf("sockets %d %u %d %d:", type, flags, own, pipes);
  SAY("from", splice(fds[0], NULL, others[1], NULL, 1, flags));
  if (write(others[1], "abc", 3) != 3) return;
  fill(fds[1]);
  set_nonblocking(fds[1], own);
  set_nonblocking(others[0], pipes);
  SAY("to", splice(others[0], NULL, fds[1], NULL, 1, flags));
  SAY("sendfile", sendfile(fds[1], file, &at, 10));
  shutdown(fds[0], SHUT_RD);
  SAY("shut", splice(fds[0], NULL, others[1], NULL, 1, flags));
  char text[4];
  SAY("receive", recv(fds[0], text, 4, flags ? MSG_DONTWAIT : 0));
  struct iovec iov = {text, 4};
  SAY("read", preadv2(fds[0], &iov, 1, -1, flags ? RWF_NOWAIT : 0));
  printf("\n");
}

static void terminal_flags(unsigned flags, int own, int pipes) {
  if (pipe(others) != 0) return;
  for (int master = 0; master < 2; master++) {
    make_terminal(master);
    set_nonblocking(fds[0], own);
    set_nonblocking(others[1], pipes);
    printf("%s %u %d %d:", master ? "master" : "slave", flags, own, pipes);
    SAY("from", splice(fds[0], NULL, others[1], NULL, 1, flags));
    printf("\n");
    close(fds[0]);
    close(fds[1]);
  }
}

static void on_alarm(int signal) { (void)signal; }

static void flags(void) {
  struct sigaction action = {.sa_handler = on_alarm};
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  sigaction(SIGALRM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < 8; i++) {
    unsigned flag = i & 1 ? SPLICE_F_NONBLOCK : 0;
    pipe_flags(flag, i & 2, i & 4);
    for (int type = 0; type < 3; type++) socket_flags(types[type], flag, i & 2, i & 4);
    terminal_flags(flag, i & 2, i & 4);
  }
}

// A child that the pidfd is not about ends, and its parent looks again.
static int pidfd;
static long wait_for_child(void) { siginfo_t info; return waitid(P_PIDFD, pidfd, &info, WEXITED); }

static void children(void) {
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  pidfd = syscall(SYS_pidfd_open, child, 0);
  start("pidfd", wait_for_child);
  fcntl(pidfd, F_SETFL, O_NONBLOCK);
  pid_t other = fork();
  if (other == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, other, &info, WEXITED | WNOWAIT);
  settle();
  show("another child");
  kill(child, SIGKILL);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  show("both");
}

int main(void) {
  char name[] = "/tmp/nonblocking.XXXXXX";
  file = mkstemp(name);
  unlink(name);
  if (write(file, page, sizeof page) != sizeof page) return 1;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  files();
  sockets();
  moves();
  flags();
  children();
  return 0;
}
