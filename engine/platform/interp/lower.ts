/**
 * From the IR of one instruction form to the body of its handler (or of a routine): operands are offsets in the
 * decoded record, registers live in the register record, the last act is the tail call of the next handler.
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { ACCESS_READ, ACCESS_WRITE, Vcpu } from '../../machine/vcpu.layout.ts';
import type { Code, FunctionRef, Label } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import type { Form, Ir, Leaf, Routine, Value } from '../../x86/ir.ts';
import type { Statement } from '../../x86/statement.ts';
import {
  AHEAD,
  CPU,
  dispatch,
  dispatch_ahead,
  FUEL,
  HANDLER_PARAMS,
  OP,
  push_ahead,
  push_boundary,
  push_is_hot,
  push_next_rip,
  push_rip,
  retire,
  VCPU,
} from './dispatch.ts';
import {
  RECORD_BASE,
  RECORD_DISPLACEMENT,
  RECORD_FIRST,
  RECORD_IMMEDIATE,
  RECORD_INDEX,
  RECORD_LINK,
  RECORD_POSITION,
  RECORD_SCALE,
  RECORD_SECOND,
  RECORD_SIZE,
} from './record.ts';
import { type Shared, TLB_ADDEND, TLB_MASK, TLB_READ, TLB_SHIFT, TLB_WRITE } from './shared.ts';

/** Where helpers and routines are found. */
export interface Callees {
  helper(name: string): FunctionRef;
  routine(routine: Routine): FunctionRef;
}

export interface LowerOptions {
  readonly shared: Shared;
  readonly callees: Callees;
  /** Null for a routine. */
  readonly form: Form | null;
  /** The memory operand has an index register. */
  readonly indexed: boolean;
  /** The branch belongs to the record behind this one. */
  readonly fused?: boolean;
}

export class Lower {
  private readonly c: Code;
  private readonly options: LowerOptions;
  private readonly shared: Shared;
  private readonly cpu: number;
  private base = 0;
  private readonly loops = new Map<number, { again: Label; out: Label }>();
  private locks: Label[] = [];
  private readonly temporaries = new Map<string, number>();

  constructor(code: Code, options: LowerOptions) {
    this.c = code;
    this.options = options;
    this.shared = options.shared;
    this.cpu = options.form === null ? 0 : CPU;
  }

  /** Emits a whole handler. */
  handler(ir: Ir): void {
    this.declare_locals(ir);
    this.statements(ir.body);
    assert(this.locks.length === 0, 'a LOCK sequence is not closed');
    if (!ends(ir.body)) this.next();
  }

  /** Emits a routine that returns `result`. */
  routine(ir: Ir, result: Value | undefined): void {
    this.declare_locals(ir);
    this.statements(ir.body);
    if (result !== undefined) this.value(result);
  }

  private declare_locals(ir: Ir): void {
    // Routine parameters are the first IR locals: see `generate.ts`.
    const params = this.options.form === null ? 1 : HANDLER_PARAMS.length;
    this.base = params;
    const given = this.options.form === null ? this.parameter_count : 0;
    for (const type of ir.locals.slice(given)) this.c.local(type);
  }

  /** Parameters of the routine, already locals of the function. */
  parameter_count = 0;

  private temporary(name: string, type: ValueType): number {
    let local = this.temporaries.get(name);
    if (local === undefined) {
      local = this.c.local(type);
      this.temporaries.set(name, local);
    }
    return local;
  }

  private local_of(value: Value): number {
    return value.kind === 'local' ? this.base + value.local : value.local;
  }

  private next(): void {
    dispatch_ahead(this.c, this.shared.handler_type);
  }

  private tail(target: FunctionRef): void {
    this.c.get(OP).get(CPU).get(VCPU).get(FUEL).get(AHEAD).return_call(target);
  }

  /** The kernel was asked: code may have changed. */
  private read_ahead(): void {
    push_ahead(this.c, OP);
    this.c.set(AHEAD);
  }

  // Values

  private value(v: Value): void {
    const c = this.c;
    if (v.kind === 'const') this.constant(v);
    else if (v.kind === 'leaf') this.leaf(v.leaf as Leaf);
    else if (v.kind === 'local' || v.local >= 0) c.get(this.local_of(v));
    else this.operation(v);
  }

  private operation(v: Value): void {
    const c = this.c;
    const op = v.op!;
    for (const arg of v.args) this.value(arg);
    if (op.name === 'select') {
      if (v.type === 'v128') c.select_typed('v128');
      else c.select();
    } else if (v.lanes.length > 0) c.lanes(op, v.lanes);
    else c.op(op);
  }

  private constant(v: Value): void {
    const c = this.c;
    if (v.type === 'i32') c.i32(v.constant as number);
    else if (v.type === 'i64') c.i64(v.constant);
    else if (v.type === 'f32') c.f32(v.constant as number);
    else if (v.type === 'f64') c.f64(v.constant as number);
    else c.v128(v.constant as bigint);
  }

  private has_memory(): boolean {
    return this.options.form!.operands.some((operand) => operand.kind === 'mem');
  }

  private leaf(leaf: Leaf): void {
    const c = this.c;
    if (leaf === 'rip') push_rip(c);
    else if (leaf === 'next_rip') push_next_rip(c);
    else if (leaf === 'target') c.get(OP).op('i64.load', RECORD_DISPLACEMENT);
    else if (leaf === 'imm2') c.get(OP).op('i64.load32_u', RECORD_IMMEDIATE);
    else if (leaf === 'segment_base') c.get(CPU).get(OP).op('i32.load16_u', RECORD_INDEX).op('i32.add').op('i64.load');
    else if (this.has_memory()) c.get(OP).op('i64.load32_s', RECORD_IMMEDIATE);
    else c.get(OP).op('i64.load', RECORD_DISPLACEMENT);
  }

  // Statements

  private statements(list: readonly Statement[]): void {
    for (const statement of list) this.statement(statement);
  }

  private statement(s: Statement): void {
    switch (s.kind) {
      case 'let':
        return this.let(s.value);
      case 'set':
        this.value(s.value);
        this.c.set(this.base + s.variable.local);
        return;
      case 'copy':
        this.c.get(this.base + s.variable.local).set(this.local_of(s.result));
        return;
      case 'if':
        this.value(s.condition);
        this.c.if();
        this.statements(s.body);
        if (s.otherwise.length > 0) {
          this.c.else();
          this.statements(s.otherwise);
        }
        this.c.end();
        return;
      case 'loop':
        return this.loop(s.id, s.body);
      case 'continue':
      case 'break':
        return this.loop_jump(s.kind, s.id, s.condition);
      default:
        return this.state_statement(s);
    }
  }

  private state_statement(s: Statement): void {
    switch (s.kind) {
      case 'read_register':
      case 'write_register':
      case 'register_number':
      case 'cpu_load':
      case 'cpu_store':
        return this.register_statement(s);
      case 'address':
      case 'load':
      case 'store':
      case 'resolve':
      case 'raw_load':
      case 'raw_store':
      case 'raw_bulk':
      case 'lock_begin':
      case 'lock_end':
      case 'swap_16':
      case 'fence':
        return this.memory_statement(s);
      default:
        return this.exit_statement(s);
    }
  }

  /** A pure value is stored where it was made if it is used more than once, else computed where it is used. */
  private let(v: Value): void {
    if (v.uses < 2) return;
    this.operation(v);
    v.local = this.c.local(v.type);
    this.c.set(v.local);
  }

  private loop(id: number, body: readonly Statement[]): void {
    const out = this.c.block();
    const again = this.c.loop();
    this.loops.set(id, { again, out });
    this.statements(body);
    this.c.end();
    this.c.end();
  }

  private loop_jump(kind: 'continue' | 'break', id: number, condition: Value | null): void {
    const { again, out } = this.loops.get(id)!;
    const label = kind === 'continue' ? again : out;
    if (condition === null) {
      this.c.br(label);
      return;
    }
    this.value(condition);
    this.c.br_if(label);
  }

  // Registers

  /** Pushes the address to which `offset` must be added: of a register operand's place. */
  private place(operand: number): number {
    const form = this.options.form!;
    const registers = form.operands.map((_, i) => i).filter((i) => form.operands[i]!.kind === 'reg');
    const slot = registers.indexOf(operand);
    if (slot < 2) {
      this.c
        .get(CPU)
        .get(OP)
        .op('i32.load16_u', slot === 0 ? RECORD_FIRST : RECORD_SECOND)
        .op('i32.add');
      return 0;
    }
    const fixed = form.row.operands[operand]!.fixed!;
    const { cls } = form.operands[operand]!;
    assert(cls === 'xmm' || cls === 'gpr', 'a third register operand is a fixed one');
    this.c.get(CPU);
    return cls === 'xmm' ? CpuState.xmm.offset + fixed * 16 : CpuState.gpr.offset + fixed * 8;
  }

  private register_statement(s: Statement): void {
    const c = this.c;
    if (s.kind === 'read_register') {
      if (s.result.uses === 0) return;
      const offset = this.place(s.operand);
      c.op(s.op, offset + s.lane_offset).set(this.local_of(s.result));
    } else if (s.kind === 'write_register') {
      const offset = this.place(s.operand);
      this.value(s.value);
      c.op(s.op, offset + s.lane_offset);
    } else if (s.kind === 'register_number') {
      const form = this.options.form!;
      const before = form.operands.slice(0, s.operand).filter((operand) => operand.kind === 'reg').length;
      c.get(OP)
        .op('i32.load16_u', before === 0 ? RECORD_FIRST : RECORD_SECOND)
        .set(this.local_of(s.result));
    } else if (s.kind === 'cpu_load') {
      if (s.result.uses === 0) return;
      this.field_address(s.dynamic);
      c.op(s.op, s.offset).set(this.local_of(s.result));
    } else if (s.kind === 'cpu_store') {
      this.field_address(s.dynamic);
      this.value(s.value);
      c.op(s.op, s.offset);
    }
  }

  private field_address(dynamic: Value | null): void {
    this.c.get(this.cpu);
    if (dynamic === null) return;
    this.value(dynamic);
    this.c.op('i32.add');
  }

  // Guest memory

  private memory_statement(s: Statement): void {
    const c = this.c;
    switch (s.kind) {
      case 'address':
        this.effective_address();
        c.set(this.local_of(s.result));
        return;
      case 'load':
        this.translate(this.in_local(s.address), s.size, false);
        c.op(s.op).set(this.local_of(s.result));
        return;
      case 'store':
        return this.store(s);
      case 'resolve':
        this.translate(this.in_local(s.address), s.size, s.write);
        c.set(this.local_of(s.result));
        return;
      case 'raw_load':
        this.value(s.pointer);
        c.op(s.op).set(this.local_of(s.result));
        return;
      case 'raw_store':
        this.value(s.pointer);
        this.value(s.value);
        c.op(s.op);
        return this.commit_if_split(s.pointer, s.size);
      case 'raw_bulk':
        for (const arg of s.args) this.value(arg);
        c.op(s.op);
        return;
      case 'lock_begin':
        this.locks.push(c.loop());
        this.value(s.pointer);
        c.op(s.size === 8 ? 'i64.load' : `i64.load${s.size * 8}_u`).set(this.local_of(s.result));
        return;
      case 'lock_end':
        return this.lock_end(s.pointer, s.size, s.expected, s.value);
      case 'swap_16':
        c.get(CPU);
        this.value(s.pointer);
        c.call(this.shared.swap_16).set(this.local_of(s.result));
        return;
      case 'fence':
        c.fence();
        return;
    }
  }

  private lock_end(pointer: Value, size: number, expected: Value, value: Value): void {
    const c = this.c;
    const label = this.locks.pop();
    assert(label !== undefined, 'LOCK: write before read');
    c.get(VCPU);
    this.value(pointer);
    this.value(expected);
    this.value(value);
    c.call(this.shared.cas[size]!).op('i32.eqz').br_if(label);
    c.end();
  }

  private effective_address(): void {
    const c = this.c;
    c.get(CPU).get(OP).op('i32.load16_u', RECORD_BASE).op('i32.add').op('i64.load');
    if (this.options.indexed) {
      c.get(CPU).get(OP).op('i32.load16_u', RECORD_INDEX).op('i32.add').op('i64.load');
      c.get(OP).op('i64.load8_u', RECORD_SCALE).op('i64.shl').op('i64.add');
    }
    c.get(OP).op('i64.load', RECORD_DISPLACEMENT).op('i64.add');
  }

  /** A local that holds the value. */
  private in_local(v: Value): number {
    if (v.kind === 'local' || (v.kind === 'op' && v.local >= 0)) return this.local_of(v);
    const local = this.c.local(v.type);
    this.value(v);
    this.c.set(local);
    return local;
  }

  /** Pushes the TLB entry's address, then compares tag and page: leaves `miss` (i32) on the stack. */
  private tlb_miss(address: number, size: number, write: boolean): number {
    const c = this.c;
    const entry = this.temporary('entry', 'i32');
    c.get(address)
      .op('i32.wrap_i64')
      .i32(TLB_SHIFT)
      .op('i32.shr_u')
      .i32(TLB_MASK)
      .op('i32.and')
      .get(VCPU)
      .op('i32.add');
    c.tee(entry).op('i64.load', write ? TLB_WRITE : TLB_READ);
    c.get(address);
    if (size > 1) c.i64(size - 1).op('i64.add');
    c.i64(~0xfffn).op('i64.and').op('i64.ne');
    return entry;
  }

  private slow_pointer(address: number, size: number, write: boolean): void {
    const c = this.c;
    const pointer = this.temporary('pointer', 'i32');
    c.get(VCPU)
      .get(address)
      .i32(size)
      .i32(write ? ACCESS_WRITE : ACCESS_READ)
      .call(this.shared.resolve);
    c.tee(pointer).op('i32.eqz').open_if_unlikely();
    this.tail(this.shared.fault);
    c.end();
    this.read_ahead();
  }

  /** Pushes the machine address of guest bytes, leaving by a fault when there is none. */
  private translate(address: number, size: number, write: boolean): void {
    const c = this.c;
    const entry = this.tlb_miss(address, size, write);
    c.if_unlikely('i32');
    this.slow_pointer(address, size, write);
    c.get(this.temporary('pointer', 'i32'));
    c.else();
    c.get(address).op('i32.wrap_i64').get(entry).op('i32.load', TLB_ADDEND).op('i32.add');
    c.end();
  }

  private store(s: Extract<Statement, { kind: 'store' }>): void {
    const c = this.c;
    const address = this.in_local(s.address);
    const value = s.value.kind === 'const' ? -1 : this.in_local(s.value);
    const push = (): void => {
      if (value < 0) this.value(s.value);
      else c.get(value);
    };
    const entry = this.tlb_miss(address, s.size, true);
    c.if_unlikely();
    this.slow_pointer(address, s.size, true);
    const pointer = this.temporary('pointer', 'i32');
    c.get(pointer);
    push();
    c.op(s.op);
    if (s.size > 1) {
      this.push_is_bounce(pointer);
      c.open_if().get(VCPU).i32(s.size).call(this.shared.commit).end();
    }
    c.else();
    c.get(address).op('i32.wrap_i64').get(entry).op('i32.load', TLB_ADDEND).op('i32.add');
    push();
    c.op(s.op);
    c.end();
  }

  private push_is_bounce(pointer: number): void {
    this.c.get(pointer).get(VCPU).i32(Vcpu.bounce.offset).op('i32.add').op('i32.eq');
  }

  private commit_if_split(pointer: Value, size: number): void {
    if (size <= 1) return;
    this.push_is_bounce(this.in_local(pointer));
    this.c.open_if_unlikely().get(VCPU).i32(size).call(this.shared.commit).end();
  }

  // Leaving the handler

  private exit_statement(s: Statement): void {
    const c = this.c;
    switch (s.kind) {
      case 'raise':
        c.get(VCPU).i32(s.vector).op('i32.store', Vcpu.exception.offset);
        return this.tail(s.behind ? this.shared.exception_behind : this.shared.exception);
      case 'helper':
        this.call_with_cpu(this.options.callees.helper(s.name), s.args);
        if (s.result !== null) c.set(this.local_of(s.result));
        return;
      case 'helper_raise':
        return this.helper_raise(s.name, s.args);
      case 'call':
        this.call_with_cpu(this.options.callees.routine(s.routine), s.args);
        if (s.result !== null) c.set(this.local_of(s.result));
        return;
      case 'branch':
        return this.branch(s.condition);
      case 'jump': {
        const target = this.in_local(s.target);
        retire(c, 1);
        const by_jump = this.options.form?.row.semantics === 'jmp';
        c.get(CPU)
          .get(VCPU)
          .get(FUEL)
          .get(target)
          .return_call(by_jump ? this.shared.switch : this.shared.jump);
        return;
      }
      case 'repeat':
        return this.tail(this.shared.repeat);
      case 'syscall':
        return this.tail(this.shared.syscall);
      default:
        assert(false, `statement ${s.kind} is not lowered`);
    }
  }

  private call_with_cpu(target: FunctionRef, args: readonly Value[]): void {
    this.c.get(this.cpu);
    for (const arg of args) this.value(arg);
    this.c.call(target);
  }

  private helper_raise(name: string, args: readonly Value[]): void {
    const c = this.c;
    const vector = this.temporary('vector', 'i32');
    this.call_with_cpu(this.options.callees.helper(name), args);
    c.tee(vector).i32(0).op('i32.ge_s').open_if_unlikely();
    c.get(VCPU).get(vector).op('i32.store', Vcpu.exception.offset);
    this.tail(this.shared.exception);
    c.end();
  }

  private branch(condition: Value | null): void {
    const c = this.c;
    if (condition === null) {
      retire(c, 1);
      this.taken();
      return;
    }
    this.value(condition);
    if (this.options.fused === true) {
      c.get(OP).i32(RECORD_SIZE).op('i32.add').set(OP);
      this.read_ahead();
    }
    retire(c, 1);
    c.if();
    this.taken();
    c.end();
    push_boundary(c);
    c.open_if_unlikely();
    this.tail(this.shared.next);
    c.end();
    this.next();
  }

  /** Goes to the linked record, if there is one and no reason to leave. */
  private taken(): void {
    const c = this.c;
    const next = this.temporary('next', 'i32');
    c.get(OP).op('i32.load', RECORD_LINK).tee(next).op('i32.eqz');
    push_boundary(c);
    c.op('i32.or').open_if_unlikely();
    this.tail(this.shared.taken);
    c.end();
    c.get(FUEL).get(next).op('i32.load8_u', RECORD_POSITION).op('i32.add').set(FUEL);
    c.get(next).set(OP);
    push_is_hot(c, OP, next);
    c.open_if_unlikely();
    this.tail(this.shared.warm);
    c.end();
    dispatch(c, this.shared.handler_type);
  }
}

/** Whether control never reaches the end of the list. */
function ends(list: readonly Statement[]): boolean {
  const last = list.at(-1);
  if (last === undefined) return false;
  if (last.kind === 'if') return ends(last.body) && ends(last.otherwise);
  return ['raise', 'branch', 'jump', 'repeat', 'syscall'].includes(last.kind);
}
