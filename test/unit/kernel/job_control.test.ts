import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EACCES, EPERM, ESRCH } from '../../../engine/abi/errno.ts';
import { SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTSTP } from '../../../engine/abi/signal.ts';
import { get_user_u32, put_user_u64 } from '../../../engine/mm/uaccess.ts';
import { DATA, run_script, Script } from '../../support/script.ts';

const NR = {
  pause: 34,
  nanosleep: 35,
  fork: 57,
  exit: 60,
  wait4: 61,
  kill: 62,
  setpgid: 109,
  getppid: 110,
  getpgrp: 111,
  setsid: 112,
  getpgid: 121,
  getsid: 124,
  prctl: 157,
  exit_group: 231,
};

function fork(s: Script, target: () => number): Script {
  return s.call(NR.fork).jump_if((g) => g.result() === 0, target);
}

function sleep(s: Script, ms: number): void {
  s.do(() => {
    put_user_u64(DATA + 0x800, 0);
    put_user_u64(DATA + 0x808, ms * 1e6);
  });
  s.call(NR.nanosleep, DATA + 0x800, 0);
}

test('process groups and sessions follow their rules', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  const note = (number: number, ...values: number[]): void => {
    s.call(number, ...values).do((g) => seen.push(g.result()));
  };
  note(NR.setsid);
  note(NR.setpgid, 0, 0);
  fork(s, () => child);
  note(NR.setpgid, 2, 0);
  note(NR.getpgid, 2);
  note(NR.setpgid, 99, 0);
  note(NR.setpgid, 2, 77);
  note(NR.kill, -2, SIGKILL);
  note(NR.kill, -5, 0);
  s.call(NR.wait4, -2, DATA, 0, 0).do((g) => seen.push(g.result()));
  fork(s, () => setsid_child);
  s.call(NR.wait4, -1, 0, 0, 0).call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.pause).call(NR.exit_group, 1);
  const setsid_child = s.here();
  note(NR.setsid);
  note(NR.getsid, 0);
  note(NR.getpgrp);
  note(NR.setpgid, 0, 0);
  s.call(NR.exit_group, 0);
  run_script(s);
  assert.equal(seen, [-EPERM, -EPERM, 0, 2, -ESRCH, -EPERM, 0, -ESRCH, 2, 3, 3, 3, -EPERM]);
  assert.is.not(EACCES, EPERM);
});

test('a stopped group that becomes orphaned gets SIGHUP and SIGCONT', () => {
  const s = new Script();
  let middle = 0;
  let leaf = 0;
  // A subreaper survives the middle process and sees how the leaf ended.
  s.call(NR.prctl, 36, 1);
  fork(s, () => middle);
  s.call(NR.wait4, 2, 0, 0, 0).call(NR.wait4, 3, DATA, 0, 0);
  s.call(NR.exit_group, () => get_user_u32(DATA));
  middle = s.here();
  // In a session of their own, so that the group's only link is this process.
  s.call(NR.setsid);
  fork(s, () => leaf);
  s.call(NR.setpgid, 3, 3).call(NR.kill, 3, SIGSTOP).call(NR.wait4, 3, 0, 2, 0).call(NR.exit_group, 0);
  leaf = s.here();
  s.call(NR.pause).call(NR.exit_group, 1);
  assert.is(run_script(s), SIGHUP << 8);
});

test('a terminal stop does nothing in an orphaned group; SIGSTOP does', () => {
  const seen: number[] = [];
  const s = new Script();
  let child = 0;
  fork(s, () => child);
  sleep(s, 1);
  s.call(NR.kill, 2, SIGTSTP);
  sleep(s, 1);
  s.call(NR.wait4, 2, DATA, 3, 0).do((g) => seen.push(g.result()));
  s.call(NR.kill, 2, SIGSTOP);
  s.call(NR.wait4, 2, DATA, 2, 0).do((g) => seen.push(g.result(), get_user_u32(DATA)));
  s.call(NR.kill, 2, SIGCONT).call(NR.kill, 2, SIGKILL).call(NR.wait4, 2, DATA, 0, 0);
  s.do((g) => seen.push(g.result(), get_user_u32(DATA))).call(NR.exit_group, 0);
  child = s.here();
  s.call(NR.setsid).call(NR.pause).call(NR.exit_group, 1);
  run_script(s);
  assert.equal(seen, [0, 2, (SIGSTOP << 8) | 0x7f, 2, SIGKILL]);
});

test('orphans go to the root, and the parent-death signal is sent', () => {
  const seen: number[] = [];
  const s = new Script();
  let middle = 0;
  let leaf = 0;
  fork(s, () => middle);
  s.call(NR.wait4, 2, 0, 0, 0).call(NR.wait4, 3, DATA, 0, 0);
  s.do((g) => seen.push(g.result(), get_user_u32(DATA))).call(NR.exit_group, 0);
  middle = s.here();
  fork(s, () => leaf);
  sleep(s, 1);
  s.call(NR.exit_group, 0);
  leaf = s.here();
  s.call(NR.prctl, 1, SIGHUP).call(NR.pause).call(NR.exit_group, 1);
  run_script(s);
  assert.equal(seen, [3, SIGHUP]);
});

test.run();
