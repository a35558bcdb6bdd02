/**
 * x87 comparisons, FTST and FXAM.
 * Sources: SDM volume 2, the FCOM, FCOMI, FUCOM, FICOM, FTST, FXAM pages.
 */
import { U16 } from '../../heap/memory.ts';
import {
  compare,
  EQUAL,
  FINITE,
  IE,
  INFINITY,
  is_nan,
  LESS,
  SNAN,
  UNSUPPORTED,
  type Unpacked,
  ZERO,
  zero,
} from '../float/soft.ts';
import {
  begin,
  begin_keeping_c1,
  type Cpu,
  commit,
  DONE,
  denormal_stop,
  env,
  FSW_C0,
  FSW_C1,
  FSW_C2,
  FSW_C3,
  is_empty,
  pop,
  read_st,
  set_condition,
  st_address,
  stack_underflow,
  unmasked,
} from './state.ts';

/** Outcome of a comparison, as FCOMI puts it into RFLAGS: ZF, PF, CF. */
export const FLAGS_GREATER = 0;
export const FLAGS_LESS = 0x01;
export const FLAGS_EQUAL = 0x40;
export const FLAGS_UNORDERED = 0x45;

function compare_flags(a: Unpacked, b: Unpacked, quiet_nans: boolean): number {
  if (a.kind === UNSUPPORTED || b.kind === UNSUPPORTED) {
    env.flags |= IE;
    return FLAGS_UNORDERED;
  }
  if (is_nan(a) || is_nan(b)) {
    if (!quiet_nans || a.kind === SNAN || b.kind === SNAN) env.flags |= IE;
    return FLAGS_UNORDERED;
  }
  denormal_stop(a, b);
  const order = compare(a, b);
  return order === EQUAL ? FLAGS_EQUAL : order === LESS ? FLAGS_LESS : FLAGS_GREATER;
}

function condition_of(flags: number): number {
  return (
    ((flags & 0x01) !== 0 ? FSW_C0 : 0) | ((flags & 0x04) !== 0 ? FSW_C2 : 0) | ((flags & 0x40) !== 0 ? FSW_C3 : 0)
  );
}

function write_condition(cpu: Cpu, flags: number): void {
  set_condition(cpu, FSW_C0 | FSW_C2 | FSW_C3, condition_of(flags));
}

/** FCOM ... FUCOMPP with ST(i): condition bits. `quiet_nans` for the unordered forms. */
export function compare_register(cpu: Cpu, i: number, quiet_nans: boolean, pops: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0) || is_empty(cpu, i)) {
    write_condition(cpu, FLAGS_UNORDERED);
    if (!stack_underflow(cpu)) return DONE;
  } else {
    write_condition(cpu, compare_flags(read_st(cpu, 0), read_st(cpu, i), quiet_nans));
    commit(cpu);
    if (stops()) return DONE;
  }
  for (let n = 0; n < pops; n++) pop(cpu);
  return DONE;
}

/** An unmasked IE or DE keeps the comparison from popping. */
function stops(): boolean {
  return unmasked(IE | 2);
}

/** FCOM, FICOM with a memory operand. `begin` has succeeded. */
export function compare_operand(cpu: Cpu, operand: Unpacked, pops: boolean): number {
  if (is_empty(cpu, 0)) {
    write_condition(cpu, FLAGS_UNORDERED);
    if (!stack_underflow(cpu)) return DONE;
  } else {
    write_condition(cpu, compare_flags(read_st(cpu, 0), operand, false));
    commit(cpu);
    if (stops()) return DONE;
  }
  if (pops) pop(cpu);
  return DONE;
}

/**
 * FCOMI, FUCOMI and their popping forms: answers ZF, PF, CF in RFLAGS positions. The caller has dealt with a
 * pending exception. An unmasked exception keeps the stack, not the flags.
 */
export function compare_to_flags(cpu: Cpu, i: number, quiet_nans: boolean, pops: boolean): number {
  begin_keeping_c1(cpu);
  let flags = FLAGS_UNORDERED;
  if (is_empty(cpu, 0) || is_empty(cpu, i)) {
    if (!stack_underflow(cpu)) return flags;
  } else {
    flags = compare_flags(read_st(cpu, 0), read_st(cpu, i), quiet_nans);
    commit(cpu);
    if (stops()) return flags;
  }
  if (pops) pop(cpu);
  return flags;
}

/** FTST: ST(0) against zero. */
export function ftst(cpu: Cpu): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  return compare_operand(cpu, zero(0), false);
}

/** FXAM: the class of ST(0) in C3, C2, C0 and its sign in C1. A waiting instruction without exceptions. */
export function fxam(cpu: Cpu): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  let bits = 0;
  if (is_empty(cpu, 0)) bits = FSW_C3 | FSW_C0;
  else {
    const a = read_st(cpu, 0);
    if (is_nan(a)) bits = FSW_C0;
    else if (a.kind === INFINITY) bits = FSW_C2 | FSW_C0;
    else if (a.kind === ZERO) bits = FSW_C3;
    else if (a.kind === FINITE) bits = a.denormal ? FSW_C3 | FSW_C2 : FSW_C2;
  }
  if (((U16[(st_address(cpu, 0) + 8) >>> 1] as number) & 0x8000) !== 0) bits |= FSW_C1;
  set_condition(cpu, FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3, bits);
  return DONE;
}
