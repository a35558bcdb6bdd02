/**
 * The forms of the instruction table that get a handler, and their numbering: a form is a row and a variant,
 * a small integer made of what changes the generated code.
 *
 *   bits 0-1  operand size: 1, 2, 4, 8
 *   bit 2     the rm operand is in memory
 *   bit 3-4   none, rep, repne, or LOCK (3)
 *   bit 5     32-bit addresses of implied memory or counter
 *   bit 6     the memory operand has no index register
 */
import {
  ATTR_DEFAULT_64,
  ATTR_FORCE_64,
  ATTR_LOCK,
  ATTR_REP,
  type Instruction,
  type OperandSpec,
  type Row,
  SIZE_OPERAND,
  SIZE_Y,
  SIZE_Z,
} from '../../x86/instruction.ts';
import type { Form, FormOperand } from '../../x86/ir.ts';
import { is_byte_row } from '../../x86/table.ts';

export const VARIANTS = 128;
export const VARIANT_MEMORY = 4;
export const VARIANT_REP_SHIFT = 3;
export const VARIANT_ADDRESS_32 = 32;
export const VARIANT_NO_INDEX = 64;
const REP_NONE = 0;
const REP = 1;
const REPNE = 2;
const LOCKED = 3;

const SIZE_BITS: Readonly<Record<number, number>> = { 1: 0, 2: 1, 4: 2, 8: 3 };
/** Instructions with implied memory or counter, whose address size matters. */
const IMPLIED = ['xlat', 'jrcxz', 'loop', 'loope', 'loopne', 'maskmovq', 'maskmovdqu'];
/** ... and bit tests, whose register offset moves the address. */
const ADDRESS_SIZED = new Set([...IMPLIED, 'bt', 'bts', 'btr', 'btc']);

function address_sized(row: Row): boolean {
  return (row.attributes & ATTR_REP) !== 0 || ADDRESS_SIZED.has(row.semantics);
}

/** Whether the instruction is locked, by prefix or by nature. */
function is_locked(row: Row, memory: boolean, prefix: boolean): boolean {
  return memory && (prefix || row.semantics === 'xchg');
}

/** The variant of a decoded instruction. */
export function variant_of(instruction: Instruction): number {
  const { row } = instruction;
  let memory = false;
  for (let i = 0; i < instruction.operand_count; i++) if (instruction.operands[i]!.kind === 'mem') memory = true;
  let variant = SIZE_BITS[instruction.operand_size]!;
  let rep = REP_NONE;
  if ((row.attributes & ATTR_REP) !== 0) rep = instruction.rep ? REP : instruction.repne ? REPNE : REP_NONE;
  else if (is_locked(row, memory, instruction.lock)) rep = LOCKED;
  variant |= rep << VARIANT_REP_SHIFT;
  if (memory) variant |= VARIANT_MEMORY;
  if (instruction.address_size === 4 && address_sized(row)) variant |= VARIANT_ADDRESS_32;
  if (memory && instruction.index < 0) variant |= VARIANT_NO_INDEX;
  return variant;
}

function operand_size_of(spec: OperandSpec, operand_size: number): number {
  if (spec.size === SIZE_OPERAND) return operand_size;
  if (spec.size === SIZE_Y) return operand_size === 8 ? 8 : 4;
  if (spec.size === SIZE_Z) return operand_size === 2 ? 2 : 4;
  return Math.max(spec.size, 0);
}

function form_operand(spec: OperandSpec, operand_size: number, memory: boolean): FormOperand {
  const size = operand_size_of(spec, operand_size);
  const { cls, access } = spec;
  if (spec.from === 'imm' || spec.from === 'one') return { kind: 'imm', cls, size, access };
  if (spec.from === 'rel') return { kind: 'rel', cls, size, access };
  const in_memory = spec.from === 'rm_mem' || spec.from === 'moffs' || (spec.from === 'rm' && memory);
  return { kind: in_memory ? 'mem' : 'reg', cls, size, access };
}

/** The form that a row and a variant stand for. */
export function form_of(row: Row, variant: number): Form {
  const operand_size = 1 << (variant & 3);
  const memory = (variant & VARIANT_MEMORY) !== 0;
  const rep = (variant >> VARIANT_REP_SHIFT) & 3;
  return {
    row,
    operand_size,
    address_size: (variant & VARIANT_ADDRESS_32) !== 0 ? 4 : 8,
    lock: rep === LOCKED,
    rep: rep === REP ? 'rep' : rep === REPNE ? 'repne' : 'none',
    operands: row.operands.map((spec) => form_operand(spec, operand_size, memory)),
  };
}

function sizes_of(row: Row): readonly number[] {
  if (is_byte_row(row)) return [1];
  if ((row.attributes & ATTR_FORCE_64) !== 0) return [8];
  return (row.attributes & ATTR_DEFAULT_64) !== 0 ? [2, 8] : [2, 4, 8];
}

/** Every variant of a row that the decoder can produce. */
export function variants_of(row: Row): number[] {
  const found: number[] = [];
  const rm = row.operands.find((spec) => spec.from.startsWith('rm'));
  const moffs = row.operands.some((spec) => spec.from === 'moffs');
  const memories = moffs || rm?.from === 'rm_mem' ? [true] : rm?.from === 'rm' ? [false, true] : [false];
  for (const size of sizes_of(row)) {
    for (const memory of memories) {
      let reps = [REP_NONE];
      if ((row.attributes & ATTR_REP) !== 0) reps = [REP_NONE, REP, REPNE];
      else if (row.semantics === 'xchg' && memory) reps = [LOCKED];
      else if ((row.attributes & ATTR_LOCK) !== 0 && memory) reps = [REP_NONE, LOCKED];
      for (const rep of reps) {
        let variant = SIZE_BITS[size]! | (rep << VARIANT_REP_SHIFT) | (memory ? VARIANT_MEMORY : 0);
        found.push(variant);
        if (memory) found.push(variant | VARIANT_NO_INDEX);
        if (!address_sized(row)) continue;
        variant |= VARIANT_ADDRESS_32;
        found.push(variant);
        if (memory) found.push(variant | VARIANT_NO_INDEX);
      }
    }
  }
  return found;
}
