/**
 * Two vCPUs, two threads, one machine: wakes, steals, futexes, forks and signals under contention. The second thread
 * runs this same file as a worker; results go through guest memory.
 */

import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, MachineHeader } from '../../../engine/heap/machine.layout.ts';
import { bind_memory, I32 } from '../../../engine/heap/memory.ts';
import { host_clock } from '../../../engine/host/clock.ts';
import { reap_root } from '../../../engine/kernel/exit.ts';
import { KernelRoot, Scheduler } from '../../../engine/kernel/kernel.layout.ts';
import { kernel_root } from '../../../engine/kernel/kernel.ts';
import { scheduler_root } from '../../../engine/kernel/scheduler.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { epoch_try_advance } from '../../../engine/machine/frames.ts';
import { get_user_u32, put_user_u32, put_user_u64, user_atomic_address } from '../../../engine/mm/uaccess.ts';
import { read_panic } from '../../../engine/sentry/panic.ts';
import { RUN_ENDED, RUN_PANICKED, run_vcpu } from '../../../engine/sentry/run.ts';
import { install_host_clock } from '../../../engine/time/clock.ts';
import { live_counts } from '../../support/counts.ts';
import { CODE, DATA, type Guest, Script, script_machine, script_platform, spawn } from '../../support/script.ts';

const NR = { getpid: 39, clone: 56, fork: 57, exit: 60, wait4: 61, kill: 62, futex: 202, exit_group: 231 };
const THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
const THREADS = 6;
const ROUNDS = 300;
const LOCK = DATA;
const COUNT = DATA + 4;
const DONE = DATA + 8;
const COUNTER_REGISTER = 12;

function atomic(address: number, use: (word: number) => number): number {
  return use(user_atomic_address(address, true) >>> 2);
}

/** Threads that take a futex mutex (Drepper's third) around a plain counter. */
function mutex_program(): Script {
  const s = new Script();
  let thread = 0;
  for (let i = 0; i < THREADS; i++) {
    s.call(NR.clone, THREAD, DATA + 0x8000 + i * 0x1000, 0, 0, 0).jump_if(
      (g) => g.result() === 0,
      () => thread,
    );
  }
  const wait = s.here();
  s.do((g) => g.set(13, get_user_u32(DONE)));
  let finish = 0;
  s.jump_if(
    (g) => g.get(13) === THREADS,
    () => finish,
  );
  s.call(NR.futex, DONE, 128, (g) => g.get(13), 0).jump_if(
    () => true,
    () => wait,
  );
  finish = s.here();
  s.do((g) => g.set(14, get_user_u32(COUNT))).call(NR.exit_group, (g) => (g.get(14) === THREADS * ROUNDS ? 0 : 1));
  thread = s.here();
  s.do((g) => g.set(COUNTER_REGISTER, 0));
  const again = s.here();
  let locked = 0;
  s.jump_if(
    () => atomic(LOCK, (w) => Atomics.compareExchange(I32, w, 0, 1)) === 0,
    () => locked,
  );
  const contended = s.here();
  s.jump_if(
    () => atomic(LOCK, (w) => Atomics.exchange(I32, w, 2)) === 0,
    () => locked,
  );
  s.call(NR.futex, LOCK, 128, 2, 0).jump_if(
    () => true,
    () => contended,
  );
  locked = s.here();
  s.do((g) => g.set(14, get_user_u32(COUNT)));
  s.do((g) => put_user_u32(COUNT, g.get(14) + 1));
  let unlocked = 0;
  s.jump_if(
    () => atomic(LOCK, (w) => Atomics.exchange(I32, w, 0)) === 1,
    () => unlocked,
  );
  s.call(NR.futex, LOCK, 129, 1);
  unlocked = s.here();
  s.do((g) => g.set(COUNTER_REGISTER, g.get(COUNTER_REGISTER) + 1));
  s.jump_if(
    (g) => g.get(COUNTER_REGISTER) < ROUNDS,
    () => again,
  );
  s.do(() => atomic(DONE, (w) => Atomics.add(I32, w, 1)))
    .call(NR.futex, DONE, 129, 1)
    .call(NR.exit, 0);
  return s;
}

/** Forks, waits and kills in a tree; every status is checked. */
function fork_program(): Script {
  const s = new Script();
  let child = 0;
  let victim = 0;
  let bad = 0;
  s.do((g) => g.set(COUNTER_REGISTER, 0));
  const again = s.here();
  s.call(NR.fork)
    .jump_if(
      (g) => g.result() === 0,
      () => child,
    )
    .do((g) => g.set(13, g.result()));
  s.call(NR.fork)
    .jump_if(
      (g) => g.result() === 0,
      () => victim,
    )
    .do((g) => g.set(14, g.result()));
  s.call(NR.kill, (g) => g.get(14), 15);
  s.call(NR.wait4, (g) => g.get(14), DATA + 0x40, 0, 0).jump_if(
    () => get_user_u32(DATA + 0x40) !== 15,
    () => bad,
  );
  s.call(NR.wait4, (g) => g.get(13), DATA + 0x40, 0, 0).jump_if(
    () => get_user_u32(DATA + 0x40) !== 7 << 8,
    () => bad,
  );
  s.do((g) => g.set(COUNTER_REGISTER, g.get(COUNTER_REGISTER) + 1));
  s.jump_if(
    (g) => g.get(COUNTER_REGISTER) < 60,
    () => again,
  );
  s.call(NR.exit_group, 0);
  bad = s.here();
  s.call(NR.exit_group, 1);
  child = s.here();
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => victim2,
  );
  s.call(NR.wait4, -1, 0, 0, 0).call(NR.exit_group, 7);
  const victim2 = s.here();
  s.call(NR.getpid).call(NR.exit_group, 0);
  victim = s.here();
  s.do(() => {}).jump_if(
    () => true,
    () => victim,
  );
  return s;
}

/** One process per side passes a token through a shared futex many times: pure wake latency and steals. */
function ping_pong_program(): Script {
  const s = new Script();
  let thread = 0;
  const side = (own: number, other: number): void => {
    s.do((g) => g.set(COUNTER_REGISTER, 0));
    const again = s.here();
    let go = 0;
    s.jump_if(
      () => get_user_u32(LOCK) === own,
      () => go,
    );
    s.call(NR.futex, LOCK, 128, other, 0).jump_if(
      () => true,
      () => again,
    );
    go = s.here();
    s.do(() => put_user_u32(LOCK, other)).call(NR.futex, LOCK, 129, 1);
    s.do((g) => g.set(COUNTER_REGISTER, g.get(COUNTER_REGISTER) + 1));
    s.jump_if(
      (g) => g.get(COUNTER_REGISTER) < 500,
      () => again,
    );
  };
  s.do(() => put_user_u64(LOCK, 0));
  s.call(NR.clone, THREAD, DATA + 0x8000, 0, 0, 0).jump_if(
    (g) => g.result() === 0,
    () => thread,
  );
  side(0, 1);
  s.call(NR.exit, 0);
  thread = s.here();
  side(1, 0);
  s.call(NR.exit, 0);
  return s;
}

function panic_program(): Script {
  const s = new Script();
  let child = 0;
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  const spin = s.here();
  s.do(() => {}).jump_if(
    () => true,
    () => spin,
  );
  child = s.here();
  s.do((_g: Guest) => {
    throw new Error('boom');
  });
  return s;
}

const PROGRAMS: Record<string, () => Script> = {
  mutex: mutex_program,
  fork: fork_program,
  ping_pong: ping_pong_program,
  panic: panic_program,
};

/** Runs a program on two vCPUs: what this thread's vCPU ended with, and the wait status. */
async function run_on_two(name: string): Promise<{ end: number; status: number }> {
  const memory = script_machine({ time: { clock: 'real' }, map: { vcpus: 2 }, slice_fuel: 500 });
  const boot = live_counts();
  const pid = Task.tid.get(spawn(CODE));
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { memory, name } });
  const gone = new Promise((resolve) => worker.on('exit', resolve));
  while (Scheduler.online.load(scheduler_root()) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const end = run_vcpu(0, script_platform((PROGRAMS[name] as () => Script)()), true);
  assert.is(await gone, 0);
  if (end === RUN_PANICKED || MachineHeader.panic_flag.load(MACHINE) !== 0) return { end, status: -1 };
  const status = reap_root(pid);
  // Frames that one vCPU retired while the other still ran are free once the epochs have gone by.
  for (let i = 0; i < 4 && MachineHeader.retired_count.get(MACHINE) !== 0; i++) epoch_try_advance();
  assert.equal(live_counts(), boot);
  return { end, status };
}

if (isMainThread) {
  for (const name of ['mutex', 'fork', 'ping_pong'])
    test(`${name} on two vCPUs`, async () => {
      const { end, status } = await run_on_two(name);
      assert.is(read_panic(), '');
      assert.is(end, RUN_ENDED);
      assert.is(status, 0);
    });

  test('a panic on one vCPU ends the other, whatever it runs', async () => {
    await run_on_two('panic');
    assert.match(read_panic(), /boom/);
    assert.ok(KernelRoot.ended.load(kernel_root()) !== 0);
  });
  test.run();
} else {
  const { memory, name } = workerData as { memory: WebAssembly.Memory; name: string };
  bind_memory(memory);
  install_host_clock(host_clock);
  run_vcpu(1, script_platform((PROGRAMS[name] as () => Script)()), true);
}
