/* Garbage pointers, descriptors and sizes to many system calls: the errno of each, and no crash. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void try(const char *name, long number, long a, long b, long c, long d, long e, long f) {
    errno = 0;
    long r = syscall(number, a, b, c, d, e, f);
    if (r < 0) printf("%-28s %s\n", name, strerrorname_np(errno));
    else printf("%-28s ok\n", name);
}
#define T(name, ...) try(#name " " #__VA_ARGS__, SYS_##name, __VA_ARGS__)

int main(void) {
    int fd = open("/dev/zero", O_RDWR);
    int pipes[2];
    if (fd != 3 || pipe(pipes) || pipes[0] != 4) return 1;
    setvbuf(stdout, NULL, _IOFBF, 65536);
    T(read, 3, 8, 100, 0, 0, 0);
    T(read, 99, 0, 1, 0, 0, 0);
    T(read, -1, 0, 1, 0, 0, 0);
    T(read, 3, 8, 0, 0, 0, 0);
    T(read, 3, -1, 100, 0, 0, 0);
    T(read, 3, 0x7ffffffff000, 10, 0, 0, 0);
    T(write, 5, 8, 100, 0, 0, 0);
    T(write, 5, 0x800000000000, 100, 0, 0, 0);
    T(open, 8, 0, 0, 0, 0, 0);
    T(open, -1, 0, 0, 0, 0, 0);
    T(openat, -100, 0, 0, 0, 0, 0);
    T(openat, 77, (long)"x", 0, 0, 0, 0);
    T(stat, 8, 8, 0, 0, 0, 0);
    T(stat, (long)"/", 8, 0, 0, 0, 0);
    T(fstat, 3, 8, 0, 0, 0, 0);
    T(fstat, 99, 8, 0, 0, 0, 0);
    T(lseek, 3, 0, 99, 0, 0, 0);
    T(lseek, 4, 0, 0, 0, 0, 0);
    T(mmap, 0, 0, 1, 2, -1, 0);
    T(mmap, 0, -4096, 1, 0x22, -1, 0);
    T(mmap, 0, 4096, 1, 0, 3, 0);
    T(mmap, 0, 4096, 1, 2, 99, 0);
    T(mmap, 0, 4096, 1, 2, 3, 1);
    T(mprotect, 1, 4096, 1, 0, 0, 0);
    T(mprotect, 0x10000, 4096, 1, 0, 0, 0);
    T(munmap, 1, 4096, 0, 0, 0, 0);
    T(munmap, 0x10000, 4096, 0, 0, 0, 0);
    T(munmap, 0x10000, 0, 0, 0, 0, 0);
    T(munmap, -4096, 4096, 0, 0, 0, 0);
    T(mremap, 0x10000, 4096, 8192, 0, 0, 0);
    T(madvise, 0x10000, 4096, 4, 0, 0, 0);
    T(madvise, 0x10000, 4096, 9999, 0, 0, 0);
    T(rt_sigaction, 10, 8, 0, 8, 0, 0);
    T(rt_sigaction, 10, 0, 8, 8, 0, 0);
    T(rt_sigaction, 10, 0, 0, 4, 0, 0);
    T(rt_sigaction, 0, 0, 0, 8, 0, 0);
    T(rt_sigaction, 100, 0, 0, 8, 0, 0);
    T(rt_sigprocmask, 99, 8, 0, 8, 0, 0);
    T(rt_sigprocmask, 0, 8, 0, 8, 0, 0);
    T(sigaltstack, 8, 0, 0, 0, 0, 0);
    T(ioctl, 3, 0x5401, 8, 0, 0, 0);
    T(ioctl, 99, 0x5401, 8, 0, 0, 0);
    T(pread64, 4, 0, 10, 0, 0, 0);
    T(pread64, 3, 8, 10, -1, 0, 0);
    T(readv, 3, 8, 1, 0, 0, 0);
    T(readv, 3, 8, -1, 0, 0, 0);
    T(readv, 3, 8, 2000, 0, 0, 0);
    T(readv, 3, 8, 0, 0, 0, 0);
    T(access, 8, 0, 0, 0, 0, 0);
    T(access, (long)"/", 99, 0, 0, 0, 0);
    T(pipe, 8, 0, 0, 0, 0, 0);
    T(pipe2, 8, 12345, 0, 0, 0, 0);
    T(select, -1, 0, 0, 0, 0, 0);
    T(select, 5, 8, 0, 0, 0, 0);
    T(poll, 8, 1, 0, 0, 0, 0);
    T(poll, 8, 0x7fffffff, 0, 0, 0, 0);
    T(dup, 99, 0, 0, 0, 0, 0);
    T(dup2, 3, -1, 0, 0, 0, 0);
    T(dup3, 3, 3, 0, 0, 0, 0);
    T(dup2, 3, 1 << 30, 0, 0, 0, 0);
    T(nanosleep, 8, 0, 0, 0, 0, 0);
    T(getitimer, 9, 8, 0, 0, 0, 0);
    T(getitimer, 0, 8, 0, 0, 0, 0);
    T(kill, 1 << 30, 0, 0, 0, 0, 0);
    T(uname, 8, 0, 0, 0, 0, 0);
    T(fcntl, 3, 9999, 0, 0, 0, 0);
    T(fcntl, 99, 1, 0, 0, 0, 0);
    T(truncate, 8, 0, 0, 0, 0, 0);
    T(ftruncate, 3, 0, 0, 0, 0, 0);
    T(ftruncate, 99, -1, 0, 0, 0, 0);
    T(getdents64, 3, 8, 100, 0, 0, 0);
    T(getcwd, 8, 100, 0, 0, 0, 0);
    T(getcwd, 8, 1, 0, 0, 0, 0);
    T(chdir, 8, 0, 0, 0, 0, 0);
    T(rename, 8, 8, 0, 0, 0, 0);
    T(mkdir, 8, 0, 0, 0, 0, 0);
    T(unlink, 8, 0, 0, 0, 0, 0);
    T(readlink, (long)"/proc/self/exe", 8, 100, 0, 0, 0);
    T(readlink, (long)"/proc/self/exe", 8, 0, 0, 0, 0);
    T(gettimeofday, 8, 0, 0, 0, 0, 0);
    T(getrlimit, 99, 8, 0, 0, 0, 0);
    T(getrlimit, 7, 8, 0, 0, 0, 0);
    T(prlimit64, 0, 7, 8, 0, 0, 0);
    T(getrusage, 99, 8, 0, 0, 0, 0);
    T(times, 8, 0, 0, 0, 0, 0);
    T(wait4, -1, 8, 0, 0, 0, 0);
    T(wait4, -1, 8, 9999, 0, 0, 0);
    T(execve, 8, 0, 0, 0, 0, 0);
    T(execve, (long)"/bin/true", 8, 0, 0, 0, 0);
    T(clone, 0x10000, 0, 0, 0, 0, 0);
    T(clone3, 8, 64, 0, 0, 0, 0);
    T(clone3, 8, 1, 0, 0, 0, 0);
    T(futex, 8, 0, 0, 0, 0, 0);
    T(futex, 3, 1, 1, 0, 0, 0);
    T(futex, 8, 99, 0, 0, 0, 0);
    T(set_robust_list, 8, 99, 0, 0, 0, 0);
    T(clock_gettime, 99, 8, 0, 0, 0, 0);
    T(clock_gettime, 0, 8, 0, 0, 0, 0);
    T(clock_nanosleep, 99, 0, 8, 0, 0, 0);
    T(epoll_create, 0, 0, 0, 0, 0, 0);
    T(epoll_create1, 99, 0, 0, 0, 0, 0);
    T(epoll_ctl, 3, 1, 4, 8, 0, 0);
    T(epoll_wait, 3, 8, 1, 0, 0, 0);
    T(epoll_wait, 3, 8, 0, 0, 0, 0);
    T(eventfd2, 0, 0xffff, 0, 0, 0, 0);
    T(timerfd_create, 99, 0, 0, 0, 0, 0);
    T(utimensat, -100, 8, 0, 0, 0, 0);
    T(getrandom, 8, 100, 0, 0, 0, 0);
    T(getrandom, 8, 100, 99, 0, 0, 0);
    T(prctl, 99999, 0, 0, 0, 0, 0);
    T(arch_prctl, 0x1002, 0x800000000000, 0, 0, 0, 0);
    T(arch_prctl, 99, 0, 0, 0, 0, 0);
    T(tgkill, getpid(), getpid(), 99, 0, 0, 0);
    T(tgkill, -1, 1, 1, 0, 0, 0);
    T(sched_getaffinity, 0, 1, 8, 0, 0, 0);
    T(sched_getaffinity, 0, 8, 8, 0, 0, 0);
    T(statx, -100, (long)"/", 0, 0, 8, 0);
    T(statx, -100, 8, 0, 0, 8, 0);
    T(copy_file_range, 3, 0, 99, 0, 10, 0);
    T(sendfile, 99, 3, 0, 10, 0, 0);
    T(splice, 99, 0, 4, 0, 10, 0);
    T(close_range, 5, 4, 0, 0, 0, 0);
    T(fallocate, 99, 0, 0, 10, 0, 0);
    T(fallocate, 3, 0, 0, 0, 0, 0);
    T(preadv, 3, 8, 1, 0, 0, 0);
    T(sysinfo, 8, 0, 0, 0, 0, 0);
    T(setpgid, -1, 0, 0, 0, 0, 0);
    T(getpgid, 1 << 30, 0, 0, 0, 0, 0);
    try("number 9999", 9999, 0, 0, 0, 0, 0, 0);
    try("number -1", -1, 0, 0, 0, 0, 0, 0);
    return 0;
}
