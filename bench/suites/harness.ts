/** The fuzz harness: programs a second without kcov, with it, and while it traces; a campaign's worker; resets. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLE } from '../core/host.ts';
import { type Context, type Suite, Unavailable } from '../core/suite.ts';
import { run_script } from './scripts.ts';

const SCRIPT = 'bench_programs.cjs';

/** Records system calls as `program` calls, under the names that they have as guest code. */
export async function measure_program_calls(context: Context): Promise<void> {
  await run_script(context, join(BUNDLE, SCRIPT), { TVISOR_BENCH_PART: 'calls' });
}

async function run(context: Context): Promise<void> {
  for (const engine of ['plain', 'kcov']) {
    const script = join(BUNDLE, engine === 'plain' ? '.' : engine, SCRIPT);
    if (!existsSync(script)) throw new Unavailable(`the ${engine} engine is not built: npm run build`);
    context.progress(`${engine} engine`);
    await run_script(context, script, { TVISOR_BENCH_PART: 'harness', TVISOR_BENCH_ENGINE: engine });
  }
}

export const harness_suite: Suite = {
  name: 'harness',
  summary: 'programs a second of the fuzz harness with and without kcov, and resets',
  legend: 'best rate on one core, resets at their best; ratio of costs to the plain engine',
  default_time_ms: 3000,
  style: { base: 'plain' },
  run,
};
