/**
 * What is left of a closed machine in the process: no handle of the event loop, no thread, no descriptor of the host,
 * no listener on the caller's streams, no memory. However it came to be closed.
 */
import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../engine/base/types.ts';
import { Machine, type MachineOptions, type TvisorError } from '../../engine/index.ts';
import { find_task } from '../../engine/kernel/pid.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { Mm } from '../../engine/mm/mm.layout.ts';
import { GUEST_FILES, native_host } from '../support/guest.ts';

/** Long enough that vCPU threads are started. */
const LONG = 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; seq 1 100 | sort | tail -1';

/** Descriptors by what they lead to; nothing where the host does not tell. */
function descriptors(): string[] {
  if (!existsSync('/proc/self/fd')) return [];
  const found: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      found.push(readlinkSync(`/proc/self/fd/${fd}`).replace(/\[\d+\]/, ''));
    } catch {
      // The one that listed the directory is closed again.
    }
  }
  // Node's cryptography opens it again now and then (Node 24), whoever asks for random bytes.
  return found.filter((target) => target !== '/dev/urandom').sort();
}

interface Held {
  readonly handles: readonly string[];
  readonly threads: number;
  readonly descriptors: readonly string[];
}

function held(): Held {
  const threads = existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0;
  // What the test's own pauses and output are made of.
  const own = ['Timeout', 'Immediate', 'PipeWrap', 'TTYWrap', 'FSReqCallback', 'FSReqPromise', 'CloseReq'];
  const handles = process.getActiveResourcesInfo().filter((name) => !own.includes(name));
  return { handles: handles.sort(), threads, descriptors: descriptors() };
}

/** Waits for what ends a moment later, and compares. */
async function expect_held(before: Held): Promise<void> {
  for (let i = 0; i < 100 && JSON.stringify(held()) !== JSON.stringify(before); i++) await sleep(20);
  assert.equal(held(), before);
}

async function rejects(run: Promise<unknown>): Promise<TvisorError> {
  return run.then(
    () => assert.unreachable() as never,
    (error: TvisorError) => error,
  );
}

/** Breaks the kernel below the programs in progress. */
function break_kernel(machine: Machine): void {
  const { enter, running } = machine as unknown as { enter(): void; running: ReadonlyMap<number, unknown> };
  enter.call(machine);
  const [pid = 0] = running.keys();
  Mm.refs.store(Task.mm.get(find_task(pid)) as Ptr<'Mm'>, 0);
}

const ENDS: Readonly<Record<string, (machine: Machine) => Promise<void>>> = {
  'without a program': async (machine) => machine.close(),
  'after a program': async (machine) => {
    assert.is((await machine.run(['sh', '-c', LONG])).stdout, '99\n');
    await machine.close();
  },
  'just after a program has ended': async (machine) => {
    await machine.run(['true']);
    await machine.close();
  },
  'during a program': async (machine) => {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const run = rejects(machine.run(['sh', '-c', 'echo up; while :; do :; done'], { stdin, stdout }));
    await new Promise((up) => stdout.once('data', up));
    await sleep(200);
    await machine.close();
    assert.match((await run).message, /closed while a program ran/);
    await sleep(0);
    for (const event of ['data', 'end', 'error', 'drain'])
      assert.is(stdin.listenerCount(event) + stdout.listenerCount(event), 0, event);
  },
  'while programs start': async (machine) => {
    const runs = [1, 2, 3].map(() => rejects(machine.run(['sh', '-c', LONG])));
    await machine.close();
    await Promise.all(runs);
  },
  'after a panic': async (machine) => {
    await machine.run(['sh', '-c', LONG]);
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const run = rejects(machine.run(['cat'], { stdin, stdout }));
    stdin.write('up');
    await new Promise((up) => stdout.once('data', up));
    break_kernel(machine);
    stdin.end();
    assert.is((await run).status, 125);
    await machine.close();
  },
  'after a limit of time': async (machine) => {
    assert.ok((await machine.run(['sh', '-c', 'while :; do :; done'], { timeout: 300 })).timedOut);
    await machine.close();
  },
  'with a terminal': async (machine) => {
    const input = new PassThrough();
    const run = rejects(machine.run(['cat'], { terminal: { rows: 24, columns: 80, input } }));
    await sleep(100);
    await machine.close();
    await run;
  },
};

/** `options` of a machine that traces system calls into a file. */
function traced(vcpus: number): MachineOptions {
  mkdirSync(GUEST_FILES, { recursive: true });
  return { vcpus, memory: 64 << 20, strace: join(GUEST_FILES, `close.${process.pid}.strace`) };
}

if (!native_host()) test('nothing to run on this host', () => {});
else {
  // What the process keeps from its first threads on is no machine's.
  test.before(async () => {
    const machine = await Machine.create(traced(2));
    await machine.run(['sh', '-c', LONG]);
    await machine.close();
    await sleep(100);
  });
  test.after(() => rmSync(traced(0).strace as string, { force: true }));

  for (const vcpus of [0, 1, 2])
    for (const [how, end] of Object.entries(ENDS))
      test(`nothing is left of a machine closed ${how}, ${vcpus === 0 ? 'inline' : `${vcpus} vCPU`}`, async () => {
        const before = held();
        assert.equal(before.handles, []);
        const machine = await Machine.create(traced(vcpus));
        try {
          await end(machine);
        } finally {
          await machine.close();
        }
        await expect_held(before);
      });

  test('fifty machines in a row take the memory of a few', async () => {
    const before = held();
    let early = 0;
    for (let i = 0; i < 50; i++) {
      const machine = await Machine.create({ vcpus: 1, memory: 256 << 20 });
      assert.is((await machine.run(['sh', '-c', 'head -c 6000000 /dev/zero | tail -c 4000000 | wc -c'])).exitCode, 0);
      await machine.close();
      if (i === 9) early = process.memoryUsage().rss;
    }
    await expect_held(before);
    // Each machine used some 10 MB; a closed one's memory goes with the next collection of garbage.
    const grown = process.memoryUsage().rss - early;
    assert.ok(grown < 200 << 20, `${Math.round(grown / (1 << 20))} MiB more after fifty machines than after ten`);
  });
}

test.run();
