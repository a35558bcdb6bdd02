/** `tvisor-harness cmin`: the smallest part of a corpus that covers as much. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { EXIT_CLEAN, usage_error } from '../errors.ts';
import { distill, sample } from '../fuzz/distill.ts';
import { open_kernel } from '../fuzz/kernel.ts';
import type { Command, CommandLine } from './command.ts';
import { read_programs, write_program } from './files.ts';

export const cmin_command: Command = {
  name: 'cmin',
  usage: '<CORPUS...>',
  summary: 'Copy the smallest part of a corpus that covers as much',
  flags: [{ name: 'output', short: 'o', value: 'DIR', help: 'where the programs go: a new or empty directory' }],
  examples: ['cmin tvisor-fuzz -o small-corpus'],
  instrumented: true,
  run: run_cmin,
};

async function run_cmin(line: CommandLine): Promise<number> {
  line.argument(0, 'CORPUS');
  const output = line.text('output');
  if (output === undefined) throw usage_error('--output is missing', 'say where the programs go: --output DIR');
  if (existsSync(output) && readdirSync(output).length > 0)
    throw usage_error(`${output} is not empty`, 'name a new directory');
  const { target, runner, executor } = open_kernel(true);
  const programs = read_programs(target, line.args);
  const samples = programs.flatMap((program) => sample(runner, program) ?? []);
  executor.close();
  const kept = distill(samples);
  mkdirSync(output, { recursive: true });
  for (const index of kept) write_program(output, samples[index]!);
  const edges = new Set(samples.flatMap((one) => [...one.edges])).size;
  const left_out = programs.length - samples.length;
  const note = left_out > 0 ? `; ${left_out} with findings left out` : '';
  process.stdout.write(`${programs.length} programs, ${edges} edges: ${kept.length} kept${note}\n`);
  return EXIT_CLEAN;
}
