/** Throughput of independent processes with more and more vCPUs, and natively: how many of them run at once. */
import { availableParallelism } from 'node:os';
import { compile, guest_platforms, in_machine, run_process, runs_natively } from '../core/host.ts';
import { type Context, type Suite, wanted, wants_column } from '../core/suite.ts';

const ROUNDS = 5;

interface Kind {
  readonly name: string;
  /** What each process of the program does; see bench/scaling.c. */
  readonly kind: string;
}

const KINDS: readonly Kind[] = [
  { name: 'arithmetic', kind: 'compute' },
  { name: 'system calls', kind: 'calls' },
  { name: 'page faults', kind: 'faults' },
  { name: 'pipes', kind: 'pipes' },
];

/** 1, 2, 4... up to the number of cores, which is among them. */
export function vcpu_counts(cores: number): number[] {
  const counts: number[] = [];
  for (let n = 1; n < cores; n *= 2) counts.push(n);
  return [...counts, cores];
}

async function measure(context: Context, { name, kind }: Kind, program: string, rounds: number): Promise<void> {
  const { options, signal } = context;
  const time = `${options.quick ? 20 : options.time_ms}`;
  const samples = new Map<string, { column: string; label: string; rates: number[] }>();
  for (let round = 1; round <= rounds; round++)
    for (const n of vcpu_counts(Math.min(availableParallelism(), options.quick ? 2 : 64))) {
      const ways: (readonly [column: string, argv: string[]])[] = guest_platforms().map((platform) => [
        platform,
        in_machine([program, kind, `${n}`, time], platform, n),
      ]);
      if (options.native !== 'never' && runs_natively()) ways.unshift(['native', [program, kind, `${n}`, time]]);
      for (const [column, argv] of ways) {
        if (!wants_column(options, column)) continue;
        context.progress(`${name}, ${n} at once, ${column}, round ${round} of ${rounds}`);
        const { stdout } = await run_process({ argv }, signal);
        const label = `${name}, ${n} at once`;
        const entry = samples.get(`${label}\n${column}`) ?? { column, label, rates: [] };
        entry.rates.push(Number(stdout.toString()));
        samples.set(`${label}\n${column}`, entry);
      }
    }
  for (const { column, label, rates } of samples.values())
    context.record({ suite: 'scaling', name: label, column, unit: '1/s', better: 'higher', samples: rates });
}

async function run(context: Context): Promise<void> {
  const program = `./${compile('scaling')}`;
  for (const kind of KINDS)
    if (wanted(context.options, kind.name))
      try {
        await measure(context, kind, program, context.options.quick ? 1 : ROUNDS);
      } catch (error) {
        if (context.signal.aborted) throw error;
        context.failed(kind.name, error);
      }
}

export const scaling_suite: Suite = {
  name: 'scaling',
  summary: 'throughput of independent processes on 1 to N vCPUs',
  legend: 'best sum over the processes of rounds a second, as many processes as vCPUs; ratio of costs to native',
  default_time_ms: 500,
  style: { base: 'native' },
  run,
};
