// Handlers, masks, restarts, alternate stacks, default actions.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t seen[65];
static volatile int order[16], ordered;
static volatile int code, sender_ok, value;
static char alternate[65536];
static volatile int on_alternate;

static void count(int n) {
  seen[n]++;
  if (ordered < 16) order[ordered++] = n;
}
static void detailed(int n, siginfo_t *info, void *context) {
  count(n);
  code = info->si_code;
  sender_ok = info->si_pid == getpid() && info->si_uid == getuid();
  value = info->si_value.sival_int;
  char here;
  on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
  (void)context;
}

static void handle(int n, void (*f)(int), int flags) {
  struct sigaction act = {.sa_handler = f, .sa_flags = flags};
  sigaction(n, &act, NULL);
}

static void show(const char *what, int result) { printf("%s %d errno %d\n", what, result, result < 0 ? errno : 0); }
static int status_of_child(int number, void (*disposition)(int)) {
  pid_t child = fork();
  if (child == 0) {
    signal(number, disposition);
    raise(number);
    _exit(5);
  }
  int status;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// Sends a signal to a process that waits for it: whether it blocks it, and what its action is, decide as ever.
static void await(int signo, int blocked, void (*action)(int)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    signal(signo, action);
    sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
    struct timespec time = {0, 200000000};
    int got = sigtimedwait(&set, NULL, &time);
    _exit(got < 0 ? 100 + errno : got);
  }
  usleep(50000);
  kill(child, signo);
  int status = 0;
  waitpid(child, &status, 0);
  printf("awaited %d blocked %d action %d: %x\n", signo, blocked, action == SIG_DFL ? 0 : action == SIG_IGN ? 1 : 2, status);
}

int main(void) {
  handle(SIGUSR1, count, 0);
  raise(SIGUSR1);
  kill(getpid(), SIGUSR1);
  printf("usr1 %d\n", seen[SIGUSR1]);

  struct sigaction info = {.sa_sigaction = detailed, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR2, &info, NULL);
  kill(getpid(), SIGUSR2);
  printf("kill code %d sender %d\n", code, sender_ok);
  sigaction(SIGRTMIN + 1, &info, NULL);
  sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 77});
  printf("queue code %d value %d\n", code, value);

  // Standard signals do not queue, real-time ones do; lower numbers come first.
  sigset_t all, old, pending;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &old);
  ordered = 0;
  handle(SIGRTMIN + 2, count, 0);
  for (int i = 0; i < 3; i++) sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i});
  for (int i = 0; i < 3; i++) kill(getpid(), SIGUSR1);
  sigpending(&pending);
  printf("pending %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGRTMIN + 2),
         sigismember(&pending, SIGUSR2));
  sigprocmask(SIG_SETMASK, &old, NULL);
  printf("delivered %d:", ordered);
  for (int i = 0; i < ordered; i++) printf(" %d", order[i] == SIGUSR1 ? 0 : order[i] - SIGRTMIN);
  printf("\n");

  // A handler's own signal is blocked while it runs, unless SA_NODEFER; SA_RESETHAND is one shot.
  handle(SIGUSR1, count, SA_RESETHAND);
  raise(SIGUSR1);
  struct sigaction now;
  sigaction(SIGUSR1, NULL, &now);
  printf("reset %d\n", now.sa_handler == SIG_DFL);

  // read: EINTR without SA_RESTART, goes on with it.
  int p[2];
  if (pipe(p)) return 1;
  for (int restart = 0; restart < 2; restart++) {
    handle(SIGALRM, count, restart ? SA_RESTART : 0);
    struct itimerval soon = {.it_value = {0, 20000}};
    pid_t writer = fork();
    if (writer == 0) {
      usleep(150000);
      if (write(p[1], "x", 1) != 1) _exit(1);
      _exit(0);
    }
    setitimer(ITIMER_REAL, &soon, NULL);
    char c;
    ssize_t n = read(p[0], &c, 1);
    printf("read restart=%d: %zd errno %d\n", restart, n, n < 0 ? errno : 0);
    waitpid(writer, NULL, 0);
    if (n < 0 && read(p[0], &c, 1) != 1) return 1;
  }

  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  printf("sigaltstack %d\n", sigaltstack(&stack, NULL));
  info.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGUSR2, &info, NULL);
  raise(SIGUSR2);
  printf("on alternate %d\n", on_alternate);
  stack.ss_size = 100;
  show("too small", sigaltstack(&stack, NULL));

  // sigsuspend and sigwait.
  sigset_t block, empty;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  sigemptyset(&empty);
  handle(SIGUSR1, count, 0);
  sigprocmask(SIG_BLOCK, &block, NULL);
  raise(SIGUSR1);
  int before = seen[SIGUSR1], result = sigsuspend(&empty);
  printf("sigsuspend %d errno %d came %d\n", result, errno, seen[SIGUSR1] - before);
  raise(SIGUSR1);
  int number = 0;
  printf("sigwait %d", sigwait(&block, &number));
  printf(" %d\n", number == SIGUSR1);
  struct timespec none = {0, 1000000};
  show("sigtimedwait", sigtimedwait(&block, NULL, &none));

  const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGUSR1,
                       SIGBUS, SIGSYS, SIGXCPU, SIGIO, SIGPWR, SIGVTALRM, SIGPROF, SIGSTKFLT, SIGTRAP, 40, 64};
  fflush(stdout);
  sigprocmask(SIG_UNBLOCK, &block, NULL);
  for (unsigned i = 0; i < sizeof fatal / sizeof *fatal; i++)
    printf("%d:%d/%d ", fatal[i], status_of_child(fatal[i], SIG_DFL), status_of_child(fatal[i], SIG_IGN));
  printf("\nignored by default %d %d %d\n", status_of_child(SIGCHLD, SIG_DFL), status_of_child(SIGURG, SIG_DFL),
         status_of_child(SIGWINCH, SIG_DFL));
  const int awaited[] = {SIGUSR1, SIGCHLD, SIGWINCH, SIGURG, SIGTERM, SIGCONT, 40};
  for (unsigned i = 0; i < sizeof awaited / sizeof *awaited; i++)
    for (int blocked = 0; blocked < 2; blocked++) {
      await(awaited[i], blocked, SIG_DFL);
      await(awaited[i], blocked, SIG_IGN);
      await(awaited[i], blocked, count);
    }
  show("bad", kill(getpid(), 65));
  printf("none %d\n", kill(getpid(), 0));
  printf("cannot catch %d\n", signal(SIGKILL, count) == SIG_ERR);
  return 0;
}
