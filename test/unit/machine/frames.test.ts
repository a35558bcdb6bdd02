import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FrameAddr } from '../../../engine/base/types.ts';
import { U8, U32 } from '../../../engine/heap/memory.ts';
import { code_frame_changed, register_code_invalidation } from '../../../engine/machine/code_events.ts';
import { FRAME_CODE, FrameInfo } from '../../../engine/machine/frame.layout.ts';
import {
  frame_alloc,
  frame_get,
  frame_info,
  frame_put,
  frame_refs,
  frames_free,
  frames_total,
  frames_used,
  zero_frame,
} from '../../../engine/machine/frames.ts';
import { enter_guest, enter_idle, leave_guest, leave_idle, safe_point } from '../../../engine/machine/safe_point.ts';
import { set_this_vcpu } from '../../../engine/machine/this_vcpu.ts';
import { tlb_flush_page } from '../../../engine/machine/tlb.ts';
import { INTERRUPT_CODE, INTERRUPT_FLUSH_TLB, TLB_OFFSET, Vcpu, vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { test_machine } from '../../support/mm.ts';
import { log_tlb_fill } from '../../support/tlb.ts';

test('frames are zeroed, counted and reused at once when the other vCPUs are idle', () => {
  test_machine({ ram_bytes: 1 << 20 });
  assert.is(frames_total(), 256);
  assert.is(frames_used(), 1);
  const frame = frame_alloc();
  assert.is(frame % 4096, 0);
  U8[frame + 17] = 9;
  frame_get(frame);
  assert.is(frame_refs(frame), 2);
  frame_put(frame);
  assert.is(frames_used(), 2);
  frame_put(frame);
  assert.is(frames_used(), 1);
  assert.is(frame_alloc(), frame);
  assert.is(U8[frame + 17], 0);
  frame_put(frame);
  frame_get(zero_frame());
  frame_put(zero_frame());
  frame_put(zero_frame());
  assert.is(frames_used(), 1);
});

test('exhaustion is a value, and every frame comes back', () => {
  test_machine({ ram_bytes: 1 << 20 });
  const all: FrameAddr[] = [];
  for (let frame = frame_alloc(); frame !== 0; frame = frame_alloc()) all.push(frame);
  assert.is(all.length, 255);
  assert.is(new Set(all).size, 255);
  for (const frame of all) frame_put(frame);
  assert.is(frames_free(), 255);
});

test('a frame is reused only after every vCPU that is not idle passed a safe point', () => {
  test_machine({ ram_bytes: 1 << 20, vcpus: 3 });
  leave_idle(vcpu_at(0));
  leave_idle(vcpu_at(1));
  const frame = frame_alloc();
  const used = frames_used();
  frame_put(frame);
  assert.is(frames_used(), used, 'still retired');
  for (let i = 0; i < 5; i++) safe_point(vcpu_at(0));
  assert.is(frames_used(), used, 'vCPU 1 has not passed');
  safe_point(vcpu_at(1));
  safe_point(vcpu_at(0));
  assert.is(frames_used(), used - 1);
  enter_idle(vcpu_at(1));
  const other = frame_alloc();
  frame_put(other);
  assert.is(frames_used(), used - 1, 'at once with vCPU 1 idle');
  enter_idle(vcpu_at(0));
});

test('what a busy vCPU retired is freed when the last vCPU goes idle and another allocates', () => {
  test_machine({ ram_bytes: 1 << 20 });
  leave_idle(vcpu_at(0));
  leave_idle(vcpu_at(1));
  frame_put(frame_alloc());
  assert.is(frames_used(), 2);
  enter_idle(vcpu_at(1));
  for (let i = 0; i < 3; i++) safe_point(vcpu_at(0));
  assert.is(frames_used(), 1);
  enter_idle(vcpu_at(0));
});

test('safe points take flush requests; entering the guest looks again', () => {
  test_machine();
  const vcpu = vcpu_at(0);
  leave_idle(vcpu);
  const tag = (vcpu + TLB_OFFSET) >> 2;
  U32[tag + 8 * 5] = 0x5000;
  U32[tag + 8 * 5 + 2] = 0x5000;
  log_tlb_fill(vcpu, 5);
  Vcpu.interrupt.or(vcpu, INTERRUPT_FLUSH_TLB);
  const before = Vcpu.flushes.load(vcpu);
  safe_point(vcpu);
  assert.is(Vcpu.flushes.load(vcpu), before + 1);
  assert.is(Vcpu.interrupt.load(vcpu), 0);
  assert.is(U32[tag + 8 * 5], 0xffffffff);
  assert.is(U32[tag + 8 * 5 + 2], 0xffffffff);
  U32[tag + 8 * 5] = 0x5000;
  tlb_flush_page(vcpu, 0x7000_0000_5000);
  assert.is(U32[tag + 8 * 5], 0xffffffff);
  Vcpu.interrupt.or(vcpu, INTERRUPT_FLUSH_TLB);
  enter_guest(vcpu);
  assert.is(Vcpu.flushes.load(vcpu), before + 2);
  leave_guest(vcpu);
  enter_idle(vcpu);
});

test('a freed or changed code frame is forgotten by every vCPU', () => {
  test_machine();
  const seen: string[] = [];
  register_code_invalidation({ frame: (frame) => seen.push(`${frame}`), all: () => seen.push('all') });
  const frame = frame_alloc();
  FrameInfo.flags.or(frame_info(frame), FRAME_CODE);
  frame_put(frame);
  assert.equal(seen, [`${frame}`]);
  assert.is(Vcpu.interrupt.load(vcpu_at(1)), INTERRUPT_CODE);
  seen.length = 0;
  set_this_vcpu(vcpu_at(1));
  safe_point(vcpu_at(1));
  assert.equal(seen, [`${frame}`]);
  safe_point(vcpu_at(1));
  assert.is(seen.length, 1);
  set_this_vcpu(vcpu_at(0));
  for (let i = 0; i < 100; i++) code_frame_changed(frame);
  seen.length = 0;
  set_this_vcpu(vcpu_at(1));
  safe_point(vcpu_at(1));
  assert.equal(seen, ['all']);
});

test.run();
