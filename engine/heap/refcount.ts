// @hot
/**
 * Reference counts: an atomic word in the record. The last `ref_put` tells the caller to destroy it.
 */
import { assert, CHECKED } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import type { AtomicField } from './field.ts';

/** Takes a reference; the caller already holds one. */
export function ref_get<R extends string>(p: Ptr<R>, refs: AtomicField<R>): void {
  const old = refs.add(p, 1);
  if (CHECKED) assert(old > 0, 'ref_get: the record has no reference');
}

/**
 * Takes a reference unless the count is zero already: for lookups that find a record which its last
 * holder is about to destroy. Returns whether it was taken.
 */
export function ref_get_unless_zero<R extends string>(p: Ptr<R>, refs: AtomicField<R>): boolean {
  for (let old = refs.load(p); old > 0; ) {
    const seen = refs.cas(p, old, old + 1);
    if (seen === old) return true;
    old = seen;
  }
  return false;
}

/** Gives a reference back; true when it was the last and the caller must destroy the record. */
export function ref_put<R extends string>(p: Ptr<R>, refs: AtomicField<R>): boolean {
  const old = refs.add(p, -1);
  if (CHECKED) assert(old > 0, 'ref_put: the record has no reference');
  return old === 1;
}
