/** Pipes from the kernel's and the host's side: bytes in JavaScript arrays instead of user memory. */
import { EPIPE } from '../../abi/errno.ts';
import { READABLE, WRITABLE } from '../../abi/poll.ts';
import { PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { U8, U32 } from '../../heap/memory.ts';
import { wake } from '../../heap/wait_queue.ts';
import { frame_alloc_uninitialized } from '../../machine/frames.ts';
import { Pipe } from './pipe.layout.ts';
import { free_bytes, PIPE_BUF, page_slot, used_bytes } from './pipe.ts';

/** Room in the pipe, in bytes. */
export function pipe_room(pipe: Ptr<'Pipe'>): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const room = free_bytes(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return room;
}

/** Puts bytes of `source` from `from` on: how many fitted, or -EPIPE when nobody reads any more. */
export function pipe_push(pipe: Ptr<'Pipe'>, source: Uint8Array, from = 0): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const open = Pipe.readers.get(pipe) > 0;
  let left = open ? Math.min(source.length - from, free_bytes(pipe)) : 0;
  let position = Pipe.tail.get(pipe);
  const start = position;
  while (left > 0) {
    const slot = page_slot(pipe, position);
    let page = U32[slot] as number;
    if (page === 0) {
      page = frame_alloc_uninitialized();
      if (page === 0) break;
      U32[slot] = page;
    }
    const offset = position % PAGE_SIZE;
    const n = Math.min(left, PAGE_SIZE - offset);
    const at = from + position - start;
    U8.set(source.subarray(at, at + n), page + offset);
    position += n;
    left -= n;
  }
  Pipe.tail.set(pipe, position);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (position > start) wake(Pipe.queue.at(pipe), READABLE);
  return open ? position - start : -EPIPE;
}

/** Takes up to `target.length` bytes: 0 when there is nothing now, -1 when there will be nothing more. */
export function pipe_take(pipe: Ptr<'Pipe'>, target: Uint8Array): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const room = free_bytes(pipe);
  const total = Pipe.claimed.get(pipe) !== 0 ? 0 : Math.min(target.length, used_bytes(pipe));
  let position = Pipe.head.get(pipe);
  for (let done = 0; done < total; ) {
    const offset = position % PAGE_SIZE;
    const n = Math.min(total - done, PAGE_SIZE - offset);
    const page = (U32[page_slot(pipe, position)] as number) + offset;
    target.set(U8.subarray(page, page + n), done);
    position += n;
    done += n;
  }
  const emptied = position === Pipe.tail.get(pipe);
  Pipe.head.set(pipe, emptied ? 0 : position);
  if (emptied) Pipe.tail.set(pipe, 0);
  const ended = total === 0 && used_bytes(pipe) === 0 && Pipe.writers.get(pipe) === 0;
  const crossed = room < PIPE_BUF && free_bytes(pipe) >= PIPE_BUF;
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (crossed) wake(Pipe.queue.at(pipe), WRITABLE, Number.MAX_SAFE_INTEGER);
  return ended ? -1 : total;
}

/** Counts (`delta` 1) or ends (-1) an end of the pipe that is no file: the host's, or a terminal's. */
export function pipe_hold_end(pipe: Ptr<'Pipe'>, reader: boolean, delta: number): void {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  if (delta > 0) Pipe.refs.set(pipe, Pipe.refs.get(pipe) + 1);
  if (reader) Pipe.readers.set(pipe, Pipe.readers.get(pipe) + delta);
  else Pipe.writers.set(pipe, Pipe.writers.get(pipe) + delta);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
}
