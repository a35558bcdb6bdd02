/**
 * A slice of the CPU oracle: random snippets on the host CPU, in the interpreter and through the translator.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filter_rows, NATIVE, run_oracle, type Tier } from './cpu_oracle.ts';
import { INTERPRETER, PARTS, TIERS, TRANSLATOR } from './interpreter.ts';
import { unavailable } from './native.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const reason = unavailable();
const host_test = reason === '' ? test : test.skip;
if (reason !== '') console.log(`CPU oracle skipped: ${reason}`);

async function slice(filter: string | undefined, count: number, tiers: readonly Tier[]): Promise<void> {
  const rows = filter_rows(filter);
  const flags = filter === undefined ? '' : ` --filter ${filter}`;
  const report = await run_oracle({ seed: SEED, count, rows, tiers, limit: 3, flags });
  assert.is(report.failures.map((failure) => failure.text).join('\n\n'), '');
  for (const tier of tiers) assert.ok((report.compared.get(tier.name) as number) > (count * 0.9) / tier.every);
}

host_test('the native runner repeats itself', () => slice(undefined, 500, [NATIVE]));
host_test('random instructions of every row behave as on the host', async () => {
  await slice(undefined, 3000, TIERS);
  // A snippet is one region at least, where its first instruction is translated.
  assert.ok(TRANSLATOR.regions() > 2000);
  assert.ok(PARTS.regions() > 2000 / PARTS.every);
});
host_test('MMX instructions behave as on the host', () => slice('mmx', 1000, [INTERPRETER]));
host_test('SSE to SSE4.2 instructions behave as on the host', () =>
  slice('sse,sse2,sse3,ssse3,sse4.1,sse4.2', 1500, [INTERPRETER]),
);
host_test('x87 instructions behave as on the host', () => slice('x87', 1000, [INTERPRETER]));

test.run();
