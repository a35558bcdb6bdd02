/**
 * Moves, exchanges, extensions, conditional moves and sets, address computation, the stack.
 */
import { RBP, RSP } from '../../machine/cpu.layout.ts';
import { LOAD_U64, STORE_64 } from '../access_names.ts';
import { condition, flags_add, flags_sub } from '../flags.ts';
import type { Family, Ir, Value, Variable } from '../ir.ts';

/** Pops `size` bytes: the value, RSP not yet moved. */
function top_of_stack(ir: Ir, size: number): { value: Value; behind: Value } {
  const rsp = ir.gpr(RSP);
  const value = ir.load(LOAD_U64[size]!, size, rsp);
  return { value, behind: ir.op('i64.add', rsp, ir.i64(size)) };
}

/** The display of enter with a nesting level: level - 1 outer frame pointers, then the new one. */
function copy_frames(ir: Ir, rbp: Value, frame: Value, top: Variable, level: Value): void {
  const size = ir.form.operand_size;
  const step = ir.i64(size);
  const outer = ir.variable(rbp);
  const left = ir.variable(ir.op('i64.sub', level, ir.i64(1)));
  ir.loop((again) => {
    const rest = ir.get(left);
    ir.break_loop(again, ir.op('i64.eqz', rest));
    const from = ir.op('i64.sub', ir.get(outer), step);
    const to = ir.op('i64.sub', ir.get(top), step);
    ir.store(STORE_64[size]!, size, to, ir.load(LOAD_U64[size]!, size, from));
    ir.set(outer, from);
    ir.set(top, to);
    ir.set(left, ir.op('i64.sub', rest, ir.i64(1)));
    ir.continue_loop(again);
  });
  const last = ir.op('i64.sub', ir.get(top), step);
  ir.store(STORE_64[size]!, size, last, frame);
  ir.set(top, last);
}

export const MOVE: Family = {
  mov(ir) {
    ir.write(0, ir.read(1));
  },
  movzx(ir) {
    ir.write(0, ir.read(1));
  },
  movsx(ir) {
    ir.write(0, ir.read_signed(1));
  },
  movsxd(ir) {
    ir.write(0, ir.read_signed(1));
  },
  lea(ir) {
    ir.write(0, ir.address());
  },
  cmovcc(ir) {
    // The source is read, and may fault, whatever the condition; a 32-bit destination is always extended.
    const source = ir.read(1);
    const old = ir.read(0);
    ir.write(0, ir.select(condition(ir, ir.form.row.condition), source, old));
  },
  setcc(ir) {
    ir.write(0, ir.op('i64.extend_i32_u', condition(ir, ir.form.row.condition)));
  },
  push(ir) {
    ir.push(ir.read(0), ir.form.operand_size);
  },
  pop(ir) {
    const size = ir.form.operand_size;
    const { value, behind } = top_of_stack(ir, size);
    if (ir.operand(0).kind === 'reg') {
      ir.set_gpr(RSP, behind);
      ir.write(0, value);
      return;
    }
    // The address of a memory destination is computed with RSP already moved: whoever decodes adds the operand
    // size to the displacement when the base is RSP.
    ir.write(0, value);
    ir.set_gpr(RSP, behind);
  },
  xchg(ir) {
    const b = ir.read(1);
    const a = ir.read(0);
    ir.write(0, b);
    ir.write(1, a);
  },
  xadd(ir) {
    const b = ir.read(1);
    const a = ir.read(0);
    const sum = ir.op('i64.add', a, b);
    // With one register as both operands the sum stays.
    if (ir.operand(0).kind === 'reg') ir.write(1, a);
    ir.write(0, sum);
    if (ir.operand(0).kind === 'mem') ir.write(1, a);
    flags_add(ir, a, b, sum, ir.size);
  },
  enter(ir) {
    const size = ir.form.operand_size;
    const step = ir.i64(size);
    const level = ir.op('i64.and', ir.imm2(), ir.i64(31));
    const rbp = ir.gpr(RBP);
    const frame = ir.op('i64.sub', ir.gpr(RSP), step);
    ir.store(STORE_64[size]!, size, frame, rbp);
    const top = ir.variable(frame);
    ir.if(ir.op('i64.ne', level, ir.i64(0)), () => copy_frames(ir, rbp, frame, top, level));
    const rsp = ir.op('i64.sub', ir.get(top), ir.imm());
    // The new top of the stack must be writable, though nothing is written.
    ir.resolve(rsp, size, true);
    ir.set_gpr(RBP, frame, size === 8 ? 8 : 2);
    ir.set_gpr(RSP, rsp);
  },
  leave(ir) {
    const size = ir.form.operand_size;
    const rbp = ir.gpr(RBP);
    const value = ir.load(LOAD_U64[size]!, size, rbp);
    ir.set_gpr(RSP, ir.op('i64.add', rbp, ir.i64(size)));
    ir.set_gpr(RBP, value, size);
  },
  cmpxchg(ir) {
    const size = ir.size;
    const source = ir.read(1);
    const expected = ir.gpr(0, size);
    const old = ir.read(0);
    const equal = ir.op('i64.eq', old, expected);
    // A register that differs stays as it is, upper half included; memory is written back.
    if (ir.operand(0).kind === 'reg') ir.if(equal, () => ir.write(0, source));
    else ir.write(0, ir.select(equal, source, old));
    ir.if(ir.op('i32.eqz', equal), () => ir.set_gpr(0, old, size));
    flags_sub(ir, expected, old, ir.op('i64.sub', expected, old), size);
  },
};
