/**
 * Wait queues: who is to be told when an object becomes ready.
 *
 * An entry belongs to a waiter (a task, an epoll instance) and is on one queue. A wake walks the queue
 * under its lock and calls the entry's wake function, an index into a table that is the same on every
 * thread (functions cannot live in shared memory). The table is filled at module load by the kernel
 * (tasks) and by epoll.
 *
 * Protocol of a waiter: enrol, then look at the condition once more, then commit to sleep. A wake
 * between enrolling and committing is not lost (see kernel/task.layout.ts, TASK_WOKEN).
 *
 * An exclusive waiter that a wake has selected stays on the queue until its call ends, unlike Linux's, which a wake takes
 * off. So that each wake reaches somebody else, the entry says that it is selected, and counts for no other wake until
 * the waiter has looked. One that leaves without having looked since, or with an error, owes the wake to the next
 * (Linux's prepare_to_wait_event, ep_done_scan): `wait_leave` tells.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { layout } from './layout.ts';
import { Lock, lock, unlock } from './lock.ts';
import { WAIT_QUEUE_LOCK } from './lock_order.ts';
import { slab } from './slab.ts';

/** Event masks are those of poll(2): POLLIN 1, POLLPRI 2, POLLOUT 4, POLLERR 8, POLLHUP 16. */
export const WAKE_ALL = 0xffff;

const q = layout('WaitQueue');
export const WaitQueue = q.done(
  {
    lock: q.embed(Lock),
    head: q.ptr('WaitEntry', 'guarded by lock'),
    tail: q.ptr('WaitEntry', 'guarded by lock'),
  },
  16,
);

const e = layout('WaitEntry');
export const WaitEntry = e.done(
  {
    next: e.ptr('WaitEntry', 'guarded by queue lock'),
    prev: e.ptr('WaitEntry', 'guarded by queue lock'),
    queue: e.ptr('WaitQueue', 'owner'),
    /** Next entry of the same waiter. */
    sibling: e.ptr('WaitEntry', 'owner'),
    /** What is woken: a Task, an epoll item, by `wake_kind`. */
    waiter: e.u32('immutable'),
    wake_kind: e.u32('immutable'),
    /** Events of interest; a wake for others passes by. */
    events: e.u32('immutable'),
    /** Not 0: at most `exclusive` such entries are woken by one wake. EXCLUSIVE, SELECTED, LOOKED. */
    exclusive: e.u32('guarded by queue lock'),
  },
  32,
);
export const wait_entries = slab(WaitEntry);

const SHARED = 0;
const EXCLUSIVE = 1;
/** A wake has chosen this task, which has not looked at its condition since. */
const SELECTED = 2;
/** It has looked; a wake may choose it again. */
const LOOKED = 3;

/** Tells a waiter; returns whether it counts against the number of exclusive wakes. */
export type WakeFunction = (waiter: number, events: number) => boolean;
const wake_functions: (WakeFunction | undefined)[] = [];
export const WAKE_TASK = 0;
export const WAKE_EPOLL = 1;
/** The host's event loop (fs/hostio). */
export const WAKE_HOST = 2;

/** Installs the wake function of a kind, at module load. */
export function register_wake(kind: number, wake: WakeFunction): void {
  wake_functions[kind] = wake;
}

/** Puts an entry of the waiter at the queue's end. Returns 0 when the heap is exhausted. */
export function wait_enrol(
  queue: Ptr<'WaitQueue'>,
  waiter: number,
  wake_kind: number,
  events: number,
  exclusive: boolean,
): Ptr<'WaitEntry'> {
  const entry = wait_entries.alloc();
  if (entry === 0) return entry;
  WaitEntry.queue.set(entry, queue);
  WaitEntry.waiter.set(entry, waiter);
  WaitEntry.wake_kind.set(entry, wake_kind);
  WaitEntry.events.set(entry, events);
  WaitEntry.exclusive.set(entry, exclusive ? EXCLUSIVE : SHARED);
  const queue_lock = WaitQueue.lock.at(queue);
  lock(queue_lock, WAIT_QUEUE_LOCK);
  const tail = WaitQueue.tail.get(queue);
  WaitEntry.prev.set(entry, tail);
  if (tail === 0) WaitQueue.head.set(queue, entry);
  else WaitEntry.next.set(tail, entry);
  WaitQueue.tail.set(queue, entry);
  unlock(queue_lock, WAIT_QUEUE_LOCK);
  return entry;
}

/** The waiter of this entry is about to look at its condition. */
export function wait_looks(entry: Ptr<'WaitEntry'>): void {
  if (WaitEntry.exclusive.get(entry) === SELECTED) WaitEntry.exclusive.set(entry, LOOKED);
}

/**
 * Takes an entry off its queue and frees it. The object that embeds the queue must still live. Answers whether a wake that
 * chose the entry must be passed on; `failed`: the waiter has made nothing of it.
 */
export function wait_leave(entry: Ptr<'WaitEntry'>, failed = false): boolean {
  const queue = WaitEntry.queue.get(entry);
  const queue_lock = WaitQueue.lock.at(queue);
  lock(queue_lock, WAIT_QUEUE_LOCK);
  const next = WaitEntry.next.get(entry);
  const prev = WaitEntry.prev.get(entry);
  if (prev === 0) WaitQueue.head.set(queue, next);
  else WaitEntry.next.set(prev, next);
  if (next === 0) WaitQueue.tail.set(queue, prev);
  else WaitEntry.prev.set(next, prev);
  const state = WaitEntry.exclusive.get(entry);
  unlock(queue_lock, WAIT_QUEUE_LOCK);
  wait_entries.free(entry);
  return state === SELECTED || (failed && state === LOOKED);
}

/**
 * Wakes the waiters interested in `events`: all of the others and up to `exclusive` exclusive ones. Answers how many
 * exclusive ones.
 */
export function wake(queue: Ptr<'WaitQueue'>, events: number, exclusive = 1): number {
  if (WaitQueue.head.get(queue) === 0) return 0;
  const queue_lock = WaitQueue.lock.at(queue);
  lock(queue_lock, WAIT_QUEUE_LOCK);
  let entry = WaitQueue.head.get(queue);
  let left = exclusive;
  while (entry !== 0) {
    const next = WaitEntry.next.get(entry);
    const state = WaitEntry.exclusive.get(entry);
    if ((WaitEntry.events.get(entry) & events) !== 0 && (left > 0 || state === SHARED)) {
      const wake_function = wake_functions[WaitEntry.wake_kind.get(entry)];
      assert(wake_function !== undefined, 'wake: unknown kind');
      const woken = wake_function(WaitEntry.waiter.get(entry), events);
      if (woken && (state === EXCLUSIVE || state === LOOKED)) {
        left--;
        if (WaitEntry.wake_kind.get(entry) === WAKE_TASK) WaitEntry.exclusive.set(entry, SELECTED);
      }
    }
    entry = next;
  }
  unlock(queue_lock, WAIT_QUEUE_LOCK);
  return exclusive - left;
}
