/* pthreads: contended mutexes, condition variables, barriers, rwlocks, keys, once, detach, cancel. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 6, ROUNDS = 5000, ITEMS = 4000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t semaphore;
static long counter, writes, once_count, destroyed;
static __thread long local;
static int queue[16], head, tail;

static void init_once(void) { once_count++; }
static void destroy(void *p) { __atomic_add_fetch(&destroyed, (long)p, __ATOMIC_SEQ_CST); }
static void *worker(void *arg) {
    long id = (long)arg;
    pthread_once(&once, init_once);
    pthread_setspecific(key, (void *)1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        local++;
        pthread_mutex_unlock(&mutex);
        if (i % 64 == 0) sched_yield();
    }
    for (int i = 0; i < 200; i++) {
        if (i % 10 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            writes++;
        } else pthread_rwlock_rdlock(&rwlock);
        pthread_rwlock_unlock(&rwlock);
    }
    sem_post(&semaphore);
    return (void *)(local + id);
}
static void *producer(void *arg) {
    (void)arg;
    for (int i = 1; i <= ITEMS; i++) {
        pthread_mutex_lock(&mutex);
        while (tail - head == 16) pthread_cond_wait(&not_full, &mutex);
        queue[tail++ % 16] = i;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}
static void *consumer(void *arg) {
    long *sum = arg;
    for (;;) {
        pthread_mutex_lock(&mutex);
        while (tail == head) pthread_cond_wait(&not_empty, &mutex);
        int item = queue[head % 16];
        if (item < 0) {
            pthread_cond_broadcast(&not_empty);
            pthread_mutex_unlock(&mutex);
            return NULL;
        }
        head++;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
        *sum += item;
    }
}
static void *sleeper(void *arg) {
    for (;;) pause();
    return arg;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    pthread_key_create(&key, destroy);
    sem_init(&semaphore, 0, 0);
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, worker, (void *)i)) return printf("create failed\n"), 1;
    for (int i = 0; i < THREADS; i++) sem_wait(&semaphore);
    long sum = 0;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("counter %ld writes %ld locals %ld once %ld destroyed %ld\n", counter, writes, sum, once_count, destroyed);
    long sums[3] = {0};
    pthread_t p, c[3];
    for (int i = 0; i < 3; i++) pthread_create(&c[i], NULL, consumer, &sums[i]);
    pthread_create(&p, NULL, producer, NULL);
    pthread_join(p, NULL);
    pthread_mutex_lock(&mutex);
    while (tail - head == 16) pthread_cond_wait(&not_full, &mutex);
    queue[tail++ % 16] = -1;
    pthread_cond_broadcast(&not_empty);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 3; i++) pthread_join(c[i], NULL);
    printf("consumed %ld\n", sums[0] + sums[1] + sums[2]);
    pthread_t s;
    pthread_create(&s, NULL, sleeper, NULL);
    usleep(1000);
    pthread_cancel(s);
    void *result;
    pthread_join(s, &result);
    printf("cancelled %d\n", result == PTHREAD_CANCELED);
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += 20000000;
    if (deadline.tv_nsec >= 1000000000) deadline.tv_sec++, deadline.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    int r;
    while ((r = pthread_cond_timedwait(&not_full, &mutex, &deadline)) == 0);
    printf("timed wait %d\n", r == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_t check;
    pthread_mutex_init(&check, &attr);
    pthread_mutex_lock(&check);
    printf("errorcheck %d\n", pthread_mutex_lock(&check) == EDEADLK);
    return 0;
}
