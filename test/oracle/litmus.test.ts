/**
 * A slice of the memory-order oracle: no outcome that x86-TSO forbids, interpreted or translated. `npm run
 * oracle:litmus` runs it for as long as one likes.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { native_host } from '../support/guest.ts';
import { LitmusBench, type LitmusRunner, litmus_line, litmus_tests } from './litmus_oracle.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const MILLISECONDS = 60;
const host_test = native_host() ? test : test.skip;
if (!native_host()) console.log('litmus tests need an x86-64 Linux host with a C compiler (cc): not run here');

/** Translating everything at first sight takes seconds before the first test: a telling few. */
const FEW = ['SB', 'SB+mfence', 'SB+xchg', 'MP', 'CoRR', 'cmpxchg16b', 'overlapping'];

async function all_of(runner: LitmusRunner, names?: readonly string[]): Promise<void> {
  const bench = await LitmusBench.create(runner);
  try {
    for (const [name, special] of await litmus_tests()) {
      if (names !== undefined && !names.includes(name)) continue;
      const result = await bench.run(name, special, MILLISECONDS, SEED);
      console.log(litmus_line(result));
      assert.ok(result.runs > 0, name);
      const again = `npm run oracle:litmus -- --test ${name} --platform ${runner} --seed ${SEED}`;
      assert.is(result.forbidden, 0, `${litmus_line(result)}; repeat with ${again}`);
    }
  } finally {
    await bench.close();
  }
}

host_test('the host forbids what the tests say', () => all_of('native'));
host_test('interpreted', () => all_of('interp'));
host_test('translated where it is hot', () => all_of('jit'));
host_test('translated at first sight', () => all_of('jit-eager', FEW));

test.run();
