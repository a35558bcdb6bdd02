/* A SIGSEGV handler that mends what faulted, and what it is told about the fault. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static volatile char *volatile page;
static volatile int faults, last_code, write_fault;
static volatile uintptr_t last_addr;

static void fix(int sig, siginfo_t *si, void *context) {
    (void)sig;
    ucontext_t *u = context;
    faults++;
    last_code = si->si_code;
    last_addr = (uintptr_t)si->si_addr;
    write_fault = (u->uc_mcontext.gregs[REG_ERR] & 2) != 0;
    mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
}
static sigjmp_buf escape;
static void jump(int sig, siginfo_t *si, void *context) {
    (void)context;
    last_code = si->si_code;
    last_addr = (uintptr_t)si->si_addr;
    siglongjmp(escape, sig);
}
static void install(int sig, void (*f)(int, siginfo_t *, void *)) {
    struct sigaction sa = {.sa_sigaction = f, .sa_flags = SA_SIGINFO};
    sigaction(sig, &sa, NULL);
}

int main(void) {
    page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    install(SIGSEGV, fix);
    page[100] = 1;
    printf("store: faults %d code %d offset %ld write %d value %d\n", faults, last_code, (long)(last_addr - (uintptr_t)page), write_fault, page[100]);
    mprotect((void *)page, 4096, PROT_NONE);
    volatile int v = page[100];
    printf("load: faults %d code %d write %d value %d\n", faults, last_code, write_fault, v);
    mprotect((void *)page, 4096, PROT_READ);
    /* A store that straddles into a protected page must not be half done. */
    mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
    volatile char *second = page + 4096;
    memset((void *)(page + 4088), 0x11, 8);
    uint64_t x = 0x2222222222222222;
    volatile char *fix_page = page;
    page = second;
    *(volatile uint64_t *)(fix_page + 4092) = x;
    page = fix_page;
    printf("straddle: faults %d first %02x second %02x\n", faults, (unsigned char)fix_page[4093], (unsigned char)second[2]);

    install(SIGSEGV, jump);
    int sig = sigsetjmp(escape, 1);
    if (sig == 0) *(volatile int *)16 = 1;
    printf("null page: signal %d code %d addr %lu\n", sig, last_code, (unsigned long)last_addr);
    sig = sigsetjmp(escape, 1);
    if (sig == 0) (void)*(volatile int *)0x800000000000000;
    printf("non-canonical: signal %d code %d addr %lu\n", sig, last_code, (unsigned long)last_addr);
    sig = sigsetjmp(escape, 1);
    if (sig == 0) ((void (*)(void))page)();
    printf("execute data: signal %d code %d at page %d\n", sig, last_code, last_addr == (uintptr_t)page);
    install(SIGFPE, jump);
    volatile int one = 1000, zero = 0;
    sig = sigsetjmp(escape, 1);
    if (sig == 0) zero = one / zero;
    printf("divide: signal %d code %d\n", sig, last_code);
    install(SIGILL, jump);
    sig = sigsetjmp(escape, 1);
    if (sig == 0) __asm__ volatile("ud2");
    printf("ud2: signal %d code %d\n", sig, last_code);
    sig = sigsetjmp(escape, 1);
    if (sig == 0) __asm__ volatile("hlt");
    printf("hlt: signal %d code %d addr %lu\n", sig, last_code, (unsigned long)last_addr);
    install(SIGTRAP, jump);
    sig = sigsetjmp(escape, 1);
    if (sig == 0) __asm__ volatile("int3");
    printf("int3: signal %d code %d\n", sig, last_code);
    install(SIGBUS, jump);
    char name[] = "/tmp/tvisor_bus_XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    if (ftruncate(fd, 100)) return 1;
    volatile char *file = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    sig = sigsetjmp(escape, 1);
    if (sig == 0) v = file[5000];
    printf("beyond the file: signal %d code %d offset %ld\n", sig, last_code, (long)(last_addr - (uintptr_t)file));
    return 0;
}
