/** What the scripts of in-process suites share: their arguments, and how they tell what they measured. */
import type { Measurement } from './core/report.ts';

export const TIME_MS = Number(process.argv[2] ?? 300);
export const QUICK = process.argv[3] === 'quick';
const FILTER = process.argv.slice(4);

export function is_wanted(name: string): boolean {
  return FILTER.length === 0 || FILTER.some((text) => name.includes(text));
}

/** Prints a measurement for the suite that started the script. */
export function report(measurement: Measurement): void {
  process.stdout.write(`${JSON.stringify(measurement)}\n`);
}
