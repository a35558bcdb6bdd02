/** What the executor finds, planted: a tracer that misbehaves stands in for a broken kernel. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../../engine/base/types.ts';
import { heap_page_alloc } from '../../../../engine/heap/heap_pages.ts';
import { Lock, lock } from '../../../../engine/heap/lock.ts';
import { FILES_LOCK, HEAP_LOCK, SLAB_LOCK } from '../../../../engine/heap/lock_order.ts';
import { U8, U32 } from '../../../../engine/heap/memory.ts';
import { current } from '../../../../engine/kernel/current.ts';
import { Task, WORK_SIGNAL } from '../../../../engine/kernel/task.layout.ts';
import { frame_alloc, frame_info } from '../../../../engine/machine/frames.ts';
import { vmas } from '../../../../engine/mm/vma.ts';
import { set_syscall_tracer } from '../../../../engine/syscalls/dispatch.ts';
import { syscall_by_name } from '../../../../engine/syscalls/table.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { CHECK_ALL, executor, run_lines, summary } from '../../../support/executor.ts';
import { program } from '../../../support/programs.ts';

const GETPPID = syscall_by_name('getppid')?.number;

/** Runs two calls with `plant` in the second of them. */
function planted(plant: () => void): ReturnType<typeof run_lines> {
  const words = exec_encode(program('getpid()', 'getppid()'));
  set_syscall_tracer({ enter: (number) => (number === GETPPID ? plant() : undefined), block() {}, leave() {} });
  try {
    return executor().run(words, CHECK_ALL);
  } finally {
    set_syscall_tracer(null);
    assert.is(summary(run_lines(['getpid()', 'getppid()'])), 'done: 1 0', 'the executor goes on as before');
  }
}

/** The panic of a plant: kind and record class. */
function panic_of(plant: () => void): string {
  const { status, panic } = planted(plant);
  assert.is(status, 'panic');
  assert.is(panic?.call, 1);
  return `${panic?.kind} ${panic?.record} in ${panic?.function_name}`;
}

test('a double free and a write behind a record are the sanitizer panics of their class', () => {
  function double_free(): void {
    const vma = vmas.alloc();
    vmas.free(vma);
    vmas.free(vma);
  }
  assert.is(panic_of(double_free), 'sanitizer Vma in double_free');
  function overflow(): void {
    const vma = vmas.alloc();
    U8[vma - 1] = 1;
    vmas.free(vma);
  }
  assert.is(panic_of(overflow), 'sanitizer Vma in overflow');
});

test('a lock taken out of order, and one taken twice', () => {
  const page = (): Ptr<'Lock'> => heap_page_alloc() as Ptr<'Lock'>;
  function inversion(): void {
    const at = page();
    U32.fill(0, at >> 2, (at >> 2) + 8);
    lock(at, SLAB_LOCK);
    lock((at + Lock.SIZE) as Ptr<'Lock'>, FILES_LOCK);
  }
  assert.is(panic_of(inversion), 'lock_order files in inversion');
  function twice(): void {
    const at = page();
    U32.fill(0, at >> 2, (at >> 2) + 8);
    lock(at, HEAP_LOCK);
    lock(at, HEAP_LOCK);
  }
  assert.is(panic_of(twice), 'lock_order heap in twice');
});

test('an exception of JavaScript and endless recursion', () => {
  function broken(): void {
    (undefined as unknown as { field: { deeper: number } }).field.deeper++;
  }
  assert.is(panic_of(broken), 'exception  in broken');
  function endless(): number {
    return endless() + 1;
  }
  assert.is(
    panic_of(() => void endless()),
    'exception  in endless',
  );
});

test('a panic in the middle of kernel work leaves nothing behind for the next machine', () => {
  const lines = [
    "mkdir(&(0x7f0000000040)='./d\\x00', 0x1ff)",
    "rename(&(0x7f0000000040)='./d\\x00', &(0x7f0000000080)='./e\\x00')",
    "symlink(&(0x7f0000000040)='./e\\x00', &(0x7f0000000080)='./l\\x00')",
    "creat(&(0x7f0000000040)='./l/x\\x00', 0x1ff)",
    'mmap(&(0x7f0000001000/0x2000)=nil, 0x2000, 0x3, 0x8032, 0xffffffffffffffff, 0x0)',
    'munmap(&(0x7f0000001000/0x1000)=nil, 0x1000)',
  ];
  const words = exec_encode(program(...lines));
  for (let broken = 0; broken < lines.length; broken++) {
    let call = 0;
    // A lock is held that comes behind those of the name space.
    const enter = (): void => {
      if (call++ !== broken) return;
      const at = heap_page_alloc() as Ptr<'Lock'>;
      U32.fill(0, at >> 2, (at >> 2) + 4);
      lock(at, { name: 'planted', rank: 70 });
    };
    set_syscall_tracer({ enter, block() {}, leave() {} });
    const { panic } = executor().run(words, CHECK_ALL);
    set_syscall_tracer(null);
    assert.ok(panic !== null, lines[broken]);
    assert.is(summary(run_lines(lines)), `done: 0 0 0 3 ${0x20001000} 0`, `after a panic in ${lines[broken]}`);
  }
});

test('a lost record, a lost frame and a lost heap page are leaks', () => {
  assert.equal(
    planted(() => void vmas.alloc()).leaks.map(({ record, before, after }) => [record, after - before]),
    [['Vma', 1]],
  );
  assert.equal(
    planted(() => void frame_alloc()).leaks.map(({ record }) => record),
    ['frames'],
  );
  assert.equal(
    planted(() => void heap_page_alloc()).leaks.map(({ record }) => record),
    ['heap pages'],
  );
});

test('what files keep is no leak, and what is lost besides is', () => {
  const lines = ["mkdir(&(0x7f0000000040)='./d\\x00', 0x1ff)", "creat(&(0x7f0000000040)='/tmp/x\\x00', 0x1ff)"];
  assert.is(summary(run_lines(lines)), 'done: 0 3');
  const words = exec_encode(program(...lines));
  set_syscall_tracer({ enter: () => void vmas.alloc(), block() {}, leave() {} });
  const { leaks } = executor().run(words, CHECK_ALL);
  set_syscall_tracer(null);
  assert.equal(
    leaks.map(({ record, before, after }) => [record, after - before]),
    [['Vma', 3]],
  );
});

test('a task that never ends is a hang', () => {
  // The call is interrupted whenever it begins, by a signal that is not there: it is made again for ever.
  set_syscall_tracer({ enter: () => void Task.pending_work.or(current, WORK_SIGNAL), block() {}, leave() {} });
  const outcome = executor().run(exec_encode(program('pause()', 'getppid()')), CHECK_ALL);
  set_syscall_tracer(null);
  assert.is(summary(outcome), 'hang: ... -');
});

test('a frame whose record changed behind the kernel is found by the verification', () => {
  const wild = (): void => {
    U32[(frame_info(frame_alloc()) >> 2) + 400] = 1;
  };
  const { status, corruption } = planted(wild);
  assert.is(status, 'corrupt', corruption);
});

test.run();
