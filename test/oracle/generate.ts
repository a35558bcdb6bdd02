/**
 * Random snippets: one to eight instructions with operands worth testing, memory operands aimed at the
 * window (aligned, straddling a page, read-only or unmapped), branches that stay in the code page.
 */
import {
  ALL_FLAGS,
  ATTR_BRANCH,
  ATTR_X87,
  type Instruction,
  REGISTER_NONE,
  type Row,
  SEGMENT_FS,
  SEGMENT_GS,
} from '../../engine/x86/instruction.ts';
import { ROWS } from '../../engine/x86/table.ts';
import { shift_count, undefined_flags, undefined_result } from '../../engine/x86/undefined.ts';
import { type Encoded, random_encoding, redecode } from './encode.ts';
import { CODE_BASE, FS_BASE, GS_BASE, type Snippet, WINDOW_HIGH, WINDOW_LOW } from './native.ts';
import { integer_value, one_in, pick, type Random, random_state } from './values.ts';

/**
 * Rows that the host answers for its own reasons: what the kernel put into descriptor tables and the MSRs,
 * clocks, identification, and instructions that Linux emulates (UMIP) or that enter the kernel.
 */
const EXCLUDED = new Set(
  'INVALID SYSCALL SYSENTER CPUID RDTSC RDTSCP RDPMC LAR LSL VERR VERW LSS LFS LGS SGDT SIDT SLDT STR SMSW IRET RETF CALLF JMPF RSM INVLPG XABORT XBEGIN'.split(
    ' ',
  ),
);

function excluded(row: Row): boolean {
  if (EXCLUDED.has(row.mnemonic)) return true;
  if (row.semantics.includes('far') || row.mnemonic.startsWith('INT1') || row.mnemonic === 'INT') return true;
  return row.operands.some((operand) => operand.cls === 'segment');
}

/** The rows that the oracle runs. */
export const TESTED_ROWS: readonly Row[] = ROWS.filter((row) => !excluded(row));

/** A snippet with what the comparison must know. */
export interface Generated extends Snippet {
  readonly rows: readonly Row[];
  /** Flags that are undefined behind each instruction. */
  readonly undefined_flags: readonly number[];
  /** Offsets of its instructions in `code`. */
  readonly starts: readonly number[];
}

const RCX = 1;
const RSP = 4;
const RBP = 5;
/** Their results are compared with a tolerance, so nothing may be computed from them. */
const INEXACT = /^(F2XM1|FYL2X|FYL2XP1|FSIN|FCOS|FSINCOS|FPTAN|FPATAN|RCP[PS]S|RSQRT[PS]S)$/;
/** Write rcx without naming it. */
const WRITES_RCX = /^(PCMP[EI]STRI|LOOP.*)$/;
const IMAGE = /^(FNSTENV|FNSAVE|FXSAVE)/;

/** Implicit registers by mnemonic stem: these hold addresses or counts. */
const STRING = /^(MOVS|CMPS|SCAS|LODS|STOS)([BWDQ])?$/;

function aim(random: Random, size: number): number {
  const kind = random() % 16;
  const aligned = (random() % 500) * 16;
  if (kind < 9) return aligned;
  if (kind < 12) return random() % (8192 - 64);
  if (kind === 12) return 4096 - 1 - (random() % Math.max(size, 1));
  if (kind === 13) return 8192 - (random() % (size + 2));
  if (kind === 14) return 8192 + (random() % 256) * 16;
  return pick(random, [-16, -1, 12288 - 8, 12288, -(random() % 16), 12288 - (random() % 32)]);
}

function registers_of(instruction: Instruction): number[] {
  return [instruction.base, instruction.index].filter((r) => r !== REGISTER_NONE && r >= 0);
}

function patch(bytes: Uint8Array, at: number, size: number, value: number): void {
  for (let i = 0; i < size; i++) bytes[at + i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
}

interface Builder {
  readonly random: Random;
  readonly snippet: Snippet;
  /** Registers whose initial value later instructions rely on. */
  readonly pinned: Set<number>;
  readonly written: Set<number>;
  offset: number;
  /** Places of relative branch displacements in the snippet. */
  readonly branches: { at: number; end: number }[];
}

/** Points the memory operand at the window: by displacement where there is no base, else by the base register. */
function aim_memory(b: Builder, encoded: Encoded): boolean {
  const { random, snippet } = b;
  const { instruction, bytes } = encoded;
  const size = Math.max(
    ...instruction.operands.slice(0, instruction.operand_count).map((o) => (o.kind === 'mem' ? o.size : 1)),
    1,
  );
  const high = instruction.address_size === 8 && one_in(random, 3);
  let target = BigInt((high ? WINDOW_HIGH : WINDOW_LOW) + aim(random, size));
  const segment = instruction.segment === SEGMENT_FS ? FS_BASE : instruction.segment === SEGMENT_GS ? GS_BASE : 0;
  const low_target = WINDOW_LOW + Number(target & 0x3fffn) - ((target & 0x3fffn) > 0x3000n ? 0x4000 : 0) - segment;
  target = target - BigInt(segment);
  const { displacement_at, displacement_size } = encoded;
  if (instruction.rip_relative) {
    const next = Number(snippet.state.rip) + b.offset + bytes.length;
    patch(bytes, displacement_at, 4, (low_target - next) >>> 0);
    return true;
  }
  if (displacement_size > 0) patch(bytes, displacement_at, displacement_size, random());
  redecode(encoded);
  const { base, index } = instruction;
  const gpr = snippet.state.gpr;
  const scale = 1n << BigInt(instruction.scale_shift);
  if (base === REGISTER_NONE) {
    if (index !== REGISTER_NONE) {
      if (b.written.has(index)) return false;
      if (!b.pinned.has(index)) gpr[index] = BigInt(random() % 256);
      b.pinned.add(index);
    }
    const scaled = index === REGISTER_NONE ? 0n : (gpr[index] as bigint) * scale;
    patch(bytes, displacement_at, 4, Number(BigInt.asUintN(32, BigInt(low_target) - scaled)));
    redecode(encoded);
    return true;
  }
  const registers = registers_of(instruction);
  if (registers.some((r) => b.written.has(r)) || b.pinned.has(base) || base === index) return one_in(random, 12);
  const offset = BigInt(instruction.displacement) + (index === REGISTER_NONE ? 0n : (gpr[index] as bigint) * scale);
  gpr[base] = BigInt.asUintN(64, target - offset);
  if (instruction.address_size === 4)
    gpr[base] = (BigInt.asUintN(32, gpr[base] as bigint) | (integer_value(random) << 32n)) & ((1n << 64n) - 1n);
  for (const r of registers) b.pinned.add(r);
  return true;
}

/** Registers of a string instruction; with 32-bit addresses without upper halves, whose fate in a fault varies. */
function aim_string(b: Builder, repeated: boolean, narrow: boolean): void {
  const { random, snippet } = b;
  const gpr = snippet.state.gpr;
  for (const r of [6, 7]) if (!b.written.has(r) && !b.pinned.has(r)) gpr[r] = BigInt(WINDOW_LOW + aim(random, 8));
  if (repeated && !b.written.has(1) && !b.pinned.has(1))
    gpr[1] = one_in(random, 8) ? integer_value(random) : BigInt(random() % 40);
  if (narrow) for (const r of [1, 6, 7]) if (!b.pinned.has(r)) gpr[r] = (gpr[r] as bigint) & 0xffff_ffffn;
  for (const r of [1, 6, 7]) b.pinned.add(r);
}

/** Adjusts one encoding to the snippet so far; false to draw another. */
function fit(b: Builder, encoded: Encoded): boolean {
  const { random, snippet } = b;
  const { instruction, bytes } = encoded;
  const gpr = snippet.state.gpr;
  const operands = instruction.operands.slice(0, instruction.operand_count);
  const { mnemonic } = instruction.row;
  if (undefined_result(instruction, cl_of(b)) || (b.written.has(RCX) && undefined_result(instruction, 31)))
    return false;
  const moffs = instruction.row.operands.some((operand) => operand.from === 'moffs');
  if (moffs) {
    const segment = instruction.segment === SEGMENT_FS ? FS_BASE : instruction.segment === SEGMENT_GS ? GS_BASE : 0;
    patch(bytes, encoded.tail_at, instruction.address_size, WINDOW_LOW + aim(random, 8) - segment);
  } else if (operands.some((operand) => operand.kind === 'mem') && !aim_memory(b, encoded)) return false;
  const rel = operands.findIndex((operand) => operand.kind === 'rel');
  if (rel >= 0) b.branches.push({ at: b.offset + encoded.tail_at, end: b.offset + bytes.length });
  if (STRING.test(mnemonic) && instruction.address_size === 4 && [1, 6, 7].some((r) => b.pinned.has(r))) return false;
  if (STRING.test(mnemonic)) aim_string(b, instruction.rep || instruction.repne, instruction.address_size === 4);
  if (mnemonic.startsWith('MASKMOV') && !b.written.has(7)) gpr[7] = BigInt(WINDOW_LOW + aim(random, 16));
  if (mnemonic === 'LEAVE' || mnemonic === 'ENTER') {
    if (!b.written.has(RBP)) gpr[RBP] = BigInt(WINDOW_LOW + aim(random, 8));
    if (mnemonic === 'ENTER') patch(bytes, bytes.length - 3, 2, random() % 600);
  }
  if (mnemonic === 'XLATB' && !b.written.has(3)) gpr[3] = BigInt(WINDOW_LOW + aim(random, 1));
  if ((instruction.row.attributes & ATTR_BRANCH) !== 0 && rel < 0 && operands[0]?.kind === 'reg' && one_in(random, 2)) {
    const { reg } = operands[0];
    if (!b.written.has(reg) && !b.pinned.has(reg)) gpr[reg] = BigInt(CODE_BASE + 1024 + (random() % 64));
  }
  redecode(encoded);
  return true;
}

function cl_of(b: Builder): number {
  return Number((b.snippet.state.gpr[RCX] as bigint) & 0xffn);
}

/** Flags that the instruction leaves undefined; all that it may where its count is not known. */
function undefined_by(b: Builder, instruction: Instruction): number {
  if (b.written.has(RCX)) return instruction.row.undefines;
  if (shift_count(instruction, 0) >= 0) b.pinned.add(RCX);
  return undefined_flags(instruction, cl_of(b));
}

function note_writes(b: Builder, encoded: Encoded): void {
  const { instruction } = encoded;
  for (let i = 0; i < instruction.operand_count; i++) {
    const operand = instruction.operands[i]!;
    const access = instruction.row.operands[i]?.access;
    if (operand.kind === 'reg' && (access === 'w' || access === 'rw')) {
      if (operand.cls === 'gpr') b.written.add(operand.reg);
      if (operand.cls === 'gpr8h') b.written.add(operand.reg);
    }
  }
  if (WRITES_RCX.test(instruction.row.mnemonic)) b.written.add(RCX);
  if (STRING.test(instruction.row.mnemonic)) for (const r of [1, 6, 7]) b.written.add(r);
}

/** Draws an instruction of `row` that fits, or null. */
function draw(b: Builder, row: Row): Encoded | null {
  for (let attempt = 0; attempt < 24; attempt++) {
    const encoded = random_encoding(row, b.random);
    if (encoded !== null && fit(b, encoded)) return encoded;
  }
  return null;
}

/** Relative branches lead forward, to instructions of the snippet or the int3s behind it; seldom anywhere. */
function aim_branches(b: Builder, starts: readonly number[]): void {
  const { code } = b.snippet;
  for (const { at, end } of b.branches) {
    const targets = starts.filter((start) => start >= end);
    const target = targets.length > 0 && one_in(b.random, 2) ? pick(b.random, targets) : code.length + (b.random() % 8);
    const anywhere = end - at === 4 && one_in(b.random, 16);
    patch(code, at, end - at, anywhere ? b.random() : target - end);
  }
}

/** A snippet whose first instruction is of `first`, the others of `others`. */
export function generate(random: Random, first: Row, others: readonly Row[]): Generated {
  const state = random_state(random);
  if (one_in(random, 16)) state.gpr[RSP] = BigInt(WINDOW_LOW + aim(random, 8));
  if (one_in(random, 8)) state.rip = BigInt(CODE_BASE + 4096 - (random() % 24));
  const snippet: Snippet = { code: new Uint8Array(0), state };
  const b: Builder = { random, snippet, pinned: new Set([RSP]), written: new Set(), offset: 0, branches: [] };
  const rows: Row[] = [];
  const starts: number[] = [];
  const code: number[] = [];
  const undefined_after: number[] = [];
  let unknown = 0;
  const wanted = others.length === 0 || one_in(random, 3) ? 1 : 1 + (random() % 8);
  while (rows.length < wanted && code.length < 96) {
    const row = rows.length === 0 ? first : pick(random, others);
    // Images hold the last instruction and data pointers, of which processors note more or less.
    if (IMAGE.test(row.mnemonic) && rows.some((earlier) => (earlier.attributes & ATTR_X87) !== 0)) break;
    const encoded = draw(b, row);
    if (encoded === null) {
      if (rows.length === 0) break;
      continue;
    }
    // What reads an undefined flag has no defined result.
    if ((row.reads & unknown & ALL_FLAGS) !== 0) break;
    unknown = (b.branches.length > 0 ? unknown : unknown & ~row.writes) | undefined_by(b, encoded.instruction);
    undefined_after.push(unknown);
    note_writes(b, encoded);
    rows.push(row);
    starts.push(code.length);
    code.push(...encoded.bytes);
    if (INEXACT.test(row.mnemonic)) break;
    b.offset = code.length;
  }
  snippet.code = Uint8Array.from(code);
  aim_branches(b, starts);
  return { code: snippet.code, state, rows, starts, undefined_flags: undefined_after };
}
