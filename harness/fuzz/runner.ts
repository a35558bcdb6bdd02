/**
 * Runs programs for a worker: encodes, leaves the program where it survives the worker (`BlackBox`), executes, counts
 * and judges. The last programs since the state was verified are kept, packed, to find who broke it.
 */
import type { Target } from '../desc/target.ts';
import type { Collect, ExecOutcome, Executor } from '../exec/executor.ts';
import type { Finding } from '../oracle/finding.ts';
import { judge } from '../oracle/judge.ts';
import { type EncodeOptions, exec_encode } from '../prog/exec_encode.ts';
import type { Program } from '../prog/model.ts';
import { Packer, unpack } from '../prog/pack.ts';
import type { RunKind, Stats } from './stats.ts';

/** Words of a black box: enough for a packed program of any size that generation makes. */
const BLACK_BOX_WORDS = 1 << 16;
/** Words of packed programs kept since the last verification: some thousands of programs. */
const HISTORY_WORDS = 1 << 19;

/** The program that a worker is running, in shared memory. */
export class BlackBox {
  readonly memory: SharedArrayBuffer;
  private readonly words: Uint32Array;

  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(4 * (BLACK_BOX_WORDS + 2));
    this.words = new Uint32Array(this.memory);
  }

  /** Puts the program in before it runs. */
  record(packed: Uint32Array, seed: number): void {
    const fits = packed.length <= BLACK_BOX_WORDS;
    this.words[0] = fits ? packed.length : 0;
    this.words[1] = seed;
    if (fits) this.words.set(packed, 2);
  }

  clear(): void {
    this.words[0] = 0;
  }

  /** Whether a program is running. */
  get in_use(): boolean {
    return Atomics.load(this.words, 0) !== 0;
  }

  /** The program that was running, with its seed; undefined when none was. */
  read(target: Target): { readonly program: Program; readonly seed: number } | undefined {
    const length = this.words[0]!;
    if (length === 0) return undefined;
    return { program: unpack(target, this.words.slice(2, 2 + length)), seed: this.words[1]! };
  }
}

export interface RunRequest {
  readonly program: Program;
  readonly seed: number;
  readonly kind: RunKind;
  readonly collect?: Collect;
  /** Verify the reset after this one, whatever the turn. */
  readonly verify?: boolean;
}

export interface RunResult {
  readonly outcome: ExecOutcome;
  readonly finding: Finding | undefined;
}

/** Runs of variants of a program whose first run was checked for leaks: they are left to end as they are. */
const UNCHECKED: ReadonlySet<RunKind> = new Set(['triage', 'minimize']);

const VIEW: EncodeOptions = { view: true };

/** A program that ran since the last verification. */
export interface Suspect {
  readonly program: Program;
  readonly seed: number;
}

export class Runner {
  readonly executor: Executor;
  private readonly target: Target;
  private readonly stats: Stats;
  private readonly black_box: BlackBox;
  private readonly packer: Packer;
  private readonly verify_every: number;
  private readonly history: History = new History();
  private since_verified = 0;

  /** `verify_every`: programs between two verifications of the reset. */
  constructor(executor: Executor, target: Target, stats: Stats, black_box: BlackBox, verify_every: number) {
    this.executor = executor;
    this.target = target;
    this.stats = stats;
    this.black_box = black_box;
    this.packer = new Packer(target);
    this.verify_every = verify_every;
  }

  /** Runs a program. The outcome's traces are good until the next run. */
  run({ program, seed, kind, collect = 'pc', verify = false }: RunRequest): RunResult {
    const packed = this.packer.pack(program);
    this.black_box.record(packed, seed);
    this.history.push(packed, seed);
    const verify_reset = verify || ++this.since_verified >= this.verify_every;
    const words = exec_encode(program, VIEW);
    const outcome = this.executor.run(words, { collect, seed, check_leaks: !UNCHECKED.has(kind), verify_reset });
    this.black_box.clear();
    this.count(outcome, kind);
    return { outcome, finding: judge(program, outcome) };
  }

  /** The last `limit` programs since the state was verified, oldest first. Starts anew. */
  take_suspects(limit: number): Suspect[] {
    const suspects = this.history.read(limit).map(({ words, seed }) => ({ program: unpack(this.target, words), seed }));
    this.forget();
    return suspects;
  }

  private forget(): void {
    this.history.clear();
    this.since_verified = 0;
  }

  private count(outcome: ExecOutcome, kind: RunKind): void {
    const { stats } = this;
    stats.add(kind);
    stats.add('heartbeat');
    stats.add('resets');
    stats.add('reset_ns', outcome.reset_ns);
    stats.add('dirty_pages', outcome.dirty_pages);
    let started = 0;
    let finished = 0;
    let injected = 0;
    for (const call of outcome.calls) {
      if (call.started) started++;
      if (call.finished) finished++;
      if (call.fault_injected) injected++;
    }
    stats.add('calls', started);
    stats.add('calls_finished', finished);
    stats.add('faults_injected', injected);
    if (outcome.status === 'panic') this.forget();
    else if (outcome.status !== 'corrupt' && this.since_verified >= this.verify_every) this.forget();
  }
}

/** The last packed programs, in one buffer that is filled again and again. */
class History {
  private readonly words = new Uint32Array(HISTORY_WORDS);
  private readonly programs: { start: number; length: number; seed: number }[] = [];
  private end = 0;

  push(packed: Uint32Array, seed: number): void {
    if (packed.length > HISTORY_WORDS) return;
    if (this.end + packed.length > HISTORY_WORDS) {
      this.programs.length = 0;
      this.end = 0;
    }
    this.words.set(packed, this.end);
    this.programs.push({ start: this.end, length: packed.length, seed });
    this.end += packed.length;
  }

  read(limit: number): { words: Uint32Array; seed: number }[] {
    return this.programs
      .slice(-limit)
      .map(({ start, length, seed }) => ({ words: this.words.slice(start, start + length), seed }));
  }

  clear(): void {
    this.programs.length = 0;
    this.end = 0;
  }
}
