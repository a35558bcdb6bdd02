/** Calls that touch much memory end at a signal, and go on where others have run. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run_lines, summary } from '../../../support/executor.ts';

const HANDLER = 'rt_sigaction(0xe, &(0x7f0000000000)={@address=&(0x7f0000ffe000/0x1000)=nil, 0x4000000}, 0x0, 0x8)';
const TIMER = 'setitimer(0x0, &(0x7f0000000040)={{}, {0x0, 0x3e8}}, 0x0)';
const MEMFD = 'r0 = memfd_create(&(0x7f0000000080)="00", 0x0)';

test('populating memory goes on in turns, and tells where it mapped', () => {
  const outcome = run_lines([
    'mmap(&(0x7f0000400000/0xc00000)=nil, 0xc00000, 0x3, 0x8032, 0xffffffffffffffff, 0x0)',
    'mlock(&(0x7f0000400000/0xc00000)=nil, 0xc00000)',
    'madvise(&(0x7f0000400000/0xc00000)=nil, 0xc00000, 0x16)',
    'madvise(&(0x7f0000400000/0xc00000)=nil, 0xc00000, 0x17)',
    'mincore(&(0x7f0000ff0000/0x3000)=nil, 0x3000, &(0x7f0000000000)=""/8)',
  ]);
  const [mapped, ...others] = outcome.calls.map(({ result }) => result);
  assert.is(outcome.status, 'done', summary(outcome));
  assert.is(mapped! % 4096, 0);
  assert.ok(mapped! > 0, summary(outcome));
  assert.equal(others, [0, 0, 0, 0], summary(outcome));
});

test('a signal ends the reservation of storage, of which nothing is left', () => {
  const room = 'fstat(r0, &(0x7f0000000100))';
  const program = [HANDLER, MEMFD, TIMER, 'fallocate(r0, 0x0, 0x0, 0x1800000)', 'lseek(r0, 0x0, 0x2)', room];
  assert.is(summary(run_lines(program)), 'done: 0 3 0 -4 0 0');
  const whole = [MEMFD, 'fallocate(r0, 0x0, 0x0, 0x1800000)', 'lseek(r0, 0x0, 0x2)', 'lseek(r0, 0x0, 0x3)'];
  assert.is(summary(run_lines(whole)), `done: 3 0 ${0x180_0000} -6`);
});

test('storage that is not to be had leaves none behind', () => {
  const program = [
    "r0 = creat(&(0x7f0000000080)='./f0\\x00', 0x180)",
    'fallocate(r0, 0x0, 0x0, 0x100000)',
    'fallocate(r0, 0x1, 0x100000, 0x180000)',
    'fallocate(r0, 0x1, 0x100000, 0x100000)',
  ];
  assert.is(summary(run_lines(program)), 'done: 3 0 -28 0');
});

test.run();
