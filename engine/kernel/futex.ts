/**
 * Futexes (futex(2)): sleeping on a word of user memory and waking who sleeps there.
 *
 * A waiter is queued first and compares the word then, without a lock: a waker changes the word before it looks at
 * the queue, so either it finds the waiter or the waiter sees the change. No user memory is touched under a lock.
 */
import { EAGAIN, EFAULT, EINVAL, ENOMEM, ENOSYS, ERESTARTSYS, ETIMEDOUT } from '../abi/errno.ts';
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FUTEX_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_FUTEX } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { FutexKey, futex_key } from '../mm/futex_key.ts';
import { Mm } from '../mm/mm.layout.ts';
import { get_user_i64, get_user_u32, get_user_u64, put_user_u32, user_atomic_address } from '../mm/uaccess.ts';
import { deadline_passed, signal_pending, wait_armed } from './block.ts';
import { current } from './current.ts';
import { register_exit_hooks } from './exit.ts';
import { FUTEX_BUCKETS, FutexBucket, FutexTable, FutexWaiter } from './futex.layout.ts';
import { RESTART_FUTEX, restart_later } from './restart.ts';
import { wake_task } from './scheduler.ts';
import { TASK_WOKEN, Task } from './task.layout.ts';

type Waiter = Ptr<'FutexWaiter'>;
type Bucket = Ptr<'FutexBucket'>;

export const futex_tables = slab(FutexTable);
export const futex_waiters = slab(FutexWaiter);

const key = new FutexKey();
const key2 = new FutexKey();

/** Bits of a robust or PI futex word. */
const FUTEX_WAITERS = 0x8000_0000;
const FUTEX_OWNER_DIED = 0x4000_0000;
const FUTEX_TID_MASK = 0x3fff_ffff;
/** Entries of a robust list looked at (ROBUST_LIST_LIMIT). */
const ROBUST_LIST_LIMIT = 2048;

/** Makes the table at boot. */
export function boot_futex(): void {
  const table = futex_tables.alloc();
  assert(table !== 0, 'boot_futex: no heap');
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_FUTEX] = table;
}

function bucket_of(k: FutexKey): Bucket {
  const table = I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_FUTEX] as Ptr<'FutexTable'>;
  const hash = Math.imul((k.offset / 4) ^ (k.object >>> 4), 0x9e37_79b1) >>> 16;
  return (FutexTable.buckets.at(table) + (hash % FUTEX_BUCKETS) * FutexBucket.SIZE) as Bucket;
}

function push(bucket: Bucket, waiter: Waiter): void {
  const tail = FutexBucket.tail.get(bucket);
  FutexWaiter.previous.set(waiter, tail);
  FutexWaiter.next.set(waiter, 0 as Waiter);
  if (tail === 0) FutexBucket.head.set(bucket, waiter);
  else FutexWaiter.next.set(tail, waiter);
  FutexBucket.tail.set(bucket, waiter);
  FutexWaiter.bucket.store(waiter, bucket);
}

function unlink(bucket: Bucket, waiter: Waiter): void {
  const next = FutexWaiter.next.get(waiter);
  const previous = FutexWaiter.previous.get(waiter);
  if (previous === 0) FutexBucket.head.set(bucket, next);
  else FutexWaiter.next.set(previous, next);
  if (next === 0) FutexBucket.tail.set(bucket, previous);
  else FutexWaiter.previous.set(next, previous);
}

/** Queues the current task as a waiter on `uaddr`: the record, or -errno. */
export function futex_enqueue(uaddr: number, shared: boolean, bitset: number): number {
  if (uaddr % 4 !== 0) return -EINVAL;
  const error = futex_key(Task.mm.get(current), uaddr, shared, key);
  if (error !== 0) return error;
  const waiter = futex_waiters.alloc();
  if (waiter === 0) return -ENOMEM;
  FutexWaiter.task.set(waiter, current);
  FutexWaiter.bitset.set(waiter, bitset);
  FutexWaiter.object.set(waiter, key.object);
  FutexWaiter.offset.set(waiter, key.offset);
  const bucket = bucket_of(key);
  lock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
  push(bucket, waiter);
  unlock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
  return waiter;
}

/** Ends a wait and frees its record; whether a wake had taken it. */
export function futex_dequeue(waiter: Waiter): boolean {
  for (;;) {
    const bucket = FutexWaiter.bucket.load(waiter) as Bucket;
    // Also when it is woken already: the waker is done with the record once it has released the lock.
    lock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
    if (FutexWaiter.bucket.load(waiter) !== bucket) {
      unlock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
      continue;
    }
    const woken = FutexWaiter.woken.load(waiter) !== 0;
    if (!woken) unlink(bucket, waiter);
    unlock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
    futex_waiters.free(waiter);
    return woken;
  }
}

/**
 * FUTEX_WAIT and FUTEX_WAIT_BITSET, as a handler: the deadline is the call's. 0, -EAGAIN when the word is not
 * `value`, -ETIMEDOUT, or the results of waiting.
 */
export function futex_wait(uaddr: number, value: number, shared: boolean, bitset: number): number {
  if (bitset === 0) return -EINVAL;
  if (Task.syscall_phase.get(current) === 0) {
    Task.state.and(current, ~TASK_WOKEN);
    const queued = futex_enqueue(uaddr, shared, bitset);
    if (queued < 0) return queued;
    Task.syscall_phase.set(current, 1);
    Task.syscall_aux.set(current, queued);
    const word = get_user_u32(uaddr);
    if (word !== value) {
      const woken = futex_dequeue(queued as Waiter);
      return word < 0 ? -EFAULT : woken ? 0 : -EAGAIN;
    }
  }
  const waiter = Task.syscall_aux.get(current) as Waiter;
  if (FutexWaiter.woken.load(waiter) === 0 && !deadline_passed() && !signal_pending()) return wait_armed();
  const passed = deadline_passed();
  if (futex_dequeue(waiter)) return 0;
  if (passed) return -ETIMEDOUT;
  return Task.syscall_deadline.get(current) === 0 ? -ERESTARTSYS : restart_later(RESTART_FUTEX);
}

/** Wakes up to `count` waiters of a key whose bitset meets `bitset`; under the bucket's lock. */
function wake_locked(bucket: Bucket, k: FutexKey, count: number, bitset: number): number {
  let woken = 0;
  let waiter = FutexBucket.head.get(bucket);
  while (waiter !== 0 && woken < count) {
    const next = FutexWaiter.next.get(waiter);
    if (matches(waiter, k) && (FutexWaiter.bitset.get(waiter) & bitset) !== 0) {
      unlink(bucket, waiter);
      const task = FutexWaiter.task.get(waiter);
      FutexWaiter.woken.store(waiter, 1);
      wake_task(task);
      woken++;
    }
    waiter = next;
  }
  return woken;
}

function matches(waiter: Waiter, k: FutexKey): boolean {
  return FutexWaiter.object.get(waiter) === k.object && FutexWaiter.offset.get(waiter) === k.offset;
}

/** FUTEX_WAKE and FUTEX_WAKE_BITSET: how many were woken, or -errno. */
export function futex_wake(uaddr: number, count: number, shared: boolean, bitset: number): number {
  if (bitset === 0 || uaddr % 4 !== 0) return -EINVAL;
  const error = futex_key(Task.mm.get(current), uaddr, shared, key);
  if (error !== 0) return error;
  const bucket = bucket_of(key);
  lock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
  // A count of 0 wakes one, as in Linux.
  const woken = wake_locked(bucket, key, Math.max(1, count), bitset);
  unlock(FutexBucket.lock.at(bucket), FUTEX_LOCK);
  return woken;
}

function lock_both(a: Bucket, b: Bucket): void {
  lock(FutexBucket.lock.at(a < b ? a : b), FUTEX_LOCK);
  if (a !== b) lock(FutexBucket.lock.at(a < b ? b : a), FUTEX_LOCK);
}

function unlock_both(a: Bucket, b: Bucket): void {
  unlock(FutexBucket.lock.at(a), FUTEX_LOCK);
  if (a !== b) unlock(FutexBucket.lock.at(b), FUTEX_LOCK);
}

/** Fills both keys; 0 or -errno. */
function two_keys(uaddr: number, uaddr2: number, shared: boolean): number {
  if (uaddr % 4 !== 0 || uaddr2 % 4 !== 0) return -EINVAL;
  const mm = Task.mm.get(current);
  return futex_key(mm, uaddr, shared, key) || futex_key(mm, uaddr2, shared, key2);
}

/**
 * FUTEX_REQUEUE and FUTEX_CMP_REQUEUE (`expected` -1: no comparison): wakes up to `wakes` and moves up to `moves`
 * more to `uaddr2`. How many were woken (and moved, when compared), -EAGAIN, or -errno.
 */
export function futex_requeue(
  uaddr: number,
  uaddr2: number,
  wakes: number,
  moves: number,
  expected: number,
  shared: boolean,
): number {
  if (wakes < 0 || moves < 0) return -EINVAL;
  const error = two_keys(uaddr, uaddr2, shared);
  if (error !== 0) return error;
  if (expected >= 0) {
    const word = get_user_u32(uaddr);
    if (word < 0) return -EFAULT;
    if (word !== expected) return -EAGAIN;
  }
  const from = bucket_of(key);
  const to = bucket_of(key2);
  lock_both(from, to);
  const woken = wakes === 0 ? 0 : wake_locked(from, key, wakes, 0xffff_ffff);
  let moved = 0;
  let waiter = FutexBucket.head.get(from);
  while (waiter !== 0 && moved < moves) {
    const next = FutexWaiter.next.get(waiter);
    if (matches(waiter, key)) {
      // To where it is already: counted, not moved.
      if (matches(waiter, key2)) {
        moved++;
        waiter = next;
        continue;
      }
      unlink(from, waiter);
      FutexWaiter.object.set(waiter, key2.object);
      FutexWaiter.offset.set(waiter, key2.offset);
      push(to, waiter);
      moved++;
    }
    // When both keys share a bucket, those just appended must not be visited: they no longer match.
    waiter = next;
  }
  unlock_both(from, to);
  return expected >= 0 ? woken + moved : woken;
}

/** FUTEX_WAKE_OP: changes the word at `uaddr2` atomically, wakes at `uaddr`, and at `uaddr2` if its old value says so. */
export function futex_wake_op(
  uaddr: number,
  uaddr2: number,
  wakes: number,
  wakes2: number,
  encoded: number,
  shared: boolean,
): number {
  const error = two_keys(uaddr, uaddr2, shared);
  if (error !== 0) return error;
  const operation = (encoded >>> 28) & 7;
  const comparison = (encoded >>> 24) & 15;
  let argument = (encoded << 8) >> 20;
  const compared = (encoded << 20) >> 20;
  if ((encoded & 0x8000_0000) !== 0) argument = 1 << (argument & 31);
  if (operation > 4 || comparison > 5) return -ENOSYS;
  const at = user_atomic_address(uaddr2, true);
  if (at < 0) return -EFAULT;
  const old = modify(at >>> 2, operation, argument);
  const from = bucket_of(key);
  const to = bucket_of(key2);
  lock_both(from, to);
  let woken = wake_locked(from, key, Math.max(1, wakes), 0xffff_ffff);
  if (compare(old, comparison, compared)) woken += wake_locked(to, key2, Math.max(1, wakes2), 0xffff_ffff);
  unlock_both(from, to);
  return woken;
}

/** FUTEX_OP_SET, ADD, OR, ANDN, XOR on the word; its old value. */
function modify(word: number, operation: number, argument: number): number {
  if (operation === 0) return Atomics.exchange(I32, word, argument);
  if (operation === 1) return Atomics.add(I32, word, argument);
  if (operation === 2) return Atomics.or(I32, word, argument);
  if (operation === 3) return Atomics.and(I32, word, ~argument);
  return Atomics.xor(I32, word, argument);
}

/** FUTEX_OP_CMP_EQ, NE, LT, LE, GT, GE. */
function compare(old: number, comparison: number, argument: number): boolean {
  if (comparison === 0) return old === argument;
  if (comparison === 1) return old !== argument;
  if (comparison === 2) return old < argument;
  if (comparison === 3) return old <= argument;
  return comparison === 4 ? old > argument : old >= argument;
}

/** Robust futexes (set_robust_list(2)): the dead owner's locks are marked and one waiter each is woken. */
function release_robust_list(): void {
  const head = Task.robust_list.get(current);
  if (head === 0) return;
  Task.robust_list.set(current, 0);
  const offset = get_user_i64(head + 8);
  const pending = get_user_u64(head + 16);
  if (pending < 0) return;
  let entry = get_user_u64(head);
  for (let i = 0; i < ROBUST_LIST_LIMIT && entry > 0 && entry !== head; i++) {
    const next = get_user_u64(entry - (entry % 2));
    if (entry !== pending && !owner_died(entry, offset)) return;
    entry = next;
  }
  if (pending > 0) owner_died(pending, offset);
}

/** Marks one lock if the current task holds it; false when its word cannot be accessed. Bit 0 of `entry` means PI. */
function owner_died(entry: number, offset: number): boolean {
  const uaddr = entry - (entry % 2) + offset;
  if (uaddr % 4 !== 0) return false;
  const at = user_atomic_address(uaddr, true);
  if (at < 0) return false;
  for (;;) {
    const word = Atomics.load(I32, at >>> 2);
    if ((word & FUTEX_TID_MASK) !== Task.tid.get(current)) return true;
    const dead = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (Atomics.compareExchange(I32, at >>> 2, word, dead) !== word) continue;
    if ((word & FUTEX_WAITERS) !== 0) futex_wake(uaddr, 1, true, 0xffff_ffff);
    return true;
  }
}

/** What a task leaves in its memory when it gives it up: robust futexes, and the word that a join waits on. */
export function futex_exit(): void {
  release_robust_list();
  const uaddr = Task.clear_child_tid.get(current);
  Task.clear_child_tid.set(current, 0);
  const mm = Task.mm.get(current);
  // With no other user of the memory nobody can look (Linux's mm_release).
  if (uaddr === 0 || mm === 0 || Mm.refs.load(mm) <= 1) return;
  if (put_user_u32(uaddr, 0) === 0) futex_wake(uaddr, 1, true, 0xffff_ffff);
}

register_exit_hooks({ memory: futex_exit });
