// @hot
/**
 * What instrumented code calls: the appending side of kcov (Linux's __sanitizer_cov_trace_*).
 *
 * A thread appends to a stream of its own, and `kcov_deliver` moves what has come to the area of the task that it runs:
 * when a kernel entry ends or the task is dropped, before anybody can have looked. All of it is one typed array that
 * is constant to V8: a block is a call of `kcov_pc`, which is inlined and finds array, bounds and place without a test
 * of whether it traces at all. Measured for a program of ten calls with 1,270 blocks: 93 us with a flag before each
 * call that appended to the area, 78 us so; without tracing 79 us and 69 us.
 *
 *     kcov_state   | place | step | comparisons on | unused ... | nowhere | records ...
 *                                                               BASE      FIRST
 *
 * The place is where the last block is, or behind the last comparison; a block moves it on by the step, which is 0 while
 * no blocks are traced: they then fall on the element there, which is not in use. A block is its program counter's low word; a comparison four elements (type, PC,
 * operands), or six, with the operands' high words, where one of them does not fit 32 bits.
 *
 * Word 0 of the area counts; the guest may store anything there. A count that leaves no room drops the record, so
 * nothing is ever stored outside the area.
 */

import { KCOV_TRACING_CMP, KCOV_TRACING_PC, KCOV_WORDS_PER_CMP } from '../abi/kcov.ts';
import { KCOV_COMPARISONS_ON } from '../base/instrumented.ts';
import { I32, U32 } from '../heap/memory.ts';

const PLACE = 0;
const STEP = 1;
const BASE = 15;
const FIRST = BASE + 1;
/** A million blocks. A place beyond means that the stream is full. */
const END = FIRST + (1 << 20);
/** The longest record. */
const MOST = 6;

export const kcov_state: Int32Array = new Int32Array(END + MOST);
kcov_state[PLACE] = BASE;

/** The task's area: KCOV_TRACING_*, 0 for none; its directory; its size in words. */
let area_mode = 0;
let area_directory = 0;
let area_words = 0;
/** Which files may report: a bit for each slot of program counters; null is all. */
let filter: Uint8Array | null = null;

const KCOV_CMP_CONST = 1;
const CMP_SIZE_4 = 2 << 1;
const CMP_SIZE_8 = 3 << 1;
const TWO_32 = 4294967296;
const SLOT_SHIFT = 12;
const SLOT_MASK = 0x7ffff;

/** Traces behind element `place`. */
function trace(mode: number, place: number): void {
  const comparisons = mode === KCOV_TRACING_CMP ? 1 : 0;
  kcov_state[PLACE] = place + comparisons;
  kcov_state[STEP] = mode === KCOV_TRACING_PC ? 1 : 0;
  kcov_state[KCOV_COMPARISONS_ON] = comparisons;
}

/** The last element in use. */
function last(): number {
  return (kcov_state[PLACE] as number) - (kcov_state[KCOV_COMPARISONS_ON] as number);
}

/** From now on this thread's records are for an area of `words` words; 0, 0, 0 as `kcov_trace_off`. */
export function kcov_trace_to(mode: number, directory_frame: number, words: number): void {
  kcov_trace_off();
  if (words === 0 || (mode !== KCOV_TRACING_PC && mode !== KCOV_TRACING_CMP)) return;
  area_mode = mode;
  area_directory = directory_frame;
  area_words = words;
  trace(mode, BASE);
}

/** Delivers, and traces nothing until `kcov_trace_to`. */
export function kcov_trace_off(): void {
  kcov_deliver();
  area_mode = 0;
  trace(0, BASE);
}

/** Moves what this thread has appended to its task's area, if it has one. */
export function kcov_deliver(): void {
  if (area_mode === 0 || last() === BASE) return;
  kcov_store(area_mode, area_directory, area_words, FIRST, last(), area_words);
  trace(area_mode, BASE);
}

/** Sets which slots may report (a bit each), or null for all. */
export function kcov_trace_filter(slots: Uint8Array | null): void {
  filter = slots;
}

/**
 * Appends to the stream alone from now on, for a remote section or a host's own collector, behind `from`: what the last
 * piece answered, KCOV_STREAM_START for the first. Records beyond the stream's end are dropped.
 */
export function kcov_stream_begin(mode: number, from: number): void {
  kcov_trace_off();
  trace(mode, from);
}

/** Where the first piece of a stream begins. */
export const KCOV_STREAM_START = BASE;

/** Ends a piece: the records lie in `kcov_state` behind `from`, up to and with the element that is answered. */
export function kcov_stream_end(): number {
  const place = Math.min(last(), END - 1);
  trace(0, BASE);
  return place;
}

/** A basic block was entered; `pc` is the low word of its program counter. Small: see above. */
export function kcov_pc(pc: number): void {
  const at = (kcov_state[PLACE] as number) + (kcov_state[STEP] as number);
  kcov_state[PLACE] = at;
  if (at < END) kcov_state[at] = pc;
  else stream_full(pc);
}

/** The stream has no room for a block: it goes to the area with all that came before, or is dropped. */
function stream_full(pc: number): void {
  kcov_state[PLACE] = END - 1;
  if (area_mode === 0) return;
  kcov_deliver();
  kcov_pc(pc);
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

function report(constant: number, first: unknown, second: unknown, pc: number): void {
  const small = typeof first === 'number' && typeof second === 'number' && (first | 0) === first;
  if (!small || ((second as number) | 0) !== second) {
    report_other(constant, operand(first), operand(second), pc);
    return;
  }
  const at = kcov_state[PLACE] as number;
  if (at + MOST >= END && !make_room()) return;
  append(constant | CMP_SIZE_4, first, second as number, pc);
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

/** Operands of which one is no small integer. */
function report_other(constant: number, a: number, b: number, pc: number): void {
  if (Number.isNaN(a) || Number.isNaN(b)) return;
  if ((kcov_state[PLACE] as number) + MOST >= END && !make_room()) return;
  if (fits_32(a) && fits_32(b)) {
    append(constant | CMP_SIZE_4, a, b, pc);
    return;
  }
  append(constant | CMP_SIZE_8, a, b, pc);
  const at = kcov_state[PLACE] as number;
  kcov_state[at] = Math.floor(a / TWO_32);
  kcov_state[at + 1] = Math.floor(b / TWO_32);
  kcov_state[PLACE] = at + 2;
}

/** Whether there is room for a comparison after what came before went to the area. */
function make_room(): boolean {
  if (area_mode !== 0) kcov_deliver();
  return area_mode !== 0;
}

function append(type: number, a: number, b: number, pc: number): void {
  const at = kcov_state[PLACE] as number;
  kcov_state[at] = type;
  kcov_state[at + 1] = pc;
  kcov_state[at + 2] = a;
  kcov_state[at + 3] = b;
  kcov_state[PLACE] = at + 4;
}

function may_report(slots: Uint8Array, pc: number): boolean {
  const slot = (pc >>> SLOT_SHIFT) & SLOT_MASK;
  return (((slots[slot >> 3] as number) >> (slot & 7)) & 1) !== 0;
}

/** Index into U32 of a word of the area with this directory. */
function word_index(directory: number, position: number): number {
  const page = position >>> 9;
  const table = U32[(directory >>> 2) + (page >>> 10)] as number;
  return ((U32[(table >>> 2) + (page & 1023)] as number) >>> 2) + ((position & 511) << 1);
}

/**
 * Stores the stream's elements `from` to `to`, both included, into an area of `words` words, as many records as fit
 * there and in `most` words. The count goes up last: who sees it sees the records.
 */
export function kcov_store(
  mode: number,
  directory: number,
  words: number,
  from: number,
  to: number,
  most: number,
): void {
  const word0 = word_index(directory, 0);
  const count = U32[word0] as number;
  const per_record = mode === KCOV_TRACING_PC ? 1 : KCOV_WORDS_PER_CMP;
  const capacity = Math.floor((words - 1) / per_record);
  if (count >= capacity || U32[word0 + 1] !== 0) return;
  const end = Math.min(capacity, count + Math.floor(most / per_record));
  const stored =
    mode === KCOV_TRACING_PC
      ? store_blocks(directory, count, end, from, to)
      : store_cmps(directory, count, end, from, to);
  Atomics.store(I32, word0, stored);
}

/** Stores blocks as records `count` to `end` - 1 of an area; how many records it has then. */
function store_blocks(directory: number, count: number, end: number, from: number, to: number): number {
  let done = count;
  let at = 0;
  for (let i = from; i <= to && done < end; i++) {
    const pc = kcov_state[i] as number;
    if (filter !== null && !may_report(filter, pc)) continue;
    done++;
    // Record n is word n + 1; 512 words are a page.
    at = at === 0 || (done & 511) === 0 ? word_index(directory, done) : at + 2;
    U32[at] = pc;
    U32[at + 1] = 0xffff_ffff;
  }
  return done;
}

function store_cmps(directory: number, count: number, end: number, from: number, to: number): number {
  let done = count;
  let at = 0;
  for (let i = from; i <= to && done < end; ) {
    const type = kcov_state[i] as number;
    const pc = kcov_state[i + 1] as number;
    const wide = type >= CMP_SIZE_8;
    if (filter === null || may_report(filter, pc)) {
      const start = 1 + done++ * KCOV_WORDS_PER_CMP;
      at = at === 0 || (start & 511) === 1 ? word_index(directory, start) : at + 2 * KCOV_WORDS_PER_CMP;
      U32[at] = type;
      U32[at + 1] = 0;
      U32[at + 2] = kcov_state[i + 2] as number;
      U32[at + 3] = wide ? (kcov_state[i + 4] as number) : 0;
      U32[at + 4] = kcov_state[i + 3] as number;
      U32[at + 5] = wide ? (kcov_state[i + 5] as number) : 0;
      // The first word of a page, but for word 0, is the last of a record: the other three always lie together.
      const last_word = (start & 511) < 509 ? at + 6 : word_index(directory, start + 3);
      U32[last_word] = pc;
      U32[last_word + 1] = 0xffff_ffff;
    }
    i += wide ? 6 : 4;
  }
  return done;
}
