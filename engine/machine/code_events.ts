/**
 * Telling every vCPU that the bytes of a frame with decoded code changed or went away.
 *
 * The platform marks a frame FRAME_CODE before it decodes from it. The kernel calls
 * `code_frame_changed` when it writes such a frame or frees it; the platform does so when a guest store
 * hits one. The frame's number goes into a ring in the machine header; each vCPU acts on the ring's new
 * entries at its next safe point (INTERRUPT_CODE makes it come soon), and on all code at once when it
 * fell behind by more than the ring holds.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FRAMES_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { U32 } from '../heap/memory.ts';
import { FRAME_CODE, FrameInfo } from './frame.layout.ts';
import { this_vcpu } from './this_vcpu.ts';
import { INTERRUPT_CODE, Vcpu, vcpu_at } from './vcpu.layout.ts';

const RING = 64;

export interface CodeInvalidation {
  /** Forgets, on this thread, what was decoded from this frame. */
  frame(frame: FrameAddr): void;
  /** Forgets all decoded code of this thread. */
  all(): void;
}
let invalidation: CodeInvalidation | null = null;

/** Installs the platform's functions for the vCPU that this thread is; null: it is none. */
export function register_code_invalidation(functions: CodeInvalidation | null): void {
  invalidation = functions;
}

/** The frame's bytes changed: this thread forgets its code at once, the others at their next safe point. */
export function code_frame_changed(frame: FrameAddr): void {
  const info = (MachineHeader.frame_table.get(MACHINE) + (frame >>> 12) * FrameInfo.SIZE) as Ptr<'FrameInfo'>;
  FrameInfo.flags.and(info, ~FRAME_CODE);
  invalidation?.frame(frame);
  const count = MachineHeader.vcpu_count.get(MACHINE);
  if (count === 1 && this_vcpu !== 0) return;
  const frames_lock = MachineHeader.frames_lock.at(MACHINE);
  lock(frames_lock, FRAMES_LOCK);
  const event = MachineHeader.code_events.load(MACHINE);
  U32[(MachineHeader.code_ring.at(MACHINE) >>> 2) + (event & (RING - 1))] = frame;
  MachineHeader.code_events.store(MACHINE, (event + 1) | 0);
  unlock(frames_lock, FRAMES_LOCK);
  for (let i = 0; i < count; i++) {
    const vcpu = vcpu_at(i);
    if (vcpu !== this_vcpu) Vcpu.interrupt.or(vcpu, INTERRUPT_CODE);
  }
}

/** Acts on the ring's entries this vCPU has not seen. Part of the safe point. */
export function take_code_events(vcpu: Ptr<'Vcpu'>): void {
  const events = MachineHeader.code_events.load(MACHINE);
  const seen = Vcpu.code_seen.get(vcpu) | 0;
  const behind = (events - seen) | 0;
  if (behind === 0) return;
  if (invalidation !== null) {
    const ring = MachineHeader.code_ring.at(MACHINE) >>> 2;
    if (behind <= RING) {
      for (let i = 0; i < behind; i++) invalidation.frame(U32[ring + ((seen + i) & (RING - 1))] as FrameAddr);
    }
    // Writers may have lapped the reading.
    if (((MachineHeader.code_events.load(MACHINE) - seen) | 0) > RING) invalidation.all();
  }
  Vcpu.code_seen.set(vcpu, events >>> 0);
}
