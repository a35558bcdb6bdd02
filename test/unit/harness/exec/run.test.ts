import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { make_choice_table } from '../../../../harness/prog/choice_table.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { MAGIC } from '../../../../harness/prog/exec_format.ts';
import { generate_program } from '../../../../harness/prog/generate.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { CHECK_ALL, executor, run_lines, summary } from '../../../support/executor.ts';
import { each_seed, KERNEL_TARGET, program } from '../../../support/programs.ts';

function expect(lines: readonly string[], wanted: string): void {
  assert.is(summary(run_lines(lines)), wanted, lines.join('\n'));
}

test('calls get their arguments and memory, and results go to later calls', () => {
  expect(
    [
      "r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./f0\\x00', 0x42, 0x1ff)",
      'write(r0, &(0x7f0000000080)="00112233", 0x4)',
      'lseek(r0, 0x1, 0x0)',
      'read(r0, &(0x7f0000001000)=""/16, 0x10)',
      'close(r0)',
      'close(r0)',
    ],
    'done: 3 4 1 3 0 -9',
  );
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  expect(
    [pipe, 'write(r1, &(0x7f0000000080)="00112233", 0x4)', 'read(r0, &(0x7f0000001000)=""/16, 0x10)'],
    'done: 0 4 4',
  );
});

test('a call that blocks for ever does not hold up those behind it', () => {
  expect(['pause()', 'getppid()'], 'done: ... 0');
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  expect(
    [pipe, 'read(r0, &(0x7f0000001000)=""/16, 0x10)', 'write(r1, &(0x7f0000000080)="00112233", 0x4)', 'getppid()'],
    'done: 0 4 4 0',
  );
});

test('a call with a timeout ends in virtual time', () => {
  expect(['poll(&(0x7f0000000000), 0x0, 0x100000)', 'getppid()'], 'done: 0 0');
});

test('children exit by themselves, and parents can wait for them', () => {
  expect(['fork()', 'wait4(0xffffffffffffffff, &(0x7f0000000000), 0x0, 0x0)', 'vfork()', 'getppid()'], 'done: 2 2 3 0');
});

test('async calls run beside those behind them', () => {
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  expect(
    [pipe, 'read(r0, &(0x7f0000001000)=""/16, 0x10) (async)', 'write(r1, &(0x7f0000000080)="00112233", 0x4)'],
    'done: 0 4 4',
  );
});

test('what a program leaves behind is gone in the next', () => {
  const open = "openat(0xffffffffffffff9c, &(0x7f0000000040)='./kept\\x00', 0x42, 0x1ff)";
  const exclusive = "openat(0xffffffffffffff9c, &(0x7f0000000040)='./kept\\x00', 0xc2, 0x1ff)";
  expect([open, exclusive], 'done: 3 -17');
  expect([exclusive], 'done: 3');
});

test('words that are no program are refused', () => {
  for (const words of [[], [1, 2, 3], [MAGIC, 0, 0], [MAGIC, 1, 0, 0], [MAGIC, 0, 0, 99, 0], [MAGIC, 0, 0, 0, 0]])
    assert.throws(() => executor().run(new Uint32Array(words), CHECK_ALL), /./);
  expect(['getppid()'], 'done: 0');
});

test('random programs end, leak nothing, and are reset exactly', () => {
  const table = make_choice_table(KERNEL_TARGET);
  each_seed(2000, (random) => {
    const made = generate_program(KERNEL_TARGET, table, random, 6);
    const outcome = executor().run(exec_encode(made), CHECK_ALL);
    const found = outcome.status !== 'done' || outcome.leaks.length > 0;
    assert.not(found, `${summary(outcome)}\n${outcome.panic?.stack ?? ''}\n${print_program(made)}`);
  });
});

test('the same program gives the same outcome', () => {
  const words = exec_encode(program('getpid()', 'clock_gettime(0x1, &(0x7f0000000000))', 'fork()', 'getppid()'));
  const first = summary(executor().run(words, CHECK_ALL));
  for (let i = 0; i < 5; i++) assert.is(summary(executor().run(words, CHECK_ALL)), first);
});

test.run();
