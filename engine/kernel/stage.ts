// @hot
/**
 * The vCPU's staging area: where a structure that comes from or goes to user memory is read and built, as machine
 * memory, so that no object is made for it. One structure at a time; its content does not survive a block.
 */

import { bytes_zero } from '../heap/bytes.ts';
import { F64, I32, U32 } from '../heap/memory.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, copy_out } from '../mm/uaccess.ts';
import { current_vcpu } from './current.ts';

const TWO_32 = 4294967296;
/** Size of the area in bytes. */
export const STAGE_BYTES = 1088;

/** Machine address of the area. */
export function stage(): number {
  return Vcpu.stage.at(current_vcpu);
}

/** Copies `length` bytes of user memory to the area; 0 or -EFAULT. */
export function stage_in(uaddr: number, length: number): number {
  return copy_in(stage(), uaddr, length);
}

/** Copies the first `length` bytes of the area to user memory; 0 or -EFAULT. */
export function stage_out(uaddr: number, length: number): number {
  return copy_out(uaddr, stage(), length);
}

/** Zeroes the first `length` bytes. */
export function stage_clear(length: number): void {
  bytes_zero(stage(), length);
}

/** The word at byte `offset`, signed or unsigned. */
export function stage_i32(offset: number): number {
  return I32[(stage() + offset) >> 2] as number;
}
export function stage_u32(offset: number): number {
  return U32[(stage() + offset) >> 2] as number;
}

/** The 64-bit word at `offset`: unsigned, or signed; inexact from 2^53 on. */
export function stage_u64(offset: number): number {
  const at = (stage() + offset) >> 2;
  return (U32[at + 1] as number) * TWO_32 + (U32[at] as number);
}
export function stage_i64(offset: number): number {
  const at = (stage() + offset) >> 2;
  return (I32[at + 1] as number) * TWO_32 + (U32[at] as number);
}

/** Stores a 32-bit or 64-bit word (an integer of +-2^53, or 2^64 for all ones). */
export function stage_set_u32(offset: number, value: number): void {
  U32[(stage() + offset) >> 2] = value;
}
export function stage_set_u64(offset: number, value: number): void {
  const at = (stage() + offset) >> 2;
  const all_ones = value >= 2 ** 64;
  U32[at] = all_ones ? 0xffff_ffff : value;
  U32[at + 1] = all_ones ? 0xffff_ffff : Math.floor(value / TWO_32);
}

/** Stores both halves of a 64-bit word. */
export function stage_set_parts(offset: number, lo: number, hi: number): void {
  const at = (stage() + offset) >> 2;
  U32[at] = lo;
  U32[at + 1] = hi;
}

/** Writes one int to user memory; 0 or -EFAULT. */
export function put_int(uaddr: number, value: number): number {
  stage_set_u32(0, value);
  return stage_out(uaddr, 4);
}

/** Writes one long to user memory; 0 or -EFAULT. */
export function put_long(uaddr: number, value: number): number {
  stage_set_u64(0, value);
  return stage_out(uaddr, 8);
}

/** Reads a struct timespec at `offset` of the area: ns, -1 when it is not valid; at most 2^53. */
export function stage_timespec(offset: number): number {
  const seconds = stage_i64(offset);
  const nanoseconds = stage_i64(offset + 8);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999_999_999) return -1;
  return Math.min(seconds * 1e9 + nanoseconds, Number.MAX_SAFE_INTEGER);
}

/** Stores ns as a struct timespec. */
export function stage_set_timespec(offset: number, ns: number): void {
  stage_set_u64(offset, Math.floor(ns / 1e9));
  stage_set_u64(offset + 8, ns % 1e9);
}

/** Stores ns as a struct timeval. */
export function stage_set_timeval(offset: number, ns: number): void {
  stage_set_u64(offset, Math.floor(ns / 1e9));
  stage_set_u64(offset + 8, Math.floor((ns % 1e9) / 1000));
}

/** The double at `offset`; for tests. */
export function stage_f64(offset: number): number {
  return F64[(stage() + offset) >> 3] as number;
}
