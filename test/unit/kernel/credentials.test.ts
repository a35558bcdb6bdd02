import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EPERM } from '../../../engine/abi/errno.ts';
import { get_user_u32, get_user_u64, put_user_u64 } from '../../../engine/mm/uaccess.ts';
import { monotonic_ns } from '../../../engine/time/clock.ts';
import { DATA, run_script, Script } from '../../support/script.ts';

const NR = {
  nanosleep: 35,
  getuid: 102,
  setuid: 105,
  geteuid: 107,
  setresuid: 117,
  capget: 125,
  prlimit64: 302,
  fork: 57,
  wait4: 61,
  getrandom: 318,
  exit_group: 231,
};

test('root gives up its ids for good, and its capabilities with them', () => {
  const seen: number[] = [];
  const s = new Script();
  s.call(NR.setresuid, -1, 1000, -1)
    .call(NR.geteuid)
    .do((g) => seen.push(g.result()));
  s.call(NR.setresuid, -1, 0, -1).do((g) => seen.push(g.result()));
  s.call(NR.setuid, 1000)
    .call(NR.getuid)
    .do((g) => seen.push(g.result()));
  s.call(NR.setuid, 0).do((g) => seen.push(g.result()));
  s.do(() => put_user_u64(DATA, 0x2008_0522)).call(NR.capget, DATA, DATA + 16);
  s.do((g) => seen.push(g.result(), get_user_u32(DATA + 16), get_user_u32(DATA + 20)));
  s.call(NR.exit_group, 0);
  run_script(s);
  assert.equal(seen, [1000, 0, 1000, -EPERM, 0, 0, 0]);
});

test('limits are lowered freely and told; the hard one is not raised without privilege', () => {
  const seen: number[] = [];
  const s = new Script();
  s.call(NR.setuid, 1);
  s.do(() => {
    put_user_u64(DATA, 10);
    put_user_u64(DATA + 8, 20);
  });
  s.call(NR.prlimit64, 0, 7, DATA, DATA + 16).do((g) => seen.push(g.result(), get_user_u64(DATA + 16)));
  s.do(() => put_user_u64(DATA + 8, 21))
    .call(NR.prlimit64, 0, 7, DATA, 0)
    .do((g) => seen.push(g.result()));
  s.call(NR.prlimit64, 0, 7, 0, DATA + 32).do(() => seen.push(get_user_u64(DATA + 32), get_user_u64(DATA + 40)));
  s.call(NR.exit_group, 0);
  run_script(s);
  assert.equal(seen, [0, 1024, -EPERM, 10, 20]);
});

test('the same seed and program give the same run', () => {
  const trace = (): string[] => {
    const seen: string[] = [];
    const s = new Script();
    let child = 0;
    for (let i = 0; i < 5; i++)
      s.call(NR.fork).jump_if(
        (g) => g.result() === 0,
        () => child,
      );
    for (let i = 0; i < 5; i++)
      s.call(NR.wait4, -1, DATA, 0, 0).do((g) => seen.push(`${g.result()} ${monotonic_ns()}`));
    s.call(NR.exit_group, 0);
    child = s.here();
    s.call(NR.getrandom, DATA, 8, 0);
    s.do(() => {
      seen.push(get_user_u64(DATA).toString(16));
      put_user_u64(DATA + 8, get_user_u32(DATA) % 1e9);
      put_user_u64(DATA, 0);
    });
    s.call(NR.nanosleep, DATA, 0).call(NR.exit_group, 0);
    run_script(s, { slice_fuel: 7 });
    return seen;
  };
  const first = trace();
  assert.is(first.length, 10);
  assert.equal(trace(), first);
});

test.run();
