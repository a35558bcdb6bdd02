/*
 * An interpreter that calls a function pointer for each operation, as scripting languages do: the sieve of
 * Eratosthenes below 8192 on a small stack machine. Work: sieves.
 */
#include "work.h"
#include <stdint.h>

#define LIMIT 8192

struct machine {
  const int *code;
  long pc;
  int64_t stack[16], variables[4];
  int top, running;
  uint8_t array[LIMIT];
};

static void push(struct machine *m, int64_t value) { m->stack[m->top++] = value; }
static int64_t pop(struct machine *m) { return m->stack[--m->top]; }
static int operand(struct machine *m) { return m->code[m->pc++]; }

static void op_constant(struct machine *m) { push(m, operand(m)); }
static void op_get(struct machine *m) { push(m, m->variables[operand(m)]); }
static void op_set(struct machine *m) { m->variables[operand(m)] = pop(m); }
static void op_add(struct machine *m) {
  int64_t b = pop(m), a = pop(m);
  push(m, a + b);
}
static void op_less(struct machine *m) {
  int64_t b = pop(m), a = pop(m);
  push(m, a < b);
}
static void op_load(struct machine *m) { push(m, m->array[pop(m)]); }
static void op_store(struct machine *m) {
  int64_t index = pop(m);
  m->array[index] = (uint8_t)pop(m);
}
static void op_jump(struct machine *m) { m->pc = operand(m); }
static void op_unless(struct machine *m) {
  int target = operand(m);
  if (!pop(m)) m->pc = target;
}
static void op_stop(struct machine *m) { m->running = 0; }

enum { CONSTANT, GET, SET, ADD, LESS, LOAD, STORE, JUMP, UNLESS, STOP };
static void (*const OPERATIONS[])(struct machine *) = {
    op_constant, op_get, op_set, op_add, op_less, op_load, op_store, op_jump, op_unless, op_stop,
};
enum { I, J, COUNT };

static const int SIEVE[] = {
    /*  0 */ CONSTANT, 2, SET, I, CONSTANT, 0, SET, COUNT,
    /*  8 */ GET, I, CONSTANT, LIMIT, LESS, UNLESS, 54,
    /* 15 */ GET, I, LOAD, UNLESS, 22, JUMP, 45,
    /* 22 */ GET, COUNT, CONSTANT, 1, ADD, SET, COUNT, GET, I, SET, J,
    /* 33 */ JUMP, 55,
    /* 35 */ CONSTANT, 1, GET, J, STORE, GET, J, JUMP, 55, STOP,
    /* 45 */ GET, I, CONSTANT, 1, ADD, SET, I, JUMP, 8,
    /* 54 */ STOP,
    /* 55 */ GET, J, GET, I, ADD, SET, J, GET, J, CONSTANT, LIMIT, LESS, UNLESS, 45,
    /* 69 */ CONSTANT, 1, GET, J, STORE, JUMP, 55,
};

int main(int argc, char **argv) {
  long sieves = amount_of_work(argc, argv, 600);
  static struct machine m;
  uint64_t sum = 0;
  for (long i = 0; i < sieves; i++) {
    for (int k = 0; k < LIMIT; k++) m.array[k] = 0;
    m.code = SIEVE;
    m.pc = 0;
    m.top = 0;
    for (m.running = 1; m.running;) OPERATIONS[m.code[m.pc++]](&m);
    sum = sum * 3 + (uint64_t)m.variables[COUNT];
  }
  printf("%lld %016llx\n", (long long)m.variables[COUNT], (unsigned long long)sum);
  return m.variables[COUNT] == 1028 ? 0 : 1;
}
