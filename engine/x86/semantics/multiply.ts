/**
 * Multiplication, division, sign extension of the accumulator.
 */
import { CpuState, RAX, RDX } from '../../machine/cpu.layout.ts';
import { flags_result } from '../flags.ts';
import { type Family, type Ir, type Routine, type Value, VECTOR_DE } from '../ir.ts';

/** High half of the unsigned 64 by 64 bit product. */
const MULTIPLY_HIGH: Routine = {
  name: 'multiply_high',
  params: ['i64', 'i64'],
  result: 'i64',
  body(ir, [a, b]) {
    const low = (v: Value): Value => ir.op('i64.and', v, ir.i64(0xffff_ffffn));
    const high = (v: Value): Value => ir.op('i64.shr_u', v, ir.i64(32));
    const mul = (x: Value, y: Value): Value => ir.op('i64.mul', x, y);
    const add = (x: Value, y: Value): Value => ir.op('i64.add', x, y);
    const middle = add(mul(high(a!), low(b!)), high(mul(low(a!), low(b!))));
    const other = add(mul(low(a!), high(b!)), low(middle));
    return add(add(mul(high(a!), high(b!)), high(middle)), high(other));
  },
};

/** High half of the signed product: the unsigned one, less each factor where the other is negative. */
function signed_high(ir: Ir, a: Value, b: Value): Value {
  const when_negative = (sign: Value, v: Value): Value => ir.op('i64.and', ir.op('i64.shr_s', sign, ir.i64(63)), v);
  const high = ir.call(MULTIPLY_HIGH, a, b);
  return ir.op('i64.sub', ir.op('i64.sub', high, when_negative(a, b)), when_negative(b, a));
}

const REMAINDER = CpuState.scratch.offset;

/** high:low / divisor, where high < divisor; the remainder in scratch. Shift and subtract. */
const DIVIDE_128: Routine = {
  name: 'divide_128',
  params: ['i64', 'i64', 'i64'],
  result: 'i64',
  body(ir, [high, low, divisor]) {
    const remainder = ir.variable(high!);
    const quotient = ir.variable(low!);
    const left = ir.variable(ir.i32(64));
    ir.loop((again) => {
      const r = ir.get(remainder);
      const q = ir.get(quotient);
      const shifted = ir.op('i64.or', ir.op('i64.shl', r, ir.i64(1)), ir.op('i64.shr_u', q, ir.i64(63)));
      // The bit shifted out of r counts as 2^64, which no divisor exceeds.
      const carry = ir.op('i64.lt_s', r, ir.i64(0));
      const fits = ir.op('i32.or', carry, ir.op('i64.ge_u', shifted, divisor!));
      ir.set(remainder, ir.select(fits, ir.op('i64.sub', shifted, divisor!), shifted));
      ir.set(quotient, ir.op('i64.or', ir.op('i64.shl', q, ir.i64(1)), ir.op('i64.extend_i32_u', fits)));
      ir.set(left, ir.op('i32.sub', ir.get(left), ir.i32(1)));
      ir.continue_loop(again, ir.get(left));
    });
    ir.cpu_store('i64.store', REMAINDER, ir.get(remainder));
    return ir.get(quotient);
  },
};

/** Writes a double-width result: AX, or (R|E)DX:(R|E)AX. */
function write_wide(ir: Ir, low: Value, high: Value): void {
  if (ir.size === 1) {
    ir.set_gpr(RAX, low, 2);
    return;
  }
  ir.set_gpr(RAX, low, ir.size);
  ir.set_gpr(RDX, high, ir.size);
}

/** CF = OF = the product does not fit; the other flags, which are undefined, follow the low half. */
function multiply_flags(ir: Ir, low: Value, overflow: Value): void {
  flags_result(ir, low, ir.size, overflow, overflow);
}

/** The low half, and whether the signed product exceeds it. */
function signed_product(ir: Ir, a: Value, b: Value): { low: Value; high: Value; overflow: Value } {
  const low = ir.op('i64.mul', a, b);
  if (ir.size === 8) {
    const high = signed_high(ir, a, b);
    return { low, high, overflow: ir.op('i64.ne', high, ir.op('i64.shr_s', low, ir.i64(63))) };
  }
  const high = ir.op('i64.shr_s', low, ir.i64(ir.size * 8));
  return { low, high, overflow: ir.op('i64.ne', low, ir.sign_extend(low, ir.size)) };
}

function remainder_and_quotient(ir: Ir, quotient: Value, remainder: Value): void {
  if (ir.size === 1) {
    const ah = ir.op('i64.shl', ir.op('i64.and', remainder, ir.i64(0xff)), ir.i64(8));
    ir.set_gpr(RAX, ir.op('i64.or', ah, ir.op('i64.and', quotient, ir.i64(0xff))), 2);
    return;
  }
  ir.set_gpr(RAX, quotient, ir.size);
  ir.set_gpr(RDX, remainder, ir.size);
}

/** AX, DX:AX or EDX:EAX as one i64. */
function narrow_dividend(ir: Ir): Value {
  if (ir.size === 1) return ir.gpr(RAX, 2);
  return ir.op('i64.or', ir.op('i64.shl', ir.gpr(RDX, ir.size), ir.i64(ir.size * 8)), ir.gpr(RAX, ir.size));
}

function divide_wide(ir: Ir, divisor: Value): void {
  const high = ir.gpr(RDX);
  const low = ir.gpr(RAX);
  ir.raise_if(ir.op('i64.ge_u', high, divisor), VECTOR_DE);
  ir.if(
    ir.op('i64.eqz', high),
    () => remainder_and_quotient(ir, ir.op('i64.div_u', low, divisor), ir.op('i64.rem_u', low, divisor)),
    () => {
      const quotient = ir.call(DIVIDE_128, high, low, divisor);
      remainder_and_quotient(ir, quotient, ir.cpu_load('i64.load', REMAINDER));
    },
  );
}

function negated_if(ir: Ir, sign: Value, value: Value): Value {
  return ir.op('i64.sub', ir.op('i64.xor', value, sign), sign);
}

/** RDX:RAX / divisor, signed, when RDX is not just the sign of RAX. */
function signed_divide_128(ir: Ir, high: Value, low: Value, divisor: Value): void {
  const sign = ir.op('i64.shr_s', high, ir.i64(63));
  const divisor_sign = ir.op('i64.shr_s', divisor, ir.i64(63));
  const absolute_low = negated_if(ir, sign, low);
  const borrow = ir.op('i64.extend_i32_u', ir.op('i64.ne', low, ir.i64(0)));
  // -(high:low) = ~high + (low == 0) : -low
  const negative_high = ir.op('i64.sub', ir.op('i64.sub', ir.i64(0), high), borrow);
  const absolute_high = ir.select(ir.op('i64.ne', sign, ir.i64(0)), negative_high, high);
  const absolute_divisor = negated_if(ir, divisor_sign, divisor);
  ir.raise_if(ir.op('i64.ge_u', absolute_high, absolute_divisor), VECTOR_DE);
  const quotient = ir.call(DIVIDE_128, absolute_high, absolute_low, absolute_divisor);
  const remainder = ir.cpu_load('i64.load', REMAINDER);
  const result_sign = ir.op('i64.xor', sign, divisor_sign);
  const signed = negated_if(ir, result_sign, quotient);
  // The quotient must have the sign it should, or be zero.
  const wrong = ir.op('i64.lt_s', ir.op('i64.xor', signed, result_sign), ir.i64(0));
  ir.raise_if(ir.op('i32.and', wrong, ir.op('i64.ne', quotient, ir.i64(0))), VECTOR_DE);
  remainder_and_quotient(ir, signed, negated_if(ir, sign, remainder));
}

function signed_divide_wide(ir: Ir, divisor: Value): void {
  const high = ir.gpr(RDX);
  const low = ir.gpr(RAX);
  ir.raise_if(ir.op('i64.eqz', divisor), VECTOR_DE);
  ir.if(
    ir.op('i64.eq', high, ir.op('i64.shr_s', low, ir.i64(63))),
    () => {
      const smallest = ir.op('i64.eq', low, ir.i64(-(1n << 63n)));
      ir.raise_if(ir.op('i32.and', smallest, ir.op('i64.eq', divisor, ir.i64(-1))), VECTOR_DE);
      remainder_and_quotient(ir, ir.op('i64.div_s', low, divisor), ir.op('i64.rem_s', low, divisor));
    },
    () => signed_divide_128(ir, high, low, divisor),
  );
}

export const MULTIPLY: Family = {
  mul(ir) {
    const b = ir.read(0);
    const a = ir.gpr(RAX, ir.size);
    const low = ir.op('i64.mul', a, b);
    const high = ir.size === 8 ? ir.call(MULTIPLY_HIGH, a, b) : ir.op('i64.shr_u', low, ir.i64(ir.size * 8));
    write_wide(ir, low, high);
    multiply_flags(ir, low, ir.op('i64.ne', high, ir.i64(0)));
  },
  imul(ir) {
    const count = ir.form.operands.length;
    const b = ir.read_signed(count === 1 ? 0 : 1);
    const accumulator = (): Value => ir.sign_extend(ir.gpr(RAX, ir.size), ir.size);
    const a = count === 1 ? accumulator() : ir.read_signed(count === 2 ? 0 : 2);
    const { low, high, overflow } = signed_product(ir, a, b);
    if (count === 1) write_wide(ir, low, high);
    else ir.write(0, low);
    multiply_flags(ir, low, overflow);
  },
  div(ir) {
    const divisor = ir.read(0);
    if (ir.size === 8) return divide_wide(ir, divisor);
    ir.raise_if(ir.op('i64.eqz', divisor), VECTOR_DE);
    const dividend = narrow_dividend(ir);
    const quotient = ir.op('i64.div_u', dividend, divisor);
    ir.raise_if(ir.op('i64.ne', quotient, ir.zero_extend(quotient, ir.size)), VECTOR_DE);
    remainder_and_quotient(ir, quotient, ir.op('i64.rem_u', dividend, divisor));
  },
  idiv(ir) {
    const divisor = ir.read_signed(0);
    if (ir.size === 8) return signed_divide_wide(ir, divisor);
    ir.raise_if(ir.op('i64.eqz', divisor), VECTOR_DE);
    const dividend = ir.size === 4 ? narrow_dividend(ir) : ir.sign_extend(narrow_dividend(ir), ir.size * 2);
    // The smallest dividend over -1 would trap in the division itself; its quotient does not fit anyway.
    const smallest = ir.op('i64.eq', dividend, ir.i64(-(1n << 63n)));
    ir.raise_if(ir.op('i32.and', smallest, ir.op('i64.eq', divisor, ir.i64(-1))), VECTOR_DE);
    const quotient = ir.op('i64.div_s', dividend, divisor);
    ir.raise_if(ir.op('i64.ne', quotient, ir.sign_extend(quotient, ir.size)), VECTOR_DE);
    remainder_and_quotient(ir, quotient, ir.op('i64.rem_s', dividend, divisor));
  },
  cbw(ir) {
    const size = ir.form.operand_size;
    ir.set_gpr(RAX, ir.sign_extend(ir.gpr(RAX, size / 2), size / 2), size);
  },
  cwd(ir) {
    const size = ir.form.operand_size;
    ir.set_gpr(RDX, ir.op('i64.shr_s', ir.sign_extend(ir.gpr(RAX, size), size), ir.i64(63)), size);
  },
};
