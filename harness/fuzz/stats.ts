/**
 * Counters of a campaign. Each worker has a row of doubles in shared memory that only it writes; the main thread adds
 * the rows up. `KINDS` says why a program was run.
 */

export const KINDS = [
  'load',
  'generate',
  'mutate',
  'triage',
  'minimize',
  'smash',
  'hints',
  'faults',
  'races',
  'findings',
] as const;
export type RunKind = (typeof KINDS)[number];

const COUNTERS = [
  ...KINDS,
  'triaged',
  'unstable',
  'crashes',
  'resets',
  'reset_ns',
  'dirty_pages',
  'calls',
  'calls_finished',
  'faults_injected',
  'queue',
  'heartbeat',
] as const;
export type Counter = (typeof COUNTERS)[number];

const INDEX = new Map<Counter, number>(COUNTERS.map((name, i) => [name, i]));
const INDEX_OF = Object.fromEntries(INDEX) as Record<Counter, number>;

export class Stats {
  readonly memory: SharedArrayBuffer;
  private readonly values: Float64Array;

  /** New counters, or those of worker `row` in `memory`. */
  constructor(memory?: SharedArrayBuffer, row = 0) {
    this.memory = memory ?? stats_memory(1);
    this.values = new Float64Array(this.memory, row * COUNTERS.length * 8, COUNTERS.length);
  }

  add(name: Counter, value = 1): void {
    this.values[INDEX_OF[name]]! += value;
  }

  set(name: Counter, value: number): void {
    this.values[INDEX_OF[name]] = value;
  }

  get(name: Counter): number {
    return this.values[INDEX_OF[name]]!;
  }

  /** Programs run, whatever for. Asked before each program: the kinds are the first counters. */
  get execs(): number {
    let sum = 0;
    for (let i = 0; i < KINDS.length; i++) sum += this.values[i]!;
    return sum;
  }
}

/** Room for the counters of `rows` workers. */
export function stats_memory(rows: number): SharedArrayBuffer {
  return new SharedArrayBuffer(rows * COUNTERS.length * 8);
}

/** The sums over all rows. */
export function sum_stats(memory: SharedArrayBuffer, rows: number): Stats {
  const sum = new Stats();
  for (let row = 0; row < rows; row++) {
    const own = new Stats(memory, row);
    for (const name of COUNTERS) sum.add(name, own.get(name));
  }
  return sum;
}
