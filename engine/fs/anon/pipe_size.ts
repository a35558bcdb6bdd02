/** The capacity of a pipe: F_GETPIPE_SZ and F_SETPIPE_SZ (fcntl(2)). */
import { EBUSY, EINVAL, ENOMEM, EPERM } from '../../abi/errno.ts';
import { WRITABLE } from '../../abi/poll.ts';
import { type FrameAddr, PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { U8, U32 } from '../../heap/memory.ts';
import { wake } from '../../heap/wait_queue.ts';
import { frame_alloc_uninitialized, frame_put } from '../../machine/frames.ts';
import { AnonRoot } from './epoll.layout.ts';
import { PIPE_DEFAULT_PAGES, PIPE_MAX_PAGES, Pipe } from './pipe.layout.ts';
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
 * Lays the pages in use out from the start of the new list, and frees the others: 0, -EBUSY when they are
 * too many, -ENOMEM. Under the pipe's lock.
 */
function move_pages(pipe: Ptr<'Pipe'>, fresh: number, count: number): number {
  const head = Pipe.head.get(pipe);
  const tail = Pipe.tail.get(pipe);
  const first = Math.floor(head / PAGE_SIZE);
  const used = head === tail ? 0 : Math.ceil(tail / PAGE_SIZE) - first;
  if (used > count) return -EBUSY;
  const far = Pipe.far_pages.get(pipe);
  const old_count = Pipe.page_count.get(pipe);
  const old_slots = (far === 0 ? Pipe.pages.at(pipe) : far) >>> 2;
  const kept: number[] = [];
  if (used > old_count) {
    // The ring is so full that its end lies in the first page, before the head: it gets a page of its own.
    const page = frame_alloc_uninitialized();
    if (page === 0) return -ENOMEM;
    const shared = U32[old_slots + (first % old_count)] as number;
    U8.copyWithin(page, shared, shared + (tail % PAGE_SIZE));
    kept[old_count] = page;
  }
  for (let i = 0; i < old_count; i++) {
    const slot = old_slots + ((first + i) % old_count);
    const page = U32[slot] as number;
    U32[slot] = 0;
    if (i < used) kept[i] = page;
    else if (page !== 0) frame_put(page as FrameAddr);
  }
  const slots = (fresh === 0 ? Pipe.pages.at(pipe) : fresh) >>> 2;
  for (let i = 0; i < count; i++) U32[slots + i] = kept[i] ?? 0;
  if (far !== 0) heap_page_free(far);
  Pipe.far_pages.set(pipe, fresh);
  Pipe.page_count.set(pipe, count);
  Pipe.head.set(pipe, used === 0 ? 0 : head - first * PAGE_SIZE);
  Pipe.tail.set(pipe, used === 0 ? 0 : tail - first * PAGE_SIZE);
  return 0;
}
