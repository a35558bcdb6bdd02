/**
 * HashMap: 32-bit keys to 32-bit values (pointers, numbers), chained, for pids, futexes and the like.
 * Buckets are one heap page (1024 chains); nodes come from a slab. Guarded by its owner's lock.
 */

import type { Ptr } from '../base/types.ts';
import { bytes_zero } from './bytes.ts';
import { heap_page_alloc, heap_page_free } from './heap_pages.ts';
import { layout } from './layout.ts';
import { U32 } from './memory.ts';
import { slab } from './slab.ts';

const BUCKETS = 1024;

const m = layout('HashMap');
export const HashMap = m.done({ buckets: m.u32('immutable'), count: m.u32("guarded by the map owner's lock") }, 8);
const n = layout('HashNode');
const HashNode = n.done(
  {
    next: n.ptr('HashNode', "guarded by the map owner's lock"),
    key: n.u32("guarded by the map owner's lock"),
    value: n.u32("guarded by the map owner's lock"),
  },
  16,
);
const nodes = slab(HashNode);

/** Address of the chain head of a key (Fibonacci hashing: the top bits of the product are well mixed). */
function bucket_of(map: Ptr<'HashMap'>, key: number): number {
  return (HashMap.buckets.get(map) >> 2) + (Math.imul(key, 0x9e3779b1) >>> 22);
}

/** Prepares an embedded map; false when the heap is exhausted. */
export function map_init(map: Ptr<'HashMap'>): boolean {
  const page = heap_page_alloc();
  if (page === 0) return false;
  bytes_zero(page, BUCKETS * 4);
  HashMap.buckets.set(map, page);
  HashMap.count.set(map, 0);
  return true;
}

/** Frees the map's storage; values are the caller's. */
export function map_destroy(map: Ptr<'HashMap'>): void {
  const page = HashMap.buckets.get(map);
  for (let i = 0; i < BUCKETS; i++) {
    let node = U32[(page >> 2) + i] as number as Ptr<'HashNode'>;
    while (node !== 0) {
      const next = HashNode.next.get(node);
      nodes.free(node);
      node = next;
    }
  }
  heap_page_free(page);
  HashMap.buckets.set(map, 0);
}

/** The value of a key, or 0. */
export function map_get(map: Ptr<'HashMap'>, key: number): number {
  key >>>= 0;
  let node = U32[bucket_of(map, key)] as Ptr<'HashNode'>;
  while (node !== 0 && HashNode.key.get(node) !== key) node = HashNode.next.get(node);
  return node === 0 ? 0 : HashNode.value.get(node);
}

/** Sets a key's value; false when the heap is exhausted (the map is unchanged). */
export function map_set(map: Ptr<'HashMap'>, key: number, value: number): boolean {
  key >>>= 0;
  const bucket = bucket_of(map, key);
  let node = U32[bucket] as Ptr<'HashNode'>;
  while (node !== 0 && HashNode.key.get(node) !== key) node = HashNode.next.get(node);
  if (node === 0) {
    node = nodes.alloc();
    if (node === 0) return false;
    HashNode.key.set(node, key);
    HashNode.next.set(node, U32[bucket] as Ptr<'HashNode'>);
    U32[bucket] = node;
    HashMap.count.set(map, HashMap.count.get(map) + 1);
  }
  HashNode.value.set(node, value);
  return true;
}

/** Removes a key; returns its value, or 0 when it was not there. */
export function map_delete(map: Ptr<'HashMap'>, key: number): number {
  key >>>= 0;
  const bucket = bucket_of(map, key);
  let prev = 0 as Ptr<'HashNode'>;
  let node = U32[bucket] as Ptr<'HashNode'>;
  while (node !== 0 && HashNode.key.get(node) !== key) {
    prev = node;
    node = HashNode.next.get(node);
  }
  if (node === 0) return 0;
  const value = HashNode.value.get(node);
  if (prev === 0) U32[bucket] = HashNode.next.get(node);
  else HashNode.next.set(prev, HashNode.next.get(node));
  nodes.free(node);
  HashMap.count.set(map, HashMap.count.get(map) - 1);
  return value;
}
