/**
 * Shifts and rotates (Intel manual, volume 2). Counts are taken modulo 32, or 64 for 64-bit operands; a count of
 * zero changes no flag. Where OF is undefined (counts above one) the rule for a count of one is applied.
 */
import { FLAGS_SAR, FLAGS_SHL, FLAGS_SHR, flag, flags_result, flags_shift, set_carry_overflow } from '../flags.ts';
import type { Family, Ir, Value } from '../ir.ts';

function masked_count(ir: Ir, operand: number): Value {
  return ir.op('i64.and', ir.read(operand), ir.i64(ir.size === 8 ? 63 : 31));
}

/** Bit `n` (an i64) of a value, as i32 0 or 1. */
function bit(ir: Ir, value: Value, n: Value): Value {
  return ir.op('i32.and', ir.op('i32.wrap_i64', ir.op('i64.shr_u', value, n)), ir.i32(1));
}

function top_bit(ir: Ir, value: Value): Value {
  return bit(ir, value, ir.i64(ir.size * 8 - 1));
}

function not_zero(ir: Ir, count: Value): Value {
  return ir.op('i64.ne', count, ir.i64(0));
}

/** Bits of the operand minus `count`. */
function complement(ir: Ir, count: Value): Value {
  return ir.op('i64.sub', ir.i64(ir.size * 8), count);
}

function minus_one(ir: Ir, count: Value): Value {
  return ir.op('i64.sub', count, ir.i64(1));
}

/** Replicates an operand narrower than 32 bits over 64, so that a 64-bit rotate rotates it. */
function replicated(ir: Ir, value: Value): Value {
  if (ir.size === 1) return ir.op('i64.mul', value, ir.i64(0x0101_0101_0101_0101n));
  if (ir.size === 2) return ir.op('i64.mul', value, ir.i64(0x0001_0001_0001_0001n));
  return value;
}

function rotate(direction: 'rotl' | 'rotr'): (ir: Ir) => void {
  return (ir) => {
    const count = masked_count(ir, 1);
    const a = ir.read(0);
    const narrow = (): Value => {
      const words = [ir.op('i32.wrap_i64', a), ir.op('i32.wrap_i64', count)] as const;
      return ir.op('i64.extend_i32_u', ir.op(`i32.${direction}`, ...words));
    };
    const result = ir.size === 4 ? narrow() : ir.op(`i64.${direction}`, replicated(ir, a), count);
    ir.write(0, result);
    ir.if(not_zero(ir, count), () => {
      const top = top_bit(ir, result);
      if (direction === 'rotl') {
        const cf = bit(ir, result, ir.i64(0));
        set_carry_overflow(ir, cf, ir.op('i32.xor', top, cf));
      } else {
        set_carry_overflow(ir, top, ir.op('i32.xor', top, bit(ir, result, ir.i64(ir.size * 8 - 2))));
      }
    });
  };
}

/** Count of a rotate through carry: modulo 9 or 17 for bytes and words. */
function carry_count(ir: Ir): Value {
  const count = masked_count(ir, 1);
  return ir.size < 4 ? ir.op('i64.rem_u', count, ir.i64(ir.size * 8 + 1)) : count;
}

function or3(ir: Ir, a: Value, b: Value, c: Value): Value {
  return ir.op('i64.or', ir.op('i64.or', a, b), c);
}

function rcl(ir: Ir): void {
  const count = carry_count(ir);
  const carry = ir.op('i64.extend_i32_u', flag(ir, 'CF'));
  const a = ir.read(0);
  const carried = ir.op('i64.shl', carry, minus_one(ir, count));
  const low = ir.op('i64.shr_u', ir.op('i64.shr_u', a, ir.i64(1)), complement(ir, count));
  const rotated = or3(ir, ir.op('i64.shl', a, count), carried, low);
  const moved = not_zero(ir, count);
  const result = ir.select(moved, rotated, a);
  ir.write(0, result);
  ir.if(moved, () => {
    const cf = bit(ir, a, complement(ir, count));
    set_carry_overflow(ir, cf, ir.op('i32.xor', top_bit(ir, result), cf));
  });
}

function rcr(ir: Ir): void {
  const count = carry_count(ir);
  const carry = ir.op('i64.extend_i32_u', flag(ir, 'CF'));
  const a = ir.read(0);
  const carried = ir.op('i64.shl', carry, complement(ir, count));
  const high = ir.op('i64.shl', ir.op('i64.shl', a, ir.i64(1)), complement(ir, count));
  const rotated = or3(ir, ir.op('i64.shr_u', a, count), carried, high);
  const moved = not_zero(ir, count);
  const result = ir.select(moved, rotated, a);
  ir.write(0, result);
  ir.if(moved, () => {
    const cf = bit(ir, a, minus_one(ir, count));
    const second = bit(ir, result, ir.i64(ir.size * 8 - 2));
    set_carry_overflow(ir, cf, ir.op('i32.xor', top_bit(ir, result), second));
  });
}

/** A 16-bit double shift by more than 16 goes on with bits of the first operand: a:b:a is shifted. */
function double_shift_16(ir: Ir, left: boolean): void {
  const count = masked_count(ir, 2);
  const b = ir.read(1);
  const a = ir.read(0);
  const all = or3(ir, ir.op('i64.shl', a, ir.i64(32)), ir.op('i64.shl', b, ir.i64(16)), a);
  const high = ir.op('i64.shr_u', ir.op('i64.shl', all, count), ir.i64(32));
  const moved = not_zero(ir, count);
  const result = left ? high : ir.op('i64.shr_u', all, count);
  ir.write(0, result);
  ir.if(moved, () => {
    const cf = bit(ir, all, left ? ir.op('i64.sub', ir.i64(48), count) : minus_one(ir, count));
    flags_result(ir, result, 2, cf, ir.op('i32.xor', top_bit(ir, result), top_bit(ir, a)));
  });
}

/** Double shift by `count`: joins the operand with bits of the second. `left` is shld. */
function double_shift(left: boolean): (ir: Ir) => void {
  return (ir) => {
    if (ir.size === 2) return double_shift_16(ir, left);
    const bits = ir.size * 8;
    const count = masked_count(ir, 2);
    const b = ir.read(1);
    const a = ir.read(0);
    const rest = ir.op('i64.sub', ir.i64(bits - 1), count);
    const joined = left
      ? ir.op('i64.or', ir.op('i64.shl', a, count), ir.op('i64.shr_u', ir.op('i64.shr_u', b, ir.i64(1)), rest))
      : ir.op('i64.or', ir.op('i64.shr_u', a, count), ir.op('i64.shl', ir.op('i64.shl', b, ir.i64(1)), rest));
    const moved = not_zero(ir, count);
    const result = ir.select(moved, joined, a);
    ir.write(0, result);
    ir.if(moved, () => {
      const cf = bit(ir, a, left ? complement(ir, count) : minus_one(ir, count));
      flags_result(ir, result, ir.size, cf, ir.op('i32.xor', top_bit(ir, result), top_bit(ir, a)));
    });
  };
}

export const SHIFT: Family = {
  rol: rotate('rotl'),
  ror: rotate('rotr'),
  rcl,
  rcr,
  shl(ir) {
    const count = masked_count(ir, 1);
    const a = ir.read(0);
    const result = ir.op('i64.shl', a, count);
    ir.write(0, result);
    flags_shift(ir, FLAGS_SHL, a, count, result, ir.size);
  },
  shr(ir) {
    const count = masked_count(ir, 1);
    const a = ir.read(0);
    const result = ir.op('i64.shr_u', a, count);
    ir.write(0, result);
    flags_shift(ir, FLAGS_SHR, a, count, result, ir.size);
  },
  sar(ir) {
    const count = masked_count(ir, 1);
    const a = ir.read_signed(0);
    const result = ir.op('i64.shr_s', a, count);
    ir.write(0, result);
    flags_shift(ir, FLAGS_SAR, a, count, result, ir.size);
  },
  shld: double_shift(true),
  shrd: double_shift(false),
};
