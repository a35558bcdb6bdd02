/* Mappings: anonymous, shared, file, fixed, protect, remap, unmap in the middle, advice. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define CHECK(x) do { if (!(x)) { printf("line %d: %s failed, errno %d\n", __LINE__, #x, errno); exit(1); } } while (0)

int main(void) {
    char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < 16 * PAGE; i++) CHECK(p[i] == 0);
    memset(p, 'a', 16 * PAGE);
    CHECK(munmap(p + 4 * PAGE, 2 * PAGE) == 0);
    CHECK(p[3 * PAGE] == 'a' && p[6 * PAGE] == 'a');
    char *q = mmap(p + 4 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(q == p + 4 * PAGE && q[0] == 0);
    CHECK(mprotect(p, 16 * PAGE, PROT_READ | PROT_WRITE) == 0);
    q[0] = 'q';
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0 && p[0] == 0 && p[PAGE] == 'a');
    char *moved = mremap(p + 8 * PAGE, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved[0] == 'a' && moved[4 * PAGE - 1] == 'a' && moved[4 * PAGE] == 0);
    CHECK(mremap(moved, 64 * PAGE, PAGE, 0) == moved && moved[0] == 'a');
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    CHECK(mprotect(p + 8 * PAGE, PAGE, PROT_READ) == -1 && errno == ENOMEM);
    CHECK(mprotect(p + 1, PAGE, PROT_READ) == -1 && errno == EINVAL);

    int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared[0] = private[0] = 1;
    if (fork() == 0) {
        shared[0] += 10;
        private[0] += 10;
        _exit(0);
    }
    wait(NULL);
    printf("shared %d private %d\n", shared[0], private[0]);

    char name[] = "/tmp/tvisor_mmap_XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    unlink(name);
    char line[PAGE];
    for (int i = 0; i < 3; i++) {
        memset(line, '0' + i, sizeof line);
        CHECK(write(fd, line, sizeof line) == PAGE);
    }
    CHECK(write(fd, "tail", 4) == 4);
    char *file = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(file != MAP_FAILED);
    printf("file %c %c %c %.4s zero %d\n", file[0], file[PAGE], file[2 * PAGE], file + 3 * PAGE, file[3 * PAGE + 4]);
    file[PAGE] = 'S';
    char c;
    CHECK(pread(fd, &c, 1, PAGE) == 1);
    printf("seen through read: %c\n", c);
    CHECK(pwrite(fd, "W", 1, 5) == 1);
    printf("seen through map: %c\n", file[5]);
    char *copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE);
    copy[0] = 'P';
    CHECK(pread(fd, &c, 1, 2 * PAGE) == 1);
    printf("private write stays private: %c %c\n", copy[0], c);
    CHECK(msync(file, 4 * PAGE, MS_SYNC) == 0);
    CHECK(ftruncate(fd, 10) == 0);
    printf("after truncate: %d %d\n", file[0], file[20]);
    void *old = sbrk(0);
    CHECK(sbrk(10 * PAGE) == old);
    memset(old, 1, 10 * PAGE);
    CHECK(sbrk(-10 * PAGE) != (void *)-1 && sbrk(0) == old);
    unsigned char vec[4];
    CHECK(mincore(p, 4 * PAGE, vec) == 0);
    printf("resident %d %d\n", vec[1] & 1, vec[2] & 1);
    printf("done\n");
    return 0;
}
