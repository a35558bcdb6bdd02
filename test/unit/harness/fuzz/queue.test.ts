import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { alternate, Jobs, once, order, type Source, times } from '../../../../harness/fuzz/queue.ts';

/** A source of `count` steps that notes its name at each. */
function note(log: string[], name: string, count: number): Source {
  return times(count, () => log.push(name));
}

function drain(source: Source, most = 100): number {
  let steps = 0;
  while (steps < most && source.step()) steps++;
  return steps;
}

test('order takes the second when the first has nothing', () => {
  const log: string[] = [];
  assert.is(drain(order(note(log, 'a', 2), note(log, 'b', 3))), 5);
  assert.is(log.join(''), 'aabbb');
});

test('order goes back to the first as soon as it has work', () => {
  const log: string[] = [];
  const urgent = new Jobs();
  const work = order(urgent, note(log, 'b', 10));
  work.step();
  urgent.push(once(() => log.push('a')));
  work.step();
  work.step();
  assert.is(log.join(''), 'bab');
});

test('alternate offers every n-th step to the second, and each fills in', () => {
  const log: string[] = [];
  const work = alternate(3, note(log, 'a', 4), note(log, 'b', 4));
  assert.is(drain(work), 8);
  assert.is(log.join(''), 'aabaabbb');
});

test('jobs run in order of arrival, each to its end', () => {
  const log: string[] = [];
  const jobs = new Jobs();
  assert.is(jobs.step(), false);
  for (let i = 0; i < 200; i++) jobs.push(note(log, `${i} `, 2));
  assert.is(jobs.length, 200);
  assert.is(drain(jobs, 1000), 400);
  assert.is(jobs.length, 0);
  assert.is(log.join(''), Array.from({ length: 200 }, (_, i) => `${i} ${i} `).join(''));
});

test.run();
