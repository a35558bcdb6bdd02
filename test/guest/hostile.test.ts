/**
 * Guests that mean harm: system calls with garbage, one resource taken without end, loops without end, signals that
 * are ignored, a kernel that broke. The limits hold, the process and its other machines live.
 *
 *     TVISOR_SEED=7 TVISOR_FUZZ_CALLS=60000 TVISOR_FUZZ_RUNS=40 node dist/test/run.js guest/hostile
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../engine/base/types.ts';
import { Machine, TvisorError } from '../../engine/index.ts';
import { find_task } from '../../engine/kernel/pid.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { Mm } from '../../engine/mm/mm.layout.ts';
import { quiet_counts } from '../support/counts.ts';
import { compile, native_host, REPOSITORY } from '../support/guest.ts';

const SMALL = 64 << 20;
const TVISOR = join(REPOSITORY, 'dist', 'bundle', 'tvisor.cjs');

/** What tests look at behind the library's face. */
interface Inside {
  enter(): void;
  readonly running: ReadonlyMap<number, unknown>;
}

function inside(machine: Machine): Inside {
  return machine as unknown as Inside;
}

async function with_machine(vcpus: number, use: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.create({ vcpus, memory: SMALL });
  try {
    await use(machine);
  } finally {
    await machine.close();
  }
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

function fuzz(vcpus: number): void {
  const where = vcpus === 0 ? 'inline, virtual clock' : `${vcpus} vCPU`;
  test(`system calls with garbage, ${where}`, async () => {
    const first = Number(process.env.TVISOR_SEED ?? (process.env.CI === undefined ? Date.now() % 0x7fff_ffff : 1));
    const calls = process.env.TVISOR_FUZZ_CALLS ?? '4000';
    for (let seed = first; seed < first + Number(process.env.TVISOR_FUZZ_RUNS ?? 1); seed++) {
      const clock = vcpus === 0 ? 'virtual' : 'real';
      const machine = await Machine.create({ vcpus, memory: 128 << 20, clock, seed });
      const repeat = `seed ${seed} (repeat: TVISOR_SEED=${seed} node dist/test/run.js guest/hostile)`;
      try {
        const argv = [compile('hostile/fuzz', 'static'), String(seed), calls, '3', '2'];
        const run = await machine.run(argv, { timeout: 120_000 });
        assert.match(run.stdout, /^\d+ calls, \d+ deaths$/m, repeat);
        assert.is(run.exitCode, 0, repeat);
      } catch (error) {
        console.log(repeat, error instanceof TvisorError ? error.report : '');
        throw error;
      } finally {
        await machine.close();
      }
    }
  });
}

/** What stops each kind of greed: the guest's own words, or the signal that ends it. */
const GREED: Readonly<Record<string, string>> = {
  fork: 'SIGKILL',
  thread: 'thread: EAGAIN',
  map: 'mmap: ENOMEM',
  touch: 'SIGKILL',
  areas: 'mprotect: ENOMEM',
  brk: 'SIGKILL',
  shared: 'SIGKILL',
  overlay: 'write: ENOSPC',
  tmpfs: 'write: ENOSPC',
  names: 'create: ENOSPC',
  directories: 'mkdir: ENOSPC',
  files: 'descriptor: ENFILE',
  'pipe-pairs': 'descriptor: ENOMEM',
  memfds: 'descriptor: ENOSPC',
  'pipe-bytes': 'SIGKILL',
  nest: 'epoll_ctl: ELOOP',
  stack: 'SIGSEGV',
};

function greed(what: string, expected: string): void {
  test(`takes without end: ${what}`, () =>
    with_machine(1, (other) =>
      with_machine(2, async (machine) => {
        const command = [compile('hostile/greedy', 'static'), what];
        const [run, beside] = await Promise.all([machine.run(command), other.run(['sh', '-c', 'echo beside'])]);
        assert.is(run.signal ?? run.stdout.trim(), expected);
        assert.is(beside.stdout, 'beside\n');
        assert.is((await machine.run(['sh', '-c', 'echo $(echo alive)'])).stdout, 'alive\n');
      }),
    ));
}

/** What fills the kernel heap with records of one class, what stops that, and what removes what stays behind. */
const HEAP_FILLERS: readonly (readonly [what: string, expected: string, remove: string])[] = [
  ['signals', 'sigqueue: EAGAIN', ''],
  ['eventfds', 'descriptor: ENOMEM', ''],
  ['links', 'symlink: ENOSPC', 'rm -r /tmp/links'],
  ['epolls', 'descriptor: ENOMEM', ''],
  ['areas', 'mprotect: ENOMEM', ''],
  ['attributes', 'attributes: ENOSPC', 'rm -r /tmp/names'],
  ['timerfds', 'descriptor: ENOMEM', ''],
  ['messages', 'msgsnd: ENOMEM', 'ipc'],
  ['semaphores', 'semget: ENOMEM', 'ipc'],
  ['signals', 'sigqueue: EAGAIN', ''],
];

const BUSY: Readonly<Record<string, string>> = {
  'a shell loop': 'while :; do :; done',
  'ignored signals': 'trap "" INT TERM HUP QUIT; while :; do sleep 0.01; done',
  'a session of its own': 'setsid sh -c "while :; do :; done" & sleep 1000',
  'a tree': 'for i in 1 2 3 4; do (while :; do echo x > /tmp/f$i; done) & done; wait',
  'a blocked pipe': 'sleep 1000 | cat',
  stopped: 'kill -STOP $$',
};

/** What test/guest/hostile/endless.c does without end. */
const ENDLESS = [
  'rep-load',
  'rep-move',
  'rep-scan',
  'rewrite',
  'rewrite-itself',
  'syscalls',
  'wrong-syscalls',
  'timers',
  'sleeps',
  'faults',
];

function endless(what: string, vcpus: number): void {
  test(`a limit of time ends ${what} without end, ${vcpus === 0 ? 'inline' : `${vcpus} vCPUs`}`, () =>
    with_machine(1, (other) =>
      with_machine(vcpus, async (machine) => {
        const run = machine.run([compile('hostile/endless', 'static'), what], { timeout: 500 });
        const beside = await other.run(['sh', '-c', 'echo $(echo beside)']);
        assert.is(beside.stdout, 'beside\n');
        const { signal, timedOut, stdout } = await run;
        assert.equal({ signal, timedOut, stdout }, { signal: 'SIGKILL', timedOut: true, stdout: 'begun\n' });
        assert.is((await machine.run(['echo', 'alive'])).stdout, 'alive\n');
      }),
    ));
}

function signalled(signals: readonly NodeJS.Signals[], script: string): Promise<{ status: number; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [TVISOR, 'do', '--memory=64M', '--', 'sh', '-c', `echo up; ${script}`]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdout.once('data', async () => {
      for (const signal of signals) {
        child.kill(signal);
        await pause(200);
      }
    });
    child.on('close', (code) => resolve({ status: code ?? -1, stderr }));
  });
}

if (!native_host()) test('nothing to run on this host', () => {});
else {
  for (const vcpus of [0, 1, 2]) fuzz(vcpus);
  for (const [what, expected] of Object.entries(GREED)) greed(what, expected);

  test('a heap that one class after another has filled starts programs afterwards', () =>
    with_machine(2, async (machine) => {
      const greedy = compile('hostile/greedy', 'static');
      const pipeline = ['sh', '-c', 'seq 1 1000 | sort -rn | (head -2; cat >/dev/null); echo $(echo alive)'];
      const boot = await quiet_counts(machine);
      for (const [what, expected, remove] of HEAP_FILLERS) {
        const filled = await machine.run([greedy, what]);
        assert.is(filled.signal ?? filled.stdout.trim(), expected);
        assert.is((await machine.run(pipeline)).stdout, '1000\n999\nalive\n', what);
        if (remove === 'ipc') await machine.run([greedy, 'remove-ipc']);
        else if (remove !== '') assert.is((await machine.run(['sh', '-c', remove])).exitCode, 0, what);
      }
      assert.equal(await quiet_counts(machine), boot);
    }));

  for (const what of ENDLESS) for (const vcpus of [0, 2]) endless(what, vcpus);

  for (const [what, script] of Object.entries(BUSY))
    test(`a limit of time ends ${what}`, () =>
      with_machine(2, async (machine) => {
        const run = await machine.run(['sh', '-c', script], { timeout: 400 });
        assert.is(run.signal, 'SIGKILL');
        assert.ok(run.timedOut);
        assert.is((await machine.run(['echo', 'alive'])).stdout, 'alive\n');
      }));

  test('readers of /proc meet processes that come and go, sanitized heap', async () => {
    const machine = await Machine.create({ vcpus: 2, memory: 256 << 20, sanitize: true });
    try {
      const run = await machine.run([compile('proc_storm', 'dynamic'), '40'], { timeout: 120_000 });
      assert.is(run.stdout, '40 rounds\n', run.stderr);
    } finally {
      await machine.close();
    }
  });

  for (const vcpus of [0, 2])
    test(`a broken kernel ends its machine with a report, ${vcpus} vCPU`, async () => {
      const machine = await Machine.create({ vcpus, memory: SMALL });
      const stdin = new PassThrough();
      const run = machine.run(['cat'], { stdin }).then(
        () => assert.unreachable(),
        (error: unknown) => error as TvisorError,
      );
      await pause(400);
      inside(machine).enter();
      const [pid = 0] = inside(machine).running.keys();
      Mm.refs.store(Task.mm.get(find_task(pid)) as Ptr<'Mm'>, 0);
      stdin.end();
      const error = (await run) as TvisorError;
      assert.is(error.status, 125);
      assert.match(error.line(), /^tvisor: kernel panic: [^\n]*; [^\n]*$/);
      assert.match(
        error.report,
        /task \d+ \(cat\)[\s\S]*(no system call|syscall \d+ exit)[\s\S]*\n {4}at [\s\S]*records: [\s\S]*Task \d/,
      );
      await machine.run(['true']).then(
        () => assert.unreachable(),
        (again: unknown) => assert.is(again, error),
      );
      await machine.close();
      await with_machine(vcpus, async (other) => assert.is((await other.run(['echo', 'on'])).stdout, 'on\n'));
    });

  test('tvisor do passes signals on, and the third ends it', async () => {
    const handled = await signalled(['SIGTERM'], 'trap "exit 3" TERM; while :; do sleep 0.01; done');
    assert.is(handled.status, 3, handled.stderr);
    const dead = await signalled(['SIGHUP'], 'while :; do :; done');
    assert.is(dead.status, 129, dead.stderr);
    const stubborn = await signalled(['SIGINT', 'SIGINT', 'SIGINT'], 'trap "" INT; while :; do :; done');
    assert.is(stubborn.status, 130, stubborn.stderr);
    assert.match(stubborn.stderr, /^tvisor: ended by the third SIGINT; [^\n]*\n$/);
  });
}

test.run();
