/**
 * The CPU oracle: random snippets on the host CPU and in each tier of ours, compared with the host, and the instructions
 * that the tiers count with each other. The seed of a snippet is `seed + its number`, so any one can be run again by
 * itself.
 */
import { setImmediate } from 'node:timers/promises';
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

/** A way to run snippets. */
export interface Tier {
  readonly name: string;
  /** It runs the snippets whose number is a multiple of this. */
  readonly every: number;
  readonly run: Executor;
  /** Regions translated so far. */
  regions(): number;
}

export interface Options {
  readonly seed: number;
  readonly count: number;
  /** Rows to draw instructions from. */
  readonly rows: readonly Row[];
  readonly tiers: readonly Tier[];
  /** Stop after so many mismatches. */
  readonly limit: number;
  /** Only one instruction a snippet. */
  readonly single?: boolean;
  /** Number of the first snippet. */
  readonly from?: number;
  /** Further flags of the command that repeats a snippet: the filter, above all. */
  readonly flags?: string;
  /** Asked after each batch, with what was run so far: whether to go on. */
  readonly proceed?: (progress: Progress) => boolean;
}

export interface Progress {
  /** Snippets. */
  readonly run: number;
  readonly differ: number;
}

export interface Report {
  readonly run: number;
  /** Snippets whose native outcome says something, by tier. */
  readonly compared: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
  /** Rows that ran to their end without a fault, and all rows asked for. */
  readonly covered: ReadonlySet<Row>;
  readonly mismatched: ReadonlyMap<string, number>;
}

export interface Failure {
  readonly tier: string;
  /** Of the snippet. */
  readonly seed: number;
  readonly text: string;
  readonly row: Row;
}

const BATCH = 1000;
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

/** A snippet that says something, with what the host made of it. */
interface Trial {
  readonly number: number;
  readonly snippet: Generated;
  readonly expected: Outcome;
  /** Instructions that a tier counted, and which one. */
  retired?: { readonly tier: string; readonly count: number };
}

class Run {
  readonly failures: Failure[] = [];
  readonly covered = new Set<Row>();
  readonly mismatched = new Map<string, number>();
  readonly compared = new Map<string, number>();
  private readonly window = window_image(random_of(WINDOW_SEED));
  private readonly options: Options;

  constructor(options: Options) {
    this.options = options;
    for (const tier of options.tiers) this.compared.set(tier.name, 0);
  }

  /** Runs so many snippets everywhere. */
  batch(from: number, count: number): void {
    const snippets: Generated[] = [];
    for (let i = 0; i < count; i++) snippets.push(snippet_of(this.options, from + i));
    const trials: Trial[] = [];
    for (const [i, expected] of run_native(snippets, this.window).entries())
      if (unusable(expected) === '') trials.push({ number: from + i, snippet: snippets[i] as Generated, expected });
    for (const { snippet, expected } of trials) note_covered(this.covered, snippet, expected);
    for (const tier of this.options.tiers) this.compare(tier, trials);
  }

  private compare(tier: Tier, all: readonly Trial[]): void {
    const trials = all.filter(({ number }) => number % tier.every === 0);
    const outcomes = tier.run(
      trials.map((trial) => trial.snippet),
      this.window,
    );
    this.compared.set(tier.name, (this.compared.get(tier.name) as number) + trials.length);
    for (const [i, trial] of trials.entries()) {
      if (this.failures.length >= this.options.limit) return;
      const { snippet, expected } = trial;
      const actual = outcomes[i] as Outcome;
      if (differences(snippet, expected, actual).length > 0)
        this.add(report(this.options, tier, snippet, trial.number, this.window));
      else if (actual.retired !== undefined) this.compare_retired(tier, trial, actual.retired);
    }
  }

  private compare_retired(tier: Tier, trial: Trial, count: number): void {
    trial.retired ??= { tier: tier.name, count };
    if (trial.retired.count === count) return;
    const line = `instructions: ${trial.retired.count} in ${trial.retired.tier}, ${count} in ${tier.name}`;
    this.add(report_as_it_is(this.options, tier, trial.snippet, trial.number, line));
  }

  private add(failure: Failure): void {
    const { semantics } = failure.row;
    this.mismatched.set(semantics, (this.mismatched.get(semantics) ?? 0) + 1);
    this.failures.push(failure);
  }
}

/** Runs and compares; failures come minimised, with the command that repeats them. */
export async function run_oracle(options: Options): Promise<Report> {
  const all = new Run(options);
  const { failures, covered, mismatched, compared } = all;
  let run = 0;
  while (run < options.count && failures.length < options.limit) {
    const count = Math.min(BATCH, options.count - run);
    all.batch((options.from ?? 0) + run, count);
    run += count;
    if (options.proceed?.({ run, differ: failures.length }) === false) break;
    // Signals are heard here.
    await setImmediate();
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
function minimise(tier: Tier, snippet: Generated, window: Uint8Array): Case {
  let small = snippet;
  for (let count = 1; count < snippet.starts.length; count++) {
    const shorter = prefix_of(snippet, count);
    if (run_one(tier, shorter, window).lines.length === 0) continue;
    small = shorter;
    break;
  }
  const alone = last_alone(small, window);
  if (alone === null || run_one(tier, alone.snippet, alone.window).lines.length === 0) {
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
  tier: Tier,
  snippet: Generated,
  window: Uint8Array,
): { lines: string[]; expected: Outcome; actual: Outcome } {
  const expected = run_native([snippet], window)[0] as Outcome;
  if (unusable(expected) !== '') return { lines: [], expected, actual: expected };
  const actual = tier.run([snippet], window)[0] as Outcome;
  return { lines: differences(snippet, expected, actual), expected, actual };
}

function report(options: Options, tier: Tier, snippet: Generated, number: number, window: Uint8Array): Failure {
  const found = minimise(tier, snippet, window);
  const small = found.snippet;
  const { lines, expected } = run_one(tier, small, found.window);
  const last = small.rows.length - 1;
  const row = small.rows[last] as Row;
  const before = last > 0 ? (run_native([prefix_of(small, last)], found.window)[0] as Outcome).state : small.state;
  const out = lines.map((line) => `  ${line}`);
  const registers = [...before.gpr].map((value, i) => `r${i} ${value.toString(16)}`).join(' ');
  out.push(`  before the last: ${registers} flags ${before.rflags.toString(16)} at ${before.rip.toString(16)}`);
  out.push(`  ${describe_state('before', before.fx)}`, `  ${describe_state('after ', expected.state.fx)}`);
  out.push(...vector_lines(row, before.fx));
  return failure_of(options, tier, small, number, out);
}

/** A difference that is not looked for in parts of the snippet. */
function report_as_it_is(options: Options, tier: Tier, snippet: Generated, number: number, line: string): Failure {
  return failure_of(options, tier, snippet, number, [`  ${line}`]);
}

function failure_of(
  options: Options,
  tier: Tier,
  snippet: Generated,
  number: number,
  lines: readonly string[],
): Failure {
  const seed = options.seed + number;
  const row = snippet.rows.at(-1) as Row;
  const repeat = `npm run oracle:cpu -- --seed ${options.seed} --from ${number} --count 1${options.flags ?? ''}`;
  const text = [
    `seed ${seed} snippet ${number}, ${tier.name}: ${describe_row(row)} (${row.semantics})`,
    ...snippet.rows.map((_, i) => `  ${instruction_line(snippet, i)}`),
    ...lines,
    `  repeat: ${repeat}`,
  ].join('\n');
  return { tier: tier.name, seed, row, text };
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
export const NATIVE: Tier = { name: 'native', every: 1, run: run_native, regions: () => 0 };
