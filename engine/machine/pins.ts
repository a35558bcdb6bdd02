// @hot
/**
 * Write pins: frames this thread's vCPU is about to write on behalf of a system call, through pieces of
 * machine memory it resolved earlier.
 *
 * Frames stay allocated until the vCPU's next safe point anyway. What a pin adds: a fork by another vCPU
 * must not turn the page copy-on-write under the writer, or the bytes would land in the child's memory.
 * So a fork copies a pinned page at once and leaves the writer's page alone (Linux does the same for
 * pages pinned by FOLL_PIN). Pins are counted in FrameInfo.flags; they are needed, and taken, only when
 * the address space has more than one user. All pins end at the next safe point at the latest.
 */
import { register_transient } from '../base/transients.ts';
import type { FrameAddr } from '../base/types.ts';
import { FRAME_PIN, FrameInfo } from './frame.layout.ts';
import { frame_info } from './frames.ts';

const MAX_PINS = 1024;
const pinned = new Float64Array(MAX_PINS);
let count = 0;
register_transient(() => {
  count = 0;
});

/** Pins a frame for writing; false when this thread holds too many pins. */
export function pin_frame(frame: FrameAddr): boolean {
  if (count === MAX_PINS) return false;
  FrameInfo.flags.add(frame_info(frame), FRAME_PIN);
  pinned[count++] = frame;
  return true;
}

/** Takes back the newest pin. */
export function unpin_last(): void {
  count--;
  FrameInfo.flags.add(frame_info(pinned[count] as FrameAddr), -FRAME_PIN);
}

/** Ends all pins of this thread. */
export function unpin_all(): void {
  while (count > 0) unpin_last();
}

/** Whether a kernel copy into the frame is in progress on some vCPU. */
export function frame_pinned(frame: FrameAddr): boolean {
  return FrameInfo.flags.load(frame_info(frame)) >>> 16 !== 0;
}
