/**
 * F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN. Results are within one unit in the last place of
 * the true value of the function (SDM volume 1, 8.3.10); trigonometric arguments are reduced with the 66-bit
 * pi that the hardware uses.
 */
import {
  bit_length,
  FINITE,
  FORMAT_80,
  finite,
  IE,
  INDEFINITE,
  INFINITY,
  infinity,
  invalid,
  is_nan,
  ONE,
  PE,
  quiet,
  round,
  SNAN,
  UNSUPPORTED,
  type Unpacked,
  ZE,
  ZERO,
  zero,
} from '../float/soft.ts';
import { arc_tangent, cosine, exp_minus_1, F, LN2, log_of_ratio, PI, sine, UNIT } from './fixed_point.ts';
import {
  begin,
  type Cpu,
  commit,
  DONE,
  decrement_top,
  denormal_stop,
  env,
  FSW_C1,
  FSW_C2,
  is_empty,
  PRE_COMPUTATION,
  pop,
  propagate,
  push,
  read_st,
  set_condition,
  stack_underflow,
  unmasked,
  write_st,
} from './state.ts';

/** Below this exponent a function is its first term to far more than 64 bits. */
const TINY = -100;
/** pi with 66 significant bits, as a multiple of 2^-64. */
const PI_66 = 0x3_243f_6a88_85a3_08d3n;
const PI_66_EXPONENT = -64;

function top_of(a: Unpacked): number {
  return a.kind === FINITE ? a.exponent + bit_length(a.significand) - 1 : 0;
}

/** A finite number as fixed point, toward minus infinity. */
function to_fixed(a: Unpacked): bigint {
  const by = a.exponent + F;
  const magnitude = by >= 0 ? a.significand << BigInt(by) : a.significand >> BigInt(-by);
  return a.sign === 1 ? -magnitude : magnitude;
}

/** Rounds value * 2^exponent, known to be inexact. */
function inexact(value: bigint, exponent: number): Unpacked {
  if (value === 0n) return zero(0);
  const magnitude = value < 0n ? -value : value;
  // Enough bits below for the sticky bit.
  return round(env, value < 0n ? 1 : 0, exponent - 80, magnitude << 80n, true, FORMAT_80);
}

/** What the hardware makes of an argument outside the domain: the argument, marked inexact. */
function undefined_argument(x: Unpacked): Unpacked {
  env.flags |= PE;
  return x;
}

function exponential(x: Unpacked): Unpacked {
  if (x.kind === ZERO) return x;
  if (x.kind === INFINITY) return x.sign === 0 ? x : { ...ONE, sign: 1 };
  const top = top_of(x);
  if (top >= 0) {
    // Outside -1 to 1 the instruction leaves its operand; the ends are exact, though PE is raised.
    const is_minus_1 = x.sign === 1 && top === 0 && x.significand === 1n << BigInt(-x.exponent);
    return undefined_argument(is_minus_1 ? finite(1, -1, 1n) : x);
  }
  if (top < TINY) return inexact((x.sign === 1 ? -x.significand : x.significand) * LN2, x.exponent - F);
  return inexact(exp_minus_1((to_fixed(x) * LN2) >> BigInt(F)), -F);
}

/** log2(x) for positive finite x as fixed point with F bits; zero only for x = 1. */
function log2_fixed(x: Unpacked): bigint {
  let k = top_of(x);
  // m = x / 2^k in [1, 2), then in [3/4, 3/2) for a short series.
  let m = x.significand << BigInt(F - bit_length(x.significand) + 1);
  if (m >= (3n * UNIT) / 2n) {
    k++;
    m >>= 1n;
  }
  const ratio = ((m - UNIT) << BigInt(F)) / (m + UNIT);
  return BigInt(k) * UNIT + (log_of_ratio(ratio) << BigInt(F)) / LN2;
}

function signed_product(y: Unpacked, value: bigint, exponent: number, exact: boolean): Unpacked {
  const product = (y.sign === 1 ? -y.significand : y.significand) * value;
  if (!exact) return inexact(product, y.exponent + exponent);
  return round(env, product < 0n ? 1 : 0, y.exponent + exponent, product < 0n ? -product : product, false, FORMAT_80);
}

/** y * log2(x). */
function y_log2_x(x: Unpacked, y: Unpacked): Unpacked {
  if (x.kind !== ZERO && x.sign === 1) return invalid(env);
  if (x.kind === ZERO) {
    if (y.kind === ZERO) return invalid(env);
    if (y.kind === FINITE) env.flags |= ZE;
    return infinity(y.sign ^ 1);
  }
  if (x.kind === INFINITY) return y.kind === ZERO ? invalid(env) : infinity(y.sign);
  const log = log2_fixed(x);
  const below_one = log < 0n ? 1 : 0;
  if (y.kind === INFINITY) return log === 0n ? invalid(env) : infinity(y.sign ^ below_one);
  if (y.kind === ZERO || log === 0n) return zero(y.sign ^ below_one);
  // The hardware calls powers of two inexact too.
  env.flags |= PE;
  return signed_product(y, log, -F, (x.significand & (x.significand - 1n)) === 0n);
}

/** y * log2(x + 1). */
function y_log2_x_plus_1(x: Unpacked, y: Unpacked): Unpacked {
  if (x.kind === INFINITY) return x.sign === 1 || y.kind === ZERO ? invalid(env) : infinity(y.sign);
  if (y.kind === INFINITY) return x.kind === ZERO ? invalid(env) : infinity(x.sign ^ y.sign);
  if (x.kind === ZERO || y.kind === ZERO) return zero(x.sign ^ y.sign);
  if (top_of(x) < TINY) {
    const scaled = ((x.sign === 1 ? -x.significand : x.significand) << BigInt(2 * F)) / LN2;
    return signed_product(y, scaled, x.exponent - F, false);
  }
  const fixed = to_fixed(x);
  if (fixed <= -UNIT) return undefined_argument(x);
  const sum = fixed + UNIT;
  const log =
    fixed > UNIT / 2n || fixed < -UNIT / 4n
      ? log2_fixed(finite(0, -F, sum))
      : (log_of_ratio((fixed << BigInt(F)) / (sum + UNIT)) << BigInt(F)) / LN2;
  return signed_product(y, log, -F, false);
}

/** atan(y / x) in the quadrant of the point (x, y). */
function arc_tangent_of(x: Unpacked, y: Unpacked): Unpacked {
  const signed = (value: bigint): Unpacked => inexact(y.sign === 1 ? -value : value, -F);
  if (y.kind === ZERO) return x.sign === 0 ? y : signed(PI);
  if (y.kind === INFINITY) {
    if (x.kind !== INFINITY) return signed(PI >> 1n);
    return signed(x.sign === 0 ? PI >> 2n : (3n * PI) >> 2n);
  }
  if (x.kind === ZERO) return signed(PI >> 1n);
  if (x.kind === INFINITY) return x.sign === 0 ? zero(y.sign) : signed(PI);
  const distance = top_of(y) - top_of(x);
  if (distance < TINY) {
    if (x.sign === 1) return signed(PI);
    const quotient = (y.significand << BigInt(F)) / x.significand;
    const exponent = y.exponent - x.exponent - F;
    return round(env, y.sign, exponent - 80, quotient << 80n, true, FORMAT_80);
  }
  if (distance > -TINY) return signed(PI >> 1n);
  const base = Math.min(x.exponent, y.exponent);
  const across = x.significand << BigInt(x.exponent - base);
  const up = y.significand << BigInt(y.exponent - base);
  let angle =
    up <= across ? arc_tangent((up << BigInt(F)) / across) : (PI >> 1n) - arc_tangent((across << BigInt(F)) / up);
  if (x.sign === 1) angle = PI - angle;
  return signed(angle);
}

/** Multiples of pi/2 to take off, and what is left as fixed point; the hardware's pi. */
function reduce(x: Unpacked): { quadrant: number; rest: bigint } {
  const half_pi = PI_66 << BigInt(F + PI_66_EXPONENT - 1);
  const fixed = to_fixed(x);
  const count = (2n * fixed + half_pi) / (2n * half_pi);
  const rounded = 2n * fixed + half_pi < 0n && (2n * fixed + half_pi) % (2n * half_pi) !== 0n ? count - 1n : count;
  return { quadrant: Number(((rounded % 4n) + 4n) % 4n), rest: fixed - rounded * half_pi };
}

function sine_of(x: Unpacked, shift: number): Unpacked {
  if (x.kind === ZERO) return shift === 0 ? x : ONE;
  if (top_of(x) < TINY) {
    if (shift === 1) return inexact_toward_zero(0, 0, 1n);
    return inexact_toward_zero(x.sign, x.exponent, x.significand);
  }
  const { quadrant, rest } = reduce(x);
  const turn = (quadrant + shift) & 3;
  const value = (turn & 1) === 0 ? sine(rest) : cosine(rest);
  return inexact(turn >= 2 ? -value : value, -F);
}

/** A number just below the given magnitude. */
function inexact_toward_zero(sign: number, exponent: number, significand: bigint): Unpacked {
  return round(env, sign, exponent - 160, (significand << 160n) - 1n, true, FORMAT_80);
}

function tangent_of(x: Unpacked): Unpacked {
  if (x.kind === ZERO) return x;
  if (top_of(x) < TINY) return round(env, x.sign, x.exponent - 80, x.significand << 80n, true, FORMAT_80);
  const { quadrant, rest } = reduce(x);
  const s = sine(rest);
  const c = cosine(rest);
  const value = (quadrant & 1) === 0 ? (s << BigInt(F)) / c : -(c << BigInt(F)) / s;
  return inexact(value, -F);
}

/** F2XM1, FSIN and FCOS: with `reduces`, C2 is cleared, and set where `operation` answers null. */
function one_operand(cpu: Cpu, reduces: boolean, operation: (x: Unpacked) => Unpacked | null): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (reduces) set_condition(cpu, FSW_C2, 0);
  if (is_empty(cpu, 0)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  const result = special(read_st(cpu, 0)) ?? operation(read_st(cpu, 0));
  if (result === null) set_condition(cpu, FSW_C2, FSW_C2);
  else if (!unmasked(PRE_COMPUTATION)) write_st(cpu, 0, result);
  return commit(cpu);
}

/** The result for NaN and unsupported operands and where a denormal stops; null to compute. */
function special(x: Unpacked): Unpacked | null {
  if (x.kind === UNSUPPORTED) return invalid(env);
  if (is_nan(x)) {
    if (x.kind === SNAN) env.flags |= IE;
    return quiet(x);
  }
  return denormal_stop(x, x) ? x : null;
}

/** FYL2X, FYL2XP1, FPATAN: ST(1) takes the result, ST(0) is popped. */
function two_operands(cpu: Cpu, operation: (x: Unpacked, y: Unpacked) => Unpacked): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0) || is_empty(cpu, 1)) {
    if (stack_underflow(cpu)) {
      write_st(cpu, 1, INDEFINITE);
      pop(cpu);
    }
    return DONE;
  }
  const x = read_st(cpu, 0);
  const y = read_st(cpu, 1);
  let result = propagate(x, y);
  if (result === null) {
    result = operation(x, y);
    // Invalid arguments and poles hide a denormal operand; an unmasked one hides what comes after.
    if ((env.flags & (IE | ZE)) === 0) {
      const flags = env.flags;
      env.flags = 0;
      if (!denormal_stop(x, y)) env.flags |= flags;
    }
  }
  if (!unmasked(PRE_COMPUTATION)) {
    write_st(cpu, 1, result);
    pop(cpu);
  }
  return commit(cpu);
}

/** FPTAN and FSINCOS: the result replaces ST(0), a second one is pushed. */
function two_results(cpu: Cpu, first: (x: Unpacked) => Unpacked, second: (x: Unpacked) => Unpacked): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  set_condition(cpu, FSW_C2, 0);
  if (is_empty(cpu, 0) || !is_empty(cpu, 7)) {
    const overflowed = !is_empty(cpu, 0);
    if (stack_underflow(cpu)) {
      write_st(cpu, 0, INDEFINITE);
      decrement_top(cpu);
      write_st(cpu, 0, INDEFINITE);
    }
    if (overflowed) set_condition(cpu, FSW_C1, FSW_C1);
    return DONE;
  }
  const x = read_st(cpu, 0);
  const nan = special(x);
  if (nan === null && out_of_range(x)) {
    set_condition(cpu, FSW_C2, FSW_C2);
    return commit(cpu);
  }
  const replaced = nan ?? (x.kind === INFINITY ? invalid(env) : first(x));
  const pushed = nan ?? (x.kind === INFINITY ? INDEFINITE : second(x));
  if (!unmasked(PRE_COMPUTATION)) {
    write_st(cpu, 0, replaced);
    push(cpu, pushed);
  }
  return commit(cpu);
}

function out_of_range(x: Unpacked): boolean {
  return x.kind === FINITE && top_of(x) >= 63;
}

function trigonometric(shift: number): (x: Unpacked) => Unpacked | null {
  return (x) => {
    if (x.kind === INFINITY) return invalid(env);
    return out_of_range(x) ? null : sine_of(x, shift);
  };
}

/** The transcendental instructions by number: those of `semantics/x87.ts`. */
export function transcendental(cpu: Cpu, which: number): number {
  switch (which) {
    case 0:
      return one_operand(cpu, false, exponential);
    case 1:
      return two_operands(cpu, y_log2_x);
    case 2:
      return two_results(cpu, tangent_of, () => ONE);
    case 3:
      return two_operands(cpu, arc_tangent_of);
    case 4:
      return two_operands(cpu, y_log2_x_plus_1);
    case 5:
      return two_results(
        cpu,
        (x) => sine_of(x, 0),
        (x) => sine_of(x, 1),
      );
    case 6:
      return one_operand(cpu, true, trigonometric(0));
    default:
      return one_operand(cpu, true, trigonometric(1));
  }
}
