/**
 * Moves, exchanges, extensions, conditional moves and sets, address computation, the stack.
 */
import { RBP, RSP } from '../../machine/cpu.layout.ts';
import { condition, flags_sub } from '../flags.ts';
import { type Family, type Ir, LOAD_U64, type Value } from '../ir.ts';

/** Pops `size` bytes: the value, RSP not yet moved. */
function top_of_stack(ir: Ir, size: number): { value: Value; behind: Value } {
  const rsp = ir.gpr(RSP);
  const value = ir.load(LOAD_U64[size] as string, size, rsp);
  return { value, behind: ir.op('i64.add', rsp, ir.i64(size)) };
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
  leave(ir) {
    const rbp = ir.gpr(RBP);
    const value = ir.load('i64.load', 8, rbp);
    ir.set_gpr(RSP, ir.op('i64.add', rbp, ir.i64(8)));
    ir.set_gpr(RBP, value);
  },
  cmpxchg(ir) {
    const size = ir.size;
    const source = ir.read(1);
    const expected = ir.gpr(0, size);
    const old = ir.read(0);
    const equal = ir.op('i64.eq', old, expected);
    ir.write(0, ir.select(equal, source, old));
    ir.if(ir.op('i32.eqz', equal), () => ir.set_gpr(0, old, size));
    flags_sub(ir, expected, old, ir.op('i64.sub', expected, old), size);
  },
};
