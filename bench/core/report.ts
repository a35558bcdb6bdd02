/**
 * Results of benchmarks as data: what `--json` writes and `--compare` reads. The form, which `version` counts:
 *
 *     { "schema": "tvisor-bench", "version": 1,
 *       "machine": { "cpu", "cores", "memory_gib", "os", "arch", "node", "v8" },
 *       "options": { "quick", "time_ms" },        time a case, null: each suite its own
 *       "complete": true,                 false when it was interrupted or a case failed
 *       "measurements": [ { "suite", "name", "column", "unit", "better": "lower" | "higher", "samples": [...] } ] }
 *
 * A measurement is known by its suite, name and column (what ran it: native, interp, program...). Samples are in the
 * order they were taken. Fields may be added within a version; a reader ignores those it does not know.
 */
import { cpus, totalmem } from 'node:os';

export const SCHEMA = 'tvisor-bench';
export const SCHEMA_VERSION = 1;

/** Names of units: times, rates (a second), and plain numbers. */
export type Unit = 'ns' | 'us' | 'ms' | '1/s' | 'MiB/s' | 'M/s' | 'x';

export interface Measurement {
  readonly suite: string;
  readonly name: string;
  readonly column: string;
  readonly unit: Unit;
  readonly better: 'lower' | 'higher';
  readonly samples: readonly number[];
}

/** The machine without anything that names it or its owner. */
export interface MachineDescription {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly os: string;
  readonly arch: string;
  readonly node: string;
  readonly v8: string;
}

export interface Report {
  readonly schema: typeof SCHEMA;
  readonly version: typeof SCHEMA_VERSION;
  readonly machine: MachineDescription;
  readonly options: { readonly quick: boolean; readonly time_ms: number | null };
  readonly complete: boolean;
  readonly measurements: readonly Measurement[];
}

export function describe_machine(): MachineDescription {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    os: process.platform,
    arch: process.arch,
    node: process.versions.node,
    v8: process.versions.v8,
  };
}

/** A report cannot be used; the message says why and what to do. */
export class ReportError extends Error {}

function is_record(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function check_measurement(value: unknown, i: number): Measurement {
  const bad = (what: string): ReportError => new ReportError(`measurement ${i}: ${what}`);
  if (!is_record(value)) throw bad('not an object');
  for (const key of ['suite', 'name', 'column', 'unit'])
    if (typeof value[key] !== 'string') throw bad(`'${key}' is not a text`);
  if (value.better !== 'lower' && value.better !== 'higher') throw bad("'better' is neither 'lower' nor 'higher'");
  const { samples } = value;
  if (!Array.isArray(samples) || samples.length === 0 || !samples.every((sample) => Number.isFinite(sample)))
    throw bad("'samples' is not a list of numbers");
  return value as unknown as Measurement;
}

/** Reads what `--json` wrote. Throws a ReportError for anything else. */
export function parse_report(text: string): Report {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ReportError(`not JSON (${error instanceof Error ? error.message : error})`);
  }
  if (!is_record(value) || value.schema !== SCHEMA) throw new ReportError('not a report that bench --json wrote');
  if (value.version !== SCHEMA_VERSION)
    throw new ReportError(`version ${value.version} of the form is not ${SCHEMA_VERSION}: measure anew`);
  if (!is_record(value.machine)) throw new ReportError("'machine' is missing");
  if (!is_record(value.options)) throw new ReportError("'options' is missing");
  if (typeof value.complete !== 'boolean') throw new ReportError("'complete' is neither true nor false");
  if (!Array.isArray(value.measurements)) throw new ReportError("'measurements' is not a list");
  value.measurements.forEach(check_measurement);
  return value as unknown as Report;
}
