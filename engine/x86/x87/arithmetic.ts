/**
 * x87 arithmetic: two-operand operations, square root, remainders, scaling, sign changes.
 * Sources: SDM volume 2, the FADD ... FXTRACT pages; volume 1, 8.3 to 8.5.
 */

import { U32 } from '../../heap/memory.ts';
import {
  add,
  bit_length,
  divide,
  type Environment,
  FINITE,
  FORMAT_80,
  type Format,
  finite,
  from_integer,
  IE,
  INDEFINITE,
  INFINITY,
  infinity,
  invalid,
  is_nan,
  multiply,
  quiet,
  round_to_integral,
  round_unpacked,
  SNAN,
  square_root,
  UNSUPPORTED,
  type Unpacked,
  ZE,
  ZERO,
  zero,
} from '../float/soft.ts';
import {
  begin,
  type Cpu,
  commit,
  DONE,
  decrement_top,
  denormal_stop,
  env,
  FSW_C0,
  FSW_C1,
  FSW_C2,
  FSW_C3,
  is_empty,
  PRE_COMPUTATION,
  pop,
  propagate,
  push,
  read_st,
  result_format,
  set_condition,
  st_address,
  stack_underflow,
  unmasked,
  write_st,
} from './state.ts';

/** Two-operand operations, numbered as in the opcodes' reg field (2 and 3 are comparisons). */
export const OP_ADD = 0;
export const OP_MUL = 1;
export const OP_SUB = 4;
export const OP_SUBR = 5;
export const OP_DIV = 6;
export const OP_DIVR = 7;

function negate(a: Unpacked): Unpacked {
  return { ...a, sign: a.sign ^ 1 };
}

function compute(op: number, a: Unpacked, b: Unpacked, format: Format): Unpacked {
  if (op === OP_ADD) return add(env, a, b, format);
  if (op === OP_MUL) return multiply(env, a, b, format);
  if (op === OP_SUB) return add(env, a, negate(b), format);
  if (op === OP_SUBR) return add(env, b, negate(a), format);
  return op === OP_DIV ? divide(env, a, b, format) : divide(env, b, a, format);
}

/** A division by zero hides a denormal dividend. */
function divides_by_zero(op: number, a: Unpacked, b: Unpacked): boolean {
  return (op === OP_DIV && b.kind === ZERO) || (op === OP_DIVR && a.kind === ZERO);
}

/** The result of an operation on two operands, with exceptions in `env`; null when it must not be written. */
function binary(op: number, a: Unpacked, b: Unpacked, format: Format): Unpacked | null {
  const nan = propagate(a, b);
  if (nan !== null) return unmasked(IE) ? null : nan;
  if (!divides_by_zero(op, a, b) && denormal_stop(a, b)) return null;
  const result = compute(op, a, b, format);
  return unmasked(PRE_COMPUTATION) ? null : result;
}

/** ST(dst) = ST(dst) op ST(src), then pops if asked. */
export function arithmetic_registers(cpu: Cpu, op: number, dst: number, src: number, pops: boolean): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, dst) || is_empty(cpu, src)) {
    if (stack_underflow(cpu)) {
      write_st(cpu, dst, INDEFINITE);
      if (pops) pop(cpu);
    }
    return DONE;
  }
  const result = binary(op, read_st(cpu, dst), read_st(cpu, src), result_format(cpu));
  if (result !== null) {
    write_st(cpu, dst, result);
    if (pops) pop(cpu);
  }
  return commit(cpu);
}

/** ST(0) = ST(0) op operand. `begin` has succeeded. */
export function arithmetic_operand(cpu: Cpu, op: number, operand: Unpacked): number {
  if (is_empty(cpu, 0)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  const result = binary(op, read_st(cpu, 0), operand, result_format(cpu));
  if (result !== null) write_st(cpu, 0, result);
  return commit(cpu);
}

/** Runs an operation of ST(0) alone: NaN, unsupported and empty operands are dealt with here. */
function unary(cpu: Cpu, operation: (a: Unpacked) => Unpacked): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  const a = read_st(cpu, 0);
  let result: Unpacked;
  if (a.kind === UNSUPPORTED) result = invalid(env);
  else if (is_nan(a)) {
    if (a.kind === SNAN) env.flags |= IE;
    result = quiet(a);
  } else result = operation(a);
  if (!unmasked(PRE_COMPUTATION)) write_st(cpu, 0, result);
  return commit(cpu);
}

/** FSQRT. */
export function fsqrt(cpu: Cpu): number {
  return unary(cpu, (a) => {
    if (a.sign === 1 && a.kind !== ZERO) return invalid(env);
    return denormal_stop(a, a) ? a : square_root(env, a, result_format(cpu));
  });
}

/** FRNDINT. */
export function frndint(cpu: Cpu): number {
  return unary(cpu, (a) => (denormal_stop(a, a) ? a : round_to_integral(env, a, false)));
}

function change_sign(cpu: Cpu, and_mask: number, xor_mask: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  const word = (st_address(cpu, 0) + 8) >>> 2;
  U32[word] = ((U32[word] as number) & and_mask) ^ xor_mask;
  return DONE;
}

/** FABS: works on any bits, NaNs included. */
export function fabs(cpu: Cpu): number {
  return change_sign(cpu, 0x7fff, 0);
}

/** FCHS: works on any bits, NaNs included. */
export function fchs(cpu: Cpu): number {
  return change_sign(cpu, 0xffff, 0x8000);
}

/** The frame of the remainders: operands ST(0) and ST(1), the result replaces ST(0). Invalid ones hide denormals. */
function pair(cpu: Cpu, operation: (a: Unpacked, b: Unpacked) => Unpacked): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  set_condition(cpu, FSW_C2, 0);
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  const a = read_st(cpu, 0);
  const b = read_st(cpu, 1);
  const is_invalid = a.kind === INFINITY || b.kind === ZERO;
  const result = propagate(a, b) ?? (!is_invalid && denormal_stop(a, b) ? a : operation(a, b));
  if (!unmasked(PRE_COMPUTATION)) write_st(cpu, 0, result);
  return commit(cpu);
}

/** FSCALE: ST(0) * 2^trunc(ST(1)). */
export function fscale(cpu: Cpu): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  const a = read_st(cpu, 0);
  const b = read_st(cpu, 1);
  const result = propagate(a, b) ?? (denormal_stop(a, b) ? a : scale(env, a, b));
  if (!unmasked(PRE_COMPUTATION)) write_st(cpu, 0, result);
  return commit(cpu);
}

function scale(e: Environment, a: Unpacked, b: Unpacked): Unpacked {
  if (b.kind === INFINITY) {
    if (b.sign === 0) return a.kind === ZERO ? invalid(e) : infinity(a.sign);
    return a.kind === INFINITY ? invalid(e) : zero(a.sign);
  }
  if (a.kind !== FINITE || b.kind === ZERO) return a.kind === FINITE ? round_unpacked(e, a, FORMAT_80) : a;
  let by = 0x10000;
  if (b.exponent + bit_length(b.significand) <= 17) {
    by = Number(b.exponent >= 0 ? b.significand << BigInt(b.exponent) : b.significand >> BigInt(-b.exponent));
  }
  const exponent = a.exponent + (b.sign === 1 ? -by : by);
  return round_unpacked(e, finite(a.sign, exponent, a.significand), FORMAT_80);
}

/** FXTRACT: exponent replaces ST(0), then the significand (1 <= |s| < 2) is pushed. */
export function fxtract(cpu: Cpu): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0) || !is_empty(cpu, 7)) return fxtract_stack_fault(cpu);
  const a = read_st(cpu, 0);
  let exponent: Unpacked;
  let significand: Unpacked = a;
  if (a.kind === UNSUPPORTED) {
    exponent = invalid(env);
    significand = exponent;
  } else if (is_nan(a)) {
    if (a.kind === SNAN) env.flags |= IE;
    exponent = quiet(a);
    significand = exponent;
  } else if (a.kind === INFINITY) exponent = infinity(0);
  else if (a.kind === ZERO) {
    env.flags |= ZE;
    exponent = infinity(1);
  } else if (denormal_stop(a, a)) exponent = a;
  else {
    const length = bit_length(a.significand);
    exponent = from_integer(BigInt(a.exponent + length - 1));
    significand = finite(a.sign, 1 - length, a.significand);
  }
  if (!unmasked(PRE_COMPUTATION)) {
    write_st(cpu, 0, exponent);
    push(cpu, significand);
  }
  return commit(cpu);
}

function fxtract_stack_fault(cpu: Cpu): number {
  const overflowed = !is_empty(cpu, 0);
  if (stack_underflow(cpu)) {
    write_st(cpu, 0, INDEFINITE);
    decrement_top(cpu);
    write_st(cpu, 0, INDEFINITE);
  }
  if (overflowed) set_condition(cpu, FSW_C1, FSW_C1);
  return DONE;
}

/** Bits of quotient a partial remainder step delivers when the exponents are 64 or more apart. */
function partial_bits(difference: number): number {
  return (difference & 31) | 32;
}

/** FPREM (truncating) and FPREM1 (nearest): one step of the remainder of ST(0) by ST(1). */
export function remainder(cpu: Cpu, nearest: boolean): number {
  let quotient = -1n;
  let partial = false;
  const result = pair(cpu, (a, b) => {
    if (a.kind === INFINITY || b.kind === ZERO) return invalid(env);
    if (a.kind === ZERO || b.kind === INFINITY) {
      quotient = 0n;
      return a.kind === ZERO ? a : round_unpacked(env, a, FORMAT_80);
    }
    const difference = top_of(a) - top_of(b);
    if (difference >= 64) {
      partial = true;
      const unit = difference - partial_bits(difference);
      const divisor = finite(0, b.exponent + unit, b.significand);
      return remainder_by(a, divisor, false).value;
    }
    const step = remainder_by(a, b, nearest);
    quotient = step.quotient;
    return step.value;
  });
  if (result >= 0) return result;
  if (partial) set_condition(cpu, FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3, FSW_C2);
  else if (quotient >= 0n) {
    const low = Number(quotient & 7n);
    const bits = ((low & 4) !== 0 ? FSW_C0 : 0) | ((low & 2) !== 0 ? FSW_C3 : 0) | ((low & 1) !== 0 ? FSW_C1 : 0);
    set_condition(cpu, FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3, bits);
  }
  return DONE;
}

function top_of(a: Unpacked): number {
  return a.exponent + bit_length(a.significand) - 1;
}

function remainder_by(a: Unpacked, b: Unpacked, nearest: boolean): { value: Unpacked; quotient: bigint } {
  const base = Math.min(a.exponent, b.exponent);
  const dividend = a.significand << BigInt(a.exponent - base);
  const divisor = b.significand << BigInt(b.exponent - base);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let sign = a.sign;
  if (nearest) {
    const twice = rest * 2n;
    if (twice > divisor || (twice === divisor && (quotient & 1n) === 1n)) {
      quotient += 1n;
      rest = divisor - rest;
      sign ^= 1;
    }
  }
  const value = rest === 0n ? zero(a.sign) : round_unpacked(env, finite(sign, base, rest), FORMAT_80);
  return { value, quotient };
}
