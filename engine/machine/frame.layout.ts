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
/** Was dirty when a write-back began and is being written. */
export const FRAME_WRITEBACK = 32;
/** In a page cache as reserved storage that nobody has written or mapped: a hole to SEEK_HOLE (Linux: not uptodate). */
export const FRAME_RESERVED = 64;
/** One write pin: bits 16-31 of `flags` count the vCPUs' kernel copies into this frame in progress. */
export const FRAME_PIN = 0x1_0000;

const l = layout('FrameInfo');
export const FrameInfo = l.done(
  {
    refs: l.atomic(),
    flags: l.atomic(),
    /** Mapping of a cached page; next frame of a free or retired chain. */
    owner: l.u32('guarded by the mapping lock'),
    /** Page number of a cached page; entries in use of a page table (guarded by mm.lock). */
    index: l.u32('guarded by the mapping lock'),
  },
  16,
);
