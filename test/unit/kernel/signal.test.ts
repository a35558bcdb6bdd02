import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, ECHILD, EFAULT, EINTR } from '../../../engine/abi/errno.ts';
import {
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SIGALRM,
  SIGCHLD,
  SIGFPE,
  SIGKILL,
  SIGSEGV,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
} from '../../../engine/abi/signal.ts';
import { CpuState, RAX, RCX, RDI, RDX, RSI, RSP } from '../../../engine/machine/cpu.layout.ts';
import { rflags_get, rflags_set } from '../../../engine/machine/cpu.ts';
import { get_user_i32, get_user_u32, get_user_u64, put_user_u32, put_user_u64 } from '../../../engine/mm/uaccess.ts';
import { monotonic_ns } from '../../../engine/time/clock.ts';
import { DATA, type Guest, run_script, Script } from '../../support/script.ts';

const NR = {
  rt_sigaction: 13,
  rt_sigprocmask: 14,
  rt_sigreturn: 15,
  pause: 34,
  nanosleep: 35,
  setitimer: 38,
  getpid: 39,
  fork: 57,
  exit: 60,
  wait4: 61,
  kill: 62,
  rt_sigpending: 127,
  rt_sigtimedwait: 128,
  rt_sigqueueinfo: 129,
  rt_sigsuspend: 130,
  sigaltstack: 131,
  timer_create: 222,
  timer_settime: 223,
  timer_delete: 226,
  timer_getoverrun: 225,
  exit_group: 231,
};
const ACT = DATA + 0x1000;
const FLAGS = SA_RESTORER;

/** Installs a handler at the script address that `handler` answers when the step runs. */
function on(s: Script, signo: number, handler: () => number, flags = 0, mask = 0): void {
  s.do(() => {
    put_user_u64(ACT, handler());
    put_user_u64(ACT + 8, handler() > 1 ? (FLAGS | flags) >>> 0 : 0);
    put_user_u64(ACT + 16, 1);
    put_user_u64(ACT + 24, mask);
  });
  s.call(NR.rt_sigaction, signo, ACT, 0, 8);
}

/** The end of a handler: return pops the restorer's address, which makes the call. */
function sigreturn(s: Script): void {
  s.do((g) => g.set(RSP, g.get(RSP) + 8)).call(NR.rt_sigreturn);
}

function timespec(at: number, ns: number): void {
  put_user_u64(at, Math.floor(ns / 1e9));
  put_user_u64(at + 8, ns % 1e9);
}

/** Starts a child that sends `signo` to its parent after 1 ms and ends 1 ms later. */
function shoot_later(s: Script, signo: number): () => void {
  let child = 0;
  s.do(() => timespec(DATA + 0x2000, 1e6));
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  return () => {
    child = s.here();
    s.call(NR.nanosleep, DATA + 0x2000, 0).call(NR.kill, 1, signo);
    s.call(NR.nanosleep, DATA + 0x2000, 0).call(NR.exit_group, 0);
  };
}

test('a handler gets its arguments, and sigreturn restores every register', () => {
  const seen: number[] = [];
  const before: number[] = [];
  const s = new Script();
  let handler = 0;
  on(s, SIGUSR1, () => handler, SA_SIGINFO);
  s.do((g) => {
    g.set(RCX, 0x1234);
    rflags_set(g.cpu, 0xcd5);
    CpuState.mxcsr.set(g.cpu, 0x1fa0);
    before.push(g.get(RSP), rflags_get(g.cpu));
  });
  s.do((g) => {
    g.set(RAX, NR.kill);
    g.set(RDI, 1);
    g.set(RSI, SIGUSR1);
  });
  s.steps.push(s.steps[1 + 1] as (g: Guest) => void);
  s.do((g) => {
    seen.push(g.result(), g.get(RCX), CpuState.mxcsr.get(g.cpu));
    assert.equal([g.get(RSP), rflags_get(g.cpu)], before);
  });
  s.call(NR.exit_group, 0);
  handler = s.here();
  s.do((g) => {
    const frame = g.get(RSP);
    seen.push(g.get(RDI), frame % 16, get_user_i32(g.get(RSI)), get_user_u32(g.get(RSI) + 16));
    seen.push(get_user_u64(g.get(RDX) + 40 + 14 * 8), rflags_get(g.cpu) & 0x400, CpuState.mxcsr.get(g.cpu));
    g.set(RCX, 99);
  });
  sigreturn(s);
  assert.is(run_script(s), 0);
  assert.equal(seen, [SIGUSR1, 8, SIGUSR1, 1, 0x1234, 0, 0x1f80, 0, 0x1234, 0x1fa0]);
});

test('SA_RESTART starts a wait again; without it the call answers EINTR', () => {
  for (const flags of [SA_RESTART, 0]) {
    const seen: number[] = [];
    const s = new Script();
    let handler = 0;
    on(s, SIGUSR1, () => handler, flags);
    const child = shoot_later(s, SIGUSR1);
    s.call(NR.wait4, 2, 0, 0, 0)
      .do((g) => seen.push(g.result()))
      .call(NR.exit_group, 0);
    child();
    handler = s.here();
    s.do(() => seen.push(0));
    sigreturn(s);
    run_script(s);
    assert.equal(seen, flags === 0 ? [0, -EINTR] : [0, 2]);
  }
});

test('nanosleep goes on after an ignored or stopped signal, and tells what is left after a handled one', () => {
  const seen: number[] = [];
  let start = 0;
  const s = new Script();
  let handler = 0;
  on(s, SIGUSR1, () => handler);
  const child = shoot_later(s, SIGUSR1);
  s.do(() => timespec(DATA, 5e6)).call(NR.nanosleep, DATA, DATA + 16);
  s.do((g) => seen.push(g.result(), Math.round(get_user_u64(DATA + 24) / 1e5)));
  const stopper = shoot_later(s, 19);
  let continuer = 0;
  s.do(() => timespec(DATA + 0x2010, 2e6));
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => continuer,
  );
  s.do(() => {
    start = monotonic_ns();
  });
  s.call(NR.nanosleep, DATA, 0).do((g) => seen.push(g.result(), Math.round((monotonic_ns() - start) / 1e5)));
  s.call(NR.exit_group, 0);
  child();
  stopper();
  continuer = s.here();
  s.call(NR.nanosleep, DATA + 0x2010, 0)
    .call(NR.kill, 1, 18)
    .call(NR.exit_group, 0);
  handler = s.here();
  sigreturn(s);
  run_script(s);
  assert.equal(seen, [-EINTR, 40, 0, 50]);
});

test('a blocked signal waits; sigsuspend, sigpending and sigtimedwait see it', () => {
  const seen: number[] = [];
  const s = new Script();
  let handler = 0;
  on(s, SIGUSR1, () => handler);
  s.do(() => {
    put_user_u64(DATA, 1 << (SIGUSR1 - 1));
    put_user_u64(DATA + 8, 0);
  });
  s.call(NR.rt_sigprocmask, 0, DATA, 0, 8).call(NR.kill, 1, SIGUSR1);
  s.call(NR.rt_sigpending, DATA + 16, 8).do(() => seen.push(get_user_u64(DATA + 16)));
  s.call(NR.rt_sigsuspend, DATA + 8, 8).do((g) => seen.push(g.result()));
  s.call(NR.kill, 1, SIGUSR1).call(NR.rt_sigtimedwait, DATA, DATA + 0x100, 0, 8);
  s.do((g) => seen.push(g.result(), get_user_i32(DATA + 0x100)));
  s.do(() => timespec(DATA + 32, 1e6))
    .call(NR.rt_sigtimedwait, DATA, 0, DATA + 32, 8)
    .do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  handler = s.here();
  s.do(() => seen.push(-1));
  sigreturn(s);
  run_script(s);
  assert.equal(seen, [1 << (SIGUSR1 - 1), -1, -EINTR, SIGUSR1, SIGUSR1, -EAGAIN]);
});

test('real-time signals queue in order with their values', () => {
  const seen: number[] = [];
  const s = new Script();
  s.do(() => {
    put_user_u64(DATA, 2 ** 40);
    put_user_u32(DATA + 0x100 + 8, 0xffff_ffff);
  });
  s.call(NR.rt_sigprocmask, 0, DATA, 0, 8);
  for (const value of [7, 8]) {
    s.do(() => put_user_u32(DATA + 0x100 + 24, value)).call(NR.rt_sigqueueinfo, 1, 41, DATA + 0x100);
  }
  for (let i = 0; i < 2; i++) {
    s.call(NR.rt_sigtimedwait, DATA, DATA + 0x200, 0, 8).do((g) => seen.push(g.result(), get_user_u32(DATA + 0x218)));
  }
  s.call(NR.exit_group, 0);
  run_script(s);
  assert.equal(seen, [41, 7, 41, 8]);
});

test('a fault is SIGSEGV with its address; a blocked one kills', () => {
  const seen: number[] = [];
  const s = new Script();
  let handler = 0;
  let after = 0;
  on(s, SIGSEGV, () => handler, SA_SIGINFO | SA_NODEFER | SA_RESETHAND);
  s.do((g) => g.fault(0xdead000, 1, 1));
  after = s.here();
  s.do((g) => g.fault(0xdead000, 1, 1));
  handler = s.here();
  s.do((g) => {
    const info = g.get(RSI);
    const context = g.get(RDX) + 40;
    seen.push(
      get_user_i32(info + 8),
      get_user_u64(info + 16),
      get_user_u32(context + 152),
      get_user_u32(context + 160),
    );
    seen.push(get_user_u64(context + 176));
    put_user_u64(context + 16 * 8, after);
  });
  sigreturn(s);
  assert.is(run_script(s), SIGSEGV);
  assert.equal(seen, [1, 0xdead000, 6, 14, 0xdead000]);
});

test('exceptions are the signals Linux gives', () => {
  assert.is(run_script(new Script().do((g) => g.raise(0))), SIGFPE);
  assert.is(run_script(new Script().do((g) => g.raise(6))), 4);
  assert.is(run_script(new Script().do((g) => g.raise(3))), 5);
  assert.is(run_script(new Script().do((g) => g.raise(13))), SIGSEGV);
});

test('an alternate stack is used, and a stack that cannot take the frame kills', () => {
  const seen: boolean[] = [];
  const s = new Script();
  let handler = 0;
  on(s, SIGUSR1, () => handler, SA_ONSTACK);
  s.do(() => {
    put_user_u64(DATA + 0x100, DATA + 0x4000);
    put_user_u64(DATA + 0x108, 0);
    put_user_u64(DATA + 0x110, 0x4000);
  });
  s.call(NR.sigaltstack, DATA + 0x100, 0).call(NR.kill, 1, SIGUSR1);
  on(s, SIGUSR2, () => handler);
  s.do((g) => g.set(RSP, 0x7000))
    .call(NR.kill, 1, SIGUSR2)
    .call(NR.exit_group, 0);
  handler = s.here();
  s.do((g) => seen.push(g.get(RSP) > DATA + 0x4000 && g.get(RSP) < DATA + 0x8000));
  s.call(NR.sigaltstack, 0, DATA + 0x120).do(() => seen.push(get_user_u32(DATA + 0x128) === 1));
  sigreturn(s);
  assert.is(run_script(s), SIGSEGV);
  assert.equal(seen, [true, true]);
});

test('ignoring SIGCHLD reaps children by itself', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  on(s, SIGCHLD, () => 1);
  s.call(NR.fork).jump_if(
    (g) => g.result() === 0,
    () => child,
  );
  s.call(NR.wait4, -1, 0, 0, 0)
    .do((g) => seen.push(g.result()))
    .call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.exit_group, 0);
  run_script(s);
  assert.equal(seen, [-ECHILD]);
});

test('interval timers and POSIX timers send their signals', () => {
  const seen: number[] = [];
  const s = new Script();
  let handler = 0;
  on(s, SIGALRM, () => handler, SA_SIGINFO);
  on(s, SIGUSR1, () => handler, SA_SIGINFO);
  s.do(() => {
    put_user_u64(DATA, 0);
    put_user_u64(DATA + 8, 1000);
    put_user_u64(DATA + 16, 0);
    put_user_u64(DATA + 24, 1000);
  });
  s.call(NR.setitimer, 0, DATA, 0)
    .call(NR.pause)
    .do((g) => seen.push(g.result()))
    .call(NR.pause);
  s.do(() => {
    put_user_u64(DATA + 8, 0);
    put_user_u64(DATA + 24, 0);
  });
  s.call(NR.setitimer, 0, DATA, 0);
  s.do(() => {
    put_user_u64(DATA + 0x100, 77);
    put_user_u32(DATA + 0x108, SIGUSR1);
    put_user_u32(DATA + 0x10c, 0);
    timespec(DATA + 0x200, 0);
    timespec(DATA + 0x210, 1e6);
  });
  s.call(NR.timer_create, 1, DATA + 0x100, DATA + 0x180).do((g) => seen.push(g.result()));
  s.call(NR.timer_settime, (_g) => get_user_u32(DATA + 0x180), 0, DATA + 0x200, 0).call(NR.pause);
  s.call(NR.exit_group, 0);
  handler = s.here();
  s.do((g) => seen.push(g.get(RDI), get_user_i32(g.get(RSI) + 8), get_user_u32(g.get(RSI) + 24)));
  sigreturn(s);
  assert.is(run_script(s), 0);
  assert.equal(seen, [SIGALRM, 0x80, 0, -EINTR, SIGALRM, 0x80, 0, 0, SIGUSR1, -2, 77]);
});

test('a POSIX timer counts the periods gone by, and signals again after its signal was ignored', () => {
  const seen: number[] = [];
  const s = new Script();
  const id = (): number => get_user_u32(DATA + 0x180);
  let handler = 0;
  s.do(() => {
    put_user_u32(DATA + 0x108, SIGUSR1);
    put_user_u32(DATA + 0x10c, 0);
    timespec(DATA + 0x200, 1);
    timespec(DATA + 0x210, 1e6);
    timespec(DATA + 0x300, 5e6);
  });
  on(s, SIGUSR1, () => 1);
  s.call(NR.timer_create, 1, DATA + 0x100, DATA + 0x180);
  s.call(NR.timer_settime, id, 0, DATA + 0x200, 0).call(NR.nanosleep, DATA + 0x300, 0);
  on(s, SIGUSR1, () => handler, SA_SIGINFO);
  s.call(NR.pause).call(NR.timer_delete, id);
  s.call(NR.timer_settime, id, 0, DATA + 0x200, 0).do((g) => seen.push(g.result()));
  s.call(NR.exit_group, 0);
  handler = s.here();
  s.do((g) => {
    const first = seen.length === 0;
    // si_timerid and si_overrun: a period of 1 ns goes off every 100 us.
    if (first) seen.push(get_user_u32(g.get(RSI) + 20) > 50_000 ? 1 : 0);
  });
  sigreturn(s);
  assert.is(run_script(s), 0);
  assert.equal(seen, [1, -22]);
});

test('a timer on the CPU time of the process goes off', () => {
  const seen: number[] = [];
  const s = new Script();
  const id = (): number => get_user_u32(DATA + 0x180);
  s.do(() => {
    put_user_u32(DATA + 0x108, SIGTERM);
    put_user_u32(DATA + 0x10c, 0);
    timespec(DATA + 0x200, 0);
    timespec(DATA + 0x210, 1e6);
  });
  s.call(NR.timer_create, 2, DATA + 0x100, DATA + 0x180).do((g) => seen.push(g.result()));
  s.call(NR.timer_settime, id, 0, DATA + 0x200, 0).do((g) => seen.push(g.result()));
  const loop = s.here();
  s.do((g) => g.jump(loop));
  assert.is(run_script(s), SIGTERM);
  assert.equal(seen, [0, 0]);
});

test('a bad address is EFAULT and SIGKILL cannot be caught', () => {
  const seen: number[] = [];
  const s = new Script();
  s.call(NR.rt_sigaction, SIGUSR1, 16, 0, 8).do((g) => seen.push(g.result()));
  s.call(NR.rt_sigaction, SIGKILL, ACT, 0, 8).do((g) => seen.push(g.result()));
  s.call(NR.kill, 1, SIGTERM).do(() => seen.push(-1));
  assert.is(run_script(s), SIGTERM);
  assert.equal(seen, [-EFAULT, -22]);
});

test.run();
