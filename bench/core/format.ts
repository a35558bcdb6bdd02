/** Measurements as text. */
import type { Measurement, Unit } from './report.ts';
import { geometric_mean } from './stats.ts';

export type Measured = Pick<Measurement, 'suite' | 'name' | 'column'>;

/** What identifies a measurement within a report. */
export function measured_key({ suite, name, column }: Measured): string {
  return JSON.stringify([suite, name, column]);
}

/** '+12.0 %' for 1.12. */
export function describe_change(ratio: number): string {
  return `${ratio >= 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(1)} %`;
}

/** Three significant digits and the unit that keeps them readable. */
export function format_value(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return '-';
  const digits = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
  if (unit === 'ns' && value >= 1e7) return `${digits(value / 1e6)} ms`;
  if (unit === 'ns' && value >= 1e4) return `${digits(value / 1e3)} us`;
  if (unit === 'ms' && value >= 1e4) return `${digits(value / 1e3)} s`;
  if (unit === '1/s' && value >= 1e4) return `${digits(value / 1e3)} k/s`;
  if (unit === '1/s') return `${digits(value)} /s`;
  return `${digits(value)} ${unit}`;
}

/** The number that stands for a measurement: the best sample, since whatever else ran only makes them worse. */
export function best({ samples, better }: Measurement): number {
  return better === 'lower' ? Math.min(...samples) : Math.max(...samples);
}

export interface TableStyle {
  /** The column that ratios are taken to. */
  readonly base: string;
  /** Another column that the ratio of this one is taken to, where that was measured. */
  readonly reference?: Readonly<Record<string, string>>;
  /** Columns that are not shown, since they are only references. */
  readonly hidden?: readonly string[];
  /** Other columns than the base show their ratio alone. */
  readonly ratios_only?: boolean;
  /** Names whose ratios have their geometric mean in a last row. */
  readonly mean?: (name: string) => boolean;
}

/** Cost of `measurement` relative to `base`: 2 is twice the time, or half the rate. */
function cost_ratio(measurement: Measurement, base: Measurement): number {
  const ratio = best(measurement) / best(base);
  return measurement.better === 'lower' ? ratio : 1 / ratio;
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
      .join('  ')
      .trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}

/**
 * A suite's table: a row a name, a column for what ran it, and beside each but the base its cost relative to the base.
 * Ratios above 1 are slower than the base.
 */
export function format_table(measurements: readonly Measurement[], style: TableStyle): string {
  const hidden = style.hidden ?? [];
  const names = unique(measurements.map(({ name }) => name));
  const shown = unique(measurements.map(({ column }) => column)).filter((column) => !hidden.includes(column));
  const based = shown.includes(style.base);
  const others = shown.filter((column) => column !== style.base);
  const cells = new Map(measurements.map((cell) => [`${cell.name}\n${cell.column}`, cell]));
  const ratio = (name: string, column: string): number => {
    const cell = cells.get(`${name}\n${column}`);
    const base = cells.get(`${name}\n${style.reference?.[column]}`) ?? cells.get(`${name}\n${style.base}`);
    return cell === undefined || base === undefined ? Number.NaN : cost_ratio(cell, base);
  };
  const value = (name: string, column: string): string => {
    const cell = cells.get(`${name}\n${column}`);
    return cell === undefined ? '-' : format_value(best(cell), cell.unit);
  };
  /** What stands in the columns of `column`, out of its value and its ratio. */
  const both = (column: string, text: string, times: string): string[] => {
    if (column === style.base || !based) return [text];
    return style.ratios_only === true ? [times] : [text, times];
  };
  const columns = based ? [style.base, ...others] : others;
  const rows = [
    ['', ...columns.flatMap((column) => both(column, column, style.ratios_only === true ? column : 'ratio'))],
  ];
  for (const name of names)
    rows.push([name, ...columns.flatMap((column) => both(column, value(name, column), times(ratio(name, column))))]);
  const averaged = names.filter((name) => style.mean?.(name) === true);
  if (based && averaged.length > 1) {
    const mean = (column: string): number =>
      geometric_mean(averaged.map((name) => ratio(name, column)).filter((x) => Number.isFinite(x)));
    rows.push(['geometric mean', ...columns.flatMap((column) => both(column, '', times(mean(column))))]);
  }
  return align(rows);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)}x` : '-';
}
