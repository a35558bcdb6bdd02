/** kcov's records and its appending side: who may trace, what is stored where, and that nothing leaves the area. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EBUSY, EEXIST, EINVAL } from '../../../engine/abi/errno.ts';
import { KCOV_INIT, KCOV_TRACING_CMP, KCOV_TRACING_PC } from '../../../engine/abi/kcov.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { U32 } from '../../../engine/heap/memory.ts';
import { Kcov } from '../../../engine/kernel/kcov.layout.ts';
import {
  boot_kcov,
  kcov_alloc,
  kcov_attach,
  kcov_count,
  kcov_create,
  kcov_detach,
  kcov_disable,
  kcov_each_frame,
  kcov_enter_machine,
  kcov_init,
  kcov_mapping,
  kcov_pause,
  kcov_put,
  kcov_read_comparisons,
  kcov_read_pcs,
  kcov_remote_enable,
  kcov_remotes,
  kcov_reset,
  kcov_resume,
  kcovs,
  register_kcov,
} from '../../../engine/kernel/kcov.ts';
import {
  kcov_cmp,
  kcov_cmp_const_left,
  kcov_cmp_const_right,
  kcov_deliver,
  kcov_pc,
  kcov_state,
  kcov_switch,
} from '../../../engine/kernel/kcov_trace.ts';
import { frames_used } from '../../../engine/machine/frames.ts';
import { mapping_find, mapping_put, mappings } from '../../../engine/vfs/mapping.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

register_kcov();
const PC = 0x8123_4000 | 0;

/** Whether this thread traces blocks, and comparisons: the elements of `kcov_state` that say so. */
const traces = (): boolean[] => [kcov_state[1] !== 0, kcov_state[2] !== 0];
let kernel: TestKernel;

function boot(slots: readonly number[] | null = null): void {
  kernel = test_kernel();
  boot_kcov(slots);
  kcov_enter_machine();
}

function pcs(kcov: Ptr<'Kcov'>): number[] {
  const target = new Uint32Array(4096);
  return [...target.subarray(0, kcov_read_pcs(kcov, 0, target))];
}

function comparisons(kcov: Ptr<'Kcov'>): number[][] {
  const target = new Uint32Array(600);
  const count = kcov_read_comparisons(kcov, 0, target);
  return Array.from({ length: count }, (_, i) => [...target.subarray(i * 6, i * 6 + 6)]);
}

/** Index into U32 of the first word of the area. */
function word0(kcov: Ptr<'Kcov'>): number {
  const mapping = Kcov.mapping.get(kcov);
  return mapping_find(mapping, 0) >>> 2;
}

test('an area is 2 to INT_MAX / 8 words, made once', () => {
  boot();
  const kcov = kcov_alloc();
  for (const words of [0, 1, -1, 0x7fff_ffff, 2 ** 40, Number.NaN]) assert.is(kcov_init(kcov, words), -EINVAL);
  assert.is(kcov_init(kcov, 512), 0);
  assert.is(kcov_init(kcov, 512), -EBUSY);
  assert.is(kcov_init(kcov, 0), -EBUSY);
  assert.is(kcov_mapping(kcov, 0, 4096 * 2), -EINVAL);
  assert.is(kcov_mapping(kcov, 4096, 4096), -EINVAL);
  const mapping = kcov_mapping(kcov, 0, 4096);
  assert.ok(mapping > 0);
  mapping_put(mapping as Ptr<'Mapping'>);
  kcov_put(kcov);
});

test('everything is given back', () => {
  boot();
  const before = [frames_used(), kcovs.live(), mappings.live(), kcov_remotes.live()];
  const kcov = kcov_create(600_000);
  let frames = 0;
  kcov_each_frame(kcov, () => frames++);
  assert.is(frames, 1 + 2 + Math.ceil(600_000 / 512));
  assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_PC), 0);
  kcov_put(kcov);
  assert.is(kcovs.live(), 1, 'the task holds a reference');
  kcov_detach(kernel.task);
  kcov_detach(kernel.task);
  assert.equal([frames_used(), kcovs.live(), mappings.live(), kcov_remotes.live()], before);
  assert.is(kcov_create(0x0fff_ffff), 0, 'more than there is');
  assert.equal([frames_used(), kcovs.live(), mappings.live()], before.slice(0, 3));
});

test('program counters come in order, across pages, until the area is full', () => {
  boot();
  const kcov = kcov_create(1030);
  assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_PC), 0);
  assert.equal(traces(), [true, false]);
  for (let i = 0; i < 2000; i++) kcov_pc(PC + i);
  assert.is(kcov_count(kcov), 1029);
  assert.equal(
    pcs(kcov),
    Array.from({ length: 1029 }, (_, i) => (PC + i) >>> 0),
  );
  assert.is(U32[word0(kcov) + 3], 0xffff_ffff);
  const tail = new Uint32Array(4);
  assert.is(kcov_read_pcs(kcov, 1027, tail), 2);
  assert.is(kcov_read_pcs(kcov, 5000, tail), 0);
  kcov_reset(kcov);
  assert.is(kcov_count(kcov), 0);
  kcov_pc(PC);
  assert.equal(pcs(kcov), [PC >>> 0]);
  kcov_detach(kernel.task);
  assert.equal(traces(), [false, false]);
  kcov_put(kcov);
});

test('an area longer than the stream gets every record', () => {
  boot();
  const blocks = 1_060_000;
  const kcov = kcov_create(blocks + 1);
  for (const [mode, count] of [
    [KCOV_TRACING_PC, blocks],
    [KCOV_TRACING_CMP, blocks / 4],
  ] as const) {
    assert.is(kcov_attach(kernel.task, kcov, mode), 0);
    kcov_reset(kcov);
    for (let i = 0; i < blocks / 4; i++) {
      for (let j = 0; j < 4; j++) kcov_pc(PC + i);
      if (mode === KCOV_TRACING_CMP) kcov_cmp(i % 2 === 0 ? i : i + 2 ** 40, 1, PC);
    }
    assert.is(kcov_count(kcov), count);
    kcov_detach(kernel.task);
  }
  const [last = 0] = comparisons(kcov).slice(-1);
  assert.equal(last, [6, 99, 256, 1, 0, PC >>> 0]);
  kcov_put(kcov);
});

test('nothing leaves the area whatever word 0 says', () => {
  boot();
  const kcov = kcov_create(512);
  const guard = kcov_create(512);
  for (const mode of [KCOV_TRACING_PC, KCOV_TRACING_CMP]) {
    assert.is(kcov_attach(kernel.task, kcov, mode), 0);
    const at = word0(kcov);
    for (const [low, high] of [
      [511, 0],
      [512, 0],
      [0x7fff_ffff, 0],
      [0x8000_0000, 0],
      [0xffff_ffff, 0],
      [0x2000_0000, 0],
      [0x4000_0000, 0],
      [1, 1],
      [0, 0x8000_0000],
      [0xffff_ffff, 0xffff_ffff],
    ] as const) {
      U32[at] = low;
      U32[at + 1] = high;
      const before = U32.slice(at, at + 1024);
      kcov_pc(PC);
      kcov_cmp(1, 2, PC);
      kcov_deliver();
      assert.equal(U32.slice(at, at + 1024), before, `${low} ${high}`);
    }
    kcov_detach(kernel.task);
    kcov_reset(kcov);
  }
  assert.is(kcov_count(guard), 0);
  kcov_put(guard);
  kcov_put(kcov);
});

test('comparisons: type, constant first, 64 bits where 32 do not do, numbers only', () => {
  boot();
  const kcov = kcov_create(1 + 4 * 8);
  assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_CMP), 0);
  assert.equal(traces(), [false, true]);
  kcov_cmp(3, -1, PC);
  kcov_cmp_const_left(7, 8, PC + 1);
  kcov_cmp_const_right(7, 8, PC + 2);
  kcov_cmp(2 ** 33 + 5, -2, PC + 3);
  for (const other of [Number.NaN, 0.5, Number.POSITIVE_INFINITY, null, undefined, 'x', true, {}])
    kcov_cmp(other, 1, PC);
  kcov_cmp(1n, 0xffff_ffff, PC + 4);
  kcov_switch(4, [1, 2], PC + 5);
  const pc = PC >>> 0;
  assert.equal(comparisons(kcov), [
    [4, 3, 0, 0xffff_ffff, 0, pc],
    [5, 7, 0, 8, 0, pc + 1],
    [5, 8, 0, 7, 0, pc + 2],
    [6, 5, 2, 0xffff_fffe, 0xffff_ffff, pc + 3],
    [4, 1, 0, 0xffff_ffff, 0, pc + 4],
    [5, 1, 0, 4, 0, pc + 5],
    [5, 2, 0, 4, 0, pc + 5],
  ]);
  kcov_cmp(1, 2, PC);
  kcov_cmp(1, 2, PC);
  assert.is(kcov_count(kcov), 8, 'the ninth has no room');
  kcov_detach(kernel.task);
  kcov_put(kcov);
  // Records that lie in two pages.
  const long = kcov_create(1 + 4 * 400);
  assert.is(kcov_attach(kernel.task, long, KCOV_TRACING_CMP), 0);
  for (let i = 0; i < 500; i++) kcov_cmp(i, -i, PC + i);
  assert.is(kcov_count(long), 400);
  const target = new Uint32Array(6 * 500);
  assert.is(kcov_read_comparisons(long, 0, target), 400);
  for (let i = 0; i < 400; i++) assert.equal([...target.subarray(6 * i, 6 * i + 6)], [4, i, 0, -i >>> 0, 0, pc + i]);
  kcov_detach(kernel.task);
  kcov_put(long);
});

test('one task, one kcov', () => {
  boot();
  const kcov = kcov_create(64);
  const other = kcov_create(64);
  const empty = kcov_alloc();
  assert.is(kcov_attach(kernel.task, empty, KCOV_TRACING_PC), -EINVAL, 'no area');
  assert.is(kcov_attach(kernel.task, kcov, -EINVAL), -EINVAL, 'unknown kind');
  assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_PC), 0);
  for (let i = 0; i < 10; i++) assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_PC), -EINVAL, 'already');
  assert.is(kcov_attach(kernel.task, other, KCOV_TRACING_PC), -EBUSY);
  assert.is(kcov_init(kcov, 64), -EBUSY, 'INIT_TRACE while it traces');
  assert.is(kcov_disable(other), -EINVAL);
  assert.is(kcov_disable(kcov), 0);
  assert.is(kcov_disable(kcov), -EINVAL);
  assert.is(Kcov.mode.get(kcov), KCOV_INIT);
  assert.is(kcov_attach(kernel.task, other, KCOV_TRACING_CMP), 0);
  kcov_detach(kernel.task);
  for (const k of [kcov, other, empty]) kcov_put(k);
});

test('a pause stops tracing, a resume goes on where word 0 is', () => {
  boot();
  const kcov = kcov_create(64);
  assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_PC), 0);
  kcov_pc(PC);
  kcov_pause();
  assert.equal(traces(), [false, false]);
  kcov_resume(kernel.task);
  assert.equal(traces(), [true, false]);
  kcov_pc(PC + 1);
  assert.equal(pcs(kcov), [PC >>> 0, (PC + 1) >>> 0]);
  kcov_detach(kernel.task);
  kcov_put(kcov);
});

test('a filter lets only its files through', () => {
  boot([(PC >>> 12) & 0x7ffff]);
  const kcov = kcov_create(64);
  assert.is(kcov_attach(kernel.task, kcov, KCOV_TRACING_PC), 0);
  kcov_pc(PC);
  kcov_pc(PC + 0x1000);
  kcov_pc(PC + 0xfff);
  assert.equal(pcs(kcov), [PC >>> 0, (PC + 0xfff) >>> 0]);
  kcov_detach(kernel.task);
  kcov_put(kcov);
  boot();
});

test('remote handles: valid ones once, all gone with the tracing', () => {
  boot();
  const kcov = kcov_create(64);
  const none = { low: 0, high: 0 };
  const common = { low: 9, high: 0 };
  const usb = { low: 1, high: 0x0100_0000 };
  const enable = (handles: { low: number; high: number }[], of = common): number =>
    kcov_remote_enable(kcov, KCOV_TRACING_PC, 32, handles, of);
  assert.is(enable([common]), -EINVAL, 'a common handle in the list');
  assert.is(enable([], usb), -EINVAL, 'another for the common one');
  assert.is(enable([{ low: 1, high: 0x0200_0000 }]), -EINVAL, 'no such subsystem');
  assert.is(enable([usb, usb]), -EEXIST);
  assert.is(kcov_remotes.live(), 0);
  assert.is(enable([usb], none), 0);
  assert.equal(traces(), [false, false], 'the task itself is not traced');
  assert.is(enable([]), -EINVAL);
  assert.is(kcov_disable(kcov), 0);
  assert.is(kcov_remotes.live(), 0);
  kcov_put(kcov);
});

test.run();
