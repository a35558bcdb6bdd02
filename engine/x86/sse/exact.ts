/**
 * SSE floating point, exactly: every rounding mode, FTZ, DAZ, NaN rule and exception flag. The semantics call
 * these where WebAssembly's own operations would not give the same bits or flags.
 *
 * Operands lie in the scratch area of the register record: the destination's old value at +0, the source at
 * +16; results go to +32. Each answers DONE, or the vector of an unmasked exception (#XM), in which case only
 * MXCSR has changed. Sources: SDM volume 1, 11.5 and appendix E; volume 2, the pages of the instructions.
 */
import { bytes_copy } from '../../heap/bytes.ts';
import { U32, U64 } from '../../heap/memory.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import {
  add,
  compare,
  DE,
  divide,
  type Environment,
  EQUAL,
  FINITE,
  FORMAT_32,
  FORMAT_64,
  type Format,
  from_integer,
  IE,
  invalid,
  is_nan,
  LESS,
  multiply,
  pack,
  quiet,
  ROUND_ZERO,
  round_to_integral,
  round_unpacked,
  SNAN,
  square_root,
  to_integer,
  type Unpacked,
  unpack,
  ZE,
  ZERO,
  zero,
} from '../float/soft.ts';
import type { Cpu } from '../x87/state.ts';

export const DONE = -1;
export const VECTOR_GP = 13;
export const VECTOR_XM = 19;
const MXCSR_DAZ = 0x40;
const MXCSR_FTZ = 0x8000;
const PRE_COMPUTATION = IE | DE | ZE;

/** Where operands and results lie in the scratch area. */
export const FIRST = 0;
export const SECOND = 16;
export const RESULT = 32;

/** Forms of an operation: element format and number of elements. */
export const FORM_PS = 0;
export const FORM_PD = 1;
export const FORM_SS = 2;
export const FORM_SD = 3;

const FORM_FORMAT: readonly Format[] = [FORMAT_32, FORMAT_64, FORMAT_32, FORMAT_64];
const FORM_LANES: readonly number[] = [4, 2, 1, 1];

const env: Environment = {
  rounding: 0,
  flags: 0,
  masks: 0,
  flush_to_zero: false,
  denormals_are_zero: false,
  wrap_exponent: false,
  rounded_up: false,
};
/** Flags of all elements so far. */
let raised = 0;

function begin(cpu: Cpu): void {
  const mxcsr = CpuState.mxcsr.get(cpu);
  env.rounding = (mxcsr >> 13) & 3;
  env.masks = (mxcsr >> 7) & 63;
  env.flush_to_zero = (mxcsr & MXCSR_FTZ) !== 0;
  env.denormals_are_zero = (mxcsr & MXCSR_DAZ) !== 0;
  env.flags = 0;
  raised = 0;
}

/** Writes the sticky flags. A pre-computation exception that is unmasked hides the post-computation ones. */
function end(cpu: Cpu): number {
  raised |= env.flags;
  const stop = raised & ~env.masks & PRE_COMPUTATION;
  const flags = stop !== 0 ? raised & PRE_COMPUTATION : raised;
  CpuState.mxcsr.set(cpu, CpuState.mxcsr.get(cpu) | flags);
  return (flags & ~env.masks) !== 0 ? VECTOR_XM : DONE;
}

function scratch(cpu: Cpu): number {
  return cpu + CpuState.scratch.offset;
}

function read_bits(at: number, format: Format): bigint {
  return format === FORMAT_32 ? BigInt(U32[at >>> 2] as number) : (U64[at >>> 3] as bigint);
}

function write_bits(at: number, format: Format, bits: bigint): void {
  if (format === FORMAT_32) U32[at >>> 2] = Number(bits);
  else U64[at >>> 3] = bits;
}

/** Reads an element; under DAZ a denormal is a zero of its sign. */
function read(at: number, format: Format): Unpacked {
  const a = unpack(read_bits(at, format), format);
  return a.denormal && env.denormals_are_zero ? zero(a.sign) : a;
}

function write(at: number, format: Format, value: Unpacked): void {
  write_bits(at, format, pack(value, format));
}

function copy_16(to: number, from: number): void {
  bytes_copy(to, from, 16);
}

/** Raises DE for denormal operands; true when the result does not matter because it is unmasked. */
function denormal(a: Unpacked, b: Unpacked): boolean {
  if (!a.denormal && !b.denormal) return false;
  env.flags |= DE;
  return (env.masks & DE) === 0;
}

/** The NaN result of two operands: the first that is one, quieted. Null without one. */
function propagate(a: Unpacked, b: Unpacked): Unpacked | null {
  if (!is_nan(a) && !is_nan(b)) return null;
  if (a.kind === SNAN || b.kind === SNAN) env.flags |= IE;
  return quiet(is_nan(a) ? a : b);
}

/** Operations of `arithmetic`, numbered as the low four bits of their opcodes (0F 51, 58 ... 5F). */
export const OP_SQRT = 1;
export const OP_ADD = 8;
export const OP_MUL = 9;
export const OP_SUB = 12;
export const OP_MIN = 13;
export const OP_DIV = 14;
export const OP_MAX = 15;

function negate(a: Unpacked): Unpacked {
  return { ...a, sign: a.sign ^ 1 };
}

function binary(op: number, a: Unpacked, b: Unpacked, format: Format): Unpacked {
  const nan = propagate(a, b);
  if (nan !== null) return nan;
  // A division by zero hides a denormal dividend.
  if (!(op === OP_DIV && b.kind === ZERO) && denormal(a, b)) return a;
  if (op === OP_ADD) return add(env, a, b, format);
  if (op === OP_SUB) return add(env, a, negate(b), format);
  return op === OP_MUL ? multiply(env, a, b, format) : divide(env, a, b, format);
}

/** MIN and MAX: the second operand if either is a NaN or both are zeros. */
function extreme(op: number, a: Unpacked, b: Unpacked): Unpacked {
  if (is_nan(a) || is_nan(b)) {
    env.flags |= IE;
    return b;
  }
  denormal(a, b);
  const order = compare(a, b);
  if (order === EQUAL) return b;
  return (order === LESS) === (op === OP_MIN) ? a : b;
}

function root(b: Unpacked, format: Format): Unpacked {
  const nan = propagate(b, b);
  if (nan !== null) return nan;
  if (b.sign === 1 && b.kind !== ZERO) return invalid(env);
  return denormal(b, b) ? b : square_root(env, b, format);
}

function element(op: number, a: Unpacked, b: Unpacked, format: Format): Unpacked {
  if (op === OP_SQRT) return root(b, format);
  if (op === OP_MIN || op === OP_MAX) return extreme(op, a, b);
  return binary(op, a, b, format);
}

/** ADD, SUB, MUL, DIV, MIN, MAX, SQRT in all four forms; elements a scalar form does not touch come from +0. */
export function arithmetic(cpu: Cpu, op: number, form: number): number {
  const at = scratch(cpu);
  const format = FORM_FORMAT[form] as Format;
  const size = format === FORMAT_32 ? 4 : 8;
  begin(cpu);
  copy_16(at + RESULT, at + FIRST);
  for (let i = 0; i < (FORM_LANES[form] as number); i++) {
    env.flags = 0;
    const a = read(at + FIRST + i * size, format);
    const b = read(at + SECOND + i * size, format);
    write(at + RESULT + i * size, format, element(op, a, b, format));
    raised |= env.flags;
  }
  return end(cpu);
}

/** Kinds of `pairwise`. */
export const PAIR_HADD = 0;
export const PAIR_HSUB = 1;
export const PAIR_ADDSUB = 2;

/** HADD, HSUB and ADDSUB: pairs of elements, packed forms only. */
export function pairwise(cpu: Cpu, kind: number, form: number): number {
  const at = scratch(cpu);
  const format = FORM_FORMAT[form] as Format;
  const size = format === FORMAT_32 ? 4 : 8;
  const lanes = FORM_LANES[form] as number;
  begin(cpu);
  for (let i = 0; i < lanes; i++) {
    let left = at + FIRST + i * size;
    let right = at + SECOND + i * size;
    let op = i % 2 === 0 ? OP_SUB : OP_ADD;
    if (kind !== PAIR_ADDSUB) {
      // The operands lie behind each other: pair i is elements 2i and 2i + 1 of the two together.
      left = at + FIRST + 2 * i * size;
      right = left + size;
      op = kind === PAIR_HADD ? OP_ADD : OP_SUB;
    }
    env.flags = 0;
    write(at + RESULT + i * size, format, binary(op, read(left, format), read(right, format), format));
    raised |= env.flags;
  }
  return end(cpu);
}

/** After a step of several: true if an unmasked exception ends the instruction there, else its flags are noted. */
function step_ends(cpu: Cpu): boolean {
  if ((raised & ~env.masks) !== 0) return true;
  CpuState.mxcsr.set(cpu, CpuState.mxcsr.get(cpu) | raised);
  raised = 0;
  env.flags = 0;
  return false;
}

/** DPPS and DPPD: sums of the products that the immediate's high half selects, stored where its low half says. */
export function dot_product(cpu: Cpu, immediate: number, form: number): number {
  const at = scratch(cpu);
  const format = FORM_FORMAT[form] as Format;
  const size = format === FORMAT_32 ? 4 : 8;
  const lanes = FORM_LANES[form] as number;
  begin(cpu);
  const products: Unpacked[] = [];
  for (let i = 0; i < lanes; i++) {
    env.flags = 0;
    const a = read(at + FIRST + i * size, format);
    const b = read(at + SECOND + i * size, format);
    products.push((immediate & (0x10 << i)) === 0 ? zero(0) : through(binary(OP_MUL, a, b, format), format));
    raised |= env.flags;
  }
  if (step_ends(cpu)) return end(cpu);
  let sums = products;
  // Each element adds its neighbour, then (of four) its opposite; of two NaNs the first counts, which in DPPS is
  // the neighbour, else the element's own.
  for (let distance = 1; distance < lanes; distance *= 2) {
    const swapped = distance === 1 && lanes === 4;
    sums = sums.map((sum, i) => {
      env.flags = 0;
      const other = sums[i ^ distance] as Unpacked;
      const total = through(swapped ? binary(OP_ADD, other, sum, format) : binary(OP_ADD, sum, other, format), format);
      raised |= env.flags;
      return total;
    });
    if (step_ends(cpu)) return end(cpu);
  }
  for (let i = 0; i < lanes; i++) {
    write(at + RESULT + i * size, format, (immediate & (1 << i)) === 0 ? zero(0) : (sums[i] as Unpacked));
  }
  return end(cpu);
}

/** An intermediate result as the next step reads it from its format. */
function through(a: Unpacked, format: Format): Unpacked {
  const read_back = unpack(pack(a, format), format);
  return read_back.denormal && env.denormals_are_zero ? zero(read_back.sign) : read_back;
}

/** CMPPS and its kin: predicates 0-7 give all ones or zeros. */
export function compare_mask(cpu: Cpu, predicate: number, form: number): number {
  const at = scratch(cpu);
  const format = FORM_FORMAT[form] as Format;
  const size = format === FORMAT_32 ? 4 : 8;
  const ones = format === FORMAT_32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  begin(cpu);
  copy_16(at + RESULT, at + FIRST);
  for (let i = 0; i < (FORM_LANES[form] as number); i++) {
    env.flags = 0;
    const a = read(at + FIRST + i * size, format);
    const b = read(at + SECOND + i * size, format);
    write_bits(at + RESULT + i * size, format, holds(predicate & 7, a, b) ? ones : 0n);
    raised |= env.flags;
  }
  return end(cpu);
}

function holds(predicate: number, a: Unpacked, b: Unpacked): boolean {
  const negated = predicate >= 4;
  const basic = predicate & 3;
  let result: boolean;
  if (is_nan(a) || is_nan(b)) {
    const signals = basic === 1 || basic === 2;
    if (signals || a.kind === SNAN || b.kind === SNAN) env.flags |= IE;
    result = basic === 3;
  } else {
    denormal(a, b);
    const order = compare(a, b);
    result = basic === 0 ? order === EQUAL : basic === 1 ? order === LESS : basic === 2 ? order !== 1 : false;
  }
  return result !== negated;
}

/**
 * COMISS, UCOMISS and the double forms: ZF, PF, CF in RFLAGS positions at +32 of the scratch area. The
 * unordered forms accept quiet NaNs.
 */
export function compare_flags(cpu: Cpu, quiet_nans: number, form: number): number {
  const at = scratch(cpu);
  const format = FORM_FORMAT[form] as Format;
  begin(cpu);
  const a = read(at + FIRST, format);
  const b = read(at + SECOND, format);
  let flags = 0x45;
  if (is_nan(a) || is_nan(b)) {
    if (quiet_nans === 0 || a.kind === SNAN || b.kind === SNAN) env.flags |= IE;
  } else {
    denormal(a, b);
    const order = compare(a, b);
    flags = order === EQUAL ? 0x40 : order === LESS ? 0x01 : 0;
  }
  U32[(at + RESULT) >>> 2] = flags;
  return end(cpu);
}

/** ROUNDPS and its kin: the immediate holds the rounding mode, bit 2 "as MXCSR says", bit 3 "no PE". */
export function round_elements(cpu: Cpu, immediate: number, form: number): number {
  const at = scratch(cpu);
  const format = FORM_FORMAT[form] as Format;
  const size = format === FORMAT_32 ? 4 : 8;
  begin(cpu);
  if ((immediate & 4) === 0) env.rounding = immediate & 3;
  copy_16(at + RESULT, at + FIRST);
  for (let i = 0; i < (FORM_LANES[form] as number); i++) {
    env.flags = 0;
    const b = read(at + SECOND + i * size, format);
    const result = propagate(b, b) ?? round_to_integral(env, b, (immediate & 8) !== 0);
    write(at + RESULT + i * size, format, result);
    raised |= env.flags;
  }
  return end(cpu);
}

function convert_element(b: Unpacked, to: Format): Unpacked {
  const nan = propagate(b, b);
  if (nan !== null) return nan;
  return denormal(b, b) ? b : round_unpacked(env, b, to);
}

/** CVTPS2PD, CVTPD2PS, CVTSS2SD, CVTSD2SS: `count` elements; `narrow` is double to single. Rest of +32 is kept. */
export function convert_format(cpu: Cpu, narrow: number, count: number): number {
  const at = scratch(cpu);
  const from = narrow === 0 ? FORMAT_32 : FORMAT_64;
  const to = narrow === 0 ? FORMAT_64 : FORMAT_32;
  begin(cpu);
  for (let i = 0; i < count; i++) {
    env.flags = 0;
    const b = read(at + SECOND + i * (narrow === 0 ? 4 : 8), from);
    write(at + RESULT + i * (narrow === 0 ? 8 : 4), to, convert_element(b, to));
    raised |= env.flags;
  }
  return end(cpu);
}

/** Integers of `bits` (32 or 64) to floats: `count` elements from +16 to +32. */
export function convert_from_integer(cpu: Cpu, bits: number, double: number, count: number): number {
  const at = scratch(cpu);
  const to = double === 0 ? FORMAT_32 : FORMAT_64;
  begin(cpu);
  for (let i = 0; i < count; i++) {
    const from = at + SECOND + (i * bits) / 8;
    const value = bits === 32 ? BigInt((U32[from >>> 2] as number) | 0) : BigInt.asIntN(64, U64[from >>> 3] as bigint);
    env.flags = 0;
    write(at + RESULT + i * (double === 0 ? 4 : 8), to, round_unpacked(env, from_integer(value), to));
    raised |= env.flags;
  }
  return end(cpu);
}

/** Floats to integers of `bits`: `count` elements from +16 to +32, rounding by MXCSR or truncating. */
export function convert_to_integer(cpu: Cpu, bits: number, double: number, count: number, truncate: number): number {
  const at = scratch(cpu);
  const format = double === 0 ? FORMAT_32 : FORMAT_64;
  begin(cpu);
  for (let i = 0; i < count; i++) {
    env.flags = 0;
    const b = read(at + SECOND + i * (double === 0 ? 4 : 8), format);
    const value = to_integer(env, b, bits, truncate !== 0 ? ROUND_ZERO : env.rounding);
    const to = at + RESULT + (i * bits) / 8;
    if (bits === 32) U32[to >>> 2] = Number(BigInt.asUintN(32, value));
    else U64[to >>> 3] = BigInt.asUintN(64, value);
    raised |= env.flags;
  }
  return end(cpu);
}

/** LDMXCSR: #GP for reserved bits. */
export function load_mxcsr(cpu: Cpu, value: number): number {
  if ((value & ~0xffff) !== 0) return VECTOR_GP;
  CpuState.mxcsr.set(cpu, value);
  return DONE;
}

/**
 * RCPPS and RSQRTPS, approximations with a relative error below 1.5 * 2^-12 and no exceptions: here the
 * exact value rounded to 12 bits. Denormals are zeros.
 */
export function approximate(cpu: Cpu, reciprocal_root: number, count: number): number {
  const at = scratch(cpu);
  copy_16(at + RESULT, at + FIRST);
  for (let i = 0; i < count; i++) {
    const bits = U32[(at + SECOND + i * 4) >>> 2] as number;
    const result = approximate_bits(unpack(BigInt(bits), FORMAT_32), bits, reciprocal_root !== 0);
    U32[(at + RESULT + i * 4) >>> 2] = result;
  }
  return DONE;
}

const SIGN = 0x8000_0000;
const INFINITY_BITS = 0x7f80_0000;

function approximate_bits(a: Unpacked, bits: number, reciprocal_root: boolean): number {
  const sign = (bits & SIGN) >>> 0;
  if (is_nan(a)) return (bits | 0x40_0000) >>> 0;
  if (a.kind === ZERO || a.denormal) return (sign | INFINITY_BITS) >>> 0;
  if (reciprocal_root && sign !== 0) return 0xffc0_0000;
  if (a.kind !== FINITE) return sign;
  const value = Number(a.significand) * 2 ** a.exponent;
  const exact = reciprocal_root ? 1 / Math.sqrt(value) : 1 / value;
  if (exact < 2 ** -126) return sign;
  const unit = 2 ** (Math.floor(Math.log2(exact)) - 11);
  // Twelve bits fit a single exactly.
  single[0] = Math.round(exact / unit) * unit;
  return (sign | (single_bits[0] as number)) >>> 0;
}

const single = new Float32Array(1);
const single_bits = new Uint32Array(single.buffer);
