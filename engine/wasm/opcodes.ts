/**
 * The WebAssembly instructions that take values and give a value, by their name in the text format, with
 * opcode and types; and the loads, stores and atomics. Source: WebAssembly core specification 2.0,
 * section 5.4 (binary instructions), and the threads proposal.
 *
 * A signature is written `parameters:result`, one letter a value: i i32, l i64, f f32, d f64, v v128.
 */
import { assert } from '../base/assert.ts';

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

export interface WasmOp {
  readonly name: string;
  /** 0 for the single-byte opcodes, else the prefix byte 0xfc, 0xfd or 0xfe. */
  readonly prefix: number;
  readonly code: number;
  readonly params: readonly ValueType[];
  readonly result: ValueType | null;
  /** What follows the opcode: nothing, a lane index, 16 lane indices, or alignment and offset. */
  readonly immediate: 'none' | 'lane' | 'lanes' | 'memory';
  /** Natural alignment of a memory access as a power of two. */
  readonly align: number;
}

const LETTERS: Readonly<Record<string, ValueType>> = { i: 'i32', l: 'i64', f: 'f32', d: 'f64', v: 'v128' };
const OPS = new Map<string, WasmOp>();

function types_of(letters: string): ValueType[] {
  return [...letters].map((letter) => LETTERS[letter] as ValueType);
}

function define(prefix: number, code: number, name: string, signature: string, more: Partial<WasmOp> = {}): void {
  const [params, result] = signature.split(':') as [string, string];
  assert(!OPS.has(name), `wasm op ${name} defined twice`);
  const types = { params: types_of(params), result: types_of(result)[0] ?? null };
  OPS.set(name, { name, prefix, code, ...types, immediate: 'none', align: 0, ...more });
}

/** Defines consecutive opcodes from `code`; '-' skips one. Names are completed with `stem.`. */
function run(prefix: number, code: number, stem: string, signature: string, names: string, more?: Partial<WasmOp>) {
  for (const name of names.trim().split(/\s+/)) {
    if (name !== '-') define(prefix, code, stem === '' ? name : `${stem}.${name}`, signature, more);
    code++;
  }
}

const COMPARE_INTEGER = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u';
const COMPARE_FLOAT = 'eq ne lt gt le ge';
const INTEGER = 'add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr';
const FLOAT_UNARY = 'abs neg ceil floor trunc nearest sqrt';
const FLOAT_BINARY = 'add sub mul div min max copysign';

function define_scalar(): void {
  run(0, 0x45, 'i32', 'i:i', 'eqz');
  run(0, 0x46, 'i32', 'ii:i', COMPARE_INTEGER);
  run(0, 0x50, 'i64', 'l:i', 'eqz');
  run(0, 0x51, 'i64', 'll:i', COMPARE_INTEGER);
  run(0, 0x5b, 'f32', 'ff:i', COMPARE_FLOAT);
  run(0, 0x61, 'f64', 'dd:i', COMPARE_FLOAT);
  run(0, 0x67, 'i32', 'i:i', 'clz ctz popcnt');
  run(0, 0x6a, 'i32', 'ii:i', INTEGER);
  run(0, 0x79, 'i64', 'l:l', 'clz ctz popcnt');
  run(0, 0x7c, 'i64', 'll:l', INTEGER);
  run(0, 0x8b, 'f32', 'f:f', FLOAT_UNARY);
  run(0, 0x92, 'f32', 'ff:f', FLOAT_BINARY);
  run(0, 0x99, 'f64', 'd:d', FLOAT_UNARY);
  run(0, 0xa0, 'f64', 'dd:d', FLOAT_BINARY);
  run(0, 0xa7, 'i32', 'l:i', 'wrap_i64');
  run(0, 0xa8, 'i32', 'f:i', 'trunc_f32_s trunc_f32_u');
  run(0, 0xaa, 'i32', 'd:i', 'trunc_f64_s trunc_f64_u');
  run(0, 0xac, 'i64', 'i:l', 'extend_i32_s extend_i32_u');
  run(0, 0xae, 'i64', 'f:l', 'trunc_f32_s trunc_f32_u');
  run(0, 0xb0, 'i64', 'd:l', 'trunc_f64_s trunc_f64_u');
  run(0, 0xb2, 'f32', 'i:f', 'convert_i32_s convert_i32_u');
  run(0, 0xb4, 'f32', 'l:f', 'convert_i64_s convert_i64_u');
  run(0, 0xb6, 'f32', 'd:f', 'demote_f64');
  run(0, 0xb7, 'f64', 'i:d', 'convert_i32_s convert_i32_u');
  run(0, 0xb9, 'f64', 'l:d', 'convert_i64_s convert_i64_u');
  run(0, 0xbb, 'f64', 'f:d', 'promote_f32');
  define(0, 0xbc, 'i32.reinterpret_f32', 'f:i');
  define(0, 0xbd, 'i64.reinterpret_f64', 'd:l');
  define(0, 0xbe, 'f32.reinterpret_i32', 'i:f');
  define(0, 0xbf, 'f64.reinterpret_i64', 'l:d');
  run(0, 0xc0, 'i32', 'i:i', 'extend8_s extend16_s');
  run(0, 0xc2, 'i64', 'l:l', 'extend8_s extend16_s extend32_s');
  run(0xfc, 0, 'i32', 'f:i', 'trunc_sat_f32_s trunc_sat_f32_u');
  run(0xfc, 2, 'i32', 'd:i', 'trunc_sat_f64_s trunc_sat_f64_u');
  run(0xfc, 4, 'i64', 'f:l', 'trunc_sat_f32_s trunc_sat_f32_u');
  run(0xfc, 6, 'i64', 'd:l', 'trunc_sat_f64_s trunc_sat_f64_u');
}

function define_vector_lanes(): void {
  define(0xfd, 13, 'i8x16.shuffle', 'vv:v', { immediate: 'lanes' });
  define(0xfd, 14, 'i8x16.swizzle', 'vv:v');
  run(0xfd, 15, '', 'i:v', 'i8x16.splat i16x8.splat i32x4.splat');
  define(0xfd, 18, 'i64x2.splat', 'l:v');
  define(0xfd, 19, 'f32x4.splat', 'f:v');
  define(0xfd, 20, 'f64x2.splat', 'd:v');
  const lane = { immediate: 'lane' } as const;
  run(0xfd, 21, '', 'v:i', 'i8x16.extract_lane_s i8x16.extract_lane_u', lane);
  define(0xfd, 23, 'i8x16.replace_lane', 'vi:v', lane);
  run(0xfd, 24, '', 'v:i', 'i16x8.extract_lane_s i16x8.extract_lane_u', lane);
  define(0xfd, 26, 'i16x8.replace_lane', 'vi:v', lane);
  define(0xfd, 27, 'i32x4.extract_lane', 'v:i', lane);
  define(0xfd, 28, 'i32x4.replace_lane', 'vi:v', lane);
  define(0xfd, 29, 'i64x2.extract_lane', 'v:l', lane);
  define(0xfd, 30, 'i64x2.replace_lane', 'vl:v', lane);
  define(0xfd, 31, 'f32x4.extract_lane', 'v:f', lane);
  define(0xfd, 32, 'f32x4.replace_lane', 'vf:v', lane);
  define(0xfd, 33, 'f64x2.extract_lane', 'v:d', lane);
  define(0xfd, 34, 'f64x2.replace_lane', 'vd:v', lane);
  run(0xfd, 35, 'i8x16', 'vv:v', COMPARE_INTEGER);
  run(0xfd, 45, 'i16x8', 'vv:v', COMPARE_INTEGER);
  run(0xfd, 55, 'i32x4', 'vv:v', COMPARE_INTEGER);
  run(0xfd, 65, 'f32x4', 'vv:v', COMPARE_FLOAT);
  run(0xfd, 71, 'f64x2', 'vv:v', COMPARE_FLOAT);
  define(0xfd, 77, 'v128.not', 'v:v');
  run(0xfd, 78, 'v128', 'vv:v', 'and andnot or xor');
  define(0xfd, 82, 'v128.bitselect', 'vvv:v');
  define(0xfd, 83, 'v128.any_true', 'v:i');
  run(0xfd, 94, '', 'v:v', 'f32x4.demote_f64x2_zero f64x2.promote_low_f32x4');
}

function define_vector_narrow(): void {
  run(0xfd, 96, 'i8x16', 'v:v', 'abs neg popcnt');
  run(0xfd, 99, 'i8x16', 'v:i', 'all_true bitmask');
  run(0xfd, 101, 'i8x16', 'vv:v', 'narrow_i16x8_s narrow_i16x8_u');
  run(0xfd, 103, 'f32x4', 'v:v', 'ceil floor trunc nearest');
  run(0xfd, 107, 'i8x16', 'vi:v', 'shl shr_s shr_u');
  run(0xfd, 110, 'i8x16', 'vv:v', 'add add_sat_s add_sat_u sub sub_sat_s sub_sat_u');
  run(0xfd, 116, 'f64x2', 'v:v', 'ceil floor');
  run(0xfd, 118, 'i8x16', 'vv:v', 'min_s min_u max_s max_u');
  define(0xfd, 122, 'f64x2.trunc', 'v:v');
  define(0xfd, 123, 'i8x16.avgr_u', 'vv:v');
  run(0xfd, 124, 'i16x8', 'v:v', 'extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u');
  run(0xfd, 126, 'i32x4', 'v:v', 'extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u');
  run(0xfd, 128, 'i16x8', 'v:v', 'abs neg');
  define(0xfd, 130, 'i16x8.q15mulr_sat_s', 'vv:v');
  run(0xfd, 131, 'i16x8', 'v:i', 'all_true bitmask');
  run(0xfd, 133, 'i16x8', 'vv:v', 'narrow_i32x4_s narrow_i32x4_u');
  run(0xfd, 135, 'i16x8', 'v:v', 'extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u');
  run(0xfd, 139, 'i16x8', 'vi:v', 'shl shr_s shr_u');
  run(0xfd, 142, 'i16x8', 'vv:v', 'add add_sat_s add_sat_u sub sub_sat_s sub_sat_u');
  define(0xfd, 148, 'f64x2.nearest', 'v:v');
  run(0xfd, 149, 'i16x8', 'vv:v', 'mul min_s min_u max_s max_u - avgr_u');
  run(0xfd, 156, 'i16x8', 'vv:v', 'extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u');
}

function define_vector_wide(): void {
  run(0xfd, 160, 'i32x4', 'v:v', 'abs neg');
  run(0xfd, 163, 'i32x4', 'v:i', 'all_true bitmask');
  run(0xfd, 167, 'i32x4', 'v:v', 'extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u');
  run(0xfd, 171, 'i32x4', 'vi:v', 'shl shr_s shr_u');
  run(0xfd, 174, 'i32x4', 'vv:v', 'add - - sub - - - mul min_s min_u max_s max_u dot_i16x8_s');
  run(0xfd, 188, 'i32x4', 'vv:v', 'extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u');
  run(0xfd, 192, 'i64x2', 'v:v', 'abs neg');
  run(0xfd, 195, 'i64x2', 'v:i', 'all_true bitmask');
  run(0xfd, 199, 'i64x2', 'v:v', 'extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u');
  run(0xfd, 203, 'i64x2', 'vi:v', 'shl shr_s shr_u');
  run(0xfd, 206, 'i64x2', 'vv:v', 'add - - sub - - - mul eq ne lt_s gt_s le_s ge_s');
  run(0xfd, 220, 'i64x2', 'vv:v', 'extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u');
  for (const [base, stem] of [
    [224, 'f32x4'],
    [236, 'f64x2'],
  ] as const) {
    run(0xfd, base, stem, 'v:v', 'abs neg - sqrt');
    run(0xfd, base + 4, stem, 'vv:v', 'add sub mul div min max pmin pmax');
  }
  run(0xfd, 248, 'i32x4', 'v:v', 'trunc_sat_f32x4_s trunc_sat_f32x4_u');
  run(0xfd, 250, 'f32x4', 'v:v', 'convert_i32x4_s convert_i32x4_u');
  run(0xfd, 252, 'i32x4', 'v:v', 'trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero');
  run(0xfd, 254, 'f64x2', 'v:v', 'convert_low_i32x4_s convert_low_i32x4_u');
}

function memory(prefix: number, code: number, name: string, signature: string, align: number): void {
  define(prefix, code, name, signature, { immediate: 'memory', align });
}

function define_memory(): void {
  const loads = 'i32.load:i2 i64.load:l3 f32.load:f2 f64.load:d3 i32.load8_s:i0 i32.load8_u:i0 i32.load16_s:i1';
  const more = 'i32.load16_u:i1 i64.load8_s:l0 i64.load8_u:l0 i64.load16_s:l1 i64.load16_u:l1 i64.load32_s:l2';
  let code = 0x28;
  for (const spec of `${loads} ${more} i64.load32_u:l2`.split(' ')) {
    const [name, kind] = spec.split(':') as [string, string];
    memory(0, code++, name, `i:${kind[0]}`, Number(kind[1]));
  }
  const stores = 'i32.store:i2 i64.store:l3 f32.store:f2 f64.store:d3 i32.store8:i0 i32.store16:i1';
  for (const spec of `${stores} i64.store8:l0 i64.store16:l1 i64.store32:l2`.split(' ')) {
    const [name, kind] = spec.split(':') as [string, string];
    memory(0, code++, name, `i${kind[0]}:`, Number(kind[1]));
  }
  memory(0xfd, 0, 'v128.load', 'i:v', 4);
  memory(0xfd, 11, 'v128.store', 'iv:', 4);
  memory(0xfd, 92, 'v128.load32_zero', 'i:v', 2);
  memory(0xfd, 93, 'v128.load64_zero', 'i:v', 3);
  run(0xfc, 10, 'memory', 'iii:', 'copy fill');
}

function define_atomic(): void {
  memory(0xfe, 0, 'memory.atomic.notify', 'ii:i', 2);
  memory(0xfe, 1, 'memory.atomic.wait32', 'iil:i', 2);
  // The seven widths of each atomic operation, in opcode order.
  const widths = [
    ['i32', '', 'i', 2],
    ['i64', '', 'l', 3],
    ['i32', '8', 'i', 0],
    ['i32', '16', 'i', 1],
    ['i64', '8', 'l', 0],
    ['i64', '16', 'l', 1],
    ['i64', '32', 'l', 2],
  ] as const;
  widths.forEach(([type, width, letter, align], i) => {
    const unsigned = width === '' ? '' : '_u';
    memory(0xfe, 0x10 + i, `${type}.atomic.load${width}${unsigned}`, `i:${letter}`, align);
    memory(0xfe, 0x17 + i, `${type}.atomic.store${width}`, `i${letter}:`, align);
    ['add', 'sub', 'and', 'or', 'xor', 'xchg', 'cmpxchg'].forEach((operation, n) => {
      const name = `${type}.atomic.rmw${width}.${operation}${unsigned}`;
      const params = operation === 'cmpxchg' ? `i${letter}${letter}` : `i${letter}`;
      memory(0xfe, 0x1e + 7 * n + i, name, `${params}:${letter}`, align);
    });
  });
}

define_scalar();
define_vector_lanes();
define_vector_narrow();
define_vector_wide();
define_memory();
define_atomic();

/** The operation of that name; an unknown name is a broken invariant of the generator. */
export function wasm_op(name: string): WasmOp {
  const op = OPS.get(name);
  assert(op !== undefined, `no wasm operation is called ${name}`);
  return op;
}

/** All of them, for tests. */
export function all_wasm_ops(): readonly WasmOp[] {
  return [...OPS.values()];
}
