// System calls with garbage: fuzz SEED CALLS PROCESSES THREADS. Any process of it may die at any call; the first one
// starts another in its place until the calls are used up, and says how many there were.
// build: static
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAST_NUMBER 461
#define WINDOW (16 * 4096)

struct shared {
  volatile long calls;
  volatile long deaths;
};

struct state {
  uint64_t random;
  long left;
  pid_t supervisor;
  unsigned char *window;  // WINDOW writable bytes, a page read-only, a page without access
};

static struct shared *shared;
static long calls_wanted;

static const char *const paths[] = {
    "a", "b", "dir", "dir/c", "dir/../a", "link", "/", ".", "..", "", "/proc/self/maps", "/proc/self/fd/3", "/dev/null",
    "/dev/zero", "/proc/self/mem", "/etc/passwd", "/tmp", "nowhere/x", "/proc/self/exe", "loop", "/dev/tty", "fifo",
    "/proc/1/status", "/dev/full", "/proc/self/stat", "dir/sub", "/sys", "/bin", "/dev/ptmx", "/proc/sys/kernel/hostname",
};
#define PATHS (sizeof paths / sizeof *paths)

// What calls take, so that they get beyond their first check: f descriptor, p path, b writable bytes, n size, i small
// number, l flags, t time or pointer to one (small), v vector, o offset, m own mapping, s signal, k process number.
static const char *const shapes[LAST_NUMBER + 1] = {
    [SYS_read] = "fbn", [SYS_write] = "fbn", [SYS_open] = "pll", [SYS_close] = "f", [SYS_stat] = "pb", [SYS_fstat] = "fb",
    [SYS_lstat] = "pb", [SYS_poll] = "bii", [SYS_lseek] = "foi", [SYS_mmap] = "mnl lfo", [SYS_mprotect] = "mnl",
    [SYS_munmap] = "mn", [SYS_rt_sigaction] = "sbbE", [SYS_rt_sigprocmask] = "ibbE", [SYS_ioctl] = "fIb",
    [SYS_pread64] = "fbno", [SYS_pwrite64] = "fbno", [SYS_readv] = "fvi", [SYS_writev] = "fvi", [SYS_access] = "pi",
    [SYS_pipe] = "b", [SYS_select] = "ibbbt", [SYS_mremap] = "mnnlm", [SYS_msync] = "mnl", [SYS_mincore] = "mnb",
    [SYS_madvise] = "mni", [SYS_dup] = "f", [SYS_dup2] = "ff", [SYS_nanosleep] = "tb", [SYS_getitimer] = "ib",
    [SYS_setitimer] = "itb", [SYS_sendfile] = "ffbn", [SYS_wait4] = "kblb", [SYS_uname] = "b", [SYS_fcntl] = "fib",
    [SYS_flock] = "fi", [SYS_fsync] = "f", [SYS_truncate] = "po", [SYS_ftruncate] = "fo", [SYS_getdents] = "fbn",
    [SYS_getcwd] = "bn", [SYS_chdir] = "p", [SYS_fchdir] = "f", [SYS_rename] = "pp", [SYS_mkdir] = "pl", [SYS_rmdir] = "p",
    [SYS_creat] = "pl", [SYS_link] = "pp", [SYS_unlink] = "p", [SYS_symlink] = "pp", [SYS_readlink] = "pbn",
    [SYS_chmod] = "pl", [SYS_fchmod] = "fl", [SYS_chown] = "pii", [SYS_fchown] = "fii", [SYS_lchown] = "pii",
    [SYS_getrlimit] = "ib", [SYS_getrusage] = "ib", [SYS_sysinfo] = "b", [SYS_times] = "b", [SYS_getgroups] = "nb",
    [SYS_setpgid] = "kk", [SYS_getresuid] = "bbb", [SYS_getpgid] = "k", [SYS_capget] = "bb", [SYS_rt_sigpending] = "bE",
    [SYS_rt_sigtimedwait] = "bbtE", [SYS_rt_sigqueueinfo] = "ksb", [SYS_sigaltstack] = "bb", [SYS_mknod] = "pll",
    [SYS_statfs] = "pb", [SYS_fstatfs] = "fb", [SYS_getpriority] = "ik", [SYS_setpriority] = "iki",
    [SYS_sched_getaffinity] = "knb", [SYS_sched_setaffinity] = "knb", [SYS_mlock] = "mn", [SYS_munlock] = "mn",
    [SYS_prctl] = "ibbbb", [SYS_mount] = "ppplb", [SYS_umount2] = "pi", [SYS_readahead] = "fon", [SYS_setxattr] = "ppbni",
    [SYS_getxattr] = "ppbn", [SYS_listxattr] = "pbn", [SYS_fgetxattr] = "fpbn", [SYS_tkill] = "ks", [SYS_time] = "b",
    [SYS_futex] = "bIitbi", [SYS_epoll_create] = "i", [SYS_getdents64] = "fbn", [SYS_set_tid_address] = "b",
    [SYS_fadvise64] = "foni", [SYS_timer_create] = "ibb", [SYS_timer_settime] = "iitb", [SYS_timer_gettime] = "ib",
    [SYS_timer_delete] = "i", [SYS_clock_gettime] = "ib", [SYS_clock_getres] = "ib", [SYS_clock_nanosleep] = "ilt b",
    [SYS_epoll_wait] = "fbii", [SYS_epoll_ctl] = "fifb", [SYS_tgkill] = "kks", [SYS_utimes] = "pb", [SYS_waitid] = "ikbl",
    [SYS_openat] = "fpll", [SYS_mkdirat] = "fpl", [SYS_mknodat] = "fpll", [SYS_fchownat] = "fpiil", [SYS_futimesat] = "fpb",
    [SYS_newfstatat] = "fpbl", [SYS_unlinkat] = "fpl", [SYS_renameat] = "fpfp", [SYS_linkat] = "fpfpl",
    [SYS_symlinkat] = "pfp", [SYS_readlinkat] = "fpbn", [SYS_fchmodat] = "fpl", [SYS_faccessat] = "fpi",
    [SYS_pselect6] = "ibbbtb", [SYS_ppoll] = "bitbE", [SYS_set_robust_list] = "bn", [SYS_get_robust_list] = "kbb",
    [SYS_splice] = "fbfbnl", [SYS_tee] = "ffnl", [SYS_sync_file_range] = "fonl", [SYS_vmsplice] = "fvil",
    [SYS_utimensat] = "fptl", [SYS_epoll_pwait] = "fbiibE", [SYS_signalfd] = "fbE", [SYS_timerfd_create] = "il",
    [SYS_fallocate] = "flon", [SYS_timerfd_settime] = "fltb", [SYS_timerfd_gettime] = "fb", [SYS_signalfd4] = "fbEl",
    [SYS_eventfd2] = "il", [SYS_dup3] = "ffl", [SYS_pipe2] = "bl", [SYS_preadv] = "fvio", [SYS_pwritev] = "fvio",
    [SYS_prlimit64] = "kibb", [SYS_syncfs] = "f", [SYS_getcpu] = "bb", [SYS_renameat2] = "fpfpi", [SYS_getrandom] = "bnl",
    [SYS_memfd_create] = "pl", [SYS_copy_file_range] = "fbfbnl", [SYS_preadv2] = "fviool", [SYS_pwritev2] = "fviool",
    [SYS_statx] = "fplib", [SYS_close_range] = "fil", [SYS_pidfd_open] = "kl", [SYS_openat2] = "fpbn",
    [SYS_faccessat2] = "fpil", [SYS_epoll_pwait2] = "fbitbE", [SYS_socket] = "iii", [SYS_socketpair] = "iiib",
    [SYS_bind] = "fbn", [SYS_connect] = "fbn", [SYS_sendto] = "fbnlbn", [SYS_recvfrom] = "fbnlbb", [SYS_sendmsg] = "fbl",
    [SYS_recvmsg] = "fbl", [SYS_accept4] = "fbbl", [SYS_getsockopt] = "fiibb", [SYS_setsockopt] = "fiibn", [SYS_listen] = "fi",
    [SYS_mq_open] = "pllb", [SYS_shmget] = "inl", [SYS_shmat] = "iml", [SYS_semget] = "iil", [SYS_msgget] = "il",
    [SYS_inotify_add_watch] = "fpl", [SYS_process_vm_readv] = "kvivil", [SYS_process_vm_writev] = "kvivil",
    [SYS_rseq] = "bnii", [SYS_chroot] = "p", [SYS_sethostname] = "bn", [SYS_mlock2] = "mnl", [SYS_membarrier] = "lii",
};

static uint64_t next(struct state *s) {
  uint64_t x = s->random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  s->random = x;
  return x * 0x2545F4914F6CDD1DULL;
}

static uint64_t below(struct state *s, uint64_t limit) { return (next(s) >> 11) % limit; }

static uint64_t value(struct state *s) {
  static const uint64_t edges[] = {
      0, 1, 2, 7, 8, 16, 24, 64, 100, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 4097, 65535, 65536,
      1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffff, 0x7ffffffff000, 0x800000000000,
      0x1fffffffffffff, 0x20000000000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffff800000000000,
      0xffffffff80000000, (uint64_t)-1, (uint64_t)-2, (uint64_t)-100, (uint64_t)-4096, (uint64_t)-4095, 1000000000, 999999999};
  switch (below(s, 16)) {
    case 0: case 1: case 2: return below(s, 24);
    case 3: return edges[below(s, sizeof edges / sizeof *edges)];
    case 4: return 1ULL << below(s, 64);
    case 5: return next(s) & next(s) & 0xffffffff;
    case 6: return next(s);
    case 7: case 8: return (uint64_t)s->window + below(s, WINDOW);
    case 9: return (uint64_t)s->window + (below(s, WINDOW) & ~7UL);
    case 10: return (uint64_t)s->window + WINDOW + 8192 - below(s, 12288);
    case 11: case 12: return (uint64_t)paths[below(s, PATHS)];
    case 13: return 3 + below(s, 12);
    case 14: return below(s, 2) ? (uint64_t)getpid() : below(s, 65536);
    default: return (below(s, 64)) * 4096;
  }
}

static uint64_t pointer(struct state *s, uint64_t align) { return (uint64_t)s->window + (below(s, WINDOW - 256) & ~(align - 1)); }

static uint64_t shaped(struct state *s, char kind) {
  uint64_t *at;
  switch (kind) {
    case 'f': return below(s, 12) == 0 ? (uint64_t)AT_FDCWD : 3 + below(s, 14);
    case 'p': return (uint64_t)paths[below(s, PATHS)];
    case 'b': return below(s, 12) == 0 ? 0 : pointer(s, 8);
    case 'n': return below(s, 3) ? below(s, 300) : below(s, 2) ? below(s, 70000) : 4096 * below(s, 20);
    case 'i': return below(s, 12);
    case 'I': return below(s, 2) ? 0x5400 + below(s, 100) : below(s, 16) | (below(s, 2) << 7);
    case 'l': return below(s, 3) == 0 ? 0 : below(s, 2) ? 1ULL << below(s, 24) : next(s) & 0x3fffff & next(s);
    case 'o': return below(s, 4) ? below(s, 100000) : 1ULL << below(s, 63);
    case 's': return below(s, 66);
    case 'k': return below(s, 2) ? 0 : (uint64_t)getpid();
    case 'E': return 8;
    case 'm': return (uint64_t)s->window + WINDOW - 4096 * (below(s, 6)) + 4096;
    case 't':
      at = (uint64_t *)pointer(s, 8);
      at[0] = 0, at[1] = below(s, 3000000), at[2] = 0, at[3] = below(s, 3000000);
      return (uint64_t)at;
    case 'v':
      at = (uint64_t *)pointer(s, 16);
      for (int i = 0; i < 12; i += 2) at[i] = below(s, 8) ? pointer(s, 1) : value(s), at[i + 1] = below(s, 5000);
      return (uint64_t)at;
    default: return value(s);
  }
}

static long call(long n, const uint64_t *a) {
  register long r10 __asm__("r10") = a[3];
  register long r8 __asm__("r8") = a[4];
  register long r9 __asm__("r9") = a[5];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

// Numbers that would only end or stop the caller.
static int is_dull(long n) {
  return n == SYS_exit || n == SYS_exit_group || n == SYS_rt_sigreturn;
}

static int makes_process(long n) { return n == SYS_fork || n == SYS_vfork || n == SYS_clone || n == SYS_clone3; }

static int kills(long n) {
  return n == SYS_kill || n == SYS_tkill || n == SYS_tgkill || n == SYS_rt_sigqueueinfo || n == SYS_rt_tgsigqueueinfo ||
         n == SYS_pidfd_send_signal || n == SYS_prlimit64 || n == SYS_reboot;
}

static void one(struct state *s) {
  long n = below(s, LAST_NUMBER + 1);
  // Most numbers without a shape are unsupported, or take nothing.
  if (shapes[n] == NULL && below(s, 3) != 0) n = below(s, LAST_NUMBER + 1);
  uint64_t a[6];
  for (int i = 0; i < 6; i++) a[i] = value(s);
  const char *shape = shapes[n];
  if (shape != NULL && below(s, 8) != 0)
    for (int i = 0; i < 6 && shape[i] != 0; i++)
      if (below(s, 16) != 0) a[i] = shaped(s, shape[i]);
  // Words of the window are drawn like arguments, so that vectors, times and masks are half valid.
  for (int i = below(s, 24); i > 0; i--) ((uint64_t *)s->window)[below(s, WINDOW / 8)] = value(s);
  if (is_dull(n) && below(s, 200) != 0) return;
  if ((n == SYS_pause || n == SYS_rt_sigsuspend || n == SYS_execve || n == SYS_execveat) && below(s, 20) != 0) return;
  if (kills(n)) {
    // The supervisor and its like shall live: themselves, or nobody.
    if (below(s, 2)) a[0] = getpid();
    else a[0] = 100000 + below(s, 1000);
    if (n == SYS_kill && below(s, 4) && a[1] == SIGKILL) return;
    if (n == SYS_reboot) return;
  }
  // Memory that the process stands on goes seldom.
  if ((n == SYS_munmap || n == SYS_mprotect || n == SYS_mremap || n == SYS_mmap || n == SYS_brk) && below(s, 8) != 0)
    a[0] = (uint64_t)s->window + WINDOW - 4096 + below(s, 4) * 4096;
  if ((n == SYS_clone || n == SYS_clone3) && below(s, 4) != 0) a[0] = SIGCHLD, a[1] = 0;
  if (n == SYS_arch_prctl && below(s, 8) != 0) a[0] = 0x1003;
  pid_t before = makes_process(n) ? getpid() : 0;
  __sync_fetch_and_add(&shared->calls, 1);
  long result = call(n, a);
  if (result == 0 && makes_process(n) && getpid() != before && s->left > 20) s->left = 20;
}

static void handler(int signo) { (void)signo; }

static void *worker(void *argument) {
  struct state *s = argument;
  while (s->left-- > 0 && shared->calls < calls_wanted) one(s);
  syscall(SYS_exit, 0);
  return NULL;
}

static void process(uint64_t seed, int threads) {
  char name[64];
  snprintf(name, sizeof name, "/tmp/fuzz.%d", getpid());
  // A process before this one may have made everything read-only: the calls come all the same.
  mkdir(name, 0777);
  if (chdir(name)) fprintf(stderr, "%s: no directory\n", name);
  mkdir("dir", 0777);
  mkfifo("fifo", 0666);
  if (symlink("a", "link") || symlink("loop", "loop")) fprintf(stderr, "%s: no links\n", name);
  dup2(open("a", O_RDWR | O_CREAT, 0666), 3);
  int pair[2];
  if (pipe2(pair, O_NONBLOCK)) _exit(1);
  open("dir", O_RDONLY);
  open("/dev/zero", O_RDWR);
  eventfd(1, EFD_NONBLOCK);
  epoll_create1(0);
  timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)) {
  }
  for (int i = 1; i < 32; i++)
    if (i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGBUS && i != SIGILL && i != SIGTRAP && i != SIGFPE) {
      struct sigaction sa = {.sa_handler = handler};
      sigaction(i, &sa, NULL);
    }
  struct itimerval every = {{0, 20000}, {0, 20000}};
  setitimer(ITIMER_REAL, &every, NULL);
  static struct state states[16];
  for (int i = 0; i < threads; i++) {
    states[i].random = seed * 0x9e3779b97f4a7c15ULL + i * 7919 + 1;
    for (int k = 0; k < 8; k++) next(&states[i]);
    states[i].left = 4000;
    states[i].window = mmap(NULL, WINDOW + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int k = 0; k < WINDOW / 8; k++) ((uint64_t *)states[i].window)[k] = value(&states[i]);
    mprotect(states[i].window + WINDOW, 4096, PROT_READ);
    mprotect(states[i].window + WINDOW + 4096, 4096, PROT_NONE);
  }
  for (int i = 1; i < threads; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, worker, &states[i]);
  }
  worker(&states[0]);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  uint64_t seed = strtoull(argv[1], NULL, 0);
  calls_wanted = atol(argv[2]);
  int processes = atoi(argv[3]), threads = atoi(argv[4]);
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGHUP, SIG_IGN);
  pid_t children[16] = {0};
  long seen[16] = {0};
  long last = 0;
  int idle = 0;
  while (shared->calls < calls_wanted) {
    for (int i = 0; i < processes; i++) {
      if (children[i] > 0) continue;
      seed++;
      children[i] = fork();
      if (children[i] == 0) {
        setsid();
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++) dup2(null, fd);
        close(null);
        process(seed, threads);
        _exit(0);
      }
    }
    struct timespec pause = {0, 5000000};
    nanosleep(&pause, NULL);
    for (int status, pid; (pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0;)
      for (int i = 0; i < processes; i++)
        if (children[i] == pid) children[i] = 0, shared->deaths++;
    // Nothing moves: everybody sleeps for ever.
    idle = shared->calls == last ? idle + 1 : 0;
    last = shared->calls;
    if (idle > 20) {
      for (int i = 0; i < processes; i++)
        if (children[i] > 0) kill(children[i], SIGKILL);
      idle = 0;
    }
  }
  // What is left of it are its children, directly or as their subreaper.
  for (;;) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", getpid(), getpid());
    for (int i = 0; i < processes; i++)
      if (children[i] > 0) kill(children[i], SIGKILL);
    kill(-1, SIGKILL);
    int status;
    if (waitpid(-1, &status, __WALL) < 0) break;
  }
  printf("%ld calls, %ld deaths\n", shared->calls, shared->deaths);
  return 0;
}
