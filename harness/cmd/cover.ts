/** `tvisor-harness cover`: what programs cover of the kernel's sources. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CoverageMap } from '../../engine/kcov/map.ts';
import { EXIT_CLEAN, HarnessError } from '../errors.ts';
import { coverage_map } from '../exec/block_map.ts';
import { type Kernel, open_kernel } from '../fuzz/kernel.ts';
import type { SeededProgram } from '../fuzz/program_file.ts';
import { coverage_of, type FileCoverage, json_report, lcov_report, text_report } from '../report/coverage.ts';
import { index_page, page_name, source_page } from '../report/html.ts';
import type { Command, CommandLine } from './command.ts';
import { read_programs } from './files.ts';

const REPORTERS = ['text', 'json', 'lcov', 'html'] as const;

export const cover_command: Command = {
  name: 'cover',
  usage: '<CORPUS...>',
  summary: 'Show what programs cover of the kernel',
  flags: [
    { name: 'reporter', value: 'NAME', help: 'text (default), json, lcov or html' },
    {
      name: 'output',
      short: 'o',
      value: 'PATH',
      help: 'file, or directory for html (default: standard output; coverage/)',
    },
    { name: 'filter', value: 'GLOBS', help: "only these sources ('engine/vfs/*')" },
  ],
  examples: [
    'cover tvisor-fuzz',
    'cover tvisor-fuzz --reporter html -o coverage',
    'cover my.prog --reporter=lcov -o lcov.info',
  ],
  instrumented: true,
  run: run_cover,
};

async function run_cover(line: CommandLine): Promise<number> {
  line.argument(0, 'CORPUS');
  const reporter = line.choice('reporter', REPORTERS);
  const kernel = open_kernel(true);
  const programs = read_programs(kernel.target, line.args);
  const hits = count_hits(kernel, programs);
  kernel.executor.close();
  const files = chosen(coverage_of(read_map(), hits), line.list('filter'));
  const output = line.text('output');
  if (reporter === 'html') {
    const directory = output ?? 'coverage';
    write_html(directory, files, programs.length);
    process.stdout.write(`${join(directory, 'index.html')}\n`);
    return EXIT_CLEAN;
  }
  const text = { text: text_report, json: json_report, lcov: lcov_report }[reporter](files);
  if (output === undefined) process.stdout.write(text);
  else writeFileSync(output, text);
  return EXIT_CLEAN;
}

/** For each PC, how many of the programs reach it. */
function count_hits({ runner }: Kernel, programs: readonly SeededProgram[]): Map<number, number> {
  const hits = new Map<number, number>();
  for (const { program, seed } of programs) {
    const seen = new Set<number>();
    const { outcome } = runner.run({ program, seed, kind: 'load' });
    for (const { pcs } of outcome.calls) for (const pc of pcs) seen.add(pc >>> 0);
    for (const pc of seen) hits.set(pc, (hits.get(pc) ?? 0) + 1);
  }
  return hits;
}

function read_map(): CoverageMap {
  const map = coverage_map();
  if (map === undefined)
    throw new HarnessError('the map of the kernel is missing', "build the project: 'npm run build'");
  return map;
}

function chosen(files: readonly FileCoverage[], globs: readonly string[]): FileCoverage[] {
  if (globs.length === 0) return [...files];
  const patterns = globs.map(
    (glob) => new RegExp(`^${glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`),
  );
  const found = files.filter(({ path }) => patterns.some((pattern) => pattern.test(path)));
  if (found.length === 0)
    throw new HarnessError(`--filter ${globs.join()} matches no source`, "see 'cover' without it");
  return found;
}

/** One page a source. A package without the sources has the index alone. */
function write_html(directory: string, files: readonly FileCoverage[], programs: number): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'index.html'), index_page(files, programs));
  for (const file of files) {
    const source = fileURLToPath(new URL(`../../../${file.path}`, import.meta.url));
    const text = existsSync(source)
      ? readFileSync(source, 'utf8')
      : '// The source is not part of this installation.\n';
    writeFileSync(join(directory, page_name(file.path)), source_page(file, text));
  }
}
