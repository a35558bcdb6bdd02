// poll, select, epoll, eventfd on pipes: readiness, timeouts, edges, ends.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, long result) { printf("%s %ld errno %d\n", what, result, result < 0 ? errno : 0); }
static int waited(int fd, struct epoll_event *events, int timeout) { return epoll_wait(fd, events, 8, timeout); }

int main(void) {
  int a[2], b[2], n;
  if (pipe(a) || pipe(b)) return 1;
  struct pollfd set[3] = {{a[0], POLLIN, 0}, {b[1], POLLOUT, 0}, {-1, POLLIN, 0}};
  n = poll(set, 3, 0);
  printf("poll %d: %x %x %x\n", n, set[0].revents, set[1].revents, set[2].revents);
  set[1].fd = b[0];
  set[1].events = POLLIN;
  printf("timeout %d\n", poll(set, 2, 10));
  if (fork() == 0) {
    usleep(20000);
    _exit(write(b[1], "late", 4) != 4);
  }
  n = poll(set, 2, -1);
  printf("woken %d: %x %x\n", n, set[0].revents, set[1].revents);
  wait(NULL);
  set[0].fd = 99;
  n = poll(set, 1, 0);
  printf("bad fd %d: %x\n", n, set[0].revents);

  fd_set read_set;
  FD_ZERO(&read_set);
  FD_SET(a[0], &read_set);
  FD_SET(b[0], &read_set);
  struct timeval second = {1, 0};
  n = select(b[0] + 1, &read_set, NULL, NULL, &second);
  printf("select %d: %d %d\n", n, FD_ISSET(a[0], &read_set) != 0, FD_ISSET(b[0], &read_set) != 0);

  int e = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1}, events[8];
  printf("add %d\n", epoll_ctl(e, EPOLL_CTL_ADD, a[0], &event));
  show("add again", epoll_ctl(e, EPOLL_CTL_ADD, a[0], &event));
  event.events = EPOLLIN | EPOLLET;
  event.data.u32 = 2;
  printf("add edge %d\n", epoll_ctl(e, EPOLL_CTL_ADD, b[0], &event));
  n = waited(e, events, 0);
  printf("edge %d data %u\n", n, events[0].data.u32);
  printf("edge again %d\n", waited(e, events, 0));
  if (write(b[1], "x", 1) != 1) return 1;
  printf("edge new %d\n", waited(e, events, 0));
  if (write(a[1], "x", 1) != 1) return 1;
  printf("level %d", waited(e, events, 0));
  printf(" %d\n", waited(e, events, 0));
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u32 = 3;
  epoll_ctl(e, EPOLL_CTL_MOD, a[0], &event);
  printf("oneshot %d", waited(e, events, 0));
  printf(" %d\n", waited(e, events, 0));
  printf("del %d\n", epoll_ctl(e, EPOLL_CTL_DEL, a[0], NULL));
  show("del again", epoll_ctl(e, EPOLL_CTL_DEL, a[0], NULL));
  close(b[1]);
  n = waited(e, events, 0);
  printf("hangup %d %x\n", n, events[0].events);

  int v = eventfd(3, EFD_NONBLOCK);
  uint64_t value = 0;
  printf("eventfd %zd", read(v, &value, 8));
  printf(" %lu", value);
  show("", read(v, &value, 8));
  value = 5;
  printf("add %zd", write(v, &value, 8));
  value = 2;
  printf(" %zd", write(v, &value, 8));
  n = read(v, &value, 8);
  printf(" %d %lu\n", n, value);
  value = UINT64_MAX;
  show("max", write(v, &value, 8));
  int s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
  printf("semaphore");
  while (read(s, &value, 8) == 8) printf(" %lu", value);
  printf("\n");
  event.events = EPOLLIN;
  epoll_ctl(e, EPOLL_CTL_ADD, v, &event);
  if (fork() == 0) {
    usleep(20000);
    value = 1;
    _exit(write(v, &value, 8) != 8);
  }
  n = waited(e, events, -1);
  printf("epoll woken %d\n", n >= 1);
  wait(NULL);
  // An epoll instance inside another.
  int outer = epoll_create1(0);
  epoll_ctl(outer, EPOLL_CTL_ADD, e, &event);
  printf("nested %d\n", waited(outer, events, 0));
  show("itself", epoll_ctl(e, EPOLL_CTL_ADD, e, &event));
  return 0;
}
