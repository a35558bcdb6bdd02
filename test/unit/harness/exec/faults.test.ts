/** Every place of a call that fault injection knows fails in turn: the call fails as it should, and nothing is lost. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run_lines, summary } from '../../../support/executor.ts';

const MOST = 64;
const FILE = "'./f\\x00'";

/** Results of the last line with its 1st, 2nd... place failing, until none is left to fail. */
function walk(...lines: string[]): (number | string)[] {
  const results: (number | string)[] = [];
  for (let nth = 1; nth <= MOST; nth++) {
    const outcome = run_lines([...lines.slice(0, -1), `${lines.at(-1)} (fail_nth: ${nth})`]);
    assert.is(outcome.status, 'done', `${lines.at(-1)} fail_nth ${nth}: ${summary(outcome)}\n${outcome.panic?.stack}`);
    assert.equal(outcome.leaks, [], `${lines.at(-1)} fail_nth ${nth}`);
    const call = outcome.calls.at(-1);
    if (call?.fault_injected !== true) return results;
    results.push(call.finished ? call.result : '...');
  }
  throw new Error(`${lines.at(-1)} has more than ${MOST} places`);
}

test('calls with a fault at each of their places leak nothing', () => {
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  const open = `r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)=${FILE}, 0x42, 0x1ff)`;
  const calls: string[][] = [
    [pipe],
    [pipe, 'write(r1, &(0x7f0000000080)="00112233", 0x4)'],
    [pipe, 'read(r0, &(0x7f0000001000)=""/16, 0x10)'],
    [open],
    [open, 'write(r0, &(0x7f0000000080)="00112233", 0x4)'],
    ["mkdir(&(0x7f0000000040)='./d\\x00', 0x1ff)"],
    [open, `link(&(0x7f0000000040)=${FILE}, &(0x7f0000000080)='./g\\x00')`],
    [open, `rename(&(0x7f0000000040)=${FILE}, &(0x7f0000000080)='./g\\x00')`],
    [`symlink(&(0x7f0000000040)=${FILE}, &(0x7f0000000080)='./g\\x00')`],
    ['fork()'],
    ['vfork()'],
    ['epoll_create1(0x0)'],
    ['r0 = eventfd2(0x0, 0x0)', 'dup2(r0, 0x1f0)'],
    ['inotify_init1(0x0)'],
    ["memfd_create(&(0x7f0000000040)='x\\x00', 0x0)"],
    ['mmap(&(0x7f0000001000/0x1000)=nil, 0x1000, 0x3, 0x8032, 0xffffffffffffffff, 0x0)'],
    ['mprotect(&(0x7f0000001000/0x1000)=nil, 0x1000, 0x1)'],
    ['munmap(&(0x7f0000001000/0x1000)=nil, 0x1000)'],
  ];
  for (const lines of calls) {
    const results = walk(...lines);
    for (const result of results) assert.ok(typeof result === 'string' || result > -4096, `${lines.at(-1)}: ${result}`);
  }
});

test('an access to user memory fails as if it were not mapped, and what a call has made is taken back', () => {
  const pipe = 'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)';
  const results = walk(pipe);
  assert.ok(results.includes(-14) && results.includes(-12), results.join());
  assert.is(results.indexOf(-12), 0, 'memory is reserved before anything is told');
  const [first, second] = [`${pipe} (fail_nth: ${results.length})`, 'eventfd2(0x0, 0x0)'];
  assert.is(results.at(-1), -14);
  assert.is(summary(run_lines([first, second])), 'done: -14! 3');
});

test('a call without memory to be had answers ENOMEM, and without a fault it succeeds', () => {
  assert.ok(walk('epoll_create1(0x0)').every((result) => result === -12));
  assert.is(summary(run_lines(['epoll_create1(0x0) (fail_nth: 60)'])), 'done: 3');
});

test.run();
