// Arguments in memory are read once, when a call begins: another thread overwrites them while the call sleeps.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MANY 700

struct waitv { uint64_t val, uaddr; uint32_t flags, reserved; };
struct how { uint64_t flags, mode, resolve; };

// All arguments, so that one memset spoils them.
static struct {
  struct iovec iov[2];
  struct msghdr header;
  struct { struct msghdr header; unsigned length; } mmsg[1];
  struct sockaddr_un name;
  char control[64];
  struct sembuf sops[2];
  struct { long type; char text[64]; } message;
  struct flock lock;
  struct pollfd fds[MANY];
  fd_set in, out;
  struct timespec time;
  uint64_t mask[1];
  struct { void *mask; size_t size; } pair;
  uint64_t number;
  loff_t offset;
  struct waitv waiters[2];
  struct how how;
  char path[64];
  char text[64];
} a;

// What arguments point to, which nobody spoils.
static char one[64], two[64], other[64];
static uint32_t words[2];
static char directory[] = "/tmp/args_once.XXXXXX";

static int x, y, z;             // descriptors of the case
static long number, p[6];       // the call
static volatile int tid;
static int failures, handled;

static void check(int good, const char *name, const char *what) {
  if (good) return;
  printf("%s: %s\n", name, what);
  failures++;
}

static void *caller(void *result) {
  tid = (int)syscall(SYS_gettid);
  long value = syscall(number, p[0], p[1], p[2], p[3], p[4], p[5]);
  *(long *)result = value < 0 ? -errno : value;
  return 0;
}

static char state_of(int id) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
  int fd = open(path, O_RDONLY);
  long n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return '?';
  text[n] = 0;
  char *end = strrchr(text, ')');
  return end == 0 ? '?' : end[2];
}

static void pause_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, 0);
}

static pthread_t thread;
static long result;

// Begins the call in another thread, and returns when it sleeps.
static void begin(const char *name, long call, long p0, long p1, long p2, long p3, long p4, long p5) {
  number = call;
  long values[6] = {p0, p1, p2, p3, p4, p5};
  memcpy(p, values, sizeof p);
  tid = 0;
  result = -1000;
  pthread_create(&thread, 0, caller, &result);
  for (int asleep = 0, tries = 0; asleep < 3; tries++) {
    pause_ms(1);
    asleep = tid != 0 && state_of(tid) == 'S' ? asleep + 1 : 0;
    if (tries == 10000) {
      printf("%s does not sleep: %ld\n", name, result);
      exit(1);
    }
  }
}

static void spoil(void) {
  memset(&a, 0xee, sizeof a);
}

static long end(const char *name) {
  pthread_join(thread, 0);
  printf("%s: %ld\n", name, result);
  return result;
}

static void new_pipe(void) {
  int fds[2];
  if (pipe(fds) != 0) exit(2);
  x = fds[0];
  y = fds[1];
}

static void full_pipe(void) {
  new_pipe();
  fcntl(y, F_SETFL, O_NONBLOCK);
  char page[4096] = {0};
  while (write(y, page, sizeof page) > 0) {}
  fcntl(y, F_SETFL, 0);
}

static void drain_pipe(void) {
  char page[4096];
  for (int i = 0; i < 16; i++)
    if (read(x, page, sizeof page) != sizeof page) exit(3);
}

static void pair(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type, 0, fds) != 0) exit(4);
  x = fds[0];
  y = fds[1];
}

static void done(void) {
  close(x);
  close(y);
  memset(&a, 0, sizeof a);
  memset(one, 0, sizeof one);
  memset(two, 0, sizeof two);
}

static void set_vector(void) {
  a.iov[0] = (struct iovec){one, 5};
  a.iov[1] = (struct iovec){two, 5};
}

static void readers(void) {
  static const struct { const char *name; long call, offset; } calls[] = {
    {"readv", SYS_readv, 0}, {"preadv2", SYS_preadv2, -1},
  };
  for (int i = 0; i < 2; i++) {
    new_pipe();
    set_vector();
    begin(calls[i].name, calls[i].call, x, (long)a.iov, 2, calls[i].offset, calls[i].offset, 0);
    spoil();
    if (write(y, "helloworld", 10) != 10) exit(5);
    check(end(calls[i].name) == 10 && memcmp(one, "hello", 5) == 0 && memcmp(two, "world", 5) == 0, calls[i].name, "bytes");
    done();
  }
}

static void writers(void) {
  static const struct { const char *name; long call, offset; } calls[] = {
    {"writev", SYS_writev, 0}, {"pwritev2", SYS_pwritev2, -1}, {"vmsplice", SYS_vmsplice, 0},
  };
  for (int i = 0; i < 3; i++) {
    full_pipe();
    strcpy(one, "helloworld");
    strcpy(two, "world");
    set_vector();
    // Each buffer of vmsplice takes a place of the pipe, and it gives as many as there are places when it wakes up.
    int count = calls[i].call == SYS_vmsplice ? 1 : 2;
    if (count == 1) a.iov[0].iov_len = 10;
    begin(calls[i].name, calls[i].call, y, (long)a.iov, count, calls[i].offset, calls[i].offset, 0);
    spoil();
    drain_pipe();
    check(end(calls[i].name) == 10, calls[i].name, "result");
    char text[16] = "";
    check(read(x, text, 10) == 10 && memcmp(text, "helloworld", 10) == 0, calls[i].name, "bytes");
    done();
  }
}

static void set_header(struct msghdr *header) {
  set_vector();
  header->msg_iov = a.iov;
  header->msg_iovlen = 2;
}

static void receivers(void) {
  pair(SOCK_STREAM);
  set_header(&a.header);
  begin("recvmsg", SYS_recvmsg, x, (long)&a.header, 0, 0, 0, 0);
  spoil();
  send(y, "helloworld", 10, 0);
  check(end("recvmsg") == 10 && memcmp(one, "hello", 5) == 0 && memcmp(two, "world", 5) == 0, "recvmsg", "bytes");
  check(a.header.msg_flags == 0 && a.header.msg_controllen == 0, "recvmsg", "header");
  done();

  pair(SOCK_STREAM);
  set_header(&a.header);
  begin("recvmsg all", SYS_recvmsg, x, (long)&a.header, MSG_WAITALL, 0, 0, 0);
  send(y, "hel", 3, 0);
  spoil();
  send(y, "loworld", 7, 0);
  check(end("recvmsg all") == 10 && memcmp(two, "world", 5) == 0, "recvmsg all", "bytes");
  done();

  pair(SOCK_SEQPACKET);
  set_header(&a.mmsg[0].header);
  a.time.tv_sec = 100;
  begin("recvmmsg", SYS_recvmmsg, x, (long)a.mmsg, 1, 0, (long)&a.time, 0);
  spoil();
  send(y, "helloworld", 10, 0);
  check(end("recvmmsg") == 1 && a.mmsg[0].length == 10 && memcmp(two, "world", 5) == 0, "recvmmsg", "bytes");
  done();
}

// Fills what goes out of y.
static long fill_socket(void) {
  char page[1024] = {0};
  long sent = 0;
  for (long n; (n = send(y, page, sizeof page, MSG_DONTWAIT)) > 0;) sent += n;
  return sent;
}

static void senders(void) {
  static const struct { const char *name; long call; } calls[] = {{"sendmsg", SYS_sendmsg}, {"sendmmsg", SYS_sendmmsg}};
  for (int i = 0; i < 2; i++) {
    pair(SOCK_STREAM);
    long before = fill_socket();
    int carried[2];
    if (pipe(carried) != 0) exit(6);
    strcpy(one, "hello");
    strcpy(two, "world");
    struct msghdr *header = i == 0 ? &a.header : &a.mmsg[0].header;
    set_header(header);
    header->msg_control = a.control;
    header->msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *c = (struct cmsghdr *)a.control;
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &carried[1], sizeof(int));
    begin(calls[i].name, calls[i].call, y, (long)header, i, 0, 0, 0);
    spoil();
    close(carried[1]);
    long got = 0;
    int fd = -1;
    char last[16] = "";
    while (got < before + 10) {
      char page[1024], control[64];
      struct iovec v = {page, sizeof page};
      struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
      long n = recvmsg(x, &h, 0);
      if (n <= 0) exit(7);
      if (CMSG_FIRSTHDR(&h) != 0) memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof fd);
      if (fd >= 0 && n >= 10) memcpy(last, page + n - 10, 10);
      got += n;
    }
    check(end(calls[i].name) == (i == 0 ? 10 : 1), calls[i].name, "result");
    check(strcmp(last, "helloworld") == 0, calls[i].name, "bytes");
    char text[8] = "";
    check(write(fd, "via", 3) == 3 && read(carried[0], text, 3) == 3 && strcmp(text, "via") == 0, calls[i].name, "descriptor");
    close(fd);
    close(carried[0]);
    done();
  }
}

static void set_name(const char *leaf) {
  a.name.sun_family = AF_UNIX;
  snprintf(a.name.sun_path, sizeof a.name.sun_path, "%s/%s", directory, leaf);
}

static void datagrams(void) {
  static const char *names[] = {"sendto", "sendmsg of a datagram", "write of a datagram", "writev of a datagram"};
  for (int i = 0; i < 4; i++) {
    x = socket(AF_UNIX, SOCK_DGRAM, 0);
    y = socket(AF_UNIX, SOCK_DGRAM, 0);
    set_name(names[i]);
    bind(x, (struct sockaddr *)&a.name, sizeof a.name);
    if (i >= 2 && connect(y, (struct sockaddr *)&a.name, sizeof a.name) != 0) exit(8);
    int count = 0;
    while (sendto(y, "x", 1, MSG_DONTWAIT, i >= 2 ? 0 : (struct sockaddr *)&a.name, i >= 2 ? 0 : sizeof a.name) == 1) count++;
    strcpy(a.text, "datagram");
    a.iov[0] = (struct iovec){a.text, 8};
    a.header = (struct msghdr){.msg_name = &a.name, .msg_namelen = sizeof a.name, .msg_iov = a.iov, .msg_iovlen = 1};
    if (i == 0) begin(names[i], SYS_sendto, y, (long)a.text, 8, 0, (long)&a.name, sizeof a.name);
    if (i == 1) begin(names[i], SYS_sendmsg, y, (long)&a.header, 0, 0, 0, 0);
    if (i == 2) begin(names[i], SYS_write, y, (long)a.text, 8, 0, 0, 0);
    if (i == 3) begin(names[i], SYS_writev, y, (long)a.iov, 1, 0, 0, 0);
    spoil();
    char text[64];
    while (count-- > 0)
      if (recv(x, text, sizeof text, 0) != 1) exit(9);
    check(end(names[i]) == 8, names[i], "result");
    check(recv(x, text, sizeof text, 0) == 8 && memcmp(text, "datagram", 8) == 0, names[i], "bytes");
    done();
  }
}

static void connecting(void) {
  int clients[16], count = 0;
  x = socket(AF_UNIX, SOCK_STREAM, 0);
  set_name("listener");
  bind(x, (struct sockaddr *)&a.name, sizeof a.name);
  listen(x, 1);
  for (;; count++) {
    clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(clients[count], (struct sockaddr *)&a.name, sizeof a.name) != 0) break;
  }
  y = socket(AF_UNIX, SOCK_STREAM, 0);
  begin("connect", SYS_connect, y, (long)&a.name, sizeof a.name, 0, 0, 0);
  spoil();
  for (int i = 0; i <= count; i++) close(accept(x, 0, 0));
  end("connect");
  for (int i = 0; i <= count; i++) close(clients[i]);
  done();
}

static void counters(void) {
  uint64_t value = 0xfffffffffffffffeull;
  x = eventfd(0, 0);
  y = -1;
  if (write(x, &value, 8) != 8) exit(10);
  a.number = 7;
  begin("write of a number", SYS_write, x, (long)&a.number, 8, 0, 0, 0);
  spoil();
  if (read(x, &value, 8) != 8) exit(11);
  end("write of a number");
  if (read(x, &value, 8) != 8) exit(12);
  printf("the number: %ld\n", (long)value);
  done();

  // Whether the call may sleep is decided when it begins, too.
  x = eventfd(0, EFD_SEMAPHORE);
  value = 0xfffffffffffffffeull;
  if (write(x, &value, 8) != 8) exit(19);
  a.number = 3;
  begin("write before O_NONBLOCK", SYS_write, x, (long)&a.number, 8, 0, 0, 0);
  fcntl(x, F_SETFL, O_NONBLOCK);
  for (int i = 0; i < 3; i++) {
    if (read(x, &value, 8) != 8) exit(20);
    pause_ms(5);
  }
  end("write before O_NONBLOCK");
  done();
}

static int new_file(const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/file", directory);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (pwrite(fd, text, strlen(text), 0) != (long)strlen(text)) exit(13);
  return fd;
}

static void offsets(void) {
  new_pipe();
  z = new_file("0123456789");
  a.offset = 3;
  begin("splice", SYS_splice, x, 0, z, (long)&a.offset, 4, 0);
  spoil();
  if (write(y, "abcd", 4) != 4) exit(14);
  check(end("splice") == 4 && a.offset == 7, "splice", "offset");
  char text[16] = "";
  check(pread(z, text, 10, 0) == 10 && strcmp(text, "012abcd789") == 0, "splice", "bytes");
  close(z);
  done();

  full_pipe();
  z = new_file("0123456789");
  a.offset = 3;
  begin("sendfile", SYS_sendfile, y, z, (long)&a.offset, 4, 0, 0);
  spoil();
  drain_pipe();
  check(end("sendfile") == 4 && a.offset == 7, "sendfile", "offset");
  check(read(x, text, 4) == 4 && memcmp(text, "3456", 4) == 0, "sendfile", "bytes");
  close(z);
  done();
}

static void semaphores(void) {
  x = y = -1;
  for (int i = 0; i < 2; i++) {
    const char *name = i == 0 ? "semop" : "semtimedop";
    int id = semget(IPC_PRIVATE, 2, 0600);
    a.sops[0] = (struct sembuf){1, 3, 0};
    a.sops[1] = (struct sembuf){0, -2, 0};
    a.time.tv_sec = 100;
    begin(name, i == 0 ? SYS_semop : SYS_semtimedop, id, (long)a.sops, 2, (long)&a.time, 0, 0);
    spoil();
    semctl(id, 0, SETVAL, 5);
    end(name);
    printf("semaphores: %d %d\n", semctl(id, 0, GETVAL), semctl(id, 1, GETVAL));
    semctl(id, 0, IPC_RMID);
    done();
  }
}

static void messages(void) {
  x = y = -1;
  int id = msgget(IPC_PRIVATE, 0600);
  struct msqid_ds ds;
  msgctl(id, IPC_STAT, &ds);
  ds.msg_qbytes = 16;
  msgctl(id, IPC_SET, &ds);
  a.message.type = 1;
  msgsnd(id, &a.message, 16, 0);
  a.message.type = 7;
  strcpy(a.message.text, "message");
  begin("msgsnd", SYS_msgsnd, id, (long)&a.message, 8, 0, 0, 0);
  spoil();
  struct { long type; char text[64]; } got;
  msgrcv(id, &got, 64, 0, 0);
  end("msgsnd");
  long n = msgrcv(id, &got, 64, 0, 0);
  printf("the message: %ld %ld %s\n", n, got.type, got.text);
  msgctl(id, IPC_RMID, 0);
  done();
}

static void locks(void) {
  static const struct { const char *name; long command; } calls[] = {{"F_SETLKW", F_SETLKW}, {"F_OFD_SETLKW", F_OFD_SETLKW}};
  for (int i = 0; i < 2; i++) {
    char path[128];
    x = new_file("0123456789");
    snprintf(path, sizeof path, "%s/file", directory);
    y = open(path, O_RDWR);
    struct flock held = {.l_type = F_WRLCK, .l_start = 0, .l_len = 10};
    fcntl(y, F_OFD_SETLK, &held);
    lseek(x, 4, SEEK_SET);
    a.lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 1, .l_len = 2};
    begin(calls[i].name, SYS_fcntl, x, calls[i].command, (long)&a.lock, 0, 0, 0);
    lseek(x, 0, SEEK_SET);
    spoil();
    held.l_type = F_UNLCK;
    fcntl(y, F_OFD_SETLK, &held);
    end(calls[i].name);
    struct flock seen = {.l_type = F_WRLCK, .l_start = 0, .l_len = 0};
    fcntl(y, F_OFD_GETLK, &seen);
    printf("the lock: %d from %ld, %ld bytes\n", seen.l_type, (long)seen.l_start, (long)seen.l_len);
    done();
  }
}

static void handler(int signo) {
  (void)signo;
  handled++;
}

static void polls(void) {
  static const struct { const char *name; long call; int count; } calls[] = {
    {"poll", SYS_poll, 2}, {"poll of many", SYS_poll, MANY}, {"ppoll", SYS_ppoll, 2},
  };
  for (int i = 0; i < 3; i++) {
    new_pipe();
    int count = calls[i].count;
    for (int k = 0; k < count - 1; k++) a.fds[k] = (struct pollfd){k % 2 == 0 ? y : -1, POLLPRI, 0};
    a.fds[count - 1] = (struct pollfd){x, POLLIN, 0};
    a.time.tv_sec = 100;
    a.mask[0] = 1ul << (SIGUSR1 - 1);
    if (calls[i].call == SYS_poll) begin(calls[i].name, SYS_poll, (long)a.fds, count, -1, 0, 0, 0);
    else begin(calls[i].name, SYS_ppoll, (long)a.fds, count, (long)&a.time, (long)a.mask, 8, 0);
    memset(&a, 0, sizeof a);
    for (int k = 0; k < count; k++) a.fds[k] = (struct pollfd){77, 0x55, 0x11};
    // Blocked by the mask that the call began with: it sleeps on.
    if (calls[i].call == SYS_ppoll) pthread_kill(thread, SIGUSR1);
    if (write(y, "x", 1) != 1) exit(15);
    end(calls[i].name);
    struct pollfd *last = &a.fds[count - 1];
    printf("first %d %x %x, last %d %x %x\n", a.fds[0].fd, a.fds[0].events, a.fds[0].revents, last->fd, last->events, last->revents);
    done();
  }
}

static void selects(void) {
  for (int i = 0; i < 2; i++) {
    const char *name = i == 0 ? "select" : "pselect6";
    new_pipe();
    FD_SET(x, &a.in);
    a.time.tv_sec = 100;
    a.mask[0] = 1ul << (SIGUSR1 - 1);
    a.pair.mask = a.mask;
    a.pair.size = 8;
    begin(name, i == 0 ? SYS_select : SYS_pselect6, y + 1, (long)&a.in, 0, (long)&a.out, (long)&a.time, (long)&a.pair);
    spoil();
    if (i == 1) pthread_kill(thread, SIGUSR1);
    if (write(y, "x", 1) != 1) exit(16);
    check(end(name) == 1 && FD_ISSET(x, &a.in) && !FD_ISSET(y, &a.in) && !FD_ISSET(x, &a.out), name, "sets");
    done();
  }
}

static void epolls(void) {
  for (int i = 0; i < 2; i++) {
    const char *name = i == 0 ? "epoll_pwait" : "epoll_pwait2";
    new_pipe();
    z = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u32 = 5}}, got = {0};
    epoll_ctl(z, EPOLL_CTL_ADD, x, &event);
    a.time.tv_sec = 100;
    a.mask[0] = 1ul << (SIGUSR1 - 1);
    begin(name, i == 0 ? SYS_epoll_pwait : SYS_epoll_pwait2, z, (long)&got, 1, i == 0 ? 100000 : (long)&a.time, (long)a.mask, 8);
    spoil();
    pthread_kill(thread, SIGUSR1);
    if (write(y, "x", 1) != 1) exit(17);
    check(end(name) == 1 && got.data.u32 == 5, name, "event");
    close(z);
    done();
  }
}

static void opens(void) {
  char path[128];
  snprintf(path, sizeof path, "%s/fifo", directory);
  mkfifo(path, 0600);
  for (int i = 0; i < 2; i++) {
    const char *name = i == 0 ? "openat" : "openat2";
    strcpy(a.path, path);
    a.how.flags = O_RDONLY | O_CLOEXEC;
    begin(name, i == 0 ? SYS_openat : SYS_openat2, AT_FDCWD, (long)a.path, i == 0 ? O_RDONLY | O_CLOEXEC : (long)&a.how, sizeof a.how, 0, 0);
    spoil();
    y = open(path, O_WRONLY);
    pthread_join(thread, 0);
    x = (int)result;
    printf("%s: %d, close-on-exec %d\n", name, x >= 0, fcntl(x, F_GETFD));
    done();
  }
}

// The number of a new descriptor is taken when the call begins.
static void numbers(void) {
  char path[128];
  x = socket(AF_UNIX, SOCK_STREAM, 0);
  set_name("numbers");
  bind(x, (struct sockaddr *)&a.name, sizeof a.name);
  listen(x, 1);
  y = socket(AF_UNIX, SOCK_STREAM, 0);
  begin("accept", SYS_accept, x, 0, 0, 0, 0, 0);
  z = dup(0);
  check(connect(y, (struct sockaddr *)&a.name, sizeof a.name) == 0, "accept", "connection");
  pthread_join(thread, 0);
  printf("accept: %ld after %d, %d before it\n", result - y, z - y, z > (int)result);
  close(z);
  close((int)result);
  unlink(a.name.sun_path);
  done();

  snprintf(path, sizeof path, "%s/fifo", directory);
  x = y = -1;
  strcpy(a.path, path);
  begin("open", SYS_open, (long)a.path, O_RDONLY, 0, 0, 0, 0);
  z = dup(0);
  check(dup2(0, z - 1) < 0 && errno == EBUSY, "open", "reserved");
  y = open(path, O_WRONLY);
  pthread_join(thread, 0);
  x = (int)result;
  printf("open: %d below\n", z - x);
  close(z);
  done();

  // An interrupted call gives it back.
  x = socket(AF_UNIX, SOCK_STREAM, 0);
  y = dup(0);
  a.name.sun_family = AF_UNIX;
  bind(x, (struct sockaddr *)&a.name, sizeof(sa_family_t));
  listen(x, 1);
  // With a time limit it is not restarted.
  struct timeval limit = {100, 0};
  setsockopt(x, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  begin("interrupted accept", SYS_accept, x, 0, 0, 0, 0, 0);
  pthread_kill(thread, SIGUSR1);
  end("interrupted accept");
  z = dup(0);
  printf("then: %d\n", z - y);
  close(z);
  done();
}

static void futexes(void) {
  x = y = -1;
  for (int i = 0; i < 2; i++) a.waiters[i] = (struct waitv){0, (uintptr_t)&words[i], 2, 0};
  begin("futex_waitv", SYS_futex_waitv, (long)a.waiters, 2, 0, 0, CLOCK_MONOTONIC, 0);
  spoil();
  syscall(SYS_futex, &words[1], FUTEX_WAKE, 1, 0, 0, 0);
  end("futex_waitv");
  done();
  a.time.tv_sec = 100;
  begin("futex", SYS_futex, (long)&words[0], FUTEX_WAIT, 0, (long)&a.time, 0, 0);
  spoil();
  words[0] = 1;
  syscall(SYS_futex, &words[0], FUTEX_WAKE, 1, 0, 0, 0);
  end("futex");
  done();
}

static void sleeps(void) {
  x = y = -1;
  a.time.tv_nsec = 300000000;
  begin("nanosleep", SYS_nanosleep, (long)&a.time, 0, 0, 0, 0, 0);
  spoil();
  end("nanosleep");
  memset(&a, 0, sizeof a);
  a.time.tv_nsec = 300000000;
  begin("clock_nanosleep", SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&a.time, 0, 0, 0);
  spoil();
  end("clock_nanosleep");
  done();
}

static void signals(void) {
  x = y = -1;
  sigset_t both, old;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &both, &old);
  a.mask[0] = 1ul << (SIGUSR2 - 1);
  a.time.tv_sec = 100;
  begin("rt_sigtimedwait", SYS_rt_sigtimedwait, (long)a.mask, 0, (long)&a.time, 8, 0, 0);
  spoil();
  pthread_kill(thread, SIGUSR1);
  pthread_kill(thread, SIGUSR2);
  end("rt_sigtimedwait");
  memset(&a, 0, sizeof a);
  a.mask[0] = 1ul << (SIGUSR2 - 1);
  begin("rt_sigsuspend", SYS_rt_sigsuspend, (long)a.mask, 8, 0, 0, 0, 0);
  spoil();
  pthread_kill(thread, SIGUSR2);
  pthread_kill(thread, SIGUSR1);
  end("rt_sigsuspend");
  pthread_sigmask(SIG_SETMASK, &old, 0);
  done();
}

// A call that is restarted after a handler is a new one.
static void restarts(void) {
  new_pipe();
  a.iov[0] = (struct iovec){one, 5};
  begin("restarted readv", SYS_readv, x, (long)a.iov, 1, 0, 0, 0);
  a.iov[0] = (struct iovec){other, 3};
  int before = handled;
  pthread_kill(thread, SIGUSR1);
  while (handled == before) pause_ms(1);
  pause_ms(20);
  if (write(y, "hello", 5) != 5) exit(18);
  check(end("restarted readv") == 3 && memcmp(other, "hel", 3) == 0 && one[0] == 0, "restarted readv", "bytes");
  done();
}

int main(void) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, 0);
  sigaction(SIGUSR2, &action, 0);
  if (mkdtemp(directory) == 0) return 2;
  readers();
  writers();
  receivers();
  senders();
  datagrams();
  connecting();
  counters();
  offsets();
  semaphores();
  messages();
  locks();
  polls();
  selects();
  epolls();
  opens();
  numbers();
  futexes();
  sleeps();
  signals();
  restarts();
  char command[128];
  snprintf(command, sizeof command, "%s", directory);
  static const char *leaves[] = {"sendto", "sendmsg of a datagram", "write of a datagram", "writev of a datagram", "listener", "file", "fifo"};
  for (unsigned i = 0; i < sizeof leaves / sizeof *leaves; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, leaves[i]);
    unlink(path);
  }
  rmdir(directory);
  printf("%d handled, %d failures\n", handled, failures);
  return failures != 0;
}
