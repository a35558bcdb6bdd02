/**
 * Flags in the IR: the lazy representation of cpu.layout.ts, written and read back.
 *
 * An arithmetic instruction stores its sign-extended result and, in `flags_aux`, the carries out of the top
 * bit (CF) and into it (PO, so that OF = CF xor PO) and out of bit 3 (AF). Logic clears aux. Anything else is
 * written flag by flag with `set_flags`, which uses the corrections SFD and PDB.
 */
import { AUX_AF, AUX_PDB_SHIFT, AUX_PO, CpuState } from '../machine/cpu.layout.ts';
import type { FlagName, Ir, Value } from './ir.ts';

const RESULT = CpuState.flags_result.offset;
const AUX = CpuState.flags_aux.offset;

/** Stores the lazy flags: the sign-extended result and the auxiliary word. */
function store_flags(ir: Ir, result: Value, aux: Value): void {
  ir.cpu_store('i64.store', RESULT, result);
  ir.cpu_store('i32.store', AUX, aux);
}

/** CF, PO and AF out of a vector of carries, one for each bit position, of `size` bytes. */
function aux_of_carries(ir: Ir, carries: Value, size: number): Value {
  const af = ir.op('i32.and', ir.op('i32.wrap_i64', carries), ir.i32(AUX_AF));
  const top =
    size === 8
      ? ir.op('i32.wrap_i64', ir.op('i64.shr_u', carries, ir.i64(32)))
      : ir.op('i32.shl', ir.op('i32.wrap_i64', carries), ir.i32(32 - size * 8));
  return ir.op('i32.or', ir.op('i32.and', top, ir.i32(0xc000_0000)), af);
}

/**
 * What the last instruction that set all flags did, and on what: `a`, `b` and `c` are i64, `c` a carry of 0 or 1.
 * RAW has the two fields themselves in `a` and `b`; LOGIC, INC and DEC their result in `a`, and the latter two the
 * carry that they keep in `c`; ADC and SBB the carry that went in. Shifts have their operand and a count that is
 * masked and not zero.
 */
export const FLAGS_RAW = 0;
export const FLAGS_LOGIC = 1;
export const FLAGS_ADD = 2;
export const FLAGS_SUB = 3;
export const FLAGS_ADC = 4;
export const FLAGS_SBB = 5;
export const FLAGS_INC = 6;
export const FLAGS_DEC = 7;
export const FLAGS_SHL = 8;
export const FLAGS_SHR = 9;
export const FLAGS_SAR = 10;
export const FLAGS_OPERATIONS = 11;

/** The two fields of the lazy representation. */
export interface LazyFlags {
  readonly result: Value;
  readonly aux: Value;
}

function set_all(ir: Ir, op: number, size: number, args: readonly Value[], eager: () => LazyFlags): void {
  if (ir.lazy) {
    ir.lazy_flags(op, size, args);
    return;
  }
  const { result, aux } = eager();
  store_flags(ir, result, aux);
}

function add_flags(ir: Ir, a: Value, b: Value, result: Value, size: number): LazyFlags {
  const either = ir.op('i64.and', ir.op('i64.or', a, b), ir.op('i64.xor', result, ir.i64(-1)));
  const carries = ir.op('i64.or', ir.op('i64.and', a, b), either);
  return { result: ir.sign_extend(result, size), aux: aux_of_carries(ir, carries, size) };
}

/** Flags of result = a + b (+ carry). Bits above `size` of the three do not matter. */
export function flags_add(ir: Ir, a: Value, b: Value, result: Value, size: number, carry: Value | null = null): void {
  const args = carry === null ? [a, b] : [a, b, carry];
  set_all(ir, carry === null ? FLAGS_ADD : FLAGS_ADC, size, args, () => add_flags(ir, a, b, result, size));
}

/** The borrows of result = a - b (- borrow), one for each bit position. */
function borrows(ir: Ir, a: Value, b: Value, result: Value): Value {
  const not_a = ir.op('i64.xor', a, ir.i64(-1));
  const both = ir.op('i64.and', ir.op('i64.or', not_a, b), result);
  return ir.op('i64.or', ir.op('i64.and', not_a, b), both);
}

function sub_flags(ir: Ir, a: Value, b: Value, result: Value, size: number): LazyFlags {
  return { result: ir.sign_extend(result, size), aux: aux_of_carries(ir, borrows(ir, a, b, result), size) };
}

/** Flags of result = a - b (- borrow). */
export function flags_sub(ir: Ir, a: Value, b: Value, result: Value, size: number, borrow: Value | null = null): void {
  const args = borrow === null ? [a, b] : [a, b, borrow];
  set_all(ir, borrow === null ? FLAGS_SUB : FLAGS_SBB, size, args, () => sub_flags(ir, a, b, result, size));
}

/** Flags of a logical result: CF = OF = AF = 0. */
export function flags_logic(ir: Ir, result: Value, size: number): void {
  set_all(ir, FLAGS_LOGIC, size, [result], () => ({ result: ir.sign_extend(result, size), aux: ir.i32(0) }));
}

/** Flags of result = a + 1 (`delta` 1) or a - 1 (-1), with `old` (i32) as CF. */
function step_flags(ir: Ir, a: Value, delta: 1 | -1, result: Value, size: number, old: Value): LazyFlags {
  const one = ir.i64(1);
  const both = ir.op('i64.and', a, one);
  const carries =
    delta === 1
      ? ir.op('i64.or', both, ir.op('i64.and', ir.op('i64.or', a, one), ir.op('i64.xor', result, ir.i64(-1))))
      : borrows(ir, a, one, result);
  const fresh = aux_of_carries(ir, carries, size);
  // OF must come out as computed while CF is kept: PO = OF xor CF.
  const old_top = ir.op('i32.shl', old, ir.i32(31));
  const overflow = ir.op('i32.xor', fresh, ir.op('i32.shl', fresh, ir.i32(1)));
  const po = ir.op('i32.shr_u', ir.op('i32.xor', ir.op('i32.and', overflow, ir.i32(0x8000_0000)), old_top), ir.i32(1));
  const af = ir.op('i32.and', fresh, ir.i32(AUX_AF));
  return { result: ir.sign_extend(result, size), aux: ir.op('i32.or', ir.op('i32.or', old_top, po), af) };
}

/** Flags of result = a + 1 (`delta` 1) or a - 1 (-1): as add or sub, but CF stays. */
export function flags_step(ir: Ir, a: Value, delta: 1 | -1, result: Value, size: number): void {
  set_all(ir, delta === 1 ? FLAGS_INC : FLAGS_DEC, size, [result], () =>
    step_flags(ir, a, delta, result, size, flag(ir, 'CF')),
  );
}

/** Bit `n` (an i64) of a value, as i32 0 or 1. */
function bit(ir: Ir, value: Value, n: Value): Value {
  return ir.op('i32.and', ir.op('i32.wrap_i64', ir.op('i64.shr_u', value, n)), ir.i32(1));
}

function top_bit(ir: Ir, value: Value, size: number): Value {
  return bit(ir, value, ir.i64(size * 8 - 1));
}

/** ZF, SF and PF of a result of `size` bytes; CF and OF given (i32 0 or 1), AF = 0. */
function result_flags(ir: Ir, result: Value, size: number, cf: Value, of: Value): LazyFlags {
  const po = ir.op('i32.shl', ir.op('i32.xor', cf, of), ir.i32(30));
  return { result: ir.sign_extend(result, size), aux: ir.op('i32.or', ir.op('i32.shl', cf, ir.i32(31)), po) };
}

/** Flags of a shift of `a` (for SAR sign-extended) by a masked count that is not zero. */
function shift_flags(ir: Ir, op: number, a: Value, count: Value, result: Value, size: number): LazyFlags {
  const last = (): Value => ir.op('i64.sub', count, ir.i64(1));
  if (op === FLAGS_SHL) {
    const cf = size === 8 ? bit(ir, a, ir.op('i64.sub', ir.i64(64), count)) : bit(ir, result, ir.i64(size * 8));
    return result_flags(ir, result, size, cf, ir.op('i32.xor', top_bit(ir, result, size), cf));
  }
  if (op === FLAGS_SHR) return result_flags(ir, result, size, bit(ir, a, last()), top_bit(ir, a, size));
  const cf = ir.op('i32.and', ir.op('i32.wrap_i64', ir.op('i64.shr_s', a, last())), ir.i32(1));
  return result_flags(ir, result, size, cf, ir.i32(0));
}

const SHIFTS: Readonly<Record<number, string>> = {
  [FLAGS_SHL]: 'i64.shl',
  [FLAGS_SHR]: 'i64.shr_u',
  [FLAGS_SAR]: 'i64.shr_s',
};

/** Flags of result = `a` shifted by `count`, which is masked; a count of zero keeps them. */
export function flags_shift(ir: Ir, op: number, a: Value, count: Value, result: Value, size: number): void {
  if (ir.lazy && ir.operand(1).kind === 'imm') {
    ir.lazy_flags(op, size, [a, count]);
    return;
  }
  ir.if(ir.op('i64.ne', count, ir.i64(0)), () => {
    const flags = shift_flags(ir, op, a, count, result, size);
    store_flags(ir, flags.result, flags.aux);
  });
}

/** The fields as operation `op` on i64 arguments makes them. */
export function flags_of(ir: Ir, op: number, size: number, a: Value, b: Value, c: Value): LazyFlags {
  switch (op) {
    case FLAGS_RAW:
      return { result: a, aux: ir.op('i32.wrap_i64', b) };
    case FLAGS_LOGIC:
      return { result: ir.sign_extend(a, size), aux: ir.i32(0) };
    case FLAGS_ADD:
      return add_flags(ir, a, b, ir.op('i64.add', a, b), size);
    case FLAGS_ADC:
      return add_flags(ir, a, b, ir.op('i64.add', ir.op('i64.add', a, b), c), size);
    case FLAGS_SUB:
      return sub_flags(ir, a, b, ir.op('i64.sub', a, b), size);
    case FLAGS_SBB:
      return sub_flags(ir, a, b, ir.op('i64.sub', ir.op('i64.sub', a, b), c), size);
    case FLAGS_INC:
      return step_flags(ir, ir.op('i64.sub', a, ir.i64(1)), 1, a, size, ir.op('i32.wrap_i64', c));
    case FLAGS_DEC:
      return step_flags(ir, ir.op('i64.add', a, ir.i64(1)), -1, a, size, ir.op('i32.wrap_i64', c));
    default:
      return shift_flags(ir, op, a, b, ir.op(SHIFTS[op] as string, a, b), size);
  }
}

/** Six flags, each an i32 of 0 or 1. */
export interface FlagValues {
  readonly CF: Value;
  readonly PF: Value;
  readonly AF: Value;
  readonly ZF: Value;
  readonly SF: Value;
  readonly OF: Value;
}

/** Writes flags one by one. */
export function set_flags(ir: Ir, flags: FlagValues): void {
  // The result is 0 or 1 and never negative: SFD is SF itself; parity is corrected by PDB.
  const zero = ir.op('i32.and', flags.ZF, ir.i32(1));
  const not_zero = ir.op('i32.xor', zero, ir.i32(1));
  const pdb = ir.op('i32.xor', ir.op('i32.xor', flags.PF, ir.i32(1)), not_zero);
  const or = (a: Value, b: Value): Value => ir.op('i32.or', a, b);
  const shl = (a: Value, n: number): Value => ir.op('i32.shl', a, ir.i32(n));
  const carries = or(shl(flags.CF, 31), shl(ir.op('i32.xor', flags.CF, flags.OF), 30));
  const aux = or(or(carries, shl(pdb, AUX_PDB_SHIFT)), or(shl(flags.AF, 3), flags.SF));
  store_flags(ir, ir.op('i64.extend_i32_u', not_zero), aux);
}

/** Stores ZF, SF and PF of a result of `size` bytes; CF and OF given (i32 0 or 1), AF = 0. */
export function flags_result(ir: Ir, result: Value, size: number, cf: Value, of: Value): void {
  const flags = result_flags(ir, result, size, cf, of);
  store_flags(ir, flags.result, flags.aux);
}

/** Replaces CF, leaving the other flags. `cf` is an i32 of 0 or 1. */
export function set_carry(ir: Ir, cf: Value): void {
  const aux = ir.cpu_load('i32.load', AUX);
  // PO = OF xor CF, so it turns with CF.
  const change = ir.op('i32.xor', ir.op('i32.shr_u', aux, ir.i32(31)), cf);
  const bits = ir.op('i32.mul', change, ir.i32(0x8000_0000 | AUX_PO));
  ir.cpu_store('i32.store', AUX, ir.op('i32.xor', aux, bits));
}

/** Replaces CF and OF (i32 0 or 1), leaving the other flags. */
export function set_carry_overflow(ir: Ir, cf: Value, of: Value): void {
  const kept = ir.op('i32.and', ir.cpu_load('i32.load', AUX), ir.i32(0x3fff_ffff));
  const po = ir.op('i32.shl', ir.op('i32.xor', cf, of), ir.i32(30));
  const top = ir.op('i32.or', ir.op('i32.shl', cf, ir.i32(31)), po);
  ir.cpu_store('i32.store', AUX, ir.op('i32.or', kept, top));
}

/** Replaces ZF (i32 0 or 1), leaving the other flags. */
export function set_zero(ir: Ir, zf: Value): void {
  const [CF, PF, AF, SF, OF] = (['CF', 'PF', 'AF', 'SF', 'OF'] as const).map((name) => flag(ir, name));
  set_flags(ir, { CF: CF!, PF: PF!, AF: AF!, ZF: zf, SF: SF!, OF: OF! });
}

/** One flag as an i32 of 0 or 1. */
export function flag(ir: Ir, name: FlagName): Value {
  return ir.lazy ? ir.lazy_flag(name) : raw_flag(ir, name);
}

/** One flag out of the two fields. */
export function raw_flag(ir: Ir, name: FlagName): Value {
  if (name === 'ZF') return ir.op('i64.eqz', ir.cpu_load('i64.load', RESULT));
  const aux = ir.cpu_load('i32.load', AUX);
  switch (name) {
    case 'CF':
      return ir.op('i32.shr_u', aux, ir.i32(31));
    case 'OF':
      return ir.op('i32.shr_u', ir.op('i32.xor', aux, ir.op('i32.shl', aux, ir.i32(1))), ir.i32(31));
    case 'AF':
      return ir.op('i32.and', ir.op('i32.shr_u', aux, ir.i32(3)), ir.i32(1));
    case 'SF': {
      const negative = ir.op('i64.lt_s', ir.cpu_load('i64.load', RESULT), ir.i64(0));
      return ir.op('i32.xor', negative, ir.op('i32.and', aux, ir.i32(1)));
    }
    case 'PF': {
      const pdb = ir.op('i32.shr_u', aux, ir.i32(AUX_PDB_SHIFT));
      const low = ir.cpu_load('i32.load8_u', RESULT);
      const byte = ir.op('i32.and', ir.op('i32.xor', low, pdb), ir.i32(0xff));
      return ir.op('i32.and', ir.op('i32.xor', ir.op('i32.popcnt', byte), ir.i32(1)), ir.i32(1));
    }
  }
}

function invert(ir: Ir, value: Value): Value {
  return ir.op('i32.eqz', value);
}

/** RFLAGS bits that are always read as set in user mode: bit 1 and IF. */
const FLAGS_FIXED = 0x202;
/** RFLAGS bits that user mode may change and that are kept as they are: TF, NT, AC, ID. */
export const FLAGS_OTHER = 0x24_4100;
const FLAG_POSITIONS = { CF: 0, PF: 2, AF: 4, ZF: 6, SF: 7, OF: 11 } as const;
const FLAG_NAMES = ['CF', 'PF', 'AF', 'ZF', 'SF', 'OF'] as const;

/** RFLAGS as pushf shows it, as i32. */
export function flags_word(ir: Ir): Value {
  let word = ir.op('i32.or', ir.cpu_load('i32.load', CpuState.flags_other.offset), ir.i32(FLAGS_FIXED));
  word = ir.op('i32.or', word, ir.op('i32.shl', ir.cpu_load('i32.load', CpuState.df.offset), ir.i32(10)));
  for (const name of FLAG_NAMES)
    word = ir.op('i32.or', word, ir.op('i32.shl', flag(ir, name), ir.i32(FLAG_POSITIONS[name])));
  return word;
}

/** The six arithmetic flags out of an RFLAGS word (i32); `keep_overflow` leaves OF alone (sahf). */
export function set_flags_word(ir: Ir, word: Value, keep_overflow = false): void {
  const bit = (n: number): Value => ir.op('i32.and', ir.op('i32.shr_u', word, ir.i32(n)), ir.i32(1));
  const of = keep_overflow ? flag(ir, 'OF') : bit(11);
  set_flags(ir, { CF: bit(0), PF: bit(2), AF: bit(4), ZF: bit(6), SF: bit(7), OF: of });
}

/** Loads RFLAGS as popf does in user mode: what a 16-bit operand does not reach is kept. */
export function load_flags(ir: Ir, word: Value, size: number): void {
  set_flags_word(ir, word);
  ir.cpu_store('i32.store', CpuState.df.offset, ir.op('i32.and', ir.op('i32.shr_u', word, ir.i32(10)), ir.i32(1)));
  const other = CpuState.flags_other.offset;
  const taken = size === 2 ? FLAGS_OTHER & 0xffff : FLAGS_OTHER;
  const kept = ir.op('i32.and', ir.cpu_load('i32.load', other), ir.i32(FLAGS_OTHER & ~taken));
  ir.cpu_store('i32.store', other, ir.op('i32.or', kept, ir.op('i32.and', word, ir.i32(taken))));
}

/** Condition code 0-15 (Intel manual, volume 1, appendix B) as an i32 of 0 or 1. */
export function condition(ir: Ir, code: number): Value {
  return ir.lazy ? ir.lazy_condition(code) : raw_condition(ir, code);
}

/** A condition out of the two fields. */
export function raw_condition(ir: Ir, code: number): Value {
  const positive = (): Value => {
    switch (code >> 1) {
      case 0:
        return raw_flag(ir, 'OF');
      case 1:
        return raw_flag(ir, 'CF');
      case 2:
        return raw_flag(ir, 'ZF');
      case 3:
        return ir.op('i32.or', raw_flag(ir, 'CF'), raw_flag(ir, 'ZF'));
      case 4:
        return raw_flag(ir, 'SF');
      case 5:
        return raw_flag(ir, 'PF');
      case 6:
        return ir.op('i32.xor', raw_flag(ir, 'SF'), raw_flag(ir, 'OF'));
      default:
        return ir.op('i32.or', ir.op('i32.xor', raw_flag(ir, 'SF'), raw_flag(ir, 'OF')), raw_flag(ir, 'ZF'));
    }
  };
  return (code & 1) === 0 ? positive() : invert(ir, positive());
}
