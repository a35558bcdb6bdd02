/**
 * What the vector semantics share: reading and writing mm and xmm operands as v128, runtime immediates as
 * vectors, and the frame around an MMX instruction.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import { ATTR_MMX } from '../instruction.ts';
import { type Family, type Ir, type Semantics, type Value, VECTOR_MF } from '../ir.ts';

const FSW_ES = 0x80;
const FSW_TOP = 0x3800;

/** Whether operand `index` is an mm register or MMX memory: 64 bits wide. */
export function is_mmx(ir: Ir): boolean {
  return ir.form.operands.some((operand) => operand.cls === 'mm');
}

/** An operand as a v128; what is narrower has zeros above. */
export function vector(ir: Ir, index: number): Value {
  return ir.read_as(index, 'v128');
}

/** The whole xmm register of operand `index`, whatever size the row gives it; memory as `vector` reads it. */
export function whole(ir: Ir, index: number): Value {
  return ir.operand(index).kind === 'reg' ? ir.read_lane(index, 'v128.load', 0) : vector(ir, index);
}

/** The low 64 bits. */
export function low_64(ir: Ir, value: Value): Value {
  return ir.lane_op('i64x2.extract_lane', [0], value);
}

/** Writes a vector result to operand 0: all of an xmm register, the low half to an mm register. */
export function write_vector(ir: Ir, value: Value): void {
  if (ir.operand(0).cls === 'mm') write_mm(ir, low_64(ir, value));
  else ir.write(0, value);
}

/** Writes 64 bits to operand 0, an mm register, and the ones above them that x87 sees. */
export function write_mm(ir: Ir, value: Value): void {
  ir.write(0, value);
  if (ir.operand(0).kind === 'reg') ir.write_lane(0, 'i32.store16', 8, ir.i32(0xffff));
}

/** Raises a pending x87 exception. */
export function check_pending(ir: Ir): void {
  const fsw = ir.cpu_load('i32.load', CpuState.fsw.offset);
  ir.raise_if(ir.op('i32.and', fsw, ir.i32(FSW_ES)), VECTOR_MF);
}

function clear_top(ir: Ir): void {
  const fsw = ir.cpu_load('i32.load', CpuState.fsw.offset);
  ir.cpu_store('i32.store', CpuState.fsw.offset, ir.op('i32.and', fsw, ir.i32(~FSW_TOP)));
}

/** TOP becomes 0 and every x87 register gets the tag `tags` (0xff valid, 0 empty). */
export function set_mmx_state(ir: Ir, tags: number): void {
  clear_top(ir);
  ir.cpu_store('i32.store', CpuState.ftag.offset, ir.i32(tags));
}

/** Whether the form works on mm registers: CVTPI2PS and CVTPI2PD from memory do not. */
function touches_mmx(ir: Ir): boolean {
  if ((ir.form.row.attributes & ATTR_MMX) === 0) return false;
  return ir.form.operands.some((operand) => operand.cls === 'mm' && operand.kind === 'reg');
}

/**
 * MMX: pending x87 exceptions first; afterwards TOP is 0 and every register valid. A store that
 * faults has cleared TOP already, as on the hardware.
 */
export function in_mmx_frame(semantics: Semantics): Semantics {
  return (ir) => {
    if (!touches_mmx(ir)) {
      semantics(ir);
      return;
    }
    check_pending(ir);
    if (ir.form.row.semantics === 'maskmovq') set_mmx_state(ir, 0xff);
    else if (ir.operand(0).kind === 'mem') clear_top(ir);
    semantics(ir);
    set_mmx_state(ir, 0xff);
  };
}

/** The family with every member in the MMX frame. */
export function mmx_framed(family: Family): Family {
  return Object.fromEntries(Object.entries(family).map(([name, semantics]) => [name, in_mmx_frame(semantics)]));
}

/** A v128 constant from 16 bytes, lowest first. */
export function bytes_constant(ir: Ir, bytes: readonly number[]): Value {
  let bits = 0n;
  for (let i = 15; i >= 0; i--) bits = (bits << 8n) | BigInt((bytes[i] as number) & 0xff);
  return ir.v128(bits);
}

/** 0, 1, ... 15. */
export function byte_indices(ir: Ir): Value {
  return bytes_constant(
    ir,
    Array.from({ length: 16 }, (_, i) => i),
  );
}

/** The immediate's low byte as i32. */
export function immediate(ir: Ir): Value {
  return ir.op('i32.and', ir.op('i32.wrap_i64', ir.imm()), ir.i32(0xff));
}

/** The smaller of an unsigned i32 and a constant. */
export function at_most(ir: Ir, value: Value, limit: number): Value {
  const bound = ir.i32(limit);
  return ir.select(ir.op('i32.lt_u', value, bound), value, bound);
}

/** Lanes of all ones where bit `i` of the immediate is set, in lanes of 4, 8 or 2 bytes. */
export function immediate_mask(ir: Ir, shape: 'i16x8' | 'i32x4' | 'i64x2'): Value {
  const lanes = shape === 'i16x8' ? 8 : shape === 'i32x4' ? 4 : 2;
  const width = 16 / lanes;
  let bits = 0n;
  for (let i = 0; i < lanes; i++) bits |= 1n << BigInt(i * width * 8 + i);
  const selectors = ir.v128(bits);
  const imm = immediate(ir);
  const splat = shape === 'i64x2' ? ir.op('i64x2.splat', ir.op('i64.extend_i32_u', imm)) : ir.op(`${shape}.splat`, imm);
  return ir.op(`${shape}.eq`, ir.op('v128.and', splat, selectors), selectors);
}

/**
 * Byte indices for a swizzle that picks, for each lane of `width` bytes, the lane whose number is in `fields`:
 * two-bit (or one-bit) numbers, lowest first, already extracted as i32.
 */
export function lane_indices(ir: Ir, fields: readonly Value[], width: 2 | 4 | 8): Value {
  // Lane n's bytes are n * width + 0 ... width - 1.
  if (width === 8) {
    let out = ir.v128(0n);
    fields.forEach((field, i) => {
      const spread = ir.op('i64.mul', ir.op('i64.extend_i32_u', field), ir.i64(0x0808_0808_0808_0808n));
      out = ir.lane_op('i64x2.replace_lane', [i], out, ir.op('i64.add', spread, ir.i64(0x0706_0504_0302_0100n)));
    });
    return out;
  }
  const shape = width === 4 ? 'i32x4' : 'i16x8';
  const step = width === 4 ? 0x0404_0404 : 0x0202;
  const first = width === 4 ? 0x0302_0100 : 0x0100;
  let out = ir.v128(0n);
  fields.forEach((field, i) => {
    const bytes = ir.op('i32.add', ir.op('i32.mul', field, ir.i32(step)), ir.i32(first));
    out = ir.lane_op(`${shape}.replace_lane`, [i], out, bytes);
  });
  return out;
}

/** Bits `at` to `at + bits - 1` of the immediate. */
export function immediate_field(ir: Ir, at: number, bits: number): Value {
  const shifted = at === 0 ? immediate(ir) : ir.op('i32.shr_u', immediate(ir), ir.i32(at));
  return ir.op('i32.and', shifted, ir.i32((1 << bits) - 1));
}

/** value's bytes `shift` higher ones moved down: bytes from `from + shift` on, zeros behind the end. */
export function bytes_from(ir: Ir, value: Value, shift: Value): Value {
  return ir.op('i8x16.swizzle', value, ir.op('i8x16.add', byte_indices(ir), ir.op('i8x16.splat', shift)));
}
