/**
 * The x87 register stack and its words in the register record: reading and writing ST(i), tags, the stack
 * faults and the delivery of exceptions. Every x87 operation is written on these.
 *
 * An operation computes with `env` (flags collected here, written once by `commit`), and leaves registers
 * alone when an unmasked exception says so (SDM volume 1, 8.5).
 */
import type { Ptr } from '../../base/types.ts';
import { U16, U32, U64 } from '../../heap/memory.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import {
  DE,
  type Environment,
  FORMAT_80,
  FORMAT_80_24,
  FORMAT_80_53,
  type Format,
  IE,
  INDEFINITE,
  is_nan,
  mantissa_80,
  OE,
  QNAN,
  quiet,
  SNAN,
  sign_exponent_80,
  UE,
  UNSUPPORTED,
  type Unpacked,
  unpack_80,
} from '../float/soft.ts';

export type Cpu = Ptr<'CpuState'>;

/** Bits of the status word. */
export const FSW_SF = 0x40;
export const FSW_ES = 0x80;
export const FSW_C0 = 0x100;
export const FSW_C1 = 0x200;
export const FSW_C2 = 0x400;
export const FSW_C3 = 0x4000;
export const FSW_B = 0x8000;
export const FSW_TOP_SHIFT = 11;
export const FSW_TOP = 7 << FSW_TOP_SHIFT;
export const FCW_RESET = 0x37f;

/** Vector of the x87 exception, what an operation returns when a pending one stops it. */
export const VECTOR_MF = 16;

/** What an operation returns that raises nothing now (its exceptions, if unmasked, wait in the status word). */
export const DONE = -1;

/** The environment of the operation under way; transient, reset by `begin`. */
export const env: Environment = {
  rounding: 0,
  flags: 0,
  masks: 0,
  flush_to_zero: false,
  denormals_are_zero: false,
  wrap_exponent: true,
  rounded_up: false,
};

/**
 * Starts a waiting instruction: VECTOR_MF when an unmasked exception is pending, else DONE with `env` set from
 * the control word and C1 cleared.
 */
export function begin(cpu: Cpu): number {
  const fsw = CpuState.fsw.get(cpu);
  if ((fsw & FSW_ES) !== 0) return VECTOR_MF;
  const fcw = CpuState.fcw.get(cpu);
  env.rounding = (fcw >> 10) & 3;
  env.masks = fcw & 63;
  env.flags = 0;
  env.wrap_exponent = true;
  env.rounded_up = false;
  CpuState.fsw.set(cpu, fsw & ~FSW_C1);
  return DONE;
}

/** `begin` for FCOMI and FCMOV, which leave C1 alone unless the stack faults. */
export function begin_keeping_c1(cpu: Cpu): number {
  const c1 = CpuState.fsw.get(cpu) & FSW_C1;
  const pending = begin(cpu);
  if (pending < 0) CpuState.fsw.set(cpu, CpuState.fsw.get(cpu) | c1);
  return pending;
}

/** The format results are rounded to under the precision control (the reserved setting acts as 64 bits). */
export function result_format(cpu: Cpu): Format {
  const control = (CpuState.fcw.get(cpu) >> 8) & 3;
  return control === 0 ? FORMAT_80_24 : control === 2 ? FORMAT_80_53 : FORMAT_80;
}

/** Whether one of the exceptions collected so far, among `which`, is unmasked. */
export function unmasked(which: number): boolean {
  return (env.flags & ~env.masks & which) !== 0;
}

/** Writes the collected exceptions to the status word. Returns DONE, for operations to return. */
export function commit(cpu: Cpu): number {
  let fsw = CpuState.fsw.get(cpu) | env.flags;
  if (env.rounded_up && (env.flags & IE) === 0) fsw |= FSW_C1;
  if ((env.flags & ~env.masks & 63) !== 0) fsw |= FSW_ES | FSW_B;
  CpuState.fsw.set(cpu, fsw);
  return DONE;
}

/** Replaces the condition bits of `mask` by `bits`. */
export function set_condition(cpu: Cpu, mask: number, bits: number): void {
  CpuState.fsw.set(cpu, (CpuState.fsw.get(cpu) & ~mask) | bits);
}

/** TOP: the physical register that is ST(0). */
export function top(cpu: Cpu): number {
  return (CpuState.fsw.get(cpu) >> FSW_TOP_SHIFT) & 7;
}

function set_top(cpu: Cpu, value: number): void {
  CpuState.fsw.set(cpu, (CpuState.fsw.get(cpu) & ~FSW_TOP) | ((value & 7) << FSW_TOP_SHIFT));
}

function physical(cpu: Cpu, i: number): number {
  return (top(cpu) + i) & 7;
}

/** Address of ST(i)'s ten bytes. */
export function st_address(cpu: Cpu, i: number): number {
  return cpu + CpuState.st.offset + physical(cpu, i) * 16;
}

/** Whether ST(i) is tagged empty. */
export function is_empty(cpu: Cpu, i: number): boolean {
  return ((CpuState.ftag.get(cpu) >> physical(cpu, i)) & 1) === 0;
}

/** Tags ST(i) valid or empty. */
export function set_valid(cpu: Cpu, i: number, valid: boolean): void {
  const bit = 1 << physical(cpu, i);
  const tags = CpuState.ftag.get(cpu);
  CpuState.ftag.set(cpu, valid ? tags | bit : tags & ~bit);
}

/** The value of ST(i), whether its tag says empty or not. */
export function read_st(cpu: Cpu, i: number): Unpacked {
  return read_80(st_address(cpu, i));
}

/** The 80-bit value at an even machine address. */
export function read_80(address: number): Unpacked {
  const lo = U16[address >>> 1] as number;
  if ((address & 7) === 0) return unpack_80(U64[address >>> 3] as bigint, U16[(address + 8) >>> 1] as number);
  let mantissa = BigInt(lo);
  for (let i = 1; i < 4; i++) mantissa |= BigInt(U16[(address + i * 2) >>> 1] as number) << BigInt(16 * i);
  return unpack_80(mantissa, U16[(address + 8) >>> 1] as number);
}

/** Writes ST(i) and marks it valid. */
export function write_st(cpu: Cpu, i: number, value: Unpacked): void {
  write_st_raw(cpu, i, mantissa_80(value), sign_exponent_80(value));
}

/** Writes a bit pattern to ST(i) and marks it valid. */
export function write_st_raw(cpu: Cpu, i: number, mantissa: bigint, sign_exponent: number): void {
  const address = st_address(cpu, i);
  U64[address >>> 3] = mantissa;
  U32[(address + 8) >>> 2] = sign_exponent;
  set_valid(cpu, i, true);
}

/** Marks ST(0) empty and raises TOP. */
export function pop(cpu: Cpu): void {
  set_valid(cpu, 0, false);
  set_top(cpu, top(cpu) + 1);
}

/** Lowers TOP without touching tags. */
export function decrement_top(cpu: Cpu): void {
  set_top(cpu, top(cpu) - 1);
}

/** Raises TOP without touching tags. */
export function increment_top(cpu: Cpu): void {
  set_top(cpu, top(cpu) + 1);
}

/** Raises a stack underflow; true when it is masked and the operation goes on with the indefinite NaN. */
export function stack_underflow(cpu: Cpu): boolean {
  set_condition(cpu, FSW_C1, 0);
  commit_stack_fault(cpu);
  return (env.masks & IE) !== 0;
}

function commit_stack_fault(cpu: Cpu): void {
  let fsw = CpuState.fsw.get(cpu) | IE | FSW_SF;
  if ((env.masks & IE) === 0) fsw |= FSW_ES | FSW_B;
  CpuState.fsw.set(cpu, fsw);
  env.flags = 0;
}

/** Pushes a value; a full stack raises a stack overflow and, if masked, pushes the indefinite NaN. */
export function push(cpu: Cpu, value: Unpacked): void {
  if (!is_empty(cpu, 7)) {
    CpuState.fsw.set(cpu, CpuState.fsw.get(cpu) | FSW_C1);
    commit_stack_fault(cpu);
    if ((env.masks & IE) === 0) return;
    value = INDEFINITE;
    env.rounded_up = false;
  }
  decrement_top(cpu);
  write_st(cpu, 0, value);
}

/** Pushes a bit pattern as it is. */
export function push_raw(cpu: Cpu, mantissa: bigint, sign_exponent: number): void {
  if (!is_empty(cpu, 7)) {
    push(cpu, INDEFINITE);
    return;
  }
  decrement_top(cpu);
  write_st_raw(cpu, 0, mantissa, sign_exponent);
}

/**
 * NaN and unsupported operands of an operation of two: the result if there is one, else null.
 * x87 prefers the quiet NaN of a quiet and a signalling one, then the larger significand, then plus.
 */
export function propagate(a: Unpacked, b: Unpacked): Unpacked | null {
  if (a.kind === UNSUPPORTED || b.kind === UNSUPPORTED) {
    env.flags |= IE;
    return INDEFINITE;
  }
  if (!is_nan(a) && !is_nan(b)) return null;
  if (a.kind === SNAN || b.kind === SNAN) env.flags |= IE;
  if (!is_nan(b)) return quiet(a);
  if (!is_nan(a)) return quiet(b);
  if (a.kind === QNAN && b.kind === SNAN) return a;
  if (a.kind === SNAN && b.kind === QNAN) return b;
  if (a.significand !== b.significand) return quiet(a.significand > b.significand ? a : b);
  return quiet(a.sign <= b.sign ? a : b);
}

/** Raises DE for denormal operands; true when it is unmasked and the operation must stop. */
export function denormal_stop(a: Unpacked, b: Unpacked): boolean {
  if (!a.denormal && !b.denormal) return false;
  env.flags |= DE;
  return (env.masks & DE) === 0;
}

/** Exceptions that keep a register result from being written when unmasked. */
export const PRE_COMPUTATION = IE | DE | 4;
/** Exceptions that keep a memory result from being written when unmasked. */
export const MEMORY_STOP = IE | DE | 4 | OE | UE;
