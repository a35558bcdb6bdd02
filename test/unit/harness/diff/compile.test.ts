import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CompiledProgram, compile } from '../../../../harness/diff/compile.ts';
import { check_host, type NativeOutcome, NativeRunner } from '../../../../harness/diff/native.ts';
import type { MemoryRange } from '../../../../harness/exec/executor.ts';
import { prepare_calls } from '../../../../harness/exec/prepare.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { DATA_BASE } from '../../../../harness/prog/model.ts';
import { linux_test } from '../../../support/linux_host.ts';
import { program } from '../../../support/programs.ts';

let runner: NativeRunner | undefined;

function compiled(lines: readonly string[], capture?: MemoryRange[][]): CompiledProgram {
  const calls = prepare_calls(exec_encode(program(...lines)));
  return compile(calls, capture === undefined ? {} : { capture });
}

function run(lines: readonly string[], limit_ms = 10_000, capture?: MemoryRange[][]): NativeOutcome {
  runner ??= new NativeRunner();
  return runner.run(compiled(lines, capture), limit_ms);
}

/** The results, '-' for calls that were not made and '...' for those that did not end. */
function results(outcome: NativeOutcome): string {
  const calls = outcome.calls.map(({ started, finished, result }) => (finished ? result : started ? '...' : '-'));
  return `${outcome.status}: ${calls.join(' ')}`;
}

const PIPE = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';

linux_test('calls get their arguments, memory and the results of others', () => {
  const outcome = run([
    "r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./f0\\x00', 0x42, 0x1ff)",
    'write(r0, &(0x7f0000000080)="00112233", 0x4)',
    'lseek(r0, 0x1, 0x0)',
    'read(r0, &(0x7f0000001000)=""/16, 0x10)',
    'close(r0)',
    'close(r0)',
  ]);
  assert.is(results(outcome), 'done: 3 4 1 3 0 -9');
});

linux_test('numbers that calls write are kept, and memory is logged', () => {
  const capture = [[{ address: DATA_BASE, length: 8 }], [], [{ address: DATA_BASE + 0x1000, length: 6 }]];
  const lines = [PIPE, 'write(r1, &(0x7f0000000080)="00112233", 0x4)', 'read(r0, &(0x7f0000001000)=""/16, 0x10)'];
  const { calls } = run(lines, 10_000, capture);
  assert.equal([...calls[0]!.memory[0]!], [3, 0, 0, 0, 4, 0, 0, 0]);
  assert.equal([...calls[2]!.memory[0]!], [0, 0x11, 0x22, 0x33, 0, 0]);
});

linux_test('a result is divided and added to, and a failed maker leaves the number written down', () => {
  const outcome = run([
    'r0 = dup(0x0)',
    'dup2(0x0, r0+0x4)',
    'r1 = dup(0xffffffffffffffff)',
    'close(r1)',
    'r2 = epoll_create(0x1)',
    'dup2(0x0, r2/0x2+0xa)',
  ]);
  assert.is(results(outcome), 'done: 3 7 -9 -9 4 12');
});

linux_test('children sleep and exit, and parents can wait for them', () => {
  const outcome = run(['r0 = fork()', 'r1 = vfork()', 'wait4(r0, 0x0, 0x0, 0x0)', 'wait4(r1, 0x0, 0x0, 0x0)']);
  const [first, second, third, fourth] = outcome.calls.map(({ result }) => result);
  assert.ok(first! > 0n && second! > first!);
  assert.is(third, first);
  assert.is(fourth, second);
});

linux_test('what blocks is killed, and what came before it is told', () => {
  assert.is(results(run(['dup(0x0)', 'pause()', 'dup(0x0)'], 200)), 'blocked: 3 ... -');
});

linux_test('a program that dies has told what it did', () => {
  const outcome = run(['r0 = getpid()', 'kill(r0, 0x9)', 'dup(0x0)']);
  assert.is(outcome.status, 'died');
  assert.equal(
    outcome.calls.map(({ finished }) => finished),
    [true, false, false],
  );
});

linux_test('memory that cannot be read or filled is no fault of the program', () => {
  const capture = [[], [{ address: DATA_BASE, length: 4 }]];
  const lines = ['munmap(&(0x7f0000000000/0x1000)=nil, 0x1000)', 'read(0x0, &(0x7f0000000000)=""/4, 0x4)'];
  const outcome = run(lines, 10_000, capture);
  assert.is(results(outcome), 'done: 0 0');
  assert.is(outcome.calls[1]!.memory[0]!.length, 0);
  const stopped = run([lines[0]!, "mkdir(&(0x7f0000000000)='./f0\\x00', 0x0)", 'getpid()']);
  assert.is(results(stopped), 'stopped: 0 - -');
  assert.is(stopped.valid, 1);
});

linux_test('programs run without rights, with descriptors 0 to 2, in an empty directory', () => {
  const outcome = run([
    'dup(0x0)',
    "r0 = open$dir(&(0x7f0000000040)='.\\x00', 0x10000, 0x0)",
    'getdents64(r0, &(0x7f0000001000)=""/400, 0x190)',
    "chown(&(0x7f0000000040)='.\\x00', 0x0, 0x0)",
    'umask(0x0)',
    'setuid(0x0)',
    'fcntl$F_GETFL(0x1, 0x3, 0x0)',
  ]);
  assert.is(results(outcome), 'done: 3 4 48 -1 0 -1 32770');
});

test('another host gets a clear message', () => {
  check_host('linux', 'x64');
  for (const [platform, arch] of [
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 'arm64'],
  ] as const)
    assert.throws(() => check_host(platform, arch), /diff compares with the kernel of a Linux host on x86-64/);
});

test.after(() => runner?.close());
test.run();
