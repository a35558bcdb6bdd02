/** `tvisor-harness tmin`: makes a program smaller. */
import { EXIT_CLEAN, HarnessError } from '../errors.ts';
import { type Kernel, open_kernel } from '../fuzz/kernel.ts';
import { print_file, type SeededProgram } from '../fuzz/program_file.ts';
import { examine, minimize_finding } from '../fuzz/reproduce.ts';
import { write_whole } from '../fuzz/saver.ts';
import { covers, edges_of } from '../fuzz/signal.ts';
import type { Finding } from '../oracle/finding.ts';
import { minimize } from '../prog/minimize.ts';
import type { Program } from '../prog/model.ts';
import { print_program } from '../prog/print.ts';
import type { Command, CommandLine } from './command.ts';
import { read_program } from './files.ts';

const MOST_TRIES = 10_000;

export const tmin_command: Command = {
  name: 'tmin',
  usage: '<FILE>',
  summary: 'Make a program smaller that still shows its finding, or covers the same',
  flags: [
    { name: 'output', short: 'o', value: 'FILE', help: 'where the result goes (default: standard output)' },
    {
      name: 'call',
      value: 'N',
      help: 'without a finding: keep what this call covers, counted from 0 (default: the last)',
    },
  ],
  examples: ['tmin crash.prog -o small.prog', 'tmin --call 3 program.prog'],
  instrumented: true,
  run: run_tmin,
};

async function run_tmin(line: CommandLine): Promise<number> {
  const kernel = open_kernel(false);
  const given = read_program(kernel.target, line.argument(0, 'FILE'));
  const { calls } = given.program;
  const call = line.integer('call', calls.length - 1, 0, calls.length - 1);
  const { smaller, finding } = tmin(kernel, given, call);
  kernel.executor.close();
  const what = finding === undefined ? `coverage of call ${call}` : finding.title;
  process.stderr.write(`${what}: ${calls.length} calls became ${smaller.calls.length}\n`);
  const text = print_file(print_program(smaller), given.seed, finding === undefined ? [] : [finding.title]);
  const output = line.text('output');
  if (output === undefined) process.stdout.write(text);
  else write_whole(output, text);
  return EXIT_CLEAN;
}

/** The smallest program with the same finding; without one, with the same coverage of the call. */
export function tmin(
  kernel: Kernel,
  given: SeededProgram,
  call: number,
): { readonly smaller: Program; readonly finding: Finding | undefined } {
  const finding = find(kernel, given);
  if (finding === undefined) return { smaller: minimize_coverage(kernel, given, call), finding };
  return { smaller: minimize_finding(kernel.runner, given.program, given.seed, finding, MOST_TRIES), finding };
}

/** What the program shows, by any oracle. */
function find({ runner }: Kernel, { program, seed }: SeededProgram): Finding | undefined {
  return examine(runner, program, seed, 'corruption') ?? examine(runner, program, seed, 'non_determinism');
}

/** The smallest program in which the call still has all its edges. */
function minimize_coverage({ runner }: Kernel, { program, seed }: SeededProgram, call: number): Program {
  const edges = edges_of(runner.run({ program, seed, kind: 'minimize' }).outcome.calls[call]!.pcs);
  if (edges.length === 0)
    throw new HarnessError('there is neither a finding nor coverage to keep', 'use the instrumented kernel');
  const holds = (copy: Program, index: number): boolean => {
    const { outcome, finding } = runner.run({ program: copy, seed, kind: 'minimize' });
    return finding === undefined && covers(outcome.calls[index]?.pcs ?? new Uint32Array(0), edges);
  };
  return minimize(program, call, holds, { max_tries: MOST_TRIES }).program;
}
