/**
 * Reads the compiler's source maps (the ECMA-426 format, version 3, one source a map): from a place in the emitted
 * JavaScript to the place in the TypeScript.
 */

/** Line and column, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One segment: column in the emitted line, line and column in the source; all from 0. */
interface Segment {
  readonly from: number;
  readonly line: number;
  readonly column: number;
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]));

/** The numbers of one segment: base-64 digits of five bits, least first, the sign in the lowest bit. */
function decode_segment(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const digit of text) {
    const bits = VALUES.get(digit);
    if (bits === undefined) throw new Error(`source map: '${digit}' is no base-64 digit`);
    value += (bits & 31) << shift;
    shift += 5;
    if ((bits & 32) !== 0) continue;
    numbers.push((value & 1) !== 0 ? -(value >>> 1) : value >>> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}

function decode_lines(mappings: string): Segment[][] {
  let line = 0;
  let column = 0;
  return mappings.split(';').map((text) => {
    let from = 0;
    const segments: Segment[] = [];
    for (const part of text === '' ? [] : text.split(',')) {
      const [step = 0, , line_step, column_step] = decode_segment(part);
      from += step;
      if (line_step === undefined || column_step === undefined) continue;
      line += line_step;
      column += column_step;
      segments.push({ from, line, column });
    }
    return segments;
  });
}

/** A decoded map of one emitted module. */
export class SourceMap {
  private readonly lines: Segment[][];
  /** Offset of each emitted line. */
  private readonly starts: number[] = [0];

  /** `map` is the content of the .js.map file, `code` the module it belongs to. */
  constructor(map: string, code: string) {
    this.lines = decode_lines((JSON.parse(map) as { mappings: string }).mappings);
    for (let at = code.indexOf('\n'); at >= 0; at = code.indexOf('\n', at + 1)) this.starts.push(at + 1);
  }

  /** Where the source has the character at an offset of the emitted module. */
  position(offset: number): Position {
    let line = this.line_of(offset);
    let column = offset - (this.starts[line] as number);
    for (; line >= 0; line--) {
      const segment = (this.lines[line] ?? []).findLast(({ from }) => from <= column);
      // Between two segments the text is the same in both files.
      if (segment !== undefined) {
        const beyond = column === Number.POSITIVE_INFINITY ? 0 : column - segment.from;
        return { line: segment.line + 1, column: segment.column + beyond + 1 };
      }
      column = Number.POSITIVE_INFINITY;
    }
    return { line: 1, column: 1 };
  }

  private line_of(offset: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
