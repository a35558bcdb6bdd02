/* A pipeline of real programs, connected by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    char *const stages[3][4] = {{"seq", "1", "2000", NULL}, {"sort", "-rn", NULL}, {"head", "-3", NULL}};
    int in = -1;
    for (int i = 0; i < 3; i++) {
        int fds[2] = {-1, -1};
        if (i < 2 && pipe(fds)) return 1;
        fflush(stdout);
        if (fork() == 0) {
            if (in >= 0) dup2(in, 0), close(in);
            if (i < 2) dup2(fds[1], 1), close(fds[1]), close(fds[0]);
            execvp(stages[i][0], stages[i]);
            _exit(127);
        }
        if (in >= 0) close(in);
        if (i < 2) close(fds[1]);
        in = fds[0];
    }
    int status, ok = 0;
    while (wait(&status) > 0) ok += WIFEXITED(status) || WIFSIGNALED(status);
    printf("stages %d\n", ok);
    return 0;
}
