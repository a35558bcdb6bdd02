/**
 * Branches, calls, software interrupts (Intel manual, volume 2). A far transfer may only go to the one 64-bit
 * code segment of user mode; to any other, Linux's 32-bit one included, it raises #GP.
 */
import { CpuState, R11, RCX, RSP } from '../../machine/cpu.layout.ts';
import { LOAD_U64, STORE_64 } from '../access_names.ts';
import { condition, flag, flags_word, load_flags } from '../flags.ts';
import { type Family, type Ir, type Value, VECTOR_BP, VECTOR_DB, VECTOR_GP } from '../ir.ts';

const USER_CS = 0x33;
const USER_SS = 0x2b;

/**
 * Raises #GP unless a far transfer stays in 64-bit user code. A call or jump may ask for any privilege level; a return
 * must return to the present one.
 */
function check_code(ir: Ir, selector: Value, target: Value, returns: boolean): void {
  const mask = returns ? 0xffff : 0xfffc;
  const low = ir.op('i64.and', selector, ir.i64(mask));
  ir.raise_if(ir.op('i64.ne', low, ir.i64(USER_CS & mask)), VECTOR_GP);
  ir.check_target(target);
}

/** The offset, of operand size, and the selector behind it. */
function far_pointer(ir: Ir, address: Value): { offset: Value; selector: Value } {
  const size = ir.form.operand_size;
  const offset = ir.load(LOAD_U64[size]!, size, address);
  const selector = ir.load('i64.load16_u', 2, ir.op('i64.add', address, ir.i64(size)));
  return { offset, selector };
}

/** The n-th slot of operand size on the stack. */
function stack_slot(ir: Ir, rsp: Value, n: number): { value: Value; behind: Value } {
  const size = ir.form.operand_size;
  const value = ir.load(LOAD_U64[size]!, size, ir.op('i64.add', rsp, ir.i64(n * size)));
  return { value, behind: ir.op('i64.add', rsp, ir.i64((n + 1) * size)) };
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
    else {
      const target = ir.read(0);
      ir.check_target(target);
      ir.jump(target);
    }
  },
  call(ir) {
    if (ir.operand(0).kind === 'rel') {
      ir.push(ir.next_rip());
      ir.branch();
      return;
    }
    const target = ir.read(0);
    // The return address is stored, below RSP, before the target is looked at.
    const behind = ir.op('i64.sub', ir.gpr(RSP), ir.i64(8));
    ir.store('i64.store', 8, behind, ir.next_rip());
    ir.check_target(target);
    ir.set_gpr(RSP, behind);
    ir.jump(target);
  },
  ret(ir) {
    const rsp = ir.gpr(RSP);
    const target = ir.load('i64.load', 8, rsp);
    ir.check_target(target);
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
  callf(ir) {
    const size = ir.form.operand_size;
    const { offset, selector } = far_pointer(ir, ir.address());
    check_code(ir, selector, offset, false);
    const rsp = ir.gpr(RSP);
    ir.probe_write(ir.op('i64.sub', rsp, ir.i64(2 * size)), 2 * size);
    ir.store(STORE_64[size]!, size, ir.op('i64.sub', rsp, ir.i64(size)), ir.i64(USER_CS));
    ir.store(STORE_64[size]!, size, ir.op('i64.sub', rsp, ir.i64(2 * size)), ir.next_rip());
    ir.set_gpr(RSP, ir.op('i64.sub', rsp, ir.i64(2 * size)));
    ir.jump(offset);
  },
  jmpf(ir) {
    const { offset, selector } = far_pointer(ir, ir.address());
    check_code(ir, selector, offset, false);
    ir.jump(offset);
  },
  retf(ir) {
    const rsp = ir.gpr(RSP);
    const { value: target } = stack_slot(ir, rsp, 0);
    const { value: selector, behind } = stack_slot(ir, rsp, 1);
    check_code(ir, selector, target, true);
    ir.set_gpr(RSP, ir.form.operands.length === 0 ? behind : ir.op('i64.add', behind, ir.read(0)));
    ir.jump(target);
  },
  iret(ir) {
    const rsp = ir.gpr(RSP);
    const [target, selector, word, stack, stack_selector] = [0, 1, 2, 3, 4].map((n) => stack_slot(ir, rsp, n).value);
    check_code(ir, selector!, target!, true);
    const low = ir.op('i64.and', stack_selector!, ir.i64(0xffff));
    ir.raise_if(ir.op('i64.ne', low, ir.i64(USER_SS)), VECTOR_GP);
    load_flags(ir, ir.op('i32.wrap_i64', word!), ir.form.operand_size);
    ir.set_gpr(RSP, stack!);
    ir.jump(target!);
  },
  nop() {},
  pause() {},
  cld(ir) {
    ir.cpu_store('i32.store', CpuState.df.offset, ir.i32(0));
  },
  std(ir) {
    ir.cpu_store('i32.store', CpuState.df.offset, ir.i32(1));
  },
};
