/**
 * Random valid encodings of a row: what the oracles feed to decoder, interpreter and the host's processor.
 *
 *     const bytes = random_encoding(row, prng, { form: 'memory', bases: [RBX], displacement: [0, 4095] });
 *
 * The result decodes to the row that was asked for. Everything that the constraints leave open is random: operand
 * size, registers, addressing mode, immediates, harmless prefixes.
 */
import type { Prng } from '../base/prng.ts';
import { decode, new_instruction } from './decoder.ts';
import {
  type Encoding,
  MAP_0F,
  MAP_0F3A,
  MAP_0F38,
  MAP_ONE,
  MODRM_ABSENT,
  MODRM_MEMORY,
  MODRM_REGISTER,
  PREFIX_66,
  PREFIX_ANY,
  PREFIX_F2,
  PREFIX_F3,
} from './encoding.ts';
import {
  ATTR_FORCE_64,
  ATTR_LOCK,
  ATTR_REP,
  type OperandSpec,
  type Row,
  SIZE_OPERAND,
  SIZE_Y,
  SIZE_Z,
} from './instruction.ts';
import { ENCODINGS, LOOKUP, lookup_slot } from './lookup.ts';
import { is_byte_row, ROWS } from './table.ts';

/** What a caller may fix. Each absent field leaves the choice open. */
export interface EncodingConstraints {
  /** Register or memory form of ModRM.rm, for rows that have both. */
  readonly form?: 'register' | 'memory';
  /** Numbers that general-purpose register operands may have if they are accessed (not ah, ch, dh, bh: see `high_bytes`). */
  readonly registers?: readonly number[];
  /** False: never ah, ch, dh, bh. */
  readonly high_bytes?: boolean;
  /** Base registers that a memory operand may use. An empty list: no base. Also forbids RIP-relative addresses. */
  readonly bases?: readonly number[];
  /** Index registers likewise; an empty list: no index. */
  readonly indexes?: readonly number[];
  /** Least and greatest displacement, signed 32-bit. */
  readonly displacement?: readonly [number, number];
  /** Operand sizes allowed (2, 4, 8), where the row leaves a choice. */
  readonly operand_sizes?: readonly number[];
  /** False: no 67 prefix. */
  readonly short_addresses?: boolean;
  /** False: no segment overrides, no redundant prefixes. */
  readonly redundant_prefixes?: boolean;
  /** False: no LOCK. */
  readonly lock?: boolean;
  /** False: no REP on string instructions. */
  readonly repeat?: boolean;
  /** Chooses an immediate's bits (the low 32; the high half of imm64 is random). */
  readonly immediate?: (bytes: number, prng: Prng) => number;
}

const NONE: EncodingConstraints = {};
const REX_B = 1;
const REX_X = 2;
const REX_R = 4;
const REX_W = 8;
const MEMORY_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const SIZES = [2, 4, 8];
const ALL_REGISTERS = Array.from({ length: 16 }, (_, n) => n);

/** Work in progress. */
interface Draft {
  readonly row: Row;
  readonly encoding: Encoding;
  readonly prng: Prng;
  readonly limits: EncodingConstraints;
  prefixes: number[];
  operand_size: number;
  address_size: number;
  rex: number;
  /** A register needs REX to be present (spl, bpl, sil, dil) or absent (ah, ch, dh, bh). */
  rex_required: boolean;
  rex_forbidden: boolean;
  opcode_low: number;
  reg: number;
  rm: number;
  register_form: boolean;
  tail: number[];
}

/** All rows that `random_encoding` takes: every instruction of the table. */
export function encodable_rows(): Row[] {
  return ROWS.filter((row) => row.id !== 0 && reachable(row));
}

let reachable_ids: Set<number> | null = null;

function reachable(row: Row): boolean {
  reachable_ids ??= new Set(LOOKUP);
  return reachable_ids.has(row.id);
}

const decoded = new_instruction();

/** Random bytes, at most 15, that decode to `row`. Throws if the constraints leave no encoding. */
export function random_encoding(row: Row, prng: Prng, limits: EncodingConstraints = NONE): Uint8Array {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const bytes = try_encoding(row, prng, limits);
    if (bytes === null) continue;
    // Rows overlap (90 is nop and xchg, a digit is an exception to /r): keep what the decoder sees as this row.
    const encoding = Uint8Array.from(bytes);
    if (decode(encoding, 0, encoding.length, decoded) === encoding.length && decoded.row === row) return encoding;
  }
  throw new Error(`no encoding of ${row.mnemonic} ${row.encoding} fits the constraints`);
}

function try_encoding(row: Row, prng: Prng, limits: EncodingConstraints): number[] | null {
  const encoding = ENCODINGS[row.id]!;
  const d: Draft = {
    row,
    encoding,
    prng,
    limits,
    prefixes: [],
    operand_size: 0,
    address_size: limits.short_addresses !== false && prng.one_in(16) ? 4 : 8,
    rex: 0,
    rex_required: false,
    rex_forbidden: false,
    opcode_low: prng.below(8),
    reg: encoding.digit >= 0 ? encoding.digit : prng.below(8),
    rm: encoding.rm >= 0 ? encoding.rm : prng.below(8),
    register_form: choose_form(encoding, prng, limits),
    tail: [],
  };
  choose_size(d);
  if (d.register_form || encoding.modrm === MODRM_ABSENT) d.rm = encoding.rm >= 0 ? encoding.rm : d.rm;
  for (const operand of row.operands) choose_operand(d, operand);
  if (encoding.modrm !== MODRM_ABSENT && !d.register_form) choose_memory(d);
  for (const operand of row.operands) choose_immediate(d, operand);
  if (d.rex_required && d.rex_forbidden) return null;
  if (d.rex !== 0 && d.rex_forbidden) return null;
  choose_prefixes(d);
  return assemble(d);
}

function choose_form(encoding: Encoding, prng: Prng, limits: EncodingConstraints): boolean {
  if (encoding.modrm === MODRM_REGISTER) return true;
  if (encoding.modrm === MODRM_MEMORY) return false;
  if (limits.form !== undefined) return limits.form === 'register';
  return prng.one_in(2);
}

/** Picks 66 and REX.W. Where they select the row, the row decides. */
function choose_size(d: Draft): void {
  const { prng, encoding, row } = d;
  const allowed = SIZES.filter((size) => d.limits.operand_sizes?.includes(size) ?? true);
  let size = prng.pick(allowed.length === 0 ? SIZES : allowed);
  if (encoding.w === 1) size = 8;
  if (size === 8 && !takes_w(row)) size = 4;
  if (is_byte_row(row) || (row.attributes & ATTR_FORCE_64) !== 0) size = 4;
  if (size === 8) d.rex |= REX_W;
  if (size === 2 && encoding.prefix !== PREFIX_66) {
    // With NP, F2 and F3 rows, 66 is only harmless where an operand has the instruction's size.
    if (encoding.prefix === PREFIX_ANY || (encoding.prefix >= PREFIX_F3 && has_size(row, SIZE_OPERAND))) {
      d.prefixes.push(0x66);
    } else size = 4;
  }
  d.operand_size = is_byte_row(row) ? 1 : size;
}

function has_size(row: Row, size: number): boolean {
  return row.operands.some((operand) => operand.size === size);
}

/** REX.W changes the row's operand size and selects no other row. */
function takes_w(row: Row): boolean {
  const encoding = ENCODINGS[row.id]!;
  const form = encoding.modrm === MODRM_ABSENT ? 0 : Math.max(encoding.digit, 0);
  if (encoding.w === 1) return true;
  const modrm = encoding.modrm === MODRM_REGISTER ? 0xc0 | (form << 3) | Math.max(encoding.rm, 0) : form << 3;
  const prefix = Math.max(encoding.prefix, 0);
  return LOOKUP[lookup_slot(encoding.map * 256 + encoding.opcode, prefix, modrm, 1)] === row.id;
}

function pick_register(d: Draft, size: number): number {
  const { prng, limits } = d;
  if (size === 1 && limits.high_bytes !== false && prng.one_in(4)) {
    d.rex_forbidden = true;
    return 4 + prng.below(4);
  }
  const register = prng.pick(limits.registers ?? ALL_REGISTERS);
  if (size === 1 && register >= 4 && register < 8) d.rex_required = true;
  return register;
}

function choose_operand(d: Draft, operand: OperandSpec): void {
  const { from, cls } = operand;
  const in_rm = from === 'rm_reg' || (from === 'rm' && d.register_form);
  if (!in_rm && from !== 'reg' && from !== 'opcode') return;
  const size = operand.size === SIZE_OPERAND ? d.operand_size : operand.size;
  let register = d.prng.below(8);
  if (cls === 'gpr') register = operand.access === 'none' ? d.prng.below(16) : pick_register(d, size);
  else if (cls === 'xmm') register = d.prng.below(16);
  else if (cls === 'segment') register = operand.access === 'w' ? d.prng.pick([0, 2, 3, 4, 5]) : d.prng.below(6);
  else if (cls === 'control') register = d.prng.pick([0, 2, 3, 4, 8]);
  if (in_rm) {
    d.rm = register & 7;
    if (register >= 8) d.rex |= REX_B;
  } else if (from === 'reg') {
    d.reg = register & 7;
    if (register >= 8) d.rex |= REX_R;
  } else {
    d.opcode_low = register & 7;
    if (register >= 8) d.rex |= REX_B;
  }
}

function push_i32(bytes: number[], value: number): void {
  bytes.push(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);
}

function choose_displacement(d: Draft): number {
  const range = d.limits.displacement;
  if (range !== undefined) return range[0] + d.prng.below(range[1] - range[0] + 1);
  return d.prng.one_in(2) ? (d.prng.u32() << 24) >> 24 : d.prng.u32() | 0;
}

/** Chooses an addressing mode; ModRM.mod goes into bit 3 and 4 of `rm`, SIB and displacement into the tail. */
function choose_memory(d: Draft): void {
  const { prng, limits } = d;
  const bases = limits.bases ?? ALL_REGISTERS;
  const indexes = (limits.indexes ?? ALL_REGISTERS).filter((register) => register !== 4);
  const displacement = choose_displacement(d);
  const no_base = bases.length === 0 || (limits.bases === undefined && prng.one_in(8));
  const index = indexes.length > 0 && prng.one_in(2) ? prng.pick(indexes) : -1;
  if (no_base && limits.bases === undefined && index < 0 && prng.one_in(2)) {
    d.rm = 5; // RIP-relative
    push_i32(d.tail, displacement);
    return;
  }
  if (index >= 8) d.rex |= REX_X;
  const scale = prng.below(4) << 6;
  const index_bits = (index < 0 ? 4 : index & 7) << 3;
  if (no_base) {
    d.rm = 4;
    d.tail.push(scale | index_bits | 5);
    push_i32(d.tail, displacement);
    return;
  }
  const base = prng.pick(bases);
  if (base >= 8) d.rex |= REX_B;
  const needs_sib = index >= 0 || (base & 7) === 4 || prng.one_in(8);
  const mod = displacement_mode(displacement, base, prng);
  d.rm = (mod << 3) | (needs_sib ? 4 : base & 7);
  if (needs_sib) d.tail.push(scale | index_bits | (base & 7));
  if (mod === 1) d.tail.push(displacement & 255);
  else if (mod === 2) push_i32(d.tail, displacement);
}

function displacement_mode(displacement: number, base: number, prng: Prng): number {
  if (displacement === 0 && (base & 7) !== 5) return prng.below(3);
  return displacement >= -128 && displacement <= 127 && !prng.one_in(4) ? 1 : 2;
}

function choose_immediate(d: Draft, operand: OperandSpec): void {
  const { prng } = d;
  let bytes = 0;
  if (operand.from === 'imm' || operand.from === 'rel') {
    bytes = operand.size;
    if (bytes === SIZE_OPERAND) bytes = d.operand_size;
    else if (bytes === SIZE_Z) bytes = d.operand_size === 2 ? 2 : 4;
    else if (bytes === SIZE_Y) bytes = (d.rex & REX_W) !== 0 ? 8 : 4;
  } else if (operand.from === 'moffs') bytes = d.address_size;
  if (bytes === 0) return;
  let value = d.limits.immediate?.(bytes, prng) ?? (prng.one_in(4) ? prng.below(16) : prng.u32());
  for (let n = 0; n < bytes; n++) {
    if (n === 4) value = prng.u32();
    d.tail.push(value & 255);
    value >>>= 8;
  }
}

function choose_prefixes(d: Draft): void {
  const { prng, limits, row, encoding, prefixes } = d;
  if (d.address_size === 4) prefixes.push(0x67);
  const memory = encoding.modrm !== MODRM_ABSENT && !d.register_form;
  if ((row.attributes & ATTR_LOCK) !== 0 && memory && limits.lock !== false && prng.one_in(4)) prefixes.push(0xf0);
  if ((row.attributes & ATTR_REP) !== 0 && limits.repeat !== false && prng.one_in(2)) {
    prefixes.push(prng.pick([0xf2, 0xf3]));
  }
  if (limits.redundant_prefixes !== false && prng.one_in(8)) prefixes.push(prng.pick(MEMORY_PREFIXES));
  if (encoding.prefix === PREFIX_66) prefixes.push(0x66);
  else if (encoding.prefix === PREFIX_F3) prefixes.push(0xf3);
  else if (encoding.prefix === PREFIX_F2) prefixes.push(0xf2);
  for (let n = prefixes.length - 1; n > 0; n--) {
    const other = prng.below(n + 1);
    const swapped = prefixes[n]!;
    prefixes[n] = prefixes[other]!;
    prefixes[other] = swapped;
  }
}

const ESCAPES: Readonly<Record<number, readonly number[]>> = {
  [MAP_ONE]: [],
  [MAP_0F]: [0x0f],
  [MAP_0F38]: [0x0f, 0x38],
  [MAP_0F3A]: [0x0f, 0x3a],
};

function assemble(d: Draft): number[] {
  const { encoding } = d;
  const bytes = d.prefixes.slice();
  if (d.rex !== 0 || d.rex_required || (!d.rex_forbidden && d.prng.one_in(16))) bytes.push(0x40 | d.rex);
  bytes.push(...ESCAPES[encoding.map]!);
  bytes.push(encoding.plus_register ? encoding.opcode + d.opcode_low : encoding.opcode);
  if (encoding.modrm !== MODRM_ABSENT) {
    const mode = d.register_form ? 0xc0 | d.rm : ((d.rm >> 3) << 6) | (d.rm & 7);
    bytes.push(mode | (d.reg << 3));
  }
  bytes.push(...d.tail);
  return bytes;
}
