/** Program counters as text, and back to the places of the source: `tvisor symbolize`. */
import type { CoverageMap, Point } from './map.ts';

const PC = /^(?:0x)?([0-9a-f]{1,16})$/i;
const HIGH_HALF = 0xffff_ffffn;

/** What was printed up to the first line that could not be; `error` tells of that line, '' for none. */
export interface Symbolized {
  readonly output: string;
  readonly error: string;
}

/** A point as two lines: `0xPC` and `file:L0.C0,L1.C1` (lines and columns from 1, the end exclusive). */
export function point_text({ pc, file, line, column, end_line, end_column }: Point): string {
  return `0xffffffff${pc.toString(16).padStart(8, '0')}\n${file}:${line}.${column},${end_line}.${end_column}\n`;
}

/** The places of program counters, one hexadecimal number a line, with or without 0x; empty lines are skipped. */
export function symbolize(map: CoverageMap, input: string): Symbolized {
  let output = '';
  for (const [index, line] of input.split('\n').entries()) {
    const text = line.trim();
    if (text === '') continue;
    const digits = PC.exec(text)?.[1];
    const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
    if (digits === undefined) return { output, error: `line ${index + 1}: '${shown}' is not a hexadecimal number` };
    const pc = BigInt(`0x${digits}`);
    const point = pc >> 32n === HIGH_HALF ? map.find(Number(pc & HIGH_HALF)) : null;
    if (point === null) return { output, error: `line ${index + 1}: there is no block at ${shown}` };
    output += point_text(point);
  }
  return { output, error: '' };
}

/** Every basic block, as `symbolize` shows it. */
export function all_blocks(map: CoverageMap): string {
  return map
    .files()
    .flatMap((path) => map.blocks_of(path).map(point_text))
    .join('');
}
