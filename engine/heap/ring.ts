// @hot
/**
 * Ring: a byte queue with one reader and one writer, each on any thread (host streams, logs, rings of
 * messages). Positions only rise, modulo 2^32; the difference is the fill. The writer publishes bytes by
 * storing `tail` atomically after them, the reader frees space by storing `head`.
 */

import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy } from './bytes.ts';
import { layout } from './layout.ts';

const l = layout('Ring');
export const Ring = l.done(
  {
    /** Storage: `size` bytes at `buffer`, size a power of two. */
    buffer: l.u32('immutable'),
    size: l.u32('immutable'),
    head: l.atomic(),
    tail: l.atomic(),
  },
  16,
);

/** Prepares an embedded ring over storage that the caller owns. */
export function ring_init(ring: Ptr<'Ring'>, buffer: number, size: number): void {
  assert(size > 0 && (size & (size - 1)) === 0, 'ring_init: the size must be a power of two');
  Ring.buffer.set(ring, buffer);
  Ring.size.set(ring, size);
  Ring.head.store(ring, 0);
  Ring.tail.store(ring, 0);
}

/** Bytes to read. */
export function ring_used(ring: Ptr<'Ring'>): number {
  return (Ring.tail.load(ring) - Ring.head.load(ring)) >>> 0;
}

/** Room to write. */
export function ring_free(ring: Ptr<'Ring'>): number {
  return Ring.size.get(ring) - ring_used(ring);
}

/** Writer: appends up to `length` bytes of machine memory; returns how many fitted. */
export function ring_write(ring: Ptr<'Ring'>, source: number, length: number): number {
  const n = Math.min(length, ring_free(ring));
  const tail = Ring.tail.load(ring);
  const mask = Ring.size.get(ring) - 1;
  const at = Ring.buffer.get(ring) + (tail & mask);
  const first = Math.min(n, mask + 1 - (tail & mask));
  bytes_copy(at, source, first);
  if (n > first) bytes_copy(Ring.buffer.get(ring), source + first, n - first);
  Ring.tail.store(ring, (tail + n) | 0);
  return n;
}

/** Reader: takes up to `length` bytes to machine memory; returns how many there were. */
export function ring_read(ring: Ptr<'Ring'>, target: number, length: number): number {
  const n = Math.min(length, ring_used(ring));
  const head = Ring.head.load(ring);
  const mask = Ring.size.get(ring) - 1;
  const at = Ring.buffer.get(ring) + (head & mask);
  const first = Math.min(n, mask + 1 - (head & mask));
  bytes_copy(target, at, first);
  if (n > first) bytes_copy(target + first, Ring.buffer.get(ring), n - first);
  Ring.head.store(ring, (head + n) | 0);
  return n;
}

/** Reader: address of the first contiguous run of bytes; its length is `ring_run`. Free it by `ring_consume`. */
export function ring_peek(ring: Ptr<'Ring'>): number {
  return Ring.buffer.get(ring) + (Ring.head.load(ring) & (Ring.size.get(ring) - 1));
}

/** Reader: length of the first contiguous run. */
export function ring_run(ring: Ptr<'Ring'>): number {
  const size = Ring.size.get(ring);
  return Math.min(ring_used(ring), size - (Ring.head.load(ring) & (size - 1)));
}

/** Reader: frees `length` bytes that were read in place. */
export function ring_consume(ring: Ptr<'Ring'>, length: number): void {
  Ring.head.store(ring, (Ring.head.load(ring) + length) | 0);
}

/** Writer: address of the first contiguous free run; its length is `ring_free_run`. Publish by `ring_produce`. */
export function ring_free_at(ring: Ptr<'Ring'>): number {
  return Ring.buffer.get(ring) + (Ring.tail.load(ring) & (Ring.size.get(ring) - 1));
}

/** Writer: length of the first contiguous free run. */
export function ring_free_run(ring: Ptr<'Ring'>): number {
  const size = Ring.size.get(ring);
  return Math.min(ring_free(ring), size - (Ring.tail.load(ring) & (size - 1)));
}

/** Writer: publishes `length` bytes that were written in place. */
export function ring_produce(ring: Ptr<'Ring'>, length: number): void {
  Ring.tail.store(ring, (Ring.tail.load(ring) + length) | 0);
}
