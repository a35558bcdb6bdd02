/**
 * Integer SIMD: MMX and its SSE2 to SSE4.2 extensions (SDM volume 2, the P... pages). The mm and xmm forms of
 * an instruction share one function: an mm operand is a v128 with zeros above.
 */
import type { Family, Ir, Semantics, Value } from '../ir.ts';
import { at_most, bytes_from, immediate, is_mmx, mmx_framed, vector, write_vector } from './vector.ts';

type Lanewise = (ir: Ir, a: Value, b: Value) => Value;

function binary(operation: Lanewise): Semantics {
  return (ir) => {
    const b = vector(ir, 1);
    const a = vector(ir, 0);
    write_vector(ir, operation(ir, a, b));
  };
}

function lanes(name: string): Semantics {
  return binary((ir, a, b) => ir.op(name, a, b));
}

function unary(name: string): Semantics {
  return (ir) => write_vector(ir, ir.op(name, vector(ir, 1)));
}

/** Low halves of two mm operands as one vector; xmm operands need two. */
function joined(ir: Ir, a: Value, b: Value): Value {
  return ir.lane_op('i8x16.shuffle', [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23], a, b);
}

/** Narrowing of both operands with saturation. */
function narrow(name: string): Semantics {
  return binary((ir, a, b) => {
    if (!is_mmx(ir)) return ir.op(name, a, b);
    const both = joined(ir, a, b);
    return ir.op(name, both, both);
  });
}

/** Even and odd elements of the two operands, paired up: for horizontal operations. */
function horizontal(name: string, width: 2 | 4): Semantics {
  const even: number[] = [];
  const odd: number[] = [];
  for (let at = 0; at < 32; at += 2 * width) {
    for (let i = 0; i < width; i++) {
      even.push(at + i);
      odd.push(at + width + i);
    }
  }
  return binary((ir, a, b) => {
    const first = is_mmx(ir) ? joined(ir, a, b) : a;
    const second = is_mmx(ir) ? first : b;
    const left = ir.lane_op('i8x16.shuffle', even, first, second);
    const right = ir.lane_op('i8x16.shuffle', odd, first, second);
    return ir.op(name, left, right);
  });
}

/** PUNPCK: interleaves the low or high halves in elements of `width` bytes. */
function unpack(width: number, high: boolean): Semantics {
  const pattern = (from: number): number[] => {
    const out: number[] = [];
    for (let at = from; out.length < 16; at += width) {
      for (let i = 0; i < width; i++) out.push(at + i);
      for (let i = 0; i < width; i++) out.push(16 + at + i);
    }
    return out;
  };
  return binary((ir, a, b) => ir.lane_op('i8x16.shuffle', pattern(high ? (is_mmx(ir) ? 4 : 8) : 0), a, b));
}

/** High halves of 16-bit products. */
function multiply_high(sign: 's' | 'u'): Lanewise {
  return (ir, a, b) => {
    const low = ir.op(`i32x4.extmul_low_i16x8_${sign}`, a, b);
    const high = ir.op(`i32x4.extmul_high_i16x8_${sign}`, a, b);
    return ir.lane_op('i8x16.shuffle', [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31], low, high);
  };
}

/** Products of the even 32-bit elements. */
function multiply_even(sign: 's' | 'u'): Lanewise {
  const pattern = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
  return (ir, a, b) => {
    const left = ir.lane_op('i8x16.shuffle', pattern, a, a);
    const right = ir.lane_op('i8x16.shuffle', pattern, b, b);
    return ir.op(`i64x2.extmul_low_i32x4_${sign}`, left, right);
  };
}

/** PMADDUBSW: unsigned bytes of the first times signed bytes of the second, neighbours added with saturation. */
function multiply_add_bytes(ir: Ir, a: Value, b: Value): Value {
  const eight = ir.i32(8);
  const even_a = ir.op('v128.and', a, ir.op('i16x8.splat', ir.i32(0xff)));
  const even_b = ir.op('i16x8.shr_s', ir.op('i16x8.shl', b, eight), eight);
  const even = ir.op('i16x8.mul', even_a, even_b);
  const odd = ir.op('i16x8.mul', ir.op('i16x8.shr_u', a, eight), ir.op('i16x8.shr_s', b, eight));
  return ir.op('i16x8.add_sat_s', even, odd);
}

/** PMULHRSW: like q15mulr, but -1 * -1 overflows to -1. */
function multiply_rounded(ir: Ir, a: Value, b: Value): Value {
  const lowest = ir.op('i16x8.splat', ir.i32(0x8000));
  const both = ir.op('v128.and', ir.op('i16x8.eq', a, lowest), ir.op('i16x8.eq', b, lowest));
  return ir.op('v128.xor', ir.op('i16x8.q15mulr_sat_s', a, b), both);
}

function byte_differences(ir: Ir, a: Value, b: Value): Value {
  return ir.op('v128.or', ir.op('i8x16.sub_sat_u', a, b), ir.op('i8x16.sub_sat_u', b, a));
}

/** PSADBW: sums of absolute differences, one for each eight bytes. */
function sum_of_differences(ir: Ir, a: Value, b: Value): Value {
  const words = ir.op('i16x8.extadd_pairwise_i8x16_u', byte_differences(ir, a, b));
  const dwords = ir.op('i32x4.extadd_pairwise_i16x8_u', words);
  const upper = ir.op('i64x2.shr_u', dwords, ir.i32(32));
  return ir.op('v128.and', ir.op('i32x4.add', dwords, upper), ir.v128(0x0000_0000_ffff_ffff_0000_0000_ffff_ffffn));
}

/** PSIGN: negated, zeroed or kept by the second operand's sign. */
function sign(shape: 'i8x16' | 'i16x8' | 'i32x4', width: number): Semantics {
  return binary((ir, a, b) => {
    const negative = ir.op(`${shape}.shr_s`, b, ir.i32(width - 1));
    const negated = ir.op(`${shape}.sub`, ir.op('v128.xor', a, negative), negative);
    return ir.op('v128.and', negated, ir.op(`${shape}.ne`, b, ir.v128(0n)));
  });
}

/** Shifts by a register, memory or immediate count: counts of the width or more give zeros or signs. */
function shift(shape: 'i16x8' | 'i32x4' | 'i64x2', direction: 'shl' | 'shr_u' | 'shr_s', width: number): Semantics {
  return (ir) => {
    const count_64 =
      ir.operand(1).kind === 'imm' ? ir.op('i64.extend_i32_u', immediate(ir)) : low_of(ir, vector(ir, 1));
    const a = vector(ir, 0);
    const too_far = ir.op('i64.ge_u', count_64, ir.i64(width));
    const count = ir.op('i32.wrap_i64', count_64);
    if (direction === 'shr_s') {
      write_vector(ir, ir.op(`${shape}.shr_s`, a, ir.select(too_far, ir.i32(width - 1), count)));
      return;
    }
    const shifted = ir.op(`${shape}.${direction}`, a, count);
    write_vector(ir, ir.select(too_far, ir.v128(0n), shifted));
  };
}

function low_of(ir: Ir, value: Value): Value {
  return ir.lane_op('i64x2.extract_lane', [0], value);
}

/** PSHUFB: indices with bit 7 set give zero, others count modulo the register's bytes. */
function shuffle_bytes(ir: Ir, a: Value, b: Value): Value {
  return ir.op('i8x16.swizzle', a, ir.op('v128.and', b, ir.op('i8x16.splat', ir.i32(is_mmx(ir) ? 0x87 : 0x8f))));
}

/** PALIGNR: bytes of the operands, first above second, from the immediate on. */
function align_right(ir: Ir): void {
  const b = vector(ir, 1);
  const a = vector(ir, 0);
  if (is_mmx(ir)) {
    write_vector(ir, bytes_from(ir, joined(ir, b, a), at_most(ir, immediate(ir), 16)));
    return;
  }
  const count = at_most(ir, immediate(ir), 32);
  const low = bytes_from(ir, b, count);
  const high = bytes_from(ir, a, ir.op('i32.sub', count, ir.i32(16)));
  write_vector(ir, ir.op('v128.or', low, high));
}

/** PSLLDQ and PSRLDQ: byte shifts of the whole register. */
function shift_bytes(left: boolean): Semantics {
  return (ir) => {
    const count = at_most(ir, immediate(ir), 16);
    const by = left ? ir.op('i32.sub', ir.i32(0), count) : count;
    write_vector(ir, bytes_from(ir, vector(ir, 0), by));
  };
}

/** PHMINPOSUW: the least word and the index of its first place. */
function minimum_position(ir: Ir): void {
  const v = vector(ir, 1);
  let least = v;
  for (const distance of [8, 4, 2]) {
    const pattern = Array.from({ length: 16 }, (_, i) => (i + distance) % 16);
    least = ir.op('i16x8.min_u', least, ir.lane_op('i8x16.shuffle', pattern, least, least));
  }
  const places = ir.op('i16x8.bitmask', ir.op('i16x8.eq', v, least));
  const value = ir.lane_op('i16x8.extract_lane_u', [0], least);
  const index = ir.op('i32.shl', ir.op('i32.ctz', places), ir.i32(16));
  write_vector(ir, ir.lane_op('i32x4.replace_lane', [0], ir.v128(0n), ir.op('i32.or', value, index)));
}

/** MPSADBW: eight sums of four absolute differences; the immediate says where they start. */
function multiple_differences(ir: Ir): void {
  const b = vector(ir, 1);
  const a = vector(ir, 0);
  const imm = immediate(ir);
  const from_b = ir.op('i32.shl', ir.op('i32.and', imm, ir.i32(3)), ir.i32(2));
  const from_a = ir.op('i32.and', imm, ir.i32(4));
  let sum = ir.v128(0n);
  for (let k = 0; k < 4; k++) {
    const left = bytes_from(ir, a, ir.op('i32.add', from_a, ir.i32(k)));
    const right = ir.op('i8x16.swizzle', b, ir.op('i8x16.splat', ir.op('i32.add', from_b, ir.i32(k))));
    const difference = byte_differences(ir, left, right);
    sum = ir.op('i16x8.add', sum, ir.op('i16x8.extend_low_i8x16_u', difference));
  }
  write_vector(ir, sum);
}

/** PMOVSX and PMOVZX: element sizes from and to, in bytes. */
function widen(from: 1 | 2 | 4, to: 2 | 4 | 8, sign_letter: 's' | 'u'): Semantics {
  const shapes: Readonly<Record<number, string>> = { 1: 'i8x16', 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' };
  return (ir) => {
    let value = ir.op('i64x2.splat', ir.read(1));
    for (let size = from as number; size < to; size *= 2) {
      value = ir.op(`${shapes[size * 2]}.extend_low_${shapes[size]}_${sign_letter}`, value);
    }
    ir.write(0, value);
  };
}

function compare_greater_quad(ir: Ir, a: Value, b: Value): Value {
  return ir.op('i64x2.gt_s', a, b);
}

/** Names of the row families by element: bytes, words, dwords, quads. */
const SHAPES = { b: 'i8x16', w: 'i16x8', d: 'i32x4', q: 'i64x2' } as const;

function by_element(stem: string, letters: string, operation: string): Record<string, Semantics> {
  const out: Record<string, Semantics> = {};
  for (const letter of letters) out[stem + letter] = lanes(`${SHAPES[letter as 'b']}.${operation}`);
  return out;
}

const LANEWISE: Family = {
  ...by_element('padd', 'bwdq', 'add'),
  ...by_element('psub', 'bwdq', 'sub'),
  ...by_element('padds', 'bw', 'add_sat_s'),
  ...by_element('paddus', 'bw', 'add_sat_u'),
  ...by_element('psubs', 'bw', 'sub_sat_s'),
  ...by_element('psubus', 'bw', 'sub_sat_u'),
  ...by_element('pcmpeq', 'bwdq', 'eq'),
  ...by_element('pcmpgt', 'bwd', 'gt_s'),
  ...by_element('pmins', 'bwd', 'min_s'),
  ...by_element('pminu', 'bwd', 'min_u'),
  ...by_element('pmaxs', 'bwd', 'max_s'),
  ...by_element('pmaxu', 'bwd', 'max_u'),
  ...by_element('pavg', 'bw', 'avgr_u'),
  pcmpgtq: binary(compare_greater_quad),
  pmullw: lanes('i16x8.mul'),
  pmulld: lanes('i32x4.mul'),
  pmaddwd: lanes('i32x4.dot_i16x8_s'),
  pand: lanes('v128.and'),
  por: lanes('v128.or'),
  pxor: lanes('v128.xor'),
  pandn: binary((ir, a, b) => ir.op('v128.andnot', b, a)),
  pabsb: unary('i8x16.abs'),
  pabsw: unary('i16x8.abs'),
  pabsd: unary('i32x4.abs'),
};

const SHIFTS: Family = {
  psllw: shift('i16x8', 'shl', 16),
  pslld: shift('i32x4', 'shl', 32),
  psllq: shift('i64x2', 'shl', 64),
  psrlw: shift('i16x8', 'shr_u', 16),
  psrld: shift('i32x4', 'shr_u', 32),
  psrlq: shift('i64x2', 'shr_u', 64),
  psraw: shift('i16x8', 'shr_s', 16),
  psrad: shift('i32x4', 'shr_s', 32),
  pslldq: shift_bytes(true),
  psrldq: shift_bytes(false),
};

const WIDENINGS: Family = {
  pmovsxbw: widen(1, 2, 's'),
  pmovsxbd: widen(1, 4, 's'),
  pmovsxbq: widen(1, 8, 's'),
  pmovsxwd: widen(2, 4, 's'),
  pmovsxwq: widen(2, 8, 's'),
  pmovsxdq: widen(4, 8, 's'),
  pmovzxbw: widen(1, 2, 'u'),
  pmovzxbd: widen(1, 4, 'u'),
  pmovzxbq: widen(1, 8, 'u'),
  pmovzxwd: widen(2, 4, 'u'),
  pmovzxwq: widen(2, 8, 'u'),
  pmovzxdq: widen(4, 8, 'u'),
};

export const VECTOR_INTEGER: Family = mmx_framed({
  ...LANEWISE,
  ...SHIFTS,
  ...WIDENINGS,
  packsswb: narrow('i8x16.narrow_i16x8_s'),
  packuswb: narrow('i8x16.narrow_i16x8_u'),
  packssdw: narrow('i16x8.narrow_i32x4_s'),
  packusdw: narrow('i16x8.narrow_i32x4_u'),
  punpcklbw: unpack(1, false),
  punpcklwd: unpack(2, false),
  punpckldq: unpack(4, false),
  punpcklqdq: unpack(8, false),
  punpckhbw: unpack(1, true),
  punpckhwd: unpack(2, true),
  punpckhdq: unpack(4, true),
  punpckhqdq: unpack(8, true),
  phaddw: horizontal('i16x8.add', 2),
  phaddd: horizontal('i32x4.add', 4),
  phaddsw: horizontal('i16x8.add_sat_s', 2),
  phsubw: horizontal('i16x8.sub', 2),
  phsubd: horizontal('i32x4.sub', 4),
  phsubsw: horizontal('i16x8.sub_sat_s', 2),
  pmulhw: binary(multiply_high('s')),
  pmulhuw: binary(multiply_high('u')),
  pmuludq: binary(multiply_even('u')),
  pmuldq: binary(multiply_even('s')),
  pmaddubsw: binary(multiply_add_bytes),
  pmulhrsw: binary(multiply_rounded),
  psadbw: binary(sum_of_differences),
  psignb: sign('i8x16', 8),
  psignw: sign('i16x8', 16),
  psignd: sign('i32x4', 32),
  pshufb: binary(shuffle_bytes),
  palignr: align_right,
  phminposuw: minimum_position,
  mpsadbw: multiple_differences,
});
