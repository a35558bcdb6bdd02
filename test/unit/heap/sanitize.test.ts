import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inspect } from '../../../engine/heap/inspect.ts';
import { layout } from '../../../engine/heap/layout.ts';
import { Lock, lock, unlock } from '../../../engine/heap/lock.ts';
import { U8 } from '../../../engine/heap/memory.ts';
import { QUARANTINE_CELLS } from '../../../engine/heap/sanitize.ts';
import { slab, slab_reports } from '../../../engine/heap/slab.ts';
import { test_memory } from '../../support/memory.ts';

const l = layout('Sanitized');
const Sanitized = l.done({ lock: l.embed(Lock), a: l.u32('guarded by lock'), name: l.bytes(16, 8, 'immutable') }, 40);
const records = slab(Sanitized);
const TEST_LOCK = { name: 'test', rank: 1 };

function panics(action: () => void, pattern: RegExp): void {
  assert.throws(action, (error: Error) => error.name === 'KernelPanic' && pattern.test(error.message));
}

test('a double free is a panic that names the class', () => {
  test_memory({ sanitize: true });
  const p = records.alloc();
  records.free(p);
  panics(() => records.free(p), /Sanitized: double free/);
});

test('a write beyond the record is found at free', () => {
  test_memory({ sanitize: true });
  const p = records.alloc();
  U8[p + Sanitized.SIZE] = 1;
  panics(() => records.free(p), /written beyond the record .*offset 0/);
});

test('a write before the record is found at free', () => {
  test_memory({ sanitize: true });
  const p = records.alloc();
  U8[p - 1] = 1;
  panics(() => records.free(p), /written before the record/);
});

test('a write after free is found at the latest when the cell is reused, which is not at once', () => {
  test_memory({ sanitize: true });
  const p = records.alloc();
  records.free(p);
  Sanitized.a.set(p, 5);
  panics(() => {
    for (let i = 0; i < 10 * QUARANTINE_CELLS; i++) {
      const q = records.alloc();
      assert.is.not(q, p);
      records.free(q);
    }
  }, /written after free/);
});

test('freeing something that is no record is a panic', () => {
  test_memory({ sanitize: true });
  const p = records.alloc();
  panics(() => records.free((p + 16) as typeof p), /which is no record/);
});

test('live and peak counts follow, and a second machine has its own', () => {
  test_memory({ sanitize: true });
  const first = records.alloc();
  const second = records.alloc();
  records.free(first);
  const report = slab_reports().find(({ name }) => name === 'Sanitized');
  assert.is(report?.live, 1);
  assert.is(report?.peak, 2);
  test_memory();
  assert.is(records.live(), 0);
  assert.ok(second > 0);
});

test('the inspector reads fields without a lock', () => {
  test_memory();
  const p = records.alloc();
  Sanitized.a.set(p, 42);
  lock(Sanitized.lock.at(p), TEST_LOCK);
  const text = inspect(Sanitized, p);
  assert.match(text, /a +42 +u32, guarded by lock/);
  assert.match(text, /lock +held by 1/);
  unlock(Sanitized.lock.at(p), TEST_LOCK);
});

test.run();
