/**
 * The CPU oracle: random snippets on the host CPU and on a machine of ours, compared. The seed of a snippet
 * is `seed + its number`, so any one can be run again by itself.
 */
import { decode, new_instruction } from '../../engine/x86/decoder.ts';
import { disassemble } from '../../engine/x86/disassembler.ts';
import { ATTR_MMX, ATTR_PRIVILEGED, ATTR_UNDEFINED, ATTR_X87, type Row } from '../../engine/x86/instruction.ts';
import { random_of } from '../support/random.ts';
import { describe_state, differences, unusable } from './compare.ts';
import { type Generated, generate, TESTED_ROWS } from './generate.ts';
import { type Outcome, run_native } from './native.ts';
import { window_image } from './values.ts';

/** Runs snippets, each from the same initial window. */
export type Executor = (snippets: readonly Generated[], window: Uint8Array) => Outcome[];

export interface Options {
  readonly seed: number;
  readonly count: number;
  /** Rows to draw instructions from. */
  readonly rows: readonly Row[];
  readonly executor: Executor;
  /** Stop after so many mismatches. */
  readonly limit: number;
  /** Only one instruction a snippet. */
  readonly single?: boolean;
  /** Number of the first snippet. */
  readonly from?: number;
  /** Further flags of the command that repeats a snippet: the filter, above all. */
  readonly flags?: string;
}

export interface Report {
  readonly run: number;
  readonly compared: number;
  readonly failures: readonly Failure[];
  /** Rows that ran to their end without a fault, and all rows asked for. */
  readonly covered: ReadonlySet<Row>;
  readonly mismatched: ReadonlyMap<string, number>;
}

export interface Failure {
  readonly seed: number;
  readonly text: string;
  readonly row: Row;
}

const BATCH = 2000;
const WINDOW_SEED = 77;

/** The rows whose mnemonic or feature is one of the comma-separated words, or all. */
export function filter_rows(filter: string | undefined): readonly Row[] {
  if (filter === undefined) return TESTED_ROWS;
  const words = filter.toUpperCase().split(',');
  return TESTED_ROWS.filter((row) =>
    words.some(
      (word) => row.mnemonic === word || row.feature.toUpperCase() === word || row.semantics.toUpperCase() === word,
    ),
  );
}

/** Scrambles a snippet's seed, so that neighbours are unlike. */
function random_for(seed: number): () => number {
  const random = random_of(Math.imul(seed + 0x9e37, 0x85eb_ca6b) ^ 0x5bd1_e995);
  for (let i = 0; i < 4; i++) random();
  return random;
}

function snippet_of(options: Options, number: number): Generated {
  const first = options.rows[number % options.rows.length] as Row;
  return generate(random_for(options.seed + number), first, options.single === true ? [] : options.rows);
}

/** Runs and compares; failures come minimised, with the command that repeats them. */
export function run_oracle(options: Options): Report {
  const window = window_image(random_of(WINDOW_SEED));
  const failures: Failure[] = [];
  const covered = new Set<Row>();
  const mismatched = new Map<string, number>();
  const from = options.from ?? 0;
  let run = 0;
  let compared = 0;
  while (run < options.count && failures.length < options.limit) {
    const snippets: Generated[] = [];
    for (let i = 0; i < BATCH && run + i < options.count; i++) snippets.push(snippet_of(options, from + run + i));
    const expected = run_native(snippets, window);
    const usable = expected.map((outcome) => unusable(outcome) === '');
    const tried = snippets.filter((_, i) => usable[i]);
    const wanted = expected.filter((_, i) => usable[i]);
    const actual = options.executor(tried, window);
    for (let i = 0; i < tried.length && failures.length < options.limit; i++) {
      const snippet = tried[i] as Generated;
      compared++;
      note_covered(covered, snippet, wanted[i] as Outcome);
      if (differences(snippet, wanted[i] as Outcome, actual[i] as Outcome).length === 0) continue;
      const number = from + run + snippets.indexOf(snippet);
      const failure = report(options, snippet, options.seed + number, number, window);
      mismatched.set(failure.row.semantics, (mismatched.get(failure.row.semantics) ?? 0) + 1);
      failures.push(failure);
    }
    run += snippets.length;
  }
  return { run, compared, failures, covered, mismatched };
}

/** All rows of a snippet that ran to its end; the first if raising an exception is all it does. */
function note_covered(covered: Set<Row>, snippet: Generated, outcome: Outcome): void {
  if (outcome.vector === 3) for (const row of snippet.rows) covered.add(row);
  const first = snippet.rows[0] as Row;
  if ((first.attributes & (ATTR_PRIVILEGED | ATTR_UNDEFINED)) !== 0) covered.add(first);
}

/** The snippet cut off behind its instruction `count`. */
function prefix_of(snippet: Generated, count: number): Generated {
  const end = snippet.starts[count] ?? snippet.code.length;
  return {
    ...snippet,
    code: snippet.code.subarray(0, end),
    rows: snippet.rows.slice(0, count),
    starts: snippet.starts.slice(0, count),
    undefined_flags: snippet.undefined_flags.slice(0, count),
  };
}

/** A snippet and the memory it starts from. */
interface Case {
  readonly snippet: Generated;
  readonly window: Uint8Array;
}

/** The shortest prefix that differs, or its last instruction alone if that does from the host's state before it. */
function minimise(options: Options, snippet: Generated, window: Uint8Array): Case {
  let small = snippet;
  for (let count = 1; count < snippet.starts.length; count++) {
    const shorter = prefix_of(snippet, count);
    if (run_one(options.executor, shorter, window).lines.length === 0) continue;
    small = shorter;
    break;
  }
  const alone = last_alone(small, window);
  if (alone === null || run_one(options.executor, alone.snippet, alone.window).lines.length === 0) {
    return { snippet: small, window };
  }
  return alone;
}

/** The last instruction of a snippet with registers and memory as the host left them before it. */
function last_alone(snippet: Generated, window: Uint8Array): Case | null {
  const last = snippet.rows.length - 1;
  if (last === 0) return null;
  const before = run_native([prefix_of(snippet, last)], window)[0] as Outcome;
  const rip = snippet.state.rip + BigInt(snippet.starts[last] as number);
  if (before.vector !== 3 || before.state.rip !== rip + 1n) return null;
  const state = { ...before.state, rip, rflags: (before.state.rflags & 0xcd5) | 0x202 };
  const memory = window.slice();
  const view = new DataView(memory.buffer);
  for (const [offset, value] of before.changes) view.setBigUint64(offset, value, true);
  const alone: Generated = {
    code: snippet.code.slice(snippet.starts[last]),
    state,
    rows: snippet.rows.slice(last),
    starts: [0],
    undefined_flags: snippet.undefined_flags.slice(last),
  };
  return { snippet: alone, window: memory };
}

function run_one(
  executor: Executor,
  snippet: Generated,
  window: Uint8Array,
): { lines: string[]; expected: Outcome; actual: Outcome } {
  const expected = run_native([snippet], window)[0] as Outcome;
  if (unusable(expected) !== '') return { lines: [], expected, actual: expected };
  const actual = executor([snippet], window)[0] as Outcome;
  return { lines: differences(snippet, expected, actual), expected, actual };
}

function report(options: Options, snippet: Generated, seed: number, number: number, window: Uint8Array): Failure {
  const found = minimise(options, snippet, window);
  const small = found.snippet;
  const { lines, expected } = run_one(options.executor, small, found.window);
  const last = small.rows.length - 1;
  const row = small.rows[last] as Row;
  const before = last > 0 ? (run_native([prefix_of(small, last)], found.window)[0] as Outcome).state : small.state;
  const out: string[] = [];
  for (let i = 0; i < small.rows.length; i++) out.push(`  ${instruction_line(small, i)}`);
  out.push(...lines.map((line) => `  ${line}`));
  const registers = [...before.gpr].map((value, i) => `r${i} ${value.toString(16)}`).join(' ');
  out.push(`  before the last: ${registers} flags ${before.rflags.toString(16)} at ${before.rip.toString(16)}`);
  out.push(`  ${describe_state('before', before.fx)}`, `  ${describe_state('after ', expected.state.fx)}`);
  out.push(...vector_lines(row, before.fx));
  const repeat = `npm run oracle:cpu -- --seed ${options.seed} --from ${number} --count 1${options.flags ?? ''}`;
  return {
    seed,
    row,
    text: [
      `seed ${options.seed} snippet ${number}: ${describe_row(row)} (${row.semantics})`,
      ...out,
      `  repeat: ${repeat}`,
    ].join('\n'),
  };
}

/** The x87, MMX and XMM registers, where the row has to do with them. */
function vector_lines(row: Row, fx: Uint8Array): string[] {
  const hex = (from: number, to: number): string => Buffer.from(fx.slice(from, to)).reverse().toString('hex');
  const out: string[] = [];
  if ((row.attributes & (ATTR_X87 | ATTR_MMX)) !== 0) {
    for (let i = 0; i < 8; i++) out.push(`  before st${i} ${hex(32 + i * 16, 42 + i * 16)}`);
  }
  if (row.operands.some((operand) => operand.cls === 'xmm')) {
    for (let i = 0; i < 16; i++) out.push(`  before xmm${i} ${hex(160 + i * 16, 176 + i * 16)}`);
  }
  return out;
}

/** Bytes, disassembly and row of an instruction of a snippet. */
function instruction_line(snippet: Generated, i: number): string {
  const bytes = snippet.code.subarray(snippet.starts[i], snippet.starts[i + 1]);
  const instruction = new_instruction();
  decode(bytes, 0, bytes.length, instruction);
  const text = disassemble(instruction, snippet.state.rip + BigInt(snippet.starts[i] as number));
  return `${Buffer.from(bytes).toString('hex').padEnd(24)} ${text.padEnd(44)} ${describe_row(snippet.rows[i] as Row)}`;
}

function describe_row(row: Row): string {
  return `${row.mnemonic} [${row.encoding}]`;
}

/** Two runs on the host, compared: shows that the runner itself is steady. */
export const native_executor: Executor = (snippets, window) => run_native(snippets, window);
