/**
 * What an instruction leaves undefined for the operands at hand. `Row.undefines` is the most that it may leave
 * undefined; these functions are exact, so that an oracle masks no more than it must. Source: the "Flags affected"
 * and operation sections of the Intel SDM, volume 2.
 */
import { AF, CF, type Instruction, OF } from './instruction.ts';

const SHIFTS = new Set(['shl', 'shr', 'sar', 'rol', 'ror', 'rcl', 'rcr', 'shld', 'shrd']);

/** The masked count of a shift or rotate (0-31, 0-63 with 64-bit operands), or -1 for other instructions. */
export function shift_count(i: Instruction, cl: number): number {
  if (!SHIFTS.has(i.row.semantics)) return -1;
  const last = i.operands[i.operand_count - 1]!;
  const count = last.kind === 'imm' ? i.imm_lo : cl;
  return count & (i.operand_size === 8 ? 63 : 31);
}

/** Flags that `i` leaves undefined, given the value of cl before it. */
export function undefined_flags(i: Instruction, cl: number): number {
  const count = shift_count(i, cl);
  if (count < 0) return i.row.undefines;
  if (count === 0) return 0;
  const overflow = count === 1 ? 0 : OF;
  const bits = i.operand_size * 8;
  switch (i.row.semantics) {
    case 'shl':
    case 'shr':
      return AF | overflow | (count >= bits ? CF : 0);
    case 'sar':
      return AF | overflow;
    case 'shld':
    case 'shrd':
      return count > bits ? i.row.undefines | i.row.writes : AF | overflow;
    default:
      return overflow;
  }
}

/** True where the destination itself is undefined: double shifts by more than 16 bits, bswap of 16 bits. */
export function undefined_result(i: Instruction, cl: number): boolean {
  const { semantics } = i.row;
  if (semantics === 'bswap') return i.operand_size === 2;
  return (semantics === 'shld' || semantics === 'shrd') && shift_count(i, cl) > i.operand_size * 8;
}
