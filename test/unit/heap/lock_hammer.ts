import type { Ptr } from '../../../engine/base/types.ts';
import { lock, unlock } from '../../../engine/heap/lock.ts';
import { I32 } from '../../../engine/heap/memory.ts';

const HAMMER = { name: 'hammer', rank: 1 };

/** Adds one to a plain counter, `rounds` times, under the lock at `page`. */
export function hammer(page: number, rounds: number): void {
  const counter = (page >> 2) + 8;
  for (let i = 0; i < rounds; i++) {
    lock(page as Ptr<'Lock'>, HAMMER);
    I32[counter] = (I32[counter] as number) + 1;
    unlock(page as Ptr<'Lock'>, HAMMER);
  }
}
