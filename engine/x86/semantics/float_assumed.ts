/**
 * SSE arithmetic where nearly all of it is ordinary: rounding to nearest, everything masked, numbers neither denormal nor
 * infinite nor NaN, and either PE is set already or nothing is rounded (`Ir.assumption`). Then the bits are those of the
 * WebAssembly operation, and MXCSR stays as it is. Each operation says what must hold of its numbers. The conditions
 * are stricter than necessary, so that they are cheap to look at, several at a time: factors are zero, or so far from it
 * that the product is normal; nothing overflows.
 */
import type { Ir, Value } from '../ir.ts';
import { OP_ADD, OP_DIV, OP_MIN, OP_MUL, OP_SQRT, OP_SUB } from '../sse/exact.ts';
import type { Known } from '../statement.ts';
import { addition_error, operation, Shape } from './float_fast.ts';
import { whole } from './vector.ts';

/** What the operands of each operation must be, and what the result is then: a sum may be anything. */
const NEEDS: Readonly<Record<number, Known>> = {
  [OP_ADD]: 'plain',
  [OP_SUB]: 'plain',
  [OP_MUL]: 'medium',
  [OP_DIV]: 'medium',
  [OP_SQRT]: 'plain',
};
const GIVES: Readonly<Record<number, Known>> = { [OP_MUL]: 'plain', [OP_DIV]: 'medium', [OP_SQRT]: 'medium' };

/** The elements that an operation works on, of a whole vector. */
function elements(ir: Ir, s: Shape, vector: Value): Value {
  return s.packed ? vector : ir.lane_op(`${s.double ? 'f64x2' : 'f32x4'}.extract_lane`, [0], vector);
}

/** A vector with the value in all elements that count. */
function vector_of(ir: Ir, s: Shape, value: Value): Value {
  return s.packed ? value : ir.op(`${s.double ? 'f64x2' : 'f32x4'}.splat`, value);
}

/** The same number in every element of the form, zero in the others. */
function constant(ir: Ir, s: Shape, bits: bigint): Value {
  const width = s.double ? 64n : 32n;
  let vector = bits;
  if (s.packed) for (let at = width; at < 128n; at += width) vector |= bits << at;
  return ir.v128(vector);
}

/** Assumes that x * y, of two vectors, is not rounded: each has half of its significand's bits at most. */
function assume_few_bits(ir: Ir, s: Shape, form: number, x: Value, y: Value): void {
  const [of_x, of_y] = s.double ? [27n, 26n] : [12n, 12n];
  const low = (vector: Value, count: bigint): Value => ir.op('v128.and', vector, constant(ir, s, (1n << count) - 1n));
  ir.assume('no bits', form, low(x, of_x));
  ir.assume('no bits', form, low(y, of_y));
}

/** Assumes that the operation has not rounded. */
function assume_exact(ir: Ir, s: Shape, form: number, op: number, first: Value, second: Value, r: Value): void {
  const [a, b] = [elements(ir, s, first), elements(ir, s, second)];
  const no_error = (error: Value): void => {
    const scalar = (): Value => ir.lane_op(`${s.double ? 'f64x2' : 'f32x4'}.replace_lane`, [0], ir.v128(0n), error);
    ir.assume('no bits', form, s.packed ? error : scalar());
  };
  if (op === OP_ADD) no_error(addition_error(s, a, b, r));
  else if (op === OP_SUB) no_error(addition_error(s, a, s.op('neg', b), r));
  else if (op === OP_MUL) assume_few_bits(ir, s, form, first, second);
  else {
    const root = vector_of(ir, s, r);
    const [x, y, product] = op === OP_DIV ? [second, b, a] : [root, r, b];
    assume_few_bits(ir, s, form, root, x);
    no_error(s.op('sub', s.op('mul', r, y), product));
  }
}

/** ADD, SUB, MUL, DIV and SQRT. */
export function assumed_arithmetic(ir: Ir, form: number, op: number): void {
  const s = new Shape(ir, form);
  const second = whole(ir, 1);
  const first = op === OP_SQRT ? second : ir.read_lane(0, 'v128.load', 0);
  const needed = NEEDS[op] as Known;
  if (op !== OP_SQRT) ir.assume(needed, form, first);
  ir.assume(needed, form, second);
  const result = operation(s, op, elements(ir, s, first), elements(ir, s, second));
  ir.assume('finite', form, result);
  if (op === OP_DIV) {
    // Only a dividend of zero makes an honest zero: one takes its place.
    const one = constant(ir, s, s.double ? 0x3ff0_0000_0000_0000n : 0x3f80_0000n);
    const zero = ir.op(`${s.double ? 'f64x2' : 'f32x4'}.eq`, first, ir.v128(0n));
    const quotient = ir.op('v128.or', vector_of(ir, s, result), ir.op('v128.and', zero, one));
    ir.assume('medium and not zero', form, quotient);
  }
  if (ir.assumption === 'exact') assume_exact(ir, s, form, op, first, second, result);
  ir.write(0, result);
  const given = GIVES[op];
  if (given !== undefined) ir.known(given, form);
}

/** MIN and MAX. */
export function assumed_extreme(ir: Ir, form: number, op: number): void {
  const s = new Shape(ir, form);
  const second = whole(ir, 1);
  const first = ir.read_lane(0, 'v128.load', 0);
  ir.assume('plain', form, first);
  ir.assume('plain', form, second);
  const a = elements(ir, s, first);
  const b = elements(ir, s, second);
  // Both are: a sum of something else is not.
  ir.assume('finite', form, s.op('add', a, b));
  const less = s.op(op === OP_MIN ? 'lt' : 'gt', a, b);
  ir.write(0, s.packed ? ir.op('v128.bitselect', a, b, less) : ir.select(less, a, b));
  ir.known('plain', form);
}
