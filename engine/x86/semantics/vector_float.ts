/**
 * SSE floating point. The exact helpers (`sse/exact.ts`) give every bit and flag; the frequent operations have a
 * fast path in front of them (`float_fast.ts`), taken only where it gives the same bits and the same MXCSR.
 */
import { CpuState, RCX } from '../../machine/cpu.layout.ts';
import { set_flags } from '../flags.ts';
import type { Family, Ir, Semantics, Value } from '../ir.ts';
import {
  FIRST,
  FORM_PD,
  FORM_PS,
  FORM_SD,
  FORM_SS,
  OP_ADD,
  OP_DIV,
  OP_MAX,
  OP_MIN,
  OP_MUL,
  OP_SQRT,
  OP_SUB,
  PAIR_ADDSUB,
  PAIR_HADD,
  PAIR_HSUB,
  RESULT,
  SECOND,
} from '../sse/exact.ts';
import { assumed_arithmetic, assumed_extreme } from './float_assumed.ts';
import {
  compare_by_predicate,
  fast_arithmetic,
  has_default_controls,
  inexact_is_noted,
  narrows_right,
  round_by_mode,
  Shape,
} from './float_fast.ts';
import { immediate, mmx_framed, set_mmx_state, vector, write_vector } from './vector.ts';

const SCRATCH = CpuState.scratch.offset;

/** Puts the operands where the helpers look for them. */
function put_operands(ir: Ir, first: Value | null, second: Value): void {
  ir.cpu_store('v128.store', SCRATCH + SECOND, second);
  if (first !== null) ir.cpu_store('v128.store', SCRATCH + FIRST, first);
}

/** The helper's result as operand 0 takes it: a whole vector, or its low element. */
function take_result(ir: Ir): void {
  const size = ir.operand(0).size;
  if (size === 16) ir.write(0, ir.cpu_load('v128.load', SCRATCH + RESULT));
  else ir.write(0, ir.cpu_load(size === 4 ? 'i64.load32_u' : 'i64.load', SCRATCH + RESULT));
}

/** An operation of two vectors (or the low elements) by a helper with constant arguments. */
function by_helper(name: string, constants: readonly number[], with_immediate = false): Semantics {
  return (ir) => {
    const second = vector(ir, 1);
    const first = ir.operand(0).cls === 'xmm' ? ir.read_lane(0, 'v128.load', 0) : null;
    put_operands(ir, first, second);
    const args = constants.map((constant) => ir.i32(constant));
    if (with_immediate) args.unshift(immediate(ir));
    ir.helper_or_raise(name, ...args);
    take_result(ir);
  };
}

const FORMS: readonly (readonly [string, number])[] = [
  ['ps', FORM_PS],
  ['pd', FORM_PD],
  ['ss', FORM_SS],
  ['sd', FORM_SD],
];

/** Puts operands of a shape where the helpers look for them; `first` null when there is none. */
function put_shaped(ir: Ir, s: Shape, first: Value | null, second: Value): void {
  const store = s.packed ? 'v128.store' : `${s.name}.store`;
  ir.cpu_store(store, SCRATCH + SECOND, second);
  if (first !== null) ir.cpu_store(store, SCRATCH + FIRST, first);
}

/** A value of a shape as operand 0 takes it: its bits. */
function bits_of(ir: Ir, s: Shape, value: Value): Value {
  if (s.packed) return value;
  if (s.double) return ir.op('i64.reinterpret_f64', value);
  return ir.op('i64.extend_i32_u', ir.op('i32.reinterpret_f32', value));
}

function result_bits(ir: Ir, s: Shape): Value {
  return ir.cpu_load(s.packed ? 'v128.load' : s.double ? 'i64.load' : 'i64.load32_u', SCRATCH + RESULT);
}

/** Writes `fast` where `right` holds, else what the helper makes of the operands. */
function write_or_help(
  ir: Ir,
  s: Shape,
  operands: readonly [Value | null, Value],
  fast: { result: Value; right: Value },
  help: () => void,
): void {
  const result = ir.variable(bits_of(ir, s, fast.result));
  ir.unless_as_usual(fast.right, () => {
    put_shaped(ir, s, operands[0], operands[1]);
    help();
    ir.set(result, result_bits(ir, s));
  });
  ir.write(0, ir.get(result));
}

/** An arithmetic operation in its four forms. */
function four(stem: string, op: number): Family {
  const semantics =
    (form: number): Semantics =>
    (ir) => {
      if (ir.assumption !== 'none') {
        assumed_arithmetic(ir, form, op);
        return;
      }
      const s = new Shape(ir, form);
      const b = s.read(1);
      const a = op === OP_SQRT ? b : s.read(0);
      write_or_help(ir, s, [a, b], fast_arithmetic(ir, s, op, a, b), () =>
        ir.helper_or_raise('sse_arithmetic', ir.i32(op), ir.i32(form)),
      );
    };
  return Object.fromEntries(FORMS.map(([suffix, form]) => [stem + suffix, semantics(form)]));
}

/** MIN and MAX: of operands that are neither NaN nor denormal the lesser or greater, the second if equal. */
function extremes(stem: string, op: number): Family {
  const semantics =
    (form: number): Semantics =>
    (ir) => {
      if (ir.assumption !== 'none') {
        assumed_extreme(ir, form, op);
        return;
      }
      const s = new Shape(ir, form);
      const b = s.read(1);
      const a = s.read(0);
      const first = s.op(op === OP_MIN ? 'lt' : 'gt', a, b);
      const result = s.packed ? ir.op('v128.bitselect', a, b, first) : ir.select(first, a, b);
      const right = s.all(s.and(s.is_plain(a), s.is_plain(b)));
      write_or_help(ir, s, [a, b], { result, right }, () =>
        ir.helper_or_raise('sse_arithmetic', ir.i32(op), ir.i32(form)),
      );
    };
  return Object.fromEntries(FORMS.map(([suffix, form]) => [stem + suffix, semantics(form)]));
}

/** CMPPS and kin: plain operands directly. */
function compare_mask(form: number): Semantics {
  return (ir) => {
    const s = new Shape(ir, form);
    const b = s.read(1);
    const a = s.read(0);
    const predicate = immediate(ir);
    const holds = compare_by_predicate(ir, s, predicate, a, b);
    const all_ones = s.packed ? holds : ir.op('i64.extend_i32_s', ir.op('i32.sub', ir.i32(0), holds));
    const result = ir.variable(s.packed || s.double ? all_ones : ir.zero_extend(all_ones, 4));
    ir.unless_as_usual(s.all(s.and(s.is_plain(a), s.is_plain(b))), () => {
      put_shaped(ir, s, a, b);
      ir.helper_or_raise('sse_compare_mask', predicate, ir.i32(form));
      ir.set(result, result_bits(ir, s));
    });
    ir.write(0, ir.get(result));
  };
}

/** ROUNDPS and kin: directly if nothing is lost, or nobody is told. */
function round_elements(form: number): Semantics {
  return (ir) => {
    const s = new Shape(ir, form);
    const b = s.read(1);
    const imm = immediate(ir);
    const control = ir.cpu_load('i32.load', CpuState.mxcsr.offset);
    const by_mxcsr = ir.op('i32.and', ir.op('i32.shr_u', control, ir.i32(13)), ir.i32(3));
    const own = ir.op('i32.and', imm, ir.i32(3));
    const mode = ir.select(ir.op('i32.and', imm, ir.i32(4)), by_mxcsr, own);
    const rounded = round_by_mode(ir, s, mode, b);
    const untold = ir.op('i32.or', ir.op('i32.and', imm, ir.i32(8)), inexact_is_noted(ir));
    const settled = ir.op('i32.or', untold, s.all(s.op('eq', rounded, b)));
    const right = ir.op('i32.and', ir.op('i32.ne', settled, ir.i32(0)), s.all(s.is_plain(b)));
    write_or_help(ir, s, [null, b], { result: rounded, right }, () =>
      ir.helper_or_raise('sse_round', imm, ir.i32(form)),
    );
  };
}

function by_form(stem: string, make: (form: number) => Semantics): Family {
  return Object.fromEntries(FORMS.map(([suffix, form]) => [stem + suffix, make(form)]));
}

/** COMISS and kin: flags directly for operands that are neither NaN nor denormal, else from the helper. */
function compare_flags(quiet_nans: number, form: number): Semantics {
  return (ir) => {
    const s = new Shape(ir, form);
    const b = s.read(1);
    const a = s.read(0);
    const equal = ir.op('i32.shl', s.op('eq', a, b), ir.i32(6));
    const result = ir.variable(ir.op('i32.or', s.op('lt', a, b), equal));
    ir.unless_as_usual(s.and(s.is_plain(a), s.is_plain(b)), () => {
      put_shaped(ir, s, a, b);
      ir.helper_or_raise('sse_compare_flags', ir.i32(quiet_nans), ir.i32(form));
      ir.set(result, ir.cpu_load('i32.load', SCRATCH + RESULT));
    });
    const flags = ir.get(result);
    const bit = (n: number): Value => ir.op('i32.and', ir.op('i32.shr_u', flags, ir.i32(n)), ir.i32(1));
    const zero = ir.i32(0);
    set_flags(ir, { CF: bit(0), PF: bit(2), AF: zero, ZF: bit(6), SF: zero, OF: zero });
  };
}

/** A conversion with an mm register marks the x87 stack even if it raises #XM. */
function enter_mmx(ir: Ir): void {
  if (ir.form.operands.some((operand) => operand.cls === 'mm' && operand.kind === 'reg')) set_mmx_state(ir, 0xff);
}

/** A conversion whose result replaces all of an xmm destination; what the helper leaves is zero. */
function convert_packed(name: string, constants: readonly number[]): Semantics {
  return (ir) => {
    put_operands(ir, null, vector(ir, 1));
    enter_mmx(ir);
    ir.cpu_store('v128.store', SCRATCH + RESULT, ir.v128(0n));
    ir.helper_or_raise(name, ...constants.map((constant) => ir.i32(constant)));
    write_vector(ir, ir.cpu_load('v128.load', SCRATCH + RESULT));
  };
}

/** Integers up to this size are exact in the format. */
const EXACT_SINGLE = 2 ** 24;
const EXACT_DOUBLE = 2 ** 53;

/** CVTSI2SS, CVTSI2SD: a 32- or 64-bit integer into the low element; directly where that is exact. */
function integer_to_scalar(double: number): Semantics {
  return (ir) => {
    const { size } = ir.operand(1);
    const s = new Shape(ir, double === 0 ? FORM_SS : FORM_SD);
    const source = ir.read_signed(1);
    const converted = s.op('convert_i64_s', source);
    if (double !== 0 && size === 4) {
      ir.write(0, bits_of(ir, s, converted));
      return;
    }
    const limit = double === 0 ? EXACT_SINGLE : EXACT_DOUBLE;
    const shifted = ir.op('i64.add', source, ir.i64(limit));
    const right = ir.op('i64.le_u', shifted, ir.i64(2 * limit));
    const result = ir.variable(bits_of(ir, s, converted));
    ir.unless_as_usual(right, () => {
      ir.cpu_store('i64.store', SCRATCH + SECOND, source);
      ir.helper_or_raise('sse_from_integer', ir.i32(size * 8), ir.i32(double), ir.i32(1));
      ir.set(result, result_bits(ir, s));
    });
    ir.write(0, ir.get(result));
  };
}

/** CVTTSS2SI and kin: the low element to a general register; directly if it is an integer in range. */
function scalar_to_integer(double: number, truncate: number): Semantics {
  return (ir) => {
    const { size } = ir.operand(0);
    const s = new Shape(ir, double === 0 ? FORM_SS : FORM_SD);
    const b = s.read(1);
    const whole = s.op('trunc', b);
    const noted = inexact_is_noted(ir);
    const is_whole = s.op('eq', whole, b);
    const settled = truncate === 0 ? is_whole : ir.op('i32.or', is_whole, noted);
    const in_range = s.op('lt', s.op('abs', b), s.constant(size === 4 ? 2 ** 31 : 2 ** 63));
    const result = ir.variable(ir.op(`i64.trunc_sat_${s.name}_s`, b));
    ir.unless_as_usual(ir.op('i32.and', settled, in_range), () => {
      put_shaped(ir, s, null, b);
      const args = [size * 8, double, 1, truncate].map((constant) => ir.i32(constant));
      ir.helper_or_raise('sse_to_integer', ...args);
      ir.set(result, ir.cpu_load(size === 4 ? 'i64.load32_u' : 'i64.load', SCRATCH + RESULT));
    });
    ir.write(0, ir.get(result));
  };
}

/** CVTSS2SD: exact but for NaNs and denormals, which the helper takes. */
function single_to_double(ir: Ir): void {
  const from = new Shape(ir, FORM_SS);
  const to = new Shape(ir, FORM_SD);
  const b = from.read(1);
  const result = ir.variable(bits_of(ir, to, ir.op('f64.promote_f32', b)));
  ir.unless_as_usual(from.is_plain(b), () => {
    put_shaped(ir, from, null, b);
    ir.helper_or_raise('sse_convert', ir.i32(0), ir.i32(1));
    ir.set(result, result_bits(ir, to));
  });
  ir.write(0, ir.get(result));
}

/** A packed conversion with a fast path: `convert` gives the result and whether it is right. */
function convert_vector(
  convert: (ir: Ir, value: Value) => { result: Value; right: Value },
  name: string,
  constants: readonly number[],
): Semantics {
  return (ir) => {
    const value = vector(ir, 1);
    const fast = convert(ir, value);
    const result = ir.variable(fast.result);
    ir.unless_as_usual(fast.right, () => {
      put_operands(ir, null, value);
      ir.cpu_store('v128.store', SCRATCH + RESULT, ir.v128(0n));
      ir.helper_or_raise(name, ...constants.map((constant) => ir.i32(constant)));
      ir.set(result, ir.cpu_load('v128.load', SCRATCH + RESULT));
    });
    ir.write(0, ir.get(result));
  };
}

/** CVTDQ2PD, CVTPI2PD: exact. */
function integers_to_doubles(ir: Ir): void {
  ir.write(0, ir.op('f64x2.convert_low_i32x4_s', vector(ir, 1)));
}

/** CVTDQ2PS: exact up to 24 bits, else to nearest. */
function integers_to_singles(ir: Ir, value: Value): { result: Value; right: Value } {
  const shifted = ir.op('i32x4.add', value, ir.op('i32x4.splat', ir.i32(EXACT_SINGLE)));
  const small = ir.op('i32x4.le_u', shifted, ir.op('i32x4.splat', ir.i32(2 * EXACT_SINGLE)));
  const noted = ir.op('i32.and', has_default_controls(ir), inexact_is_noted(ir));
  const right = ir.op('i32.or', ir.op('i32x4.all_true', small), noted);
  return { result: ir.op('f32x4.convert_i32x4_s', value), right };
}

function singles_to_doubles(ir: Ir, value: Value): { result: Value; right: Value } {
  const s = new Shape(ir, FORM_PS);
  return { result: ir.op('f64x2.promote_low_f32x4', value), right: s.all(s.is_plain(value)) };
}

function doubles_to_singles(ir: Ir, value: Value): { result: Value; right: Value } {
  const s = new Shape(ir, FORM_PD);
  const result = ir.op('f32x4.demote_f64x2_zero', value);
  return { result, right: narrows_right(ir, s, value, ir.op('f64x2.promote_low_f32x4', result)) };
}

/** CVTTPS2DQ, CVTTPD2DQ: whole numbers in range, or fractions that nobody is told of. */
function truncate_vector(form: number): (ir: Ir, value: Value) => { result: Value; right: Value } {
  return (ir, value) => {
    const s = new Shape(ir, form);
    const in_range = s.all(s.op('lt', s.op('abs', value), s.constant(2 ** 31)));
    const settled = ir.op('i32.or', inexact_is_noted(ir), s.all(s.op('eq', s.op('trunc', value), value)));
    const name = form === FORM_PS ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero';
    return { result: ir.op(name, value), right: ir.op('i32.and', in_range, settled) };
  };
}

/** CVTSD2SS. */
function double_to_single(ir: Ir): void {
  const from = new Shape(ir, FORM_SD);
  const to = new Shape(ir, FORM_SS);
  const b = from.read(1);
  const narrowed = ir.op('f32.demote_f64', b);
  const result = ir.variable(bits_of(ir, to, narrowed));
  ir.unless_as_usual(narrows_right(ir, from, b, ir.op('f64.promote_f32', narrowed)), () => {
    put_shaped(ir, from, null, b);
    ir.helper_or_raise('sse_convert', ir.i32(1), ir.i32(1));
    ir.set(result, result_bits(ir, to));
  });
  ir.write(0, ir.get(result));
}

/** CVTPI2PS: two integers into the low half of the destination. */
function pi_to_ps(ir: Ir): void {
  put_operands(ir, null, vector(ir, 1));
  enter_mmx(ir);
  const args = [32, 0, 2].map((constant) => ir.i32(constant));
  ir.helper_or_raise('sse_from_integer', ...args);
  ir.write_lane(0, 'i64.store', 0, ir.cpu_load('i64.load', SCRATCH + RESULT));
}

const CONVERSIONS: Family = {
  cvtsi2ss: integer_to_scalar(0),
  cvtsi2sd: integer_to_scalar(1),
  cvtss2si: scalar_to_integer(0, 0),
  cvttss2si: scalar_to_integer(0, 1),
  cvtsd2si: scalar_to_integer(1, 0),
  cvttsd2si: scalar_to_integer(1, 1),
  cvtps2pd: convert_vector(singles_to_doubles, 'sse_convert', [0, 2]),
  cvtpd2ps: convert_vector(doubles_to_singles, 'sse_convert', [1, 2]),
  cvtss2sd: single_to_double,
  cvtsd2ss: double_to_single,
  cvtdq2ps: convert_vector(integers_to_singles, 'sse_from_integer', [32, 0, 4]),
  cvtdq2pd: integers_to_doubles,
  cvtps2dq: convert_packed('sse_to_integer', [32, 0, 4, 0]),
  cvttps2dq: convert_vector(truncate_vector(FORM_PS), 'sse_to_integer', [32, 0, 4, 1]),
  cvtpd2dq: convert_packed('sse_to_integer', [32, 1, 2, 0]),
  cvttpd2dq: convert_vector(truncate_vector(FORM_PD), 'sse_to_integer', [32, 1, 2, 1]),
  cvtpi2ps: pi_to_ps,
  cvtpi2pd: integers_to_doubles,
  cvtps2pi: convert_packed('sse_to_integer', [32, 0, 2, 0]),
  cvttps2pi: convert_packed('sse_to_integer', [32, 0, 2, 1]),
  cvtpd2pi: convert_packed('sse_to_integer', [32, 1, 2, 0]),
  cvttpd2pi: convert_packed('sse_to_integer', [32, 1, 2, 1]),
};

/** PCMPESTRI and kin by helper: operands in scratch, lengths (explicit forms) behind them. */
function compare_strings(explicit: boolean, mask: boolean): Semantics {
  return (ir) => {
    put_operands(ir, vector(ir, 0), vector(ir, 1));
    if (explicit) {
      // The lengths' width follows REX.W.
      const size = ir.form.operand_size === 8 ? 8 : 4;
      const read = (number: number): Value => ir.sign_extend(ir.gpr(number, size), size);
      ir.cpu_store('i64.store', SCRATCH + 48, read(0));
      ir.cpu_store('i64.store', SCRATCH + 56, read(2));
    }
    const kind = ir.i32((explicit ? 1 : 0) | (mask ? 2 : 0));
    const flags = ir.helper('sse_compare_strings', 'i32', immediate(ir), kind);
    if (flags === null) return;
    if (mask) ir.cpu_store('v128.store', CpuState.xmm.offset, ir.cpu_load('v128.load', SCRATCH + RESULT));
    else ir.set_gpr(RCX, ir.cpu_load('i64.load32_u', SCRATCH + RESULT), 4);
    const bit = (n: number): Value => ir.op('i32.and', ir.op('i32.shr_u', flags, ir.i32(n)), ir.i32(1));
    const zero = ir.i32(0);
    set_flags(ir, { CF: bit(0), PF: zero, AF: zero, ZF: bit(6), SF: bit(7), OF: bit(11) });
  };
}

export const VECTOR_FLOAT: Family = {
  ...four('add', OP_ADD),
  ...four('sub', OP_SUB),
  ...four('mul', OP_MUL),
  ...four('div', OP_DIV),
  ...extremes('min', OP_MIN),
  ...extremes('max', OP_MAX),
  ...four('sqrt', OP_SQRT),
  ...by_form('cmp', compare_mask),
  ...by_form('round', round_elements),
  ...mmx_framed(CONVERSIONS),
  haddps: by_helper('sse_pairwise', [PAIR_HADD, FORM_PS]),
  haddpd: by_helper('sse_pairwise', [PAIR_HADD, FORM_PD]),
  hsubps: by_helper('sse_pairwise', [PAIR_HSUB, FORM_PS]),
  hsubpd: by_helper('sse_pairwise', [PAIR_HSUB, FORM_PD]),
  addsubps: by_helper('sse_pairwise', [PAIR_ADDSUB, FORM_PS]),
  addsubpd: by_helper('sse_pairwise', [PAIR_ADDSUB, FORM_PD]),
  dpps: by_helper('sse_dot_product', [FORM_PS], true),
  dppd: by_helper('sse_dot_product', [FORM_PD], true),
  comiss: compare_flags(0, FORM_SS),
  comisd: compare_flags(0, FORM_SD),
  ucomiss: compare_flags(1, FORM_SS),
  ucomisd: compare_flags(1, FORM_SD),
  rcpps: by_helper('sse_approximate', [0, 4]),
  rcpss: by_helper('sse_approximate', [0, 1]),
  rsqrtps: by_helper('sse_approximate', [1, 4]),
  rsqrtss: by_helper('sse_approximate', [1, 1]),
  pcmpestri: compare_strings(true, false),
  pcmpestrm: compare_strings(true, true),
  pcmpistri: compare_strings(false, false),
  pcmpistrm: compare_strings(false, true),
};
