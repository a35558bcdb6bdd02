/**
 * Fused pairs: a comparison, or arithmetic on registers, and the conditional branch behind it in one handler, which
 * saves a dispatch; a comparison's condition is read off its operands. Both records stay: the fused handler belongs to
 * the first and finds target, link and position in the second, so code may still enter between the two. Flags are
 * written all the same.
 */
import { condition, flags_logic, flags_sub } from '../../x86/flags.ts';
import type { Row } from '../../x86/instruction.ts';
import type { Form, Ir, Value } from '../../x86/ir.ts';
import { semantics_of } from '../../x86/semantics/all.ts';
import { VARIANT_MEMORY, VARIANT_NO_INDEX } from './forms.ts';

/** Conditions that fused handlers exist for: not overflow, not parity. */
const COMPARE_CONDITIONS = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15];
/** After a test CF and OF are clear: below and above-or-equal never vary. */
const TEST_CONDITIONS = [4, 5, 8, 9, 12, 13, 14, 15];

/** Behind arithmetic on registers: equal, sign; carry as well where it makes sense. */
const RESULT_CONDITIONS = [4, 5, 8, 9];
const CARRY_CONDITIONS = [2, 3, 4, 5, 8, 9];
const ARITHMETIC: Readonly<Record<string, readonly number[]>> = {
  add: CARRY_CONDITIONS,
  sub: CARRY_CONDITIONS,
  and: RESULT_CONDITIONS,
  inc: RESULT_CONDITIONS,
  dec: RESULT_CONDITIONS,
};

/** Conditions that a form fuses with; none for what is not common enough to deserve handlers. */
export function fused_conditions(row: Row, variant: number, form: Form): readonly number[] {
  const arithmetic = ARITHMETIC[row.semantics];
  if (arithmetic !== undefined && (variant & VARIANT_MEMORY) === 0 && form.operand_size >= 4) return arithmetic;
  if (row.semantics !== 'cmp' && row.semantics !== 'test') return [];
  if (form.operand_size === 2) return [];
  if ((variant & VARIANT_MEMORY) !== 0 && (variant & VARIANT_NO_INDEX) === 0) return [];
  return row.semantics === 'cmp' ? COMPARE_CONDITIONS : TEST_CONDITIONS;
}

/** Result of a comparison's condition, before the low bit of the code inverts it. */
function compare_condition(ir: Ir, code: number, a: Value, b: Value): Value {
  const { size } = ir;
  const unsigned = (name: string): Value => ir.op(name, ir.zero_extend(a, size), ir.zero_extend(b, size));
  const signed = (name: string): Value => ir.op(name, ir.sign_extend(a, size), ir.sign_extend(b, size));
  switch (code >> 1) {
    case 1:
      return unsigned('i64.lt_u');
    case 2:
      return unsigned('i64.eq');
    case 3:
      return unsigned('i64.le_u');
    case 4:
      return ir.op('i64.lt_s', ir.sign_extend(ir.op('i64.sub', a, b), size), ir.i64(0));
    case 6:
      return signed('i64.lt_s');
    default:
      return signed('i64.le_s');
  }
}

/** With CF and OF clear only sign and zero of the result matter. */
function test_condition(ir: Ir, code: number, result: Value): Value {
  const extended = ir.sign_extend(result, ir.size);
  const zero = ir.i64(0);
  if (code >> 1 === 2) return ir.op('i64.eq', extended, zero);
  return ir.op(code >> 1 === 7 ? 'i64.le_s' : 'i64.lt_s', extended, zero);
}

/** The IR of the pair, up to and with the branch. */
export function fused_semantics(ir: Ir, code: number): void {
  const { size } = ir;
  const key = ir.form.row.semantics;
  if (ARITHMETIC[key] !== undefined) {
    semantics_of(key)!(ir);
    ir.branch(condition(ir, code));
    return;
  }
  const a = ir.read(0);
  const b = ir.read(1);
  let holds: Value;
  if (key === 'cmp') {
    flags_sub(ir, a, b, ir.op('i64.sub', a, b), size);
    holds = compare_condition(ir, code, a, b);
  } else {
    const result = ir.op('i64.and', a, b);
    flags_logic(ir, result, size);
    holds = test_condition(ir, code, result);
  }
  ir.branch((code & 1) === 0 ? holds : ir.op('i32.eqz', holds));
}
