// Urgent data on local streams (MSG_OOB): its mark, reads that stop there, pass over it or read it in its place.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SIOCATMARK
#define SIOCATMARK 0x8905
#endif

static int ends[2];
static volatile sig_atomic_t urgent_signals;

static void handler(int signo) { urgent_signals += signo == SIGURG; }

static void open_pair(int type) {
  if (ends[0] > 0) {
    close(ends[0]);
    close(ends[1]);
  }
  socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends);
}

static const char *what(long result) {
  static char text[32];
  if (result < 0) return strerrorname_np(errno);
  snprintf(text, sizeof text, "%ld", result);
  return text;
}

static void state(void) {
  int mark = -1;
  ioctl(ends[1], SIOCATMARK, &mark);
  struct pollfd events = {ends[1], POLLIN | POLLPRI | POLLRDHUP, 0};
  poll(&events, 1, 0);
  printf("    mark %d events %x\n", mark, events.revents);
}

static void put(const char *bytes, int flags) {
  printf("  send %s %x: %s\n", bytes, flags, what(send(ends[0], bytes, strlen(bytes), flags | MSG_NOSIGNAL)));
  state();
}

static void get(size_t size, int flags) {
  char bytes[64] = {0};
  struct iovec one = {bytes, size};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
  long n = recvmsg(ends[1], &message, flags);
  printf("  receive %zu %x: %s '%s' flags %x\n", size, flags, what(n), bytes, n < 0 ? 0 : message.msg_flags);
  state();
}

static void inlined(int on) { setsockopt(ends[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on); }

/** Each letter is a step: sends a word, urgent or not, or receives so much in some way. */
static void play(const char *steps) {
  printf("%s\n", steps);
  open_pair(SOCK_STREAM);
  for (; *steps != 0; steps++) switch (*steps) {
      case 'h': put("hello", 0); break;
      case 'w': put("world", MSG_OOB); break;
      case 'x': put("x", MSG_OOB); break;
      case 'e': put("", MSG_OOB); break;
      case '1': get(1, 0); break;
      case '4': get(4, 0); break;
      case 'a': get(60, 0); break;
      case 'A': get(60, MSG_WAITALL); break;
      case 'p': get(60, MSG_PEEK); break;
      case 'o': get(1, MSG_OOB); break;
      case 'O': get(60, MSG_OOB); break;
      case 'P': get(60, MSG_OOB | MSG_PEEK); break;
      case 'z': get(0, MSG_OOB); break;
      case 'i': inlined(1); break;
      case 'n': inlined(0); break;
      case 's': shutdown(ends[0], SHUT_WR); state(); break;
      case 'c': close(ends[1]); ends[1] = dup(ends[0]); printf("  left: %s\n", what(read(ends[0], &(char){0}, 1))); break;
    }
}

int main(void) {
  static const char *const plays[] = {
      "x",     "xo",     "xa",    "xoa",   "wa",     "waa",    "waoa",   "woa",    "woaa",    "hwoa",  "hwaa",
      "whaa",  "whoaa",  "who4a", "wwaa",  "wwoaa",  "woww",   "wowoaa", "wowaoa", "hx4aoa",  "hxhaa", "hxhoaa",
      "wPoPo", "wpap",   "wppoa", "xp",    "xpo",    "xhp",    "xohp",   "xohpa",  "ia",      "iwa",   "iwaa",
      "iwo",   "iwp",    "iwoaa", "wia",   "woia",   "iwna",   "ihxhaa", "e",      "h1x1aoa", "wAA",   "hwhA",
      "xz",    "wzoa",   "wsaaa", "wosaa", "xsoa",   "xc",     "xoc",    "hoc",    "xohc",    "xxxoa", "xoxoxoa",
      "O",     "hO",     "P",     "xOO",   "h4x1o1", "wohwoha",
  };
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  for (unsigned i = 0; i < sizeof plays / sizeof *plays; i++) play(plays[i]);
  static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
  for (unsigned i = 0; i < 2; i++) {
    open_pair(types[i]);
    put("x", MSG_OOB);
    get(1, MSG_OOB);
  }
  ends[0] = ends[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  put("x", MSG_OOB);
  get(1, MSG_OOB);

  signal(SIGURG, handler);
  ends[0] = 0;
  open_pair(SOCK_STREAM);
  put("x", MSG_OOB);
  printf("signals %d\n", urgent_signals);
  fcntl(ends[1], F_SETOWN, getpid());
  put("xy", MSG_OOB);
  printf("signals %d\n", urgent_signals);
  fcntl(ends[1], F_SETOWN, -getpgrp());
  signal(SIGURG, SIG_IGN);
  put("h", 0);
  close(ends[0]);
  get(60, 0);
  get(60, 0);
  return 0;
}
