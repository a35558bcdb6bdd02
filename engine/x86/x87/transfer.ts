/**
 * x87 loads, stores and register moves. Memory operands pass through the scratch area of the register
 * record. A store runs in two steps, so that a page fault in between changes nothing: `prepare` converts
 * and says whether there is something to store, `finish` writes the status word and pops.
 * Sources: SDM volume 2, the FLD, FILD, FBLD, FST, FIST, FISTTP, FBSTP, FXCH, FCMOV pages.
 */
import { U16, U32, U64 } from '../../heap/memory.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import {
  DE,
  FORMAT_32,
  FORMAT_64,
  FORMAT_80,
  finite,
  from_integer,
  IE,
  INDEFINITE,
  is_nan,
  mantissa_80,
  OE,
  PE,
  pack,
  quiet,
  ROUND_ZERO,
  round_unpacked,
  SNAN,
  sign_exponent_80,
  to_integer,
  UE,
  UNSUPPORTED,
  type Unpacked,
  unpack,
} from '../float/soft.ts';
import { convert_to_double, push_double } from './doubles.ts';
import {
  begin,
  begin_keeping_c1,
  type Cpu,
  commit,
  DONE,
  decrement_top,
  env,
  FSW_C1,
  FSW_SF,
  is_empty,
  MEMORY_STOP,
  pop,
  push,
  push_raw,
  read_80,
  read_st,
  set_valid,
  st_address,
  stack_underflow,
  unmasked,
  write_st,
  write_st_raw,
} from './state.ts';

/** Kinds of memory operand. */
export const MEM_F32 = 0;
export const MEM_F64 = 1;
export const MEM_F80 = 2;
export const MEM_I16 = 3;
export const MEM_I32 = 4;
export const MEM_I64 = 5;
export const MEM_BCD = 6;
/** Integer stores that truncate whatever the rounding control (FISTTP). */
export const MEM_I16_TRUNCATE = 7;
export const MEM_I32_TRUNCATE = 8;
export const MEM_I64_TRUNCATE = 9;

/** Size in bytes of each kind of memory operand. */
export const MEM_SIZE: readonly number[] = [4, 8, 10, 2, 4, 8, 10, 2, 4, 8];

/** Address of the scratch area. */
export function scratch(cpu: Cpu): number {
  return cpu + CpuState.scratch.offset;
}

/** The memory operand in the scratch area. */
export function read_operand(cpu: Cpu, kind: number): Unpacked {
  const at = scratch(cpu);
  if (kind === MEM_F32) return unpack(BigInt(U32[at >>> 2] as number), FORMAT_32);
  if (kind === MEM_F64) return unpack(U64[at >>> 3] as bigint, FORMAT_64);
  if (kind === MEM_F80) return read_80(at);
  if (kind === MEM_BCD) return read_bcd(at);
  const word = U64[at >>> 3] as bigint;
  if (kind === MEM_I16) return from_integer(BigInt.asIntN(16, word));
  if (kind === MEM_I32) return from_integer(BigInt.asIntN(32, word));
  return from_integer(BigInt.asIntN(64, word));
}

function read_bcd(at: number): Unpacked {
  const low = U64[at >>> 3] as bigint;
  const high = U16[(at + 8) >>> 1] as number;
  let value = 0n;
  const digits = low | (BigInt(high & 0xff) << 64n);
  for (let i = 17; i >= 0; i--) value = value * 10n + ((digits >> BigInt(i * 4)) & 15n);
  return finite(high >> 15, 0, value);
}

/** FLD, FILD, FBLD: pushes the operand in the scratch area. */
export function load(cpu: Cpu, kind: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (kind === MEM_F80) {
    // Any bit pattern is loaded as it is, signalling NaNs and unsupported encodings included.
    const at = scratch(cpu);
    push_raw(cpu, U64[at >>> 3] as bigint, U16[(at + 8) >>> 1] as number);
    return DONE;
  }
  if (kind === MEM_F64 && push_double(cpu, scratch(cpu))) return DONE;
  let value = read_operand(cpu, kind);
  if (is_empty(cpu, 7)) {
    if (value.kind === SNAN) env.flags |= IE;
    else if (value.denormal) env.flags |= DE;
    if (is_nan(value)) value = quiet(value);
    // A denormal is pushed even if DE is unmasked.
    if (unmasked(IE)) return commit(cpu);
  }
  push(cpu, value);
  return commit(cpu);
}

/** Results of `prepare_store`. */
export const STORE_NOTHING = -2;
export const STORE = -1;

/** Where `prepare_store` leaves the exceptions and C1 for `finish_store`: in scratch, since a fault may come between. */
const PREPARED_FLAGS = 16;

/**
 * First half of a store of ST(0), no exception pending: converts into the scratch area. Answers STORE when memory
 * is to be written and `finish_store` called; nothing else has changed then. STORE_NOTHING: an unmasked exception
 * ended the instruction, its flags are set.
 */
export function prepare_store(cpu: Cpu, kind: number): number {
  if (kind === MEM_F64) {
    const flags = convert_to_double(cpu, scratch(cpu));
    if (flags >= 0) {
      U32[(scratch(cpu) + PREPARED_FLAGS) >>> 2] = flags;
      return STORE;
    }
  }
  const fsw = CpuState.fsw.get(cpu);
  begin(cpu);
  convert(cpu, kind);
  if (unmasked(MEMORY_STOP)) {
    if (unmasked(OE | UE)) {
      env.rounded_up = false;
      env.flags &= ~PE;
    }
    commit(cpu);
    return STORE_NOTHING;
  }
  CpuState.fsw.set(cpu, fsw);
  U32[(scratch(cpu) + PREPARED_FLAGS) >>> 2] = env.flags | (env.rounded_up ? FSW_C1 : 0);
  return STORE;
}

function convert(cpu: Cpu, kind: number): void {
  const at = scratch(cpu);
  if (is_empty(cpu, 0)) {
    env.flags |= IE | FSW_SF;
    store_indefinite(at, kind);
  } else if (kind === MEM_F80) {
    const from = st_address(cpu, 0);
    U64[at >>> 3] = U64[from >>> 3] as bigint;
    U16[(at + 8) >>> 1] = U16[(from + 8) >>> 1] as number;
  } else if (kind === MEM_F32 || kind === MEM_F64) convert_float(at, kind, read_st(cpu, 0));
  else convert_integer(at, kind, read_st(cpu, 0));
}

/** Second half of a store, after memory was written. */
export function finish_store(cpu: Cpu, pops: boolean): number {
  const prepared = U32[(scratch(cpu) + PREPARED_FLAGS) >>> 2] as number;
  begin(cpu);
  env.flags = prepared & ~FSW_C1;
  env.rounded_up = (prepared & FSW_C1) !== 0;
  commit(cpu);
  if (pops) pop(cpu);
  return DONE;
}

function convert_float(at: number, kind: number, value: Unpacked): void {
  const format = kind === MEM_F32 ? FORMAT_32 : FORMAT_64;
  let result = value;
  if (value.kind === UNSUPPORTED) {
    env.flags |= IE;
    result = INDEFINITE;
  } else if (is_nan(value)) {
    if (value.kind === SNAN) env.flags |= IE;
    result = quiet(value);
  } else {
    env.wrap_exponent = false;
    result = round_unpacked(env, value, format);
    if (unmasked(OE | UE)) return;
  }
  const bits = pack(result, format);
  if (kind === MEM_F32) U32[at >>> 2] = Number(bits);
  else U64[at >>> 3] = bits;
}

function convert_integer(at: number, kind: number, value: Unpacked): void {
  if (kind === MEM_BCD) {
    convert_bcd(at, value);
    return;
  }
  const truncates = kind >= MEM_I16_TRUNCATE;
  const bits = MEM_SIZE[kind] === 2 ? 16 : MEM_SIZE[kind] === 4 ? 32 : 64;
  const result = to_integer(env, value, bits, truncates ? ROUND_ZERO : env.rounding);
  U64[at >>> 3] = BigInt.asUintN(64, result);
}

const BCD_LIMIT = 10n ** 18n;

function convert_bcd(at: number, value: Unpacked): void {
  const integer = to_integer(env, value, 64, env.rounding);
  const magnitude = integer < 0n ? -integer : integer;
  if ((env.flags & IE) !== 0 || magnitude >= BCD_LIMIT) {
    env.flags = IE;
    env.rounded_up = false;
    store_indefinite(at, MEM_BCD);
    return;
  }
  let rest = magnitude;
  let digits = 0n;
  for (let i = 0n; i < 18n; i++) {
    digits |= (rest % 10n) << (i * 4n);
    rest /= 10n;
  }
  U64[at >>> 3] = BigInt.asUintN(64, digits);
  U16[(at + 8) >>> 1] = Number(digits >> 64n) | (value.sign << 15);
}

function store_indefinite(at: number, kind: number): void {
  if (kind === MEM_F32) U32[at >>> 2] = 0xffc0_0000;
  else if (kind === MEM_F64) U64[at >>> 3] = 0xfff8_0000_0000_0000n;
  else if (kind === MEM_F80 || kind === MEM_BCD) {
    U64[at >>> 3] = 0xc000_0000_0000_0000n;
    U16[(at + 8) >>> 1] = 0xffff;
  } else if (MEM_SIZE[kind] === 2) U64[at >>> 3] = 0x8000n;
  else U64[at >>> 3] = MEM_SIZE[kind] === 4 ? 0x8000_0000n : 0x8000_0000_0000_0000n;
}

/** FLD ST(i). */
export function load_register(cpu: Cpu, i: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, i)) {
    // The new top need not be free: of the two stack faults this one counts.
    if (stack_underflow(cpu)) {
      decrement_top(cpu);
      write_st(cpu, 0, INDEFINITE);
    }
    return DONE;
  }
  if (!is_empty(cpu, 7)) {
    push(cpu, INDEFINITE);
    return DONE;
  }
  decrement_top(cpu);
  copy(cpu, 0, i + 1);
  return DONE;
}

/** FST, FSTP ST(i); `quietly` (FSTPNCE) only pops when ST(0) is empty. */
export function store_register(cpu: Cpu, i: number, pops: boolean, quietly: boolean): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0)) {
    if (!quietly) {
      if (!stack_underflow(cpu)) return DONE;
      write_st(cpu, i, INDEFINITE);
    }
  } else copy(cpu, i, 0);
  if (pops) pop(cpu);
  return DONE;
}

/** Copies an 80-bit value between machine addresses aligned to 8. */
function copy_80(to: number, from: number): void {
  U32[to >>> 2] = U32[from >>> 2] as number;
  U32[(to + 4) >>> 2] = U32[(from + 4) >>> 2] as number;
  U32[(to + 8) >>> 2] = U16[(from + 8) >>> 1] as number;
}

function copy(cpu: Cpu, to: number, from: number): void {
  copy_80(st_address(cpu, to), st_address(cpu, from));
  set_valid(cpu, to, true);
}

/** FXCH ST(i). */
export function exchange(cpu: Cpu, i: number): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  const empty_0 = is_empty(cpu, 0);
  const empty_i = is_empty(cpu, i);
  if (empty_0 || empty_i) {
    if (!stack_underflow(cpu)) return DONE;
    if (empty_0) write_st(cpu, 0, INDEFINITE);
    if (empty_i) write_st(cpu, i, INDEFINITE);
  }
  const at = st_address(cpu, 0);
  const mantissa = U64[at >>> 3] as bigint;
  const sign_exponent = U16[(at + 8) >>> 1] as number;
  copy(cpu, 0, i);
  write_st_raw(cpu, i, mantissa, sign_exponent);
  return DONE;
}

/** FCMOVcc ST(0), ST(i) with the condition already evaluated. */
export function conditional_move(cpu: Cpu, i: number, condition: number): number {
  const pending = begin_keeping_c1(cpu);
  if (pending >= 0) return pending;
  if (is_empty(cpu, 0) || is_empty(cpu, i)) {
    if (stack_underflow(cpu)) write_st(cpu, 0, INDEFINITE);
    return DONE;
  }
  if (condition !== 0) copy(cpu, 0, i);
  return DONE;
}

/** Pushes a constant of 66 bits rounded by the rounding control (FLDPI and its kin raise no PE). */
export function load_constant(cpu: Cpu, exponent: number, significand: bigint): number {
  const pending = begin(cpu);
  if (pending >= 0) return pending;
  if (significand === 0n) push_raw(cpu, 0n, 0);
  else {
    const rounded = round_unpacked(env, finite(0, exponent, significand), FORMAT_80);
    env.rounded_up = false;
    push_raw(cpu, mantissa_80(rounded), sign_exponent_80(rounded));
  }
  return DONE;
}
