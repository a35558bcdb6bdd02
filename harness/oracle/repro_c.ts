/** A program as C: the same calls, made natively. */
import { type ExecInstruction, type ExecValue, exec_decode } from '../prog/exec_decode.ts';
import { exec_encode } from '../prog/exec_encode.ts';
import { NO_SLOT } from '../prog/exec_format.ts';
import { DATA_BASE, DATA_SIZE, type Program } from '../prog/model.ts';
import { print_call } from '../prog/print.ts';

/**
 * A C program for x86-64 Linux: `cc -pthread repro.c`. Calls that are async run in threads of their own; fail_nth
 * needs a kernel with fault injection and is left to a comment.
 */
export function c_program(program: Program, title: string): string {
  const { slots, instructions } = exec_decode(exec_encode(program));
  const body: string[] = [];
  const threads: string[] = [];
  let index = 0;
  for (const step of instructions) {
    if (step.kind !== 'call') {
      body.push(...memory_step(step));
      continue;
    }
    const remark = `  // ${print_call(program, index).trim().replaceAll('\\\n', ' ')}`;
    if (step.is_async) {
      threads.push(thread_function(step, index));
      body.push(remark, `  pthread_create(&threads[${index}], 0, call_${index}, 0);`);
    } else body.push(remark, `  ${call_statement(step)}`);
    index++;
  }
  const joins = threads.length === 0 ? [] : ['  sleep(1);'];
  const slot_count = Math.max(1, slots);
  return [
    `// ${title}`,
    '#define _GNU_SOURCE',
    '#include <pthread.h>',
    '#include <stdint.h>',
    '#include <string.h>',
    '#include <sys/mman.h>',
    '#include <sys/syscall.h>',
    '#include <unistd.h>',
    '',
    // Neither is looked at where no call makes a result.
    `static uint64_t r[${slot_count}] __attribute__((unused));`,
    `static int made[${slot_count}] __attribute__((unused));`,
    ...(threads.length === 0 ? [] : [`static pthread_t threads[${index}];`]),
    '',
    '#define USE(slot, fallback, divide, add) (made[slot] ? r[slot] / (divide ? divide : 1) + add : fallback)',
    ...threads.map((text) => `\n${text}`),
    '',
    'int main(void) {',
    `  mmap((void *)${hex(DATA_BASE)}, ${hex(DATA_SIZE)}, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);`,
    '  long result;',
    '  (void)result;',
    ...body,
    ...joins,
    '  return 0;',
    '}',
    '',
  ].join('\n');
}

type CallStep = Extract<ExecInstruction, { kind: 'call' }>;

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}ul`;
}

function expression(value: ExecValue): string {
  if (value.kind === 'const') return hex(value.value);
  if (value.kind === 'data') return '0';
  return `USE(${value.slot}, ${hex(value.value)}, ${hex(value.divide)}, ${hex(value.add)})`;
}

function memory_step(step: Exclude<ExecInstruction, CallStep>): string[] {
  const address = `(void *)${hex(step.address)}`;
  if (step.kind === 'copy_out') {
    const copy = `memcpy(&r[${step.slot}], ${address}, ${step.size})`;
    return [`  if (result != -1) { r[${step.slot}] = 0; ${copy}; made[${step.slot}] = 1; }`];
  }
  const { value } = step;
  if (value.kind === 'data') {
    const bytes = [...value.bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
    return [`  memcpy(${address}, "${bytes}", ${value.bytes.length});`];
  }
  return [`  { uint64_t value = ${expression(value)}; memcpy(${address}, &value, ${value.size}); }`];
}

function call_statement(step: CallStep): string {
  const words = [step.number, ...step.args.map(expression)].join(', ');
  const fail = step.fail_nth > 0 ? ` // fail_nth: ${step.fail_nth}` : '';
  if (step.slot === NO_SLOT) return `result = syscall(${words});${fail}`;
  return `result = syscall(${words}); if (result != -1) { r[${step.slot}] = result; made[${step.slot}] = 1; }${fail}`;
}

function thread_function(step: CallStep, index: number): string {
  const lines = [`static void *call_${index}(void *unused) {`, '  (void)unused;', '  long result;'];
  return [...lines, `  ${call_statement(step)}`, '  (void)result;', '  return 0;', '}'].join('\n');
}
