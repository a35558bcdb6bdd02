/**
 * Branches, calls, software interrupts (Intel manual, volume 2). Far transfers leave 64-bit user code's one code
 * segment and raise #GP.
 */
import { CpuState, R11, RCX, RSP } from '../../machine/cpu.layout.ts';
import { condition, flag, flags_word } from '../flags.ts';
import { type Family, type Ir, type Value, VECTOR_BP, VECTOR_DB, VECTOR_GP } from '../ir.ts';

function protection(ir: Ir): void {
  ir.raise(VECTOR_GP);
}

/** Decrements RCX or ECX; whether it is not zero. */
function count_down(ir: Ir): Value {
  const size = ir.form.address_size;
  const count = ir.op('i64.sub', ir.gpr(RCX, size), ir.i64(1));
  ir.set_gpr(RCX, count, size);
  return ir.op('i64.ne', ir.zero_extend(count, size), ir.i64(0));
}

export const CONTROL: Family = {
  jcc(ir) {
    ir.branch(condition(ir, ir.form.row.condition));
  },
  jmp(ir) {
    if (ir.operand(0).kind === 'rel') ir.branch();
    else ir.jump(ir.read(0));
  },
  call(ir) {
    if (ir.operand(0).kind === 'rel') {
      ir.push(ir.next_rip());
      ir.branch();
      return;
    }
    const target = ir.read(0);
    ir.push(ir.next_rip());
    ir.jump(target);
  },
  ret(ir) {
    const rsp = ir.gpr(RSP);
    const target = ir.load('i64.load', 8, rsp);
    const behind = ir.op('i64.add', rsp, ir.i64(8));
    ir.set_gpr(RSP, ir.form.operands.length === 0 ? behind : ir.op('i64.add', behind, ir.read(0)));
    ir.jump(target);
  },
  loop(ir) {
    ir.branch(count_down(ir));
  },
  loope(ir) {
    ir.branch(ir.op('i32.and', count_down(ir), flag(ir, 'ZF')));
  },
  loopne(ir) {
    ir.branch(ir.op('i32.and', count_down(ir), ir.op('i32.eqz', flag(ir, 'ZF'))));
  },
  jrcxz(ir) {
    ir.branch(ir.op('i64.eqz', ir.gpr(RCX, ir.form.address_size)));
  },
  syscall(ir) {
    ir.set_gpr(RCX, ir.next_rip());
    ir.set_gpr(R11, ir.op('i64.extend_i32_u', flags_word(ir)));
    ir.syscall();
  },
  int3(ir) {
    ir.raise(VECTOR_BP, true);
  },
  int1(ir) {
    ir.raise(VECTOR_DB, true);
  },
  int(ir) {
    // Of the software interrupts only 3 may be used in 64-bit user code.
    ir.if(ir.op('i64.eq', ir.read(0), ir.i64(3)), () => ir.raise(VECTOR_BP, true));
    ir.raise(VECTOR_GP);
  },
  callf: protection,
  jmpf: protection,
  retf: protection,
  iret: protection,
  load_far_pointer: protection,
  nop() {},
  pause() {},
  cld(ir) {
    ir.cpu_store('i32.store', CpuState.df.offset, ir.i32(0));
  },
  std(ir) {
    ir.cpu_store('i32.store', CpuState.df.offset, ir.i32(1));
  },
};
