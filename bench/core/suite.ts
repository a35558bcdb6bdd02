/** What a suite of benchmarks is, and what it works with. */
import type { TableStyle } from './format.ts';
import type { Measurement } from './report.ts';

export interface BenchOptions {
  /** Only names that contain one of these; all when there is none. */
  readonly filter: readonly string[];
  /** Time a case measures for, ms; suites that run whole programs stop after the round that exceeds it. */
  readonly time_ms: number;
  /** The least work that still runs everything: shows that it works, not how fast. */
  readonly quick: boolean;
  /** Run natively as well: 'auto' where the host can. */
  readonly native: 'auto' | 'never' | 'must';
  /** Only these columns; all that there are when it is empty. */
  readonly columns: readonly string[];
}

/** A part that could not be measured; the message says what is missing. The suite goes on without it. */
export class Unavailable extends Error {}

export interface Context {
  readonly options: BenchOptions;
  /** Aborted by Ctrl-C: processes started for the suite are to be ended. */
  readonly signal: AbortSignal;
  record(measurement: Measurement): void;
  /** What is being measured, shown while it takes. */
  progress(text: string): void;
  /** Something the reader of the table must know, once. */
  note(text: string): void;
  /** A case failed: the report is not complete, and the exit status says so. */
  failed(name: string, error: unknown): void;
}

export interface Suite {
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** `time_ms` unless another one is asked for. */
  readonly default_time_ms: number;
  readonly style: TableStyle;
  /** What the numbers are, in a line below the table's name. */
  readonly legend: string;
  run(context: Context): Promise<void>;
}

/** Whether the filter wants a name. */
export function wanted({ filter }: BenchOptions, name: string): boolean {
  return filter.length === 0 || filter.some((text) => name.includes(text));
}

export function wants_column({ columns }: BenchOptions, column: string): boolean {
  return columns.length === 0 || columns.includes(column);
}
