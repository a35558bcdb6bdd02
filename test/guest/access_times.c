// What moves access times: reading files, directories and links, once after each change.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct stat before;

static int later(struct timespec a, struct timespec b) {
  return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

// Longer than the clock takes to tick that stamps files.
static void look(const char *path) {
  usleep(20000);
  lstat(path, &before);
}

static void say(const char *what, const char *path) {
  struct stat now;
  lstat(path, &now);
  printf("%s: atime %d mtime %d ctime %d\n", what, later(now.st_atim, before.st_atim),
         later(now.st_mtim, before.st_mtim), later(now.st_ctim, before.st_ctim));
}

#define SAY(path, expression) (look(path), (void)(expression), say(#expression, path))

static int list(const char *path) {
  DIR *directory = opendir(path);
  int count = 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

static char text[4096], *volatile nowhere;

static void links(void) {
  struct stat status;
  SAY("l", lstat("l", &status));
  SAY("l", stat("l", &status));
  SAY("l", stat("l", &status));
  SAY("l", readlink("l", text, sizeof text));
  SAY("ld", access("ld/x", F_OK));
  SAY("ld", access("ld/x", F_OK));
  unlink("l");
  if (symlink("f", "l") != 0) return;
  SAY("l", open("l", O_PATH | O_NOFOLLOW));
  SAY("l", open("l", O_RDONLY | O_NOFOLLOW));
  SAY("l", readlink("l", text, sizeof text));
  SAY("l", readlink("l", text, sizeof text));
}

static void files(void) {
  int fd = open("f", O_RDWR), quiet = open("f", O_RDONLY | O_NOATIME);
  SAY("f", pread(fd, text, 10, 0));
  SAY("f", pread(fd, text, 10, 0));
  SAY("f", pwrite(fd, "abc", 3, 0));
  SAY("f", pread(quiet, text, 10, 0));
  SAY("f", pread(fd, text, 10, 100));
  SAY("f", pread(fd, text, 10, 0));
  SAY("f", fchmod(fd, 0600));
  SAY("f", pread(fd, nowhere, 10, 0));
  SAY("f", pread(fd, text, 10, 0));
  SAY("f", ftruncate(fd, 2));
  SAY("f", mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
  SAY("f", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
  close(fd);
  close(quiet);
}

static void directories(void) {
  SAY("d", list("d"));
  SAY("d", list("d"));
  SAY("d", mkdir("d/e", 0777));
  SAY("d", access("d/e", F_OK));
  SAY("d", list("d"));
  rmdir("d/e");
}

int main(void) {
  char directory[] = "/dev/shm/access_times.XXXXXX";
  if (mkdtemp(directory) == NULL || chdir(directory) != 0 || mkdir("d", 0777) != 0) return 1;
  close(open("f", O_CREAT | O_RDWR, 0666));
  close(open("d/x", O_CREAT | O_RDWR, 0666));
  if (symlink("f", "l") != 0 || symlink("d", "ld") != 0) return 1;
  for (int i = 0; i < 2; i++) {
    links();
    files();
    directories();
  }
  static const char *const made[] = {"f", "l", "ld", "d/x"};
  for (unsigned i = 0; i < sizeof made / sizeof *made; i++) unlink(made[i]);
  rmdir("d");
  if (chdir("/") != 0) return 1;
  return rmdir(directory);
}
