// @hot
/**
 * Loads and stores of doubles without BigInt, for the values that need no thought: zeros and normal numbers.
 * Everything else is left to `transfer.ts`.
 */
import { U16, U32 } from '../../heap/memory.ts';
import { CpuState } from '../../machine/cpu.layout.ts';
import { PE } from '../float/soft.ts';
import { type Cpu, decrement_top, FSW_C1, is_empty, set_valid, st_address } from './state.ts';

/** Exponent bias of a register minus that of a double. */
const BIAS_DIFFERENCE = 15360;
const FCW_ROUNDING = 0xc00;
const INTEGER_BIT = 0x8000_0000;

/** Pushes the double at machine address `at` (aligned to 8); false, with nothing done, if it is no easy one. */
export function push_double(cpu: Cpu, at: number): boolean {
  const lo = U32[at >>> 2] as number;
  const hi = U32[(at + 4) >>> 2] as number;
  const exponent = (hi >>> 20) & 0x7ff;
  const is_zero = hi << 1 === 0 && lo === 0;
  if ((exponent === 0 && !is_zero) || exponent === 0x7ff || !is_empty(cpu, 7)) return false;
  decrement_top(cpu);
  const to = st_address(cpu, 0);
  U32[to >>> 2] = lo << 11;
  U32[(to + 4) >>> 2] = is_zero ? 0 : INTEGER_BIT | ((hi & 0xf_ffff) << 11) | (lo >>> 21);
  U32[(to + 8) >>> 2] = ((hi >>> 31) << 15) | (is_zero ? 0 : exponent + BIAS_DIFFERENCE);
  set_valid(cpu, 0, true);
  return true;
}

/**
 * Converts ST(0) to a double at machine address `at`, rounding to nearest. Answers PE and C1 as FSW has them,
 * or -1, with nothing done, if it is no easy one.
 */
export function convert_to_double(cpu: Cpu, at: number): number {
  if (is_empty(cpu, 0)) return -1;
  const from = st_address(cpu, 0);
  const lo = U32[from >>> 2] as number;
  const hi = U32[(from + 4) >>> 2] as number;
  const sign_exponent = U16[(from + 8) >>> 1] as number;
  const exponent = (sign_exponent & 0x7fff) - BIAS_DIFFERENCE;
  const sign = (sign_exponent & 0x8000) << 16;
  if ((sign_exponent & 0x7fff) === 0 && (hi | lo) === 0) {
    U32[at >>> 2] = 0;
    U32[(at + 4) >>> 2] = sign;
    return 0;
  }
  // One below the greatest exponent, so that rounding up cannot overflow.
  if (exponent < 1 || exponent > 0x7fd || (hi & INTEGER_BIT) === 0) return -1;
  const rest = lo & 0x7ff;
  if (rest !== 0 && (CpuState.fcw.get(cpu) & FCW_ROUNDING) !== 0) return -1;
  const up = rest > 0x400 || (rest === 0x400 && (lo & 0x800) !== 0);
  const low = ((lo >>> 11) | (hi << 21)) >>> 0;
  // The exponent takes what is carried out of the significand.
  let high = (exponent << 20) | ((hi >>> 11) & 0xf_ffff);
  if (up && low === 0xffff_ffff) high++;
  U32[at >>> 2] = up ? low + 1 : low;
  U32[(at + 4) >>> 2] = sign | high;
  return (rest !== 0 ? PE : 0) | (up ? FSW_C1 : 0);
}
