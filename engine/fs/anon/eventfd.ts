/**
 * eventfd(2): a counter; writes add, reads take everything (or one, with EFD_SEMAPHORE).
 *
 * The counter's largest value is 2^64 - 2; a write that would pass it waits for a read.
 */
import { EAGAIN, EFAULT, EINVAL, ENOTTY } from '../../abi/errno.ts';
import { O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN, POLLOUT, READABLE, WRITABLE } from '../../abi/poll.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { slab } from '../../heap/slab.ts';
import { wake } from '../../heap/wait_queue.ts';
import type { IoCursor } from '../../machine/io.ts';
import { File } from '../../vfs/file.layout.ts';
import { anon_file, FILE_KIND_EVENTFD, register_file_operations } from '../../vfs/file.ts';
import { EventFd } from './eventfd.layout.ts';

export const EFD_SEMAPHORE = 1;

export const eventfd_slab = slab(EventFd);

const MAX_HALF = 0xffff_ffff;

/** A new eventfd file with the counter at `initial`, or 0 when the heap is exhausted. */
export function eventfd_create(initial: number, flags: number): Ptr<'File'> {
  const event = eventfd_slab.alloc();
  if (event === 0) return 0 as Ptr<'File'>;
  EventFd.count.set(event, initial);
  EventFd.semaphore.set(event, flags & EFD_SEMAPHORE);
  const file = anon_file(FILE_KIND_EVENTFD, event, O_RDWR | (flags & O_NONBLOCK));
  if (file === 0) eventfd_slab.free(event);
  return file;
}

function object_of(file: Ptr<'File'>): Ptr<'EventFd'> {
  return File.object.get(file) as Ptr<'EventFd'>;
}

function is_zero(event: Ptr<'EventFd'>): boolean {
  return EventFd.count.lo(event) === 0 && EventFd.count.hi(event) === 0;
}

function read(file: Ptr<'File'>, io: IoCursor): number {
  const event = object_of(file);
  if (io.wanted() < 8) return -EINVAL;
  lock(EventFd.lock.at(event), ANON_LOCK);
  const empty = is_zero(event);
  if (!empty) {
    const lo = EventFd.count.lo(event);
    const hi = EventFd.count.hi(event);
    if (EventFd.semaphore.get(event) !== 0) {
      EventFd.value.set(event, 1);
      EventFd.count.set_parts(event, lo - 1, lo === 0 ? hi - 1 : hi);
    } else {
      EventFd.value.set_parts(event, lo, hi);
      EventFd.count.set(event, 0);
    }
  }
  // What cannot be told is gone all the same.
  const told = !empty && io.remaining >= 8;
  if (told) io.fill_from(event + EventFd.value.offset, 8);
  unlock(EventFd.lock.at(event), ANON_LOCK);
  if (empty) return -EAGAIN;
  wake(EventFd.queue.at(event), WRITABLE);
  return told ? 8 : -EFAULT;
}

function write(file: Ptr<'File'>, io: IoCursor): number {
  const event = object_of(file);
  if (io.wanted() + io.following !== 8) return -EINVAL;
  if (io.missing > 0) return -EFAULT;
  lock(EventFd.lock.at(event), ANON_LOCK);
  io.drain_to(event + EventFd.value.offset, 8);
  const result = add(event);
  unlock(EventFd.lock.at(event), ANON_LOCK);
  if (result > 0) wake(EventFd.queue.at(event), READABLE);
  return result;
}

/** Adds `value` to `count`: 8, -EINVAL for 2^64 - 1, -EAGAIN when the sum would be above 2^64 - 2. */
function add(event: Ptr<'EventFd'>): number {
  const value_lo = EventFd.value.lo(event);
  const value_hi = EventFd.value.hi(event);
  if (value_lo === MAX_HALF && value_hi === MAX_HALF) return -EINVAL;
  const lo = EventFd.count.lo(event) + value_lo;
  const hi = EventFd.count.hi(event) + value_hi + (lo > MAX_HALF ? 1 : 0);
  if (hi > MAX_HALF || (hi === MAX_HALF && lo >>> 0 === MAX_HALF)) return -EAGAIN;
  EventFd.count.set_parts(event, lo, hi);
  return 8;
}

function poll(file: Ptr<'File'>): number {
  const event = object_of(file);
  lock(EventFd.lock.at(event), ANON_LOCK);
  const full = EventFd.count.lo(event) === MAX_HALF - 1 && EventFd.count.hi(event) === MAX_HALF;
  const events = (is_zero(event) ? 0 : POLLIN) | (full ? 0 : POLLOUT);
  unlock(EventFd.lock.at(event), ANON_LOCK);
  return events;
}

register_file_operations(FILE_KIND_EVENTFD, {
  name: 'eventfd',
  read,
  write,
  poll,
  queue: (file) => EventFd.queue.at(object_of(file)),
  // A position that nothing uses (Linux's noop_llseek).
  seek: () => 0,
  ioctl: () => -ENOTTY,
  release: (file) => eventfd_slab.free(object_of(file)),
});
