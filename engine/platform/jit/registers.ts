/**
 * Guest registers in locals: reads and writes of parts of them, named by the load or store that would do it in memory.
 */
import { assert } from '../../base/assert.ts';
import type { Frame } from './frame.ts';

const MASKS: Readonly<Record<string, bigint>> = {
  'i64.store8': 0xffn,
  'i64.store16': 0xffffn,
  'i64.store32': 0xffff_ffffn,
};

/** Pushes part of a general register as the load `op` at byte offset `byte` of it gives it. */
export function push_gpr(frame: Frame, reg: number, op: string, byte: number): void {
  const { c } = frame;
  c.get(frame.gpr(reg));
  if (byte > 0) c.i64(byte * 8).op('i64.shr_u');
  switch (op) {
    case 'i64.load':
      return;
    case 'i64.load32_u':
      if (byte > 0 || !frame.narrow.has(reg)) c.op('i32.wrap_i64').op('i64.extend_i32_u');
      return;
    case 'i64.load16_u':
      c.i64(0xffff).op('i64.and');
      return;
    case 'i64.load8_u':
      c.i64(0xff).op('i64.and');
      return;
    case 'i64.load32_s':
      c.op('i64.extend32_s');
      return;
    case 'i64.load16_s':
      c.op('i64.extend16_s');
      return;
    case 'i64.load8_s':
      c.op('i64.extend8_s');
      return;
    case 'i32.load':
      c.op('i32.wrap_i64');
      return;
    case 'i32.load8_u':
      c.op('i32.wrap_i64').i32(0xff).op('i32.and');
      return;
    case 'i32.load16_u':
      c.op('i32.wrap_i64').i32(0xffff).op('i32.and');
      return;
    default:
      assert(false, `a general register is not read by ${op}`);
  }
}

/** Writes part of a general register; `value` pushes what to write. */
export function store_gpr(
  frame: Frame,
  reg: number,
  op: string,
  byte: number,
  value: () => void,
  nested: boolean,
): void {
  const { c } = frame;
  const local = frame.gpr(reg);
  frame.wrote_gpr(reg);
  if (op === 'i64.store') {
    value();
    c.set(local);
    frame.narrow.delete(reg);
    return;
  }
  const mask = op === 'i32.store8' ? 0xffn : MASKS[op];
  assert(mask !== undefined, `a general register is not written by ${op}`);
  c.get(local)
    .i64(~(mask << BigInt(byte * 8)))
    .op('i64.and');
  value();
  if (op === 'i32.store8') c.op('i64.extend_i32_u');
  c.i64(mask).op('i64.and');
  if (byte > 0) c.i64(byte * 8).op('i64.shl');
  c.op('i64.or').set(local);
  // A part of a narrow register leaves it narrow.
  if (nested && mask > 0xffff_ffffn) frame.narrow.delete(reg);
}

/** Pushes part of an xmm register as the load `op` at byte offset `byte` of it gives it. */
export function push_xmm(frame: Frame, reg: number, op: string, byte: number): void {
  const { c } = frame;
  const get = () => c.get(frame.xmm(reg));
  switch (op) {
    case 'v128.load':
      get();
      return;
    case 'v128.load64_zero':
      c.v128(0n);
      get()
        .lanes('i64x2.extract_lane', [byte >> 3])
        .lanes('i64x2.replace_lane', [0]);
      return;
    case 'v128.load32_zero':
      c.v128(0n);
      get()
        .lanes('i32x4.extract_lane', [byte >> 2])
        .lanes('i32x4.replace_lane', [0]);
      return;
    case 'i64.load':
      get().lanes('i64x2.extract_lane', [byte >> 3]);
      return;
    case 'f64.load':
      get().lanes('f64x2.extract_lane', [byte >> 3]);
      return;
    case 'f32.load':
      get().lanes('f32x4.extract_lane', [byte >> 2]);
      return;
    case 'i32.load':
      get().lanes('i32x4.extract_lane', [byte >> 2]);
      return;
    case 'i64.load32_u':
    case 'i64.load32_s':
      get()
        .lanes('i32x4.extract_lane', [byte >> 2])
        .op(op.endsWith('u') ? 'i64.extend_i32_u' : 'i64.extend_i32_s');
      return;
    case 'i64.load16_u':
      get()
        .lanes('i16x8.extract_lane_u', [byte >> 1])
        .op('i64.extend_i32_u');
      return;
    case 'i64.load8_u':
      get().lanes('i8x16.extract_lane_u', [byte]).op('i64.extend_i32_u');
      return;
    default:
      assert(false, `an xmm register is not read by ${op}`);
  }
}

/** Writes part of an xmm register; `value` pushes what to write. */
export function store_xmm(frame: Frame, reg: number, op: string, byte: number, value: () => void): void {
  const { c } = frame;
  const local = frame.xmm(reg);
  frame.wrote_xmm(reg);
  const lanes: Readonly<Record<string, readonly [string, number]>> = {
    'i64.store': ['i64x2.replace_lane', byte >> 3],
    'f64.store': ['f64x2.replace_lane', byte >> 3],
    'f32.store': ['f32x4.replace_lane', byte >> 2],
    'i64.store32': ['i32x4.replace_lane', byte >> 2],
    'i64.store16': ['i16x8.replace_lane', byte >> 1],
    'i64.store8': ['i8x16.replace_lane', byte],
  };
  if (op === 'v128.store') {
    value();
    c.set(local);
    return;
  }
  const lane = lanes[op];
  assert(lane !== undefined, `an xmm register is not written by ${op}`);
  c.get(local);
  value();
  if (op.startsWith('i64.store') && op !== 'i64.store') c.op('i32.wrap_i64');
  c.lanes(lane[0], [lane[1]]).set(local);
}
