/**
 * Moves, shuffles, blends, insertions and extractions of SSE and MMX, PTEST, masked stores, MXCSR and EMMS
 * (SDM volume 2). A shuffle by an immediate is a swizzle with indices computed from it, since the immediate is
 * not known when code is generated.
 */
import { CpuState, RDI } from '../../machine/cpu.layout.ts';
import { set_flags } from '../flags.ts';
import type { Family, Ir, Semantics, Value } from '../ir.ts';
import {
  byte_indices,
  bytes_constant,
  check_pending,
  immediate,
  immediate_field,
  immediate_mask,
  is_mmx,
  lane_indices,
  low_64,
  mmx_framed,
  set_mmx_state,
  vector,
  whole,
  write_mm,
  write_vector,
} from './vector.ts';

/** Moves by operand sizes: 16 bytes whole; a narrower source zero-extends into a 16-byte destination. */
function move(ir: Ir): void {
  const [to, from] = [ir.operand(0), ir.operand(1)];
  if (to.cls === 'mm' && to.kind === 'reg') write_mm(ir, ir.read(1));
  else if (to.size < 16) ir.write(0, ir.read(1));
  else if (from.kind === 'reg' && (from.cls === 'gpr' || from.cls === 'mm')) {
    ir.write(0, ir.lane_op('i64x2.replace_lane', [0], ir.v128(0n), ir.read(1)));
  } else ir.write(0, vector(ir, 1));
}

/** MOVHPS, MOVHPD: the high half of the register, in memory or from it. */
function move_high(ir: Ir): void {
  if (ir.operand(0).kind === 'mem') ir.write(0, ir.read_lane(1, 'i64.load', 8));
  else ir.write_lane(0, 'i64.store', 8, ir.read(1));
}

function swizzle(ir: Ir, value: Value, fields: readonly Value[], width: 2 | 4 | 8): Value {
  return ir.op('i8x16.swizzle', value, lane_indices(ir, fields, width));
}

function two_bit_fields(ir: Ir): Value[] {
  return [0, 2, 4, 6].map((at) => immediate_field(ir, at, 2));
}

/** PSHUFLW (first 0) and PSHUFHW (first 4): four words by the immediate, the others as they are. */
function shuffle_words(first: 0 | 4): Semantics {
  return (ir) => {
    const kept = [0, 1, 2, 3].map((i) => ir.i32((first === 0 ? 4 : 0) + i));
    const moved = two_bit_fields(ir).map((field) => ir.op('i32.add', field, ir.i32(first)));
    const fields = first === 0 ? [...moved, ...kept] : [...kept, ...moved];
    write_vector(ir, swizzle(ir, vector(ir, 1), fields, 2));
  };
}

function shuffle_ps(ir: Ir): void {
  const b = vector(ir, 1);
  const a = vector(ir, 0);
  const fields = two_bit_fields(ir);
  const low = swizzle(ir, a, fields, 4);
  const high = swizzle(ir, b, fields, 4);
  const halves = [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31];
  write_vector(ir, ir.lane_op('i8x16.shuffle', halves, low, high));
}

function shuffle_pd(ir: Ir): void {
  const b = vector(ir, 1);
  const a = vector(ir, 0);
  const fields = [immediate_field(ir, 0, 1), immediate_field(ir, 1, 1)];
  const low = swizzle(ir, a, fields, 8);
  const high = swizzle(ir, b, fields, 8);
  const halves = [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31];
  write_vector(ir, ir.lane_op('i8x16.shuffle', halves, low, high));
}

function fixed_shuffle(pattern: readonly number[]): Semantics {
  return (ir) => {
    const v = vector(ir, 1);
    write_vector(ir, ir.lane_op('i8x16.shuffle', pattern, v, v));
  };
}

function two_operand_shuffle(pattern: readonly number[]): Semantics {
  return (ir) => {
    const b = vector(ir, 1);
    write_vector(ir, ir.lane_op('i8x16.shuffle', pattern, vector(ir, 0), b));
  };
}

function logic(name: string, swap = false): Semantics {
  return (ir) => {
    const b = vector(ir, 1);
    const a = vector(ir, 0);
    write_vector(ir, swap ? ir.op(name, b, a) : ir.op(name, a, b));
  };
}

function blend(mask_of: (ir: Ir) => Value): Semantics {
  return (ir) => {
    const b = vector(ir, 1);
    const a = vector(ir, 0);
    write_vector(ir, ir.op('v128.bitselect', b, a, mask_of(ir)));
  };
}

/** The signs of xmm0's elements, spread over them. */
function sign_mask(shape: 'i8x16' | 'i32x4' | 'i64x2', width: number): (ir: Ir) => Value {
  return (ir) => ir.op(`${shape}.shr_s`, ir.cpu_load('v128.load', CpuState.xmm.offset), ir.i32(width - 1));
}

/** PEXTR: element of `width` bytes, the immediate modulo their number, zero-extended. */
function extract(width: 1 | 2 | 4 | 8): Semantics {
  return (ir) => {
    const number = ir.op('i32.and', immediate(ir), ir.i32((is_mmx(ir) ? 8 : 16) / width - 1));
    const offset = ir.op('i32.mul', number, ir.i32(width));
    const indices = ir.op('i8x16.add', byte_indices(ir), ir.op('i8x16.splat', offset));
    const value = low_64(ir, ir.op('i8x16.swizzle', whole(ir, 1), indices));
    ir.write(0, ir.zero_extend(value, width));
  };
}

/** PINSR: replaces the element that the immediate numbers. */
function insert(shape: 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2', width: 1 | 2 | 4 | 8): Semantics {
  return (ir) => {
    const source = ir.read(1);
    const number = ir.op('i32.and', immediate(ir), ir.i32((is_mmx(ir) ? 8 : 16) / width - 1));
    const wide = shape === 'i64x2';
    const value = ir.op(`${shape}.splat`, wide ? source : ir.op('i32.wrap_i64', source));
    const numbers = bytes_constant(
      ir,
      Array.from({ length: 16 }, (_, i) => (i % width === 0 ? i / width : 0)),
    );
    const wanted = ir.op(`${shape}.splat`, wide ? ir.op('i64.extend_i32_u', number) : number);
    const mask = ir.op(`${shape}.eq`, numbers, wanted);
    write_vector(ir, ir.op('v128.bitselect', value, vector(ir, 0), mask));
  };
}

/** INSERTPS: an element of the source (the only one, from memory) into any place, then zeros by a mask. */
function insert_ps(ir: Ir): void {
  const from_memory = ir.operand(1).kind === 'mem';
  const source = vector(ir, 1);
  const a = vector(ir, 0);
  const number = from_memory ? ir.i32(0) : immediate_field(ir, 6, 2);
  const value = swizzle(ir, source, [number, number, number, number], 4);
  const place = ir.op('i32x4.splat', immediate_field(ir, 4, 2));
  const mask = ir.op('i32x4.eq', ir.v128(0x0000_0003_0000_0002_0000_0001_0000_0000n), place);
  const inserted = ir.op('v128.bitselect', value, a, mask);
  write_vector(ir, ir.op('v128.andnot', inserted, immediate_mask(ir, 'i32x4')));
}

function mask_bits(name: string): Semantics {
  return (ir) => {
    const bits = ir.op('i64.extend_i32_u', ir.op(name, vector(ir, 1)));
    ir.write(0, is_mmx(ir) ? ir.zero_extend(bits, 1) : bits);
  };
}

function ptest(ir: Ir): void {
  const b = vector(ir, 1);
  const a = vector(ir, 0);
  const none = (value: Value): Value => ir.op('i32.eqz', ir.op('v128.any_true', value));
  const zero = ir.i32(0);
  const ZF = none(ir.op('v128.and', a, b));
  const CF = none(ir.op('v128.andnot', b, a));
  set_flags(ir, { CF, PF: zero, AF: zero, ZF, SF: zero, OF: zero });
}

/** MASKMOVQ, MASKMOVDQU: stores the bytes whose mask byte has its top bit set, at rdi. */
function masked_store(ir: Ir): void {
  const size = is_mmx(ir) ? 8 : 16;
  const data = vector(ir, 0);
  const all = ir.op('i8x16.bitmask', vector(ir, 1));
  const mask = size === 8 ? ir.op('i32.and', all, ir.i32(0xff)) : all;
  const address = ir.op('i64.add', ir.gpr(RDI, ir.form.address_size), ir.segment_base());
  const at = (i: number): Value => ir.op('i64.add', address, ir.i64(i));
  // Bytes that are not stored can fault too.
  ir.probe_write(address, size);
  for (let i = 0; i < size; i++) {
    ir.if(ir.op('i32.and', mask, ir.i32(1 << i)), () => {
      const byte = ir.op('i64.extend_i32_u', ir.lane_op('i8x16.extract_lane_u', [i], data));
      ir.store('i64.store8', 1, at(i), byte);
    });
  }
}

const UNPACK_LOW_PS = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const UNPACK_HIGH_PS = UNPACK_LOW_PS.map((at) => at + 8);
const UNPACK_LOW_PD = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const UNPACK_HIGH_PD = UNPACK_LOW_PD.map((at) => at + 8);

const MOVES: Family = Object.fromEntries(
  (
    'movups movupd movaps movapd movntps movntpd movdqa movdqu movntdq movntdqa lddqu movd movq movss movsd ' +
    'movlps movlpd movntq movq2dq movdq2q'
  )
    .split(' ')
    .map((name) => [name, move]),
);

const SHUFFLES: Family = {
  pshufd(ir) {
    write_vector(ir, swizzle(ir, vector(ir, 1), two_bit_fields(ir), 4));
  },
  pshufw(ir) {
    write_vector(ir, swizzle(ir, vector(ir, 1), two_bit_fields(ir), 2));
  },
  pshuflw: shuffle_words(0),
  pshufhw: shuffle_words(4),
  shufps: shuffle_ps,
  shufpd: shuffle_pd,
  unpcklps: two_operand_shuffle(UNPACK_LOW_PS),
  unpckhps: two_operand_shuffle(UNPACK_HIGH_PS),
  unpcklpd: two_operand_shuffle(UNPACK_LOW_PD),
  unpckhpd: two_operand_shuffle(UNPACK_HIGH_PD),
  movsldup: fixed_shuffle([0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
  movshdup: fixed_shuffle([4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
  movddup: fixed_shuffle([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]),
  movhlps(ir) {
    ir.write_lane(0, 'i64.store', 0, ir.read_lane(1, 'i64.load', 8));
  },
  movlhps(ir) {
    ir.write_lane(0, 'i64.store', 8, ir.read_lane(1, 'i64.load', 0));
  },
  movhps: move_high,
  movhpd: move_high,
};

const BLENDS: Family = {
  pblendvb: blend(sign_mask('i8x16', 8)),
  blendvps: blend(sign_mask('i32x4', 32)),
  blendvpd: blend(sign_mask('i64x2', 64)),
  blendps: blend((ir) => immediate_mask(ir, 'i32x4')),
  blendpd: blend((ir) => immediate_mask(ir, 'i64x2')),
  pblendw: blend((ir) => immediate_mask(ir, 'i16x8')),
  pextrb: extract(1),
  pextrw: extract(2),
  pextrd: extract(4),
  pextrq: extract(8),
  extractps: extract(4),
  pinsrb: insert('i8x16', 1),
  pinsrw: insert('i16x8', 2),
  pinsrd: insert('i32x4', 4),
  pinsrq: insert('i64x2', 8),
  insertps: insert_ps,
};

export const VECTOR_MOVE: Family = {
  ...mmx_framed({
    ...MOVES,
    ...SHUFFLES,
    ...BLENDS,
    andps: logic('v128.and'),
    andpd: logic('v128.and'),
    andnps: logic('v128.andnot', true),
    andnpd: logic('v128.andnot', true),
    orps: logic('v128.or'),
    orpd: logic('v128.or'),
    xorps: logic('v128.xor'),
    xorpd: logic('v128.xor'),
    pmovmskb: mask_bits('i8x16.bitmask'),
    movmskps: mask_bits('i32x4.bitmask'),
    movmskpd: mask_bits('i64x2.bitmask'),
    ptest,
    maskmovq: masked_store,
    maskmovdqu: masked_store,
  }),
  emms(ir) {
    check_pending(ir);
    set_mmx_state(ir, 0);
  },
  ldmxcsr(ir) {
    const value = ir.op('i32.wrap_i64', ir.read(0));
    ir.raise_if(ir.op('i32.shr_u', value, ir.i32(16)), 13);
    ir.cpu_store('i32.store', CpuState.mxcsr.offset, value);
  },
  stmxcsr(ir) {
    ir.write(0, ir.op('i64.extend_i32_u', ir.cpu_load('i32.load', CpuState.mxcsr.offset)));
  },
};
