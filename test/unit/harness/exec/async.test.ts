import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run_lines, summary } from '../../../support/executor.ts';

/** Each call gets the next descriptor: the results tell in which order the calls were made. */
const RACE = ['r0 = eventfd2(0x0, 0x0)', ...new Array<string>(4).fill('dup(r0) (async)'), 'dup(r0)'];

test('the order of async calls depends on the seed alone', () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const order = summary(run_lines(RACE, { seed }));
    assert.is(summary(run_lines(RACE, { seed })), order, `seed ${seed}`);
    orders.add(order);
  }
  assert.ok(orders.size > 5, [...orders].join('\n'));
});

test('async calls that block wait for those behind them, or are not finished', () => {
  const lines = ['r0 = eventfd2(0x0, 0x0)', 'read(r0, &(0x7f0000000000)=""/8, 0x8) (async)'];
  for (let seed = 0; seed < 10; seed++) {
    assert.is(summary(run_lines([...lines, 'getppid()'], { seed })), 'done: 3 ... 0');
    const woken = [...lines, 'write(r0, &(0x7f0000000100)="0100000000000000", 0x8)'];
    assert.is(summary(run_lines(woken, { seed })), 'done: 3 8 8');
  }
});

test('random numbers follow the seed', () => {
  const lines = [
    'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)',
    'getrandom(&(0x7f0000000100)=""/1, 0x1, 0x0)',
  ];
  assert.is(summary(run_lines(lines, { seed: 5 })), 'done: 0 1');
});

test('more async calls than threads are made in their place', () => {
  const lines = [
    'r0 = eventfd2(0x0, 0x0)',
    ...new Array<string>(30).fill('read(r0, &(0x7f0000000000)=""/8, 0x8) (async)'),
  ];
  const { status, calls, leaks } = run_lines([...lines, 'getppid()']);
  assert.is(status, 'done');
  assert.equal(leaks, []);
  assert.is(calls.filter(({ started, finished }) => started && !finished).length, 16);
});

test('timers that nobody waits for do not keep a program going', () => {
  const timer = [
    'r0 = timerfd_create(0x1, 0x800)',
    'timerfd_settime(r0, 0x1, &(0x7f0000000300)={{0x0, 0x1000}, {0x0, 0x1000}}, 0x0)',
  ];
  assert.is(summary(run_lines([...timer, 'pause()', 'getppid()'])), 'done: 3 0 ... 0');
  assert.is(summary(run_lines([...timer, 'pause() (async)', 'exit(0x0)'])), 'done: 3 0 ... ...');
});

test('the end of the process ends calls in progress', () => {
  const lines = ['r0 = eventfd2(0x0, 0x0)', 'read(r0, &(0x7f0000000000)=""/8, 0x8) (async)', 'exit_group(0x0)'];
  for (let seed = 0; seed < 10; seed++) {
    const { status, calls } = run_lines(lines, { seed });
    assert.is(status, 'done');
    assert.equal(
      calls.map(({ finished }) => finished),
      [true, false, false],
    );
  }
});

test.run();
