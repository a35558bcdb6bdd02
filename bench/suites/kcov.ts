/** What instrumentation costs system calls of a guest program: `bench/kcov.c` in the plain and the instrumented kernel. */
import { compile, in_machine, run_process } from '../core/host.ts';
import { type Context, type Suite, wanted, wants_column } from '../core/suite.ts';

const ROUNDS = 3;

async function run(context: Context): Promise<void> {
  const { options, signal } = context;
  const rounds = options.quick ? 1 : ROUNDS;
  const program = [`./${compile('kcov')}`, `${options.time_ms / rounds}`];
  const samples = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++)
    for (const flags of [[], ['--kcov']]) {
      context.progress(`${flags.length === 0 ? 'plain' : 'instrumented'}, round ${round} of ${rounds}`);
      const { stdout } = await run_process({ argv: in_machine(program, 'interp', 1, flags) }, signal);
      for (const line of stdout.toString().trim().split('\n')) {
        const [column = '', name = '', numbers = ''] = line.split('\t');
        const key = `${name}\t${column}`;
        samples.set(key, [...(samples.get(key) ?? []), ...numbers.trim().split(' ').map(Number)]);
      }
    }
  for (const [key, numbers] of samples) {
    const [name = '', column = ''] = key.split('\t');
    if (wanted(options, name) && wants_column(options, column))
      context.record({ suite: 'kcov', name, column, unit: 'ns', better: 'lower', samples: numbers });
  }
}

export const kcov_suite: Suite = {
  name: 'kcov',
  summary: 'system calls in the kernel that is instrumented for kcov, beside the plain one',
  legend: 'best wall time a call, interpreted; ratio to the plain kernel',
  default_time_ms: 1500,
  style: { base: 'plain', mean: () => true },
  run,
};
