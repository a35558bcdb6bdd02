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
