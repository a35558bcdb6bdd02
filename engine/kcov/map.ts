/**
 * The map of an instrumented build: from program counters to places in the TypeScript. The build writes it beside the
 * bundle (`dist/bundle/kcov/kcov.map.json`); coverage reports and `tvisor symbolize` read it.
 *
 * The file is JSON: for each source file its path, its slot, the names of its functions, and its blocks and comparisons
 * as flat lists of five numbers each (index of the function, line, column, end line, end column; lines and columns
 * count from 1 and ends are exclusive).
 */
import type { Place } from './instrument.ts';
import { COMPARISONS_FROM, POINT_MASK, pc_of, slot_of_pc } from './numbering.ts';

export const MAP_VERSION = 1;

interface FileEntry {
  readonly path: string;
  readonly slot: number;
  readonly functions: readonly string[];
  readonly blocks: readonly number[];
  readonly comparisons: readonly number[];
}

interface MapText {
  readonly version: number;
  readonly files: readonly FileEntry[];
}

const NUMBERS = 5;

/** One point of the kernel. */
export interface Point {
  /** Low word of its program counter, unsigned; the high word is 0xffffffff. */
  readonly pc: number;
  /** From the repository's root: `engine/vfs/open.ts`. */
  readonly file: string;
  readonly function_name: string;
  readonly line: number;
  readonly column: number;
  readonly end_line: number;
  readonly end_column: number;
}

/** What the build knows of one instrumented file. */
export interface FilePlaces {
  readonly path: string;
  readonly slot: number;
  readonly blocks: readonly Place[];
  readonly comparisons: readonly Place[];
}

function pack(places: readonly Place[], functions: Map<string, number>): number[] {
  return places.flatMap(({ function_name, line, column, end_line, end_column }) => {
    const index = functions.get(function_name) ?? functions.size;
    functions.set(function_name, index);
    return [index, line, column, end_line, end_column];
  });
}

/** The text of the map file. */
export function write_map(files: readonly FilePlaces[]): string {
  const entries = files.map(({ path, slot, blocks, comparisons }): FileEntry => {
    const functions = new Map<string, number>();
    const packed = { blocks: pack(blocks, functions), comparisons: pack(comparisons, functions) };
    return { path, slot, functions: [...functions.keys()], ...packed };
  });
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return JSON.stringify({ version: MAP_VERSION, files: entries } satisfies MapText);
}

/** A map that was read. */
export class CoverageMap {
  /** Basic blocks in all files, and comparisons. */
  readonly blocks: number;
  readonly comparisons: number;
  private readonly entries: readonly FileEntry[];
  private readonly by_slot: ReadonlyMap<number, FileEntry>;

  /** `text` is the content of the map file. Throws an Error when it is none of this version. */
  constructor(text: string) {
    const { version, files } = JSON.parse(text) as MapText;
    if (version !== MAP_VERSION) throw new Error(`the map has version ${version}, not ${MAP_VERSION}`);
    this.entries = files;
    this.by_slot = new Map(files.map((file) => [file.slot, file]));
    this.blocks = files.reduce((sum, file) => sum + file.blocks.length / NUMBERS, 0);
    this.comparisons = files.reduce((sum, file) => sum + file.comparisons.length / NUMBERS, 0);
  }

  /** Paths of the instrumented files, sorted. */
  files(): string[] {
    return this.entries.map(({ path }) => path);
  }

  /** The slot of an instrumented file, -1 for another. */
  slot_of(path: string): number {
    return this.entries.find((entry) => entry.path === path)?.slot ?? -1;
  }

  /** The block or comparison of a program counter's low word (signed or not), or null. */
  find(pc: number): Point | null {
    const low = pc >>> 0;
    const is_word = low === pc || (pc | 0) === pc;
    const entry = this.by_slot.get(slot_of_pc(low));
    const index = low & POINT_MASK;
    if (entry === undefined || !is_word || low < 0x8000_0000) return null;
    return index < COMPARISONS_FROM
      ? point(entry, entry.blocks, index, 0)
      : point(entry, entry.comparisons, index - COMPARISONS_FROM, COMPARISONS_FROM);
  }

  /** Whether a program counter's low word is a basic block's. */
  is_block(pc: number): boolean {
    return (pc & POINT_MASK) < COMPARISONS_FROM && this.find(pc) !== null;
  }

  /** Every basic block of a file, in the order of their numbers; none for a file that is not instrumented. */
  blocks_of(path: string): Point[] {
    const entry = this.entries.find((file) => file.path === path);
    if (entry === undefined) return [];
    return Array.from(
      { length: entry.blocks.length / NUMBERS },
      (_, index) => point(entry, entry.blocks, index, 0) as Point,
    );
  }
}

function point(entry: FileEntry, places: readonly number[], index: number, from: number): Point | null {
  const numbers = places.slice(index * NUMBERS, (index + 1) * NUMBERS);
  const [name, line, column, end_line, end_column] = numbers;
  if (name === undefined || line === undefined || column === undefined) return null;
  if (end_line === undefined || end_column === undefined) return null;
  const function_name = entry.functions[name] ?? '';
  return { pc: pc_of(entry.slot, from + index), file: entry.path, function_name, line, column, end_line, end_column };
}
