// @hot
/**
 * Decodes one instruction of 64-bit mode into a record that the caller keeps and passes again.
 *
 *     const out = new_instruction();
 *     const length = decode(U8, address, limit, out);
 *     if (length > 0) ... else if (length === NEED_MORE) ...
 *
 * Bytes come from any byte view: the machine memory with the frame's address, or, for an instruction that crosses
 * into another page, a copy of up to 15 bytes of both. Prefix rules are the Intel manual's (volume 2, 2.1 and 2.2);
 * where the manuals leave room it does what Intel processors do: the last of F2 and F3 counts and beats 66 as a
 * mandatory prefix, a REX prefix counts only directly before the opcode, CS, DS, ES and SS overrides are ignored and do
 * not cancel FS or GS, of which the last counts, and near branches ignore 66.
 */
import { MAP_0F, MAP_0F3A, MAP_0F38, PREFIX_66, PREFIX_F2, PREFIX_F3, PREFIX_NONE } from './encoding.ts';
import {
  ATTR_BYTE,
  ATTR_DEFAULT_64,
  ATTR_FORCE_64,
  ATTR_LOCK,
  type Instruction,
  type Operand,
  REGISTER_NONE,
  type RegisterClass,
  SEGMENT_FS,
  SEGMENT_GS,
  SEGMENT_NONE,
  SIZE_OPERAND,
  SIZE_Y,
  SIZE_Z,
  SOURCE_FIXED,
  SOURCE_MOFFS,
  SOURCE_ONE,
  SOURCE_OPCODE,
  SOURCE_REG,
  SOURCE_REL,
  SOURCE_RM,
} from './instruction.ts';
import { LOOKUP, MANDATORY_PREFIX, NODE_BASE, NODE_SELECT } from './lookup.ts';
import { SELECT_MODRM, slot_of } from './slots.ts';
import { INVALID_ROW, ROWS } from './table.ts';

/** The bytes end before the instruction does. */
export const NEED_MORE = 0;
/** No such instruction in 64-bit mode, or a LOCK prefix where none may be: #UD. */
export const UNDEFINED = -1;
/** More than 15 bytes: #GP. */
export const TOO_LONG = -2;

export const MAX_LENGTH = 15;

const REX_B = 1;
const REX_X = 2;
const REX_R = 4;
const REX_W = 8;

/** Kinds of byte in prefix position. */
const KIND_OPCODE = 0;
const KIND_66 = 1;
const KIND_67 = 2;
const KIND_F3 = 3;
const KIND_F2 = 4;
const KIND_LOCK = 5;
const KIND_IGNORED = 6;
const KIND_FS = 7;
const KIND_GS = 8;
const KIND_REX = 9;

const KINDS = new Uint8Array(256);
KINDS[0x66] = KIND_66;
KINDS[0x67] = KIND_67;
KINDS[0xf3] = KIND_F3;
KINDS[0xf2] = KIND_F2;
KINDS[0xf0] = KIND_LOCK;
KINDS[0x26] = KINDS[0x2e] = KINDS[0x36] = KINDS[0x3e] = KIND_IGNORED;
KINDS[0x64] = KIND_FS;
KINDS[0x65] = KIND_GS;
KINDS.fill(KIND_REX, 0x40, 0x50);

const NOP_OPCODE = 0x90;
/** First of the four moves to and from control and debug registers, which take any ModRM.mod as a register. */
const MOV_CONTROL_NODE = MAP_0F * 256 + 0x20;

/** State of the decode under way. */
let source: Uint8Array = new Uint8Array(0);
let cursor = 0;
let end = 0;
let rex = 0;
let opcode = 0;
/** Set when an operand turns out not to exist (segment register 6, an immediate past the end). */
let status = 0;

function new_operand(): Operand {
  return { kind: 'reg', cls: 'gpr', reg: 0, size: 0 };
}

/** An instruction record for `decode` to fill. */
export function new_instruction(): Instruction {
  return {
    row: INVALID_ROW,
    length: 0,
    operand_size: 0,
    address_size: 8,
    lock: false,
    rep: false,
    repne: false,
    segment: SEGMENT_NONE,
    operand_count: 0,
    operands: [new_operand(), new_operand(), new_operand()],
    base: REGISTER_NONE,
    index: REGISTER_NONE,
    scale_shift: 0,
    rip_relative: false,
    displacement: 0,
    displacement_hi: 0,
    modrm: -1,
    imm_lo: 0,
    imm_hi: 0,
    imm2: 0,
  };
}

const crossing = new Uint8Array(2 * MAX_LENGTH);

/** The same of an instruction whose first `count` bytes, 1 to 14, are at `bytes[first]`, and the rest at `bytes[second]`. */
export function decode_crossing(
  bytes: Uint8Array,
  first: number,
  count: number,
  second: number,
  out: Instruction,
): number {
  crossing.set(bytes.subarray(first, first + count));
  crossing.set(bytes.subarray(second, second + MAX_LENGTH), count);
  return decode(crossing, 0, count + MAX_LENGTH, out);
}

/**
 * Decodes the instruction at `bytes[at]`, reading nothing at or after `bytes[limit]`, into `out`. Returns its length
 * (1-15), or NEED_MORE, UNDEFINED or TOO_LONG, when `out` has INVALID_ROW and otherwise means nothing.
 */
export function decode(bytes: Uint8Array, at: number, limit: number, out: Instruction): number {
  source = bytes;
  cursor = at;
  end = limit - at > MAX_LENGTH ? at + MAX_LENGTH : limit;
  const result = decode_at(out);
  if (result > 0) {
    const length = cursor - at;
    out.length = length;
    return length;
  }
  out.row = INVALID_ROW;
  out.length = 0;
  return result === NEED_MORE && limit - at >= MAX_LENGTH ? TOO_LONG : result;
}

/** Answers 1, NEED_MORE or UNDEFINED. */
function decode_at(out: Instruction): number {
  let has_66 = 0;
  let repeat = PREFIX_NONE;
  let lock = false;
  let segment = SEGMENT_NONE;
  let byte = 0;
  rex = 0;
  out.address_size = 8;
  for (;;) {
    if (cursor >= end) return NEED_MORE;
    byte = source[cursor++]!;
    const kind = KINDS[byte]!;
    if (kind === KIND_OPCODE) break;
    if (kind === KIND_REX) {
      rex = byte;
      continue;
    }
    rex = 0; // a REX prefix that is not the last prefix is ignored
    if (kind === KIND_66) has_66 = 1;
    else if (kind === KIND_67) out.address_size = 4;
    else if (kind === KIND_F3) repeat = PREFIX_F3;
    else if (kind === KIND_F2) repeat = PREFIX_F2;
    else if (kind === KIND_LOCK) lock = true;
    else if (kind === KIND_FS) segment = SEGMENT_FS;
    else if (kind === KIND_GS) segment = SEGMENT_GS;
  }
  let node = byte;
  if (byte === 0x0f) {
    node = escaped_node();
    if (node < 0) return NEED_MORE;
  } else if (byte === NOP_OPCODE && (rex & REX_B) !== 0 && repeat !== PREFIX_F3) {
    node = NOP_OPCODE + 1; // xchg r8, rax: what 90+r says, without nop (pause stays pause)
  }
  opcode = byte === 0x0f ? node & 0xff : byte;
  const prefix = repeat !== PREFIX_NONE ? repeat : has_66;
  const id = find_row(node, prefix, out);
  if (id <= 0) return id;

  const row = ROWS[id]!;
  const mandatory = MANDATORY_PREFIX[id]!;
  out.row = row;
  out.lock = lock;
  out.rep = repeat === PREFIX_F3 && mandatory !== PREFIX_F3;
  out.repne = repeat === PREFIX_F2 && mandatory !== PREFIX_F2;
  out.segment = segment;
  const wide = (rex & REX_W) !== 0 || (row.attributes & ATTR_FORCE_64) !== 0;
  if ((row.attributes & ATTR_BYTE) !== 0) out.operand_size = 1;
  else if (wide) out.operand_size = 8;
  else if (has_66 === 1 && mandatory !== PREFIX_66) out.operand_size = 2;
  else out.operand_size = (row.attributes & ATTR_DEFAULT_64) !== 0 ? 8 : 4;
  if (lock && ((row.attributes & ATTR_LOCK) === 0 || out.modrm >= 0xc0)) return UNDEFINED;
  return fill_operands(out);
}

/** Reads the opcode after 0F. Answers its node, or -1 when the bytes end. */
function escaped_node(): number {
  if (cursor >= end) return -1;
  const second = source[cursor++]!;
  if (second !== 0x38 && second !== 0x3a) return MAP_0F * 256 + second;
  if (cursor >= end) return -1;
  return (second === 0x38 ? MAP_0F38 : MAP_0F3A) * 256 + source[cursor++]!;
}

/** The row's id, with ModRM read into `out.modrm` if the instruction has one; NEED_MORE or UNDEFINED. */
function find_row(node: number, prefix: number, out: Instruction): number {
  out.modrm = -1;
  const select = NODE_SELECT[node]!;
  if ((select & SELECT_MODRM) !== 0) {
    if (cursor >= end) return NEED_MORE;
    let modrm = source[cursor++]!;
    if (node >> 2 === MOV_CONTROL_NODE >> 2) modrm |= 0xc0;
    out.modrm = modrm;
  }
  const id = LOOKUP[NODE_BASE[node]! + slot_of(select, prefix, out.modrm, (rex & REX_W) >> 3)]!;
  return id === 0 ? UNDEFINED : id;
}

/** Reads what follows ModRM and describes the operands. Answers 1, NEED_MORE or UNDEFINED. */
function fill_operands(out: Instruction): number {
  const specs = out.row.operands;
  const count = specs.length;
  const modrm = out.modrm;
  out.operand_count = count;
  out.base = REGISTER_NONE;
  out.index = REGISTER_NONE;
  out.scale_shift = 0;
  out.rip_relative = false;
  out.displacement = 0;
  out.displacement_hi = 0;
  out.imm_lo = 0;
  out.imm_hi = 0;
  status = 1;
  if (modrm >= 0 && modrm < 0xc0 && !read_memory(modrm, out)) return NEED_MORE;
  let immediates = 0;
  for (let n = 0; n < count; n++) {
    const spec = specs[n]!;
    const operand = out.operands[n]!;
    const from = spec.source;
    operand.cls = spec.cls;
    operand.size = operand_bytes(spec.size, out.operand_size);
    if (from === SOURCE_RM) {
      if (modrm < 0xc0) operand.kind = 'mem';
      else set_register(operand, modrm & 7, (rex & REX_B) << 3);
    } else if (from === SOURCE_REG) set_register(operand, (modrm >> 3) & 7, (rex & REX_R) << 1);
    else if (from === SOURCE_OPCODE) set_register(operand, opcode & 7, (rex & REX_B) << 3);
    else if (from === SOURCE_FIXED) {
      operand.kind = 'reg';
      operand.reg = spec.fixed!;
    } else if (from === SOURCE_ONE) {
      operand.kind = 'imm';
      out.imm_lo = 1;
    } else if (from === SOURCE_MOFFS) {
      operand.kind = 'mem';
      read_moffs(out);
    } else {
      operand.kind = from === SOURCE_REL ? 'rel' : 'imm';
      if (immediates === 0) read_immediate(operand.size, spec.sign_extend === true, out);
      else read_second(out);
      immediates++;
    }
  }
  // mov to cs is undefined
  if (status === 1 && out.row.semantics === 'mov_to_segment' && out.operands[0]!.reg === 1) return UNDEFINED;
  return status;
}

function operand_bytes(size: number, operand_size: number): number {
  if (size > 0) return size;
  if (size === SIZE_OPERAND) return operand_size;
  if (size === SIZE_Y) return (rex & REX_W) !== 0 ? 8 : 4;
  if (size === SIZE_Z) return operand_size === 2 ? 2 : 4;
  return size;
}

const SEGMENT_COUNT = 6;
/** Bit n: the register with that number exists. */
const CONTROL_REGISTERS = 0b1_0001_1101;
const DEBUG_REGISTERS = 0xff;

function set_register(operand: Operand, low: number, extension: number): void {
  const cls: RegisterClass = operand.cls;
  operand.kind = 'reg';
  operand.reg = low;
  if (cls === 'gpr') {
    if (operand.size === 1 && rex === 0 && low >= 4) {
      operand.cls = 'gpr8h';
      operand.reg = low - 4;
    } else operand.reg = low | extension;
  } else if (cls === 'xmm') operand.reg = low | extension;
  else if (cls === 'control' || cls === 'debug') {
    operand.reg = low | extension;
    if (((cls === 'control' ? CONTROL_REGISTERS : DEBUG_REGISTERS) >> operand.reg) & 1) return;
    status = UNDEFINED;
  } else if (cls === 'segment' && low >= SEGMENT_COUNT) status = UNDEFINED;
}

/** Reads SIB and displacement. False when the bytes end. */
function read_memory(modrm: number, out: Instruction): boolean {
  const mod = modrm >> 6;
  let base = modrm & 7;
  if (base === 4) {
    if (cursor >= end) return false;
    const sib = source[cursor++]!;
    const index = ((sib >> 3) & 7) | ((rex & REX_X) << 2);
    if (index !== 4) {
      out.index = index;
      out.scale_shift = sib >> 6;
    }
    base = sib & 7;
    if (base === 5 && mod === 0) return read_displacement(4, out);
  } else if (base === 5 && mod === 0) {
    out.rip_relative = true;
    return read_displacement(4, out);
  }
  out.base = base | ((rex & REX_B) << 3);
  if (mod === 0) return true;
  return read_displacement(mod === 1 ? 1 : 4, out);
}

function read_displacement(size: number, out: Instruction): boolean {
  if (cursor + size > end) return false;
  const value = size === 1 ? (source[cursor]! << 24) >> 24 : read_i32(cursor);
  cursor += size;
  out.displacement = value;
  out.displacement_hi = value >> 31;
  return true;
}

function read_i32(at: number): number {
  return source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
}

/** The address of a moffs move: as wide as addresses are. */
function read_moffs(out: Instruction): void {
  const size = out.address_size;
  if (cursor + size > end) {
    status = NEED_MORE;
    return;
  }
  out.displacement = read_i32(cursor);
  if (size === 8) out.displacement_hi = read_i32(cursor + 4);
  cursor += size;
}

function read_immediate(size: number, sign_extend: boolean, out: Instruction): void {
  if (cursor + size > end) {
    status = NEED_MORE;
    return;
  }
  let lo = 0;
  if (size === 1) {
    lo = source[cursor]!;
    if (sign_extend) lo = (lo << 24) >> 24;
  } else if (size === 2) {
    lo = source[cursor]! | (source[cursor + 1]! << 8);
    if (sign_extend) lo = (lo << 16) >> 16;
  } else lo = read_i32(cursor);
  out.imm_lo = lo;
  if (size === 8) out.imm_hi = read_i32(cursor + 4);
  else if (sign_extend) out.imm_hi = lo >> 31;
  cursor += size;
}

/** The second immediate of enter: one byte. */
function read_second(out: Instruction): void {
  if (cursor >= end) {
    status = NEED_MORE;
    return;
  }
  out.imm2 = source[cursor++]!;
}
