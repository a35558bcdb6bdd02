/* One process reads all of /proc in a loop while others come, change everything that it looks at, and go. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static long reads;

static void look(int dir, const char *name, int depth) {
    char buf[4096];
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if (S_ISLNK(st.st_mode)) {
        readlinkat(dir, name, buf, sizeof buf);
        close(openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_PATH));
    } else if (S_ISDIR(st.st_mode) && depth < 4) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY);
        DIR *list = fd < 0 ? NULL : fdopendir(fd);
        if (!list) {
            if (fd >= 0) close(fd);
            return;
        }
        for (struct dirent *e; (e = readdir(list));)
            if (e->d_name[0] != '.') look(dirfd(list), e->d_name, depth + 1);
        closedir(list);
    } else if (S_ISREG(st.st_mode)) {
        int fd = openat(dir, name, O_RDONLY | O_NONBLOCK);
        if (fd < 0) return;
        for (int i = 0; i < 3 && read(fd, buf, sizeof buf) > 0; i++) reads++;
        close(fd);
    }
}

static void *change(void *unused) {
    (void)unused;
    for (int i = 0; i < 20; i++) {
        int fd = open("/dev/null", O_RDONLY);
        dup2(fd, 100 + i * 37);
        char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        p[0] = 1;
        munmap(p, 4096);
        chdir(i % 2 ? "/" : "/tmp");
        close(fd);
    }
    return NULL;
}

static void come_and_go(int number) {
    pthread_t thread;
    pthread_create(&thread, NULL, change, NULL);
    if (number % 4 == 0) setresgid(getgid(), getgid(), getgid());
    change(NULL);
    if (number % 3 == 0) execl("/bin/true", "true", NULL);
    if (number % 3 == 1) pthread_join(thread, NULL);
    _exit(0);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 && atoi(argv[1]) > 0 ? atoi(argv[1]) : 15;
    pid_t reader = fork();
    if (reader == 0) {
        DIR *list = opendir("/proc");
        for (int round = 0;; round++) {
            rewinddir(list);
            for (struct dirent *e; (e = readdir(list));)
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && atoi(e->d_name) > getppid()) look(dirfd(list), e->d_name, 0);
            if (round == 0 && reads == 0) printf("nothing was read\n"), fflush(stdout);
        }
    }
    for (int i = 0; i < rounds; i++) {
        for (int j = 0; j < 4; j++)
            if (fork() == 0) come_and_go(i * 4 + j);
        for (int j = 0; j < 4; j++) wait(NULL);
    }
    kill(reader, SIGKILL);
    while (wait(NULL) > 0);
    printf("%d rounds\n", rounds);
    return 0;
}
