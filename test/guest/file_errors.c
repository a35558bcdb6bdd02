// Files and directories through the C library, with every errno on the way printed.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void show(const char *what, long value) { printf("%s %ld errno %d\n", what, value, value < 0 ? errno : 0); }

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
  DIR *dir = opendir(path);
  char *names[64];
  int count = 0;
  for (struct dirent *e; (e = readdir(dir)) && count < 64;) {
    char line[300];
    snprintf(line, sizeof line, "%s/%d", e->d_name, e->d_type);
    names[count++] = strdup(line);
  }
  closedir(dir);
  qsort(names, count, sizeof *names, by_name);
  for (int i = 0; i < count; i++) printf(" %s", names[i]);
  printf("\n");
}

static void about(const char *path) {
  struct stat st;
  if (lstat(path, &st)) {
    show(path, -1);
    return;
  }
  printf("%s: mode %o nlink %ld size %ld blocks>0 %d\n", path, st.st_mode, (long)st.st_nlink,
         S_ISDIR(st.st_mode) ? 0L : (long)st.st_size, st.st_blocks > 0);
}

int main(void) {
  char dir[] = "/tmp/file_errors_XXXXXX";
  umask(022);
  if (!mkdtemp(dir) || chdir(dir)) return 1;
  int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0666);
  show("exclusive again", open("a", O_RDWR | O_CREAT | O_EXCL, 0666));
  show("write", write(fd, "0123456789", 10));
  show("lseek", lseek(fd, -3, SEEK_END));
  char buf[64] = "";
  show("read", read(fd, buf, sizeof buf));
  printf("'%s'\n", buf);
  show("at the end", read(fd, buf, sizeof buf));
  show("pread", pread(fd, buf, 4, 2));
  printf("'%.4s'\n", buf);
  show("pwrite far", pwrite(fd, "far", 3, 100000));
  about("a");
  show("seek data", lseek(fd, 0, SEEK_SET));
  show("bad whence", lseek(fd, 0, 9));
  show("negative", lseek(fd, -1, SEEK_SET));
  struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
  show("writev", writev(fd, v, 3));
  show("ftruncate", ftruncate(fd, 4));
  about("a");
  int copy = dup(fd);
  show("position shared", lseek(copy, 0, SEEK_CUR));
  show("append", open("a", O_WRONLY | O_APPEND) >= 0);
  int app = open("a", O_WRONLY | O_APPEND);
  show("append write", write(app, "XY", 2));
  show("append position", lseek(app, 0, SEEK_CUR));
  show("read of write-only", read(app, buf, 1));
  show("fcntl flags", fcntl(app, F_GETFL) & (O_APPEND | O_ACCMODE));
  show("cloexec", fcntl(app, F_GETFD));
  show("dupfd", fcntl(app, F_DUPFD_CLOEXEC, 40));
  show("cloexec", fcntl(40, F_GETFD));
  show("mkdir", mkdir("d", 0777));
  show("mkdir again", mkdir("d", 0777));
  show("mkdir deep", mkdir("no/such", 0777));
  show("symlink", symlink("a", "link"));
  show("symlink loop", symlink("loop", "loop"));
  show("open loop", open("loop", O_RDONLY));
  show("nofollow", open("link", O_RDONLY | O_NOFOLLOW));
  show("readlink", readlink("link", buf, sizeof buf));
  show("readlink of file", readlink("a", buf, sizeof buf));
  show("link", link("a", "d/hard"));
  about("a");
  show("rename", rename("a", "d/moved"));
  show("rename onto dir", rename("d/moved", "d"));
  show("rename dir into itself", rename("d", "d/x"));
  show("noreplace", renameat2(AT_FDCWD, "d/moved", AT_FDCWD, "d/hard", RENAME_NOREPLACE));
  about("d/moved");
  about("link");
  show("dangling", open("link", O_RDONLY));
  list(".");
  list("d");
  show("rmdir full", rmdir("d"));
  show("unlink dir", unlink("d"));
  show("not a dir", open("d/moved/x", O_RDONLY));
  show("directory only", open("d/moved", O_RDONLY | O_DIRECTORY));
  show("write a dir", open("d", O_WRONLY));
  show("missing", open("missing", O_RDONLY));
  show("long name", open("nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
                         "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
                         "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", O_RDONLY));
  show("empty path", open("", O_RDONLY));
  show("chmod", chmod("d/hard", 0640));
  about("d/hard");
  struct timespec times[2] = {{1000000000, 5}, {1100000000, 123456789}};
  show("utimens", utimensat(AT_FDCWD, "d/hard", times, 0));
  struct stat st;
  stat("d/hard", &st);
  printf("%ld.%09ld %ld.%09ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  struct statx stx;
  show("statx", statx(AT_FDCWD, "d/hard", 0, STATX_BASIC_STATS, &stx));
  printf("%o %lu\n", stx.stx_mode, (unsigned long)stx.stx_size);
  show("access", access("d/hard", R_OK));
  show("access missing", access("d/none", F_OK));
  int tmp = open(".", O_TMPFILE | O_RDWR, 0600);
  show("tmpfile", tmp >= 0);
  show("mkfifo", mkfifo("fifo", 0644));
  about("fifo");
  show("unlink", unlink("d/hard") | unlink("d/moved") | unlink("link") | unlink("loop") | unlink("fifo"));
  show("rmdir", rmdir("d"));
  list(".");
  show("still readable", pread(fd, buf, 64, 0));
  show("getcwd", strcmp(getcwd(buf, sizeof buf), dir));
  show("rmdir cwd", rmdir(dir));
  show("getcwd gone", getcwd(buf, sizeof buf) == NULL ? -1 : 0);
  show("close", close(fd));
  show("close again", close(fd));
  show("read closed", read(fd, buf, 1));
  return 0;
}
