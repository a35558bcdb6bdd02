/**
 * Values of one instruction's IR: where each is found, and how it is pushed. Arithmetic whose upper half is cut off is
 * done in 32 bits.
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Code } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { SEGMENT_FS, SEGMENT_GS } from '../../x86/instruction.ts';
import type { Value, Variable } from '../../x86/ir.ts';
import { CPU } from '../interp/dispatch.ts';
import { type Constant, constant_of, vector_of } from './constant.ts';
import type { Frame } from './frame.ts';
import type { Insn } from './region.ts';
import { push_gpr, push_xmm } from './registers.ts';

/** What a value is a name of. */
export type Bound =
  | { readonly kind: 'gpr'; readonly reg: number; readonly op: string; readonly byte: number }
  | { readonly kind: 'xmm'; readonly reg: number; readonly op: string; readonly byte: number }
  | { readonly kind: 'local'; readonly local: number }
  | { readonly kind: 'constant'; readonly value: number };

const NARROW_OPS: ReadonlySet<string> = new Set(['i64.add', 'i64.sub', 'i64.mul', 'i64.and', 'i64.or', 'i64.xor']);
const COMPARISONS: ReadonlySet<string> = new Set(['i64.eq', 'i64.ne', 'i64.lt_u', 'i64.le_u', 'i64.gt_u', 'i64.ge_u']);
const LOW_HALF = 0xffff_ffffn;

function is_op(v: Value, name: string): boolean {
  return v.kind === 'op' && v.op!.name === name;
}

export class Values {
  readonly frame: Frame;
  readonly c: Code;
  protected insn!: Insn;
  /** Instructions of the block before this one. */
  protected retired = 0;
  private readonly bound = new Map<Value, Bound>();
  private readonly variables = new Map<number, number>();

  constructor(frame: Frame) {
    this.frame = frame;
    this.c = frame.c;
  }

  /** Turns to an instruction, `retired` instructions behind the beginning of its block. */
  begin(insn: Insn, retired: number): void {
    this.insn = insn;
    this.retired = retired;
    this.bound.clear();
    this.variables.clear();
    this.frame.free_temporaries();
  }

  protected temporary(type: ValueType): number {
    return this.frame.temporary(type);
  }

  protected bind(v: Value, bound: Bound): void {
    this.bound.set(v, bound);
  }

  protected bound_of(v: Value): Bound | undefined {
    return this.bound.get(v);
  }

  /** The local that a statement's result goes into. */
  protected result(v: Value): number {
    const local = this.temporary(v.type);
    this.bound.set(v, { kind: 'local', local });
    return local;
  }

  protected variable(v: Variable): number {
    let local = this.variables.get(v.local);
    if (local === undefined) {
      local = this.temporary(v.type);
      this.variables.set(v.local, local);
    }
    return local;
  }

  constant(v: Value): Constant | undefined {
    const bound = this.bound.get(v);
    if (bound?.kind === 'constant') return bound.value;
    return constant_of(v, this.insn);
  }

  /** A local that holds all of the value, or -1. */
  protected local_of(v: Value): number {
    const bound = this.bound.get(v);
    if (bound?.kind === 'local') return bound.local;
    return bound?.kind === 'gpr' && bound.op === 'i64.load' ? this.frame.gpr(bound.reg) : -1;
  }

  /** A temporary that holds the value, or the register's local. */
  protected in_local(v: Value): number {
    const known = this.local_of(v);
    if (known >= 0) return known;
    const local = this.temporary(v.type);
    this.push(v);
    this.c.set(local);
    return local;
  }

  /** A pure value is stored where it was made if it is used more than once. */
  protected let(v: Value): void {
    if (v.uses < 2 || this.constant(v) !== undefined || vector_of(v, this.insn) !== undefined) return;
    this.operation(v);
    this.c.set(this.result(v));
  }

  push(v: Value): void {
    const { c } = this;
    const constant = this.constant(v);
    if (constant !== undefined) {
      if (v.type === 'i32') c.i32(constant as number);
      else c.i64(constant);
      return;
    }
    const bound = this.bound.get(v);
    if (bound !== undefined) this.push_bound(bound);
    else if (v.kind === 'const') this.push_const(v);
    else if (v.kind === 'leaf') this.push_segment_base(v);
    else {
      const vector = vector_of(v, this.insn);
      if (vector !== undefined) c.v128(vector);
      else this.operation(v);
    }
  }

  private push_bound(bound: Bound): void {
    if (bound.kind === 'local') this.c.get(bound.local);
    else if (bound.kind === 'gpr') push_gpr(this.frame, bound.reg, bound.op, bound.byte);
    else if (bound.kind === 'xmm') push_xmm(this.frame, bound.reg, bound.op, bound.byte);
    else assert(false, 'constants are pushed as such');
  }

  private push_const(v: Value): void {
    if (v.type === 'f32') this.c.f32(v.constant as number);
    else if (v.type === 'f64') this.c.f64(v.constant as number);
    else this.c.v128(v.constant as bigint);
  }

  private push_segment_base(v: Value): void {
    assert(v.leaf === 'segment_base', 'the other leaves are constants');
    const { segment } = this.insn;
    if (segment !== SEGMENT_FS && segment !== SEGMENT_GS) this.c.i64(0);
    else this.c.get(CPU).op('i64.load', (segment === SEGMENT_FS ? CpuState.fs_base : CpuState.gs_base).offset);
  }

  private operation(v: Value): void {
    assert(v.kind === 'op', 'a value is used before it was made');
    const { c } = this;
    const op = v.op!;
    const [a, b] = v.args as readonly [Value, Value];
    if (op.name === 'i32.wrap_i64') this.push_low(a);
    else if (op.name === 'i64.and' && this.constant(b) === LOW_HALF) {
      this.push_low(a);
      c.op('i64.extend_i32_u');
    } else if (op.name === 'i64.extend32_s') {
      this.push_low(a);
      c.op('i64.extend_i32_s');
    } else if (COMPARISONS.has(op.name) && this.is_narrow(a) && this.is_narrow(b)) {
      this.push_low(a);
      this.push_low(b);
      c.op(`i32.${op.name.slice(4)}`);
    } else if (op.name === 'f64.reinterpret_i64' && this.is_lane(a)) {
      const { reg, byte } = this.bound.get(a) as Extract<Bound, { kind: 'xmm' }>;
      push_xmm(this.frame, reg, 'f64.load', byte);
    } else if (op.name === 'i8x16.swizzle' && this.shuffle(a, vector_of(b, this.insn))) return;
    else this.plain(v);
  }

  /** A swizzle by known indices: a shuffle with zeros, which V8 makes one instruction of. */
  private shuffle(a: Value, indices: bigint | undefined): boolean {
    if (indices === undefined) return false;
    this.push(a);
    const lanes = Array.from({ length: 16 }, (_, i) => Math.min(Number((indices >> BigInt(i * 8)) & 0xffn), 16));
    this.c.v128(0n).lanes('i8x16.shuffle', lanes);
    return true;
  }

  private is_lane(v: Value): boolean {
    const bound = this.bound.get(v);
    return bound?.kind === 'xmm' && bound.op === 'i64.load';
  }

  private plain(v: Value): void {
    const { c } = this;
    const op = v.op!;
    for (const arg of v.args) this.push(arg);
    if (op.name === 'select') {
      if (v.type === 'v128') c.select_typed('v128');
      else c.select();
    } else if (v.lanes.length > 0) c.lanes(op, v.lanes);
    else c.op(op);
  }

  /** Whether the upper half of an i64 is plainly zero. */
  protected is_narrow(v: Value): boolean {
    const constant = this.constant(v);
    if (constant !== undefined) return BigInt(constant) >= 0n && BigInt(constant) <= LOW_HALF;
    const bound = this.bound.get(v);
    if (bound !== undefined) {
      if (bound.kind !== 'gpr') return false;
      if (bound.op === 'i64.load') return this.frame.narrow.has(bound.reg);
      return bound.op === 'i64.load32_u' || bound.op === 'i64.load16_u' || bound.op === 'i64.load8_u';
    }
    return (is_op(v, 'i64.and') && this.constant(v.args[1] as Value) === LOW_HALF) || is_op(v, 'i64.extend_i32_u');
  }

  /** Pushes the low half of an i64 as i32. */
  push_low(v: Value): void {
    const { c } = this;
    const constant = this.constant(v);
    if (constant !== undefined) {
      c.i32(Number(BigInt.asIntN(32, constant as bigint)));
      return;
    }
    const bound = this.bound.get(v);
    if (bound?.kind === 'gpr' && bound.byte === 0 && (bound.op === 'i64.load' || bound.op === 'i64.load32_u')) {
      c.get(this.frame.gpr(bound.reg)).op('i32.wrap_i64');
      return;
    }
    if (bound === undefined && v.kind === 'op' && this.push_low_operation(v)) return;
    this.push(v);
    c.op('i32.wrap_i64');
  }

  /** The same of an operation, if there is a way to do it in 32 bits. */
  private push_low_operation(v: Value): boolean {
    const { c } = this;
    const { name } = v.op!;
    const [a, b] = v.args as readonly [Value, Value];
    if (name === 'i64.extend_i32_u' || name === 'i64.extend_i32_s') this.push(a);
    else if (name === 'i64.and' && this.constant(b) === LOW_HALF) this.push_low(a);
    else if (NARROW_OPS.has(name)) {
      this.push_low(a);
      this.push_low(b);
      c.op(`i32.${name.slice(4)}`);
    } else if (name === 'i64.shl' || (name === 'i64.shr_u' && this.is_narrow(a))) {
      const count = this.constant(b);
      if (count === undefined || (count as bigint) < 0n || (count as bigint) > 31n) return false;
      this.push_low(a);
      c.i32(Number(count)).op(`i32.${name.slice(4)}`);
    } else return false;
    return true;
  }
}
