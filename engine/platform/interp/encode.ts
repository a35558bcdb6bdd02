// @hot
/**
 * Writes decoded instructions as records.
 */
import { U8, U16, U32 } from '../../heap/memory.ts';
import { CpuState, RSP } from '../../machine/cpu.layout.ts';
import { ATTR_BRANCH, type Instruction, type Operand, SEGMENT_FS, SEGMENT_GS } from '../../x86/instruction.ts';
import { VARIANTS, variant_of } from './forms.ts';
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
  U32[(at + RECORD_POSITION) >>> 2] = position;
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

/**
 * Writes the record or records of an instruction at `rip`, the first at arena address `at`. Answers the address behind
 * them. `handlers` maps row * VARIANTS + variant to the handler.
 */
export function encode(
  at: number,
  instruction: Instruction,
  rip: number,
  position: number,
  handlers: Uint16Array,
): number {
  const variant = variant_of(instruction);
  const handler = handlers[instruction.row.id * VARIANTS + variant]!;
  let memory = false;
  let registers = 0;
  let relative = false;
  let main = at;
  for (let i = 0; i < instruction.operand_count; i++) if (instruction.operands[i]!.kind === 'mem') memory = true;
  const narrow = instruction.address_size === 4;
  const prefixed = memory && (narrow || instruction.segment >= 0) && instruction.row.semantics !== 'nop';
  if (prefixed) {
    write_head(at, narrow ? HANDLER_EA32 : HANDLER_EA, rip, instruction.length, position);
    write_memory(at, instruction, rip);
    // lea ignores segments.
    const segment = instruction.row.semantics === 'lea' ? -1 : instruction.segment;
    U16[(at + RECORD_FIRST) >>> 1] = segment_place(segment);
    main = at + RECORD_SIZE;
  }
  write_head(main, handler, rip, instruction.length, position);
  for (let i = 0; i < instruction.operand_count; i++) {
    const operand = instruction.operands[i]!;
    if (operand.kind === 'reg') {
      if (registers < 2) U16[(main + (registers === 0 ? RECORD_FIRST : RECORD_SECOND)) >>> 1] = place_of(operand);
      registers++;
    } else if (operand.kind === 'rel') relative = true;
  }
  if (relative) {
    write_i64(main + RECORD_DISPLACEMENT, rip + instruction.length + instruction.imm_lo);
  } else if (memory) {
    if (prefixed) U16[(main + RECORD_BASE) >>> 1] = CpuState.ea.offset;
    else write_memory(main, instruction, rip);
    U32[(main + RECORD_IMMEDIATE) >>> 2] = instruction.imm_lo;
  } else {
    U16[(main + RECORD_INDEX) >>> 1] = segment_place(instruction.segment);
    U32[(main + RECORD_DISPLACEMENT) >>> 2] = instruction.imm_lo;
    U32[(main + RECORD_DISPLACEMENT + 4) >>> 2] = instruction.imm_hi;
    U32[(main + RECORD_IMMEDIATE) >>> 2] = instruction.imm2;
  }
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
