import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { layout } from '../../../engine/heap/layout.ts';
import { slab } from '../../../engine/heap/slab.ts';
import { test_memory } from '../../support/memory.ts';

const l = layout('TestRecord');
const TestRecord = l.done({ a: l.u32('owner'), b: l.f64('owner'), c: l.u64('owner') }, 24);
const records = slab(TestRecord);

test('a record is zeroed, distinct, and reused after free', () => {
  test_memory();
  const first = records.alloc();
  const second = records.alloc();
  assert.not.equal(first, second);
  TestRecord.a.set(first, 7);
  TestRecord.c.set(first, -1);
  assert.is(TestRecord.c.get_big(first), 0xffffffffffffffffn);
  assert.is(records.live(), 2);
  records.free(first);
  const third = records.alloc();
  assert.is(TestRecord.a.get(third), 0);
  assert.is(records.live(), 2);
});

test('exhaustion is a value, and what was allocated stays usable', () => {
  test_memory({ heap_bytes: 64 << 10 });
  let count = 0;
  let last = records.alloc();
  for (let p = last; p !== 0; p = records.alloc()) {
    last = p;
    count++;
  }
  assert.ok(count > 1000);
  records.free(last);
  assert.is(records.alloc(), last);
});

test.run();
