/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: string comparison of SSE4.2, as SDM volume 2 chapter 4.1 defines
 * it: element format, aggregation, polarity and output by the immediate.
 */
import { I32, U8, U16, U32 } from '../../heap/memory.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Cpu } from '../x87/state.ts';
import { FIRST, RESULT, SECOND } from './exact.ts';

/** Bits of `kind`. */
const EXPLICIT = 1;
const MASK = 2;

const CF = 1;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

/** Offset in scratch of the explicit lengths: rax then rdx, sign-extended to 64 bits. */
const LENGTHS = 48;

/** The operand under comparison: elements and how many are valid. */
const left = new Int32Array(16);
const right = new Int32Array(16);

function load_elements(into: Int32Array, at: number, words: boolean, signed: boolean): void {
  const count = words ? 8 : 16;
  for (let i = 0; i < count; i++) {
    const value = words ? (U16[(at + i * 2) >>> 1] as number) : (U8[at + i] as number);
    into[i] = !signed ? value : words ? (value << 16) >> 16 : (value << 24) >> 24;
  }
}

function implicit_length(elements: Int32Array, count: number): number {
  for (let i = 0; i < count; i++) if (elements[i] === 0) return i;
  return count;
}

/** The absolute value of a 64-bit length, at most `count`. */
function explicit_length(at: number, count: number): number {
  const lo = U32[at >>> 2] as number;
  const hi = I32[(at + 4) >>> 2] as number;
  const value = Math.abs(hi * 4294967296 + lo);
  return Math.min(value, count);
}

/** Aggregation operations, bits 2-3 of the immediate. */
const EQUAL_ANY = 0;
const RANGES = 1;
const EQUAL_EACH = 2;

function aggregate(operation: number, count: number, left_length: number, right_length: number): number {
  let result = 0;
  for (let j = 0; j < count; j++) {
    if (holds_at(operation, j, count, left_length, right_length)) result |= 1 << j;
  }
  return result;
}

function holds_at(operation: number, j: number, count: number, left_length: number, right_length: number): boolean {
  const valid = j < right_length;
  const element = right[j] as number;
  if (operation === EQUAL_ANY) {
    if (valid) for (let i = 0; i < left_length; i++) if (left[i] === element) return true;
    return false;
  }
  if (operation === RANGES) {
    if (!valid) return false;
    for (let i = 0; i + 1 < left_length; i += 2) {
      if ((left[i] as number) <= element && element <= (left[i + 1] as number)) return true;
    }
    return false;
  }
  if (operation === EQUAL_EACH) {
    const left_valid = j < left_length;
    return left_valid && valid ? left[j] === element : left_valid === valid;
  }
  // Equal ordered: the left string occurs from j on; it may run over the register's end, not the string's.
  for (let i = 0; i < left_length && i + j < count; i++) {
    if (i + j >= right_length || left[i] !== right[i + j]) return false;
  }
  return true;
}

/** Runs the comparison; index or mask go to the result, the flags (RFLAGS positions) are returned. */
export function compare_strings(cpu: Cpu, immediate: number, kind: number): number {
  const at = cpu + CpuState.scratch.offset;
  const words = (immediate & 1) !== 0;
  const count = words ? 8 : 16;
  load_elements(left, at + FIRST, words, (immediate & 2) !== 0);
  load_elements(right, at + SECOND, words, (immediate & 2) !== 0);
  const explicit = (kind & EXPLICIT) !== 0;
  const left_length = explicit ? explicit_length(at + LENGTHS, count) : implicit_length(left, count);
  const right_length = explicit ? explicit_length(at + LENGTHS + 8, count) : implicit_length(right, count);
  let result = aggregate((immediate >> 2) & 3, count, left_length, right_length);
  const all = (1 << count) - 1;
  if ((immediate & 0x10) !== 0) result ^= (immediate & 0x20) !== 0 ? (1 << right_length) - 1 : all;
  write_result(at + RESULT, result, count, immediate, kind);
  let flags = result !== 0 ? CF : 0;
  if (right_length < count) flags |= ZF;
  if (left_length < count) flags |= SF;
  if ((result & 1) !== 0) flags |= OF;
  return flags;
}

function write_result(to: number, result: number, count: number, immediate: number, kind: number): void {
  const top = (immediate & 0x40) !== 0;
  if ((kind & MASK) === 0) {
    const first = 31 - Math.clz32(result & -result);
    U32[to >>> 2] = result === 0 ? count : top ? 31 - Math.clz32(result) : first;
    return;
  }
  for (let i = 0; i < 16; i++) U8[to + i] = 0;
  if (!top) {
    U16[to >>> 1] = result;
    return;
  }
  const width = 16 / count;
  for (let i = 0; i < 16; i++) if (((result >> Math.floor(i / width)) & 1) !== 0) U8[to + i] = 0xff;
}
