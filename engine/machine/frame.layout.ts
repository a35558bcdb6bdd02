/**
 * FrameInfo: one record for each 4 KiB frame of guest RAM, in the frame table, indexed by machine
 * address >>> 12 (entries below frames_base are unused).
 */
import { layout } from '../heap/layout.ts';

/** Some vCPU holds decoded or translated code of this frame: stores must take the slow path. */
export const FRAME_CODE = 1;
/** In a page cache: `owner` is the mapping, `index` the page number in the file. */
export const FRAME_CACHE = 2;
export const FRAME_DIRTY = 4;
/** A page table; never mapped to a guest. */
export const FRAME_TABLE = 8;
/** The shared zero frame: never freed, never written. */
export const FRAME_ZERO = 16;

const l = layout('FrameInfo');
export const FrameInfo = l.done(
  {
    refs: l.atomic(),
    flags: l.atomic(),
    owner: l.u32('guarded by the mapping lock'),
    index: l.u32('guarded by the mapping lock'),
  },
  16,
);
