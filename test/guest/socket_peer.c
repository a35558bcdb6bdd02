// What sockets tell of themselves and of who is at the other end: names, groups, process, memory, cookie.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static const int options[] = {SO_PEERNAME, SO_MEMINFO, SO_COOKIE, SO_PEERGROUPS, SO_PEERPIDFD, SO_PEERCRED};
static const int rooms[] = {0, 1, 2, 3, 4, 7, 8, 11, 12, 16, 36, 100, -1};

static void show_option(int fd, int option, int room) {
  unsigned char value[256];
  memset(value, 0xaa, sizeof value);
  socklen_t length = room;
  int result = getsockopt(fd, SOL_SOCKET, option, value, &length);
  printf("  %d in %d: %s, %d:", option, room, result < 0 ? strerrorname_np(errno) : "told", (int)length);
  if (result < 0) {
    printf("\n");
    return;
  }
  if (option == SO_COOKIE) printf(" %s", *(uint64_t *)value != 0 ? "some" : "none");
  else if (option == SO_PEERPIDFD && length >= 4) {
    int pidfd;
    memcpy(&pidfd, value, 4);
    struct pollfd ended = {pidfd, POLLIN, 0};
    printf(" close on exec %d, ended %d", fcntl(pidfd, F_GETFD), poll(&ended, 1, 0));
    close(pidfd);
  } else if (option == SO_PEERCRED && length >= 4) {
    printf(" process %d", value[0] != 0 || value[1] != 0 || value[2] != 0 || value[3] != 0);
    for (socklen_t i = 4; i < length; i++) printf(" %02x", value[i]);
  } else if (option != SO_PEERPIDFD && option != SO_PEERCRED)
    for (socklen_t i = 0; i < length; i++) printf(" %02x", value[i]);
  printf("\n");
}

static void show(const char *name, int fd) {
  printf("%s\n", name);
  for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
    for (unsigned j = 0; j < sizeof rooms / sizeof *rooms; j++) show_option(fd, options[i], rooms[j]);
}

static uint64_t cookie(int fd) {
  uint64_t value = 0;
  socklen_t length = sizeof value;
  getsockopt(fd, SOL_SOCKET, SO_COOKIE, &value, &length);
  return value;
}

static struct sockaddr_un named(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path + 1, name);
  return address;
}

static void show_type(int type) {
  printf("type %d\n", type);
  int pair[2];
  socketpair(AF_UNIX, type, 0, pair);
  show("pair", pair[0]);
  printf("cookies: %d %d\n", cookie(pair[0]) != cookie(pair[1]), cookie(pair[0]) == cookie(pair[0]));
  int listener = socket(AF_UNIX, type, 0);
  show("fresh", listener);
  struct sockaddr_un address = named("peer");
  bind(listener, (struct sockaddr *)&address, 7);
  int client = socket(AF_UNIX, type, 0);
  if (type == SOCK_DGRAM) {
    connect(client, (struct sockaddr *)&address, 7);
    show("client", client);
  } else {
    listen(listener, 2);
    show("listener", listener);
    connect(client, (struct sockaddr *)&address, 7);
    show("client", client);
    int server = accept(listener, NULL, NULL);
    show("server", server);
    close(client);
    show("left", server);
  }
  close(listener);
}

/** The other end is a process with other groups, and it has ended since. */
static void show_ended(void) {
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = named("ended");
  bind(listener, (struct sockaddr *)&address, 8);
  listen(listener, 2);
  pid_t child = fork();
  if (child == 0) {
    gid_t group = 42;
    setgroups(1, &group);
    _exit(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, 8));
  }
  int server = accept(listener, NULL, NULL);
  int status;
  waitpid(child, &status, 0);
  printf("status %d\n", status);
  show("ended", server);
}

int main(void) {
  gid_t groups[] = {5, 7, 9};
  setgroups(3, groups);
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  show_type(SOCK_STREAM);
  show_type(SOCK_DGRAM);
  show_type(SOCK_SEQPACKET);
  fflush(stdout);
  show_ended();
  return 0;
}
