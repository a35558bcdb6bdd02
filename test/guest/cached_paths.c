// openat2 with RESOLVE_CACHED: where a walk of cached names alone stops, and what it is sure of.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *const paths[] = {
    "f",     "f/",     "f/x",      "f/x/",     "f/.",    "f/..",       "f//x",    "d",          "d/",
    "d/f",   "d/f/x",  "d//f//x",  "d/./f/x",  "d/../f", "d/../f/x",   "d/..",    "d/.",        "no",
    "no/x",  "d/no",   "d/no/",    "d/no/x",   "..",     ".",          "/",       "lf",         "lf/",
    "lf/x",  "ld",     "ld/",      "ld/f",     "ld/no",  "ld/f/x",     "ld/../f", "ld/../f/x",  "lno",
    "lno/",  "lno/x",  "loop",     "loop/x",   "labs",   "closed",     "closed/", "closed/f",   "closed/no",
    "secret", "",      "closed/f/x",
};
static const char *const links[] = {"lf", "ld", "lno", "loop", "labs"};
static const unsigned resolves[] = {0, RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT, RESOLVE_BENEATH};
static const unsigned flags[] = {
    0, O_DIRECTORY, O_PATH, O_NOFOLLOW, O_PATH | O_NOFOLLOW, O_WRONLY, O_EXCL, O_PATH | O_DIRECTORY,
};

static void try(const char *path, unsigned resolve) {
  printf("%.10s %zu %x:", path, strlen(path), resolve);
  for (unsigned i = 0; i < COUNT(flags); i++) {
    struct open_how how = {.flags = flags[i], .resolve = RESOLVE_CACHED | resolve};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    printf(" %s", fd < 0 ? strerrorname_np(errno) : "open");
    if (fd >= 0) close(fd);
  }
  printf("\n");
}

static void make(const char *name, mode_t mode) { close(open(name, O_CREAT | O_RDWR, mode)); }

int main(void) {
  char directory[] = "/dev/shm/cached_paths.XXXXXX", name[700];
  if (mkdtemp(directory) == NULL || chmod(directory, 0777) != 0 || chdir(directory) != 0) return 1;
  // Permissions are somebody's who has no rights beyond them.
  pid_t child = getuid() == 0 ? fork() : 0;
  if (child == 0 && (getuid() != 0 || (setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0))) {
    make("f", 0666);
    make("secret", 0);
    if (mkdir("d", 0777) != 0 || mkdir("closed", 0777) != 0) return 1;
    make("d/f", 0666);
    make("closed/f", 0666);
    if (symlink("f", "lf") + symlink("d", "ld") + symlink("no", "lno") + symlink("loop", "loop") != 0) return 1;
    if (symlink("/dev", "labs") != 0 || chmod("closed", 0) != 0) return 1;
    // A link whose access time has to move is not followed.
    struct stat status;
    usleep(20000);
    for (unsigned i = 0; i < COUNT(links); i++) {
      for (unsigned r = 0; r < COUNT(resolves); r++) try(links[i], resolves[r]);
      stat(links[i], &status);
    }
    for (unsigned r = 0; r < COUNT(resolves); r++) {
      for (unsigned p = 0; p < COUNT(paths); p++) try(paths[p], resolves[r]);
      for (int place = 0; place < 3; place++) {
        const char *before = place == 2 ? "d/" : "", *after = place == 1 ? "/x" : "";
        snprintf(name, sizeof name, "%s%0300d%s", before, 0, after);
        try(name, resolves[r]);
      }
    }
    fflush(stdout);
    chmod("closed", 0777);
    static const char *const made[] = {"d/f", "closed/f", "f", "secret"};
    for (unsigned i = 0; i < COUNT(made); i++) unlink(made[i]);
    for (unsigned i = 0; i < COUNT(links); i++) unlink(links[i]);
    rmdir("d");
    rmdir("closed");
    if (getuid() == 1234) _exit(0);
  }
  while (wait(NULL) >= 0) {
  }
  chdir("/");
  return rmdir(directory) == 0 ? 0 : 2;
}
