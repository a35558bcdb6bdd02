/**
 * Addition, subtraction, comparison and logic (Intel manual, volume 2).
 */
import { flag, flags_add, flags_logic, flags_step, flags_sub } from '../flags.ts';
import type { Family, Ir, Value } from '../ir.ts';

function carry(ir: Ir): Value {
  return ir.op('i64.extend_i32_u', flag(ir, 'CF'));
}

function logic(name: string): (ir: Ir) => void {
  return (ir) => {
    const result = ir.op(name, ir.read(0), ir.read(1));
    ir.write(0, result);
    flags_logic(ir, result, ir.size);
  };
}

function step(delta: 1 | -1): (ir: Ir) => void {
  return (ir) => {
    const a = ir.read(0);
    const result = ir.op('i64.add', a, ir.i64(delta));
    ir.write(0, result);
    flags_step(ir, a, delta, result, ir.size);
  };
}

export const ARITHMETIC: Family = {
  add(ir) {
    const a = ir.read(0);
    const b = ir.read(1);
    const result = ir.op('i64.add', a, b);
    ir.write(0, result);
    flags_add(ir, a, b, result, ir.size);
  },
  adc(ir) {
    const b = ir.read(1);
    const c = carry(ir);
    const a = ir.read(0);
    const result = ir.op('i64.add', ir.op('i64.add', a, b), c);
    ir.write(0, result);
    flags_add(ir, a, b, result, ir.size, c);
  },
  sub(ir) {
    const a = ir.read(0);
    const b = ir.read(1);
    const result = ir.op('i64.sub', a, b);
    ir.write(0, result);
    flags_sub(ir, a, b, result, ir.size);
  },
  sbb(ir) {
    const b = ir.read(1);
    const c = carry(ir);
    const a = ir.read(0);
    const result = ir.op('i64.sub', ir.op('i64.sub', a, b), c);
    ir.write(0, result);
    flags_sub(ir, a, b, result, ir.size, c);
  },
  cmp(ir) {
    const a = ir.read(0);
    const b = ir.read(1);
    flags_sub(ir, a, b, ir.op('i64.sub', a, b), ir.size);
  },
  neg(ir) {
    const a = ir.read(0);
    const zero = ir.i64(0);
    const result = ir.op('i64.sub', zero, a);
    ir.write(0, result);
    flags_sub(ir, zero, a, result, ir.size);
  },
  inc: step(1),
  dec: step(-1),
  and: logic('i64.and'),
  or: logic('i64.or'),
  xor: logic('i64.xor'),
  test(ir) {
    flags_logic(ir, ir.op('i64.and', ir.read(0), ir.read(1)), ir.size);
  },
  not(ir) {
    ir.write(0, ir.op('i64.xor', ir.read(0), ir.i64(-1)));
  },
};
