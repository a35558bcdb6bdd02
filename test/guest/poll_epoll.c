/* poll, select, epoll, eventfd, signalfd: readiness, edges, order, timeouts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, int r) { printf("%s: %d%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : ""); }

int main(void) {
    int p[2], q[2];
    if (pipe(p) || pipe(q)) return 1;
    struct pollfd fds[3] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    show("poll empty pipe", poll(fds, 3, 0));
    printf("revents %x %x %x\n", fds[0].revents, fds[1].revents, fds[2].revents);
    if (write(p[1], "abc", 3) != 3) return 1;
    show("poll full pipe", poll(fds, 2, -1));
    printf("revents %x %x\n", fds[0].revents, fds[1].revents);
    close(q[1]);
    struct pollfd hup = {q[0], POLLIN, 0};
    show("poll hung-up", poll(&hup, 1, 100));
    printf("revents %x\n", hup.revents);
    struct pollfd bad = {77, POLLIN, 0};
    show("poll bad fd", poll(&bad, 1, 0));
    printf("revents %x\n", bad.revents);
    show("poll timeout", poll(NULL, 0, 5));
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(q[0], &r);
    FD_SET(p[1], &w);
    struct timeval tv = {1, 0};
    int max = q[0] > p[1] ? q[0] : p[1];
    show("select", select(max + 1, &r, &w, NULL, &tv));
    printf("set %d %d %d\n", FD_ISSET(p[0], &r) != 0, FD_ISSET(q[0], &r) != 0, FD_ISSET(p[1], &w) != 0);

    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {EPOLLIN, {.u32 = 1}}, out[8];
    show("epoll add", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
    show("epoll add twice", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
    show("epoll add itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
    show("epoll wait level", epoll_wait(ep, out, 8, 0));
    show("epoll wait level again", epoll_wait(ep, out, 8, 0));
    ev.events = EPOLLIN | EPOLLET;
    ev.data.u32 = 2;
    show("epoll mod edge", epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
    show("epoll wait edge", epoll_wait(ep, out, 8, 0));
    show("epoll wait edge again", epoll_wait(ep, out, 8, 0));
    if (write(p[1], "d", 1) != 1) return 1;
    show("epoll wait edge after write", epoll_wait(ep, out, 8, 0));
    printf("data %u events %x\n", out[0].data.u32, out[0].events);
    ev.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev);
    show("epoll oneshot", epoll_wait(ep, out, 8, 0));
    show("epoll oneshot again", epoll_wait(ep, out, 8, 0));
    show("epoll del", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
    show("epoll del again", epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
    int e = eventfd(3, EFD_NONBLOCK);
    ev.events = EPOLLIN;
    ev.data.u32 = 3;
    epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev);
    int outer = epoll_create1(0);
    ev.data.u32 = 4;
    show("epoll nested", epoll_ctl(outer, EPOLL_CTL_ADD, ep, &ev));
    show("epoll nested wait", epoll_wait(outer, out, 8, 0));
    uint64_t v;
    show("eventfd read", read(e, &v, 8));
    printf("value %lu\n", (unsigned long)v);
    show("eventfd empty", read(e, &v, 8));
    show("epoll nested idle", epoll_wait(outer, out, 8, 0));
    v = 0xfffffffffffffffe;
    show("eventfd fill", write(e, &v, 8));
    v = 1;
    show("eventfd overflow", write(e, &v, 8));
    int sem = eventfd(2, EFD_SEMAPHORE);
    show("semaphore", read(sem, &v, 8));
    printf("value %lu\n", (unsigned long)v);
    if (fork() == 0) {
        usleep(10000);
        v = 5;
        if (write(e, &v, 8) != 8 && errno != EAGAIN) _exit(1);
        if (write(p[1], "wake", 4) != 4) _exit(1);
        _exit(0);
    }
    ev.events = EPOLLIN;
    ev.data.u32 = 9;
    char buf[100];
    show("drain", read(p[0], buf, 100));
    epoll_ctl(ep, EPOLL_CTL_DEL, e, NULL);
    epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev);
    show("epoll blocks until the child writes", epoll_wait(ep, out, 8, 5000));
    wait(NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int sfd = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo si;
    show("signalfd empty", read(sfd, &si, sizeof si));
    kill(getpid(), SIGUSR1);
    show("signalfd", read(sfd, &si, sizeof si));
    printf("signal %d from self %d\n", si.ssi_signo == SIGUSR1, si.ssi_pid == (uint32_t)getpid());
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    show("drain", read(p[0], buf, 100));
    show("nonblocking empty", read(p[0], buf, 100));
    memset(buf, 'x', sizeof buf);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    long total = 0, n;
    while ((n = write(p[1], buf, sizeof buf)) > 0) total += n;
    printf("capacity %ld, %s\n", total, strerrorname_np(errno));
    show("pipe size", fcntl(p[1], F_GETPIPE_SZ));
    signal(SIGPIPE, SIG_IGN);
    close(p[0]);
    show("broken pipe", write(p[1], "x", 1));
    return 0;
}
