/*
 * Runs a command on a pseudo-terminal as somebody at the keyboard would:
 *
 *     drive STEP... -- COMMAND [ARGUMENT...]
 *
 * with steps `expect:TEXT` (wait until it is shown), `type:TEXT`, `size:ROWS,COLUMNS`, `wait:MILLISECONDS` and
 * `kill:SIGNAL` (to the command). Then it waits for the command's end and prints what was shown, the command's status, and whether the
 * terminal has the settings that it had before.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 60

static char shown[1 << 20];
static size_t length, seen;
static int master;
static pid_t child;

static void late(int signo) {
    static const char words[] = "\n(too late)\n";
    (void)signo;
    write(1, shown, length);
    write(1, words, sizeof words - 1);
    kill(child, SIGKILL);
    _exit(99);
}

/* Takes what is shown within `ms`; whether there was anything. */
static int take(int ms) {
    struct pollfd p = {master, POLLIN, 0};
    if (poll(&p, 1, ms) <= 0) return 0;
    ssize_t n = read(master, shown + length, sizeof shown - 1 - length);
    if (n > 0) length += n;
    return n > 0;
}

static void expect(const char *text) {
    for (;;) {
        char *at = memmem(shown + seen, length - seen, text, strlen(text));
        if (at) {
            seen = at - shown + strlen(text);
            return;
        }
        take(1000);
    }
}

static void step(const char *text) {
    int a = 0, b = 0;
    if (!strncmp(text, "expect:", 7)) expect(text + 7);
    else if (!strncmp(text, "type:", 5)) write(master, text + 5, strlen(text + 5));
    else if (sscanf(text, "kill:%d", &a) == 1) kill(child, a);
    else if (sscanf(text, "wait:%d", &a) == 1) usleep(a * 1000);
    else if (sscanf(text, "size:%d,%d", &a, &b) == 2) {
        struct winsize size = {.ws_row = a, .ws_col = b};
        ioctl(master, TIOCSWINSZ, &size);
    } else exit(printf("no such step: %s\n", text));
}

int main(int argc, char **argv) {
    struct winsize size = {.ws_row = 31, .ws_col = 99};
    struct termios before, after;
    int slave, status = 0, command = 1;
    while (command < argc && strcmp(argv[command], "--")) command++;
    if (command + 1 >= argc || openpty(&master, &slave, NULL, NULL, &size) < 0) return 98;
    /* Settings that nobody has by default. */
    tcgetattr(slave, &before);
    before.c_lflag &= ~ECHOK;
    before.c_cc[VKILL] = 24;
    tcsetattr(slave, TCSANOW, &before);
    tcgetattr(slave, &before);
    child = fork();
    if (child == 0) {
        close(master);
        login_tty(slave);
        execvp(argv[command + 1], argv + command + 1);
        _exit(97);
    }
    signal(SIGALRM, late);
    alarm(SECONDS);
    for (int i = 1; i < command; i++) step(argv[i]);
    while (waitpid(child, &status, WNOHANG) == 0) take(10);
    while (take(0));
    tcgetattr(slave, &after);
    fwrite(shown, 1, length, stdout);
    printf("\nstatus %d, settings %s\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           memcmp(&before, &after, sizeof before) ? "changed" : "kept");
    return 0;
}
