/** The state of a campaign in numbers: for status lines, the panel, stats.json and callers of the library. */
import { KINDS, type RunKind, type Stats } from './stats.ts';

/** All times in seconds, all counts since the campaign began. Stable: documented in the README. */
export interface Snapshot {
  readonly elapsed_s: number;
  readonly execs: number;
  /** Programs per second of late, and on average. */
  readonly execs_per_s: number;
  readonly execs_per_s_average: number;
  readonly corpus: number;
  readonly edges: number;
  /** Basic blocks of the instrumented kernel. */
  readonly blocks: number;
  readonly crashes_unique: number;
  readonly crashes_total: number;
  /** Since the corpus last grew; null before. */
  readonly last_find_s: number | null;
  /** Mean time of a reset, in microseconds, and pages it copied. */
  readonly reset_us: number;
  readonly dirty_pages: number;
  /** Share of triaged programs that did the same twice, in percent. */
  readonly stability: number;
  readonly calls_per_program: number;
  readonly queue: number;
  readonly workers: number;
  readonly workers_lost: number;
  /** Programs by what they were run for. */
  readonly runs: Readonly<Record<RunKind, number>>;
}

/** What the main thread adds to the workers' counters. */
export interface Progress {
  readonly elapsed_s: number;
  readonly execs_per_s: number;
  readonly corpus: number;
  readonly edges: number;
  readonly blocks: number;
  readonly crashes_unique: number;
  readonly last_find_s: number | null;
  readonly workers: number;
  readonly workers_lost: number;
}

export function snapshot_of(progress: Progress, stats: Stats): Snapshot {
  const { execs } = stats;
  const resets = Math.max(1, stats.get('resets'));
  const triaged = stats.get('triaged');
  return {
    ...progress,
    elapsed_s: rounded(progress.elapsed_s, 10),
    execs_per_s: Math.round(progress.execs_per_s),
    last_find_s: progress.last_find_s === null ? null : rounded(progress.last_find_s, 10),
    execs,
    execs_per_s_average: Math.round(execs / Math.max(0.001, progress.elapsed_s)),
    crashes_total: stats.get('crashes') + progress.workers_lost,
    reset_us: rounded(stats.get('reset_ns') / resets / 1000, 10),
    dirty_pages: rounded(stats.get('dirty_pages') / resets, 10),
    stability: triaged === 0 ? 100 : rounded((100 * (triaged - stats.get('unstable'))) / triaged, 10),
    calls_per_program: rounded(stats.get('calls') / Math.max(1, execs), 10),
    queue: stats.get('queue'),
    runs: Object.fromEntries(KINDS.map((kind) => [kind, stats.get(kind)])) as Record<RunKind, number>,
  };
}

function rounded(value: number, parts: number): number {
  return Math.round(value * parts) / parts;
}
