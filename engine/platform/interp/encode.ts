// @hot
/**
 * Writes decoded instructions as records.
 */
import { U8, U16, U32 } from '../../heap/memory.ts';
import { CpuState, RSP } from '../../machine/cpu.layout.ts';
import { ATTR_BRANCH, type Instruction, type Operand, SEGMENT_FS, SEGMENT_GS } from '../../x86/instruction.ts';
import { VARIANT_MEMORY, VARIANT_NO_INDEX, VARIANTS, variant_of } from './forms.ts';
import {
  HANDLER_EA,
  HANDLER_EA32,
  RECORD_BASE,
  RECORD_DISPLACEMENT,
  RECORD_FIRST,
  RECORD_HANDLER,
  RECORD_IMMEDIATE,
  RECORD_INDEX,
  RECORD_LENGTH,
  RECORD_POSITION,
  RECORD_RIP,
  RECORD_SCALE,
  RECORD_SECOND,
  RECORD_SIZE,
} from './record.ts';

const GPR = CpuState.gpr.offset;
const ZERO = CpuState.zero.offset;
const TWO_32 = 4294967296;

export const CONDITION_CODES = 16;

/** Which handler a form has. */
export interface Handlers {
  /** By row * VARIANTS + variant. */
  readonly single: Uint16Array;
  /** With the conditional branch behind it: by (row * VARIANTS + variant) * CONDITION_CODES + condition. */
  readonly fused: ReadonlyMap<number, number>;
  /** Branches to a record that make it hot, 1 to 65535. */
  readonly heat: number;
}

/** Row and variant of the instruction last encoded, if it is the one before in the same run; -1 otherwise. */
let last_form = -1;

/** Branches to a record that make it hot, 1 to 65535. */
let first_heat = 0xffff;

/** Begins a run: what was encoded before is not adjacent. A record gets hot by `heat` branches to it. */
export function begin_run(heat: number): void {
  last_form = -1;
  first_heat = heat;
}

/** Offset in CpuState of a register operand; of st, segment and control registers their number. */
function place_of(operand: Operand): number {
  switch (operand.cls) {
    case 'gpr':
      return GPR + operand.reg * 8;
    case 'gpr8h':
      return GPR + operand.reg * 8 + 1;
    case 'xmm':
      return CpuState.xmm.offset + operand.reg * 16;
    case 'mm':
      return CpuState.st.offset + operand.reg * 16;
    default:
      return operand.reg;
  }
}

function segment_place(segment: number): number {
  if (segment === SEGMENT_FS) return CpuState.fs_base.offset;
  return segment === SEGMENT_GS ? CpuState.gs_base.offset : ZERO;
}

function register_place(register: number): number {
  return register < 0 ? ZERO : GPR + register * 8;
}

function write_i64(at: number, value: number): void {
  U32[at >>> 2] = value;
  U32[(at + 4) >>> 2] = Math.floor(value / TWO_32);
}

/** Fields that every record has. */
export function write_head(at: number, handler: number, rip: number, length: number, position: number): void {
  U16[(at + RECORD_HANDLER) >>> 1] = handler;
  U16[(at + RECORD_FIRST) >>> 1] = ZERO;
  U16[(at + RECORD_SECOND) >>> 1] = ZERO;
  U16[(at + RECORD_BASE) >>> 1] = ZERO;
  U16[(at + RECORD_INDEX) >>> 1] = ZERO;
  U8[at + RECORD_SCALE] = 0;
  U8[at + RECORD_LENGTH] = length;
  U32[(at + RECORD_RIP) >>> 2] = rip;
  write_i64(at + RECORD_DISPLACEMENT, 0);
  U32[(at + RECORD_IMMEDIATE) >>> 2] = 0;
  U32[(at + RECORD_POSITION) >>> 2] = position + first_heat * 65536;
}

/** Base, index, scale and displacement of the memory operand. */
function write_memory(at: number, instruction: Instruction, rip: number): void {
  U16[(at + RECORD_BASE) >>> 1] = register_place(instruction.base);
  U16[(at + RECORD_INDEX) >>> 1] = register_place(instruction.index);
  U8[at + RECORD_SCALE] = instruction.scale_shift;
  if (instruction.rip_relative) {
    write_i64(at + RECORD_DISPLACEMENT, rip + instruction.length + instruction.displacement);
    return;
  }
  // pop computes a destination address with RSP already moved.
  const moved = instruction.row.semantics === 'pop' && instruction.base === RSP ? instruction.operand_size : 0;
  U32[(at + RECORD_DISPLACEMENT) >>> 2] = instruction.displacement + moved;
  const carry = moved !== 0 && instruction.displacement < 0 && instruction.displacement + moved >= 0 ? 1 : 0;
  U32[(at + RECORD_DISPLACEMENT + 4) >>> 2] = instruction.displacement_hi + carry;
}

/** Slots of the register operands; whether one of the operands is a branch displacement. */
function write_operands(at: number, instruction: Instruction): boolean {
  let registers = 0;
  let relative = false;
  for (let i = 0; i < instruction.operand_count; i++) {
    const operand = instruction.operands[i]!;
    if (operand.kind === 'reg') {
      if (registers < 2) U16[(at + (registers === 0 ? RECORD_FIRST : RECORD_SECOND)) >>> 1] = place_of(operand);
      registers++;
    } else if (operand.kind === 'rel') relative = true;
  }
  return relative;
}

/** The record of an instruction without memory operand. */
function write_immediates(at: number, instruction: Instruction): void {
  U16[(at + RECORD_INDEX) >>> 1] = segment_place(instruction.segment);
  U32[(at + RECORD_DISPLACEMENT) >>> 2] = instruction.imm_lo;
  U32[(at + RECORD_DISPLACEMENT + 4) >>> 2] = instruction.imm_hi;
  U32[(at + RECORD_IMMEDIATE) >>> 2] = instruction.imm2;
}

/** Lets the comparison encoded just before run the conditional branch at `at` as well, if there is such a handler. */
function fuse(at: number, instruction: Instruction, handlers: Handlers): void {
  const handler = handlers.fused.get(last_form * CONDITION_CODES + instruction.row.condition);
  if (handler !== undefined) U16[(at - RECORD_SIZE + RECORD_HANDLER) >>> 1] = handler;
}

/**
 * Writes the record or records of an instruction at `rip`, the first at arena address `at`. Answers the address behind
 * them. A segment base takes the place of an absent index register; otherwise it, like a 32-bit address, needs a
 * record of its own in front.
 */
export function encode(
  at: number,
  instruction: Instruction,
  rip: number,
  position: number,
  handlers: Handlers,
): number {
  const { row, length } = instruction;
  let variant = variant_of(instruction);
  const memory = (variant & VARIANT_MEMORY) !== 0;
  const narrow = instruction.address_size === 4;
  const segment = row.semantics === 'lea' ? -1 : instruction.segment;
  const as_index = memory && segment >= 0 && !narrow && instruction.index < 0;
  const prefixed = memory && !as_index && (narrow || segment >= 0) && row.semantics !== 'nop';
  let main = at;
  if (as_index) variant &= ~VARIANT_NO_INDEX;
  if (prefixed) {
    variant |= VARIANT_NO_INDEX;
    write_head(at, narrow ? HANDLER_EA32 : HANDLER_EA, rip, length, position);
    write_memory(at, instruction, rip);
    U16[(at + RECORD_FIRST) >>> 1] = segment_place(segment);
    main = at + RECORD_SIZE;
  }
  const form = row.id * VARIANTS + variant;
  write_head(main, handlers.single[form]!, rip, length, position);
  if (write_operands(main, instruction)) {
    write_i64(main + RECORD_DISPLACEMENT, rip + length + instruction.imm_lo);
    if (row.semantics === 'jcc') fuse(main, instruction, handlers);
  } else if (memory) {
    if (prefixed) {
      U16[(main + RECORD_BASE) >>> 1] = CpuState.ea.offset;
      U16[(main + RECORD_INDEX) >>> 1] = segment_place(segment);
    } else write_memory(main, instruction, rip);
    if (as_index) U16[(main + RECORD_INDEX) >>> 1] = segment_place(segment);
    U32[(main + RECORD_IMMEDIATE) >>> 2] = instruction.imm_lo;
  } else write_immediates(main, instruction);
  last_form = form;
  return main + RECORD_SIZE;
}

/** Whether nothing can follow the instruction in its block but through a new look-up. */
export function ends_run(instruction: Instruction): boolean {
  const { row } = instruction;
  return (row.attributes & ATTR_BRANCH) !== 0 && row.condition < 0 && !LOOPS.has(row.semantics);
}

/** Whether a new block begins behind the instruction. */
export function ends_block(instruction: Instruction): boolean {
  return (instruction.row.attributes & ATTR_BRANCH) !== 0;
}

const LOOPS = new Set(['loop', 'loope', 'loopne', 'jrcxz']);
