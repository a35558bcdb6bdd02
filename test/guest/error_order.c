// Which of several errors a call tells of, and what is no error at all.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t pipes_broken;
static void on_pipe(int signal) {
  (void)signal;
  pipes_broken++;
}

static void say(const char *what, long result) {
  if (result < 0) printf("%s: %s\n", what, strerrorname_np(errno));
  else printf("%s: %ld\n", what, result);
}

/** A range whose ends are at the edge of what an offset can be. */
static void locks(void) {
  static const long starts[] = {0x7fffffffffffffff, 0x7ffffffffffffffe, 0x7ffffffffffff000, -1};
  static const long lengths[] = {0, 1, 2, 0x1000, 0x1001, -1, 0x7fffffffffffffff};
  int fd = memfd_create("locks", 0);
  for (unsigned s = 0; s < sizeof starts / sizeof *starts; s++)
    for (unsigned l = 0; l < sizeof lengths / sizeof *lengths; l++) {
      struct flock lock = {.l_type = F_RDLCK, .l_start = starts[s], .l_len = lengths[l]};
      printf("%lx+%lx ", starts[s], lengths[l]);
      say("getlk", fcntl(fd, F_GETLK, &lock));
    }
  close(fd);
}

static void futexes(void) {
  static unsigned words[2];
  static const unsigned long places[] = {0xffff800000000000, 0x7fffffffeffc, 0x7ffffffff000, 0xfffffffffffffffc, 1};
  for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
    unsigned long at = places[i];
    say("requeue", syscall(SYS_futex, words, 0x83, 0, 0L, at, 0));
    say("compare", syscall(SYS_futex, words, 0x84, 0, 0L, at, 0));
    say("wake", syscall(SYS_futex, at, 0x81, 1, 0L, 0L, 0));
  }
}

/** Datagrams to an end that takes none are refused without SIGPIPE, bytes of a stream with it. */
static void broken_pipes(void) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (unsigned i = 0; i < 3; i++) {
    int pipes[2], ends[2];
    if (pipe(pipes) != 0 || write(pipes[1], "x", 1) != 1 || socketpair(AF_UNIX, types[i], 0, ends) != 0) return;
    shutdown(ends[1], SHUT_RD);
    pipes_broken = 0;
    say("splice", splice(pipes[0], NULL, ends[0], NULL, 65536, 0));
    printf("signals: %d\n", (int)pipes_broken);
    for (int fd = 0; fd < 2; fd++) {
      close(pipes[fd]);
      close(ends[fd]);
    }
  }
}

static void mappings(void) {
  int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
  if (fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE) != 0) return;
  char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int kinds[] = {sealed, epoll_create1(0)};
  for (unsigned i = 0; i < 2; i++) {
    int flags = MAP_SHARED | MAP_FIXED_NOREPLACE;
    say("taken", (long)mmap(page, 4096, PROT_WRITE, flags, kinds[i], 0) == -1 ? -1 : 0);
    say("odd", (long)mmap(page + 1, 4096, PROT_WRITE, flags, kinds[i], 0) == -1 ? -1 : 0);
    say("anywhere", (long)mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, kinds[i], 0) == -1 ? -1 : 0);
  }
}

static void opens(void) {
  struct open_how how = {.flags = O_RDONLY};
  int kinds[] = {epoll_create1(0), memfd_create("file", 0)};
  static const unsigned resolves[] = {0, RESOLVE_CACHED, RESOLVE_CACHED | RESOLVE_BENEATH, RESOLVE_IN_ROOT};
  for (unsigned k = 0; k < 2; k++)
    for (unsigned r = 0; r < 4; r++) {
      how.resolve = resolves[r];
      say("missing", syscall(SYS_openat2, kinds[k], "./missing", &how, sizeof how));
    }
}

/** What rt_sigqueueinfo and rt_tgsigqueueinfo say of ids and codes that they do not take, and a siginfo that is not there. */
static void queued_signals(void) {
  siginfo_t codes[] = {{.si_code = SI_QUEUE}, {.si_code = SI_USER}, {.si_code = SI_TKILL}};
  int ids[] = {0, -1, 0x3fffffff};
  void *bad = (void *)8;
  for (unsigned i = 0; i < 3; i++) {
    say("queue bad", syscall(SYS_rt_sigqueueinfo, ids[i], 0, bad));
    say("thread bad", syscall(SYS_rt_tgsigqueueinfo, ids[i], ids[i], 0, bad));
    say("other bad", syscall(SYS_rt_tgsigqueueinfo, 0x3fffffff, ids[i], 0, bad));
    for (unsigned c = 0; c < 3; c++) {
      say("thread", syscall(SYS_rt_tgsigqueueinfo, ids[i], ids[i], 0, &codes[c]));
      if (ids[i] >= 0) say("queue", syscall(SYS_rt_sigqueueinfo, ids[i], 0, &codes[c]));
    }
  }
}

int main(void) {
  signal(SIGPIPE, on_pipe);
  queued_signals();
  locks();
  futexes();
  broken_pipes();
  mappings();
  opens();
  return 0;
}
