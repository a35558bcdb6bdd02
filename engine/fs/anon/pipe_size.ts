/** The capacity of a pipe: F_GETPIPE_SZ and F_SETPIPE_SZ (fcntl(2)). */

import { EBUSY, EINVAL, ENOMEM, EPERM } from '../../abi/errno.ts';
import { WRITABLE } from '../../abi/poll.ts';
import { type FrameAddr, PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { bytes_zero } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { U32 } from '../../heap/memory.ts';
import { wake } from '../../heap/wait_queue.ts';
import { frame_put } from '../../machine/frames.ts';
import { AnonRoot } from './epoll.layout.ts';
import { PIPE_DEFAULT_PAGES, PIPE_MAX_PAGES, Pipe } from './pipe.layout.ts';
import { is_packet_slot, make_packet_slot, slot_word } from './pipe_ring.ts';
import { anon_root } from './root.ts';

/** Capacity in bytes. */
export function pipe_capacity(pipe: Ptr<'Pipe'>): number {
  return Pipe.page_count.get(pipe) * PAGE_SIZE;
}

/** Makes a new pipe no larger than pipe-max-size, where that is less than the default. */
export function pipe_limit_default(pipe: Ptr<'Pipe'>): void {
  const limit = AnonRoot.pipe_max_size.load(anon_root());
  if (limit < pipe_capacity(pipe)) Pipe.page_count.set(pipe, limit / PAGE_SIZE);
}

/**
 * Changes the capacity to at least `size` bytes, in a power of two of pages. Answers the new capacity;
 * 0 is one page; -EINVAL beyond 2 GiB, -EPERM above pipe-max-size without CAP_SYS_RESOURCE, -EBUSY when the
 * data would not fit, -ENOMEM.
 */
export function pipe_resize(pipe: Ptr<'Pipe'>, size: number, privileged: boolean): number {
  if (size > 0x8000_0000) return -EINVAL;
  let count = 1;
  while (count * PAGE_SIZE < size) count *= 2;
  const grows = count > Pipe.page_count.get(pipe);
  if (grows && !privileged && count * PAGE_SIZE > AnonRoot.pipe_max_size.load(anon_root())) return -EPERM;
  if (count > PIPE_MAX_PAGES) return -ENOMEM;
  const fresh = count > PIPE_DEFAULT_PAGES ? heap_page_alloc() : 0;
  if (count > PIPE_DEFAULT_PAGES && fresh === 0) return -ENOMEM;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const moved = move_pages(pipe, fresh, count);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (moved < 0) {
    if (fresh !== 0) heap_page_free(fresh);
    return moved;
  }
  wake(Pipe.queue.at(pipe), WRITABLE, Number.MAX_SAFE_INTEGER);
  return count * PAGE_SIZE;
}

/**
 * Lays the pages in use out from the start of the new list, and frees the others: 0, or -EBUSY when they are too
 * many. Under the pipe's lock.
 */
function move_pages(pipe: Ptr<'Pipe'>, fresh: number, count: number): number {
  const used = Pipe.slots.get(pipe);
  if (used > count) return -EBUSY;
  const far = Pipe.far_pages.get(pipe);
  const old_count = Pipe.page_count.get(pipe);
  const kept: number[] = [];
  const packets: boolean[] = [];
  for (let i = 0; i < used; i++) packets.push(is_packet_slot(pipe, i));
  for (let i = 0; i < old_count; i++) {
    const at = slot_word(pipe, i);
    const word = U32[at] as number;
    U32[at] = 0;
    if (i < used) kept.push(word);
    else if (word !== 0) frame_put(word as FrameAddr);
  }
  const slots = (fresh === 0 ? Pipe.pages.at(pipe) : fresh) >>> 2;
  for (let i = 0; i < count; i++) U32[slots + i] = kept[i] ?? 0;
  if (far !== 0) heap_page_free(far);
  Pipe.far_pages.set(pipe, fresh);
  Pipe.page_count.set(pipe, count);
  Pipe.first.set(pipe, 0);
  Pipe.packet_count.set(pipe, 0);
  bytes_zero(Pipe.packets.at(pipe), PIPE_MAX_PAGES / 8);
  for (const [i, packet] of packets.entries()) if (packet) make_packet_slot(pipe, i);
  return 0;
}
