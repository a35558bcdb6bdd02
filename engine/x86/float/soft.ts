/**
 * Exact IEEE 754 arithmetic for the three x86 formats: what x87 and the slow path of SSE compute with.
 *
 * A number is unpacked into sign, integer significand and exponent, computed on exactly, and rounded once.
 * The environment carries rounding control in and exception flags out; both control words use the same
 * bits for masks, flags and rounding modes, so the two units share everything here.
 *
 * BigInt throughout: cold operations, about a microsecond each.
 * Source: Intel SDM volume 1, chapters 4, 8 and 11.
 */

/** Exception flags, at their positions in FSW and MXCSR (and, as masks, in FCW). */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 16;
export const PE = 32;
export const ALL_EXCEPTIONS = 63;

/** Rounding modes, as encoded in FCW bits 10-11, MXCSR bits 13-14 and the immediate of ROUNDPS. */
export const ROUND_NEAREST = 0;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;
export const ROUND_ZERO = 3;

/** Kinds of an unpacked number. */
export const ZERO = 0;
export const FINITE = 1;
export const INFINITY = 2;
export const QNAN = 3;
export const SNAN = 4;
/** An 80-bit encoding that no longer means anything: pseudo-NaN, pseudo-infinity, unnormal. */
export const UNSUPPORTED = 5;

export interface Format {
  /** Bits of significand, the integer bit included. */
  readonly precision: number;
  /** Exponent of the smallest and largest normal number's leading bit. */
  readonly emin: number;
  readonly emax: number;
}

export const FORMAT_32: Format = { precision: 24, emin: -126, emax: 127 };
export const FORMAT_64: Format = { precision: 53, emin: -1022, emax: 1023 };
export const FORMAT_80: Format = { precision: 64, emin: -16382, emax: 16383 };
/** Results of x87 arithmetic under precision control: fewer bits, full exponent range. */
export const FORMAT_80_24: Format = { precision: 24, emin: -16382, emax: 16383 };
export const FORMAT_80_53: Format = { precision: 53, emin: -16382, emax: 16383 };

/** Value: (-1)^sign * significand * 2^exponent. A NaN's significand is its 64-bit x87 mantissa. */
export interface Unpacked {
  readonly kind: number;
  readonly sign: number;
  readonly exponent: number;
  readonly significand: bigint;
  /** Encoded as a denormal (or x87 pseudo-denormal): raises DE when it is an operand. */
  readonly denormal: boolean;
}

/** Rounding control going in, exceptions coming out. */
export interface Environment {
  rounding: number;
  /** Exceptions raised so far by this operation. */
  flags: number;
  /** Masked exceptions; unmasked overflow and underflow change the x87 result. */
  masks: number;
  /** MXCSR: results that underflow become zero; denormal operands are zero. */
  flush_to_zero: boolean;
  denormals_are_zero: boolean;
  /** x87 registers: an unmasked overflow or underflow delivers the result scaled by 2^-+24576. */
  wrap_exponent: boolean;
  /** The last rounding went away from zero (C1). */
  rounded_up: boolean;
}

const MANTISSA_TOP = 1n << 63n;
const QUIET_BIT = 1n << 62n;
/** Exponent adjustment of an unmasked x87 overflow or underflow. */
const WRAP = 24576;

/** An unpacked number from its parts. */
export function make(kind: number, sign: number, exponent = 0, significand = 0n, denormal = false): Unpacked {
  return { kind, sign, exponent, significand, denormal };
}

/** The NaN that invalid operations deliver ("real indefinite"). */
export const INDEFINITE: Unpacked = make(QNAN, 1, 0, MANTISSA_TOP | QUIET_BIT);
export const ONE: Unpacked = make(FINITE, 0, 0, 1n);

/** The zero of a sign. */
export function zero(sign: number): Unpacked {
  return make(ZERO, sign);
}

/** The infinity of a sign. */
export function infinity(sign: number): Unpacked {
  return make(INFINITY, sign);
}

/** (-1)^sign * significand * 2^exponent; a zero if the significand is. */
export function finite(sign: number, exponent: number, significand: bigint): Unpacked {
  return significand === 0n ? make(ZERO, sign) : make(FINITE, sign, exponent, significand);
}

/** Whether it is a NaN of either kind. */
export function is_nan(a: Unpacked): boolean {
  return a.kind === QNAN || a.kind === SNAN;
}

const TWO_32 = 1n << 32n;
const TWO_64 = 1n << 64n;
const TWO_128 = 1n << 128n;

/** Number of bits of a positive integer. */
export function bit_length(value: bigint): number {
  if (value < TWO_32) return 32 - Math.clz32(Number(value));
  if (value < TWO_64) return 64 - Math.clz32(Number(value >> 32n));
  if (value < TWO_128) return 64 + bit_length(value >> 64n);
  const hex = value.toString(16);
  return (hex.length - 1) * 4 + 32 - Math.clz32(Number.parseInt(hex[0] as string, 16));
}

/** Unpacks the bits of a 32- or 64-bit float. */
export function unpack(bits: bigint, format: Format): Unpacked {
  const fraction_bits = format.precision - 1;
  const exponent_bits = fraction_bits === 23 ? 8 : 11;
  const fraction = bits & ((1n << BigInt(fraction_bits)) - 1n);
  const biased = Number((bits >> BigInt(fraction_bits)) & ((1n << BigInt(exponent_bits)) - 1n));
  const sign = Number(bits >> BigInt(fraction_bits + exponent_bits)) & 1;
  if (biased === (1 << exponent_bits) - 1) {
    if (fraction === 0n) return infinity(sign);
    const mantissa = MANTISSA_TOP | (fraction << BigInt(63 - fraction_bits));
    return make((mantissa & QUIET_BIT) !== 0n ? QNAN : SNAN, sign, 0, mantissa);
  }
  if (biased === 0) {
    if (fraction === 0n) return zero(sign);
    return make(FINITE, sign, format.emin - fraction_bits, fraction, true);
  }
  return make(FINITE, sign, biased - format.emax - fraction_bits, fraction | (1n << BigInt(fraction_bits)));
}

/** Packs a rounded number (or a special one) into the bits of a 32- or 64-bit float. */
export function pack(a: Unpacked, format: Format): bigint {
  const fraction_bits = format.precision - 1;
  const exponent_bits = fraction_bits === 23 ? 8 : 11;
  const sign = BigInt(a.sign) << BigInt(fraction_bits + exponent_bits);
  const specials = BigInt((1 << exponent_bits) - 1) << BigInt(fraction_bits);
  if (a.kind === ZERO) return sign;
  if (a.kind === INFINITY) return sign | specials;
  if (a.kind !== FINITE) {
    return sign | specials | ((a.significand & (MANTISSA_TOP - 1n)) >> BigInt(63 - fraction_bits));
  }
  const length = bit_length(a.significand);
  const top = a.exponent + length - 1;
  if (top < format.emin) return sign | shift(a.significand, a.exponent - (format.emin - fraction_bits));
  const fraction = shift(a.significand, fraction_bits + 1 - length) & ((1n << BigInt(fraction_bits)) - 1n);
  return sign | (BigInt(top + format.emax) << BigInt(fraction_bits)) | fraction;
}

/** Unpacks an 80-bit register: 64-bit mantissa with explicit integer bit, sign and exponent word. */
export function unpack_80(mantissa: bigint, sign_exponent: number): Unpacked {
  const sign = sign_exponent >> 15;
  const biased = sign_exponent & 0x7fff;
  if (biased === 0) {
    if (mantissa === 0n) return zero(sign);
    return make(FINITE, sign, -16382 - 63, mantissa, true);
  }
  if ((mantissa & MANTISSA_TOP) === 0n) return make(UNSUPPORTED, sign, 0, mantissa);
  if (biased === 0x7fff) {
    if (mantissa === MANTISSA_TOP) return infinity(sign);
    return make((mantissa & QUIET_BIT) !== 0n ? QNAN : SNAN, sign, 0, mantissa);
  }
  return make(FINITE, sign, biased - 16383 - 63, mantissa);
}

/** The 64-bit mantissa of a number as an 80-bit register holds it. */
export function mantissa_80(a: Unpacked): bigint {
  if (a.kind === ZERO) return 0n;
  if (a.kind === INFINITY) return MANTISSA_TOP;
  if (a.kind !== FINITE) return a.significand;
  const length = bit_length(a.significand);
  if (a.exponent + length - 1 < -16382) return shift(a.significand, a.exponent + 16382 + 63);
  return shift(a.significand, 64 - length);
}

/** The sign and exponent word of a number as an 80-bit register holds it. */
export function sign_exponent_80(a: Unpacked): number {
  const sign = a.sign << 15;
  if (a.kind === ZERO) return sign;
  if (a.kind !== FINITE) return sign | 0x7fff;
  const top = a.exponent + bit_length(a.significand) - 1;
  return sign | (top < -16382 ? 0 : top + 16383);
}

/** Shifts left by `count`, or right when it is negative. */
export function shift(value: bigint, count: number): bigint {
  return count >= 0 ? value << BigInt(count) : value >> BigInt(-count);
}

/** What `quantize` found besides its result. */
let lost = false;
let went_up = false;

/** significand * 2^exponent (plus something below if `sticky`) as a multiple of 2^lsb, rounded. */
function quantize(
  sign: number,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  lsb: number,
  mode: number,
): bigint {
  const drop = lsb - exponent;
  lost = sticky;
  went_up = false;
  if (drop <= 0) {
    // Callers that pass sticky bits keep enough guard bits for this not to happen.
    return significand << BigInt(-drop);
  }
  const count = BigInt(drop);
  const kept = significand >> count;
  const rest = significand - (kept << count);
  if (rest === 0n && !sticky) return kept;
  lost = true;
  if (mode === ROUND_NEAREST) {
    const half = 1n << (count - 1n);
    went_up = rest > half || (rest === half && (sticky || (kept & 1n) === 1n));
  } else if (mode === ROUND_UP) went_up = sign === 0;
  else if (mode === ROUND_DOWN) went_up = sign === 1;
  return went_up ? kept + 1n : kept;
}

/**
 * Rounds to a format: raises OE, UE, PE; sets `rounded_up`. Tininess is detected after rounding.
 * With `sticky`, the significand must have at least two bits more than the precision.
 */
export function round(
  env: Environment,
  sign: number,
  exponent: number,
  significand: bigint,
  sticky: boolean,
  format: Format,
): Unpacked {
  const top = exponent + bit_length(significand) - 1;
  const lsb = top - format.precision + 1;
  let rounded = quantize(sign, significand, exponent, sticky, lsb, env.rounding);
  env.rounded_up = went_up;
  const rounded_top = lsb + bit_length(rounded) - 1;
  if (rounded_top > format.emax) return overflow(env, sign, lsb, rounded, format);
  if (rounded_top >= format.emin) {
    if (lost) env.flags |= PE;
    return make(FINITE, sign, lsb, rounded);
  }
  if ((env.masks & UE) === 0) {
    env.flags |= lost ? UE | PE : UE;
    if (!env.wrap_exponent) return make(FINITE, sign, lsb, rounded);
    if (rounded_top + WRAP >= format.emin) return make(FINITE, sign, lsb + WRAP, rounded);
    env.flags |= PE;
    env.rounded_up = false;
    return zero(sign);
  }
  if (env.flush_to_zero) {
    env.flags |= UE | PE;
    env.rounded_up = false;
    return zero(sign);
  }
  const denormal_lsb = format.emin - format.precision + 1;
  rounded = quantize(sign, significand, exponent, sticky, denormal_lsb, env.rounding);
  env.rounded_up = went_up;
  if (lost) env.flags |= UE | PE;
  return finite(sign, denormal_lsb, rounded);
}

function overflow(env: Environment, sign: number, lsb: number, rounded: bigint, format: Format): Unpacked {
  if ((env.masks & OE) === 0) {
    env.flags |= lost ? OE | PE : OE;
    if (!env.wrap_exponent) return make(FINITE, sign, lsb, rounded);
    // FSCALE can go farther than the adjustment brings back.
    if (lsb + bit_length(rounded) - 1 - WRAP <= format.emax) return make(FINITE, sign, lsb - WRAP, rounded);
    env.flags |= PE;
    env.rounded_up = true;
    return infinity(sign);
  }
  env.flags |= OE | PE;
  const mode = env.rounding;
  const to_infinity =
    mode === ROUND_NEAREST || (mode === ROUND_UP && sign === 0) || (mode === ROUND_DOWN && sign === 1);
  env.rounded_up = to_infinity;
  if (to_infinity) return infinity(sign);
  return make(FINITE, sign, format.emax - format.precision + 1, (1n << BigInt(format.precision)) - 1n);
}

/** Rounds an exact unpacked number to a format; specials pass. */
export function round_unpacked(env: Environment, a: Unpacked, format: Format): Unpacked {
  if (a.kind !== FINITE) return a;
  return round(env, a.sign, a.exponent, a.significand, false, format);
}

/** The same NaN with its quiet bit set. */
export function quiet(a: Unpacked): Unpacked {
  return make(QNAN, a.sign, 0, a.significand | QUIET_BIT);
}

/** Bits by which a far smaller addend is kept apart before it becomes a sticky bit. */
const FAR = 140;

/** a + b for finite or zero or infinite operands; the sum of opposite infinities raises IE. */
export function add(env: Environment, a: Unpacked, b: Unpacked, format: Format): Unpacked {
  if (a.kind === INFINITY) {
    if (b.kind === INFINITY && a.sign !== b.sign) return invalid(env);
    return infinity(a.sign);
  }
  if (b.kind === INFINITY) return infinity(b.sign);
  if (a.kind === ZERO && b.kind === ZERO) {
    return zero(a.sign === b.sign ? a.sign : env.rounding === ROUND_DOWN ? 1 : 0);
  }
  if (a.kind === ZERO) return round_unpacked(env, b, format);
  if (b.kind === ZERO) return round_unpacked(env, a, format);
  let high = a;
  let low = b;
  if (low.exponent > high.exponent) {
    high = b;
    low = a;
  }
  let high_significand: bigint;
  let low_significand: bigint;
  let exponent = low.exponent;
  if (high.exponent - low.exponent > FAR) {
    exponent = high.exponent - FAR;
    high_significand = high.significand << BigInt(FAR);
    low_significand = 1n;
  } else {
    high_significand = high.significand << BigInt(high.exponent - low.exponent);
    low_significand = low.significand;
  }
  const sum =
    (high.sign === 1 ? -high_significand : high_significand) + (low.sign === 1 ? -low_significand : low_significand);
  if (sum === 0n) return zero(env.rounding === ROUND_DOWN ? 1 : 0);
  return round(env, sum < 0n ? 1 : 0, exponent, sum < 0n ? -sum : sum, false, format);
}

/** a * b for operands that are not NaN; zero times infinity raises IE. */
export function multiply(env: Environment, a: Unpacked, b: Unpacked, format: Format): Unpacked {
  const sign = a.sign ^ b.sign;
  if (a.kind === INFINITY || b.kind === INFINITY) {
    return a.kind === ZERO || b.kind === ZERO ? invalid(env) : infinity(sign);
  }
  if (a.kind === ZERO || b.kind === ZERO) return zero(sign);
  return round(env, sign, a.exponent + b.exponent, a.significand * b.significand, false, format);
}

/** a / b for operands that are not NaN; raises IE (0/0, inf/inf) and ZE. */
export function divide(env: Environment, a: Unpacked, b: Unpacked, format: Format): Unpacked {
  const sign = a.sign ^ b.sign;
  if (a.kind === INFINITY) return b.kind === INFINITY ? invalid(env) : infinity(sign);
  if (b.kind === INFINITY) return zero(sign);
  if (b.kind === ZERO) {
    if (a.kind === ZERO) return invalid(env);
    env.flags |= ZE;
    return infinity(sign);
  }
  if (a.kind === ZERO) return zero(sign);
  const extra = 132;
  const scaled = a.significand << BigInt(extra);
  const quotient = scaled / b.significand;
  const sticky = quotient * b.significand !== scaled;
  return round(env, sign, a.exponent - b.exponent - extra, quotient, sticky, format);
}

/** The square root of an operand that is not NaN; raises IE for negative numbers. */
export function square_root(env: Environment, a: Unpacked, format: Format): Unpacked {
  if (a.kind === ZERO) return a;
  if (a.sign === 1) return invalid(env);
  if (a.kind === INFINITY) return a;
  const extra = 140 + ((a.exponent - 140) & 1);
  const scaled = a.significand << BigInt(extra);
  const root = integer_root(scaled);
  return round(env, 0, (a.exponent - extra) / 2, root, root * root !== scaled, format);
}

/** Largest integer whose square does not exceed `value`. */
export function integer_root(value: bigint): bigint {
  let root = 1n << BigInt((bit_length(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** Rounds to an integral value; raises PE unless `quiet_inexact`. The operand is not NaN. */
export function round_to_integral(env: Environment, a: Unpacked, quiet_inexact: boolean): Unpacked {
  env.rounded_up = false;
  if (a.kind !== FINITE || a.exponent >= 0) return a;
  const value = quantize(a.sign, a.significand, a.exponent, false, 0, env.rounding);
  env.rounded_up = went_up;
  if (lost && !quiet_inexact) env.flags |= PE;
  return finite(a.sign, 0, value);
}

/**
 * Converts to a signed integer of `bits` bits; out of range and NaN raise IE and give the "integer
 * indefinite", the most negative number.
 */
export function to_integer(env: Environment, a: Unpacked, bits: number, mode: number): bigint {
  const indefinite = -(1n << BigInt(bits - 1));
  env.rounded_up = false;
  if (a.kind === ZERO) return 0n;
  if (a.kind !== FINITE || a.exponent > 64) {
    env.flags |= IE;
    return indefinite;
  }
  const magnitude = quantize(a.sign, a.significand, a.exponent, false, 0, mode);
  const inexact = lost;
  const value = a.sign === 1 ? -magnitude : magnitude;
  if (value < indefinite || value >= -indefinite) {
    env.flags |= IE;
    return indefinite;
  }
  env.rounded_up = went_up;
  if (inexact) env.flags |= PE;
  return value;
}

/** The exact unpacked form of an integer. */
export function from_integer(value: bigint): Unpacked {
  return finite(value < 0n ? 1 : 0, 0, value < 0n ? -value : value);
}

/** Results of `compare`. */
export const LESS = -1;
export const EQUAL = 0;
export const GREATER = 1;

/** Orders two operands that are not NaN; the zeros are equal. */
export function compare(a: Unpacked, b: Unpacked): number {
  const left = a.kind === ZERO ? 0 : a.sign === 1 ? -1 : 1;
  const right = b.kind === ZERO ? 0 : b.sign === 1 ? -1 : 1;
  if (left !== right) return left < right ? LESS : GREATER;
  if (left === 0) return EQUAL;
  return compare_magnitude(a, b) * left;
}

function compare_magnitude(a: Unpacked, b: Unpacked): number {
  if (a.kind === INFINITY || b.kind === INFINITY) {
    return a.kind === b.kind ? EQUAL : a.kind === INFINITY ? GREATER : LESS;
  }
  const top_a = a.exponent + bit_length(a.significand);
  const top_b = b.exponent + bit_length(b.significand);
  if (top_a !== top_b) return top_a < top_b ? LESS : GREATER;
  const base = Math.min(a.exponent, b.exponent);
  const left = a.significand << BigInt(a.exponent - base);
  const right = b.significand << BigInt(b.exponent - base);
  return left === right ? EQUAL : left < right ? LESS : GREATER;
}

/** Raises IE and gives the indefinite NaN. */
export function invalid(env: Environment): Unpacked {
  env.flags |= IE;
  return INDEFINITE;
}
