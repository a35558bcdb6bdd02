/** The control plane: counters, dropped caches and the whole machine's stop, asked for while programs run. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, type MachineStatistics } from '../../engine/index.ts';
import { native_host } from '../support/guest.ts';
import { type Random, with_seed } from '../support/seeds.ts';

/** Forks, pipes, waits and computes for long enough to outlive the hand-over to threads. */
const FORKS = `i=0; while [ $i -lt 60 ]; do (echo $i | cat; :) > /dev/null & i=$((i+1)); [ $((i%8)) -eq 0 ] && wait; done
wait; i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; echo done $i`;
const EXPECTED = 'done 4000\n';

async function with_machine(vcpus: number, use: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.create({ vcpus, memory: 256 << 20 });
  try {
    await use(machine);
  } finally {
    await machine.close();
  }
}

/** The sum of a counter over a machine's vCPUs. */
function total(statistics: MachineStatistics, counter: 'instructions' | 'syscalls' | 'task_switches'): number {
  return statistics.vcpus.reduce((sum, vcpu) => sum + vcpu[counter], 0);
}

/** What does not change while a machine stands still. */
function still({ memory, heap, tasks, vcpus }: MachineStatistics): unknown {
  return { memory, heap, tasks, vcpus };
}

/** Calls `act` at random moments, `times` in all, while programs run again and again. */
async function disturb(machine: Machine, random: Random, times: number, act: () => Promise<void>): Promise<void> {
  let runs = 0;
  let over = false;
  const programs = (async () => {
    while (!over) {
      const result = await machine.run(['sh', '-c', FORKS]);
      assert.is(result.stdout, EXPECTED);
      runs++;
    }
  })();
  try {
    for (let i = 0; i < times; i++) {
      if (random.below(3) > 0) await sleep(random.below(8));
      await act();
    }
  } finally {
    over = true;
    await programs;
  }
  assert.ok(runs > 0);
}

if (!native_host()) test('nothing to run on this host', () => {});
else
  for (const vcpus of [0, 1, 2]) {
    const where = vcpus === 0 ? 'inline' : `${vcpus} vCPU`;

    test(`counters rise with what programs do, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const before = await machine.statistics();
        assert.is(before.vcpus.length, Math.max(vcpus, 1));
        assert.is(total(before, 'instructions'), 0);
        assert.is((await machine.run(['sh', '-c', 'seq 100 | sort -n | tail -1'])).stdout, '100\n');
        const after = await machine.statistics();
        assert.ok(total(after, 'instructions') > 100_000);
        assert.ok(total(after, 'syscalls') > 100);
        assert.ok(total(after, 'task_switches') >= 4);
        assert.ok(after.tasks.created - before.tasks.created >= 4);
        const first = after.vcpus[0];
        assert.ok(first !== undefined && first.code_entries > 1000 && first.tlb_misses > 100);
        assert.ok(first.page_faults > 100 && first.code_bytes > 0);
        assert.ok(after.memory.free < after.memory.total && after.memory.page_cache > 0);
        await machine.drop_caches();
        const dropped = await machine.statistics();
        assert.is(dropped.vcpus[0]?.code_entries, 0);
        assert.is(dropped.vcpus[0]?.code_drops, first.code_drops + 1);
      }));

    test(`counters and dropped caches at random moments, ${where}`, () =>
      with_seed((random) =>
        with_machine(vcpus, async (machine) => {
          let last = 0;
          await disturb(machine, random, vcpus === 2 ? 200 : 30, async () => {
            if (random.below(5) === 0) await machine.drop_caches();
            const now = total(await machine.statistics(), 'instructions');
            assert.ok(now >= last);
            last = now;
          });
          const threads = (await machine.statistics()).vcpus.map(({ thread }) => thread);
          assert.equal(threads, vcpus === 0 ? ['caller'] : Array(vcpus).fill('worker'));
        }),
      ));

    test(`nothing changes while the machine is quiescent, ${where}`, () =>
      with_seed((random) =>
        with_machine(vcpus, async (machine) => {
          await disturb(machine, random, vcpus === 2 ? 60 : 15, async () => {
            await machine.quiesce();
            const before = await machine.statistics();
            await sleep(random.below(3));
            const after = await machine.statistics();
            machine.resume();
            assert.equal(still(after), still(before));
          });
        }),
      ));

    test(`stops nest, and what is asked meanwhile happens afterwards, ${where}`, () =>
      with_machine(vcpus, async (machine) => {
        const asleep = machine.run(['sh', '-c', 'echo ready; exec sleep 100']);
        while ((await machine.statistics()).tasks.live === 0) await sleep(1);
        await Promise.all([machine.quiesce(), machine.quiesce()]);
        const late = machine.run(['echo', 'late']);
        machine.kill('SIGTERM');
        const before = await machine.statistics();
        machine.resume();
        await sleep(20);
        assert.equal(still(await machine.statistics()), still(before));
        machine.resume();
        assert.is((await asleep).signal, 'SIGTERM');
        assert.is((await late).stdout, 'late\n');
      }));

    test(`a machine ends and closes under its controls, ${where}`, () =>
      with_seed(async (random) => {
        for (let i = 0; i < 6; i++) {
          const machine = await Machine.create({ vcpus, memory: 128 << 20 });
          const run = machine.run(['sh', '-c', FORKS]).then(
            () => 'ended',
            (error: Error) => error.message,
          );
          await sleep(random.below(400));
          if (i % 3 === 1) await machine.quiesce();
          const asked = [machine.statistics(), machine.drop_caches(), machine.quiesce()];
          if (i % 2 === 1) await sleep(random.below(3));
          const closed = machine.close();
          // Each is answered or told that the machine is gone; none waits for ever.
          await Promise.allSettled(asked);
          await closed;
          await run;
          await machine.statistics().then(
            () => assert.unreachable(),
            (error) => assert.match(error.message, /closed/),
          );
        }
      }));
  }

test.run();
