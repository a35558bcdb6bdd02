/**
 * The body of one WebAssembly function: instructions appended in order. Labels are objects, so that nobody
 * counts nesting depths; the builder checks that blocks are closed and locals declared.
 */
import { assert } from '../base/assert.ts';
import { Bytes } from './bytes.ts';
import { type ValueType, type WasmOp, wasm_op } from './opcodes.ts';

export const TYPE_BYTE: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** A function of the module under construction: its index in the function space and its type. */
export interface FunctionRef {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  /** Its index is known when the module is built: imports may come after it. */
  readonly late?: boolean;
}

/** An index that is filled in when the module is built takes the longest encoding. */
const LATE_BYTES = 5;

/** A call of a late function: where its index is in the body. */
export interface LateCall {
  readonly at: number;
  readonly target: FunctionRef;
}

/** A branch target: an open block, loop or if. */
export interface Label {
  readonly depth: number;
}

/** Writes the index of a late call's target, now that it is known, into a finished body. */
export function finish_late_call(body: Uint8Array, { at, target }: LateCall): void {
  body.set(new Bytes().padded_u32(target.index, LATE_BYTES).bytes(), at);
}

export class Code {
  private readonly out = new Bytes();
  private readonly params: readonly ValueType[];
  private readonly locals: ValueType[] = [];
  private readonly labels: Label[] = [];
  private closed = false;
  /** Where the last instruction begins and ends, if it is a local.set, and of which local. */
  private set_start = -1;
  private set_end = -1;
  private set_index = -1;
  /** Branches of which it is known that they are rarely taken: where each begins in `out`. */
  private readonly unlikely: number[] = [];
  private readonly late: LateCall[] = [];

  constructor(params: readonly ValueType[]) {
    this.params = params;
  }

  /** Declares a local; its index. */
  local(type: ValueType): number {
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }

  private local_op(opcode: number, index: number): this {
    assert(index >= 0 && index < this.params.length + this.locals.length, `local ${index} is not declared`);
    this.out.u8(opcode).u32(index);
    return this;
  }

  /** Behind a `set` of the same local the two become a `tee`. */
  get(index: number): this {
    if (this.set_index === index && this.set_end === this.out.length) {
      this.out.patch(this.set_start, 0x22);
      this.set_index = -1;
      return this;
    }
    return this.local_op(0x20, index);
  }
  set(index: number): this {
    this.set_start = this.out.length;
    this.local_op(0x21, index);
    this.set_end = this.out.length;
    this.set_index = index;
    return this;
  }
  tee(index: number): this {
    return this.local_op(0x22, index);
  }

  get_global(index: number): this {
    this.out.u8(0x23).u32(index);
    return this;
  }
  set_global(index: number): this {
    this.out.u8(0x24).u32(index);
    return this;
  }

  i32(value: number): this {
    this.out.u8(0x41).s32(value);
    return this;
  }
  i64(value: bigint | number): this {
    if (typeof value === 'number' && (value | 0) === value) this.out.u8(0x42).s32(value);
    else this.out.u8(0x42).s64(BigInt(value));
    return this;
  }
  f32(value: number): this {
    this.out.u8(0x43).f32(value);
    return this;
  }
  f64(value: number): this {
    this.out.u8(0x44).f64(value);
    return this;
  }
  /** A vector constant; lane 0 is the low byte. */
  v128(value: bigint): this {
    this.out.u8(0xfd).u32(12);
    for (let i = 0n; i < 16n; i++) this.out.u8(Number((value >> (i * 8n)) & 0xffn));
    return this;
  }

  private opcode(op: WasmOp): void {
    if (op.prefix === 0) this.out.u8(op.code);
    else this.out.u8(op.prefix).u32(op.code);
  }

  /** An operation by name; memory operations take a constant offset. */
  op(name: string | WasmOp, offset = 0): this {
    const op = typeof name === 'string' ? wasm_op(name) : name;
    this.opcode(op);
    if (op.immediate === 'memory') {
      // Alignment is a hint for plain accesses; atomics must state their natural one.
      this.out.u32(op.prefix === 0xfe ? op.align : 0).u32(offset);
    } else if (op.name === 'memory.copy') this.out.u8(0).u8(0);
    else if (op.name === 'memory.fill') this.out.u8(0);
    else assert(op.immediate === 'none', `${op.name} needs lanes`);
    return this;
  }

  /** An operation with lane immediates. */
  lanes(name: string | WasmOp, lanes: readonly number[]): this {
    const op = typeof name === 'string' ? wasm_op(name) : name;
    this.opcode(op);
    for (const lane of lanes) this.out.u8(lane);
    return this;
  }

  select(): this {
    this.out.u8(0x1b);
    return this;
  }
  /** select of a vector needs its type written out. */
  select_typed(type: ValueType): this {
    this.out.u8(0x1c).u8(1).u8(TYPE_BYTE[type]);
    return this;
  }
  drop(): this {
    this.out.u8(0x1a);
    return this;
  }
  /** atomic.fence */
  fence(): this {
    this.out.u8(0xfe).u32(3).u8(0);
    return this;
  }
  return(): this {
    this.out.u8(0x0f);
    return this;
  }
  unreachable(): this {
    this.out.u8(0x00);
    return this;
  }

  private open(opcode: number, type: ValueType | null): Label {
    this.out.u8(opcode).u8(type === null ? 0x40 : TYPE_BYTE[type]);
    const label = { depth: this.labels.length };
    this.labels.push(label);
    return label;
  }
  block(type: ValueType | null = null): Label {
    return this.open(0x02, type);
  }
  loop(type: ValueType | null = null): Label {
    return this.open(0x03, type);
  }
  if(type: ValueType | null = null): Label {
    return this.open(0x04, type);
  }
  /** An `if` whose condition is rarely met: the engine keeps what it does out of the way. */
  if_unlikely(type: ValueType | null = null): Label {
    this.unlikely.push(this.out.length);
    return this.open(0x04, type);
  }
  /** An `if` without a result that nothing branches to, for chains. */
  open_if(): this {
    this.if();
    return this;
  }
  open_if_unlikely(): this {
    this.if_unlikely();
    return this;
  }
  else(): this {
    this.out.u8(0x05);
    return this;
  }
  end(): this {
    assert(this.labels.length > 0, 'end without a block');
    this.labels.pop();
    this.out.u8(0x0b);
    return this;
  }
  private branch(opcode: number, label: Label): this {
    assert(this.labels[label.depth] === label, 'branch to a closed block');
    this.out.u8(opcode).u32(this.labels.length - 1 - label.depth);
    return this;
  }
  br(label: Label): this {
    return this.branch(0x0c, label);
  }
  br_if(label: Label): this {
    return this.branch(0x0d, label);
  }
  /** A branch whose condition is rarely met. */
  br_if_unlikely(label: Label): this {
    this.unlikely.push(this.out.length);
    return this.branch(0x0d, label);
  }
  /** br_table: an index on the stack picks one of the labels, else the last. */
  br_table(labels: readonly Label[]): this {
    this.out.u8(0x0e).u32(labels.length - 1);
    for (const label of labels) this.out.u32(this.labels.length - 1 - label.depth);
    return this;
  }

  call(target: FunctionRef): this {
    return this.call_op(0x10, target);
  }
  return_call(target: FunctionRef): this {
    return this.call_op(0x12, target);
  }
  private call_op(opcode: number, target: FunctionRef): this {
    this.out.u8(opcode);
    if (target.late === true) {
      this.late.push({ at: this.out.length, target });
      this.out.padded_u32(0, LATE_BYTES);
    } else this.out.u32(target.index);
    return this;
  }
  call_indirect(type: number): this {
    this.out.u8(0x11).u32(type).u32(0);
    return this;
  }
  return_call_indirect(type: number): this {
    this.out.u8(0x13).u32(type).u32(0);
    return this;
  }

  /** Behind `finish`: offsets in the body of the branches that are rarely taken. */
  get unlikely_branches(): readonly number[] {
    assert(this.closed, 'offsets are known when the body is finished');
    return this.unlikely;
  }

  /** Behind `finish`: the calls whose targets' indices are still to be written. */
  get late_calls(): readonly LateCall[] {
    assert(this.closed, 'offsets are known when the body is finished');
    return this.late;
  }

  /** The encoded body: local declarations, instructions, end. */
  finish(): Uint8Array {
    assert(this.labels.length === 0, `${this.labels.length} blocks are not closed`);
    assert(!this.closed, 'a body is finished once');
    this.closed = true;
    const result = new Bytes();
    const runs: [number, ValueType][] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    result.u32(runs.length);
    for (const [count, type] of runs) result.u32(count).u8(TYPE_BYTE[type]);
    for (const [i, at] of this.unlikely.entries()) this.unlikely[i] = at + result.length;
    for (const [i, { at, target }] of this.late.entries()) this.late[i] = { at: at + result.length, target };
    result.raw(this.out.bytes()).u8(0x0b);
    return result.bytes().slice();
  }
}
