/* A tree of processes: each leaf's status travels up through wait. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int grow(int depth, int id) {
    if (depth == 0) return id % 7;
    int sum = 0;
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] < 0) return 99;
        if (children[i] == 0) _exit(grow(depth - 1, id * 3 + i));
    }
    for (int i = 0; i < 3; i++) {
        int status;
        if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status)) return 98;
        sum += WEXITSTATUS(status);
    }
    return sum % 90;
}

int main(void) {
    printf("sum %d\n", grow(4, 1));
    fflush(stdout);
    /* Orphans: the grandchild outlives its parent, gets another one, and still writes. */
    int fds[2];
    if (pipe(fds)) return 1;
    if (fork() == 0) {
        pid_t middle = getpid();
        if (fork() == 0) {
            close(fds[0]);
            while (getppid() == middle) usleep(1000);
            if (write(fds[1], "R", 1) != 1) _exit(1);
            _exit(0);
        }
        _exit(0);
    }
    close(fds[1]);
    wait(NULL);
    char c;
    if (read(fds[0], &c, 1) != 1) return 1;
    printf("orphan %c\n", c);
    /* As process 1, or below a subreaper that is itself, this one has adopted it. */
    while (wait(NULL) > 0);
    printf("no children: %d\n", wait(NULL));
    return 0;
}
