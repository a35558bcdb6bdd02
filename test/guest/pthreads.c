// pthreads: contended mutexes, condition variables, barriers, rwlocks, TLS, once, join values.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 5000
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static atomic_long atomic_counter;
static __thread int mine;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_runs;

static void run_once(void) { once_runs++; }

static void *contend(void *arg) {
  mine = (int)(long)arg;
  pthread_once(&once, run_once);
  for (int i = 0; i < ROUNDS; i++) {
    pthread_mutex_lock(&mutex);
    counter += 1;
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&atomic_counter, 1);
  }
  int serial = pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
  return (void *)(long)(mine * 2 + serial * 1000);
}

#define CAPACITY 4
static int queue[CAPACITY], head, tail, length;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;

static void *produce(void *arg) {
  for (int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&mutex);
    while (length == CAPACITY) pthread_cond_wait(&not_full, &mutex);
    queue[tail] = (int)(long)arg * 10000 + i;
    tail = (tail + 1) % CAPACITY;
    length++;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}
static void *consume(void *arg) {
  (void)arg;
  long sum = 0;
  for (int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&mutex);
    while (length == 0) pthread_cond_wait(&not_empty, &mutex);
    sum += queue[head];
    head = (head + 1) % CAPACITY;
    length--;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&mutex);
  }
  return (void *)sum;
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long pair_a, pair_b;
static void *read_pairs(void *arg) {
  (void)arg;
  long bad = 0;
  for (int i = 0; i < 2000; i++) {
    pthread_rwlock_rdlock(&rwlock);
    if (pair_a != pair_b) bad++;
    pthread_rwlock_unlock(&rwlock);
  }
  return (void *)bad;
}
static void *write_pairs(void *arg) {
  (void)arg;
  for (int i = 0; i < 1000; i++) {
    pthread_rwlock_wrlock(&rwlock);
    pair_a++;
    pair_b++;
    pthread_rwlock_unlock(&rwlock);
  }
  return NULL;
}

static sem_t ping, pong;
static void *answer(void *arg) {
  (void)arg;
  for (int i = 0; i < 500; i++) {
    sem_wait(&ping);
    sem_post(&pong);
  }
  return NULL;
}

static void *die_holding(void *arg) {
  pthread_mutex_lock(arg);
  return NULL;
}
static void *sleep_forever(void *arg) {
  (void)arg;
  for (;;) pause();
}
static void *tiny(void *arg) { return (char *)arg + 1; }

int main(void) {
  pthread_t t[THREADS];
  void *value;
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (long i = 0; i < THREADS; i++) pthread_create(&t[i], NULL, contend, (void *)i);
  long values = 0;
  for (int i = 0; i < THREADS; i++) pthread_join(t[i], &value), values += (long)value;
  printf("counter %ld atomic %ld values %ld once %d mine %d\n", counter, atomic_counter, values, once_runs, mine);

  for (long i = 0; i < 4; i++) pthread_create(&t[i], NULL, i < 2 ? produce : consume, (void *)i);
  long sum = 0;
  for (int i = 0; i < 4; i++) pthread_join(t[i], &value), sum += (long)value;
  printf("queue sum %ld left %d\n", sum, length);

  for (long i = 0; i < 4; i++) pthread_create(&t[i], NULL, i < 3 ? read_pairs : write_pairs, NULL);
  long bad = 0;
  for (int i = 0; i < 4; i++) pthread_join(t[i], &value), bad += (long)value;
  printf("rwlock bad %ld final %ld\n", bad, pair_a);

  sem_init(&ping, 0, 0), sem_init(&pong, 0, 0);
  pthread_create(&t[0], NULL, answer, NULL);
  for (int i = 0; i < 500; i++) sem_post(&ping), sem_wait(&pong);
  pthread_join(t[0], NULL);
  puts("semaphores done");

  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t robust;
  pthread_mutex_init(&robust, &attr);
  pthread_create(&t[0], NULL, die_holding, &robust);
  pthread_join(t[0], NULL);
  printf("robust %s\n", pthread_mutex_lock(&robust) == EOWNERDEAD ? "EOWNERDEAD" : "?");
  pthread_mutex_consistent(&robust);
  pthread_mutex_unlock(&robust);

  struct timespec soon;
  clock_gettime(CLOCK_REALTIME, &soon);
  soon.tv_nsec += 5000000;
  if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
  pthread_mutex_lock(&mutex);
  printf("timedwait %s\n", pthread_cond_timedwait(&not_empty, &mutex, &soon) == ETIMEDOUT ? "ETIMEDOUT" : "?");
  pthread_mutex_unlock(&mutex);

  pthread_create(&t[0], NULL, sleep_forever, NULL);
  pthread_cancel(t[0]);
  pthread_join(t[0], &value);
  printf("cancelled %d\n", value == PTHREAD_CANCELED);
  long chain = 0;
  for (long i = 0; i < 200; i++) {
    pthread_create(&t[0], NULL, tiny, (void *)chain);
    pthread_join(t[0], &value);
    chain = (long)value;
  }
  printf("chain %ld\n", chain);
  // The process ends while threads run.
  for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, sleep_forever, NULL);
  fflush(stdout);
  _exit(9);
}
