/**
 * Random bytes: the host's, or, on a seeded machine, a generator whose state is in the machine.
 *
 * The generator is xoshiro128** (Blackman and Vigna); it is for replay, not for secrets.
 */
import { register_cache } from '../base/caches.ts';
import { lock, unlock } from '../heap/lock.ts';
import { TIMER_LOCK } from '../heap/lock_order.ts';
import { U8, U32 } from '../heap/memory.ts';
import { host_clock, time_root } from './clock.ts';
import { TimeRoot } from './time.layout.ts';

/** Host bytes fetched ahead on this thread; a cache of chance, free to be dropped. */
const POOL_BYTES = 1024;
/** From this length on they are fetched for the call alone, so many at a time. */
const BULK_BYTES = 0x1_0000;
const bulk = new Uint8Array(BULK_BYTES);
const pool = new Uint8Array(POOL_BYTES);
let pool_left = 0;
register_cache('random bytes', () => {
  pool.fill(0);
  pool_left = 0;
});

/** Fills machine memory at `address` with `length` random bytes. */
export function random_fill(address: number, length: number): void {
  const root = time_root();
  if (TimeRoot.seeded.get(root) === 0) {
    for (; length >= POOL_BYTES; length -= Math.min(length, BULK_BYTES)) {
      const n = Math.min(length, BULK_BYTES);
      const part = bulk.subarray(0, n);
      host_clock().random(part);
      U8.set(part, address);
      part.fill(0);
      address += n;
    }
    for (let i = 0; i < length; i++) {
      if (pool_left === 0) {
        host_clock().random(pool);
        pool_left = POOL_BYTES;
      }
      pool_left--;
      U8[address + i] = pool[pool_left] as number;
      pool[pool_left] = 0;
    }
    return;
  }
  lock(TimeRoot.random_lock.at(root), TIMER_LOCK);
  const state = TimeRoot.random_state.at(root) >> 2;
  let i = 0;
  if ((address & 3) === 0) for (; i + 4 <= length; i += 4) U32[(address + i) >> 2] = next_word(state);
  let word = 0;
  for (let in_word = 0; i < length; i++, in_word++) {
    if ((in_word & 3) === 0) word = next_word(state);
    U8[address + i] = word >>> ((in_word & 3) * 8);
  }
  unlock(TimeRoot.random_lock.at(root), TIMER_LOCK);
}

function rotate_left(x: number, k: number): number {
  return ((x << k) | (x >>> (32 - k))) >>> 0;
}

function next_word(at: number): number {
  const s1 = U32[at + 1] as number;
  const result = Math.imul(rotate_left(Math.imul(s1, 5), 7), 9) >>> 0;
  const t = s1 << 9;
  U32[at + 2] = (U32[at + 2] as number) ^ (U32[at] as number);
  U32[at + 3] = (U32[at + 3] as number) ^ s1;
  U32[at + 1] = s1 ^ (U32[at + 2] as number);
  U32[at] = (U32[at] as number) ^ (U32[at + 3] as number);
  U32[at + 2] = (U32[at + 2] as number) ^ t;
  U32[at + 3] = rotate_left(U32[at + 3] as number, 11);
  return result;
}
