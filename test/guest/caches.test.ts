/**
 * What a thread remembers of a machine may be forgotten at any moment: every registered cache (base/caches.ts) is
 * dropped at random points while programs run, and what they print stays the same.
 *
 *     TVISOR_SEED=7 node dist/test/run.js guest/caches
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drop_thread_caches, thread_caches } from '../../engine/base/caches.ts';
import { Machine } from '../../engine/index.ts';
import { platform_hooks } from '../../engine/sentry/run.ts';
import { compile, native_host } from '../support/guest.ts';
import { type Random, with_seed } from '../support/seeds.ts';

const SCRIPT = 'seq 1 300 | sort -rn | head -2; echo $(echo nested); ls / | wc -l; (sleep 0.01; echo late) & wait';
const PROGRAMS = ['pthreads', 'signal_storm', 'mmap_games', 'poll_epoll', 'fork_tree'];

function commands(): readonly (readonly string[])[] {
  return [['sh', '-c', SCRIPT], ...PROGRAMS.map((name) => [compile(name, 'static')])];
}

/** What the programs print and how they end. */
async function outcomes(machine: Machine): Promise<string[]> {
  const results: string[] = [];
  for (const command of commands()) {
    const { stdout, exitCode } = await machine.run(command);
    results.push(`${command[0]}: ${exitCode}\n${stdout}`);
  }
  return results;
}

async function with_machine(vcpus: number, use: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.create({ vcpus, memory: 128 << 20 });
  try {
    await use(machine);
  } finally {
    await machine.close();
  }
}

/** Drops caches of this thread after random system calls of its vCPU while `use` runs; how often. */
async function dropping(random: Random, use: () => Promise<void>): Promise<number> {
  const hooks = platform_hooks as { syscall(): number };
  const { syscall } = platform_hooks;
  let drops = 0;
  hooks.syscall = () => {
    const result = syscall();
    if (random.below(5) !== 0) return result;
    // Each alone, or all at once.
    const caches = thread_caches();
    const which = random.below(caches.length + 1);
    if (which === caches.length) drop_thread_caches();
    else caches[which]?.drop();
    drops++;
    return result;
  };
  try {
    await use();
  } finally {
    hooks.syscall = syscall;
  }
  return drops;
}

if (!native_host()) test('nothing to run on this host', () => {});
else {
  test('the caches of a thread are registered', () => {
    const names = thread_caches().map(({ name }) => name);
    for (const name of ['slab descriptors', 'TLB', 'code', 'random bytes', 'argument types'])
      assert.ok(names.includes(name), name);
    assert.is(new Set(names).size, names.length);
  });

  test('any cache dropped after random system calls changes nothing, inline', () =>
    with_seed((random) =>
      with_machine(0, async (machine) => {
        const plain = await outcomes(machine);
        const drops = await dropping(random, async () => assert.equal(await outcomes(machine), plain));
        assert.ok(drops > 50, `${drops} drops`);
      }),
    ));

  for (const vcpus of [1, 2])
    test(`every cache of every thread dropped at random moments changes nothing, ${vcpus} vCPU`, () =>
      with_seed((random) =>
        with_machine(vcpus, async (machine) => {
          const plain = await outcomes(machine);
          let over = false;
          let drops = 0;
          const dropper = (async () => {
            while (!over) {
              await machine.drop_caches();
              drops++;
              if (random.below(3) > 0) await sleep(random.below(12));
            }
          })();
          try {
            // A thread that is being started answers late.
            do assert.equal(await outcomes(machine), plain);
            while (drops < 20);
          } finally {
            over = true;
            await dropper;
          }
        }),
      ));
}

test.run();
