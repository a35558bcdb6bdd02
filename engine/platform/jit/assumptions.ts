/**
 * The code that looks at what the arithmetic of a run assumes (runs.ts): each statement adds what it says to a vector, and
 * the end of the run looks at the vectors.
 *
 * Whether a number is zero or large enough is seen from its bits without the sign, less one: zero becomes the largest
 * number, and the upper word of all others tells; the least of them is kept. What is not finite stays so in a sum.
 */
import { CpuState } from '../../machine/cpu.layout.ts';
import type { Code, Label } from '../../wasm/code.ts';
import { FORM_PD, FORM_PS, FORM_SD, FORM_SS } from '../../x86/sse/exact.ts';
import type { AssumedOf, Known } from '../../x86/statement.ts';
import { CPU } from '../interp/dispatch.ts';
import { REGION_AGAIN, REGION_ASSUMED } from '../interp/leave.ts';
import type { FlagState } from './flag_state.ts';
import type { Frame } from './frame.ts';
import type { Insn } from './region.ts';
import type { Run } from './runs.ts';

/** Rounding control, FTZ, DAZ, masks and PE in MXCSR; and all but PE as assumed. */
const CONTROLS = 0xffe0;
const DEFAULT_CONTROLS = 0x1f80;
const PE = 0x20;

/** Names of a form: of integer and floating-point vectors and of elements; words that tell of size, as bits. */
interface Shape {
  readonly integer: 'i32x4' | 'i64x2';
  readonly name: 'f32' | 'f64' | 'f32x4' | 'f64x2';
  readonly type: 'f32' | 'f64' | 'v128';
  readonly words: number;
}

const SHAPES: Readonly<Record<number, Shape>> = {
  [FORM_SD]: { integer: 'i64x2', name: 'f64', type: 'f64', words: 0b0010 },
  [FORM_PD]: { integer: 'i64x2', name: 'f64x2', type: 'v128', words: 0b1010 },
  [FORM_SS]: { integer: 'i32x4', name: 'f32', type: 'f32', words: 0b0001 },
  [FORM_PS]: { integer: 'i32x4', name: 'f32x4', type: 'v128', words: 0b1111 },
};

/** The scalar form of a packed one. */
const LOW: Readonly<Record<number, number>> = { [FORM_PD]: FORM_SD, [FORM_PS]: FORM_SS };

interface Kept {
  readonly what: Known;
  readonly form: number;
}

export class Assumptions {
  private readonly frame: Frame;
  private readonly c: Code;
  private run: Run | null = null;
  /** Where it gives up. */
  private at = 0;
  /** Locals of the run: the least sizes and the sums by form, and bits that must not be. */
  private readonly least = new Map<number, number>();
  private readonly sums = new Map<number, number>();
  private bits = -1;
  /** Locals for them, by use and form. */
  private readonly locals = new Map<string, number>();
  /** What is known of xmm registers. */
  private readonly kept = new Map<number, Kept>();
  /** What MXCSR is known to be. */
  private controls: Run['assumption'] | null = null;

  constructor(frame: Frame) {
    this.frame = frame;
    this.c = frame.c;
  }

  /** Begins a block. */
  reset(): void {
    this.kept.clear();
    this.controls = null;
  }

  /** MXCSR may be another. */
  forget_controls(): void {
    this.controls = null;
  }

  begin(run: Run, retired: number, flags: FlagState): void {
    this.run = run;
    this.at = this.frame.run_point(run, retired, flags);
    this.least.clear();
    this.sums.clear();
    this.bits = -1;
  }

  /** Where the run gives up. */
  get point(): number {
    return this.at;
  }

  /** Gives up without a reason that counts. */
  give_up(): void {
    this.frame.give_up_at(this.at, REGION_AGAIN);
  }

  private local(use: string, form: number): number {
    const key = `${use} ${form}`;
    let local = this.locals.get(key);
    if (local === undefined) {
      local = this.c.local(use === 'sum' ? SHAPES[form]!.type : 'v128');
      this.locals.set(key, local);
    }
    return local;
  }

  /** Looks at a value, which `push` pushes; it is all of xmm register `reg` unless that is negative. */
  assume(what: AssumedOf, form: number, insn: Insn, reg: number, push: () => void): void {
    if (what === 'finite') this.assume_finite(form, insn, push);
    else if (what === 'no bits') this.assume_no_bits(push);
    else if (what === 'medium and not zero') this.assume_size(form, false, push);
    else {
      if (reg >= 0 && this.is_kept(reg, what, form)) return;
      this.assume_size(form, true, push);
      if (reg >= 0) this.kept.set(reg, { what: 'medium', form });
    }
  }

  private is_kept(reg: number, what: Known, form: number): boolean {
    const kept = this.kept.get(reg);
    if (kept === undefined || (kept.form !== form && LOW[kept.form] !== form)) return false;
    return kept.what === 'medium' || what === 'plain';
  }

  private assume_size(form: number, or_zero: boolean, push: () => void): void {
    const { c } = this;
    const { integer } = SHAPES[form] as Shape;
    push();
    c.i32(1).op(`${integer}.shl`);
    if (or_zero) c.v128(2n ** 128n - 1n).op(`${integer}.add`);
    let least = this.least.get(form);
    if (least === undefined) {
      least = this.local('least', form);
      this.least.set(form, least);
    } else c.get(least).op('i32x4.min_u');
    c.set(least);
  }

  private assume_finite(form: number, insn: Insn, push: () => void): void {
    if (this.run?.covered.has(insn) === true) return;
    const { c } = this;
    push();
    let sum = this.sums.get(form);
    if (sum === undefined) {
      sum = this.local('sum', form);
      this.sums.set(form, sum);
    } else c.get(sum).op(`${SHAPES[form]!.name}.add`);
    c.set(sum);
  }

  private assume_no_bits(push: () => void): void {
    const { c } = this;
    push();
    if (this.bits < 0) this.bits = this.local('bits', 0);
    else c.get(this.bits).op('v128.or');
    c.set(this.bits);
  }

  /** What is known of a register that was written. */
  know(reg: number, what: Known, form: number): void {
    this.kept.set(reg, { what, form });
  }

  /** A register was written: as a copy of another one, of its low element (8 bytes), or otherwise (-1). */
  wrote(reg: number, from: number, whole: boolean): void {
    const kept = from < 0 ? undefined : this.kept.get(from);
    this.kept.delete(reg);
    if (kept === undefined) return;
    const form = whole ? kept.form : kept.form === FORM_PD ? FORM_SD : kept.form === FORM_SD ? FORM_SD : -1;
    if (form >= 0) this.kept.set(reg, { what: kept.what, form });
  }

  /** Ends the run: gives up at its beginning if something does not hold. */
  end(): void {
    const { c } = this;
    const { assumption } = this.run as Run;
    const passed = c.block();
    const failed = c.block();
    if (this.controls !== assumption) {
      const wanted = DEFAULT_CONTROLS | (assumption === 'noted' ? PE : 0);
      c.get(CPU).op('i32.load', CpuState.mxcsr.offset).i32(CONTROLS).op('i32.and').i32(wanted).op('i32.ne');
      c.br_if_unlikely(failed);
      this.controls = assumption;
    }
    for (const [form, least] of this.least) this.fail_if_small(form, least, failed);
    for (const [form, sum] of this.sums) this.fail_unless_finite(form, sum, failed);
    if (this.bits >= 0) c.get(this.bits).op('v128.any_true').br_if_unlikely(failed);
    c.br(passed).end();
    this.frame.give_up_at(this.at, REGION_ASSUMED);
    c.end();
    this.run = null;
  }

  /** Sizes tell by the two highest bits: below 2^-511 (2^-63 of singles) both are zero. */
  private fail_if_small(form: number, least: number, failed: Label): void {
    const { c } = this;
    const { words } = SHAPES[form] as Shape;
    if (form === FORM_SD || form === FORM_SS) {
      c.get(least).lanes('i32x4.extract_lane', [form === FORM_SD ? 1 : 0]);
      c.i32(1 << 30)
        .op('i32.lt_u')
        .br_if_unlikely(failed);
      return;
    }
    c.get(least).get(least).i32(1).op('i32x4.shl').op('v128.or').op('i32x4.bitmask');
    c.i32(words).op('i32.and').i32(words).op('i32.ne').br_if_unlikely(failed);
  }

  private fail_unless_finite(form: number, sum: number, failed: Label): void {
    const { c } = this;
    const { name, type } = SHAPES[form] as Shape;
    c.get(sum).op(`${name}.abs`);
    if (type === 'f64') c.f64(Number.POSITIVE_INFINITY);
    else if (type === 'f32') c.f32(Number.POSITIVE_INFINITY);
    else if (form === FORM_PD) c.v128((0x7ff0n << 112n) | (0x7ff0n << 48n));
    else c.v128([0n, 32n, 64n, 96n].reduce((all, at) => all | (0x7f80_0000n << at), 0n));
    c.op(`${name}.lt`);
    if (type === 'v128') c.op(form === FORM_PD ? 'i64x2.all_true' : 'i32x4.all_true');
    c.op('i32.eqz').br_if_unlikely(failed);
  }
}
