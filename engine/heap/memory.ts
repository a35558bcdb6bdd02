// @hot
/**
 * The views through which this thread sees the bound machine's memory.
 *
 * One machine is one shared WebAssembly.Memory (DESIGN D1). A thread works on one machine at a time;
 * `bind_memory` points the views at it. The memory is created at its maximum and never grows, so the
 * views are fixed-length (length-tracking views measured ten times slower).
 *
 * Kernel records live below 2 GiB, so a record pointer is a small integer in V8. Frames may lie above:
 * index them with `>>> 2`, never `>> 2`.
 */

import { drop_thread_caches } from '../base/caches.ts';
import { type BulkOperations, bulk_operations } from './bulk.ts';

export let U8: Uint8Array = new Uint8Array(0);
export let I32: Int32Array = new Int32Array(0);
export let U32: Uint32Array = new Uint32Array(0);
export let U16: Uint16Array = new Uint16Array(0);
export let F64: Float64Array = new Float64Array(0);
export let U64: BigUint64Array = new BigUint64Array(0);

function unbound(): never {
  throw new Error('no machine is bound to this thread');
}

/** Copies bytes (target, source, length), and fills them (target, value, length): see `bulk.ts`. */
export let memory_copy: BulkOperations['copy'] = unbound;
export let memory_fill: BulkOperations['fill'] = unbound;

/**
 * Whether no other thread works on the bound machine: accesses that are atomic for its sake are plain ones then. V8
 * calls a builtin for each atomic one, 15 ns; they were a twentieth of what a program of the fuzz harness costs.
 */
export let alone = false;

let bound: WebAssembly.Memory | null = null;

/** Points this thread's views at a machine's memory. Cheap when it is already bound. */
export function bind_memory(memory: WebAssembly.Memory): void {
  if (bound === memory) return;
  alone = false;
  const buffer = memory.buffer;
  U8 = new Uint8Array(buffer);
  I32 = new Int32Array(buffer);
  U32 = new Uint32Array(buffer);
  U16 = new Uint16Array(buffer);
  F64 = new Float64Array(buffer);
  U64 = new BigUint64Array(buffer);
  const bulk = bulk_operations(memory);
  memory_copy = bulk.copy;
  memory_fill = bulk.fill;
  bound = memory;
}

/** No other thread works on the bound machine, nor will while this thread is bound to it. */
export function bound_alone(): void {
  alone = true;
}

/** The memory this thread is bound to, or null before the first bind and after `unbind_memory`. */
export function bound_memory(): WebAssembly.Memory | null {
  return bound;
}

/** Drops the views and the thread's caches, so that a closed machine's memory can be collected. */
export function unbind_memory(): void {
  drop_thread_caches();
  U8 = new Uint8Array(0);
  I32 = new Int32Array(0);
  U32 = new Uint32Array(0);
  U16 = new Uint16Array(0);
  F64 = new Float64Array(0);
  U64 = new BigUint64Array(0);
  memory_copy = unbound;
  memory_fill = unbound;
  bound = null;
}
