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
    /** 1: at most `exclusive` such entries are woken by one wake. */
    exclusive: e.u32('immutable'),
  },
  32,
);
export const wait_entries = slab(WaitEntry);

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
  WaitEntry.exclusive.set(entry, exclusive ? 1 : 0);
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

/** Takes an entry off its queue and frees it. The object that embeds the queue must still live. */
export function wait_leave(entry: Ptr<'WaitEntry'>): void {
  const queue = WaitEntry.queue.get(entry);
  const queue_lock = WaitQueue.lock.at(queue);
  lock(queue_lock, WAIT_QUEUE_LOCK);
  const next = WaitEntry.next.get(entry);
  const prev = WaitEntry.prev.get(entry);
  if (prev === 0) WaitQueue.head.set(queue, next);
  else WaitEntry.next.set(prev, next);
  if (next === 0) WaitQueue.tail.set(queue, prev);
  else WaitEntry.prev.set(next, prev);
  unlock(queue_lock, WAIT_QUEUE_LOCK);
  wait_entries.free(entry);
}

/** Wakes the waiters interested in `events`: all of the others and up to `exclusive` exclusive ones. */
export function wake(queue: Ptr<'WaitQueue'>, events: number, exclusive = 1): void {
  if (WaitQueue.head.get(queue) === 0) return;
  const queue_lock = WaitQueue.lock.at(queue);
  lock(queue_lock, WAIT_QUEUE_LOCK);
  let entry = WaitQueue.head.get(queue);
  let left = exclusive;
  while (entry !== 0) {
    const next = WaitEntry.next.get(entry);
    if ((WaitEntry.events.get(entry) & events) !== 0 && (left > 0 || WaitEntry.exclusive.get(entry) === 0)) {
      const wake_function = wake_functions[WaitEntry.wake_kind.get(entry)];
      assert(wake_function !== undefined, 'wake: unknown kind');
      const woken = wake_function(WaitEntry.waiter.get(entry), events);
      if (woken && WaitEntry.exclusive.get(entry) !== 0) left--;
    }
    entry = next;
  }
  unlock(queue_lock, WAIT_QUEUE_LOCK);
}
