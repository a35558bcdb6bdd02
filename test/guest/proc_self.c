/* What /proc says about ourselves. */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int contains(const char *path, const char *text) {
    FILE *f = fopen(path, "r");
    if (!f) return printf("%s: %s\n", path, strerrorname_np(errno)), 0;
    char line[4096];
    int found = 0;
    while (fgets(line, sizeof line, f)) found |= strstr(line, text) != NULL;
    fclose(f);
    return found;
}

int main(int argc, char **argv) {
    (void)argc;
    char path[4096] = {0}, text[100];
    if (readlink("/proc/self", path, sizeof path) < 0) return 1;
    printf("self is pid %d\n", atoi(path) == getpid());
    memset(path, 0, sizeof path);
    if (readlink("/proc/self/exe", path, sizeof path) < 0) return 1;
    printf("exe %d\n", strstr(path, "proc_self") != NULL);
    memset(path, 0, sizeof path);
    char cwd[4096];
    if (readlink("/proc/self/cwd", path, sizeof path) < 0 || !getcwd(cwd, sizeof cwd)) return 1;
    printf("cwd %d\n", strcmp(path, cwd) == 0);
    printf("maps: stack %d heap %d self %d\n", contains("/proc/self/maps", "[stack]"), (malloc(10), contains("/proc/self/maps", "[heap]")), contains("/proc/self/maps", "proc_self"));
    snprintf(text, sizeof text, "Pid:\t%d\n", getpid());
    printf("status %d %d\n", contains("/proc/self/status", text), contains("/proc/self/status", "State:\tR"));
    snprintf(text, sizeof text, "%d (", getpid());
    printf("stat %d\n", contains("/proc/self/stat", text));
    printf("cmdline %d\n", contains("/proc/self/cmdline", argv[0]));
    printf("comm %d\n", contains("/proc/self/comm", "proc_self"));
    printf("mounts %d meminfo %d cpuinfo %d uptime %d\n", contains("/proc/mounts", " / "), contains("/proc/meminfo", "MemTotal:"),
           contains("/proc/cpuinfo", "flags"), contains("/proc/uptime", "."));
    int fd = open("/dev/null", O_RDONLY);
    snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
    memset(path, 0, sizeof path);
    if (readlink(text, path, sizeof path) < 0) return 1;
    printf("fd %s\n", path);
    int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_PATH};
    for (int i = 0; i < 4; i++) {
        close(fd);
        struct stat st;
        if (open("/dev/null", modes[i]) != fd || lstat(text, &st) < 0) return 1;
        printf("link of a file open %d: %o\n", i, st.st_mode);
    }
    close(fd);
    fd = open("/dev/null", O_RDONLY);
    int again = open(text, O_RDONLY);
    printf("reopened %d\n", again >= 0);
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir)) n++;
    closedir(dir);
    printf("descriptors listed %d\n", n >= 5);
    dir = opendir("/proc/self/task");
    n = 0;
    while (readdir(dir)) n++;
    printf("threads %d\n", n - 2);
    printf("missing %s\n", open("/proc/999999/stat", O_RDONLY) < 0 ? strerrorname_np(errno) : "?");
    char c;
    fd = open("/proc/sys/kernel/hostname", O_RDONLY);
    printf("hostname readable %d\n", fd >= 0 && read(fd, &c, 1) == 1);
    static const char *const spaces[] = {"cgroup", "ipc", "mnt", "pid", "pid_for_children", "user", "uts"};
    for (unsigned i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        snprintf(text, sizeof text, "/proc/self/ns/%s", spaces[i]);
        memset(path, 0, sizeof path);
        long n = readlink(text, path, sizeof path);
        printf("namespace %ld %.*s %d\n", n, (int)strcspn(path, "0123456789"), path, atol(path + strcspn(path, "0123456789")) > 4026531830);
    }
    prctl(PR_SET_TIMERSLACK, 12345);
    personality(0x0400000);
    printf("slack %d personality %d\n", contains("/proc/self/timerslack_ns", "12345\n"), contains("/proc/self/personality", "00400000\n"));
    printf("rollup %d %d\n", contains("/proc/self/smaps_rollup", "---p 00000000 00:00 0 "), contains("/proc/self/smaps_rollup", "Rss: "));
    printf("terminals %d pages %d arch %d last %d\n", contains("/proc/tty/drivers", "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"),
           contains("/proc/vmstat", "nr_free_pages "), contains("/proc/sys/kernel/arch", "x86_64\n"), access("/proc/sys/kernel/ns_last_pid", R_OK));
    printf("files %d inodes %d\n", contains("/proc/sys/fs/file-nr", "\t0\t"), contains("/proc/sys/fs/inode-nr", "\t"));
    return 0;
}
