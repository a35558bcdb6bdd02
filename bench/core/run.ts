/** Runs suites one after the other, prints their tables, and makes the report. */
import { format_table } from './format.ts';
import { Progress } from './progress.ts';
import { describe_machine, type Measurement, type Report, SCHEMA, SCHEMA_VERSION } from './report.ts';
import { type BenchOptions, type Context, type Suite, Unavailable } from './suite.ts';

export interface RunRequest {
  readonly suites: readonly Suite[];
  /** Without a time: each suite's own. */
  readonly options: Omit<BenchOptions, 'time_ms'> & { readonly time_ms: number | null };
  readonly signal: AbortSignal;
  /** Where tables go. */
  readonly print: (text: string) => void;
}

export interface RunOutcome {
  readonly report: Report;
  readonly failures: number;
}

/** Runs the suites until they end or the signal is aborted. What was measured until then is in the outcome. */
export async function run_suites({ suites, options, signal, print }: RunRequest): Promise<RunOutcome> {
  const measurements: Measurement[] = [];
  let failures = 0;
  for (const suite of suites) {
    if (signal.aborted) break;
    const progress = new Progress();
    const own: Measurement[] = [];
    const notes = new Set<string>();
    const fail = (name: string, error: unknown): void => {
      failures++;
      notes.add(`FAILED ${name}: ${error instanceof Error ? error.message : error}`);
    };
    const context: Context = {
      options: { ...options, time_ms: options.time_ms ?? (options.quick ? 1 : suite.default_time_ms) },
      signal,
      record: (measurement) => own.push(measurement),
      progress: (text) => progress.update(`${suite.name}: ${text}`),
      note: (text) => notes.add(text),
      failed: fail,
    };
    try {
      await suite.run(context);
    } catch (error) {
      if (error instanceof Unavailable) notes.add(`left out: ${error.message}`);
      else if (!signal.aborted) fail(suite.name, error);
    }
    progress.clear();
    measurements.push(...own);
    print(suite_text(suite, own, notes, signal.aborted));
  }
  const report: Report = {
    schema: SCHEMA,
    version: SCHEMA_VERSION,
    machine: describe_machine(),
    options: { quick: options.quick, time_ms: options.time_ms },
    complete: !signal.aborted && failures === 0,
    measurements,
  };
  return { report, failures };
}

function suite_text(suite: Suite, own: readonly Measurement[], notes: Iterable<string>, interrupted: boolean): string {
  const lines = [`# ${suite.name}${interrupted ? ' (interrupted)' : ''}: ${suite.legend}`, ''];
  lines.push(own.length === 0 ? 'nothing was measured' : format_table(own, suite.style).trimEnd());
  for (const note of notes) lines.push(`- ${note}`);
  return `${lines.join('\n')}\n\n`;
}
