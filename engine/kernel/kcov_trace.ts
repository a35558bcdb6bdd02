// @hot
/**
 * What instrumented code calls: the appending side of kcov (Linux's __sanitizer_cov_trace_*).
 *
 * This thread's variables describe the area of the task that it runs. They are a cache, set when a task starts to run
 * (kernel/kcov.ts) and cleared before another vCPU may have it. `kcov_pc_on` and `kcov_cmp_on` are what instrumented
 * code tests before each call.
 *
 * Word 0 of the area counts; the guest may store anything there. A count that leaves no room drops the record, so
 * nothing is ever stored outside the area. As in Linux the count goes up first, then the words are stored.
 */

import { KCOV_TRACING_CMP, KCOV_TRACING_PC, KCOV_WORDS_PER_CMP } from '../abi/kcov.ts';
import { U32 } from '../heap/memory.ts';

export let kcov_pc_on = false;
export let kcov_cmp_on = false;

/** Index into U32 of word 0 and of the directory; how many records the area holds. */
let word0 = 0;
let directory = 0;
let capacity = 0;
/** The page of the area that was used last, and the index into U32 of its first word. */
let page = -1;
let page_index = 0;
/** Which files may report: a bit for each slot of program counters; null is all. */
let filter: Uint8Array | null = null;

/** Where records go instead of an area, in a remote section and for a host's own collector: low words of program
 * counters, or comparisons. */
let remote: Uint32Array | null = null;
let remote_length = 0;

const KCOV_CMP_CONST = 1;
const CMP_SIZE_4 = 2 << 1;
const CMP_SIZE_8 = 3 << 1;
const TWO_32 = 4294967296;
const SLOT_SHIFT = 12;
const SLOT_MASK = 0x7ffff;

/** From now on this thread appends to an area of `size` words; 0, 0, 0 as the others: it appends nowhere. */
export function kcov_trace_to(mode: number, directory_frame: number, size: number): void {
  kcov_pc_on = false;
  kcov_cmp_on = false;
  remote = null;
  page = -1;
  directory = directory_frame >>> 2;
  capacity = mode === KCOV_TRACING_PC ? size - 1 : Math.floor((size - 1) / KCOV_WORDS_PER_CMP);
  if (size === 0) return;
  word0 = (U32[(U32[directory] as number) >>> 2] as number) >>> 2;
  kcov_pc_on = mode === KCOV_TRACING_PC;
  kcov_cmp_on = mode === KCOV_TRACING_CMP;
}

/** This thread traces nothing until `kcov_trace_to`. */
export function kcov_trace_off(): void {
  kcov_pc_on = false;
  kcov_cmp_on = false;
}

/** Sets which slots may report (a bit each), or null for all. */
export function kcov_trace_filter(slots: Uint8Array | null): void {
  filter = slots;
}

/** Collects in this thread instead (a remote section): records go to `target` until it is full. */
export function kcov_trace_remote(mode: number, target: Uint32Array): void {
  remote = target;
  remote_length = 0;
  kcov_pc_on = mode === KCOV_TRACING_PC;
  kcov_cmp_on = mode === KCOV_TRACING_CMP;
}

/** Ends a remote section: how many elements of its target are filled. */
export function kcov_trace_remote_end(): number {
  kcov_trace_off();
  remote = null;
  return remote_length;
}

/** Index into U32 of a word of the area. */
function word_index(position: number): number {
  const wanted = position >>> 9;
  if (wanted !== page) {
    const table = U32[directory + (wanted >>> 10)] as number;
    page_index = (U32[(table >>> 2) + (wanted & 1023)] as number) >>> 2;
    page = wanted;
  }
  return page_index + ((position & 511) << 1);
}

/** A basic block was entered; `pc` is the low word of its program counter. */
export function kcov_pc(pc: number): void {
  if (filter !== null && !may_report(filter, pc)) return;
  const stream = remote;
  if (stream !== null) {
    const length = remote_length;
    if (length >= stream.length) return;
    stream[length] = pc;
    remote_length = length + 1;
    return;
  }
  const count = U32[word0] as number;
  if (count >= capacity || U32[word0 + 1] !== 0) return;
  const position = count + 1;
  U32[word0] = position;
  const at = position >>> 9 === page ? page_index + ((position & 511) << 1) : word_index(position);
  U32[at] = pc;
  U32[at + 1] = 0xffff_ffff;
}

function may_report(slots: Uint8Array, pc: number): boolean {
  const slot = (pc >>> SLOT_SHIFT) & SLOT_MASK;
  return (((slots[slot >> 3] as number) >> (slot & 7)) & 1) !== 0;
}

/** Two values were compared. Only numbers are reported. */
export function kcov_cmp(left: unknown, right: unknown, pc: number): void {
  report(0, left, right, pc);
}

/** Two values were compared, of which the first is a constant of the source. */
export function kcov_cmp_const_left(left: unknown, right: unknown, pc: number): void {
  report(KCOV_CMP_CONST, left, right, pc);
}

/** Two values were compared, of which the second is a constant: in the record it comes first, as in Linux. */
export function kcov_cmp_const_right(left: unknown, right: unknown, pc: number): void {
  report(KCOV_CMP_CONST, right, left, pc);
}

/** A switch looked at `value`: one record for each case, as in Linux. */
export function kcov_switch(value: unknown, cases: readonly unknown[], pc: number): void {
  for (let i = 0; i < cases.length; i++) report(KCOV_CMP_CONST, cases[i], value, pc);
}

/** Numbers and 64-bit integers as numbers; NaN for what has no place in a record. */
function operand(value: unknown): number {
  if (typeof value === 'number') return Number.isInteger(value) ? value : Number.NaN;
  return typeof value === 'bigint' ? Number(value) : Number.NaN;
}

/** Whether a value fits 32 bits, signed or not. */
function fits_32(value: number): boolean {
  return value >= -0x8000_0000 && value < TWO_32;
}

function report(constant: number, first: unknown, second: unknown, pc: number): void {
  if (filter !== null && !may_report(filter, pc)) return;
  const small = typeof first === 'number' && typeof second === 'number' && (first | 0) === first;
  if (small && ((second as number) | 0) === second) append(constant | CMP_SIZE_4, first, 0, second as number, 0, pc);
  else report_other(constant, operand(first), operand(second), pc);
}

/** Operands of which one is no small integer. */
function report_other(constant: number, a: number, b: number, pc: number): void {
  if (Number.isNaN(a) || Number.isNaN(b)) return;
  if (fits_32(a) && fits_32(b)) append(constant | CMP_SIZE_4, a, 0, b, 0, pc);
  else append(constant | CMP_SIZE_8, a, Math.floor(a / TWO_32), b, Math.floor(b / TWO_32), pc);
}

function append(type: number, a: number, a_high: number, b: number, b_high: number, pc: number): void {
  const stream = remote;
  if (stream !== null) {
    const length = remote_length;
    if (length + 2 * KCOV_WORDS_PER_CMP > stream.length) return;
    store(stream, length, type, 0);
    store(stream, length + 2, a, a_high);
    store(stream, length + 4, b, b_high);
    store(stream, length + 6, pc, 0xffff_ffff);
    remote_length = length + 2 * KCOV_WORDS_PER_CMP;
    return;
  }
  const count = U32[word0] as number;
  if (count >= capacity || U32[word0 + 1] !== 0) return;
  U32[word0] = count + 1;
  const start = 1 + count * KCOV_WORDS_PER_CMP;
  const at = start >>> 9 === page ? page_index + ((start & 511) << 1) : word_index(start);
  store(U32, at, type, 0);
  store(U32, at + 2, a, a_high);
  store(U32, at + 4, b, b_high);
  // The first word of a page, but for word 0, is the last of a record: the other three always lie together.
  store(U32, (start & 511) < 509 ? at + 6 : word_index(start + 3), pc, 0xffff_ffff);
}

function store(words_of: Uint32Array, at: number, low: number, high: number): void {
  words_of[at] = low;
  words_of[at + 1] = high;
}
