/* Process-shared and robust mutexes in a shared mapping, and a condition variable across fork. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
    pthread_mutex_t mutex, robust;
    pthread_cond_t cond;
    int ready;
    long counter;
};

int main(void) {
    struct shared *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&s->mutex, &attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s->robust, &attr);
    pthread_condattr_t cattr;
    pthread_condattr_init(&cattr);
    pthread_condattr_setpshared(&cattr, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&s->cond, &cattr);
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            pthread_mutex_lock(&s->mutex);
            while (!s->ready) pthread_cond_wait(&s->cond, &s->mutex);
            pthread_mutex_unlock(&s->mutex);
            for (int k = 0; k < 3000; k++) {
                pthread_mutex_lock(&s->mutex);
                s->counter++;
                pthread_mutex_unlock(&s->mutex);
            }
            _exit(0);
        }
    usleep(5000);
    pthread_mutex_lock(&s->mutex);
    s->ready = 1;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
    while (wait(NULL) > 0);
    printf("counter %ld\n", s->counter);
    if (fork() == 0) {
        pthread_mutex_lock(&s->robust);
        _exit(0);
    }
    wait(NULL);
    int r = pthread_mutex_lock(&s->robust);
    printf("robust: owner died %d\n", r == EOWNERDEAD);
    pthread_mutex_consistent(&s->robust);
    pthread_mutex_unlock(&s->robust);
    printf("usable again %d\n", pthread_mutex_lock(&s->robust));
    return 0;
}
