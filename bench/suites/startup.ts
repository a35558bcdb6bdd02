/**
 * From the command line to the exit status: `tvisor do -- CMD` beside Node alone; what a guest costs that sleeps; and
 * bytes a second through a guest that copies.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLE, find_program, folder, run_process } from '../core/host.ts';
import type { Measurement } from '../core/report.ts';
import { type Context, type Suite, wanted } from '../core/suite.ts';

const ROUNDS = 10;
const MEGABYTES = 200;

const tvisor = (...command: string[]): string[] => [
  process.execPath,
  join(BUNDLE, 'tvisor.cjs'),
  'do',
  '--',
  ...command,
];

interface Start {
  readonly name: string;
  readonly argv: readonly string[];
  /** The program it needs on the host. */
  readonly program: string;
}

const STARTS: readonly Start[] = [
  { name: 'node -e 0', argv: [process.execPath, '-e', '0'], program: 'sh' },
  { name: 'do -- true', argv: tvisor('/bin/true'), program: 'true' },
  { name: 'do -- sh -c :', argv: tvisor('sh', '-c', ':'), program: 'sh' },
  { name: 'do -- perl -e 1', argv: tvisor('perl', '-e', '1'), program: 'perl' },
  { name: 'do -- python3 -c pass', argv: tvisor('python3', '-c', 'pass'), program: 'python3' },
  { name: 'do -- sleep 0', argv: tvisor('sleep', '0'), program: 'sleep' },
  { name: 'do -- sleep 1', argv: tvisor('sleep', '1'), program: 'sleep' },
];

function times(name: string, column: string, samples: readonly number[]): Measurement {
  return { suite: 'startup', name, column, unit: 'ms', better: 'lower', samples };
}

async function measure(context: Context, { name, argv }: Start): Promise<void> {
  const wall: number[] = [];
  const cpu: number[] = [];
  const start = performance.now();
  const rounds = context.options.quick ? 1 : ROUNDS;
  for (let round = 1; round <= rounds && (round <= 3 || performance.now() - start < context.options.time_ms); round++) {
    context.progress(`${name}, round ${round} of ${rounds}`);
    const { wall_ms, cpu_ms } = await run_process({ argv }, context.signal);
    wall.push(wall_ms);
    if (!Number.isNaN(cpu_ms)) cpu.push(cpu_ms);
  }
  context.record(times(name, 'wall', wall));
  if (cpu.length > 0) context.record(times(name, 'processor', cpu));
}

/** A host file in, the host's pipe out. */
async function measure_copy(context: Context, megabytes: number): Promise<void> {
  const name = `${megabytes} MiB through cat`;
  const file = join(folder(), 'bytes.bin');
  const chunk = new Uint8Array(1 << 20).map((_, i) => (i * 31) ^ (i >> 8));
  rmSync(file, { force: true });
  for (let i = 0; i < megabytes; i++) writeFileSync(file, chunk, { flag: 'a' });
  const rates: number[] = [];
  for (let round = 1; round <= (context.options.quick ? 1 : 3); round++) {
    context.progress(`${name}, round ${round}`);
    const { stdout, wall_ms } = await run_process({ argv: tvisor('cat'), stdin: file }, context.signal);
    if (stdout.length !== megabytes << 20) throw new Error(`${stdout.length} bytes came out of ${megabytes} MiB`);
    rates.push((megabytes / wall_ms) * 1000);
  }
  rmSync(file);
  context.record({ suite: 'startup', name, column: 'wall', unit: 'MiB/s', better: 'higher', samples: rates });
}

async function run(context: Context): Promise<void> {
  const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
    if (!wanted(context.options, name)) return;
    try {
      await work();
    } catch (error) {
      if (context.signal.aborted) throw error;
      context.failed(name, error);
    }
  };
  for (const start of STARTS)
    if (find_program(start.program) !== '') await attempt(start.name, () => measure(context, start));
  const megabytes = context.options.quick ? 2 : MEGABYTES;
  await attempt(`${megabytes} MiB through cat`, () => measure_copy(context, megabytes));
}

export const startup_suite: Suite = {
  name: 'startup',
  summary: 'from the command line to the exit status, a sleeping guest, bytes through a guest',
  legend: 'best wall time, and least processor time with all threads',
  default_time_ms: 8000,
  style: { base: '' },
  run,
};
