/**
 * Operand values worth testing: boundaries of every width, and the floats where rules change.
 */
import { CODE_BASE, type CpuImage, new_image, WINDOW_LOW, WINDOW_SIZE } from './native.ts';

/** A source of unsigned 31-bit numbers. */
export type Random = () => number;

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random() % from.length] as T;
}

/** True once in `n`. */
export function one_in(random: Random, n: number): boolean {
  return random() % n === 0;
}

export function random_u64(random: Random): bigint {
  return (BigInt(random()) << 62n) ^ (BigInt(random()) << 31n) ^ BigInt(random());
}

const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** Integers at the edges of 8, 16, 32 and 64 bits, and small ones. */
export function integer_value(random: Random): bigint {
  const kind = random() % 8;
  if (kind < 3) return random_u64(random) & mask(64);
  if (kind === 3) return BigInt(random() % 64);
  if (kind === 4) return BigInt.asUintN(64, -BigInt(random() % 8));
  const edge = 1n << BigInt(pick(random, [7, 8, 15, 16, 31, 32, 47, 63]));
  if (kind === 5) return BigInt.asUintN(64, edge + BigInt((random() % 3) - 1));
  if (kind === 6) return BigInt.asUintN(64, -edge + BigInt((random() % 3) - 1));
  return random_u64(random) >> BigInt(random() % 64);
}

/** Bits of a float with the given field widths. */
function float_bits(random: Random, fraction_bits: number, exponent_bits: number): bigint {
  const bias = (1n << BigInt(exponent_bits - 1)) - 1n;
  const top = mask(exponent_bits);
  const sign = BigInt(random() & 1);
  let exponent: bigint;
  let fraction = random_u64(random) & mask(fraction_bits);
  const kind = random() % 16;
  if (kind < 6) exponent = bias + BigInt((random() % 8) - 4);
  else if (kind < 9) exponent = bias + BigInt((random() % 140) - 70);
  else if (kind === 9) exponent = BigInt(random() % 3);
  else if (kind === 10) exponent = top - BigInt(random() % 3);
  else if (kind === 11) exponent = 0n;
  else if (kind === 12) exponent = top;
  else exponent = (random_u64(random) & top) % (top + 1n);
  const shape = random() % 6;
  if (shape === 0) fraction = 0n;
  else if (shape === 1) fraction = 1n << BigInt(random() % fraction_bits);
  else if (shape === 2) fraction = mask(fraction_bits) ^ mask(random() % fraction_bits);
  else if (shape === 3) fraction &= ~mask((random() % fraction_bits) - 1 < 0 ? 0 : random() % fraction_bits);
  return (((sign << BigInt(exponent_bits)) | (exponent & top)) << BigInt(fraction_bits)) | fraction;
}

export function float32(random: Random): bigint {
  return float_bits(random, 23, 8);
}

export function float64(random: Random): bigint {
  return float_bits(random, 52, 11);
}

/** An 80-bit float as 10 bytes; sometimes an unsupported encoding. */
export function float80(random: Random): Uint8Array {
  const out = new Uint8Array(10);
  const view = new DataView(out.buffer);
  const bits = float_bits(random, 63, 15);
  // A second draw for the bits above 64: `float_bits` gives 79.
  const fraction = bits & mask(63);
  const exponent = (bits >> 63n) & 0x7fffn;
  const sign = (bits >> 78n) & 1n;
  let integer = exponent === 0n ? 0n : 1n;
  if (one_in(random, 24)) integer ^= 1n;
  view.setBigUint64(0, (integer << 63n) | fraction, true);
  view.setUint16(8, Number((sign << 15n) | exponent), true);
  return out;
}

function xmm_bytes(random: Random): Uint8Array {
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  const kind = random() % 4;
  for (let i = 0; i < 16; ) {
    if (kind === 0) {
      view.setUint32(i, Number(float32(random)), true);
      i += 4;
    } else {
      view.setBigUint64(i, kind === 1 ? float64(random) : integer_value(random), true);
      i += 8;
    }
  }
  if (kind === 3)
    for (let i = 0; i < 16; i++) out[i] = pick(random, [0, 1, 0x7f, 0x80, 0xff, random() & 0xff, random() & 0x1f]);
  return out;
}

/** Initial memory: all kinds of operands side by side. */
export function window_image(random: Random): Uint8Array {
  const out = new Uint8Array(WINDOW_SIZE);
  for (let at = 0; at < WINDOW_SIZE; at += 16) {
    const kind = random() % 8;
    if (kind === 0) out.set(float80(random), at);
    else out.set(xmm_bytes(random), at);
    // Places to return to.
    if (kind === 2) new DataView(out.buffer).setBigUint64(at, BigInt(CODE_BASE + 4096 + (random() % 64)), true);
    // Some BCD, for fbld.
    if (kind === 1) for (let i = 0; i < 10; i++) out[at + i] = ((random() % 10) << 4) | (random() % 10);
  }
  return out;
}

/** A random initial state: rip at the code page, rsp in the window. */
export function random_state(random: Random): CpuImage {
  const state = new_image();
  for (let i = 0; i < 16; i++) state.gpr[i] = integer_value(random);
  state.gpr[4] = BigInt(WINDOW_LOW + 2048 + (random() % 256) * 8);
  state.rip = BigInt(CODE_BASE + 512);
  state.rflags = 0x202 | (random() & 0x8d5) | (one_in(random, 4) ? 0x400 : 0);
  const fx = state.fx;
  const view = new DataView(fx.buffer);
  const fcw = one_in(random, 2) ? 0x37f : 0x40 | (random() & 0xf3f) | (one_in(random, 4) ? 0 : 0x3f);
  let fsw = (random() & 0x4700) | ((random() & 7) << 11) | (one_in(random, 2) ? random() & 0x7f : 0);
  if ((fsw & ~fcw & 0x3f) !== 0) {
    if (one_in(random, 8)) fsw |= 0x8080;
    else fsw &= ~0x3f;
  }
  view.setUint16(0, fcw, true);
  view.setUint16(2, fsw, true);
  fx[4] = one_in(random, 2) ? random() & 0xff : pick(random, [0, 0xff, 0xfe, 0x7f]);
  const mxcsr = one_in(random, 2) ? 0x1f80 | (random() & 0x3f) : (random() & 0xffff) | (one_in(random, 3) ? 0 : 0x1f80);
  view.setUint32(24, mxcsr, true);
  view.setUint32(28, 0xffff, true);
  for (let i = 0; i < 8; i++) fx.set(one_in(random, 6) ? mmx_value(random) : float80(random), 32 + i * 16);
  for (let i = 0; i < 16; i++) fx.set(xmm_bytes(random), 160 + i * 16);
  return state;
}

function mmx_value(random: Random): Uint8Array {
  const out = new Uint8Array(10).fill(0xff);
  out.set(xmm_bytes(random).subarray(0, 8));
  return out;
}
