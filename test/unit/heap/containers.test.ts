import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../engine/base/types.ts';
import {
  bytes_equal,
  bytes_hash,
  bytes_length,
  bytes_read,
  bytes_write,
  bytes_zero,
} from '../../../engine/heap/bytes.ts';
import { HashMap, map_delete, map_destroy, map_get, map_init, map_set } from '../../../engine/heap/hash_map.ts';
import { heap_page_alloc } from '../../../engine/heap/heap_pages.ts';
import {
  ListNode,
  list_empty,
  list_first,
  list_init,
  list_next,
  list_pop,
  list_push,
  list_remove,
} from '../../../engine/heap/list.ts';
import { U8 } from '../../../engine/heap/memory.ts';
import {
  Ring,
  ring_consume,
  ring_free,
  ring_init,
  ring_peek,
  ring_read,
  ring_run,
  ring_used,
  ring_write,
} from '../../../engine/heap/ring.ts';
import { test_memory } from '../../support/memory.ts';
import { random_of, seed_of } from '../../support/random.ts';

test('list: order, removal in the middle, empty again', () => {
  test_memory();
  const page = heap_page_alloc();
  const head = page as Ptr<'ListNode'>;
  const node = (i: number): Ptr<'ListNode'> => (page + 16 + i * ListNode.SIZE) as Ptr<'ListNode'>;
  list_init(head);
  for (let i = 0; i < 5; i++) list_push(head, node(i));
  list_remove(node(2));
  const seen: number[] = [];
  for (let n = list_first(head); n !== 0; n = list_next(head, n)) seen.push((n - page - 16) / ListNode.SIZE);
  assert.equal(seen, [0, 1, 3, 4]);
  while (list_pop(head) !== 0);
  assert.ok(list_empty(head));
});

test('hash map: the same as a Map under random operations', () => {
  const seed = seed_of('hash map');
  const random = random_of(seed);
  test_memory();
  const map = heap_page_alloc() as Ptr<'HashMap'>;
  assert.ok(map_init(map));
  const model = new Map<number, number>();
  for (let i = 0; i < 20000; i++) {
    const key = (random() % 700) * 0x10000;
    const value = (random() % 1000) + 1;
    if (random() % 3 === 0) {
      assert.is(map_delete(map, key), model.get(key) ?? 0);
      model.delete(key);
    } else {
      assert.ok(map_set(map, key, value));
      model.set(key, value);
    }
    assert.is(map_get(map, key), model.get(key) ?? 0);
  }
  assert.is(HashMap.count.get(map), model.size);
  for (const [key, value] of model) assert.is(map_get(map, key), value);
  map_destroy(map);
});

test('ring: bytes come out in order, across the wrap of storage and of positions', () => {
  const seed = seed_of('ring');
  const random = random_of(seed);
  test_memory();
  const ring = heap_page_alloc() as Ptr<'Ring'>;
  ring_init(ring, heap_page_alloc(), 4096);
  Ring.head.store(ring, -3000);
  Ring.tail.store(ring, -3000);
  const page = heap_page_alloc();
  let written = 0;
  let read = 0;
  for (let i = 0; i < 4000; i++) {
    const n = random() % 2500;
    for (let k = 0; k < n; k++) U8[page + k] = (written + k) * 7;
    written += ring_write(ring, page, n);
    if (random() % 2 === 0) {
      const run = ring_run(ring);
      const at = ring_peek(ring);
      for (let k = 0; k < run; k++) if (U8[at + k] !== (((read + k) * 7) & 255)) assert.unreachable(`byte ${read + k}`);
      ring_consume(ring, run);
      read += run;
    } else {
      const got = ring_read(ring, page, random() % 3000);
      for (let k = 0; k < got; k++)
        if (U8[page + k] !== (((read + k) * 7) & 255)) assert.unreachable(`byte ${read + k}`);
      read += got;
    }
    assert.is(ring_used(ring), written - read);
    assert.is(ring_free(ring), 4096 - (written - read));
  }
});

test('bytes: write, read, compare, hash', () => {
  test_memory();
  const page = heap_page_alloc();
  bytes_zero(page, 4096);
  const length = bytes_write(page, 'h\u00e9llo');
  bytes_write(page + 100, 'h\u00e9llo');
  assert.is(length, 5);
  assert.is(bytes_length(page, 64), 5);
  assert.is(bytes_read(page, 5), 'h\u00e9llo');
  assert.ok(bytes_equal(page, page + 100, 6));
  assert.is(bytes_hash(page, 5), bytes_hash(page + 100, 5));
  assert.is.not(bytes_hash(page, 5), bytes_hash(page, 4));
});

test.run();
