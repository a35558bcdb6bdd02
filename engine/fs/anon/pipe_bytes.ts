/** Pipes from the kernel's and the host's side: bytes in JavaScript arrays instead of user memory. */
import { EPIPE } from '../../abi/errno.ts';
import { READABLE, WRITABLE } from '../../abi/poll.ts';
import { PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { U8, U32 } from '../../heap/memory.ts';
import { wake } from '../../heap/wait_queue.ts';
import { Pipe } from './pipe.layout.ts';
import {
  add_slot,
  grow_tail,
  ring_consume,
  ring_full,
  slot_bytes,
  slot_page,
  slot_word,
  tail_room,
} from './pipe_ring.ts';

/** Bytes that `pipe_push` would take. */
export function pipe_room(pipe: Ptr<'Pipe'>): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const room = (Pipe.page_count.get(pipe) - Pipe.slots.get(pipe)) * PAGE_SIZE + tail_room(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return room;
}

/** Puts bytes of `source` from `from` on, into whole pages: how many fitted, or -EPIPE when nobody reads any more. */
export function pipe_push(pipe: Ptr<'Pipe'>, source: Uint8Array, from = 0): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const open = Pipe.readers.get(pipe) > 0;
  let position = from;
  while (open && position < source.length) {
    const room = tail_room(pipe);
    if (room === 0 && ring_full(pipe)) break;
    const n = Math.min(source.length - position, room === 0 ? PAGE_SIZE : room);
    const at = room === 0 ? add_slot(pipe, n) : grow_tail(pipe, n);
    if (at === 0) break;
    U8.set(source.subarray(position, position + n), at);
    position += n;
  }
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (position > from) wake(Pipe.queue.at(pipe), READABLE);
  return open ? position - from : -EPIPE;
}

/** Takes up to `target.length` bytes: 0 when there is nothing now, -1 when there will be nothing more. */
export function pipe_take(pipe: Ptr<'Pipe'>, target: Uint8Array): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const full = ring_full(pipe);
  const total = Pipe.claimed.get(pipe) !== 0 ? 0 : Math.min(target.length, Pipe.used.get(pipe));
  let offset = Pipe.offset.get(pipe);
  for (let done = 0, i = 0; done < total; i++) {
    const word = U32[slot_word(pipe, i)] as number;
    const n = Math.min(total - done, slot_bytes(word) - offset);
    const from = slot_page(word) + offset;
    target.set(U8.subarray(from, from + n), done);
    offset = 0;
    done += n;
  }
  if (total > 0) ring_consume(pipe, total);
  const ended = total === 0 && Pipe.used.get(pipe) === 0 && Pipe.writers.get(pipe) === 0;
  const freed = full && !ring_full(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (freed) wake(Pipe.queue.at(pipe), WRITABLE, Number.MAX_SAFE_INTEGER);
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
