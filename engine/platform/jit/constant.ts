/**
 * Values that are constants once the instruction is known: immediates, addresses, and what is computed from them.
 */
import type { Value } from '../../x86/ir.ts';
import type { Insn } from './region.ts';

export type Constant = bigint | number;

type Fold = (a: Constant, b: Constant) => Constant;

const u64 = (v: Constant): bigint => BigInt.asUintN(64, v as bigint);
const i64 = (v: bigint): bigint => BigInt.asIntN(64, v);
const shift = (v: Constant): bigint => (v as bigint) & 63n;

const FOLDS: Readonly<Record<string, Fold>> = {
  'i64.add': (a, b) => i64((a as bigint) + (b as bigint)),
  'i64.sub': (a, b) => i64((a as bigint) - (b as bigint)),
  'i64.mul': (a, b) => i64((a as bigint) * (b as bigint)),
  'i64.and': (a, b) => (a as bigint) & (b as bigint),
  'i64.or': (a, b) => (a as bigint) | (b as bigint),
  'i64.xor': (a, b) => (a as bigint) ^ (b as bigint),
  'i64.shl': (a, b) => i64((a as bigint) << shift(b)),
  'i64.shr_u': (a, b) => i64(u64(a) >> shift(b)),
  'i64.shr_s': (a, b) => (a as bigint) >> shift(b),
  'i64.rem_u': (a, b) => i64(u64(a) % u64(b)),
  'i64.eq': (a, b) => (a === b ? 1 : 0),
  'i64.ne': (a, b) => (a !== b ? 1 : 0),
  'i64.eqz': (a) => (a === 0n ? 1 : 0),
  'i64.extend8_s': (a) => BigInt.asIntN(8, a as bigint),
  'i64.extend16_s': (a) => BigInt.asIntN(16, a as bigint),
  'i64.extend32_s': (a) => BigInt.asIntN(32, a as bigint),
  'i64.extend_i32_u': (a) => BigInt((a as number) >>> 0),
  'i64.extend_i32_s': (a) => BigInt(a as number),
  'i32.wrap_i64': (a) => Number(BigInt.asIntN(32, a as bigint)),
  'i32.add': (a, b) => ((a as number) + (b as number)) | 0,
  'i32.sub': (a, b) => ((a as number) - (b as number)) | 0,
  'i32.mul': (a, b) => Math.imul(a as number, b as number),
  'i32.and': (a, b) => (a as number) & (b as number),
  'i32.or': (a, b) => (a as number) | (b as number),
  'i32.xor': (a, b) => (a as number) ^ (b as number),
  'i32.shl': (a, b) => (a as number) << (b as number),
  'i32.shr_u': (a, b) => ((a as number) >>> (b as number)) | 0,
  'i32.eq': (a, b) => (a === b ? 1 : 0),
  'i32.ne': (a, b) => (a !== b ? 1 : 0),
  'i32.eqz': (a) => (a === 0 ? 1 : 0),
  'i32.lt_u': (a, b) => ((a as number) >>> 0 < (b as number) >>> 0 ? 1 : 0),
};

function leaf(v: Value, insn: Insn): Constant | undefined {
  switch (v.leaf) {
    case 'imm':
      return insn.imm;
    case 'imm2':
      return BigInt(insn.imm2);
    case 'rip':
      return BigInt(insn.rip);
    case 'next_rip':
      return BigInt(insn.next);
    case 'target':
      return BigInt(insn.target);
    default:
      return undefined;
  }
}

/** The value's bits (i64 as a signed bigint, i32 as a signed number) if the instruction fixes them. */
export function constant_of(v: Value, insn: Insn): Constant | undefined {
  if (v.type !== 'i64' && v.type !== 'i32') return undefined;
  if (v.kind === 'const') return v.constant;
  if (v.kind === 'leaf') return leaf(v, insn);
  if (v.kind !== 'op') return undefined;
  const fold = FOLDS[v.op!.name];
  if (fold === undefined) return v.op!.name === 'select' ? selected(v, insn) : undefined;
  const a = constant_of(v.args[0] as Value, insn);
  if (a === undefined) return undefined;
  if (v.args.length === 1) return fold(a, a);
  const b = constant_of(v.args[1] as Value, insn);
  if (b === undefined || (v.op!.name === 'i64.rem_u' && b === 0n)) return undefined;
  return fold(a, b);
}

function selected(v: Value, insn: Insn): Constant | undefined {
  const condition = constant_of(v.args[2] as Value, insn);
  if (condition === undefined) return undefined;
  return constant_of(v.args[condition !== 0 ? 0 : 1] as Value, insn);
}

const LANES: Readonly<Record<string, number>> = { i8x16: 16, i16x8: 8, i32x4: 4, i64x2: 2 };

/** The vector of which every one of so many lanes is the low bits of a value. */
function splat(lanes: number, value: Constant): bigint {
  const width = 128 / lanes;
  const lane = BigInt.asUintN(width, BigInt(value));
  let out = 0n;
  for (let i = 0; i < lanes; i++) out |= lane << BigInt(i * width);
  return out;
}

/** Lane by lane. */
function map_lanes(lanes: number, a: bigint, b: bigint, f: (a: bigint, b: bigint) => bigint): bigint {
  const width = 128 / lanes;
  let out = 0n;
  for (let i = 0; i < lanes; i++) {
    const at = BigInt(i * width);
    out |= BigInt.asUintN(width, f(BigInt.asUintN(width, a >> at), BigInt.asUintN(width, b >> at))) << at;
  }
  return out;
}

/** The same of a v128: its 128 bits, unsigned. What immediates of shuffles and blends are made of is known. */
export function vector_of(v: Value, insn: Insn): bigint | undefined {
  if (v.type !== 'v128') return undefined;
  if (v.kind === 'const') return BigInt.asUintN(128, v.constant as bigint);
  if (v.kind !== 'op') return undefined;
  const [shape = '', name] = v.op!.name.split('.');
  const lanes = LANES[shape] ?? 0;
  if (name === 'splat' && lanes > 0) {
    const value = constant_of(v.args[0] as Value, insn);
    return value === undefined ? undefined : splat(lanes, value);
  }
  const wanted = v.op!.name === 'v128.and' || v.op!.name === 'v128.or' || v.op!.name === 'i8x16.add' || name === 'eq';
  if (!wanted && name !== 'replace_lane') return undefined;
  const a = vector_of(v.args[0] as Value, insn);
  if (a === undefined) return undefined;
  if (name === 'replace_lane') {
    const value = constant_of(v.args[1] as Value, insn);
    if (value === undefined || lanes === 0) return undefined;
    const at = BigInt((v.lanes[0] as number) * (128 / lanes));
    const mask = BigInt.asUintN(128 / lanes, -1n) << at;
    return (a & ~mask) | (splat(lanes, value) & mask);
  }
  const b = vector_of(v.args[1] as Value, insn);
  if (b === undefined) return undefined;
  if (name === 'and') return a & b;
  if (name === 'or') return a | b;
  if (name === 'add') return map_lanes(lanes, a, b, (x, y) => x + y);
  return lanes === 0 ? undefined : map_lanes(lanes, a, b, (x, y) => (x === y ? -1n : 0n));
}
