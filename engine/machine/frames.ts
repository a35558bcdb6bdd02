// @hot
/**
 * Frames: the 4 KiB pages of guest RAM. Page tables, anonymous memory, page cache and pipe buffers all
 * come from here; the limit is the machine's RAM and running out is a value (0).
 *
 * A frame is free, or has `refs` > 0: one for each page-table entry, one for the page cache, one for
 * each other holder. When the count reaches zero the frame is *retired*: another vCPU may still hold a
 * translation of it, a pinned pointer to it or be half way through a walk over it. It is reused two
 * epochs later (see safe_point.ts), or at once when every other vCPU is idle.
 *
 * Life of a frame:  frame_alloc -> [frame_get/frame_put]* -> last frame_put -> retired -> free list
 */
import { assert, CHECKED } from '../base/assert.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';
import { fault_now, faults_countdown } from '../heap/fault_injection.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FRAMES_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { I32, U32 } from '../heap/memory.ts';
import { code_frame_changed } from './code_events.ts';
import { FRAME_CODE, FrameInfo } from './frame.layout.ts';
import { this_vcpu } from './this_vcpu.ts';
import { MODE_IDLE, Vcpu, vcpu_at } from './vcpu.layout.ts';

/** Frees frames that nothing needs (clean page cache); returns how many. Must not sleep or wait for locks. */
export type Reclaim = (wanted: number) => number;
let reclaim: Reclaim | null = null;
const RECLAIM_BATCH = 64;

/** Installs the page cache's reclaim function, at module load. */
export function register_reclaim(fn: Reclaim): void {
  reclaim = fn;
}

/** The record of a frame. */
export function frame_info(frame: FrameAddr): Ptr<'FrameInfo'> {
  return (MachineHeader.frame_table.get(MACHINE) + (frame >>> 12) * FrameInfo.SIZE) as Ptr<'FrameInfo'>;
}

/** The frame that always reads as zero; its references are not counted, and it is never written. */
export function zero_frame(): FrameAddr {
  return MachineHeader.frames_base.get(MACHINE) as FrameAddr;
}

let fresh = false;

/** Takes a frame off the free list or the unused end; sets `fresh` when its bytes are zero already. */
function take(): FrameAddr {
  const frames_lock = MachineHeader.frames_lock.at(MACHINE);
  lock(frames_lock, FRAMES_LOCK);
  let frame = MachineHeader.frames_free_head.get(MACHINE) as FrameAddr;
  fresh = false;
  if (frame !== 0) {
    MachineHeader.frames_free_head.set(MACHINE, FrameInfo.owner.get(frame_info(frame)));
    MachineHeader.frames_free_count.set(MACHINE, MachineHeader.frames_free_count.get(MACHINE) - 1);
  } else {
    const next = MachineHeader.frames_next.get(MACHINE);
    if (next < MachineHeader.frames_end.get(MACHINE)) {
      MachineHeader.frames_next.set(MACHINE, next + 4096);
      frame = next as FrameAddr;
      fresh = true;
    }
  }
  unlock(frames_lock, FRAMES_LOCK);
  return frame;
}

/** A frame with undefined content and one reference, or 0 when guest RAM is exhausted. */
export function frame_alloc_uninitialized(): FrameAddr {
  if (faults_countdown !== 0 && fault_now()) return 0 as FrameAddr;
  let frame = take();
  if (frame === 0 && reclaim !== null && reclaim(RECLAIM_BATCH) > 0) frame = take();
  if (frame === 0) return frame;
  const info = frame_info(frame);
  if (CHECKED) assert(FrameInfo.refs.load(info) === 0, 'frame_alloc: a free frame has references');
  FrameInfo.owner.set(info, 0);
  FrameInfo.index.set(info, 0);
  FrameInfo.flags.store(info, 0);
  FrameInfo.refs.store(info, 1);
  return frame;
}

/** A zeroed frame with one reference, or 0 when guest RAM is exhausted. */
export function frame_alloc(): FrameAddr {
  const frame = frame_alloc_uninitialized();
  if (frame !== 0 && !fresh) frame_zero(frame);
  return frame;
}

/** Fills a frame with zeros. */
export function frame_zero(frame: FrameAddr): void {
  bytes_zero(frame, 4096);
}

/** Copies a frame's bytes. */
export function frame_copy(target: FrameAddr, source: FrameAddr): void {
  bytes_copy(target, source, 4096);
}

/** Takes one more reference. */
export function frame_get(frame: FrameAddr): void {
  if (frame === MachineHeader.frames_base.get(MACHINE)) return;
  const before = FrameInfo.refs.add(frame_info(frame), 1);
  if (CHECKED) assert(before > 0, 'frame_get: frame has no reference');
}

/** Drops a reference; the last one retires the frame. */
export function frame_put(frame: FrameAddr): void {
  if (frame_drop(frame)) frame_chain_retire(frame, frame, 1);
}

/**
 * Drops a reference and says whether it was the last: the caller then links the frame into a chain
 * (FrameInfo.owner is the next frame) and retires the chain as a whole.
 */
export function frame_drop(frame: FrameAddr): boolean {
  if (frame === MachineHeader.frames_base.get(MACHINE)) return false;
  const info = frame_info(frame);
  const before = FrameInfo.refs.add(info, -1);
  if (CHECKED) assert(before > 0, 'frame_put: frame has no reference');
  if (before !== 1) return false;
  // A plain load: nobody marks a frame that nobody references.
  if (((I32[FrameInfo.flags.index(info)] as number) & FRAME_CODE) !== 0) code_frame_changed(frame);
  return true;
}

/** References held now; the zero frame's are not counted. */
export function frame_refs(frame: FrameAddr): number {
  return FrameInfo.refs.load(frame_info(frame));
}

/** Retires a chain of frames without references, linked through FrameInfo.owner from head to tail. */
export function frame_chain_retire(head: FrameAddr, tail: FrameAddr, count: number): void {
  const at_once = others_idle();
  const frames_lock = MachineHeader.frames_lock.at(MACHINE);
  lock(frames_lock, FRAMES_LOCK);
  if (at_once) {
    FrameInfo.owner.set(frame_info(tail), MachineHeader.frames_free_head.get(MACHINE));
    MachineHeader.frames_free_head.set(MACHINE, head);
    MachineHeader.frames_free_count.set(MACHINE, MachineHeader.frames_free_count.get(MACHINE) + count);
  } else {
    const slot = retired_slot(MachineHeader.epoch.load(MACHINE));
    const old_head = U32[slot] as number;
    FrameInfo.owner.set(frame_info(tail), old_head);
    if (old_head === 0) U32[slot + 1] = tail;
    U32[slot] = head;
    MachineHeader.retired_count.set(MACHINE, MachineHeader.retired_count.get(MACHINE) + count);
  }
  unlock(frames_lock, FRAMES_LOCK);
}

/** Index in U32 of the chain (head, tail) of frames retired in an epoch. */
function retired_slot(epoch: number): number {
  return (MachineHeader.retired.at(MACHINE) >>> 2) + (epoch % 3) * 2;
}

/** Whether every other vCPU is idle: none holds a translation it could use, a pin or a walk. */
function others_idle(): boolean {
  const count = MachineHeader.vcpu_count.get(MACHINE);
  for (let i = 0; i < count; i++) {
    const vcpu = vcpu_at(i);
    if (vcpu !== this_vcpu && Vcpu.mode.load(vcpu) !== MODE_IDLE) return false;
  }
  return true;
}

/**
 * Moves to the next epoch if every vCPU that is not idle has seen the present one, and frees what was
 * retired two epochs ago. Called at safe points while anything is retired.
 */
export function epoch_try_advance(): void {
  const epoch = MachineHeader.epoch.load(MACHINE);
  const count = MachineHeader.vcpu_count.get(MACHINE);
  for (let i = 0; i < count; i++) {
    const vcpu = vcpu_at(i);
    if (Vcpu.mode.load(vcpu) !== MODE_IDLE && Vcpu.epoch.load(vcpu) !== epoch) return;
  }
  const frames_lock = MachineHeader.frames_lock.at(MACHINE);
  lock(frames_lock, FRAMES_LOCK);
  // Epochs wrap at 3 * 2^28, a multiple of three, so that the chain index stays right.
  const next = epoch + 1 === 0x3000_0000 ? 0 : epoch + 1;
  if (MachineHeader.epoch.cas(MACHINE, epoch, next) === epoch) free_retired(retired_slot(next + 1));
  unlock(frames_lock, FRAMES_LOCK);
}

function free_retired(slot: number): void {
  const head = U32[slot] as number;
  if (head === 0) return;
  const tail = U32[slot + 1] as FrameAddr;
  let count = 1;
  for (let f = head as FrameAddr; f !== tail; f = FrameInfo.owner.get(frame_info(f)) as FrameAddr) count++;
  FrameInfo.owner.set(frame_info(tail), MachineHeader.frames_free_head.get(MACHINE));
  MachineHeader.frames_free_head.set(MACHINE, head);
  MachineHeader.frames_free_count.set(MACHINE, MachineHeader.frames_free_count.get(MACHINE) + count);
  MachineHeader.retired_count.set(MACHINE, MachineHeader.retired_count.get(MACHINE) - count);
  U32[slot] = 0;
  U32[slot + 1] = 0;
}

/** Frames that can be allocated now, without reclaim; retired ones are not counted. */
export function frames_free(): number {
  const unused = (MachineHeader.frames_end.get(MACHINE) - MachineHeader.frames_next.get(MACHINE)) / 4096;
  return unused + MachineHeader.frames_free_count.get(MACHINE);
}

/** Frames in use or retired, the zero frame included. */
export function frames_used(): number {
  return frames_total() - frames_free();
}

/** Frames of guest RAM. */
export function frames_total(): number {
  return MachineHeader.frames_total.get(MACHINE);
}
