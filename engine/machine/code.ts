/**
 * Code in frames: what must happen when bytes of a frame change that some vCPU holds decoded or translated
 * code of. Generated code calls it before a guest store to such a frame; whoever else writes into a frame (copy-out,
 * page cache, a debugger) or frees one calls it too.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { FRAME_CODE, FrameInfo } from './frame.layout.ts';
import { INTERRUPT_CODE, Vcpu, vcpu_at } from './vcpu.layout.ts';

/** The record of a frame. */
export function frame_info(frame: FrameAddr): Ptr<'FrameInfo'> {
  return (MachineHeader.frame_table.get(MACHINE) + (frame / 4096) * FrameInfo.SIZE) as Ptr<'FrameInfo'>;
}

/** Whether some vCPU may hold code of this frame. */
export function frame_has_code(frame: FrameAddr): boolean {
  return (FrameInfo.flags.load(frame_info(frame)) & FRAME_CODE) !== 0;
}

/**
 * Tells every vCPU but `except` (-1: every one) to drop its decoded code at its next block boundary, if some of it
 * may be of this frame. Cheap when there is none.
 */
export function code_frame_changed(frame: FrameAddr, except = -1): void {
  const info = frame_info(frame);
  if ((FrameInfo.flags.and(info, ~FRAME_CODE) & FRAME_CODE) === 0) return;
  MachineHeader.code_epoch.add(MACHINE, 1);
  const count = MachineHeader.vcpu_count.get(MACHINE);
  for (let i = 0; i < count; i++) if (i !== except) Vcpu.interrupt.or(vcpu_at(i), INTERRUPT_CODE);
}

/** Marks a frame as having code; true when it was not marked before. */
export function mark_code_frame(frame: FrameAddr): boolean {
  return (FrameInfo.flags.or(frame_info(frame), FRAME_CODE) & FRAME_CODE) === 0;
}
