/**
 * From the IR of an instruction to code of a region: general and xmm registers are locals, constants are folded, flags
 * are kept as an operation and its operands (`flag_state.ts`), and whatever can fault leaves by a cold path with the
 * state that the instruction began with.
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { ACCESS_READ, ACCESS_WRITE, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Label } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { SEGMENT_FS } from '../../x86/instruction.ts';
import type { Value } from '../../x86/ir.ts';
import type { Statement } from '../../x86/statement.ts';
import { CPU, VCPU } from '../interp/dispatch.ts';
import { ACCESS_POINT_SHIFT, ACCESS_SIZE_SHIFT, LEAVE_EXCEPTION, WINDOW_READS } from '../interp/leave.ts';
import { TLB_ADDEND, TLB_MASK, TLB_READ, TLB_SHIFT, TLB_WRITE } from '../interp/shared.ts';
import { Assumptions } from './assumptions.ts';
import { FlagState } from './flag_state.ts';
import { is_idle, keeps_flags } from './flow.ts';
import type { Frame } from './frame.ts';
import { push_gpr, push_xmm, store_gpr, store_xmm } from './registers.ts';
import { begins_at } from './runs.ts';
import { gpr_of, is_flags_field, touches_flags, xmm_of } from './template.ts';
import { type Bound, Values } from './values.ts';
import type { WindowUse, WindowUses } from './windows.ts';

/** Lowers the instructions of a region, one after the other. */
export class Lower extends Values {
  readonly flags: FlagState;
  readonly assumptions: Assumptions;
  private nesting = 0;
  private locks: Label[] = [];
  /** The instruction's beginning, if it is repeated, and its loops. */
  private again: Label | null = null;
  private readonly loops = new Map<number, { again: Label; out: Label }>();
  private readonly windows: WindowUses;
  /** Pointers of the instruction that lie in a window. */
  private readonly whole = new Set<Value>();
  /** What ends the block. */
  private on_branch: (condition: Value | null) => void = () => {};
  private on_jump: (target: Value) => void = () => {};
  private on_syscall: () => void = () => {};
  private on_repeat: () => void = () => {};

  /** Whether the instruction at an address calls the runtime where the TLB lacks a page, and does not give up. */
  private readonly resolves: (rip: number) => boolean;

  constructor(frame: Frame, windows: WindowUses, resolves: (rip: number) => boolean) {
    super(frame);
    this.windows = windows;
    this.resolves = resolves;
    this.flags = new FlagState(frame);
    this.assumptions = new Assumptions(frame);
  }

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
    this.whole.clear();
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
    let known = 0;
    for (const { check } of this.windows.get(this.insn)?.values() ?? []) if (check === null) known++;
    return known < accesses;
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

  // Guest memory

  private memory_statement(s: Statement): void {
    const c = this.c;
    // With 32-bit addresses registers change before the first access.
    if (this.again !== null && (s.kind === 'load' || s.kind === 'store' || s.kind === 'resolve'))
      this.frame.store_registers();
    switch (s.kind) {
      case 'address':
        return this.effective_address(s.result);
      case 'load': {
        const use = this.window_use(s);
        if (use !== undefined) this.in_window(use, s.address, false);
        else this.translate(this.in_local(s.address), s.size, false);
        c.op(s.op, use?.offset).set(this.result(s.result));
        return;
      }
      case 'store':
        return this.store(s);
      case 'resolve':
        return this.resolve(s);
      case 'raw_load':
        this.push(s.pointer);
        c.op(s.op).set(this.result(s.result));
        return;
      case 'raw_store':
        this.push(s.pointer);
        this.push(s.value);
        c.op(s.op);
        if (!this.whole.has(s.pointer)) this.commit_if_split(s.pointer, s.size);
        return;
      case 'raw_bulk':
        for (const arg of s.args) this.push(arg);
        c.op(s.op);
        return;
      case 'lock_begin':
        this.locks.push(c.loop());
        this.push(s.pointer);
        c.op(s.size === 8 ? 'i64.load' : `i64.load${s.size * 8}_u`).set(this.result(s.result));
        return;
      case 'lock_end':
        return this.lock_end(s);
      case 'fence':
        c.fence();
        return;
      default:
        assert(false, `statement ${s.kind} is not translated`);
    }
  }

  private lock_end(s: Extract<Statement, { kind: 'lock_end' }>): void {
    this.c.get(VCPU);
    this.push(s.pointer);
    this.push(s.expected);
    this.push(s.value);
    this.frame.call(`cas${s.size * 8}`);
    this.c.op('i32.eqz').br_if(this.locks.pop() as Label);
    this.c.end();
  }

  private effective_address(result: Value): void {
    const { c, insn } = this;
    if (result.uses === 1 && this.needs_no_address(result)) return;
    const narrow = insn.address_size === 4;
    let terms = 0;
    const add = (): void => {
      if (terms++ > 0) c.op('i64.add');
    };
    if (insn.base >= 0) {
      c.get(this.frame.gpr(insn.base));
      add();
    }
    if (insn.index >= 0) {
      c.get(this.frame.gpr(insn.index));
      if (insn.scale > 0) c.i64(insn.scale).op('i64.shl');
      add();
    }
    const displacement = insn.rip_relative ? BigInt(insn.next) + insn.displacement : insn.displacement;
    if (displacement !== 0n || terms === 0) {
      c.i64(BigInt.asIntN(64, displacement));
      add();
    }
    if (narrow) c.i64(0xffff_ffffn).op('i64.and');
    if (insn.segment >= 0) {
      c.get(CPU).op('i64.load', (insn.segment === SEGMENT_FS ? CpuState.fs_base : CpuState.gs_base).offset);
      c.op('i64.add');
    }
    c.set(this.result(result));
  }

  private window_use(s: Statement): WindowUse | undefined {
    return this.windows.get(this.insn)?.get(s);
  }

  /** Whether an address is used by nothing but an access to a window that is known. */
  private needs_no_address(address: Value): boolean {
    for (const [s, use] of this.windows.get(this.insn) ?? [])
      if (use.check === null && (s as { address?: Value }).address === address) return true;
    return false;
  }

  /** Pushes the machine address of a window; the access in it is to `address`. */
  private in_window({ window, offset, check }: WindowUse, address: Value, writes: boolean): void {
    const { c, frame } = this;
    const host = frame.window(window.id);
    if (check === null) {
      c.get(host);
      return;
    }
    let low = this.in_local(address);
    if (offset > 0) {
      c.get(low).i64(offset).op('i64.sub');
      low = this.temporary('i64');
      c.set(low);
    }
    const write = check === 'write';
    const entry = this.tlb_miss(low, window.span, write);
    if (this.resolves(begins_at(this.insn))) {
      c.if_unlikely();
      c.get(VCPU).get(low).i32(this.access_word(window.span, write));
      c.i32(write && !writes ? offset | WINDOW_READS : offset);
      frame.call('window').tee(host);
      frame.give_up_if_zero();
      c.else();
      this.push_host(low, entry);
      c.set(host).end();
    } else {
      frame.give_up_if_missed(this.point());
      this.push_host(low, entry);
      c.set(host);
    }
    c.get(host);
  }

  private resolve(s: Extract<Statement, { kind: 'resolve' }>): void {
    const { c } = this;
    const use = this.window_use(s);
    if (use !== undefined) {
      this.in_window(use, s.address, s.write);
      if (use.offset > 0) c.i32(use.offset).op('i32.add');
      this.whole.add(s.result);
    } else this.translate(this.in_local(s.address), s.size, s.write);
    c.set(this.result(s.result));
  }

  /** Pushes whether the TLB misses; answers the local with the entry's address. */
  private tlb_miss(address: number, size: number, write: boolean): number {
    const c = this.c;
    const entry = this.temporary('i32');
    c.get(address).op('i32.wrap_i64').i32(TLB_SHIFT).op('i32.shr_u').i32(TLB_MASK).op('i32.and');
    c.get(VCPU)
      .op('i32.add')
      .tee(entry)
      .op('i64.load', write ? TLB_WRITE : TLB_READ);
    c.get(address);
    if (size > 1) c.i64(size - 1).op('i64.add');
    c.i64(~0xfffn).op('i64.and').op('i64.ne');
    return entry;
  }

  /** Pushes the machine address that a TLB entry has for a guest address. */
  private push_host(address: number, entry: number): void {
    this.c.get(address).op('i32.wrap_i64').get(entry).op('i32.load', TLB_ADDEND).op('i32.add');
  }

  /** Resolves an access beyond the TLB into a local, or leaves. */
  private slow_pointer(address: number, size: number, write: boolean): number {
    const { c, frame } = this;
    const pointer = this.temporary('i32');
    c.get(VCPU).get(address).i32(this.access_word(size, write));
    frame.call('access').tee(pointer);
    frame.give_up_if_zero();
    return pointer;
  }

  /** Where the region may give the instruction up. */
  private point(): number {
    const { run, rip } = this.insn;
    return run !== null ? this.assumptions.point : this.frame.point(rip, this.retired, this.flags);
  }

  /** What an access is, and where the region may give it up. */
  private access_word(size: number, write: boolean): number {
    return (this.point() << ACCESS_POINT_SHIFT) | (size << ACCESS_SIZE_SHIFT) | (write ? ACCESS_WRITE : ACCESS_READ);
  }

  /** Pushes the machine address of guest bytes. */
  private translate(address: number, size: number, write: boolean): void {
    const c = this.c;
    const entry = this.tlb_miss(address, size, write);
    if (!this.resolves(begins_at(this.insn))) {
      this.frame.give_up_if_missed(this.point());
      this.push_host(address, entry);
      return;
    }
    c.if_unlikely('i32');
    c.get(this.slow_pointer(address, size, write));
    c.else();
    this.push_host(address, entry);
    c.end();
  }

  private store(s: Extract<Statement, { kind: 'store' }>): void {
    const c = this.c;
    const use = this.window_use(s);
    const value = this.constant(s.value) === undefined ? this.in_local(s.value) : -1;
    const push = (): void => {
      if (value < 0) this.push(s.value);
      else c.get(value);
    };
    if (use !== undefined) {
      this.in_window(use, s.address, true);
      push();
      c.op(s.op, use.offset);
      return;
    }
    const address = this.in_local(s.address);
    const entry = this.tlb_miss(address, s.size, true);
    if (!this.resolves(begins_at(this.insn))) {
      this.frame.give_up_if_missed(this.point());
      this.push_host(address, entry);
      push();
      c.op(s.op);
      return;
    }
    c.if_unlikely();
    const pointer = this.slow_pointer(address, s.size, true);
    c.get(pointer);
    push();
    c.op(s.op);
    if (s.size > 1) {
      c.get(VCPU).get(pointer).i32(s.size);
      this.frame.call('stored');
    }
    c.else();
    this.push_host(address, entry);
    push();
    c.op(s.op);
    c.end();
  }

  /** Behind a store through a pointer of any origin. */
  private commit_if_split(pointer: Value, size: number): void {
    if (size === 1 || !this.resolves(begins_at(this.insn))) return;
    const { c } = this;
    const local = this.in_local(pointer);
    c.get(VCPU).i32(Vcpu.bounce.offset).op('i32.add').get(local).op('i32.eq').open_if_unlikely();
    c.get(VCPU).get(local).i32(size);
    this.frame.call('stored').end();
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

  /** A temporary that holds the value, or the register's local. */
  protected in_local(v: Value): number {
    const known = this.local_of(v);
    if (known >= 0) return known;
    const type: ValueType = v.type;
    const local = this.temporary(type);
    this.push(v);
    this.c.set(local);
    return local;
  }
}
