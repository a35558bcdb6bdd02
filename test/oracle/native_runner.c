/*
 * Runs machine-code snippets on the host CPU and writes down what they did: the native half of the CPU
 * oracle (cpu.ts). Usage: native_runner INPUT OUTPUT, both mapped files; layouts in native.ts.
 *
 * Every snippet ends in a signal: the int3 that fills the code pages, or a fault. The handler stores the
 * state found in its ucontext and puts the next snippet's state there, so that sigreturn is the switch.
 * From the first snippet on FS and GS belong to the snippets: no code here may touch thread-local data.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x10000000UL
#define CODE_SIZE 8192
#define WINDOW_LOW 0x20000000UL
#define WINDOW_HIGH 0x2aaa20000000UL
#define WINDOW_SIZE 12288 /* two writable pages, one read-only */
#define VECTOR_HANG 255

struct header {
  uint64_t count;
  uint64_t pad[7];
  uint8_t window[WINDOW_SIZE];
};

struct snippet {
  uint8_t code[128];
  uint64_t gpr[16];
  uint64_t rip, rflags;
  uint32_t code_length, pad0;
  uint64_t pad1;
  uint8_t fx[512];
};

struct result {
  uint32_t vector, error_code;
  uint64_t address;
  uint64_t gpr[16];
  uint64_t rip, rflags;
  uint8_t fx[512];
  uint32_t changes, pad;
};

struct change {
  uint32_t offset, pad;
  uint64_t value;
};

/* Indices into gregs of the registers in encoding order. */
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct header *input;
static struct snippet *snippets;
static uint8_t *output, *output_next, *output_end;
static uint8_t *window, *code;
static uint64_t current, ticked = -1UL;
static int started;
static greg_t segments;

static long raw_syscall2(long number, long a, long b) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return result;
}

static void store_result(ucontext_t *uc, uint32_t vector) {
  struct result *r = (struct result *)output_next;
  greg_t *g = uc->uc_mcontext.gregs;
  r->vector = vector;
  r->error_code = g[REG_ERR];
  r->address = vector == 14 ? g[REG_CR2] : 0;
  for (int i = 0; i < 16; i++) r->gpr[i] = g[greg_of[i]];
  r->rip = g[REG_RIP];
  r->rflags = g[REG_EFL];
  memcpy(r->fx, uc->uc_mcontext.fpregs, 416);
  memset(r->fx + 416, 0, 96);
  struct change *c = (struct change *)(r + 1);
  r->changes = 0;
  r->pad = 0;
  uint64_t *now = (uint64_t *)window, *was = (uint64_t *)input->window;
  for (uint32_t i = 0; i < WINDOW_SIZE / 8; i++) {
    if (now[i] == was[i]) continue;
    c->offset = i * 8;
    c->pad = 0;
    c->value = now[i];
    now[i] = was[i];
    c++;
    r->changes++;
  }
  output_next = (uint8_t *)c;
  memset(code, 0xcc, CODE_SIZE);
}

static void load_snippet(ucontext_t *uc, const struct snippet *s) {
  greg_t *g = uc->uc_mcontext.gregs;
  uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
  memcpy(code + (s->rip - CODE), s->code, s->code_length);
  for (int i = 0; i < 16; i++) g[greg_of[i]] = s->gpr[i];
  g[REG_RIP] = s->rip;
  g[REG_EFL] = s->rflags;
  g[REG_CSGSFS] = segments; /* far branches change CS */
  memcpy(fx, s->fx, 416);
  *(uint64_t *)(fx + 512) |= 3; /* xstate_bv: x87 and SSE are present in the image */
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *uc = context;
  /* NT, AC and ID are not among the flags that sigreturn sets: they would leak into the next snippet. */
  __asm__ volatile("pushfq; andl $~0x244000, (%%rsp); popfq" ::: "cc", "memory");
  uint32_t vector = uc->uc_mcontext.gregs[REG_TRAPNO];
  if (number == SIGVTALRM) {
    if (!started || ticked != current) {
      ticked = current;
      return;
    }
    vector = VECTOR_HANG;
  }
  if (started) {
    store_result(uc, vector);
    current++;
  }
  if (!started) {
    segments = uc->uc_mcontext.gregs[REG_CSGSFS];
    /* Handlers run without thread-local data from here on. */
    raw_syscall2(SYS_arch_prctl, 0x1002, WINDOW_LOW + 0x400);
    raw_syscall2(SYS_arch_prctl, 0x1001, WINDOW_LOW + 0x1400);
    started = 1;
  }
  if (current == input->count || output_end - output_next < 32768) {
    ((uint64_t *)output)[0] = current;
    raw_syscall2(SYS_exit_group, 0, 0);
  }
  load_snippet(uc, &snippets[current]);
}

static void *map_file(const char *path, size_t *size) {
  int fd = open(path, O_RDWR);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) {
    perror(path);
    exit(1);
  }
  *size = st.st_size;
  void *p = mmap(0, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return p;
}

/* Maps `size` bytes of a memory file twice or more, so that snippets and runner can have different rights. */
static void map_at(int fd, unsigned long at, size_t size, int rights, off_t from) {
  if (mmap((void *)at, size, rights, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, from) != (void *)at) {
    perror("mmap at a fixed address");
    exit(1);
  }
}

static uint8_t *map_own(int fd, size_t size) {
  return mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int main(int argc, char **argv) {
  size_t input_size, output_size;
  if (argc != 3) return 2;
  input = map_file(argv[1], &input_size);
  snippets = (struct snippet *)(input + 1);
  output = map_file(argv[2], &output_size);
  output_next = output + 64;
  output_end = output + output_size;

  int code_fd = memfd_create("code", 0), window_fd = memfd_create("window", 0);
  if (ftruncate(code_fd, CODE_SIZE) || ftruncate(window_fd, WINDOW_SIZE)) return 1;
  map_at(code_fd, CODE, CODE_SIZE, PROT_READ | PROT_EXEC, 0);
  for (int high = 0; high < 2; high++) {
    unsigned long at = high ? WINDOW_HIGH : WINDOW_LOW;
    map_at(window_fd, at, 8192, PROT_READ | PROT_WRITE, 0);
    map_at(window_fd, at + 8192, 4096, PROT_READ, 8192);
  }
  code = map_own(code_fd, CODE_SIZE);
  window = map_own(window_fd, WINDOW_SIZE);
  memcpy(window, input->window, WINDOW_SIZE);
  memset(code, 0xcc, CODE_SIZE);

  signal(SIGINT, SIG_IGN); /* the terminal's is for the command, between two batches */
  stack_t stack = {.ss_sp = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = 1 << 20};
  sigaltstack(&stack, 0);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&action.sa_mask);
  static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGVTALRM};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
  struct itimerval tick = {{0, 20000}, {0, 20000}};
  setitimer(ITIMER_VIRTUAL, &tick, 0);
  __asm__ volatile("int3");
  return 1;
}
