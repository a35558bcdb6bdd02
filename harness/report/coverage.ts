/** What programs covered of the kernel, by file: the model, and the reports as text, JSON and lcov. */

/** A basic block of the kernel; lines and columns from 1, ends exclusive. */
export interface Block {
  readonly pc: number;
  readonly function_name: string;
  readonly line: number;
  readonly column: number;
  readonly end_line: number;
  readonly end_column: number;
}

/** Where the blocks are: the map of the instrumented build (engine/kcov/map.ts). */
export interface BlockMap {
  files(): string[];
  blocks_of(path: string): readonly Block[];
}

export interface CoveredBlock extends Block {
  /** Programs that ran it. */
  readonly hits: number;
}

export interface FileCoverage {
  readonly path: string;
  readonly blocks: readonly CoveredBlock[];
  readonly covered: number;
}

/** Coverage of every file; `hits` has the number of programs for each PC (low word, unsigned). */
export function coverage_of(map: BlockMap, hits: ReadonlyMap<number, number>): FileCoverage[] {
  return map.files().map((path) => {
    const blocks = map.blocks_of(path).map((block) => ({ ...block, hits: hits.get(block.pc >>> 0) ?? 0 }));
    return { path, blocks, covered: blocks.filter((block) => block.hits > 0).length };
  });
}

export interface LineCoverage {
  readonly line: number;
  readonly hits: number;
}

/** The lines on which blocks begin: a line is as covered as the block of most hits that begins there. */
export function lines_of({ blocks }: FileCoverage): LineCoverage[] {
  const lines = new Map<number, number>();
  for (const { line, hits } of blocks) lines.set(line, Math.max(lines.get(line) ?? 0, hits));
  return [...lines].map(([line, hits]) => ({ line, hits })).sort((a, b) => a.line - b.line);
}

export interface FunctionCoverage {
  readonly name: string;
  readonly line: number;
  readonly hits: number;
}

/** Functions by their first block. */
export function functions_of({ blocks }: FileCoverage): FunctionCoverage[] {
  const found = new Map<string, FunctionCoverage>();
  for (const { function_name, line, hits } of blocks) {
    if (function_name === '') continue;
    const known = found.get(function_name);
    if (known === undefined || line < known.line) found.set(function_name, { name: function_name, line, hits });
  }
  return [...found.values()];
}

/** Covered of total, with the percentage. */
export function share(covered: number, total: number): string {
  return `${covered}/${total} ${total === 0 ? 100 : Math.floor((100 * covered) / total)}%`;
}

/** A table of files, folders summed up, and the total. */
export function text_report(files: readonly FileCoverage[]): string {
  const folders = new Map<string, [covered: number, total: number]>();
  let covered = 0;
  let total = 0;
  for (const file of files) {
    const folder = file.path.slice(0, file.path.lastIndexOf('/') + 1);
    const [before, all] = folders.get(folder) ?? [0, 0];
    folders.set(folder, [before + file.covered, all + file.blocks.length]);
    covered += file.covered;
    total += file.blocks.length;
  }
  const rows: [name: string, share: string][] = [];
  let folder = '';
  for (const file of files) {
    const own = file.path.slice(0, file.path.lastIndexOf('/') + 1);
    if (own !== folder) rows.push([own, share(...folders.get(own)!)]);
    folder = own;
    rows.push([`  ${file.path.slice(own.length)}`, share(file.covered, file.blocks.length)]);
  }
  rows.push(['all blocks', share(covered, total)]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join('');
}

/** Every block with its hits. */
export function json_report(files: readonly FileCoverage[]): string {
  const total = files.reduce((sum, { blocks }) => sum + blocks.length, 0);
  const covered = files.reduce((sum, file) => sum + file.covered, 0);
  return `${JSON.stringify({ version: 1, covered, total, files })}\n`;
}

/** The format of lcov's tracefiles (geninfo(1)): functions and lines. */
export function lcov_report(files: readonly FileCoverage[]): string {
  return files.map(lcov_record).join('');
}

function lcov_record(file: FileCoverage): string {
  const functions = functions_of(file);
  const lines = lines_of(file);
  return [
    'TN:',
    `SF:${file.path}`,
    ...functions.map(({ name, line }) => `FN:${line},${name}`),
    ...functions.map(({ name, hits }) => `FNDA:${hits},${name}`),
    `FNF:${functions.length}`,
    `FNH:${functions.filter(({ hits }) => hits > 0).length}`,
    ...lines.map(({ line, hits }) => `DA:${line},${hits}`),
    `LF:${lines.length}`,
    `LH:${lines.filter(({ hits }) => hits > 0).length}`,
    'end_of_record\n',
  ].join('\n');
}
