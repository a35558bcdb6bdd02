// @hot
/**
 * epoll(7): interest lists with a ready list, so that a wait costs what is ready and not what is watched.
 *
 * A change of a watched file walks the file's wait queue, finds the item's entry and puts the item on the
 * instance's ready list (`item_woken`). `epoll_collect` takes items off, asks the file for its events, and
 * puts level-triggered ones back at the end. An item that turns out not to be ready just leaves the list.
 *
 * Lock order: see epoll.layout.ts.
 */
import { EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, EPERM } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import {
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  EPOLLWAKEUP,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  READABLE,
} from '../../abi/poll.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { EPOLL_LOCK, EPOLL_READY_LOCK, EPOLL_WATCH_LOCK } from '../../heap/lock_order.ts';
import { U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { register_wake, WAKE_ALL, WAKE_EPOLL, wait_enrol, wait_leave, wake } from '../../heap/wait_queue.ts';
import { current_vcpu } from '../../kernel/current.ts';
import type { IoCursor } from '../../machine/io.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import { File } from '../../vfs/file.layout.ts';
import {
  anon_file,
  FILE_KIND_EPOLL,
  file_get,
  file_operations,
  no_transfer,
  register_file_operations,
  register_watch_release,
} from '../../vfs/file.ts';
import { AnonRoot, Epoll, EpollItem } from './epoll.layout.ts';
import { anon_root } from './root.ts';

export const epoll_slab = slab(Epoll);
export const epoll_item_slab = slab(EpollItem);

/** Bits of `events` that are not events. */
const PRIVATE_BITS = (EPOLLET | EPOLLEXCLUSIVE | EPOLLONESHOT | EPOLLWAKEUP) >>> 0;
/** Instances that may be nested in one another (Linux's EP_MAX_NESTS). */
const MAX_NESTS = 4;
/** Bytes of a struct epoll_event, which is packed on x86-64. */
export const EPOLL_EVENT_SIZE = 12;

type Item = Ptr<'EpollItem'>;
const NONE = 0 as Item;

/** A new instance's file, or 0 when the heap is exhausted. */
export function epoll_create(): Ptr<'File'> {
  const epoll = epoll_slab.alloc();
  if (epoll === 0) return 0 as Ptr<'File'>;
  const file = anon_file(FILE_KIND_EPOLL, epoll, O_RDWR);
  if (file === 0) epoll_slab.free(epoll);
  else Epoll.file.set(epoll, file);
  return file;
}

/** Whether the file is an epoll instance. */
export function is_epoll(file: Ptr<'File'>): boolean {
  return File.kind.get(file) === FILE_KIND_EPOLL;
}

function object_of(file: Ptr<'File'>): Ptr<'Epoll'> {
  return File.object.get(file) as Ptr<'Epoll'>;
}

function watch_lock(): Ptr<'Lock'> {
  return AnonRoot.watch_lock.at(anon_root());
}

/** Puts an item on the ready list's end unless it is on it. Answers whether it was put there. */
function make_ready(epoll: Ptr<'Epoll'>, item: Item): boolean {
  lock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  const fresh = EpollItem.ready.get(item) === 0;
  if (fresh) {
    EpollItem.ready.set(item, 1);
    const tail = Epoll.ready_tail.get(epoll);
    EpollItem.ready_prev.set(item, tail);
    EpollItem.ready_next.set(item, NONE);
    if (tail === 0) Epoll.ready_head.set(epoll, item);
    else EpollItem.ready_next.set(tail, item);
    Epoll.ready_tail.set(epoll, item);
    Epoll.ready_count.set(epoll, Epoll.ready_count.get(epoll) + 1);
  }
  unlock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  return fresh;
}

/** Takes an item off the ready list if it is on it. Under the ready lock. */
function unready_locked(epoll: Ptr<'Epoll'>, item: Item): void {
  if (EpollItem.ready.get(item) === 0) return;
  const next = EpollItem.ready_next.get(item);
  const prev = EpollItem.ready_prev.get(item);
  if (prev === 0) Epoll.ready_head.set(epoll, next);
  else EpollItem.ready_next.set(prev, next);
  if (next === 0) Epoll.ready_tail.set(epoll, prev);
  else EpollItem.ready_prev.set(next, prev);
  EpollItem.ready.set(item, 0);
  Epoll.ready_count.set(epoll, Epoll.ready_count.get(epoll) - 1);
}

function pop_ready(epoll: Ptr<'Epoll'>): Item {
  lock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  const item = Epoll.ready_head.get(epoll);
  if (item !== 0) unready_locked(epoll, item);
  unlock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  return item;
}

/** Items that may be ready. */
export function epoll_ready_count(file: Ptr<'File'>): number {
  const epoll = object_of(file);
  lock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  const count = Epoll.ready_count.get(epoll);
  unlock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  return count;
}

/**
 * The wake function of items; runs under the watched file's queue lock. An EPOLLEXCLUSIVE item counts for the wake only
 * where somebody waits for the instance, and the wake is for reading or for writing and not for both (Linux's
 * ep_poll_callback).
 */
function item_woken(waiter: number, events: number): boolean {
  const item = waiter as Item;
  const interest = EpollItem.events.get(item);
  if ((interest & events) === 0) return false;
  const epoll = EpollItem.epoll.get(item);
  make_ready(epoll, item);
  const chosen = wake(Epoll.queue.at(epoll), POLLIN);
  if ((interest & EPOLLEXCLUSIVE) === 0) return true;
  const direction = events & (POLLIN | POLLOUT);
  return chosen > 0 && (direction === 0 || (direction !== (POLLIN | POLLOUT) && (interest & direction) !== 0));
}
register_wake(WAKE_EPOLL, item_woken);

function item_events(item: Item): number {
  const file = EpollItem.file.get(item);
  return file_operations(file).poll(file) & EpollItem.events.get(item) & ~PRIVATE_BITS;
}

/**
 * Writes up to `max` ready events to the cursor, 12 bytes each, and answers their number. The cursor has
 * room for them.
 */
export function epoll_collect(file: Ptr<'File'>, io: IoCursor, max: number): number {
  const epoll = object_of(file);
  const scratch = Vcpu.scratch.at(current_vcpu);
  lock(Epoll.lock.at(epoll), EPOLL_LOCK);
  let n = 0;
  for (let left = epoll_ready_count(file); left > 0 && n < max; left--) {
    const item = pop_ready(epoll);
    if (item === 0) break;
    const events = item_events(item);
    if (events === 0) continue;
    U32[scratch >> 2] = events;
    U32[(scratch >> 2) + 1] = EpollItem.data.lo(item);
    U32[(scratch >> 2) + 2] = EpollItem.data.hi(item);
    io.fill_from(scratch, EPOLL_EVENT_SIZE);
    n++;
    const interest = EpollItem.events.get(item);
    if ((interest & EPOLLONESHOT) !== 0) EpollItem.events.set(item, (interest & PRIVATE_BITS) >>> 0);
    else if ((interest & EPOLLET) === 0) make_ready(epoll, item);
  }
  unlock(Epoll.lock.at(epoll), EPOLL_LOCK);
  // Waiters are woken one at a time: what is left is for the next.
  if (epoll_ready_count(file) > 0) wake(Epoll.queue.at(epoll), POLLIN);
  return n;
}

function poll(file: Ptr<'File'>): number {
  const epoll = object_of(file);
  let events = 0;
  lock(Epoll.lock.at(epoll), EPOLL_LOCK);
  for (let left = epoll_ready_count(file); left > 0 && events === 0; left--) {
    const item = pop_ready(epoll);
    if (item === 0) break;
    if (item_events(item) === 0) continue;
    make_ready(epoll, item);
    events = READABLE;
  }
  unlock(Epoll.lock.at(epoll), EPOLL_LOCK);
  return events;
}

/** The item of this instance that watches (file, fd), or 0. Under the watch lock. */
function find(epoll: Ptr<'Epoll'>, file: Ptr<'File'>, fd: number): Item {
  let item = File.watchers.get(file);
  while (item !== 0 && (EpollItem.epoll.get(item) !== epoll || EpollItem.fd.get(item) !== fd))
    item = EpollItem.next_watcher.get(item);
  return item;
}

/** Levels of instances below this one; more than MAX_NESTS, or `target` found, answers MAX_NESTS + 1. */
function depth_below(epoll: Ptr<'Epoll'>, target: Ptr<'Epoll'>, level: number): number {
  if (epoll === target || level > MAX_NESTS) return MAX_NESTS + 1;
  let deepest = 0;
  for (let item = Epoll.items.get(epoll); item !== 0; item = EpollItem.next.get(item)) {
    const watched = EpollItem.file.get(item);
    if (!is_epoll(watched)) continue;
    const depth = depth_below(object_of(watched), target, level + 1);
    if (depth > MAX_NESTS) return depth;
    deepest = Math.max(deepest, depth + 1);
  }
  return deepest;
}

/** Levels of instances that watch this one, directly or not. */
function depth_above(file: Ptr<'File'>): number {
  let highest = 0;
  for (let item = File.watchers.get(file); item !== 0; item = EpollItem.next_watcher.get(item))
    highest = Math.max(highest, 1 + depth_above(Epoll.file.get(EpollItem.epoll.get(item))));
  return highest;
}

/**
 * EPOLL_CTL_ADD: 0, -EEXIST, -EPERM for files that are always ready, -ELOOP for nesting in a circle or too
 * deep, -EINVAL for EPOLLEXCLUSIVE of an instance, -ENOMEM. `fd` and `file` are the descriptor added.
 */
export function epoll_add(
  epoll_file: Ptr<'File'>,
  fd: number,
  file: Ptr<'File'>,
  events: number,
  data_lo: number,
  data_hi: number,
): number {
  const epoll = object_of(epoll_file);
  const queue = file_operations(file).queue(file);
  if (queue === 0) return -EPERM;
  if (file === epoll_file) return -EINVAL;
  if ((events & EPOLLEXCLUSIVE) !== 0 && is_epoll(file)) return -EINVAL;
  const item = epoll_item_slab.alloc();
  if (item === 0) return -ENOMEM;
  EpollItem.epoll.set(item, epoll);
  EpollItem.file.set(item, file);
  EpollItem.fd.set(item, fd);
  EpollItem.events.set(item, (events | POLLERR | POLLHUP) >>> 0);
  EpollItem.data.set_parts(item, data_lo, data_hi);
  lock(watch_lock(), EPOLL_WATCH_LOCK);
  let result = 0;
  if (find(epoll, file, fd) !== 0) result = -EEXIST;
  else if (is_epoll(file) && depth_above(epoll_file) + depth_below(object_of(file), epoll, 1) + 1 > MAX_NESTS)
    result = -ELOOP;
  else {
    const entry = wait_enrol(queue, item, WAKE_EPOLL, WAKE_ALL, (events & EPOLLEXCLUSIVE) !== 0);
    if (entry === 0) result = -ENOMEM;
    else {
      EpollItem.entry.set(item, entry);
      EpollItem.held.set(item, file_operations(file).queue_hold?.(file) ?? 0);
      attach(epoll, file, item);
    }
  }
  if (result !== 0) epoll_item_slab.free(item);
  else announce_if_ready(epoll, item);
  unlock(watch_lock(), EPOLL_WATCH_LOCK);
  return result;
}

function attach(epoll: Ptr<'Epoll'>, file: Ptr<'File'>, item: Item): void {
  const first = Epoll.items.get(epoll);
  EpollItem.next.set(item, first);
  if (first !== 0) EpollItem.prev.set(first, item);
  Epoll.items.set(epoll, item);
  EpollItem.next_watcher.set(item, File.watchers.get(file));
  File.watchers.set(file, item);
}

/** An item whose interest is new: what is ready already counts as a change. */
function announce_if_ready(epoll: Ptr<'Epoll'>, item: Item): void {
  lock(Epoll.lock.at(epoll), EPOLL_LOCK);
  const announce = item_events(item) !== 0 && make_ready(epoll, item);
  unlock(Epoll.lock.at(epoll), EPOLL_LOCK);
  if (announce) wake(Epoll.queue.at(epoll), POLLIN);
}

/** EPOLL_CTL_MOD: 0, -ENOENT, -EINVAL when either side is EPOLLEXCLUSIVE. */
export function epoll_modify(
  epoll_file: Ptr<'File'>,
  fd: number,
  file: Ptr<'File'>,
  events: number,
  data_lo: number,
  data_hi: number,
): number {
  const epoll = object_of(epoll_file);
  lock(watch_lock(), EPOLL_WATCH_LOCK);
  const item = find(epoll, file, fd);
  let result = 0;
  if (item === 0) result = -ENOENT;
  else if (((EpollItem.events.get(item) | events) & EPOLLEXCLUSIVE) !== 0) result = -EINVAL;
  else {
    lock(Epoll.lock.at(epoll), EPOLL_LOCK);
    EpollItem.events.set(item, (events | POLLERR | POLLHUP) >>> 0);
    EpollItem.data.set_parts(item, data_lo, data_hi);
    unlock(Epoll.lock.at(epoll), EPOLL_LOCK);
    announce_if_ready(epoll, item);
  }
  unlock(watch_lock(), EPOLL_WATCH_LOCK);
  return result;
}

/** EPOLL_CTL_DEL: 0 or -ENOENT. */
export function epoll_delete(epoll_file: Ptr<'File'>, fd: number, file: Ptr<'File'>): number {
  lock(watch_lock(), EPOLL_WATCH_LOCK);
  const item = find(object_of(epoll_file), file, fd);
  if (item !== 0) detach(item);
  unlock(watch_lock(), EPOLL_WATCH_LOCK);
  return item === 0 ? -ENOENT : 0;
}

/** The `skip`-th file that the instance watches by descriptor number `fd`, with a reference; 0 for none (kcmp(2)). */
export function epoll_target(epoll_file: Ptr<'File'>, fd: number, skip: number): Ptr<'File'> {
  lock(watch_lock(), EPOLL_WATCH_LOCK);
  let left = skip;
  let item = Epoll.items.get(object_of(epoll_file));
  while (item !== 0 && (EpollItem.fd.get(item) !== fd || left-- > 0)) item = EpollItem.next.get(item);
  const file = item === 0 ? (0 as Ptr<'File'>) : EpollItem.file.get(item);
  if (file !== 0) file_get(file);
  unlock(watch_lock(), EPOLL_WATCH_LOCK);
  return file;
}

/** Ends a watch and frees its item. Under the watch lock. */
function detach(item: Item): void {
  const epoll = EpollItem.epoll.get(item);
  const file = EpollItem.file.get(item);
  wait_leave(EpollItem.entry.get(item));
  if (EpollItem.held.get(item) !== 0) file_operations(file).queue_drop?.(EpollItem.held.get(item));
  // A collector may hold the item off the list for a moment: wait for it, then no path leads to the item.
  lock(Epoll.lock.at(epoll), EPOLL_LOCK);
  lock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  unready_locked(epoll, item);
  unlock(Epoll.ready_lock.at(epoll), EPOLL_READY_LOCK);
  unlock(Epoll.lock.at(epoll), EPOLL_LOCK);
  const next = EpollItem.next.get(item);
  const prev = EpollItem.prev.get(item);
  if (prev === 0) Epoll.items.set(epoll, next);
  else EpollItem.next.set(prev, next);
  if (next !== 0) EpollItem.prev.set(next, prev);
  const follower = EpollItem.next_watcher.get(item);
  let at = File.watchers.get(file);
  if (at === item) File.watchers.set(file, follower);
  else {
    while (EpollItem.next_watcher.get(at) !== item) at = EpollItem.next_watcher.get(at);
    EpollItem.next_watcher.set(at, follower);
  }
  epoll_item_slab.free(item);
}

/** The last reference to a watched file is gone (epoll(7), Q6). */
register_watch_release((file) => {
  lock(watch_lock(), EPOLL_WATCH_LOCK);
  for (let item = File.watchers.get(file); item !== 0; item = File.watchers.get(file)) detach(item);
  unlock(watch_lock(), EPOLL_WATCH_LOCK);
});

function release(file: Ptr<'File'>): void {
  const epoll = object_of(file);
  lock(watch_lock(), EPOLL_WATCH_LOCK);
  for (let item = Epoll.items.get(epoll); item !== 0; item = Epoll.items.get(epoll)) detach(item);
  unlock(watch_lock(), EPOLL_WATCH_LOCK);
  epoll_slab.free(epoll);
}

register_file_operations(FILE_KIND_EPOLL, {
  name: 'eventpoll',
  read: no_transfer,
  write: no_transfer,
  poll,
  queue: (file) => Epoll.queue.at(object_of(file)),
  // A position that nothing uses (Linux's noop_llseek).
  seek: () => 0,
  // Its own commands (busy polling) leave no other to try (Linux's ep_eventpoll_ioctl).
  ioctl: () => -EINVAL,
  release,
});
