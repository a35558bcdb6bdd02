/** `tvisor-harness merge`: adds to a corpus what others cover and it does not. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT_CLEAN, usage_error } from '../errors.ts';
import { sample } from '../fuzz/distill.ts';
import { open_kernel } from '../fuzz/kernel.ts';
import type { Command, CommandLine } from './command.ts';
import { read_programs, write_program } from './files.ts';

export const merge_command: Command = {
  name: 'merge',
  usage: '<INTO> <FROM...>',
  summary: 'Add the programs of other corpora that cover something new',
  flags: [],
  examples: ['merge corpus other-corpus', 'merge tvisor-fuzz nightly-1 nightly-2'],
  instrumented: true,
  run: run_merge,
};

async function run_merge(line: CommandLine): Promise<number> {
  const into = line.argument(0, 'INTO');
  line.argument(1, 'FROM');
  if (!existsSync(into)) mkdirSync(into, { recursive: true });
  const { target, runner, executor } = open_kernel(true);
  const known = new Set<number>();
  for (const program of read_programs(target, [into]))
    for (const edge of sample(runner, program)?.edges ?? []) known.add(edge);
  const others = read_programs(target, line.args.slice(1)).sort(
    (a, b) => a.program.calls.length - b.program.calls.length,
  );
  const directory = existsSync(join(into, 'workdir.json')) ? join(into, 'corpus') : into;
  let added = 0;
  for (const other of others) {
    const found = sample(runner, other);
    if (found === undefined || ![...found.edges].some((edge) => !known.has(edge))) continue;
    for (const edge of found.edges) known.add(edge);
    write_program(directory, other);
    added++;
  }
  executor.close();
  if (others.length === 0) throw usage_error('there are no programs to merge', 'name directories with programs');
  process.stdout.write(`${others.length} programs, ${added} added, ${known.size} edges\n`);
  return EXIT_CLEAN;
}
