/*
 * A pseudo-terminal under load: more is typed and shown than it holds, its keys, flushes and flow control at both ends,
 * jobs and numbers in /proc.
 * `pty leader [settings]` runs the jobs alone, on the terminal that standard input is, which it sets when asked to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int master, slave;

static void open_pair(int raw) {
    struct termios t;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0) exit(printf("openpty: %s\n", strerrorname_np(errno)));
    tcgetattr(slave, &t);
    if (raw) cfmakeraw(&t);
    t.c_lflag &= ~ECHO;
    t.c_oflag &= ~OPOST;
    tcsetattr(slave, TCSANOW, &t);
}

static void close_pair(void) {
    close(master);
    close(slave);
}

static void write_all(int fd, const char *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n < 0 && errno == EAGAIN) poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1);
        else if (n < 0) exit(printf("write: %s\n", strerrorname_np(errno)));
        else done += n;
    }
}

/* Reads `size` bytes in pieces of at most `piece`: their number and sum. */
static void read_all(const char *what, int fd, size_t size, size_t piece, int by_poll) {
    static char buf[65536];
    size_t done = 0;
    unsigned sum = 0;
    while (done < size) {
        if (by_poll) poll(&(struct pollfd){fd, POLLIN, 0}, 1, -1);
        ssize_t n = read(fd, buf, piece);
        if (n < 0 && errno == EAGAIN) continue;
        if (n <= 0) break;
        for (ssize_t i = 0; i < n; i++) sum = sum * 31 + (unsigned char)buf[i];
        done += n;
    }
    printf("%s: %zu bytes, sum %08x\n", what, done, sum);
}

/* A child writes to one side what the parent reads from the other. */
static void stream(const char *what, int raw, int typed, size_t piece, int nonblocking) {
    static char data[200000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = i % 23 == 22 || i + 1 == sizeof data ? '\n' : 'a' + i % 26;
    open_pair(raw);
    int from = typed ? slave : master, to = typed ? master : slave;
    if (nonblocking) fcntl(from, F_SETFL, O_NONBLOCK), fcntl(to, F_SETFL, O_NONBLOCK);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        write_all(to, data, sizeof data);
        _exit(0);
    }
    read_all(what, from, sizeof data, piece, nonblocking);
    waitpid(child, NULL, 0);
    close_pair();
}

/* Types until the terminal takes no more; reads let a blocked typist go on. */
static void read_what_blocks(void) {
    char buf[64];
    int left = 0, status = 0;
    open_pair(0);
    fcntl(master, F_SETFL, O_NONBLOCK);
    while (write(master, "line\n", 5) > 0);
    printf("full %d", poll(&(struct pollfd){master, POLLOUT, 0}, 1, 0));
    fcntl(master, F_SETFL, 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        write_all(master, "more\n", 5);
        _exit(7);
    }
    usleep(50000);
    while (waitpid(child, &status, WNOHANG) == 0)
        if (ioctl(slave, FIONREAD, &left) == 0 && left > 0) read(slave, buf, sizeof buf);
    printf(", then status %d\n", WEXITSTATUS(status));
    close_pair();
}

static void stop_and_start(void) {
    open_pair(0);
    write(master, "\x13", 1);
    while (poll(&(struct pollfd){slave, POLLOUT, 0}, 1, 0) > 0) usleep(1000);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    printf("stopped: %d", write(slave, "x", 1) < 0 ? errno == EAGAIN : 0);
    fcntl(slave, F_SETFL, 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(write(slave, "y", 1));
    usleep(50000);
    write(master, "\x11", 1);
    int status = 0;
    waitpid(child, &status, 0);
    char c = 0;
    read(master, &c, 1);
    printf(", started: %d %c\n", WEXITSTATUS(status), c);
    close_pair();
}

/* Fields 7 and 8 of /proc/self/stat. */
static void numbers(int *tty, int *foreground) {
    char text[1024] = {0};
    int fd = open("/proc/self/stat", O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %d %d", tty, foreground);
}

static volatile sig_atomic_t got[65];
static void note(int signo) { got[signo]++; }

static void wait_for(int fd, const char *word) {
    char c;
    for (size_t i = 0; word[i];) {
        if (read(fd, &c, 1) != 1) exit(printf("lost before %s\n", word));
        i = c == word[i] ? i + 1 : c == word[0];
    }
}

static void job(const char *name) {
    for (int s = 1; s < 32; s++) signal(s, SIG_DFL);
    sigset_t all, none;
    sigfillset(&all), sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGINT, note), signal(SIGQUIT, note), signal(SIGWINCH, note);
    printf("%s up\n", name);
    for (;;) {
        sigsuspend(&none);
        if (got[SIGWINCH]) signal(SIGINT, SIG_DFL);
        for (int s = 1; s < 32; s++)
            if (got[s]) got[s] = 0, printf("%s signal %d\n", name, s);
    }
}

static void leader(void) {
    int tty, front;
    setsid();
    setvbuf(stdout, NULL, _IOLBF, 0);
    numbers(&tty, &front);
    int before = tty == 0 && front == -1;
    ioctl(slave, TIOCSCTTY, 0);
    dup2(slave, 0), dup2(slave, 1);
    struct stat st;
    fstat(0, &st);
    numbers(&tty, &front);
    printf("numbers %d %d %d\n", before, (unsigned)tty == (minor(st.st_rdev) | major(st.st_rdev) << 8), front == getpid());
    signal(SIGTTOU, SIG_IGN);
    pid_t behind = fork();
    if (behind == 0) setpgid(0, 0), job("behind");
    pid_t ahead = fork();
    if (ahead == 0) setpgid(0, 0), tcsetpgrp(0, getpid()), job("ahead");
    int status;
    waitpid(ahead, &status, WUNTRACED);
    numbers(&tty, &front);
    printf("stopped by %d, front %d\n", WSTOPSIG(status), front == ahead);
    tcsetpgrp(0, ahead);
    kill(-ahead, SIGCONT);
    waitpid(ahead, &status, 0);
    printf("ended by %d\n", WTERMSIG(status));
    kill(behind, SIGKILL);
    waitpid(behind, NULL, 0);
    _exit(3);
}

static void jobs(void) {
    open_pair(0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) leader();
    wait_for(master, "numbers 1 1 1");
    wait_for(master, "up");
    wait_for(master, "up");
    write(master, "\x03", 1);
    wait_for(master, "ahead signal 2");
    write(master, "\x1c", 1);
    wait_for(master, "ahead signal 3");
    ioctl(master, TIOCSWINSZ, &(struct winsize){.ws_row = 11, .ws_col = 22});
    wait_for(master, "ahead signal 28");
    write(master, "\x1a", 1);
    wait_for(master, "stopped by 20, front 1");
    usleep(50000);
    printf("TIOCSIG %s,", ioctl(master, TIOCSIG, SIGKILL) < 0 ? strerrorname_np(errno) : "0");
    printf(" %d\n", ioctl(master, TIOCSIG, SIGINT));
    wait_for(master, "ended by 2");
    int status;
    waitpid(child, &status, 0);
    printf("jobs %d\n", WEXITSTATUS(status));
    close_pair();
}

static const char *error_of(int result) { return result < 0 ? strerrorname_np(errno) : "0"; }

/* What can be read now, control characters as ^ and a letter. */
static void show(const char *what, int fd) {
    char buf[64];
    ssize_t n = poll(&(struct pollfd){fd, POLLIN, 0}, 1, 50) > 0 ? read(fd, buf, sizeof buf) : 0;
    printf(" %s", what);
    for (ssize_t i = 0; i < n; i++) printf(buf[i] < 32 ? " ^%c" : " %c", buf[i] < 32 ? buf[i] + 64 : buf[i]);
}

static void flush_at(const char *what, int at_master) {
    for (int queue = TCIFLUSH; queue <= TCIOFLUSH + 1; queue++) {
        open_pair(0);
        write(slave, "shown", 5), write(master, "typed\n", 6);
        poll(&(struct pollfd){master, POLLIN, 0}, 1, -1), poll(&(struct pollfd){slave, POLLIN, 0}, 1, -1);
        printf("flush at %s %d: %s,", what, queue, error_of(ioctl(at_master ? master : slave, TCFLSH, queue)));
        show("shown", master), show("typed", slave);
        printf("\n");
        close_pair();
    }
}

/* STOP and START characters, also where the terminal has others or output is stopped. */
static void send_flow(const char *what, int at_master) {
    for (int action = TCIOFF; action <= TCION + 1; action++) {
        struct termios t;
        open_pair(0);
        tcgetattr(slave, &t);
        t.c_iflag &= ~IXON;
        tcsetattr(slave, TCSANOW, &t);
        for (int stop = 'S'; stop >= 0; stop -= 'S') {
            t.c_cc[VSTOP] = t.c_cc[VSTART] = stop;
            tcsetattr(slave, TCSANOW, &t);
            printf("flow at %s %d: %s,", what, action, error_of(ioctl(at_master ? master : slave, TCXONC, action)));
            write(master, "x\n", 2);
            show("shown", master), show("typed", slave);
            printf("\n");
        }
        ioctl(at_master ? master : slave, TCXONC, TCOOFF);
        printf("stopped: %s,", error_of(ioctl(at_master ? master : slave, TCXONC, action)));
        show("shown", master), show("typed", slave);
        printf("\n");
        close_pair();
    }
}

/* A read that waits for VMIN bytes while the terminal is hung up, or its mode changes. */
static void read_below_minimum(const char *what, int minimum, int hang_up) {
    struct termios raw, lines;
    open_pair(0);
    tcgetattr(slave, &lines);
    raw = lines;
    cfmakeraw(&raw), raw.c_cc[VMIN] = minimum;
    tcsetattr(slave, TCSANOW, &raw);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char buf[64];
        close(master);
        int n = read(slave, buf, sizeof buf);
        printf("%s: %d", what, n);
        if (hang_up) printf(", then %zd", read(slave, buf, sizeof buf));
        printf("\n");
        fflush(stdout);
        _exit(0);
    }
    write(master, "abc", 3);
    usleep(50000);
    if (!hang_up) {
        tcsetattr(slave, TCSANOW, &lines);
        write(master, "de\nfgh\nijkl\nm", 13);
    } else close_pair();
    waitpid(child, NULL, 0);
    if (!hang_up) close_pair();
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "leader")) {
        struct termios t;
        if (argc > 2 && tcgetattr(0, &t) == 0) tcsetattr(0, TCSANOW, &t);
        leader();
    }
    signal(SIGHUP, SIG_IGN);
    stream("typed lines", 0, 1, 65536, 0);
    stream("typed lines, small reads", 0, 1, 7, 0);
    stream("typed lines, polled", 0, 1, 4096, 1);
    stream("typed raw", 1, 1, 65536, 0);
    stream("typed raw, polled", 1, 1, 100, 1);
    stream("shown", 0, 0, 65536, 0);
    stream("shown, small reads, polled", 1, 0, 100, 1);
    read_what_blocks();
    stop_and_start();
    for (int at_master = 0; at_master < 2; at_master++) {
        flush_at(at_master ? "master" : "slave", at_master);
        send_flow(at_master ? "master" : "slave", at_master);
    }
    read_below_minimum("hung up", 5, 1);
    read_below_minimum("lines now", 12, 0);
    jobs();
    return 0;
}
