/* Files and directories: what each call returns, and which errno. */
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

static void show(const char *what, long result) {
    if (result < 0) printf("%s: %s\n", what, strerrorname_np(errno));
    else printf("%s: %ld\n", what, result);
}
static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
    DIR *dir = opendir(path);
    char *names[64];
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char text[300];
        snprintf(text, sizeof text, "%s(%d)", e->d_name, e->d_type);
        names[n++] = strdup(text);
    }
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    printf("dir %s:", path);
    for (int i = 0; i < n; i++) printf(" %s", names[i]);
    printf("\n");
}

int main(void) {
    char dir[] = "/tmp/tvisor_files_XXXXXX";
    if (!mkdtemp(dir) || chdir(dir)) return perror("mkdtemp"), 1;
    umask(022);
    int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0666);
    show("open a", fd >= 0 ? 0 : -1);
    show("open a again exclusively", open("a", O_RDWR | O_CREAT | O_EXCL, 0666));
    show("open missing", open("missing", O_RDONLY));
    show("open under a file", open("a/b", O_RDONLY));
    show("write", write(fd, "0123456789", 10));
    show("seek", lseek(fd, 3, SEEK_SET));
    char buf[100] = {0};
    show("read", read(fd, buf, 4));
    printf("[%s]\n", buf);
    show("seek end", lseek(fd, -2, SEEK_END));
    show("seek negative", lseek(fd, -100, SEEK_CUR));
    struct iovec iov[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    show("pwritev", pwritev(fd, iov, 3, 20));
    struct stat st;
    show("fstat", fstat(fd, &st));
    printf("size %ld mode %o nlink %ld blocks>0 %d\n", (long)st.st_size, st.st_mode, (long)st.st_nlink, st.st_blocks > 0);
    memset(buf, 'x', sizeof buf);
    show("pread hole", pread(fd, buf, 30, 8));
    for (int i = 0; i < 17; i++) printf("%02x ", (unsigned char)buf[i]);
    printf("\n");
    show("ftruncate", ftruncate(fd, 5));
    show("size", lseek(fd, 0, SEEK_END));
    show("link", link("a", "b"));
    show("symlink", symlink("a", "s"));
    show("symlink dangling", symlink("nowhere", "d"));
    show("readlink", readlink("s", buf, sizeof buf));
    show("stat through symlink", stat("s", &st));
    printf("nlink %ld regular %d\n", (long)st.st_nlink, S_ISREG(st.st_mode));
    show("lstat", lstat("s", &st));
    printf("link %d size %ld\n", S_ISLNK(st.st_mode), (long)st.st_size);
    show("stat dangling", stat("d", &st));
    show("open nofollow", open("s", O_RDONLY | O_NOFOLLOW));
    show("mkdir", mkdir("dir", 0777));
    show("mkdir again", mkdir("dir", 0777));
    show("mkdir deep", mkdir("dir/sub/deep", 0777));
    show("rmdir file", rmdir("a"));
    show("unlink dir", unlink("dir"));
    show("rename into dir", rename("b", "dir/b2"));
    show("rename dir onto file", rename("dir", "a"));
    show("rename file onto dir", rename("a", "dir"));
    show("rmdir not empty", rmdir("dir"));
    list(".");
    list("dir");
    show("loop", symlink("loop", "loop"));
    show("open loop", open("loop", O_RDONLY));
    show("chmod", chmod("a", 0640));
    show("access", access("a", R_OK | W_OK));
    stat("a", &st);
    printf("mode %o\n", st.st_mode);
    struct timespec times[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
    show("utimensat", utimensat(AT_FDCWD, "a", times, 0));
    stat("a", &st);
    printf("times %ld.%09ld %ld.%09ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    int append = open("a", O_WRONLY | O_APPEND);
    show("append", write(append, "ZZ", 2));
    show("append position", lseek(append, 0, SEEK_CUR));
    show("read of write-only", read(append, buf, 1));
    int dup_fd = dup(fd);
    lseek(fd, 1, SEEK_SET);
    show("dup shares the position", lseek(dup_fd, 0, SEEK_CUR));
    int flags = fcntl(append, F_GETFL);
    printf("flags %o\n", flags & (O_ACCMODE | O_APPEND));
    show("open directory for writing", open("dir", O_WRONLY));
    show("read directory", read(open("dir", O_RDONLY), buf, 10));
    show("close", close(fd));
    show("close again", close(fd));
    char longname[300];
    memset(longname, 'n', 299);
    longname[299] = 0;
    show("name too long", open(longname, O_RDONLY));
    show("empty path", open("", O_RDONLY));
    show("trailing slash", open("a/", O_RDONLY));
    show("mkdir trailing slash", mkdir("t/", 0700));
    show("dot dot", stat("dir/../a", &st));
    show("unlink", unlink("a"));
    show("unlinked file still there", write(append, "Q", 1));
    unlink("s"); unlink("d"); unlink("loop"); unlink("dir/b2"); rmdir("dir"); rmdir("t");
    list(".");
    chdir("/");
    show("remove", rmdir(dir));
    return 0;
}
