/**
 * How a region is left, in the words that translated code and the interpreter's module (runtime.ts) exchange about it:
 * why, with how much of the block retired, with which flags, and what stopped an access.
 */

/** `leave_region`'s reasons. */
export const LEAVE_JUMP = 0; // a block boundary: leaves or goes on at RIP
export const LEAVE_SLOW = 1; // `access` answered 0
export const LEAVE_EXCEPTION = 2; // Vcpu.exception is set
export const LEAVE_ENTER = 3; // the interpreter goes on at RIP, which is no boundary
export const LEAVE_SWITCH = 4; // as LEAVE_JUMP, by an indirect jump

/**
 * How a region is left, as one word: instructions of the block retired beyond the fuel given, reason, and kind of the
 * lazy flags or KIND_LOCAL.
 */
export const INFO_RETIRED_MASK = 0xfff;
export const INFO_REASON_SHIFT = 12;
export const INFO_KIND_SHIFT = 16;
export const KIND_LOCAL = 0x80; // the kind is the argument
export const KIND_KEPT = 0x81; // flags are where they were when the region was entered

/** Lazy flags as one number: operation * 4 + log2(size). */
export function flags_kind(op: number, size: number): number {
  return op * 4 + Math.log2(size);
}

/**
 * Values of Vcpu.region_exit: the fault stands; the instruction begins again; the same, since a window crossed a page;
 * since the TLB did not have a page; since what a run assumes does not hold.
 */
export const REGION_FAULT = 0;
export const REGION_AGAIN = 1;
export const REGION_CROSSED = 2;
export const REGION_MISSED = 3;
export const REGION_ASSUMED = 4;

/** In `window`'s offset: the access reads only, and asks for a write behind it. */
export const WINDOW_READS = 0x1000;

/** What `access` is told of an access, in one word: point of the region << 11 | size << 1 | write. */
export const ACCESS_SIZE_SHIFT = 1;
export const ACCESS_SIZE_MASK = 0x3ff;
export const ACCESS_POINT_SHIFT = 11;
