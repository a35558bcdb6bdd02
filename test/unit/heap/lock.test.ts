import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../engine/base/types.ts';
import { heap_page_alloc } from '../../../engine/heap/heap_pages.ts';
import { held_lock_count, Lock, lock, lock_is_held, unlock } from '../../../engine/heap/lock.ts';
import { I32 } from '../../../engine/heap/memory.ts';
import { test_memory } from '../../support/memory.ts';

const OUTER = { name: 'outer', rank: 1 };
const INNER = { name: 'inner', rank: 2 };

function two_locks(): [Ptr<'Lock'>, Ptr<'Lock'>] {
  test_memory();
  const page = heap_page_alloc();
  I32.fill(0, page >> 2, (page >> 2) + 4);
  return [page as Ptr<'Lock'>, (page + Lock.SIZE) as Ptr<'Lock'>];
}

test('taking locks in order is fine, against it is a panic', () => {
  const [a, b] = two_locks();
  lock(a, OUTER);
  lock(b, INNER);
  assert.ok(lock_is_held(a));
  assert.is(held_lock_count(), 2);
  unlock(b, INNER);
  unlock(a, OUTER);
  lock(b, INNER);
  assert.throws(() => lock(a, OUTER), /lock order: outer \(1\) taken while holding inner \(2\)/);
  unlock(b, INNER);
});

test('taking a lock twice and releasing one not held are panics', () => {
  const [a] = two_locks();
  lock(a, OUTER);
  assert.throws(() => lock(a, OUTER), /already held/);
  unlock(a, OUTER);
  assert.throws(() => unlock(a, OUTER), /not the owner/);
});

test('two threads exclude each other, asleep or spinning', async () => {
  const memory = test_memory();
  const page = heap_page_alloc();
  I32.fill(0, page >> 2, (page >> 2) + 16);
  const rounds = 100_000;
  const worker = new Worker(new URL('./lock_worker.js', import.meta.url), { workerData: { memory, page, rounds } });
  const { hammer } = await import('./lock_hammer.ts');
  await new Promise((resolve) => worker.once('online', resolve));
  hammer(page, rounds);
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.is(I32[(page >> 2) + 8], 2 * rounds);
  assert.is(Lock.state.load(page as Ptr<'Lock'>), 0);
});

test.run();
