// build: static
/*
 * Litmus tests of the memory order that x86-64 promises (Intel SDM volume 3, 9.2; Owens, Sarkar, Sewell: "A better x86
 * memory model: x86-TSO"). Each test is a few instructions on two or more threads; an outcome is what they read and
 * left. Outcomes that the order forbids must never be seen; of those that only a store buffer makes possible it is
 * counted how often they were.
 *
 *     litmus NAME MILLISECONDS SEED     a line: NAME RUNS SPECIAL FORBIDDEN; status 1 if something forbidden was seen
 *     litmus --list                     a line for each test: NAME THREADS SPECIAL, the special outcome or -
 *
 * Threads meet before each instance, so that their instructions coincide; more than two only before each batch.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define LINE 64
#define THREADS 4
#define BATCH 256
#define OPERATIONS 4000
/* Those that cross a cache line stop a real processor for microseconds. */
#define SLOW_OPERATIONS 200

/* Two variables on cache lines of their own, and what the threads read. */
struct cell {
    volatile int x __attribute__((aligned(LINE)));
    volatile int y __attribute__((aligned(LINE)));
    int r[THREADS][2] __attribute__((aligned(LINE)));
};

struct test {
    const char *name;
    int threads;
    /* What only a store buffer makes possible; NULL where the test has no such outcome. */
    const char *special;
    /* An instance on one cell: a function for each thread, then its outcome: -1 forbidden, 1 special, 0 other. */
    void (*run[THREADS])(struct cell *, int *r);
    int (*judge)(const struct cell *);
    /* Or a contest: every thread's part of it, then how many of its invariants do not hold. */
    void (*contend)(int thread);
    int (*broken)(void);
};

#define STORE(place, value) "movl $" #value ", " place "\n\t"
#define LOAD(place, to) "movl " place ", " to "\n\t"
#define PART(name, code)                                                                                       \
    static void name(struct cell *cell, int *r) {                                                              \
        int a = 0, b = 0;                                                                                      \
        __asm__ volatile(code : "+&r"(a), "+&r"(b) : "r"(&cell->x), "r"(&cell->y) : "memory", "cc");          \
        r[0] = a;                                                                                              \
        r[1] = b;                                                                                              \
    }
#define X "(%2)"
#define Y "(%3)"
#define A "%0"
#define B "%1"
#define XCHG(place, value, scratch) "movl $" #value ", " scratch "\n\txchgl " scratch ", " place "\n\t"

PART(sb_0, STORE(X, 1) LOAD(Y, A))
PART(sb_1, STORE(Y, 1) LOAD(X, A))
PART(sb_mfence_0, STORE(X, 1) "mfence\n\t" LOAD(Y, A))
PART(sb_mfence_1, STORE(Y, 1) "mfence\n\t" LOAD(X, A))
PART(sb_lock_0, STORE(X, 1) "lock addl $0, -8(%%rsp)\n\t" LOAD(Y, A))
PART(sb_lock_1, STORE(Y, 1) "lock addl $0, -8(%%rsp)\n\t" LOAD(X, A))
PART(sb_xchg_0, XCHG(X, 1, B) LOAD(Y, A))
PART(sb_xchg_1, XCHG(Y, 1, B) LOAD(X, A))
PART(mp_0, STORE(X, 1) STORE(Y, 1))
PART(mp_1, LOAD(Y, A) LOAD(X, B))
PART(lb_0, LOAD(X, A) STORE(Y, 1))
PART(lb_1, LOAD(Y, A) STORE(X, 1))
PART(iriw_0, STORE(X, 1))
PART(iriw_1, STORE(Y, 1))
PART(iriw_2, LOAD(X, A) LOAD(Y, B))
PART(iriw_3, LOAD(Y, A) LOAD(X, B))
PART(n6_0, STORE(X, 1) LOAD(X, A) LOAD(Y, B))
PART(n6_1, STORE(Y, 2) STORE(X, 2))
PART(n5_0, STORE(X, 1) LOAD(X, A))
PART(n5_1, STORE(X, 2) LOAD(X, A))
PART(corr_0, STORE(X, 1) STORE(X, 2))
PART(corr_1, LOAD(X, A) LOAD(X, B))
PART(ww_0, STORE(X, 1) STORE(Y, 2))
PART(ww_1, STORE(Y, 1) STORE(X, 2))
PART(s_0, STORE(X, 2) STORE(Y, 1))
PART(s_1, LOAD(Y, A) STORE(X, 1))
PART(r_0, STORE(X, 1) STORE(Y, 1))
PART(r_1, STORE(Y, 2) LOAD(X, A))
PART(wrc_1, LOAD(X, A) STORE(Y, 1))
PART(wrc_2, LOAD(Y, A) LOAD(X, B))

static int sb_judge(const struct cell *c) { return c->r[0][0] == 0 && c->r[1][0] == 0; }
static int sb_fenced_judge(const struct cell *c) { return -sb_judge(c); }
static int mp_judge(const struct cell *c) { return -(c->r[1][0] == 1 && c->r[1][1] == 0); }
static int lb_judge(const struct cell *c) { return -(c->r[0][0] == 1 && c->r[1][0] == 1); }
static int iriw_judge(const struct cell *c) {
    return -(c->r[2][0] == 1 && c->r[2][1] == 0 && c->r[3][0] == 1 && c->r[3][1] == 0);
}
static int n6_judge(const struct cell *c) {
    /* A thread sees its own store at once, and nothing older after it. */
    if (c->r[0][0] == 0 || (c->r[0][0] == 2 && c->x == 1)) return -1;
    return c->r[0][0] == 1 && c->r[0][1] == 0 && c->x == 1;
}
static int n5_judge(const struct cell *c) { return -(c->r[0][0] == 2 && c->r[1][0] == 1); }
static int corr_judge(const struct cell *c) { return -(c->r[1][0] > c->r[1][1]); }
static int ww_judge(const struct cell *c) { return -(c->x == 1 && c->y == 1); }
static int s_judge(const struct cell *c) { return -(c->r[1][0] == 1 && c->x == 2); }
static int r_judge(const struct cell *c) { return c->y == 2 && c->r[1][0] == 0; }
static int wrc_judge(const struct cell *c) {
    return -(c->r[1][0] == 1 && c->r[2][0] == 1 && c->r[2][1] == 0);
}

/* Contests: a page and the beginning of the next, so that accesses may cross lines and pages. */
static unsigned char *arena;
#define ADDER(name, instruction, at)                                                                           \
    static void name(int thread) {                                                                             \
        (void)thread;                                                                                          \
        for (int i = 0; i < OPERATIONS; i++) __asm__ volatile(instruction : : "r"(arena + (at)) : "memory", "cc", "rax", "rcx"); \
    }
static unsigned long at(int offset) {
    unsigned long value;
    memcpy(&value, arena + offset, 8);
    return value;
}

ADDER(xadd, "movl $1, %%eax\n\tlock xaddl %%eax, (%0)\n\tlock xaddq %%rax, 8(%0)", 0)
static int xadd_broken(void) {
    /* The second word takes the sum of 0, 1, 2 ...: each old value of the first was handed out once. */
    unsigned long n = 2 * OPERATIONS;
    return (at(0) != n) + (at(8) != n * (n - 1) / 2);
}

ADDER(cmpxchg, "1: movq (%0), %%rax\n\tleaq 3(%%rax), %%rcx\n\tlock cmpxchgq %%rcx, (%0)\n\tjne 1b", 0)
#undef ADDER
static int cmpxchg_broken(void) { return at(0) != 2ul * OPERATIONS * 3; }

/* Both halves rise together; whoever sees them differ has seen half a store. */
static int torn[THREADS];
static void cmpxchg16(int thread) {
    for (int i = 0; i < OPERATIONS; i++) {
        unsigned long lo = 0, hi = 0;
        unsigned char done;
        do {
            if ((unsigned)lo != (unsigned)hi) torn[thread]++;
            __asm__ volatile("lock cmpxchg16b (%5)\n\tsete %2"
                             : "+a"(lo), "+d"(hi), "=q"(done)
                             : "b"(lo + 1), "c"(hi + 1), "r"(arena)
                             : "memory", "cc");
        } while (!done);
    }
}
static int cmpxchg16_broken(void) {
    return torn[0] + torn[1] + (at(0) != 2ul * OPERATIONS) + (at(8) != 2ul * OPERATIONS);
}

/* The same, while the other thread counts in the upper half of the first word alone. */
static void mixed16(int thread) {
    if (thread == 0) cmpxchg16(thread);
    else
        for (int i = 0; i < OPERATIONS; i++)
            __asm__ volatile("lock addl $1, 4(%0)" : : "r"(arena) : "memory", "cc");
}
static int mixed16_broken(void) {
    return torn[0] + (at(0) != OPERATIONS + ((unsigned long)OPERATIONS << 32)) + (at(8) != OPERATIONS);
}

/* Within a word, across words, across lines, across pages. */
static const int PLACES[] = {1, 5, 61, 4093};
static void misaligned(int thread) {
    (void)thread;
    for (int i = 0; i < SLOW_OPERATIONS; i++)
        for (unsigned p = 0; p < sizeof PLACES / sizeof *PLACES; p++)
            __asm__ volatile("lock addl $1, (%0)" : : "r"(arena + PLACES[p]) : "memory", "cc");
}
static int misaligned_broken(void) {
    int wrong = 0;
    for (unsigned p = 0; p < sizeof PLACES / sizeof *PLACES; p++)
        wrong += (at(PLACES[p]) & 0xffffffff) != 2ul * SLOW_OPERATIONS;
    return wrong;
}

/*
 * Locked additions that overlap: one thread's, and the other's two bytes further. One of the two crosses nothing, the
 * other nothing, a word, a line or a page. Neither count leaves its two bytes.
 */
static const int OVERLAPS[] = {0, 14, 62, 4094};
static void overlapping(int thread) {
    for (int i = 0; i < SLOW_OPERATIONS; i++)
        for (unsigned p = 0; p < sizeof OVERLAPS / sizeof *OVERLAPS; p++)
            __asm__ volatile("lock addl $1, (%0)" : : "r"(arena + OVERLAPS[p] + 2 * thread) : "memory", "cc");
}
static int overlapping_broken(void) {
    int wrong = 0;
    for (unsigned p = 0; p < sizeof OVERLAPS / sizeof *OVERLAPS; p++)
        wrong += (at(OVERLAPS[p]) & 0xffffffff) != SLOW_OPERATIONS + ((unsigned long)SLOW_OPERATIONS << 16);
    return wrong;
}

/* A lock taken by cmpxchg and given back by a plain store, round a counter that nothing else guards. */
static void spinlock(int thread) {
    (void)thread;
    volatile int *lock = (volatile int *)arena;
    volatile long *counter = (volatile long *)(arena + 128);
    for (int i = 0; i < OPERATIONS; i++) {
        while (__sync_val_compare_and_swap(lock, 0, 1) != 0) __builtin_ia32_pause();
        *counter = *counter + 1;
        __asm__ volatile("movl $0, %0" : "=m"(*lock) : : "memory");
    }
}
static int spinlock_broken(void) { return at(128) != 2ul * OPERATIONS; }

/* Peterson's algorithm, whose mutual exclusion needs the fence. */
static void peterson(int thread) {
    volatile int *wants = (volatile int *)arena;
    volatile int *turn = (volatile int *)(arena + 256);
    volatile long *counter = (volatile long *)(arena + 384);
    for (int i = 0; i < OPERATIONS / 4; i++) {
        wants[thread * 16] = 1;
        *turn = 1 - thread;
        __asm__ volatile("mfence" : : : "memory");
        for (int spins = 0; wants[(1 - thread) * 16] && *turn == 1 - thread;)
            if (++spins % 4096 == 0) sched_yield();
        *counter = *counter + 1;
        __asm__ volatile("" : : : "memory");
        wants[thread * 16] = 0;
    }
}
static int peterson_broken(void) { return at(384) != 2ul * (OPERATIONS / 4); }

static const struct test TESTS[] = {
    {"SB", 2, "0,0", {sb_0, sb_1}, sb_judge},
    {"SB+mfence", 2, NULL, {sb_mfence_0, sb_mfence_1}, sb_fenced_judge},
    {"SB+lock", 2, NULL, {sb_lock_0, sb_lock_1}, sb_fenced_judge},
    {"SB+xchg", 2, NULL, {sb_xchg_0, sb_xchg_1}, sb_fenced_judge},
    {"MP", 2, NULL, {mp_0, mp_1}, mp_judge},
    {"LB", 2, NULL, {lb_0, lb_1}, lb_judge},
    {"IRIW", 4, NULL, {iriw_0, iriw_1, iriw_2, iriw_3}, iriw_judge},
    {"WRC", 3, NULL, {iriw_0, wrc_1, wrc_2}, wrc_judge},
    {"n6", 2, "1,0,x=1", {n6_0, n6_1}, n6_judge},
    {"n5", 2, NULL, {n5_0, n5_1}, n5_judge},
    {"CoRR", 2, NULL, {corr_0, corr_1}, corr_judge},
    {"2+2W", 2, NULL, {ww_0, ww_1}, ww_judge},
    {"S", 2, NULL, {s_0, s_1}, s_judge},
    {"R", 2, "y=2,0", {r_0, r_1}, r_judge},
    {"xadd", 2, NULL, .contend = xadd, .broken = xadd_broken},
    {"cmpxchg", 2, NULL, .contend = cmpxchg, .broken = cmpxchg_broken},
    {"cmpxchg16b", 2, NULL, .contend = cmpxchg16, .broken = cmpxchg16_broken},
    {"mixed16b", 2, NULL, .contend = mixed16, .broken = mixed16_broken},
    {"misaligned", 2, NULL, .contend = misaligned, .broken = misaligned_broken},
    {"overlapping", 2, NULL, .contend = overlapping, .broken = overlapping_broken},
    {"spinlock", 2, NULL, .contend = spinlock, .broken = spinlock_broken},
    {"Peterson", 2, NULL, .contend = peterson, .broken = peterson_broken},
};
#define COUNT (sizeof TESTS / sizeof *TESTS)

static const struct test *chosen;
static struct cell cells[BATCH];
static long deadline;
static long duration;
static unsigned seed;
static volatile int ended;
static long runs, special, forbidden;
/* How far each thread has come, on a line of its own. */
static struct {
    volatile int at __attribute__((aligned(LINE)));
} turns[THREADS];
static int turn_of[THREADS];

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until every thread has come this far. */
static void meet(int thread) {
    int mine = ++turn_of[thread];
    turns[thread].at = mine;
    __asm__ volatile("mfence" : : : "memory");
    for (int other = 0; other < chosen->threads; other++)
        for (int spins = 0; turns[other].at - mine < 0;) {
            __builtin_ia32_pause();
            if (++spins % 4096 == 0) sched_yield();
        }
}

static void judge_batch(void) {
    if (chosen->contend != NULL) {
        runs++;
        forbidden += chosen->broken();
    } else
        for (int i = 0; i < BATCH; i++) {
            int outcome = chosen->judge(&cells[i]);
            runs++;
            special += outcome > 0;
            forbidden += outcome < 0;
        }
}

static void *thread_main(void *argument) {
    int thread = (int)(long)argument;
    unsigned random = seed * 2654435761u + thread * 40503u + 1;
    for (;;) {
        if (thread == 0) {
            memset(cells, 0, sizeof cells);
            memset(arena, 0, 8192);
            memset(torn, 0, sizeof torn);
            /* The first batch is not counted as time: code runs for the first time in it. */
            if (runs > 0 && deadline == 0) deadline = now_ms() + duration;
            ended = deadline != 0 && now_ms() >= deadline;
        }
        meet(thread);
        if (ended) return NULL;
        if (chosen->contend != NULL) chosen->contend(thread);
        else
            for (int i = 0; i < BATCH; i++) {
                if (chosen->threads == 2) meet(thread);
                random = random * 1664525u + 1013904223u;
                for (unsigned wait = random >> 28; wait > 0; wait--) __asm__ volatile("");
                chosen->run[thread](&cells[i], cells[i].r[thread]);
            }
        meet(thread);
        if (thread == 0) judge_batch();
        meet(thread);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (unsigned i = 0; i < COUNT; i++)
            printf("%s %d %s\n", TESTS[i].name, TESTS[i].threads, TESTS[i].special ? TESTS[i].special : "-");
        return 0;
    }
    for (unsigned i = 0; argc == 4 && i < COUNT; i++)
        if (strcmp(argv[1], TESTS[i].name) == 0) chosen = &TESTS[i];
    if (chosen == NULL) {
        fprintf(stderr, "usage: litmus NAME MILLISECONDS SEED, or litmus --list\n");
        return 2;
    }
    arena = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    duration = atol(argv[2]);
    seed = atoi(argv[3]);
    pthread_t threads[THREADS];
    for (long i = 0; i < chosen->threads; i++) pthread_create(&threads[i], NULL, thread_main, (void *)i);
    for (int i = 0; i < chosen->threads; i++) pthread_join(threads[i], NULL);
    printf("%s %ld %ld %ld\n", chosen->name, runs, special, forbidden);
    return forbidden != 0;
}
