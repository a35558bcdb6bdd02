/**
 * Holds what the instruction table says against the host CPU: which flags an instruction reads, writes and keeps, which
 * operands it reads and writes, and that it touches nothing else.
 *
 * Each encoding runs several times on the host: as it is; with the flags inverted that it does not read; with the destination
 * changed beforehand; with other contents where memory is not read. What may not depend on the change must
 * come out equal.
 */
import { Prng } from '../../engine/base/prng.ts';
import { decode, new_instruction } from '../../engine/x86/decoder.ts';
import { disassemble } from '../../engine/x86/disassembler.ts';
import { encodable_rows, random_encoding } from '../../engine/x86/encode_random.ts';
import {
  ALL_FLAGS,
  ATTR_BRANCH,
  ATTR_PRIVILEGED,
  ATTR_UNDEFINED,
  DF,
  type Instruction,
  type Row,
} from '../../engine/x86/instruction.ts';
import { undefined_flags, undefined_result } from '../../engine/x86/undefined.ts';
import { type CpuImage, copy_image, type Outcome, run_native, type Snippet, WINDOW_LOW } from './native.ts';
import { random_state, window_image } from './values.ts';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;
const VECTOR_INT3 = 3;
const CHECKED_FLAGS = ALL_FLAGS | DF;
const XMM = 160;
const FX_END = 416;

/** Clocks, identification, kernel entries, far pointers and descriptors: the host's own business. */
const SKIPPED = /^(CPUID|RDTSC|RDTSCP|LAR|LSL|VERR|VERW|LSS|LFS|LGS|POPF|LDMXCSR|FXRSTOR.*)$/;

/** General registers that instructions write without naming them. */
const IMPLICIT: Readonly<Record<string, readonly number[]>> = {
  mul: [RAX, RDX],
  imul: [RAX, RDX],
  div: [RAX, RDX],
  idiv: [RAX, RDX],
  cmpxchg: [RAX],
  cmpxchg8b: [RAX, RDX],
  cmpxchg16b: [RAX, RDX],
  cbw: [RAX],
  cwd: [RDX],
  lahf: [RAX],
  xlat: [RAX],
  movs: [RCX, RSI, RDI],
  cmps: [RCX, RSI, RDI],
  stos: [RCX, RDI],
  lods: [RAX, RCX, RSI],
  scas: [RCX, RDI],
  push: [RSP],
  pop: [RSP],
  push_segment: [RSP],
  pop_segment: [RSP],
  pushf: [RSP],
  enter: [RSP, RBP],
  leave: [RSP, RBP],
  pcmpestri: [RCX],
  pcmpistri: [RCX],
};
/** Instructions that access memory without naming it. */
const IMPLICIT_MEMORY =
  /^(movs|cmps|stos|lods|scas|push|pop|push_segment|pop_segment|pushf|enter|leave|xlat|maskmov.*)$/;
const IMPLICIT_XMM0 = /^pcmp.strm$/;

interface Trial {
  row: Row;
  bytes: Uint8Array;
  state: CpuImage;
  text: string;
  /** The destination is only written. */
  only_written: boolean;
  /** The destination register to change, as an offset and length in `gpr` or `fx`; length 0: none. */
  scramble: { in_fx: boolean; at: number; length: number };
}

/** Rows that the check can run. */
export function checkable_rows(): Row[] {
  const excluded = ATTR_BRANCH | ATTR_PRIVILEGED | ATTR_UNDEFINED;
  return encodable_rows().filter(
    (row) =>
      (row.attributes & excluded) === 0 &&
      !SKIPPED.test(row.mnemonic) &&
      !row.operands.some(({ cls, from }) => cls === 'segment' || from === 'moffs'),
  );
}

export interface TableReport {
  /** Rows that ran to their end at least once. */
  ran: Set<Row>;
  /** What contradicts the table. */
  problems: string[];
  /** Rows whose flags are said to be read, or whose destination is said to be read, with no sign of it. */
  flags_unread: Row[];
  destination_unread: Row[];
}

/** Runs `count` encodings of each row. */
export function check_table(rows: readonly Row[], seed: number, count: number): TableReport {
  const prng = new Prng(seed);
  const trials: Trial[] = [];
  for (const row of rows) for (let n = 0; n < count; n++) trials.push(make_trial(row, prng));
  const window = window_image(() => prng.u32() >>> 1);
  const other_window = window.map((byte) => byte ^ 0x55);
  const plain = run_native(
    trials.map((trial) => snippet(trial)),
    window,
  );
  const inverted = run_native(
    trials.map((trial) => snippet(trial, ALL_FLAGS & ~trial.row.reads)),
    window,
  );
  const inverted_reads = run_native(
    trials.map((trial) => snippet(trial, ALL_FLAGS & trial.row.reads)),
    window,
  );
  const scrambled = run_native(
    trials.map((trial) => snippet(trial, 0, true)),
    window,
  );
  const other_memory = run_native(
    trials.map((trial) => snippet(trial)),
    other_window,
  );
  const ran = new Set<Row>();
  const problems: string[] = [];
  const flags_read = new Set<Row>();
  const destination_tried = new Set<Row>();
  const destination_read = new Set<Row>();
  const out = new_instruction();
  trials.forEach((trial, n) => {
    const first = plain[n]!;
    if (first.vector !== VECTOR_INT3) return;
    ran.add(trial.row);
    decode(trial.bytes, 0, trial.bytes.length, out);
    if (!same_outcome(first, inverted_reads[n]!)) flags_read.add(trial.row);
    if (trial.scramble.length > 0 && !trial.only_written) {
      destination_tried.add(trial.row);
      if (!same_outcome(first, scrambled[n]!)) destination_read.add(trial.row);
    }
    const found = [
      untouched_problem(out, trial, first),
      flags_problem(out, trial, first, inverted[n]!),
      scramble_problem(trial, first, scrambled[n]!),
      memory_problem(out, first, other_memory[n]!),
    ];
    for (const problem of found) {
      if (problem !== '') problems.push(`${trial.row.mnemonic} ${trial.row.encoding}: ${trial.text}: ${problem}`);
    }
  });
  return {
    ran,
    problems,
    flags_unread: [...ran].filter((row) => (row.reads & ALL_FLAGS) !== 0 && !flags_read.has(row)),
    destination_unread: [...destination_tried].filter((row) => !destination_read.has(row)),
  };
}

function snippet(trial: Trial, flip = 0, scramble = false): Snippet {
  const state = copy_image(trial.state);
  state.rflags ^= flip;
  if (scramble && trial.scramble.length > 0) {
    const bytes = trial.scramble.in_fx ? state.fx : new Uint8Array(state.gpr.buffer);
    for (let n = 0; n < trial.scramble.length; n++) bytes[trial.scramble.at + n]! ^= 0xa5;
  }
  return { code: trial.bytes, state };
}

function make_trial(row: Row, prng: Prng): Trial {
  const bytes = random_encoding(row, prng, {
    registers: [RAX, RCX, RDX, RBP, RSI, RDI, 8, 9, 10, 11, 12, 13, 14, 15],
    bases: [RBX],
    indexes: [],
    displacement: [-128, 127],
    short_addresses: false,
    redundant_prefixes: false,
  });
  const out = new_instruction();
  decode(bytes, 0, bytes.length, out);
  const state = random_state(() => prng.u32() >>> 1);
  state.rflags &= ~DF;
  // Divisions that fit now and then; addresses where instructions expect them.
  if (/^(i?div)$/.test(row.semantics)) state.gpr[RDX] = BigInt(prng.below(2));
  state.gpr[RBX] = BigInt(WINDOW_LOW + 2048 - out.displacement * (prng.one_in(2) ? 1 : 0) + prng.below(64) * 16);
  if (/^bt/.test(row.semantics)) shrink_bit_offset(out, state, prng);
  if (out.operand_count === 0 || row.semantics.startsWith('maskmov')) {
    state.gpr[RSI] = BigInt(WINDOW_LOW + 4096 + prng.below(100));
    state.gpr[RDI] = BigInt(WINDOW_LOW + 5000 + prng.below(100));
    if (out.rep || out.repne) state.gpr[RCX] = BigInt(prng.below(4));
  }
  if (row.semantics === 'leave') state.gpr[RBP] = BigInt(WINDOW_LOW + 3000);
  if (row.semantics === 'enter') bytes[bytes.length - 1] = prng.below(2);
  return {
    row,
    bytes,
    state,
    text: disassemble(out, 0n),
    scramble: destination(out),
    only_written: out.row.operands[0]?.access === 'w',
  };
}

/** bt with a register offset reaches far beyond its operand: keep it inside the window. */
function shrink_bit_offset(out: Instruction, state: CpuImage, prng: Prng): void {
  const source = out.operands[1]!;
  if (source.kind === 'reg') state.gpr[source.reg] = BigInt(prng.below(4096));
}

const NO_SCRAMBLE = { in_fx: false, at: 0, length: 0 };

/** The first operand, if it is a register that is written and no other operand names it. */
function destination(out: Instruction): Trial['scramble'] {
  const operand = out.operands[0]!;
  if (out.operand_count === 0 || operand.kind !== 'reg' || !out.row.operands[0]!.access.includes('w'))
    return NO_SCRAMBLE;
  for (let n = 1; n < out.operand_count; n++) {
    const other = out.operands[n]!;
    const same = other.kind === 'reg' && other.reg === operand.reg && other.cls.slice(0, 3) === operand.cls.slice(0, 3);
    if (same) return NO_SCRAMBLE;
  }
  if (out.base === operand.reg || out.row.semantics === 'xlat') return NO_SCRAMBLE;
  if (operand.cls === 'gpr') return { in_fx: false, at: operand.reg * 8, length: operand.size < 4 ? operand.size : 8 };
  if (operand.cls === 'gpr8h') return { in_fx: false, at: operand.reg * 8 + 1, length: 1 };
  if (operand.cls === 'xmm') return { in_fx: true, at: XMM + operand.reg * 16, length: 16 };
  return NO_SCRAMBLE;
}

function flags_problem(out: Instruction, trial: Trial, first: Outcome, second: Outcome): string {
  const { row } = trial;
  const kept = CHECKED_FLAGS & ~(row.writes | row.undefines);
  const changed = (first.state.rflags ^ trial.state.rflags) & kept;
  if (changed !== 0) return `writes flags 0x${changed.toString(16)}`;
  if (second.vector !== VECTOR_INT3) return 'faults with other flags';
  const cl = Number(trial.state.gpr[RCX]! & 0xffn);
  const differing = (first.state.rflags ^ second.state.rflags) & row.writes & ~undefined_flags(out, cl);
  if (differing !== 0) return `flags 0x${differing.toString(16)} depend on flags`;
  if (undefined_result(out, cl)) return '';
  return same_result(first, second, 'flags');
}

function scramble_problem(trial: Trial, first: Outcome, second: Outcome): string {
  if (trial.scramble.length === 0 || !trial.only_written) return '';
  if (second.vector !== VECTOR_INT3) return 'faults with another destination';
  return same_result(first, second, 'a destination that is only written');
}

function same_outcome(first: Outcome, second: Outcome): boolean {
  return (
    first.vector === second.vector &&
    first.state.rflags === second.state.rflags &&
    same_result(first, second, '') === ''
  );
}

function same_result(first: Outcome, second: Outcome, what: string): string {
  for (let n = 0; n < 16; n++) {
    if (first.state.gpr[n] !== second.state.gpr[n]) return `register ${n} depends on ${what}`;
  }
  for (let n = 0; n < FX_END; n++) {
    if (first.state.fx[n] !== second.state.fx[n]) return `byte ${n} of the fxsave area depends on ${what}`;
  }
  if (first.changes.size !== second.changes.size) return `memory depends on ${what}`;
  for (const [at, value] of first.changes) if (second.changes.get(at) !== value) return `memory depends on ${what}`;
  return '';
}

/** Where no operand reads memory, its contents may not matter. */
function memory_problem(out: Instruction, first: Outcome, second: Outcome): string {
  if (IMPLICIT_MEMORY.test(out.row.semantics)) return '';
  for (let n = 0; n < out.operand_count; n++) {
    if (out.operands[n]!.kind === 'mem' && out.row.operands[n]!.access.includes('r')) return '';
  }
  if (second.vector !== VECTOR_INT3) return 'faults with other memory';
  const problem = same_result({ ...first, changes: new Map() }, { ...second, changes: new Map() }, 'memory');
  if (problem !== '') return problem;
  const differing = (first.state.rflags ^ second.state.rflags) & out.row.writes & ~out.row.undefines;
  return differing === 0 ? '' : 'flags depend on memory';
}

/** Only operands that are written, and what is implied, may change. */
function untouched_problem(out: Instruction, trial: Trial, after: Outcome): string {
  const { semantics } = out.row;
  const written = new Set<string>((IMPLICIT[semantics] ?? []).map((register) => `gpr${register}`));
  if (IMPLICIT_XMM0.test(semantics)) written.add('xmm0');
  let memory = IMPLICIT_MEMORY.test(semantics);
  for (let n = 0; n < out.operand_count; n++) {
    const operand = out.operands[n]!;
    if (!out.row.operands[n]!.access.includes('w')) continue;
    if (operand.kind === 'mem') memory = true;
    else written.add(`${operand.cls.slice(0, 3)}${operand.reg}`);
  }
  for (let n = 0; n < 16; n++) {
    if (after.state.gpr[n] !== trial.state.gpr[n] && !written.has(`gpr${n}`)) return `writes register ${n}`;
    for (let byte = XMM + n * 16; byte < XMM + n * 16 + 16; byte++) {
      if (after.state.fx[byte] !== trial.state.fx[byte] && !written.has(`xmm${n}`)) return `writes xmm${n}`;
    }
  }
  return after.changes.size > 0 && !memory ? 'writes memory' : '';
}
