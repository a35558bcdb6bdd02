/** Whether a benchmark is better or worse than another report says it was, or whether that cannot be told. */
import { describe_change, type Measured, measured_key } from './format.ts';
import type { MachineDescription, Measurement, Report } from './report.ts';
import { mann_whitney, median } from './stats.ts';

/** A difference counts when samples of one distribution show it this seldom... */
const SIGNIFICANT = 0.01;
/** ...and the medians differ by this share: samples of one run resemble each other more than those of two runs. */
const NOTABLE = 0.02;

export type Verdict = 'better' | 'worse' | 'noise' | 'too few samples';

export interface Comparison {
  readonly measured: Measured;
  readonly verdict: Verdict;
  /** Median now over median before. */
  readonly ratio: number;
  readonly p: number;
}

export interface ComparisonResult {
  readonly comparisons: readonly Comparison[];
  /** Measured now but not in the other report, and the other way round. */
  readonly added: readonly Measured[];
  readonly missing: readonly Measured[];
  /** How the machines or programs differ, '' when they do not. */
  readonly machines: string;
}

function judge(before: Measurement, now: Measurement): Comparison {
  const ratio = median(now.samples) / median(before.samples);
  const { p } = mann_whitney(now.samples, before.samples);
  // The smallest p that so many samples can show, at complete separation.
  const least = mann_whitney(
    now.samples.map((_, i) => i),
    before.samples.map((_, i) => -1 - i),
  ).p;
  let verdict: Verdict = 'noise';
  if (least >= SIGNIFICANT) verdict = 'too few samples';
  else if (p < SIGNIFICANT && Math.abs(ratio - 1) >= NOTABLE)
    verdict = ratio < 1 === (now.better === 'lower') ? 'better' : 'worse';
  return { measured: now, verdict, ratio, p };
}

function machine_difference(before: MachineDescription, now: MachineDescription): string {
  const keys = ['cpu', 'cores', 'memory_gib', 'os', 'arch', 'node', 'v8'] as const;
  return keys
    .filter((key) => before[key] !== now[key])
    .map((key) => `${key}: ${before[key]} before, ${now[key]} now`)
    .join('; ');
}

/** Compares measurement by measurement; a different unit or direction counts as another measurement. */
export function compare_reports(before: Report, now: Report): ComparisonResult {
  const old = new Map(before.measurements.map((measurement) => [measured_key(measurement), measurement]));
  const comparisons: Comparison[] = [];
  const added: Measured[] = [];
  for (const measurement of now.measurements) {
    const other = old.get(measured_key(measurement));
    old.delete(measured_key(measurement));
    if (other === undefined || other.unit !== measurement.unit || other.better !== measurement.better)
      added.push(measurement);
    else comparisons.push(judge(other, measurement));
  }
  const machines = machine_difference(before.machine, now.machine);
  return { comparisons, added, missing: [...old.values()], machines };
}

/** The comparison as text, one line a measurement, and a line that counts the verdicts. */
export function comparison_text(result: ComparisonResult): string {
  const lines = result.comparisons.map(({ measured, verdict, ratio, p }) => {
    const name = `${measured.suite}: ${measured.name} (${measured.column})`;
    return `${verdict.padEnd(15)} ${describe_change(ratio).padStart(8)}  p ${p.toFixed(4)}  ${name}`;
  });
  if (result.machines !== '') lines.unshift(`the machines differ: ${result.machines}`);
  for (const { suite, name, column } of result.added)
    lines.push(`new                       ${suite}: ${name} (${column})`);
  for (const { suite, name, column } of result.missing)
    lines.push(`not measured              ${suite}: ${name} (${column})`);
  const count = (wanted: Verdict): number => result.comparisons.filter(({ verdict }) => verdict === wanted).length;
  const counts = (['better', 'worse', 'noise', 'too few samples'] as const).map(
    (verdict) => `${count(verdict)} ${verdict}`,
  );
  return `${[...lines, counts.join(', ')].join('\n')}\n`;
}
