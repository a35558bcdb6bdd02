import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, ETIMEDOUT } from '../../../engine/abi/errno.ts';
import { get_user_u32, put_user_u32, put_user_u64 } from '../../../engine/mm/uaccess.ts';
import { DATA, run_script, Script } from '../../support/script.ts';

const NR = {
  nanosleep: 35,
  clone: 56,
  fork: 57,
  exit: 60,
  wait4: 61,
  futex: 202,
  exit_group: 231,
  set_robust_list: 273,
  futex_waitv: 449,
};
const THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
const WAIT = 128;
const WAKE = 129;
const REQUEUE = 131;

function thread(s: Script, flags: number, stack: number, ctid: number, target: () => number): void {
  s.call(NR.clone, THREAD | flags, DATA + stack, 0, ctid, 0).jump_if((g) => g.result() === 0, target);
}

test('a wait compares, times out, and is woken by another thread', () => {
  const seen: number[] = [];
  const s = new Script();
  let other = 0;
  s.call(NR.futex, DATA, WAIT, 1, 0).do((g) => seen.push(g.result()));
  s.do(() => put_user_u64(DATA + 0x108, 1000));
  s.call(NR.futex, DATA, WAIT, 0, DATA + 0x100).do((g) => seen.push(g.result()));
  thread(s, 0, 0x8000, 0, () => other);
  s.call(NR.futex, DATA, WAIT, 0, 0).do((g) => seen.push(g.result(), get_user_u32(DATA)));
  s.call(NR.exit_group, 0);
  other = s.here();
  s.do(() => put_user_u32(DATA, 5))
    .call(NR.futex, DATA, WAKE, 1)
    .do((g) => seen.push(g.result()));
  s.call(NR.exit, 0);
  run_script(s);
  assert.equal(seen, [-EAGAIN, -ETIMEDOUT, 1, 0, 5]);
});

test('the end of a thread clears its tid word and wakes the join', () => {
  const seen: number[] = [];
  const s = new Script();
  let other = 0;
  s.do(() => put_user_u32(DATA, 2));
  thread(s, 0x20_0000 | 0x100_0000, 0x8000, DATA, () => other);
  s.call(NR.futex, DATA, 0, 2, 0).do((g) => seen.push(g.result(), get_user_u32(DATA)));
  s.call(NR.exit_group, 0);
  other = s.here();
  s.do(() => seen.push(get_user_u32(DATA))).call(NR.exit, 0);
  run_script(s);
  assert.equal(seen, [2, 0, 0]);
});

test('requeue moves waiters; waitv tells which word', () => {
  const seen: number[] = [];
  const s = new Script();
  let other = 0;
  thread(s, 0, 0x8000, 0, () => other);
  s.do(() => put_user_u64(DATA + 0x108, 1000)).call(NR.nanosleep, DATA + 0x100, 0);
  s.call(NR.futex, DATA, REQUEUE, 0, 1, DATA + 8).do((g) => seen.push(g.result()));
  s.call(NR.futex, DATA, WAKE, 1).do((g) => seen.push(g.result()));
  s.call(NR.futex, DATA + 8, WAKE, 1).do((g) => seen.push(g.result()));
  s.call(NR.nanosleep, DATA + 0x100, 0);
  s.call(NR.futex, DATA + 16, WAKE, 1).do((g) => seen.push(g.result()));
  s.call(NR.nanosleep, DATA + 0x100, 0).call(NR.exit_group, 0);
  other = s.here();
  s.call(NR.futex, DATA, WAIT, 0, 0).do((g) => seen.push(100 + g.result()));
  s.do(() => {
    for (let i = 0; i < 2; i++) {
      put_user_u64(DATA + 0x200 + i * 24, 0);
      put_user_u64(DATA + 0x208 + i * 24, DATA + 12 + i * 4);
      put_user_u64(DATA + 0x210 + i * 24, 130);
    }
  });
  s.call(NR.futex_waitv, DATA + 0x200, 2, 0, 0, 1).do((g) => seen.push(200 + g.result()));
  s.call(NR.exit, 0);
  run_script(s);
  assert.equal(seen, [0, 0, 1, 100, 1, 201]);
});

test('a robust lock of a dead thread is marked and its waiter woken', () => {
  const seen: number[] = [];
  const s = new Script();
  let other = 0;
  thread(s, 0, 0x8000, 0, () => other);
  s.do(() => put_user_u64(DATA + 0x108, 1000)).call(NR.nanosleep, DATA + 0x100, 0);
  s.call(NR.futex, DATA + 32, 0, 0x8000_0002, 0).do((g) => seen.push(g.result(), get_user_u32(DATA + 32)));
  s.call(NR.exit_group, 0);
  other = s.here();
  s.do(() => {
    put_user_u64(DATA + 64, DATA + 0);
    put_user_u64(DATA + 72, 32);
    put_user_u64(DATA + 80, 0);
    put_user_u64(DATA, DATA + 64);
    put_user_u32(DATA + 32, 0x8000_0002);
  });
  s.call(NR.set_robust_list, DATA + 64, 24)
    .call(NR.nanosleep, DATA + 0x100, 0)
    .call(NR.nanosleep, DATA + 0x100, 0);
  s.call(NR.exit, 0);
  run_script(s);
  assert.equal(seen, [0, 0xc000_0000]);
});

test.run();
