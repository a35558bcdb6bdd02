/**
 * The flags of a region while its code is written: which operation made them, on what. Nothing is computed until
 * somebody looks. `kind` is known at most places; where ways with different kinds meet it is in a local.
 */
import { assert } from '../../base/assert.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Code } from '../../wasm/code.ts';
import {
  FLAGS_ADD,
  FLAGS_DEC,
  FLAGS_INC,
  FLAGS_LOGIC,
  FLAGS_RAW,
  FLAGS_SAR,
  FLAGS_SHL,
  FLAGS_SHR,
  FLAGS_SUB,
  flags_of,
  raw_condition,
  raw_flag,
} from '../../x86/flags.ts';
import { type FlagName, Ir, type Value } from '../../x86/ir.ts';
import { CPU } from '../interp/dispatch.ts';
import { flags_kind, KIND_KEPT, KIND_LOCAL } from '../interp/leave.ts';
import { KIND_DEAD, KIND_DYNAMIC, KIND_PASSED, KIND_RAW } from './flow.ts';
import type { Frame } from './frame.ts';

const SHIFTS: Readonly<Record<number, string>> = {
  [FLAGS_SHL]: 'i64.shl',
  [FLAGS_SHR]: 'i64.shr_u',
  [FLAGS_SAR]: 'i64.shr_s',
};

export class FlagState {
  kind = KIND_RAW;
  private readonly frame: Frame;
  private readonly c: Code;

  constructor(frame: Frame) {
    this.frame = frame;
    this.c = frame.c;
  }

  private get op(): number {
    return this.kind >> 2;
  }

  private get size(): number {
    return 1 << (this.kind & 3);
  }

  /** All flags are those of `op` on what `args` push. */
  set(op: number, size: number, args: readonly (() => void)[]): void {
    const { c, frame } = this;
    if (op === FLAGS_INC || op === FLAGS_DEC) this.keep_carry();
    // All are pushed before any is stored: they may be what the flags were made of.
    for (const push of args) push();
    const places = [frame.a, frame.b, frame.carry];
    for (let i = args.length - 1; i >= 0; i--) c.set(places[i] as number);
    this.kind = flags_kind(op, size);
  }

  /** Flags that are where they were at the region's entry are loaded. */
  private load(): void {
    if (this.kind !== KIND_PASSED) return;
    this.frame.load_flags();
    this.kind = KIND_DYNAMIC;
  }

  /** The carry local becomes CF. */
  private keep_carry(): void {
    const { c, frame } = this;
    this.load();
    if (this.kind >= 0 && (this.op === FLAGS_INC || this.op === FLAGS_DEC)) return;
    if (this.kind === KIND_DYNAMIC) {
      c.get(frame.kind).i32(flags_kind(FLAGS_INC, 1)).op('i32.sub').i32(8).op('i32.ge_u').open_if();
      this.call('flags_aux');
      c.i64(31).op('i64.shr_u').set(frame.carry);
      c.end();
      return;
    }
    this.push_flag('CF');
    c.op('i64.extend_i32_u').set(frame.carry);
  }

  /** Calls a function of the flags as they are. */
  private call(name: 'flags_result' | 'flags_aux'): void {
    this.c.get(CPU);
    this.push_all();
    this.frame.call(name);
  }

  /** Pushes kind and operands. */
  push_all(): void {
    const { c, frame } = this;
    if (this.kind === KIND_DYNAMIC) c.get(frame.kind);
    else c.i32(Math.max(this.kind, KIND_RAW));
    c.get(frame.a).get(frame.b).get(frame.carry);
  }

  /** Makes the flags those of the two fields. */
  make_raw(): void {
    const { c, frame } = this;
    this.load();
    if (this.kind === KIND_DEAD) this.kind = KIND_RAW;
    if (this.kind === KIND_RAW) return;
    if (this.kind === KIND_DYNAMIC) {
      c.get(frame.kind).open_if();
      this.call('flags_result');
      this.call('flags_aux');
      c.set(frame.b).set(frame.a);
      c.end();
    } else {
      this.push_field(CpuState.flags_result.offset, 'i64.load');
      this.push_field(CpuState.flags_aux.offset, 'i64.load32_u');
      c.set(frame.b).set(frame.a);
    }
    this.kind = KIND_RAW;
  }

  /** Before a way out that is taken often: the fields are computed in place, not by a call. */
  make_raw_for_exit(): void {
    if (this.kind !== KIND_DYNAMIC && this.kind !== KIND_PASSED) this.make_raw();
  }

  /** Before a branch to a block that expects `kind`. */
  convert(kind: number): void {
    if (kind === KIND_DEAD || kind === this.kind) return;
    if (kind === KIND_RAW) {
      const mine = this.kind;
      this.make_raw();
      this.kind = mine;
      return;
    }
    assert(kind === KIND_DYNAMIC, 'flags of a kind that was not foreseen');
    if (this.kind === KIND_PASSED) {
      this.frame.load_flags();
      return;
    }
    this.c.i32(Math.max(this.kind, KIND_RAW)).set(this.frame.kind);
  }

  /** Takes what is on the stack as one of the fields. */
  store_field(offset: number): void {
    const { c, frame } = this;
    if (offset === CpuState.flags_result.offset) c.set(frame.a);
    else c.op('i64.extend_i32_u').set(frame.b);
    this.kind = KIND_RAW;
  }

  /** Pushes a field as a load would give it. */
  push_field(offset: number, load: string): void {
    const { c, frame } = this;
    assert(this.kind >= 0, 'a field of unknown flags');
    if (offset === CpuState.flags_result.offset) {
      if (this.kind === KIND_RAW) c.get(frame.a);
      else this.compute('result');
      if (load === 'i32.load8_u') c.op('i32.wrap_i64').i32(0xff).op('i32.and');
      else assert(load === 'i64.load', `flags_result is not read by ${load}`);
      return;
    }
    if (this.kind === KIND_RAW) c.get(frame.b).op('i32.wrap_i64');
    else this.compute('aux');
    if (load === 'i64.load32_u') c.op('i64.extend_i32_u');
    else assert(load === 'i32.load', `flags_aux is not read by ${load}`);
  }

  /** The kind as `leave_region` takes it. */
  exit_kind(): number {
    if (this.kind === KIND_PASSED) return KIND_KEPT;
    return this.kind === KIND_DYNAMIC ? KIND_LOCAL : Math.max(this.kind, KIND_RAW);
  }

  /** Pushes one flag as i32 0 or 1. */
  push_flag(name: FlagName): void {
    this.settle();
    const { c } = this;
    if (name === 'CF') {
      const condition = this.carry_condition();
      if (condition !== null) return condition();
    }
    if (name === 'ZF' && this.has_result()) {
      this.push_result();
      c.op('i64.eqz');
      return;
    }
    this.raw(name, (ir) => raw_flag(ir, name));
  }

  /** Pushes whether condition `code` holds, as i32. */
  push_condition(code: number): void {
    this.settle();
    if (this.op === FLAGS_SUB && this.kind !== KIND_RAW && this.compare(code)) return;
    if (this.has_result() && this.by_result(code)) return;
    const carry = code >> 1 === 1 ? this.carry_condition() : null;
    if (carry !== null) {
      carry();
      if ((code & 1) !== 0) this.c.op('i32.eqz');
      return;
    }
    this.raw(`${code}`, (ir) => raw_condition(ir, code));
  }

  /** Kinds in a local become raw before they are looked at. */
  private settle(): void {
    assert(this.kind !== KIND_DEAD, 'dead flags are looked at');
    if (this.kind === KIND_DYNAMIC || this.kind === KIND_PASSED) this.make_raw();
  }

  /** How to push CF without the fields; null where there is no short way. */
  private carry_condition(): (() => void) | null {
    const { c, frame } = this;
    switch (this.op) {
      case FLAGS_RAW:
        return () => c.get(frame.b).i64(31).op('i64.shr_u').op('i32.wrap_i64');
      case FLAGS_LOGIC:
        return () => c.i32(0);
      case FLAGS_INC:
      case FLAGS_DEC:
        return () => c.get(frame.carry).op('i32.wrap_i64');
      case FLAGS_SUB:
        return () => {
          this.compare(2);
        };
      case FLAGS_ADD:
        return () => {
          // A sum is less than what was added to exactly if it overflowed.
          this.push_narrow(() => c.get(frame.a).get(frame.b).op('i64.add'), false);
          this.push_narrow(() => c.get(frame.a), false);
          c.op(this.size === 4 ? 'i32.lt_u' : 'i64.lt_u');
        };
      default:
        return null;
    }
  }

  /** Pushes a value cut to the size: an i32 for 4 bytes, else an i64, zero- or sign-extended. */
  private push_narrow(push: () => void, signed: boolean): void {
    const { c, size } = this;
    push();
    if (size === 4) c.op('i32.wrap_i64');
    else if (size < 4 && signed) c.op(`i64.extend${size * 8}_s`);
    else if (size < 4) c.i64((1 << (size * 8)) - 1).op('i64.and');
  }

  /** A condition of a comparison, from its operands. */
  private compare(code: number): boolean {
    const { c, frame, size } = this;
    const names = ['', 'lt_u', 'eq', 'le_u', '', '', 'lt_s', 'le_s'];
    const inverse = ['', 'ge_u', 'ne', 'gt_u', '', '', 'ge_s', 'gt_s'];
    const name = ((code & 1) === 0 ? names : inverse)[code >> 1] as string;
    if (name === '') return false;
    const signed = name.endsWith('_s');
    this.push_narrow(() => c.get(frame.a), signed);
    this.push_narrow(() => c.get(frame.b), signed);
    c.op(size === 4 ? `i32.${name}` : `i64.${name}`);
    return true;
  }

  /** Whether there is a result to look at. */
  private has_result(): boolean {
    return this.kind !== KIND_RAW && (this.op in SHIFTS || this.op <= FLAGS_SUB || this.op >= FLAGS_INC);
  }

  /** Pushes the sign-extended result as i64. */
  private push_result(): void {
    const { c, frame, size } = this;
    c.get(frame.a);
    const name = this.op === FLAGS_ADD ? 'i64.add' : this.op === FLAGS_SUB ? 'i64.sub' : SHIFTS[this.op];
    if (name !== undefined) c.get(frame.b).op(name);
    if (size === 4) c.op('i32.wrap_i64').op('i64.extend_i32_s');
    else if (size < 4) c.op(`i64.extend${size * 8}_s`);
  }

  /** A condition that needs only the result; after logic all but parity do. */
  private by_result(code: number): boolean {
    const { c } = this;
    const logic = this.op === FLAGS_LOGIC;
    const positive = code >> 1;
    if (positive === 2 || (logic && positive === 3)) {
      this.push_result();
      c.op('i64.eqz');
    } else if (positive === 4 || (logic && positive === 6)) {
      this.push_result();
      c.i64(0).op('i64.lt_s');
    } else if (logic && positive === 7) {
      this.push_result();
      c.i64(0).op('i64.le_s');
    } else if (logic && positive < 2) c.i32(0);
    else return false;
    if ((code & 1) !== 0) c.op('i32.eqz');
    return true;
  }

  /** Evaluates a function of the two fields. */
  private raw(name: string, build: (ir: Ir) => Value): void {
    this.evaluate(expression(`raw ${name}`, 0, build));
  }

  /** Pushes a field, computed from the operands. */
  private compute(field: 'result' | 'aux'): void {
    const { op, size } = this;
    this.evaluate(
      expression(`${field} ${this.kind}`, 3, (ir, params) => {
        const [a, b, carry] = params as [Value, Value, Value];
        return flags_of(ir, op, size, a, b, carry)[field];
      }),
    );
  }

  private evaluate({ ir, params, value }: Expression): void {
    const { c, frame } = this;
    const operands = [frame.a, frame.b, frame.carry];
    const places = new Map(params.map((param, i) => [param, operands[i] as number]));
    const push = (v: Value): void => {
      const place = places.get(v);
      if (place !== undefined) c.get(place);
      else if (v.kind === 'const' && v.type === 'i32') c.i32(v.constant as number);
      else if (v.kind === 'const') c.i64(v.constant);
      else {
        for (const arg of v.args) push(arg);
        c.op(v.op!);
      }
    };
    for (const s of ir.body) {
      if (s.kind === 'let') {
        if (s.value.uses < 2) continue;
        push(s.value);
        places.set(s.value, frame.temporary(s.value.type));
        c.set(places.get(s.value) as number);
      } else {
        assert(s.kind === 'cpu_load', `flags do not have statement ${s.kind}`);
        this.push_field(s.offset, s.op.name);
        places.set(s.result, frame.temporary(s.result.type));
        c.set(places.get(s.result) as number);
      }
    }
    push(value);
  }
}

/** IR of flags, built once. */
interface Expression {
  readonly ir: Ir;
  readonly params: readonly Value[];
  readonly value: Value;
}

const expressions = new Map<string, Expression>();

function expression(name: string, params: number, build: (ir: Ir, params: readonly Value[]) => Value): Expression {
  let known = expressions.get(name);
  if (known === undefined) {
    const ir = new Ir(null);
    const values = ir.parameters(new Array<'i64'>(params).fill('i64'));
    const value = build(ir, values);
    value.uses++;
    known = { ir, params: values, value };
    expressions.set(name, known);
  }
  return known;
}
