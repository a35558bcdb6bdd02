/** The vDSO where nothing native can be compared: a virtual clock. (vdso.c itself is one of the guest programs.) */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../engine/index.ts';
import { compile, native_host } from '../support/guest.ts';

const EPOCH_NS = 1_704_067_200_000_000_000n;

/** What the program reads in a machine of its own. */
async function poll(program: string): Promise<string> {
  const machine = await Machine.create({ vcpus: 0, memory: 128 << 20, clock: 'virtual', seed: 7 });
  try {
    const { stdout, stderr, exitCode } = await machine.run([program, 'poll']);
    assert.is(exitCode, 0, stderr);
    return stdout;
  } finally {
    await machine.close();
  }
}

if (!native_host()) test('nothing to run on this host', () => {});
else
  for (const linkage of ['static', 'dynamic'] as const)
    test(`a loop that reads a virtual clock ends, the same way each time, ${linkage}`, async () => {
      const program = compile('vdso', linkage);
      const first = await poll(program);
      assert.is(await poll(program), first);
      const read = /^(\d+) readings from (\d+) to (\d+), (\d+)\n$/.exec(first);
      assert.ok(read, first);
      const [readings, start, end, wall] = read.slice(1).map(BigInt) as [bigint, bigint, bigint, bigint];
      assert.ok(readings > 100n && end - start >= 5_000_000n && end - start < 6_000_000n, first);
      assert.ok(wall - EPOCH_NS > end && wall - EPOCH_NS < end + 1_000_000n, first);
    });

test.run();
