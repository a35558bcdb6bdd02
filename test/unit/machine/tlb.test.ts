/** Switches of a vCPU between address spaces: what of the TLB is kept, and what makes it void. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../engine/base/types.ts';
import { U32 } from '../../../engine/heap/memory.ts';
import { tlb_flush_all, tlb_forget_others, tlb_init, tlb_is_current, tlb_switch } from '../../../engine/machine/tlb.ts';
import { TLB_ENTRIES, TLB_LOG_LIMIT, TLB_OFFSET, vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { test_memory } from '../../support/memory.ts';
import { log_tlb_fill } from '../../support/tlb.ts';

const NONE = 0xffff_ffff;

function entry(vcpu: Ptr<'Vcpu'>, number: number): number {
  return ((vcpu + TLB_OFFSET) >>> 2) + number * 8;
}

function fill(vcpu: Ptr<'Vcpu'>, number: number, page: number, addend: number): void {
  const at = entry(vcpu, number);
  U32.set([page, 7, page, 7, addend], at);
  log_tlb_fill(vcpu, number);
}

/** Numbers of the entries that translate something. */
function filled(vcpu: Ptr<'Vcpu'>): number[] {
  return Array.from({ length: TLB_ENTRIES }, (_, i) => i).filter((i) => {
    const at = entry(vcpu, i);
    return U32[at] !== NONE || U32[at + 2] !== NONE;
  });
}

function fresh(): Ptr<'Vcpu'> {
  test_memory();
  const vcpu = vcpu_at(0);
  tlb_init(vcpu);
  return vcpu;
}

test('an address space that comes back finds its entries as they were', () => {
  const vcpu = fresh();
  tlb_switch(vcpu, 1, 0, 0);
  fill(vcpu, 3, 0x3000, 0x1111);
  fill(vcpu, 900, 0x384000, 0x2222);
  tlb_switch(vcpu, 2, 5, 0);
  assert.equal(filled(vcpu), []);
  fill(vcpu, 3, 0x403000, 0x3333);
  tlb_switch(vcpu, 1, 0, 0);
  assert.equal(filled(vcpu), [3, 900]);
  assert.equal([...U32.subarray(entry(vcpu, 3), entry(vcpu, 3) + 5)], [0x3000, 7, 0x3000, 7, 0x1111]);
  assert.equal([...U32.subarray(entry(vcpu, 900), entry(vcpu, 900) + 5)], [0x384000, 7, 0x384000, 7, 0x2222]);
  tlb_switch(vcpu, 2, 5, 0);
  assert.equal(filled(vcpu), [3]);
  assert.is(U32[entry(vcpu, 3) + 4], 0x3333);
});

test('what has changed meanwhile is forgotten', () => {
  const vcpu = fresh();
  tlb_switch(vcpu, 1, 0, 0);
  fill(vcpu, 3, 0x3000, 0);
  tlb_switch(vcpu, 2, 0, 0);
  tlb_switch(vcpu, 1, 1, 0);
  assert.equal(filled(vcpu), []);
  fill(vcpu, 4, 0x4000, 0);
  tlb_switch(vcpu, 1, 2, 0);
  assert.equal(filled(vcpu), [], 'changed without being left');
  fill(vcpu, 5, 0x5000, 0);
  tlb_is_current(vcpu, 1, 3);
  tlb_switch(vcpu, 2, 0, 0);
  tlb_switch(vcpu, 1, 3, 0);
  assert.equal(filled(vcpu), [5], 'the vCPU itself flushed for change 3');
});

test('what makes every translation void reaches the banks', () => {
  for (const forget of [tlb_forget_others, tlb_flush_all]) {
    const vcpu = fresh();
    tlb_switch(vcpu, 1, 0, 0);
    fill(vcpu, 3, 0x3000, 0);
    tlb_switch(vcpu, 2, 0, 0);
    forget(vcpu);
    tlb_switch(vcpu, 1, 0, 0);
    assert.equal(filled(vcpu), []);
  }
});

test('entries flushed one by one do not come back, an entry filled twice comes back once', () => {
  const vcpu = fresh();
  tlb_switch(vcpu, 1, 0, 0);
  fill(vcpu, 3, 0x3000, 0);
  fill(vcpu, 4, 0x4000, 0);
  fill(vcpu, 4, 0x4000, 0x5555);
  U32[entry(vcpu, 3)] = NONE;
  U32[entry(vcpu, 3) + 2] = NONE;
  tlb_switch(vcpu, 2, 0, 0);
  tlb_switch(vcpu, 1, 0, 0);
  assert.equal(filled(vcpu), [4]);
  assert.is(U32[entry(vcpu, 4) + 4], 0x5555);
});

test('more entries than the log holds are all flushed, and none comes back', () => {
  for (const count of [TLB_LOG_LIMIT, TLB_LOG_LIMIT + 1, TLB_ENTRIES]) {
    const vcpu = fresh();
    tlb_switch(vcpu, 1, 0, 0);
    for (let i = 0; i < count; i++) fill(vcpu, i, 0x1000 * i, 0);
    tlb_switch(vcpu, 2, 0, 0);
    assert.equal(filled(vcpu), []);
    tlb_switch(vcpu, 1, 0, 0);
    assert.is(filled(vcpu).length, count <= TLB_LOG_LIMIT ? count : 0);
  }
});

test('more address spaces than banks: the oldest are forgotten, none is mixed up', () => {
  const vcpu = fresh();
  const spaces = Array.from({ length: 20 }, (_, i) => i + 1);
  for (const space of spaces) {
    tlb_switch(vcpu, space, 0, 0);
    fill(vcpu, space, 0x1000 * space, 0);
  }
  for (const space of [...spaces, ...spaces]) {
    tlb_switch(vcpu, space, 0, 0);
    const found = filled(vcpu);
    assert.ok(found.length === 0 || (found.length === 1 && found[0] === space), `${space}: ${found}`);
    if (found.length === 0) fill(vcpu, space, 0x1000 * space, 0);
  }
  tlb_switch(vcpu, 19, 0, 0);
  assert.equal(filled(vcpu), [19]);
});

test.run();
