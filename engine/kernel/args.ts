// @hot
/**
 * Arguments of the system call in progress, straight from the register record (rdi, rsi, rdx, r10, r8,
 * r9), so that a handler converts only what it uses and the `program` platform feeds the same registers.
 * A guest value is an allegation: these convert, they do not validate.
 */

import { I32, U32 } from '../heap/memory.ts';
import { R8, R10, RDI, RDX, RSI } from '../machine/cpu.layout.ts';
import { current_cpu } from './current.ts';

const TWO_32 = 4294967296;
const R9 = 9;
/** Byte offset in the register record of each argument. */
const OFFSETS = new Int32Array([RDI * 8, RSI * 8, RDX * 8, R10 * 8, R8 * 8, R9 * 8]);

/** Low 32 bits, signed: an int. */
export function arg_i32(n: number): number {
  return I32[(current_cpu + (OFFSETS[n] as number)) >> 2] as number;
}

/** Low 32 bits, unsigned: an unsigned int. */
export function arg_u32(n: number): number {
  return U32[(current_cpu + (OFFSETS[n] as number)) >> 2] as number;
}

/** All 64 bits as an unsigned number: an address or a size_t. Inexact (but still huge) from 2^53 on. */
export function arg_u64(n: number): number {
  const at = (current_cpu + (OFFSETS[n] as number)) >> 2;
  return (U32[at + 1] as number) * TWO_32 + (U32[at] as number);
}

/** All 64 bits as a signed number: a long or loff_t. Inexact outside +-2^53. */
export function arg_i64(n: number): number {
  const at = (current_cpu + (OFFSETS[n] as number)) >> 2;
  return (I32[at + 1] as number) * TWO_32 + (U32[at] as number);
}

/** The high and low halves, for masks. */
export function arg_lo(n: number): number {
  return U32[(current_cpu + (OFFSETS[n] as number)) >> 2] as number;
}
export function arg_hi(n: number): number {
  return U32[(current_cpu + (OFFSETS[n] as number) + 4) >> 2] as number;
}
