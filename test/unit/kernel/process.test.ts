import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CLONE_PIDFD } from '../../../engine/abi/clone.ts';
import { EAGAIN, ECHILD, EFAULT, ESRCH } from '../../../engine/abi/errno.ts';
import { SCHED_RESET_ON_FORK } from '../../../engine/abi/sched.ts';
import { SIGCONT, SIGKILL, SIGSTOP, SIGTERM } from '../../../engine/abi/signal.ts';
import { get_user_i32, get_user_u32, put_user_u32 } from '../../../engine/mm/uaccess.ts';
import { read_panic } from '../../../engine/sentry/panic.ts';
import { run_vcpu } from '../../../engine/sentry/run.ts';
import { monotonic_ns } from '../../../engine/time/clock.ts';
import { DATA, run_script, Script, script_machine, script_platform, spawn } from '../../support/script.ts';

const NR = {
  pause: 34,
  nanosleep: 35,
  getpid: 39,
  clone: 56,
  fork: 57,
  vfork: 58,
  exit: 60,
  wait4: 61,
  kill: 62,
  getppid: 110,
  setpgid: 109,
  setsid: 112,
  sched_setscheduler: 144,
  sched_getscheduler: 145,
  gettid: 186,
  exit_group: 231,
  pidfd_open: 434,
  waitid: 247,
};

test('a process exits with its status', () => {
  assert.is(run_script(new Script().call(NR.exit_group, 7)), 7 << 8);
  assert.is(run_script(new Script().call(NR.exit, 3)), 3 << 8);
});

test('fork, exit and wait4 hand over the status', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.do((g) => seen.push(g.result()));
  s.call(NR.wait4, -1, DATA, 0, 0).do((g) => seen.push(g.result(), get_user_u32(DATA)));
  s.call(NR.wait4, -1, 0, 0, 0).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.getppid).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 42);
  assert.is(run_script(s), 0);
  assert.equal(seen, [2, 1, 2, 42 << 8, -ECHILD]);
});

test('clone with CLONE_PIDFD fails before there is a child when the descriptor cannot be stored', () => {
  const seen: number[] = [];
  const s = new Script();
  s.call(NR.clone, CLONE_PIDFD | 17, 0, 8).do((g) => seen.push(g.result()));
  s.call(NR.wait4, -1, 0, 0, 0).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  assert.is(run_script(s), 0);
  assert.equal(seen, [-EFAULT, -ECHILD]);
});

test('waitid on a pidfd that does not block answers EAGAIN until the child has ended', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.call(NR.pidfd_open, 2, 0o4000).do((g) => seen.push(g.result()));
  s.call(NR.waitid, 3, 0, DATA, 4, 0).do((g) => seen.push(g.result()));
  s.call(NR.waitid, 0, 0, DATA, 4 | 0x100_0000, 0);
  s.call(NR.waitid, 3, 0, DATA, 4, 0).do((g) => seen.push(g.result(), get_user_i32(DATA + 16)));
  s.call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.exit_group, 0);
  assert.is(run_script(s), 0);
  assert.equal(seen, [0, -EAGAIN, 0, 2]);
});

test('SCHED_RESET_ON_FORK gives a child the default policy', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  s.do(() => put_user_u32(DATA, 10));
  s.call(NR.sched_setscheduler, 0, 1 | SCHED_RESET_ON_FORK, DATA).do((g) => seen.push(g.result()));
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.call(NR.wait4, -1, 0, 0, 0);
  s.call(NR.sched_getscheduler, 0).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.sched_getscheduler, 0).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  assert.is(run_script(s), 0);
  assert.equal(seen, [0, 0, 1 | SCHED_RESET_ON_FORK]);
});

test('vfork holds the parent until the child exits', () => {
  const seen: string[] = [];
  const s = new Script();
  let child = 0;
  s.call(NR.vfork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.do(() => seen.push('parent')).call(NR.exit_group, 0);
  child = s.here();
  s.do(() => seen.push('child')).call(NR.exit_group, 0);
  run_script(s);
  assert.equal(seen, ['child', 'parent']);
});

test('nanosleep lets virtual time jump', () => {
  let before = 0;
  let after = 0;
  const s = new Script();
  s.do(() => {
    put_user_u32(DATA, 5);
    put_user_u32(DATA + 8, 1000);
    before = monotonic_ns();
  });
  s.call(NR.nanosleep, DATA, 0).do(() => {
    after = monotonic_ns();
  });
  s.call(NR.exit_group, 0);
  run_script(s);
  assert.ok(after - before >= 5_000_001_000);
  assert.ok(after - before < 5_000_100_000);
});

test('a signal ends a sleeping child; stop and continue are reported', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.call(NR.kill, 2, SIGSTOP).call(NR.wait4, 2, DATA, 2, 0);
  s.do((g) => seen.push(g.result(), get_user_i32(DATA)));
  s.call(NR.kill, 2, SIGCONT).call(NR.wait4, 2, DATA, 8, 0);
  s.do((g) => seen.push(g.result(), get_user_i32(DATA)));
  s.call(NR.kill, 2, SIGTERM).call(NR.wait4, 2, DATA, 0, 0);
  s.do((g) => seen.push(g.result(), get_user_i32(DATA)));
  s.call(NR.kill, 2, 0).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.pause).call(NR.exit_group, 1);
  run_script(s);
  assert.equal(seen, [2, (SIGSTOP << 8) | 0x7f, 2, 0xffff, 2, SIGTERM, -ESRCH]);
});

test('the task limit is EAGAIN, and the end of the root kills the rest', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  const again = s.here();
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.jump_if(
    (g) => g.result() > 0,
    () => again,
  );
  s.do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.pause).call(NR.exit_group, 1);
  assert.is(run_script(s, { task_limit: 20 }), 0);
  assert.equal(seen, [-EAGAIN]);
});

test('threads share the process; exit_group ends them all', () => {
  const seen: number[] = [];
  const s = new Script();
  const THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x40000;
  let thread = 0;
  s.call(NR.clone, THREAD, DATA + 0x8000, 0, 0, 0).jump_if(
    (g) => g.result() === 0,
    () => thread,
  );
  s.call(NR.pause).call(NR.exit_group, 1);
  thread = s.here();
  s.call(NR.getpid).do((g) => seen.push(g.result()));
  s.call(NR.gettid).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 9);
  assert.is(run_script(s), 9 << 8);
  assert.equal(seen, [1, 2]);
});

test('a broken invariant is a report, not a crash', () => {
  const s = new Script().do(() => {
    throw new Error('boom');
  });
  script_machine();
  spawn(0x40_0000);
  assert.is(run_vcpu(0, script_platform(s), false), 3);
  assert.match(read_panic(), /kernel panic: boom[\s\S]*task 1/);
});

test('fuel and time limits kill the processes', () => {
  const s = new Script();
  s.do(() => {}).jump_if(
    () => true,
    () => 0x40_0000,
  );
  assert.is(run_script(s, { fuel_limit: 1e6 }), SIGKILL);
  const sleeper = new Script().call(NR.pause);
  assert.is(run_script(sleeper, { time_limit_ns: 1e9 }), SIGKILL);
});

test.run();
