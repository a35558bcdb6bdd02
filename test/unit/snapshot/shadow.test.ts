import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boot_memory } from '../../../engine/heap/boot.ts';
import { heap_page_alloc, heap_page_free } from '../../../engine/heap/heap_pages.ts';
import { layout } from '../../../engine/heap/layout.ts';
import { MACHINE, MachineHeader } from '../../../engine/heap/machine.layout.ts';
import { U8, U32 } from '../../../engine/heap/memory.ts';
import { slab, slab_reports } from '../../../engine/heap/slab.ts';
import { frame_alloc, frame_put } from '../../../engine/machine/frames.ts';
import { BLOCK, create_comparer } from '../../../engine/snapshot/compare.ts';
import { Shadow } from '../../../engine/snapshot/shadow.ts';
import { vfs_boot, vfs_root } from '../../../engine/vfs/root.ts';
import { VfsRoot } from '../../../engine/vfs/vfs.layout.ts';
import { Random } from '../../../harness/prog/random.ts';

const l = layout('ShadowTestRecord');
const Record = l.done({ value: l.u32('immutable') }, 64);
const records = slab(Record);

function machine(shadow_bytes = 1 << 20): WebAssembly.Memory {
  return boot_memory({ vcpus: 1, heap_bytes: 1 << 20, ram_bytes: 4 << 20, sanitize: true, shadow_bytes });
}

test('comparing and copying, block by block', () => {
  const memory = machine();
  const comparer = create_comparer(memory);
  const a = MachineHeader.frames_base.get(MACHINE);
  const b = a + 0x10000;
  const random = new Random(1);
  for (let i = 0; i < 0x4000; i++) U8[a + i] = U8[b + i] = random.below(256);
  assert.is(comparer.difference(a, b, 0x4000), -1);
  assert.is(comparer.restore(a, b, 0x4000), 0);
  for (const at of [0, 1, 127, 128, 0x1fff, 0x3fff]) {
    const before = U8[a + at] as number;
    U8[a + at] = before ^ 0x80;
    assert.is(comparer.difference(a, b, 0x4000), Math.floor(at / BLOCK) * BLOCK);
    assert.is(comparer.restore(a, b, 0x4000), 1);
    assert.is(U8[a + at], before);
  }
  for (const at of [0, 4096, 4097, 0x3000]) (U8[a + at] as number)++;
  assert.is(comparer.restore(a, b, 0x4000), 3, 'pages');
  assert.is(comparer.nonzero(b + 0x4000, 0x4000), -1);
  U8[b + 0x4000 + 300] = 1;
  assert.is(comparer.nonzero(b + 0x4000, 0x4000), 256);
  comparer.zero(b + 0x4000, 0x4000);
  assert.is(comparer.nonzero(b + 0x4000, 0x4000), -1);
});

test('records, heap pages and frames come back, and what was never used is zero again', () => {
  machine();
  const kept = records.alloc();
  Record.value.set(kept, 7);
  const page = heap_page_alloc();
  U32[page >> 2] = 11;
  const frame = frame_alloc();
  U32[frame >>> 2] = 13;
  const shadow = new Shadow();
  const reports = slab_reports();
  const first_free = heap_page_alloc();
  heap_page_free(first_free);
  shadow.restore();
  for (let round = 0; round < 20; round++) {
    Record.value.set(kept, round);
    U32[page >> 2] = round;
    U32[frame >>> 2] = round;
    for (let i = 0; i < 100; i++) Record.value.set(records.alloc(), i);
    if (round % 2 === 0) records.free(kept);
    for (let i = 0; i < 5; i++) U32[heap_page_alloc() >> 2] = 0xffff_ffff;
    for (let i = 0; i < 20; i++) U32[frame_alloc() >>> 2] = 1;
    if (round % 3 === 0) frame_put(frame);
    assert.is.not(shadow.verify(), '', 'a changed machine is not the one kept');
    assert.ok(shadow.restore() > 0);
    assert.is(shadow.verify(), '');
    assert.is(shadow.restore(), 0, 'nothing is left to do');
    assert.equal([Record.value.get(kept), U32[page >> 2], U32[frame >>> 2]], [7, 11, 13]);
    assert.equal(slab_reports(), reports);
  }
  assert.is(heap_page_alloc(), first_free, 'the next page is what it would have been');
});

test('what changes without a record taken or given back comes back: other pages, live cells, hash buckets', () => {
  machine();
  vfs_boot();
  const bucket = U32[VfsRoot.dentry_hash.at(vfs_root()) >>> 2] as number;
  const kept = [1, 2, 3].map(() => records.alloc());
  const free_cell = (((kept[0] as number) & -4096) >>> 0) + 4000;
  const page = heap_page_alloc();
  const shadow = new Shadow();
  for (const p of kept) Record.value.set(p, 5);
  U32[page >>> 2] = 5;
  U32[bucket >>> 2] = kept[0] as number;
  VfsRoot.dentry_hash_changes.set(vfs_root(), 1);
  assert.is(shadow.restore(), 4);
  assert.is(shadow.verify(), '');
  // A free cell that somebody writes to is left to the verification, unless its class was used.
  U32[free_cell >>> 2] = 5;
  assert.is(shadow.restore(), 0);
  assert.match(shadow.verify(), `heap: 0x${free_cell.toString(16)} is 0x5`);
  records.free(kept[1] as (typeof kept)[0]);
  shadow.restore();
  assert.is(shadow.verify(), '');
});

test('a store that no reset takes back is told with its address', () => {
  machine();
  const record = records.alloc();
  const shadow = new Shadow();
  Record.value.set(record, 5);
  assert.match(shadow.verify(), `heap: 0x${record.toString(16)} is 0x5, not 0x0`);
  shadow.restore();
  const beyond = MachineHeader.heap_end.get(MACHINE) - 64;
  U32[beyond >> 2] = 1;
  shadow.restore();
  assert.match(shadow.verify(), 'unused heap');
});

test('too little room for the copy is a panic that says so', () => {
  machine(64 << 10);
  for (let i = 0; i < 100; i++) heap_page_alloc();
  assert.throws(() => new Shadow(), /does not fit/);
});

test.run();
