/**
 * What system calls cost a program: `bench/syscalls.c` measures itself, in a machine and natively, several times by turns.
 */
import { compile, guest_platforms, in_machine, run_process, runs_natively } from '../core/host.ts';
import type { Measurement } from '../core/report.ts';
import { type Context, type Suite, Unavailable, wants_column } from '../core/suite.ts';
import { measure_program_calls } from './harness.ts';

const ROUNDS = 3;

/** Lines of a name, a tab, and samples in ns. */
export function parse_samples(text: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const line of text.split('\n')) {
    const [name = '', samples = ''] = line.split('\t');
    const numbers = samples
      .split(' ')
      .filter((word) => word !== '')
      .map(Number);
    if (numbers.length > 0) found.set(name, numbers);
  }
  return found;
}

/** As guest code, then as calls of programs, which need neither a compiler nor this kind of host. */
async function run(context: Context): Promise<void> {
  try {
    await measure_guest(context);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    context.note(`as guest code: ${error.message}`);
  }
  if (!wants_column(context.options, 'program')) return;
  context.progress('program');
  await measure_program_calls(context);
}

async function measure_guest(context: Context): Promise<void> {
  const { options, signal } = context;
  const program = `./${compile('syscalls')}`;
  const columns = new Map<string, string[]>();
  if (options.native !== 'never' && runs_natively()) columns.set('native', [program]);
  else if (options.native === 'must')
    throw new Unavailable('programs for x86-64 Linux do not run natively on this host');
  for (const platform of guest_platforms()) columns.set(platform, in_machine([program], platform));
  for (const column of columns.keys()) if (!wants_column(options, column)) columns.delete(column);
  const rounds = options.quick ? 1 : ROUNDS;
  const samples = new Map<string, Map<string, number[]>>();
  for (let round = 1; round <= rounds; round++)
    for (const [column, argv] of columns) {
      context.progress(`${column}, round ${round} of ${rounds}`);
      const { stdout } = await run_process(
        { argv: [...argv, `${options.time_ms / rounds}`, ...options.filter] },
        signal,
      );
      for (const [name, numbers] of parse_samples(stdout.toString())) {
        const row = samples.get(name) ?? new Map<string, number[]>();
        samples.set(name, row.set(column, [...(row.get(column) ?? []), ...numbers]));
      }
    }
  for (const [name, row] of samples)
    for (const [column, numbers] of row) context.record(measurement(name, column, numbers));
}

function measurement(name: string, column: string, samples: readonly number[]): Measurement {
  return { suite: 'syscalls', name, column, unit: 'ns', better: 'lower', samples };
}

export const syscalls_suite: Suite = {
  name: 'syscalls',
  summary: 'system calls of a guest program, beside the same program natively',
  legend: 'best wall time a call; ratio to native. program: calls of a program of the fuzz harness',
  default_time_ms: 1500,
  style: { base: 'native', mean: () => true },
  run,
};
