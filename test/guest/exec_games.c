// execve: arguments, environment, descriptors, scripts, errors, threads.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int status_of(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void write_file(const char *name, const char *text, int mode) {
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (write(fd, text, strlen(text)) < 0) exit(1);
  close(fd);
  chmod(name, mode);
}

static void try_exec(const char *name) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"argv0", "x y", NULL}, *env[] = {"ONLY=this", NULL};
    execve(name, argv, env);
    _exit(errno);
  }
  printf("%s: %d\n", name, status_of(child));
}

static void *exec_from_thread(void *arg) {
  char *argv[] = {arg, "again", NULL};
  execv("/proc/self/exe", argv);
  return NULL;
}
static void on_signal(int n) { (void)n; }
static void *idle(void *arg) {
  (void)arg;
  for (;;) pause();
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "again") == 0) {
    printf("again: argv[0] %s, fd 50 %d, fd 51 %d\n", argv[0], fcntl(50, F_GETFD), fcntl(51, F_GETFD));
    struct sigaction act;
    sigaction(SIGUSR1, NULL, &act);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    printf("handler kept %d mask kept %d\n", act.sa_handler != SIG_DFL, sigismember(&mask, SIGHUP));
    sigaction(SIGUSR2, NULL, &act);
    printf("ignored kept %d\n", act.sa_handler == SIG_IGN);
    printf("is leader %d\n", getpid() == gettid());
    return 42;
  }
  char dir[] = "/tmp/exec_games_XXXXXX";
  if (!mkdtemp(dir) || chdir(dir)) return 1;
  write_file("script", "#!/bin/sh -e\necho script \"$0\" \"$@\" $ONLY\nexit 6\n", 0755);
  write_file("nested", "#!./script one two\n", 0755);
  write_file("noexec", "#!/bin/sh\n", 0644);
  write_file("text", "just text\n", 0755);
  write_file("empty", "", 0755);
  write_file("badinterp", "#!/no/such/interpreter\n", 0755);
  write_file("loop", "#!./loop\n", 0755);
  write_file("elfish", "\177ELF and no more", 0755);
  write_file("dirinterp", "#!/tmp\n", 0755);
  mkdir("directory", 0755);
  const char *names[] = {"./script", "./nested", "./noexec", "./text",      "./empty",     "./badinterp", "./loop",
                         "./elfish", "./missing", "",        "./directory", "./dirinterp", "./script/x",  "/proc/self/mem"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) try_exec(names[i]);

  char **volatile bad_pointer = (char **)8;
  char *too_long = malloc(200000);
  memset(too_long, 'a', 199999);
  too_long[199999] = 0;
  char *big[] = {"x", too_long, NULL};
  printf("long argument %d", execv("/bin/true", big));
  printf(" errno %d\n", errno);
  printf("bad pointer %d", execve("/bin/true", bad_pointer, environ));
  printf(" errno %d\n", errno);

  pid_t child;
  char *echo[] = {"echo", "spawned", "$HOME", NULL};
  fflush(stdout);
  int error = posix_spawn(&child, "/bin/echo", NULL, NULL, echo, environ);
  printf("spawn %d status %d\n", error, status_of(child));
  error = posix_spawn(&child, "/no/such", NULL, NULL, echo, environ);
  printf("spawn missing %d\n", error);
  fflush(stdout);
  printf("system %d\n", WEXITSTATUS(system("echo from system; exit 4")));
  FILE *in = popen("echo a b | tr a-z A-Z", "r");
  char line[64] = "";
  if (!fgets(line, sizeof line, in)) return 1;
  printf("popen %s", line);
  printf("pclose %d\n", pclose(in));
  fflush(stdout);
  child = vfork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit 3", NULL);
    _exit(1);
  }
  printf("vfork %d\n", status_of(child));
  int script = open("script", O_RDONLY);
  child = fork();
  if (child == 0) {
    char *args[] = {"f", NULL};
    fexecve(script, args, environ);
    _exit(errno);
  }
  fflush(stdout);
  printf("fexecve script %s\n", status_of(child) == 6 ? "ran" : "?");

  if (dup2(1, 50) < 0 || dup3(1, 51, O_CLOEXEC) < 0) return 1;
  signal(SIGUSR1, on_signal);
  signal(SIGUSR2, SIG_IGN);
  sigset_t hup;
  sigemptyset(&hup);
  sigaddset(&hup, SIGHUP);
  sigprocmask(SIG_BLOCK, &hup, NULL);
  fflush(stdout);
  pthread_t t;
  pthread_create(&t, NULL, idle, NULL);
  pthread_create(&t, NULL, exec_from_thread, "from-thread");
  for (;;) pause();
}
