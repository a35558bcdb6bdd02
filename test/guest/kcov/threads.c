// build: static
// Two threads that trace at once, each with a descriptor of its own, see exactly their own program counters.
#include "kcov.h"

#define WORDS 65536
#define ROUNDS 400
#define SECONDS 20

struct Tracer {
  void (*call)(void);
  struct Tracer *other;
  volatile unsigned cpu;
  volatile int running;
  Word *area;
  uint64_t length;
  uint64_t *reference;
  long different;
  // Rounds while the other ran on another processor.
  volatile long together;
};

static pthread_barrier_t start;

static void light(void) { syscall(SYS_getppid); }

static void heavy(void) {
  struct stat st;
  syscall(SYS_newfstatat, AT_FDCWD, "/sys/devices/system", &st, 0);
}

static uint64_t trace(struct Tracer *t) {
  t->area[0] = 0;
  t->call();
  return t->area[0];
}

static void *run(void *argument) {
  struct Tracer *t = argument;
  int fd;
  t->area = open_area(&fd, WORDS);
  CHECK(ioctl(fd, KCOV_ENABLE, TRACE_PC) == 0);
  // Alone first: what one call is.
  static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&alone);
  for (int i = 0; i < 5; i++) t->length = trace(t);
  t->reference = malloc(t->length * 8);
  memcpy(t->reference, (void *)(t->area + 1), t->length * 8);
  pthread_mutex_unlock(&alone);
  t->running = 1;
  pthread_barrier_wait(&start);
  long several = sysconf(_SC_NPROCESSORS_ONLN) > 1;
  time_t end = time(NULL) + SECONDS;
  for (int i = 0; i < ROUNDS || (several && (t->together < ROUNDS || t->other->together < ROUNDS)); i++) {
    unsigned cpu;
    syscall(SYS_getcpu, &cpu, NULL, NULL);
    t->cpu = cpu;
    if (t->other->running && t->other->cpu != cpu) t->together++;
    if (trace(t) != t->length || memcmp(t->reference, (void *)(t->area + 1), t->length * 8) != 0) t->different++;
    if (time(NULL) > end) break;
  }
  CHECK(!several || t->together >= ROUNDS);
  t->running = 0;
  CHECK(ioctl(fd, KCOV_DISABLE, 0) == 0);
  return NULL;
}

static int has(struct Tracer *t, uint64_t pc) {
  for (uint64_t i = 0; i < t->length; i++)
    if (t->reference[i] == pc) return 1;
  return 0;
}

int main(void) {
  struct Tracer a = {.call = light}, b = {.call = heavy};
  a.other = &b;
  b.other = &a;
  pthread_t one, two;
  pthread_barrier_init(&start, NULL, 2);
  pthread_create(&one, NULL, run, &a);
  pthread_create(&two, NULL, run, &b);
  pthread_join(one, NULL);
  pthread_join(two, NULL);
  CHECK(a.length > 0 && b.length > a.length);
  CHECK(a.different == 0);
  CHECK(b.different == 0);
  CHECK(!has(&b, a.reference[0]) && !has(&a, b.reference[0]));
  return finish();
}
