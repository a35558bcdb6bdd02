/**
 * From the IR of an instruction to code of a region: general and xmm registers are locals, constants are folded, flags
 * are kept as an operation and its operands (`flag_state.ts`), and whatever can fault leaves by a cold path with the
 * state that the instruction began with.
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import type { Label } from '../../wasm/code.ts';
import type { Value } from '../../x86/ir.ts';
import type { Statement } from '../../x86/statement.ts';
import { CPU, VCPU } from '../interp/dispatch.ts';
import { LEAVE_EXCEPTION } from '../interp/leave.ts';
import { is_idle, keeps_flags } from './flow.ts';
import { MemoryAccess } from './memory_access.ts';
import { is_access } from './numbering.ts';
import { push_gpr, push_xmm, store_gpr, store_xmm } from './registers.ts';
import { gpr_of, is_flags_field, touches_flags, xmm_of } from './template.ts';
import type { Bound } from './values.ts';

/** Lowers the instructions of a region, one after the other. */
export class Lower extends MemoryAccess {
  private nesting = 0;
  /** The instruction's beginning, if it is repeated, and its loops. */
  private again: Label | null = null;
  private readonly loops = new Map<number, { again: Label; out: Label }>();
  /** What ends the block. */
  private on_branch: (condition: Value | null) => void = () => {};
  private on_jump: (target: Value) => void = () => {};
  private on_syscall: () => void = () => {};
  private on_repeat: () => void = () => {};

  /** Lowers the current instruction; branches, system calls, and what is between repetitions are the caller's. */
  instruction(
    on_branch: (condition: Value | null) => void,
    on_jump: (target: Value) => void,
    on_syscall: () => void,
    on_repeat: () => void,
  ): void {
    this.on_branch = on_branch;
    this.on_jump = on_jump;
    this.on_syscall = on_syscall;
    this.on_repeat = on_repeat;
    const { run } = this.insn;
    if (run?.first === this.insn) {
      this.frame.flush_registers();
      this.assumptions.begin(run, this.retired, this.flags);
    } else if (run === null && this.leaves()) this.frame.flush_registers();
    const { ir, repeats } = this.insn.template!;
    if (repeats) this.repeated(ir.body);
    else this.statements(ir.body);
    if (run?.last === this.insn) this.assumptions.end();
    assert(this.locks.length === 0, 'a LOCK sequence is not closed');
  }

  /**
   * What is repeated finds everything as it was the first time: no registers but those in the record, flags of one kind,
   * and nothing known of what is in registers.
   */
  private repeated(body: readonly Statement[]): void {
    const { c, frame } = this;
    if (body.some(touches_flags)) this.flags.make_raw();
    frame.narrow.clear();
    this.loops.clear();
    this.again = c.loop();
    this.statements(body);
    c.end();
    frame.narrow.clear();
    this.again = null;
  }

  /** Whether the region may be left at the instruction: not by accesses to windows that are known. */
  private leaves(): boolean {
    const { may_leave, raises, accesses } = this.insn.template!;
    if (!may_leave || raises) return may_leave;
    return this.known_accesses() < accesses;
  }

  private statements(list: readonly Statement[]): void {
    for (const s of list) this.statement(s);
  }

  private statement(s: Statement): void {
    switch (s.kind) {
      case 'let':
        return this.let(s.value);
      case 'set':
        this.push(s.value);
        this.c.set(this.variable(s.variable));
        return;
      case 'copy':
        this.c.get(this.variable(s.variable)).set(this.result(s.result));
        return;
      case 'if':
        return this.if(s);
      case 'loop':
      case 'continue':
      case 'break':
      case 'repeat':
        return this.loop_statement(s);
      case 'read_register':
      case 'write_register':
      case 'register_number':
      case 'cpu_load':
      case 'cpu_store':
        return this.register_statement(s);
      case 'lazy_flags':
      case 'flag':
      case 'condition':
        return this.flags_statement(s);
      case 'assume': {
        const bound = this.bound_of(s.value);
        const reg = bound?.kind === 'xmm' && bound.op === 'v128.load' ? bound.reg : -1;
        this.assumptions.assume(s.what, s.form, this.insn, reg, () => this.push(s.value));
        return;
      }
      case 'known':
        this.assumptions.know(this.insn.operands[0]!.reg, s.what, s.form);
        return;
      case 'raise':
      case 'helper':
      case 'helper_raise':
      case 'call':
      case 'branch':
      case 'jump':
      case 'syscall':
        return this.exit_statement(s);
      default:
        // With 32-bit addresses registers change before the first access of what is repeated.
        if (this.again !== null && is_access(s)) this.frame.store_registers();
        return this.memory_statement(s);
    }
  }

  private if(s: Extract<Statement, { kind: 'if' }>): void {
    if (is_idle(s, this.insn)) return;
    if (touches_flags(s)) this.flags.make_raw();
    const condition = this.constant(s.condition);
    this.nesting++;
    if (condition !== undefined) this.statements(condition !== 0 ? s.body : s.otherwise);
    else {
      this.push(s.condition);
      if (s.unlikely) this.c.if_unlikely();
      else this.c.if();
      this.statements(s.body);
      if (s.otherwise.length > 0) {
        this.c.else();
        this.statements(s.otherwise);
      }
      this.c.end();
    }
    this.nesting--;
  }

  /** Of repeated instructions. A piece that follows may leave: what the one before has done to registers is stored. */
  private loop_statement(s: Extract<Statement, { kind: 'loop' | 'continue' | 'break' | 'repeat' }>): void {
    const { c, frame } = this;
    if (s.kind === 'loop') {
      const labels = { out: c.block(), again: c.loop() };
      this.loops.set(s.id, labels);
      this.nesting++;
      this.statements(s.body);
      this.nesting--;
      c.end().end();
      return;
    }
    if (s.kind !== 'break') frame.store_registers();
    if (s.kind === 'repeat') {
      this.on_repeat();
      c.br(this.again as Label);
      return;
    }
    const { again, out } = this.loops.get(s.id)!;
    const label = s.kind === 'continue' ? again : out;
    if (s.condition !== null) this.push(s.condition);
    if (s.condition !== null) c.br_if(label);
    else c.br(label);
  }

  // Registers

  private register_statement(s: Statement): void {
    if (s.kind === 'read_register') {
      const { cls, reg } = this.insn.operands[s.operand]!;
      if (cls === 'mm') this.load_field(s.result, s.op.name, CpuState.st.offset + reg * 16 + s.lane_offset, null);
      else {
        const byte = cls === 'gpr8h' ? 1 : s.lane_offset;
        const kind = cls === 'xmm' ? 'xmm' : 'gpr';
        this.bind_register(s.result, { kind, reg, op: s.op.name, byte });
      }
    } else if (s.kind === 'write_register') {
      const { cls, reg } = this.insn.operands[s.operand]!;
      if (cls === 'mm') this.store_field(s.op.name, CpuState.st.offset + reg * 16 + s.lane_offset, null, s.value);
      else if (cls === 'xmm') this.write_xmm(reg, s.op.name, s.lane_offset, s.value);
      else this.write_gpr(reg, s.op.name, cls === 'gpr8h' ? 1 : 0, s.value);
    } else if (s.kind === 'register_number') {
      this.bind(s.result, { kind: 'constant', value: this.insn.operands[s.operand]!.reg });
    } else if (s.kind === 'cpu_load') this.read_field(s);
    else if (s.kind === 'cpu_store') this.write_field(s);
  }

  /** A register read stays a name of the register unless a write overtakes it. */
  private bind_register(result: Value, bound: Extract<Bound, { reg: number }>): void {
    if (result.uses === 0) return;
    if (!this.insn.template!.copied.has(result)) {
      this.bind(result, bound);
      return;
    }
    if (bound.kind === 'gpr') push_gpr(this.frame, bound.reg, bound.op, bound.byte);
    else push_xmm(this.frame, bound.reg, bound.op, bound.byte);
    this.c.set(this.result(result));
  }

  private read_field(s: Extract<Statement, { kind: 'cpu_load' }>): void {
    const { offset } = s;
    if (s.dynamic === null && gpr_of(offset) >= 0)
      this.bind_register(s.result, { kind: 'gpr', reg: gpr_of(offset), op: s.op.name, byte: offset & 7 });
    else if (s.dynamic === null && xmm_of(offset) >= 0)
      this.bind_register(s.result, { kind: 'xmm', reg: xmm_of(offset), op: s.op.name, byte: offset & 15 });
    else if (is_flags_field(offset)) {
      this.flags.make_raw();
      this.flags.push_field(offset, s.op.name);
      this.c.set(this.result(s.result));
    } else this.load_field(s.result, s.op.name, offset, s.dynamic);
  }

  private load_field(result: Value, op: string, offset: number, dynamic: Value | null): void {
    if (result.uses === 0) return;
    this.field_address(dynamic);
    this.c.op(op, offset).set(this.result(result));
  }

  private write_field(s: Extract<Statement, { kind: 'cpu_store' }>): void {
    const { offset } = s;
    if (s.dynamic === null && gpr_of(offset) >= 0) this.write_gpr(gpr_of(offset), s.op.name, offset & 7, s.value);
    else if (s.dynamic === null && xmm_of(offset) >= 0) this.write_xmm(xmm_of(offset), s.op.name, offset & 15, s.value);
    else if (is_flags_field(offset)) {
      if (!this.insn.live_flags) return;
      this.push(s.value);
      this.flags.store_field(offset);
    } else this.store_field(s.op.name, offset, s.dynamic, s.value);
  }

  private store_field(op: string, offset: number, dynamic: Value | null, value: Value): void {
    this.assumptions.forget_controls();
    this.field_address(dynamic);
    this.push(value);
    this.c.op(op, offset);
  }

  private field_address(dynamic: Value | null): void {
    this.c.get(CPU);
    if (dynamic === null) return;
    this.push(dynamic);
    this.c.op('i32.add');
  }

  private write_gpr(reg: number, op: string, byte: number, value: Value): void {
    store_gpr(this.frame, reg, op, byte, () => this.push(value), this.nesting > 0);
    if (op === 'i64.store' && this.nesting === 0 && this.is_narrow(value)) this.frame.narrow.add(reg);
  }

  private write_xmm(reg: number, op: string, byte: number, value: Value): void {
    this.store_xmm(reg, op, byte, value);
    const bound = this.bound_of(value);
    const [whole, low] = [op === 'v128.store', op === 'i64.store' && byte === 0];
    const same = bound?.kind === 'xmm' && bound.byte === 0 && bound.op === (whole ? 'v128.load' : 'i64.load');
    this.assumptions.wrote(reg, same && (whole || low) ? bound.reg : -1, whole);
  }

  private store_xmm(reg: number, op: string, byte: number, value: Value): void {
    // A double that came from a lane goes back to one without a way through an integer.
    if (op === 'i64.store' && value.kind === 'op' && value.uses < 2 && value.op!.name === 'i64.reinterpret_f64')
      store_xmm(this.frame, reg, 'f64.store', byte, () => this.push(value.args[0] as Value));
    else store_xmm(this.frame, reg, op, byte, () => this.push(value));
  }

  // Flags

  private flags_statement(s: Statement): void {
    if (s.kind === 'lazy_flags') {
      if (!this.insn.live_flags || keeps_flags(s, this.insn)) return;
      this.flags.set(
        s.op,
        s.size,
        s.args.map((arg) => () => this.push(arg)),
      );
      if (this.nesting > 0) this.flags.make_raw();
    } else if (s.kind === 'flag') {
      this.flags.push_flag(s.name);
      this.c.set(this.result(s.result));
    } else if (s.kind === 'condition') {
      this.flags.push_condition(s.code);
      this.c.set(this.result(s.result));
    }
  }

  // Leaving

  private exit_statement(s: Statement): void {
    const c = this.c;
    if (s.kind !== 'raise') this.assumptions.forget_controls();
    switch (s.kind) {
      case 'raise':
        if (this.insn.run !== null) {
          this.assumptions.give_up();
          return;
        }
        c.get(VCPU).i32(s.vector).op('i32.store', Vcpu.exception.offset);
        this.leave(LEAVE_EXCEPTION, s.behind);
        return;
      case 'helper':
        this.push_with_cpu(s.args);
        this.frame.call_helper(s.name);
        if (s.result !== null) c.set(this.result(s.result));
        return;
      case 'helper_raise': {
        const vector = this.temporary('i32');
        this.push_with_cpu(s.args);
        this.frame.call_helper(s.name).tee(vector).i32(0).op('i32.ge_s').open_if_unlikely();
        c.get(VCPU).get(vector).op('i32.store', Vcpu.exception.offset);
        this.leave(LEAVE_EXCEPTION);
        c.end();
        return;
      }
      case 'call':
        this.push_with_cpu(s.args);
        this.frame.call_routine(s.routine);
        if (s.result !== null) c.set(this.result(s.result));
        return;
      case 'branch':
        return this.on_branch(s.condition);
      case 'jump':
        return this.on_jump(s.target);
      case 'syscall':
        return this.on_syscall();
    }
  }

  /** Pushes the register record and arguments. */
  private push_with_cpu(args: readonly Value[]): void {
    this.c.get(CPU);
    for (const arg of args) this.push(arg);
  }

  /** Leaves the region at the instruction, or behind it, with everything as it was before it. */
  private leave(reason: number, behind = false): void {
    const { insn, frame } = this;
    frame.leave(behind ? insn.next : insn.rip, reason, this.retired + (behind ? 1 : 0), this.flags);
  }
}
