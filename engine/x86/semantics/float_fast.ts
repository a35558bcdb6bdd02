/**
 * The fast path of SSE arithmetic in plain WebAssembly, and the conditions under which it gives the bits and the
 * MXCSR of the exact helpers: rounding to nearest, no FTZ or DAZ, everything masked; operands that are zero or
 * normal; results that are normal, or zero without underflow. Whether a result is inexact is known from the
 * rounding error (addition), from the product in double precision (singles), from few significant bits
 * (doubles) - or does not matter, because PE is set already.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Ir, Value } from '../ir.ts';
import { FORM_PD, FORM_PS, FORM_SS, OP_ADD, OP_DIV, OP_MUL, OP_SQRT, OP_SUB } from '../sse/exact.ts';

const MXCSR = CpuState.mxcsr.offset;
/** Rounding control, FTZ, DAZ and masks; and their values where the fast path may be taken. */
const CONTROLS = 0xffc0;
const DEFAULT_CONTROLS = 0x1f80;
const PE = 0x20;
const MIN_SINGLE = 2 ** -126;
const MAX_SINGLE = (2 - 2 ** -23) * 2 ** 127;
const MIN_DOUBLE = 2 ** -1022;

type ShapeName = 'f32' | 'f64' | 'f32x4' | 'f64x2';

/** Element-wise arithmetic on scalars or vectors; a truth value is an i32 or a vector of ones and zeros. */
export class Shape {
  readonly name: ShapeName;
  readonly double: boolean;
  readonly packed: boolean;
  private readonly ir: Ir;

  constructor(ir: Ir, form: number) {
    this.ir = ir;
    this.double = form !== FORM_PS && form !== FORM_SS;
    this.packed = form === FORM_PS || form === FORM_PD;
    this.name = this.packed ? (this.double ? 'f64x2' : 'f32x4') : this.double ? 'f64' : 'f32';
  }

  /** Operand `index` as a value of the shape. Bits go through integers, so that no NaN changes on the way. */
  read(index: number): Value {
    const { ir } = this;
    if (this.packed) return ir.read_as(index, 'v128');
    const bits = ir.read(index);
    if (this.double) return ir.op('f64.reinterpret_i64', bits);
    return ir.op('f32.reinterpret_i32', ir.op('i32.wrap_i64', bits));
  }

  op(name: string, ...args: readonly Value[]): Value {
    return this.ir.op(`${this.name}.${name}`, ...args);
  }

  constant(value: number): Value {
    const { ir } = this;
    if (!this.packed) return this.double ? ir.f64(value) : ir.f32(value);
    const bytes = new DataView(new ArrayBuffer(8));
    if (this.double) {
      bytes.setFloat64(0, value);
      const bits = bytes.getBigUint64(0);
      return ir.v128((bits << 64n) | bits);
    }
    bytes.setFloat32(0, value);
    const bits = BigInt(bytes.getUint32(0));
    return ir.v128((bits << 96n) | (bits << 64n) | (bits << 32n) | bits);
  }

  and(a: Value, b: Value): Value {
    return this.ir.op(this.packed ? 'v128.and' : 'i32.and', a, b);
  }

  or(a: Value, b: Value): Value {
    return this.ir.op(this.packed ? 'v128.or' : 'i32.or', a, b);
  }

  /** Whether it holds for every element, as i32. */
  all(truth: Value): Value {
    if (!this.packed) return truth;
    return this.ir.op(this.double ? 'i64x2.all_true' : 'i32x4.all_true', truth);
  }

  is_zero(a: Value): Value {
    return this.op('eq', a, this.constant(0));
  }

  /** Normal, finite, and more than the least such: what is rounded up to that underflows. */
  is_normal(a: Value): Value {
    const size = this.op('abs', a);
    const big_enough = this.op('gt', size, this.constant(this.double ? MIN_DOUBLE : MIN_SINGLE));
    return this.and(big_enough, this.op('le', size, this.constant(this.double ? Number.MAX_VALUE : MAX_SINGLE)));
  }

  /** Neither NaN nor denormal: no operand of this kind raises anything in a comparison. */
  is_plain(a: Value): Value {
    const size = this.op('abs', a);
    const big_enough = this.op('ge', size, this.constant(this.double ? MIN_DOUBLE : MIN_SINGLE));
    return this.or(big_enough, this.is_zero(a));
  }

  /** Low `count` bits of the significand are zero in every element of a double shape. */
  private few_bits(a: Value, count: number): Value {
    const { ir } = this;
    const mask = (1n << BigInt(count)) - 1n;
    if (!this.packed) return ir.op('i64.eqz', ir.op('i64.and', ir.op('i64.reinterpret_f64', a), ir.i64(mask)));
    const low = ir.op('v128.and', a, ir.v128((mask << 64n) | mask));
    return ir.op('i64x2.eq', low, ir.v128(0n));
  }

  /** Whether a * b is exactly `product`: for doubles only if it is plain to see. */
  multiplies_exactly(a: Value, b: Value, product: Value): Value {
    const equal = this.op('eq', this.op('mul', a, b), product);
    return this.and(equal, this.and(this.few_bits(a, 27), this.few_bits(b, 26)));
  }
}

/** The rounding error of sum = a + b (Knuth's two-sum); exact when rounding to nearest. */
export function addition_error(s: Shape, a: Value, b: Value, sum: Value): Value {
  const b_part = s.op('sub', sum, a);
  const a_part = s.op('sub', sum, b_part);
  return s.op('add', s.op('sub', a, a_part), s.op('sub', b, b_part));
}

/** Whether single a * b is exactly `product`: the product of two singles is exact as a double. */
function singles_multiply_exactly(ir: Ir, a: Value, b: Value, product: Value): Value {
  const wide = (value: Value): Value => ir.op('f64.promote_f32', value);
  return ir.op('f64.eq', ir.op('f64.mul', wide(a), wide(b)), wide(product));
}

/** Where the operation is known to be exact, as a truth value of the shape. */
function exactness(ir: Ir, s: Shape, op: number, a: Value, b: Value, result: Value): Value {
  if (op === OP_ADD) return s.is_zero(addition_error(s, a, b, result));
  if (op === OP_SUB) return s.is_zero(addition_error(s, a, s.op('neg', b), result));
  const [x, y, product] = op === OP_MUL ? [a, b, result] : op === OP_DIV ? [result, b, a] : [result, result, b];
  if (s.double) return s.multiplies_exactly(x, y, product);
  if (!s.packed) return singles_multiply_exactly(ir, x, y, product);
  // Four singles at once are not looked at closely: PE decides.
  return ir.v128(0n);
}

/** Whether a zero result is an honest one: from addition always, else from a zero operand. */
function zero_is_exact(s: Shape, op: number, a: Value, b: Value): Value {
  if (op === OP_MUL) return s.or(s.is_zero(a), s.is_zero(b));
  return op === OP_SQRT ? s.is_zero(b) : s.is_zero(a);
}

const NAMES: Readonly<Record<number, string>> = {
  [OP_ADD]: 'add',
  [OP_SUB]: 'sub',
  [OP_MUL]: 'mul',
  [OP_DIV]: 'div',
};

/**
 * Whether every element is normal and finite, by its bits; with `least` 1 none may be the least such number. For vectors
 * one is added to the exponents, which leaves only low bits of those that are wanted out, and of a few more.
 */
function is_common(ir: Ir, s: Shape, a: Value, least: 0 | 1): Value {
  const [bits, exponent] = s.double ? [52, 11] : [23, 8];
  const type = s.double ? 'i64' : 'i32';
  if (s.packed) {
    const shape = s.double ? 'i64x2' : 'i32x4';
    const all = (value: bigint): Value => {
      const width = BigInt(bits + exponent + 1);
      let vector = value;
      for (let at = width; at < 128n; at += width) vector |= value << at;
      return ir.v128(vector);
    };
    const mask = ((1n << BigInt(exponent)) - (least === 0 ? 2n : 4n)) << BigInt(bits);
    const moved = ir.op(`${shape}.add`, a, all(1n << BigInt(bits)));
    return ir.op(`${shape}.all_true`, ir.op('v128.and', moved, all(mask)));
  }
  const number = (value: bigint): Value => (s.double ? ir.i64(BigInt.asIntN(64, value)) : ir.i32(Number(value) | 0));
  const lowest = (1n << BigInt(bits + 1)) + BigInt(least);
  const infinity = ((1n << BigInt(exponent)) - 1n) << BigInt(bits + 1);
  const doubled = ir.op(`${type}.shl`, ir.op(`${type}.reinterpret_${s.name}`, a), number(1n));
  return ir.op(`${type}.lt_u`, ir.op(`${type}.sub`, doubled, number(lowest)), number(infinity - lowest));
}

/** Whether rounding is to nearest, everything is masked, and PE is set already. */
function is_noted(ir: Ir): Value {
  const controls = ir.op('i32.and', ir.cpu_load('i32.load', MXCSR), ir.i32(CONTROLS | PE));
  return ir.op('i32.eq', controls, ir.i32(DEFAULT_CONTROLS | PE));
}

/** Whether operands and result raise nothing but PE: not all that do not, but most. */
function are_common(ir: Ir, s: Shape, op: number, a: Value, b: Value, result: Value): Value {
  const numbers = ir.op('i32.and', is_common(ir, s, b, 0), is_common(ir, s, result, 1));
  return op === OP_SQRT ? numbers : ir.op('i32.and', is_common(ir, s, a, 0), numbers);
}

/** The operation itself, of the elements of a shape. */
export function operation(s: Shape, op: number, a: Value, b: Value): Value {
  return op === OP_SQRT ? s.op('sqrt', b) : s.op(NAMES[op] as string, a, b);
}

/**
 * The result, and whether (i32) it is right together with an unchanged MXCSR. To look at everything takes thirty
 * operations; with PE set a comparison of the bits of each number is mostly enough.
 */
export function fast_arithmetic(ir: Ir, s: Shape, op: number, a: Value, b: Value): { result: Value; right: Value } {
  const result = operation(s, op, a, b);
  const right = ir.variable(ir.i32(0));
  ir.if(is_noted(ir), () => ir.set(right, are_common(ir, s, op, a, b, result)));
  ir.unless_as_usual(ir.get(right), () => ir.set(right, is_right(ir, s, op, a, b, result)));
  return { result, right: ir.get(right) };
}

function is_right(ir: Ir, s: Shape, op: number, a: Value, b: Value, result: Value): Value {
  const mxcsr = ir.cpu_load('i32.load', MXCSR);
  const controls = ir.op('i32.eq', ir.op('i32.and', mxcsr, ir.i32(CONTROLS)), ir.i32(DEFAULT_CONTROLS));
  const adds = op === OP_ADD || op === OP_SUB;
  const honest = adds ? s.is_zero(result) : s.and(s.is_zero(result), zero_is_exact(s, op, a, b));
  const in_range = s.or(s.is_normal(result), honest);
  const operands = op === OP_SQRT ? s.is_plain(b) : s.and(s.is_plain(a), s.is_plain(b));
  const noted = ir.op('i32.ne', ir.op('i32.and', mxcsr, ir.i32(PE)), ir.i32(0));
  const exact = ir.op('i32.or', noted, s.all(exactness(ir, s, op, a, b, result)));
  return ir.op('i32.and', ir.op('i32.and', controls, exact), s.all(s.and(in_range, operands)));
}

/** Whether PE is set and masked already, and DAZ is off: a lost fraction changes nothing then. */
export function inexact_is_noted(ir: Ir): Value {
  const mxcsr = ir.cpu_load('i32.load', MXCSR);
  return ir.op('i32.eq', ir.op('i32.and', mxcsr, ir.i32(0x1060)), ir.i32(0x1020));
}

/** Whether rounding is to nearest, nothing is unmasked, and neither FTZ nor DAZ is on. */
export function has_default_controls(ir: Ir): Value {
  const mxcsr = ir.cpu_load('i32.load', MXCSR);
  return ir.op('i32.eq', ir.op('i32.and', mxcsr, ir.i32(CONTROLS)), ir.i32(DEFAULT_CONTROLS));
}

/** A comparison by the runtime predicate 0-7 of operands that are not NaN: the truth value's elements. */
export function compare_by_predicate(ir: Ir, s: Shape, predicate: Value, a: Value, b: Value): Value {
  const basic = ir.op('i32.and', predicate, ir.i32(3));
  const is = (n: number): Value => ir.op('i32.eq', basic, ir.i32(n));
  const never = s.packed ? ir.v128(0n) : ir.i32(0);
  const less = ir.select(is(1), s.op('lt', a, b), ir.select(is(2), s.op('le', a, b), never));
  const holds = ir.select(is(0), s.op('eq', a, b), less);
  const negated = ir.op('i32.and', ir.op('i32.shr_u', predicate, ir.i32(2)), ir.i32(1));
  if (!s.packed) return ir.op('i32.xor', holds, negated);
  return ir.op('v128.xor', holds, ir.op('i32x4.splat', ir.op('i32.sub', ir.i32(0), negated)));
}

/** The value rounded to an integer by a runtime mode: nearest, down, up, toward zero. */
export function round_by_mode(ir: Ir, s: Shape, mode: Value, value: Value): Value {
  const is = (n: number): Value => ir.op('i32.eq', mode, ir.i32(n));
  const directed = ir.select(is(2), s.op('ceil', value), s.op('trunc', value));
  return ir.select(is(0), s.op('nearest', value), ir.select(is(1), s.op('floor', value), directed));
}

/** Doubles rounded to singles, `narrowed` and the same `widened` again: whether that is right without a helper. */
export function narrows_right(ir: Ir, s: Shape, value: Value, widened: Value): Value {
  const size = s.op('abs', widened);
  const in_range = s.and(s.op('ge', size, s.constant(MIN_SINGLE)), s.op('le', size, s.constant(MAX_SINGLE)));
  const fits = s.all(s.or(in_range, s.is_zero(value)));
  const exact = ir.op('i32.or', inexact_is_noted(ir), s.all(s.op('eq', widened, value)));
  return ir.op('i32.and', has_default_controls(ir), ir.op('i32.and', fits, exact));
}
