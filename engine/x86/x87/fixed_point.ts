/**
 * Elementary functions on fixed-point BigInts with F fractional bits: wide enough that one rounding to 64 bits
 * is right in all but hopeless cases. Plain series after argument reduction.
 */
import { integer_root } from '../float/soft.ts';

/** Fractional bits. */
export const F = 320;
const BITS = BigInt(F);
export const UNIT = 1n << BITS;

/** The product of two fixed-point numbers. */
export function times(a: bigint, b: bigint): bigint {
  return (a * b) >> BITS;
}

/** atanh(t) or, with `alternate`, atan(t), by its series; |t| well below 1. */
function inverse_series(t: bigint, alternate: boolean): bigint {
  const square = times(t, t);
  let power = t;
  let sum = t;
  for (let n = 3n; power !== 0n && power !== -1n; n += 2n) {
    power = times(power, square);
    if (alternate) power = -power;
    sum += power / n;
  }
  return sum;
}

function atanh_inverse(n: bigint): bigint {
  return inverse_series(UNIT / n, false);
}

function atan_inverse(n: bigint): bigint {
  return inverse_series(UNIT / n, true);
}

/** ln 2 = 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749). */
export const LN2 = 18n * atanh_inverse(26n) - 2n * atanh_inverse(4801n) + 8n * atanh_inverse(8749n);
/** pi = 16 atan(1/5) - 4 atan(1/239). */
export const PI = 16n * atan_inverse(5n) - 4n * atan_inverse(239n);

/** e^y - 1 for |y| <= 1. */
export function exp_minus_1(y: bigint): bigint {
  const halvings = 8n;
  const small = y >> halvings;
  let term = small;
  let sum = small;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    term = times(term, small) / n;
    sum += term;
  }
  for (let i = 0n; i < halvings; i++) sum = times(sum, sum + 2n * UNIT);
  return sum;
}

/** ln((1 + t) / (1 - t)), the logarithm by its atanh argument; |t| <= 1/2. */
export function log_of_ratio(t: bigint): bigint {
  return 2n * inverse_series(t, false);
}

/** sin(r) for |r| <= 1. */
export function sine(r: bigint): bigint {
  return alternating(r, times(r, r), 2n);
}

/** cos(r) for |r| <= 1. */
export function cosine(r: bigint): bigint {
  return alternating(UNIT, times(r, r), 1n);
}

/** first - first * square / (n (n + 1)) + ... */
function alternating(first: bigint, square: bigint, n: bigint): bigint {
  let term = first;
  let sum = first;
  for (let k = n; term !== 0n && term !== -1n; k += 2n) {
    term = -times(term, square) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

/** atan(t) for 0 <= t <= 1: three halvings of the angle, then the series. */
export function arc_tangent(t: bigint): bigint {
  let half = t;
  for (let i = 0; i < 3; i++) {
    const root = integer_root((UNIT + times(half, half)) << BITS);
    half = (half << BITS) / (UNIT + root);
  }
  return inverse_series(half, true) << 3n;
}
