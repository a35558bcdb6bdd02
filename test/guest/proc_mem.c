/* /proc/PID/mem: what a debugger reads and writes of itself and of others. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char constant[64] = "constant";
static char variable[8192] = "variable";
static char buf[16384];

static void show(const char *what, long n) {
    if (n < 0) printf("%s: %s\n", what, strerrorname_np(errno));
    else printf("%s: %ld\n", what, n);
}

static int open_mem(pid_t pid, int flags) {
    char path[64];
    sprintf(path, "/proc/%d/mem", pid);
    return open(path, flags);
}

static int __attribute__((noinline, noclone)) answer(void) {
    volatile int value = 0x11223344;
    return value;
}

static void self(void) {
    int fd = open("/proc/self/mem", O_RDWR);
    struct stat st;
    fstat(fd, &st);
    printf("mode %o size %ld\n", st.st_mode, (long)st.st_size);
    show("read", pread(fd, buf, 9, (long)variable));
    printf("%s\n", buf);
    show("write", pwrite(fd, "VARI", 4, (long)variable));
    printf("%s\n", variable);
    show("write constant", pwrite(fd, "CON", 3, (long)constant));
    printf("%s\n", *(const char *volatile *)&(const char *){constant});
    show("nothing there", pread(fd, buf, 8, 4096));
    show("write nothing there", pwrite(fd, buf, 8, 4096));
    show("no bytes", pread(fd, buf, 0, 4096));
    show("kernel's", pread(fd, buf, 8, 0x7ffffffff000 + 4096));
    show("bad buffer", pread(fd, (void *)8, 8, (long)variable));
    show("seek", lseek(fd, (long)variable + 4, SEEK_SET) == (long)variable + 4);
    show("sequential", read(fd, buf, 4));
    show("moved", lseek(fd, 0, SEEK_CUR) - (long)variable);
    show("from the end", lseek(fd, 0, SEEK_END));
    show("map", mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);

    char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + 3 * 4096, 4096);
    strcpy(p, "one"), strcpy(p + 4096, "two");
    mprotect(p, 4096, PROT_NONE), mprotect(p + 4096, 8192, PROT_READ);
    show("protected", pread(fd, buf, 4, (long)p));
    printf("%s\n", buf);
    show("write protected", pwrite(fd, "ONE", 4, (long)p));
    show("write read-only", pwrite(fd, "TWO", 4, (long)p + 4096));
    show("write untouched", pwrite(fd, "THREE", 6, (long)p + 8192));
    mprotect(p, 4096, PROT_READ);
    printf("%s %s %s\n", p, p + 4096, p + 8192);
    show("up to the end", pread(fd, buf, 8192, (long)p + 8192 + 100));
    show("write up to the end", pwrite(fd, buf, 8192, (long)p + 8192 + 100));
    pid_t child = fork();
    if (child == 0) {
        pwrite(fd, "child", 6, (long)p);
        int own = open("/proc/self/mem", O_RDWR);
        pwrite(own, "own", 4, (long)p + 4096);
        _exit(strcmp(p, "ONE") + strcmp(p + 4096, "own"));
    }
    int status;
    waitpid(child, &status, 0);
    printf("fork %d: %s %s\n", status, p, p + 4096);

    char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    show("read shared", pread(fd, buf, 4, (long)shared));
    show("write shared read-only", pwrite(fd, "x", 1, (long)shared));
    mprotect(shared, 4096, PROT_READ | PROT_WRITE);
    show("write shared", pwrite(fd, "x", 1, (long)shared));
    char name[] = "/tmp/proc_mem_XXXXXX";
    int file = mkstemp(name);
    write(file, "file content", 12);
    char *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    show("write mapped file", pwrite(fd, "FILE", 4, (long)mapped));
    pread(file, buf, 13, 0);
    printf("%.12s, %.12s\n", mapped, buf);
    char *far = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0);
    show("behind the file", pread(fd, buf, 8, (long)far + 4096));
    unlink(name);

    /* Code that has run is changed. */
    printf("answer %x", answer());
    unsigned char *code = (unsigned char *)answer;
    for (int i = 0; i < 64; i++)
        if (!memcmp(code + i, "\x44\x33\x22\x11", 4)) {
            pwrite(fd, "\x78\x56\x34\x12", 4, (long)code + i);
            break;
        }
    printf(", then %x\n", answer());
    int ro = open("/proc/self/mem", O_RDONLY);
    show("write to a reader", pwrite(ro, "x", 1, (long)variable));
    show("execute", execl("/proc/self/mem", "mem", NULL));
}

static void other(void) {
    int up[2], go[2], status;
    char c;
    pipe(up), pipe(go);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        strcpy(variable, "child");
        write(up[1], "", 1);
        read(go[0], &c, 1);
        printf("child has %s\n", variable);
        fflush(stdout);
        close(up[0]);
        execl("/bin/cat", "cat", NULL);
    }
    dup2(go[0], 0);
    read(up[0], &c, 1);
    int fd = open_mem(child, O_RDWR);
    show("other", pread(fd, buf, 6, (long)variable));
    printf("%s, mine %s\n", buf, variable);
    show("write other", pwrite(fd, "changed", 8, (long)variable));
    close(up[1]);
    write(go[1], "", 1);
    /* The exec closes nothing of ours; the old memory is gone. */
    for (int i = 0; i < 1000 && pread(fd, buf, 4, (long)variable) > 0; i++) usleep(10000);
    show("after exec", pread(fd, buf, 4, (long)variable));
    show("write after exec", pwrite(fd, buf, 4, (long)variable));
    kill(child, SIGKILL);
    waitid(P_PID, child, NULL, WEXITED | WNOWAIT);
    show("zombie", open_mem(child, O_RDONLY));
    static const char *const names[] = {"maps", "smaps", "auxv", "environ", "stat", "cmdline", "exe"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        sprintf(path, "/proc/%d/%s", child, names[i]);
        int other = open(path, O_RDONLY);
        show(names[i], other < 0 ? -1 : read(other, buf, 1));
    }
    waitpid(child, &status, 0);
    show("gone", pread(fd, buf, 4, (long)variable));
    show("no process", open_mem(child, O_RDONLY));
    close(fd);
}

static void permission(void) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) _exit(0);
        show("of root", open_mem(getppid(), O_RDONLY));
        static const char *const names[] = {"maps", "smaps", "smaps_rollup", "auxv", "environ", "fd", "stat", "status", "personality", "comm"};
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
            char path[64];
            sprintf(path, "/proc/%d/%s", getppid(), names[i]);
            show(names[i], open(path, O_RDONLY) < 0 ? -1 : 0);
        }
        prctl(PR_SET_DUMPABLE, 1);
        pid_t peer = fork();
        if (peer == 0) pause();
        show("of a peer", open_mem(peer, O_RDWR) < 0 ? -1 : 0);
        kill(peer, SIGKILL);
        waitpid(peer, NULL, 0);
        show("own", open_mem(getpid(), O_RDWR) < 0 ? -1 : 0);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
}

int main(void) {
    self();
    other();
    permission();
    return 0;
}
