/**
 * The IR of one instruction, and how a semantics function is written.
 *
 * A semantics function gets an `Ir` and says what its instruction does:
 *
 *     const add = (ir: Ir): void => {
 *       const a = ir.read(0);                      // operand 0, zero-extended to i64
 *       const b = ir.read(1);
 *       const sum = ir.op('i64.add', a, b);        // any pure WebAssembly operation, by name
 *       ir.write(0, sum);                          // low bytes; a 32-bit register write clears bits 32-63
 *       flags_add(ir, a, b, sum, ir.size);         // x86/flags.ts
 *     };
 *
 * It runs when code is generated, once for each form (`ir.form`: operand kinds and sizes, LOCK, REP are known
 * then; register numbers, displacements and immediates are not known to the interpreter). The same function
 * serves the translator. Register it in a family (`semantics/*.ts`) under `Row.semantics`.
 *
 * Values are i32, i64, f32, f64 or v128, immutable, and may be used any number of times (a value used twice is
 * computed once, where it was made). They may not be used outside the `if` or `loop` body they were made in;
 * what must outlive it goes into a `variable`. An operand is read as the type you name:
 *
 *     ir.read(i)           i64, zero-extended from the operand's size: gpr, mm, memory, low bytes of an xmm
 *     ir.read_signed(i)    i64, sign-extended; immediates are sign-extended in both
 *     ir.read_as(i, 'v128')  whole xmm register or 16 bytes of memory; a memory operand of 4 or 8 bytes is
 *                            loaded into the low lane, the rest zero
 *     ir.read_as(i, 'f32' | 'f64')  low lane of an xmm register, or memory of that size
 *     ir.write(i, value)   memory, or the register's low bytes by the operand's size: a value of 4 or 8 bytes
 *                          leaves the rest of an xmm register alone, a v128 replaces it all
 *
 * Precise faults: every memory access that can fault comes before the first commit (a change of a register,
 * flag, CPU field or memory that the guest could see). Reading an operand whose access is 'rw' resolves it for
 * writing, so its later `write` cannot fault; `write` of a memory operand that was not read that way may, so
 * it comes before other commits. An instruction with several stores calls `probe_write` for all of them first.
 *
 * Exceptions: `raise_if(condition, vector)` before the first commit: VECTOR_DE, _UD, _GP, _MF, _XM ...
 * (fault class: RIP stays at the instruction).
 *
 * Implied memory (string instructions, maskmov) adds `ir.segment_base()` to its address, and honours
 * `ir.form.address_size`. x87 stack registers: `ir.register_number(i)` and `cpu_load` with a dynamic index.
 *
 * CPU state other than operands: `gpr`/`set_gpr` (by number), `cpu_load`/`cpu_store` with a load or store
 * operation and a field offset, e.g. `ir.cpu_load('i32.load', CpuState.mxcsr.offset)`. An index computed at
 * run time (`dynamic`) may only address `st` and `scratch`: the translator keeps the rest in locals.
 *
 * Shared code: `call(routine, ...)` calls a WebAssembly function written in this IR (see `Routine`); it may not
 * touch operands or guest memory, raise, or branch. Further results go through CpuState.scratch.
 * Rare things: `helper(name, ...)` calls a JavaScript function of `helpers.ts` with the register record and
 * i32 or f64 arguments; 64-bit and vector data go through CpuState.scratch. Lazy flags are fields like others.
 *
 * The translator keeps flags lazy itself: it builds with `lazy` set, and then x86/flags.ts leaves `lazy_flags`, `flag`
 * and `condition` statements instead of loads and stores of the two fields.
 *
 * With `assumption` set, SSE arithmetic is built without what its rare cases need (`semantics/float_assumed.ts`): it
 * says by `assume` what must hold of its numbers, and whoever lowers the IR sees to it that the instruction counts as
 * not begun where it does not.
 *
 * LOCK: between `read(0)` and `write(0, ...)` of a locked form there may be only pure values and reads: the
 * stretch becomes a compare-and-swap loop. Commit flags after `write`.
 */
import { assert } from '../base/assert.ts';
import { CpuState, RSP } from '../machine/cpu.layout.ts';
import { type ValueType, type WasmOp, wasm_op } from '../wasm/opcodes.ts';
import { LOAD_U64, load_name, STORE_64, store_name } from './access_names.ts';
import { ATTR_ALIGNED, type RegisterClass, type Row } from './instruction.ts';
import type { AssumedOf, Assumption, Known, Statement } from './statement.ts';

export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_BP = 3;
export const VECTOR_UD = 6;
export const VECTOR_GP = 13;
export const VECTOR_MF = 16;
export const VECTOR_AC = 17;
export const VECTOR_XM = 19;

/** What is known of an operand when code is generated. */
export interface FormOperand {
  readonly kind: 'reg' | 'mem' | 'imm' | 'rel';
  readonly cls: RegisterClass;
  /** Bytes; 0 for an address-only operand (lea, nop, prefetch). */
  readonly size: number;
  readonly access: 'r' | 'w' | 'rw' | 'none';
}

/** One shape of an instruction: what selects the generated code. */
export interface Form {
  readonly row: Row;
  /** 1, 2, 4 or 8. */
  readonly operand_size: number;
  /** 4 or 8; only instructions with implied memory or counter, and bit tests, differ by it. */
  readonly address_size: number;
  readonly lock: boolean;
  readonly rep: 'none' | 'rep' | 'repne';
  readonly operands: readonly FormOperand[];
}

/** Constants of the instruction, unknown until it is decoded. */
export type Leaf = 'imm' | 'imm2' | 'rip' | 'next_rip' | 'target' | 'segment_base';

export interface Value {
  readonly type: ValueType;
  readonly kind: 'const' | 'op' | 'local' | 'leaf';
  readonly op: WasmOp | null;
  readonly args: readonly Value[];
  /** Of a const: its bits; of an op: its lane or lanes. */
  readonly constant: number | bigint;
  readonly lanes: readonly number[];
  readonly leaf: Leaf | null;
  /** Body it was made in; it may be used there and in bodies nested in it. */
  readonly scope: number;
  /** Local index of kind 'local', or of a value used more than once; -1 while it has none. */
  local: number;
  uses: number;
}

export interface Variable {
  readonly type: ValueType;
  readonly local: number;
}

export type FlagName = 'CF' | 'PF' | 'AF' | 'ZF' | 'SF' | 'OF';

/** A WebAssembly function in IR, shared by many instructions. `cpu` is passed to it implicitly. */
export interface Routine {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result: ValueType | null;
  body(ir: Ir, args: readonly Value[]): Value | undefined;
}

/** A place in the register record: a register operand, or a field at a fixed offset. */
export type RegisterPlace = { readonly operand: number } | { readonly offset: number };

/** Builds the IR of one instruction form, or of a routine (form null). */
export class Ir {
  readonly body: Statement[] = [];
  /** Types of the locals used so far, in order. */
  readonly locals: ValueType[] = [];
  /** Flags are left to whoever lowers the IR. */
  readonly lazy: boolean;
  readonly assumption: Assumption;
  private readonly form_or_null: Form | null;
  private current: Statement[] = this.body;
  private open: number[] = [0];
  private bodies = 1;
  private loops = 0;
  private address_value: Value | null = null;
  private readonly resolved = new Map<number, { pointer: Value; old: Value }>();

  constructor(form: Form | null, lazy = false, assumption: Assumption = 'none') {
    this.form_or_null = form;
    this.lazy = lazy;
    this.assumption = assumption;
  }

  get form(): Form {
    assert(this.form_or_null !== null, 'a routine has no operands');
    return this.form_or_null;
  }

  /** Size of operand 0 in bytes. */
  get size(): number {
    return this.form.operands[0]?.size ?? this.form.operand_size;
  }

  operand(index: number): FormOperand {
    const operand = this.form.operands[index];
    assert(operand !== undefined, `${this.form.row.mnemonic} has no operand ${index}`);
    return operand;
  }

  /** The parameters of a routine: called once, before anything else. */
  parameters(types: readonly ValueType[]): Value[] {
    assert(this.locals.length === 0, 'parameters come first');
    return types.map((type) => this.result(type));
  }

  // Values

  private make(type: ValueType, kind: Value['kind'], more: Partial<Value>): Value {
    const scope = this.open.at(-1) as number;
    const blank = { op: null, args: [], constant: 0, lanes: [], leaf: null, local: -1, uses: 0 };
    return { type, kind, scope, ...blank, ...more };
  }

  private use(value: Value): Value {
    assert(value.kind === 'const' || this.open.includes(value.scope), 'a value is used outside its body');
    value.uses++;
    return value;
  }

  private append(statement: Statement): void {
    this.current.push(statement);
  }

  private new_local(type: ValueType): number {
    this.locals.push(type);
    return this.locals.length - 1;
  }

  private result(type: ValueType): Value {
    return this.make(type, 'local', { local: this.new_local(type) });
  }

  /** An i32 constant. */
  i32(value: number): Value {
    return this.make('i32', 'const', { constant: value | 0 });
  }

  /** An i64 constant. */
  i64(value: bigint | number): Value {
    return this.make('i64', 'const', { constant: BigInt.asIntN(64, BigInt(value)) });
  }

  f32(value: number): Value {
    return this.make('f32', 'const', { constant: value });
  }

  f64(value: number): Value {
    return this.make('f64', 'const', { constant: value });
  }

  /** A v128 constant; lane 0 is the low byte. */
  v128(value: bigint): Value {
    return this.make('v128', 'const', { constant: BigInt.asUintN(128, value) });
  }

  /** A pure operation (no loads or stores) by its WebAssembly name. */
  op(name: string, ...args: readonly Value[]): Value {
    return this.lane_op(name, [], ...args);
  }

  /** extract_lane, replace_lane (one lane) and i8x16.shuffle (16 lanes). */
  lane_op(name: string, lanes: readonly number[], ...args: readonly Value[]): Value {
    const op = wasm_op(name);
    assert(op.immediate !== 'memory' && op.result !== null, `${name} is not a pure operation`);
    const wanted = op.immediate === 'lane' ? 1 : op.immediate === 'lanes' ? 16 : 0;
    assert(lanes.length === wanted, `${name} takes ${wanted} lanes`);
    this.check_types(name, op.params, args);
    for (const arg of args) this.use(arg);
    const value = this.make(op.result, 'op', { op, args, lanes });
    this.append({ kind: 'let', value });
    return value;
  }

  /** `condition` (i32) ? a : b, without a branch; both are computed. */
  select(condition: Value, a: Value, b: Value): Value {
    assert(a.type === b.type && condition.type === 'i32', 'select: types');
    const op: WasmOp = { ...SELECT, params: [a.type, b.type, 'i32'], result: a.type };
    for (const arg of [a, b, condition]) this.use(arg);
    const value = this.make(a.type, 'op', { op, args: [a, b, condition] });
    this.append({ kind: 'let', value });
    return value;
  }

  private check_types(name: string, params: readonly ValueType[], args: readonly Value[]): void {
    const given = args.map((arg) => arg.type).join(' ');
    assert(given === params.join(' '), `${name} takes (${params.join(' ')}), not (${given})`);
  }

  private leaf(type: ValueType, leaf: Leaf): Value {
    return this.make(type, 'leaf', { leaf });
  }

  /** The immediate, sign-extended to i64. */
  imm(): Value {
    return this.leaf('i64', 'imm');
  }

  /** The second immediate (enter), zero-extended to i64. */
  imm2(): Value {
    return this.leaf('i64', 'imm2');
  }

  /** Address of this instruction. */
  rip(): Value {
    return this.leaf('i64', 'rip');
  }

  /** Address behind this instruction. */
  next_rip(): Value {
    return this.leaf('i64', 'next_rip');
  }

  /** Base of the overriding segment of a string instruction, or zero. */
  segment_base(): Value {
    return this.leaf('i64', 'segment_base');
  }

  /** The value truncated to `size` bytes, zero-extended. */
  zero_extend(value: Value, size: number): Value {
    if (size === 8) return value;
    return this.op('i64.and', value, this.i64((1n << BigInt(size * 8)) - 1n));
  }

  /** The value truncated to `size` bytes, sign-extended. */
  sign_extend(value: Value, size: number): Value {
    return size === 8 ? value : this.op(`i64.extend${size * 8}_s`, value);
  }

  // Operands

  read(index: number): Value {
    return this.read_as(index, 'i64');
  }

  read_signed(index: number): Value {
    return this.read_as(index, 'i64', true);
  }

  read_as(index: number, type: ValueType, signed = false): Value {
    const operand = this.operand(index);
    if (operand.kind === 'imm') {
      assert(type === 'i64', 'an immediate is an i64');
      return this.imm();
    }
    const op = wasm_op(load_name(type, operand.size, signed));
    if (operand.kind === 'mem') {
      if (operand.access === 'rw') return this.read_for_write(index, operand.size, op);
      return this.load(op.name, operand.size, this.address());
    }
    const result = this.result(type);
    this.append({ kind: 'read_register', result, op, operand: index, lane_offset: 0 });
    return result;
  }

  private read_for_write(index: number, size: number, op: WasmOp): Value {
    const pointer = this.resolve(this.address(), size, true);
    if (this.form.lock && index === 0) {
      assert(op.result === 'i64' && size <= 8, 'LOCK works on integers');
      const old = this.result('i64');
      this.append({ kind: 'lock_begin', result: old, size, pointer: this.use(pointer) });
      this.resolved.set(index, { pointer, old });
      return op.name === LOAD_U64[size] ? old : this.sign_extend(old, size);
    }
    const old = this.raw_load(op.name, pointer);
    this.resolved.set(index, { pointer, old });
    return old;
  }

  write(index: number, value: Value): void {
    const operand = this.operand(index);
    const op = wasm_op(store_name(value.type, value.type === 'v128' ? 16 : operand.size));
    if (operand.kind === 'mem') {
      const held = this.resolved.get(index);
      if (held === undefined) this.store(op.name, operand.size, this.address(), value);
      else if (this.form.lock && index === 0) {
        const { pointer, old } = held;
        for (const used of [pointer, old, value]) this.use(used);
        this.append({ kind: 'lock_end', size: operand.size, pointer, expected: old, value });
      } else this.raw_store(op.name, operand.size, held.pointer, value);
      return;
    }
    assert(operand.kind === 'reg', 'an immediate cannot be written');
    // A 32-bit write to a general register clears the upper half.
    const wide = operand.cls === 'gpr' && operand.size === 4;
    const stored = wide
      ? value.type === 'i32'
        ? this.op('i64.extend_i32_u', value)
        : this.zero_extend(value, 4)
      : value;
    const store = wide ? wasm_op('i64.store') : op;
    this.append({ kind: 'write_register', op: store, operand: index, value: this.use(stored), lane_offset: 0 });
  }

  /** Reads part of a register operand: the load `name` at byte `offset` of it (e.g. the high lane of an xmm). */
  read_lane(index: number, name: string, offset: number): Value {
    const op = wasm_op(name);
    const result = this.result(op.result as ValueType);
    assert(this.operand(index).kind === 'reg', 'read_lane reads registers');
    this.append({ kind: 'read_register', result, op, operand: index, lane_offset: offset });
    return result;
  }

  /** Writes part of a register operand with the store `name` at byte `offset` of it. */
  write_lane(index: number, name: string, offset: number, value: Value): void {
    assert(this.operand(index).kind === 'reg', 'write_lane writes registers');
    const op = wasm_op(name);
    this.append({ kind: 'write_register', op, operand: index, value: this.use(value), lane_offset: offset });
  }

  /**
   * Effective address of the memory operand (segment base included), as i64. Raises #GP where the row demands
   * alignment and there is none.
   */
  address(): Value {
    if (this.address_value !== null && this.open.includes(this.address_value.scope)) return this.address_value;
    const result = this.result('i64');
    this.append({ kind: 'address', result });
    this.address_value = result;
    if ((this.form.row.attributes & ATTR_ALIGNED) !== 0) {
      const low = this.op('i32.and', this.op('i32.wrap_i64', result), this.i32(15));
      this.raise_if(low, VECTOR_GP);
    }
    return result;
  }

  /** Number of a register operand of class 'st' (the i of ST(i)), 'segment' or 'control', as i32. */
  register_number(index: number): Value {
    const result = this.result('i32');
    this.append({ kind: 'register_number', result, operand: index });
    return result;
  }

  // Registers and fields by name

  /** General register `number`, low `size` bytes, zero-extended to i64. */
  gpr(number: number, size = 8): Value {
    return this.cpu_load(LOAD_U64[size] as string, CpuState.gpr.offset + number * 8);
  }

  /** Writes the low `size` bytes; 4 clears the upper half. */
  set_gpr(number: number, value: Value, size = 8): void {
    const wide = size === 4;
    const stored = wide ? this.zero_extend(value, 4) : value;
    this.cpu_store((wide ? 'i64.store' : STORE_64[size]) as string, CpuState.gpr.offset + number * 8, stored);
  }

  /** Loads from the register record at `offset` (+ `dynamic`, an i32). */
  cpu_load(name: string, offset: number, dynamic: Value | null = null): Value {
    const op = wasm_op(name);
    const result = this.result(op.result as ValueType);
    this.append({ kind: 'cpu_load', result, op, offset, dynamic: dynamic && this.use(dynamic) });
    return result;
  }

  /** Stores into the register record at `offset` (+ `dynamic`, an i32). */
  cpu_store(name: string, offset: number, value: Value, dynamic: Value | null = null): void {
    const op = wasm_op(name);
    this.check_types(name, op.params.slice(1), [value]);
    this.append({ kind: 'cpu_store', op, offset, value: this.use(value), dynamic: dynamic && this.use(dynamic) });
  }

  // Lazy flags: see x86/flags.ts

  /** All flags are from now on what FLAGS_* operation `op` on the arguments makes of them. */
  lazy_flags(op: number, size: number, args: readonly Value[]): void {
    this.append({ kind: 'lazy_flags', op, size, args: args.map((arg) => this.use(arg)) });
  }

  lazy_flag(name: FlagName): Value {
    const result = this.result('i32');
    this.append({ kind: 'flag', result, name });
    return result;
  }

  lazy_condition(code: number): Value {
    const result = this.result('i32');
    this.append({ kind: 'condition', result, code });
    return result;
  }

  // Guest memory

  /** Loads `size` bytes at a guest address with the load `name`. May fault. */
  load(name: string, size: number, address: Value): Value {
    const op = wasm_op(name);
    const result = this.result(op.result as ValueType);
    this.append({ kind: 'load', result, op, size, address: this.use(address) });
    return result;
  }

  /** Stores `size` bytes at a guest address. May fault; nothing is written then. */
  store(name: string, size: number, address: Value, value: Value): void {
    const op = wasm_op(name);
    this.check_types(name, op.params.slice(1), [value]);
    this.append({ kind: 'store', op, size, address: this.use(address), value: this.use(value) });
  }

  /**
   * Faults unless `size` bytes (up to a page) at the address can be read or written; gives the machine address of
   * the first byte as i32. Bytes up to the end of its page lie behind it, except that an access of up to 16
   * bytes that crosses a page is in the bounce buffer (only one such at a time).
   */
  resolve(address: Value, size: number, write: boolean): Value {
    const result = this.result('i32');
    this.append({ kind: 'resolve', result, size, address: this.use(address), write });
    return result;
  }

  /** Faults unless `size` bytes (at most 4096) at the address can be written. */
  probe_write(address: Value, size: number): void {
    this.resolve(address, 1, true);
    if (size === 1) return;
    // Of an access over a page boundary the second page faults at its first byte.
    const page = this.op('i64.and', this.op('i64.add', address, this.i64(size - 1)), this.i64(-4096));
    this.resolve(this.select(this.op('i64.gt_u', page, address), page, address), 1, true);
  }

  /** Loads from a pointer given by `resolve`. */
  raw_load(name: string, pointer: Value): Value {
    const op = wasm_op(name);
    const result = this.result(op.result as ValueType);
    this.append({ kind: 'raw_load', result, op, pointer: this.use(pointer) });
    return result;
  }

  /** Stores `size` bytes to a pointer given by `resolve` with that size. */
  raw_store(name: string, size: number, pointer: Value, value: Value): void {
    const op = wasm_op(name);
    this.append({ kind: 'raw_store', op, size, pointer: this.use(pointer), value: this.use(value) });
  }

  /** memory.copy (to, from, length) or memory.fill (to, byte, length) on pointers given by `resolve`, in one page. */
  raw_bulk(name: 'memory.copy' | 'memory.fill', ...args: readonly Value[]): void {
    const op = wasm_op(name);
    this.check_types(name, op.params, args);
    this.append({ kind: 'raw_bulk', op, args: args.map((arg) => this.use(arg)) });
  }

  /** The memory operand is `delta` bytes further from now on (bit tests); 32-bit addresses wrap in their segment. */
  displace_address(delta: Value): void {
    const from = this.address();
    if (this.form.address_size === 8) {
      this.address_value = this.op('i64.add', from, delta);
      return;
    }
    const base = this.segment_base();
    const offset = this.op('i64.add', this.op('i64.sub', from, base), delta);
    this.address_value = this.op('i64.add', base, this.zero_extend(offset, 4));
  }

  /**
   * Compares the 16 aligned bytes at a pointer given by `resolve` with RDX:RAX; when equal replaces them by RCX:RBX, else
   * loads them into RDX:RAX. Atomic among such operations. Gives whether they were equal, as i32.
   */
  swap_16(pointer: Value): Value {
    const result = this.result('i32');
    this.append({ kind: 'swap_16', result, pointer: this.use(pointer) });
    return result;
  }

  /** A full memory barrier. */
  fence(): void {
    this.append({ kind: 'fence' });
  }

  /** Pushes a value of `size` bytes: stores, then moves RSP. */
  push(value: Value, size = 8): void {
    const address = this.op('i64.sub', this.gpr(RSP), this.i64(size));
    this.store(STORE_64[size] as string, size, address, value);
    this.set_gpr(RSP, address);
  }

  // Variables and control flow

  variable(initial: Value): Variable {
    const variable = { type: initial.type, local: this.new_local(initial.type) };
    this.set(variable, initial);
    return variable;
  }

  set(variable: Variable, value: Value): void {
    assert(variable.type === value.type, 'set: types');
    this.append({ kind: 'set', variable, value: this.use(value) });
  }

  /** The variable's value now. */
  get(variable: Variable): Value {
    const result = this.result(variable.type);
    this.append({ kind: 'copy', result, variable });
    return result;
  }

  private nested(build: () => void): Statement[] {
    const outer = this.current;
    const statements: Statement[] = [];
    this.current = statements;
    this.open.push(this.bodies++);
    build();
    this.open.pop();
    this.current = outer;
    return statements;
  }

  if(condition: Value, then: () => void, otherwise: () => void = () => {}): void {
    assert(condition.type === 'i32', 'if: the condition is an i32');
    this.use(condition);
    this.append({ kind: 'if', condition, body: this.nested(then), otherwise: this.nested(otherwise), unlikely: false });
  }

  /** The same unless a condition holds that mostly does: the code is kept out of the way. */
  unless_as_usual(condition: Value, then: () => void): void {
    const unusual = this.use(this.op('i32.eqz', condition));
    this.append({ kind: 'if', condition: unusual, body: this.nested(then), otherwise: [], unlikely: true });
  }

  /** Runs `build`'s code; `continue_loop(id)` runs it again, its end or `break_loop(id)` leaves. */
  loop(build: (id: number) => void): void {
    const id = this.loops++;
    this.append({ kind: 'loop', id, body: this.nested(() => build(id)) });
  }

  continue_loop(id: number, condition: Value | null = null): void {
    this.append({ kind: 'continue', id, condition: condition && this.use(condition) });
  }

  break_loop(id: number, condition: Value | null = null): void {
    this.append({ kind: 'break', id, condition: condition && this.use(condition) });
  }

  // Exceptions, helpers, routines

  /** Raises an exception; RIP is that of the instruction, or behind it when `behind` (INT3). */
  raise(vector: number, behind = false): void {
    this.append({ kind: 'raise', vector, behind });
  }

  raise_if(condition: Value, vector: number): void {
    this.if(condition, () => this.raise(vector));
  }

  /** Calls the JavaScript helper `name(cpu, ...args)`; `type` is that of its result. */
  helper(name: string, type: 'i32' | 'f64' | null, ...args: readonly Value[]): Value | null {
    const result = type === null ? null : this.result(type);
    this.append({ kind: 'helper', result, name, args: args.map((arg) => this.use(arg)) });
    return result;
  }

  /** Calls a helper that answers -1, or the vector of the exception to raise. */
  helper_or_raise(name: string, ...args: readonly Value[]): void {
    this.append({ kind: 'helper_raise', name, args: args.map((arg) => this.use(arg)) });
  }

  /** Takes for granted what is said of every element of `form` (FORM_*) in a value: a vector, or of 'finite' a scalar. */
  assume(what: AssumedOf, form: number, value: Value): void {
    this.append({ kind: 'assume', what, form, value: this.use(value) });
  }

  /** Operand 0, an xmm register, has elements of this kind from now on. */
  known(what: Known, form: number): void {
    this.append({ kind: 'known', what, form });
  }

  /** Calls a routine; its result, or a zero of no meaning when it has none. */
  call(routine: Routine, ...args: readonly Value[]): Value {
    this.check_types(routine.name, routine.params, args);
    const result = routine.result === null ? null : this.result(routine.result);
    this.append({ kind: 'call', result, routine, args: args.map((arg) => this.use(arg)) });
    return result ?? this.i32(0);
  }

  // The end of a block

  /** Goes to the target of the 'rel' operand if `condition` (always when null), else to the next instruction. */
  branch(condition: Value | null = null): void {
    this.append({ kind: 'branch', condition: condition && this.use(condition) });
  }

  /** The address the 'rel' operand means. */
  target(): Value {
    return this.leaf('i64', 'target');
  }

  /** Raises #GP unless a branch target is canonical: before the first commit. */
  check_target(target: Value): void {
    const extended = this.op('i64.shr_s', this.op('i64.shl', target, this.i64(16)), this.i64(16));
    this.raise_if(this.op('i64.ne', extended, target), VECTOR_GP);
  }

  /** Goes to a computed address, which `check_target` has seen. */
  jump(target: Value): void {
    this.append({ kind: 'jump', target: this.use(target) });
  }

  /** Runs this instruction again after a look at fuel and interrupts: the next piece of a REP. */
  repeat(): void {
    this.append({ kind: 'repeat' });
  }

  syscall(): void {
    this.append({ kind: 'syscall' });
  }
}

const SELECT: WasmOp = {
  name: 'select',
  prefix: 0,
  code: 0x1b,
  params: [],
  result: null,
  immediate: 'none',
  align: 0,
};

export type Semantics = (ir: Ir) => void;
/** Semantics by `Row.semantics`. */
export type Family = Readonly<Record<string, Semantics>>;
