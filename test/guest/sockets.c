/* Local sockets: every kind of end, name, message and error that a program can see. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

/* A result: the value, or the error's name. */
static void show(const char *what, long result) {
  if (result < 0)
    printf("%s: %s\n", what, strerror(errno));
  else
    printf("%s: %ld\n", what, result);
}

static socklen_t name_of(struct sockaddr_un *a, const char *name) {
  memset(a, 0, sizeof *a);
  a->sun_family = AF_UNIX;
  if (name[0] == '@') {
    int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "%s%s", name + 1, dir);
    return offsetof(struct sockaddr_un, sun_path) + 1 + n;
  }
  snprintf(a->sun_path, sizeof a->sun_path, "%s/%s", dir, name);
  return sizeof *a;
}

static int bound(int type, const char *name) {
  struct sockaddr_un a;
  socklen_t n = name_of(&a, name);
  int s = socket(AF_UNIX, type, 0);
  if (bind(s, (struct sockaddr *)&a, n) != 0) show("bind", -1);
  return s;
}

static int join(int s, const char *name) {
  struct sockaddr_un a;
  socklen_t n = name_of(&a, name);
  return connect(s, (struct sockaddr *)&a, n);
}

static void show_name(const char *what, int (*get)(int, struct sockaddr *, socklen_t *), int s) {
  struct sockaddr_un a;
  memset(&a, 'x', sizeof a);
  socklen_t n = sizeof a;
  int r = get(s, (struct sockaddr *)&a, &n);
  if (r != 0) {
    show(what, r);
    return;
  }
  const char *path = n <= 2 ? "" : a.sun_path[0] ? a.sun_path + strlen(dir) : a.sun_path + 1;
  int plain = n > 2 && a.sun_path[0] == 0;
  printf("%s: family %d length %d '%.*s'\n", what, a.sun_family, n > 2 && !plain ? (int)(n - strlen(dir)) : plain ? 0 : (int)n,
         plain ? 3 : 100, path);
}

static int events(int s) {
  struct pollfd p = {s, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
  poll(&p, 1, 0);
  return p.revents;
}

static void kinds(void) {
  puts("-- kinds");
  show("raw", socket(AF_UNIX, SOCK_RAW, 0) >= 0);
  show("rdm", socket(AF_UNIX, SOCK_RDM, 0));
  show("type 99", socket(AF_UNIX, 99, 0));
  show("flags", socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
  show("protocol", socket(AF_UNIX, SOCK_STREAM, 5));
  show("protocol 1", socket(AF_UNIX, SOCK_STREAM, 1) >= 0);
  int v[2];
  show("pair at a bad address", socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8));
  show("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, v));
  printf("flags %d %d\n", fcntl(v[0], F_GETFD), (fcntl(v[1], F_GETFL) & O_NONBLOCK) != 0);
  struct stat st;
  fstat(v[0], &st);
  printf("mode %o\n", st.st_mode);
  show("seek", lseek(v[0], 0, SEEK_SET));
  pipe(v);
  show("not a socket", send(v[1], "", 0, 0));
  close(v[0]), close(v[1]);
  show("not a file", listen(99, 0));
  show_name("name", getsockname, v[0]);
  show_name("peer", getpeername, v[0]);
  close(v[0]);
  close(v[1]);
}

static void pairs(int type) {
  printf("-- pair of type %d\n", type);
  int v[2];
  char buf[100];
  socketpair(AF_UNIX, type, 0, v);
  printf("new %x\n", events(v[0]));
  show("send", send(v[0], "hello", 5, 0));
  show("send", write(v[0], "world", 5));
  show("empty", send(v[0], "", 0, 0));
  printf("waiting %x\n", events(v[1]));
  int n = 0;
  ioctl(v[1], FIONREAD, &n);
  printf("fionread %d\n", n);
  show("peek", recv(v[1], buf, 3, MSG_PEEK));
  show("peek all", recv(v[1], buf, 100, MSG_PEEK | MSG_TRUNC));
  show("short", recv(v[1], buf, 3, 0));
  printf("'%.3s'\n", buf);
  show("rest", recv(v[1], buf, 100, 0));
  show("more", recv(v[1], buf, 100, MSG_DONTWAIT));
  show("none", recv(v[1], buf, 100, MSG_DONTWAIT));
  show("oob", send(v[0], "x", 1, type == SOCK_STREAM ? MSG_DONTWAIT : MSG_OOB));
  recv(v[1], buf, 100, MSG_DONTWAIT);
  struct iovec iov[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
  show("writev", writev(v[0], iov, 3));
  struct iovec in[2] = {{buf, 1}, {buf + 10, 50}};
  show("readv", readv(v[1], in, 2));
  show("shutdown bad", shutdown(v[0], 9));
  send(v[1], "left", 4, 0);
  show("shutdown", shutdown(v[0], SHUT_WR));
  printf("after shutdown %x %x\n", events(v[0]), events(v[1]));
  show("send after", send(v[0], "x", 1, MSG_NOSIGNAL));
  show("receive after", recv(v[1], buf, 100, MSG_DONTWAIT));
  show("other way", recv(v[0], buf, 100, 0));
  send(v[1], "unread", 6, 0);
  close(v[0]);
  printf("after close %x\n", events(v[1]));
  show("send to closed", send(v[1], "x", 1, MSG_NOSIGNAL));
  show("first receive", recv(v[1], buf, 100, MSG_DONTWAIT));
  show("second receive", recv(v[1], buf, 100, MSG_DONTWAIT));
  close(v[1]);
}

static void fill(int type) {
  int v[2], many = 0;
  char *big = calloc(1, 300000), buf[10];
  socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, v);
  if (type != SOCK_STREAM) {
    show("largest", send(v[0], big, 212960, 0));
    show("too large", send(v[0], big, 212961, 0));
    show("much too large", send(v[0], big, 300000, 0));
    show("it comes whole", recv(v[1], big, 300000, 0));
  }
  while (send(v[0], big, 4000, 0) > 0) many++;
  printf("full: %s %d, some %d\n", strerror(errno), events(v[0]) & POLLOUT, many > 10);
  while (recv(v[1], big, 4000, 0) > 0);
  printf("emptied %x\n", events(v[0]));
  show("receive none", recv(v[1], buf, 10, 0));
  close(v[0]);
  close(v[1]);
  free(big);
}

static void streams(const char *name) {
  printf("-- stream at %s\n", name);
  int l = bound(SOCK_STREAM, name), c = socket(AF_UNIX, SOCK_STREAM, 0);
  char buf[100];
  show("connect before listen", join(c, name));
  show("accept before listen", accept(l, NULL, NULL));
  printf("unconnected %x\n", events(c));
  show("send unconnected", send(c, "x", 1, MSG_NOSIGNAL));
  show("receive unconnected", recv(c, buf, 1, 0));
  show("peer name", getpeername(c, (struct sockaddr *)buf, &(socklen_t){100}));
  show("listen", listen(l, 1));
  printf("listening %x\n", events(l));
  show("connect", join(c, name));
  printf("listening %x connected %x\n", events(l), events(c));
  show("connect again", join(c, name));
  show("send early", send(c, "early", 5, 0));
  struct sockaddr_un a;
  socklen_t n = sizeof a;
  int s = accept4(l, (struct sockaddr *)&a, &n, SOCK_CLOEXEC);
  printf("accepted %d length %d cloexec %d\n", s >= 0, n, fcntl(s, F_GETFD));
  show("receive", recv(s, buf, 100, 0));
  show_name("listener", getsockname, l);
  show_name("server", getsockname, s);
  show_name("server's peer", getpeername, s);
  show_name("client", getsockname, c);
  show_name("client's peer", getpeername, c);
  show("sendto", sendto(c, "x", 1, 0, (struct sockaddr *)&a, 2));
  struct ucred cred;
  n = sizeof cred;
  show("peercred", getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &n));
  printf("cred %d %d %d\n", cred.pid == getpid(), cred.uid == getuid(), cred.gid == getgid());
  int c2 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c3 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int c4 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  show("queue 1", join(c2, name));
  show("queue 2", join(c3, name));
  show("queue 3", join(c4, name));
  int other = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  show("other type", join(other, name));
  close(l);
  printf("never accepted %x\n", events(c2));
  show("receive", recv(c2, buf, 1, 0));
  show("receive again", recv(c2, buf, 1, 0));
  show("send", send(c2, "x", 1, MSG_NOSIGNAL));
  show("connect to a closed one", join(c4, name));
  if (name[0] != '@') {
    int again = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un b;
    socklen_t m = name_of(&b, name);
    show("bind to a used name", bind(again, (struct sockaddr *)&b, m));
    struct stat st;
    stat(b.sun_path, &st);
    printf("mode %o\n", st.st_mode);
    show("open", open(b.sun_path, O_RDWR));
    unlink(b.sun_path);
    show("bind", bind(again, (struct sockaddr *)&b, m));
    show("bind twice", bind(again, (struct sockaddr *)&b, m));
    close(again);
    unlink(b.sun_path);
    show("connect to none", join(again = socket(AF_UNIX, SOCK_STREAM, 0), name));
    close(again);
    int f = open(b.sun_path, O_CREAT | O_RDWR, 0600);
    show("connect to a file", join(other, name));
    close(f);
    unlink(b.sun_path);
  }
  struct sockaddr_un e = {.sun_family = AF_INET};
  show("family", connect(other, (struct sockaddr *)&e, 20));
  show("short address", bind(other, (struct sockaddr *)&e, 1));
  show("long address", bind(other, (struct sockaddr *)&e, 111));
  show("huge address", bind(other, (struct sockaddr *)&e, 1000));
  close(other), close(c), close(s), close(c2), close(c3), close(c4);
}

static void datagrams(void) {
  puts("-- datagrams");
  int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "@b"), c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  char buf[100];
  struct sockaddr_un to, from;
  socklen_t n = name_of(&to, "a");
  printf("new %x\n", events(c));
  show("send nowhere", send(c, "x", 1, 0));
  show("listen", listen(a, 1));
  show("accept", accept(a, NULL, NULL));
  show("sendto", sendto(b, "from b", 6, 0, (struct sockaddr *)&to, n));
  show("sendto", sendto(c, "from c", 6, 0, (struct sockaddr *)&to, n));
  socklen_t m = sizeof from;
  show("recvfrom", recvfrom(a, buf, 100, 0, (struct sockaddr *)&from, &m));
  printf("from %d '%.1s'\n", from.sun_family, from.sun_path + 1);
  m = sizeof from;
  show("recvfrom", recvfrom(a, buf, 100, 0, (struct sockaddr *)&from, &m));
  printf("length %d\n", m);
  show("connect", join(c, "a"));
  show("back", sendto(a, "x", 1, 0, (struct sockaddr *)&from, 2));
  int many = 0;
  while (send(c, "x", 1, 0) == 1) many++;
  printf("full after %d %s, writable %d\n", many, strerror(errno), events(c) & POLLOUT);
  recv(a, buf, 1, 0);
  printf("room %d\n", events(c) & POLLOUT);
  show("connect to another", join(c, "@b"));
  show("a takes from its peer", join(a, "@b"));
  n = name_of(&to, "a");
  show("not the peer", sendto(c, "x", 1, 0, (struct sockaddr *)&to, n));
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  show("disconnect", connect(a, &none, sizeof none));
  close(b);
  show("refused", send(c, "x", 1, 0));
  show("gone", send(c, "x", 1, 0));
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  int d = socket(AF_UNIX, SOCK_DGRAM, 0);
  show("autobind", bind(d, (struct sockaddr *)&un, 2));
  m = sizeof from;
  getsockname(d, (struct sockaddr *)&from, &m);
  printf("autobound %d %d\n", m, from.sun_path[0]);
  close(d);
  close(a);
  close(c);
}

static int pass(int s, const int *fds, int count, const char *text) {
  char control[CMSG_SPACE(10 * sizeof(int))] = {0};
  struct iovec iov = {(char *)text, strlen(text)};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(c), fds, count * sizeof(int));
  return sendmsg(s, &m, 0);
}

static int take(int s, int *fds, int room, int flags) {
  char control[200], text[100];
  struct iovec iov = {text, sizeof text};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
  int n = recvmsg(s, &m, flags), count = 0;
  if (n < 0) {
    show("recvmsg", n);
    return 0;
  }
  printf("received %d '%.*s' flags %x control %d\n", n, n, text, m.msg_flags, (int)m.msg_controllen);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
    printf("  item %d %d length %d\n", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
    if (c->cmsg_type == SCM_RIGHTS)
      for (unsigned i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
        memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    else if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred u;
      memcpy(&u, CMSG_DATA(c), sizeof u);
      printf("  from me %d %d %d\n", u.pid == getpid(), u.uid == getuid(), u.gid == getgid());
    }
  }
  return count;
}

static void descriptors(int type) {
  printf("-- descriptors over type %d\n", type);
  int v[2], p[2], got[10];
  char buf[10];
  socketpair(AF_UNIX, type, 0, v);
  pipe(p);
  write(p[1], "inside", 6);
  show("pass", pass(v[0], p, 2, "two"));
  close(p[0]);
  close(p[1]);
  int n = take(v[1], got, 200, MSG_CMSG_CLOEXEC);
  printf("%d descriptors, cloexec %d\n", n, fcntl(got[0], F_GETFD));
  show("read", read(got[0], buf, 10));
  close(got[0]);
  close(got[1]);
  pipe(p);
  show("peeked", pass(v[0], p, 2, "peek"));
  n = take(v[1], got, 200, MSG_PEEK);
  for (int i = 0; i < n; i++) close(got[i]);
  n = take(v[1], got, CMSG_LEN(sizeof(int)), 0);
  for (int i = 0; i < n; i++) close(got[i]);
  show("no room", pass(v[0], p, 2, "none"));
  n = take(v[1], got, 0, 0);
  show("bad descriptor", pass(v[0], (int[]){99}, 1, "bad"));
  show("read drops them", pass(v[0], p, 2, "dropped"));
  close(p[1]);
  show("read", read(v[1], buf, 10));
  show("the pipe has ended", read(p[0], buf, 10));
  close(p[0]);
  int on = 1;
  setsockopt(v[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  pipe(p);
  show("with credentials", pass(v[0], p, 1, "cred"));
  n = take(v[1], got, 200, 0);
  for (int i = 0; i < n; i++) close(got[i]);
  close(v[0]);
  n = take(v[1], got, 200, MSG_DONTWAIT);
  close(v[1]);
  close(p[0]);
  close(p[1]);
  /* A socket in flight within itself. */
  socketpair(AF_UNIX, type, 0, v);
  show("itself", pass(v[0], v, 1, "self"));
  n = take(v[1], got, 200, 0);
  show("through the copy", send(got[0], "copy", 4, 0));
  show("arrives", recv(v[1], buf, 10, 0));
  close(got[0]), close(v[0]), close(v[1]);
}

/* Sockets that carry each other and that nobody can reach; the pipe in one of them shows when they go. */
static void lost(void) {
  puts("-- lost");
  int v[2], w[2], p[2], got[10];
  char buf[4];
  pipe(p);
  socketpair(AF_UNIX, SOCK_STREAM, 0, v);
  show("both", pass(v[0], (int[]){v[0], v[1], p[1]}, 3, "cycle"));
  close(v[0]), close(v[1]), close(p[1]);
  for (int i = 0; i < 3; i++) {
    socketpair(AF_UNIX, SOCK_STREAM, 0, w);
    /* One that can be reached stays. */
    pass(w[0], w, 1, "kept");
    close(w[0]);
    int more[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, more);
    close(more[0]), close(more[1]);
    int n = take(w[1], got, 200, 0);
    show("kept", n == 1 ? send(got[0], "x", 1, 0) : -1);
    close(got[0]), close(w[1]);
  }
  struct pollfd f = {p[0], POLLIN, 0};
  show("the pipe's end", poll(&f, 1, 5000));
  show("read", read(p[0], buf, 4));
  close(p[0]);
}

static void options(void) {
  puts("-- options");
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  static const int names[] = {SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_PASSCRED, SO_ACCEPTCONN, SO_DOMAIN, SO_PROTOCOL,
                              SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_RCVLOWAT, SO_OOBINLINE};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    int v = -7;
    socklen_t n = sizeof v;
    int r = getsockopt(s, SOL_SOCKET, names[i], &v, &n);
    printf("option %d: %d %d %d\n", names[i], r, v, n);
  }
  int v = 10000, one = 1;
  show("sndbuf", setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
  socklen_t n = sizeof v;
  getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &n);
  printf("sndbuf %d\n", v);
  v = 1;
  setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, sizeof v);
  getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &n);
  printf("sndbuf %d\n", v);
  show("reuse", setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  n = 1;
  v = 0;
  getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, &n);
  printf("reuse %d %d\n", v, n);
  show("short", setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 2));
  show("unknown", setsockopt(s, SOL_SOCKET, 999, &one, sizeof one));
  n = 4;
  show("unknown", getsockopt(s, SOL_SOCKET, 999, &one, &n));
  show("level", setsockopt(s, 6, 1, &one, sizeof one));
  show("level", getsockopt(s, 6, 1, &one, &n));
  struct timeval t = {0, 40000}, back = {9, 9};
  show("timeout", setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
  n = sizeof back;
  getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &back, &n);
  printf("timeout %ld %ld\n", (long)back.tv_sec, (long)back.tv_usec);
  int p[2];
  char buf[4];
  socketpair(AF_UNIX, SOCK_STREAM, 0, p);
  setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  show("timed out", recv(p[0], buf, 4, 0));
  show("timed out", read(p[0], buf, 4));
  close(p[0]), close(p[1]), close(s);
}

static int broken;
static void on_pipe(int signal) { broken += signal == SIGPIPE; }

static void signals(void) {
  puts("-- SIGPIPE");
  signal(SIGPIPE, on_pipe);
  for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET) continue;
    int v[2];
    socketpair(AF_UNIX, type, 0, v);
    close(v[1]);
    broken = 0;
    show("send", send(v[0], "x", 1, 0));
    printf("type %d broken %d\n", type, broken);
    broken = 0;
    show("write", write(v[0], "x", 1));
    printf("type %d broken %d\n", type, broken);
    close(v[0]);
  }
}

static void *serve(void *arg) {
  int l = *(int *)arg;
  for (int i = 0; i < 4; i++) {
    int s = accept(l, NULL, NULL);
    char buf[5000];
    for (ssize_t n; (n = read(s, buf, sizeof buf)) > 0;)
      for (ssize_t done = 0, w; done < n; done += w)
        if ((w = write(s, buf + done, n - done)) < 0) break;
    close(s);
  }
  return NULL;
}

/* Blocking everywhere: an echo server, and clients in processes of their own. */
static void echo(void) {
  puts("-- echo");
  int l = bound(SOCK_STREAM, "@echo");
  listen(l, 2);
  pthread_t t;
  pthread_create(&t, NULL, serve, &l);
  fflush(stdout);
  for (int i = 0; i < 4; i++)
    if (fork() == 0) {
      int s = socket(AF_UNIX, SOCK_STREAM, 0);
      if (join(s, "@echo") != 0) _exit(9);
      if (fork() == 0) {
        char out[3000];
        for (int k = 0; k < 100; k++) {
          memset(out, 'a' + (k + i) % 26, sizeof out);
          for (ssize_t done = 0, n; done < 3000; done += n)
            if ((n = send(s, out + done, 3000 - done, 0)) <= 0) _exit(8);
        }
        shutdown(s, SHUT_WR);
        _exit(0);
      }
      char in[3000];
      int good = 1;
      for (int k = 0; k < 100; k++) {
        if (recv(s, in, 3000, MSG_WAITALL) != 3000) good = 0;
        for (int j = 0; j < 3000; j++) good &= in[j] == 'a' + (k + i) % 26;
      }
      good &= recv(s, in, 1, 0) == 0;
      wait(NULL);
      _exit(good ? 0 : 7);
    }
  int sum = 0, status;
  while (wait(&status) > 0) sum += status;
  pthread_join(t, NULL);
  printf("echo %d\n", sum);
  close(l);
}

static void watching(void) {
  puts("-- epoll");
  int v[2], e = epoll_create1(0), n;
  char buf[10];
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, v);
  struct epoll_event w = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, got = {0};
  epoll_ctl(e, EPOLL_CTL_ADD, v[0], &w);
  n = epoll_wait(e, &got, 1, 0);
  printf("%d %x\n", n, got.events);
  printf("%d\n", epoll_wait(e, &got, 1, 0));
  write(v[1], "x", 1);
  n = epoll_wait(e, &got, 1, 0);
  printf("%d %x\n", n, got.events);
  read(v[0], buf, 10);
  printf("%d\n", epoll_wait(e, &got, 1, 0));
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    usleep(20000);
    close(v[0]);
    write(v[1], "late", 4);
    _exit(0);
  }
  do n = epoll_wait(e, &got, 1, 5000);
  while (n == 1 && !(got.events & EPOLLIN));
  printf("%d %x\n", n, got.events & EPOLLIN);
  waitpid(pid, NULL, 0);
  close(v[1]);
  do n = epoll_wait(e, &got, 1, 5000);
  while (n == 1 && !(got.events & EPOLLHUP));
  printf("%d %x\n", n, got.events);
  close(v[0]);
  close(e);
}

int main(void) {
  strcpy(dir, "/tmp/sockets.XXXXXX");
  mkdtemp(dir);
  kinds();
  pairs(SOCK_STREAM);
  pairs(SOCK_SEQPACKET);
  pairs(SOCK_DGRAM);
  fill(SOCK_STREAM);
  fill(SOCK_SEQPACKET);
  streams("s");
  streams("@s");
  datagrams();
  descriptors(SOCK_STREAM);
  descriptors(SOCK_DGRAM);
  descriptors(SOCK_SEQPACKET);
  lost();
  options();
  signals();
  echo();
  watching();
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}
