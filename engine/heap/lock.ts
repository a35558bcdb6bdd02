// @hot
/**
 * Locks: one word of state and one of owner, embedded in the record they guard.
 *
 * State 0 is free, 1 held, 2 held with waiters. An uncontended acquire and release are one atomic each.
 * The owner is the vCPU's number plus one; the order checker (CHECKED builds) keeps, per thread, the
 * stack of held lock classes and panics on an acquisition against the order.
 *
 * No lock is ever held across a blocking syscall, a return to the guest, or an access to guest memory.
 */
import { CHECKED, panic } from '../base/assert.ts';
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { layout } from './layout.ts';
import { I32 } from './memory.ts';

const l = layout('Lock');
export const Lock = l.done({ state: l.atomic(), owner: l.i32('guarded by the lock itself') }, 8);

/** A class of locks with its place in the lock order: locks are taken in rising rank. */
export interface LockClass {
  readonly name: string;
  readonly rank: number;
}

let self = 1;
/** CHECKED builds: classes of the locks that this thread holds, and how many. */
const held: LockClass[] = [];
let depth = 0;

/** Names this thread as a lock owner; `vcpu` is its vCPU number from 0. */
export function set_lock_owner(vcpu: number): void {
  self = vcpu + 1;
}

/** This thread's name as an owner: its vCPU number plus one. */
export function lock_owner(): number {
  return self;
}

/** Acquires the lock; a thread that would take a lock out of order panics in CHECKED builds. */
export function lock(p: Ptr<'Lock'>, lock_class: LockClass): void {
  if (CHECKED) check_order(p, lock_class);
  if (Lock.state.cas(p, 0, 1) !== 0) lock_slow(p);
  Lock.owner.set(p, self);
  if (CHECKED) held[depth++] = lock_class;
}

/** Acquires the lock if it is free, without waiting and whatever the lock order; says whether it did. */
export function try_lock(p: Ptr<'Lock'>, lock_class: LockClass): boolean {
  if (Lock.state.cas(p, 0, 1) !== 0) return false;
  Lock.owner.set(p, self);
  if (CHECKED) held[depth++] = lock_class;
  return true;
}

/** Releases a lock that this thread holds. */
export function unlock(p: Ptr<'Lock'>, lock_class: LockClass): void {
  if (CHECKED) {
    if (Lock.owner.get(p) !== self) panic(`unlock of ${lock_class.name}: not the owner`);
    if (depth > 0 && held[depth - 1] === lock_class) depth--;
    else unlock_out_of_order(lock_class);
  }
  Lock.owner.set(p, 0);
  if (Lock.state.exchange(p, 0) === 2) Atomics.notify(I32, Lock.state.index(p), 1);
}

function unlock_out_of_order(lock_class: LockClass): void {
  const at = held.slice(0, depth).lastIndexOf(lock_class);
  if (at < 0) panic(`unlock of ${lock_class.name}: not held`);
  held.splice(at, 1);
  depth--;
}

/** Whether this thread holds the lock; for assertions. */
export function lock_is_held(p: Ptr<'Lock'>): boolean {
  return Lock.owner.get(p) === self;
}

/** Classes of the locks this thread holds, outermost first (CHECKED builds), for reports. */
export function held_lock_names(): string[] {
  return held.slice(0, depth).map(({ name }) => name);
}

/** How many locks this thread holds (CHECKED builds); zero at every return to the guest. */
export function held_lock_count(): number {
  return depth;
}

function check_order(p: Ptr<'Lock'>, lock_class: LockClass): void {
  if (Lock.owner.get(p) === self)
    panic(`lock ${lock_class.name}: already held by this thread`, 'lock_order', lock_class.name);
  if (depth === 0) return;
  const last = held[depth - 1] as LockClass;
  if (last.rank > lock_class.rank)
    panic(
      `lock order: ${lock_class.name} (${lock_class.rank}) taken while holding ${last.name} (${last.rank})`,
      'lock_order',
      lock_class.name,
    );
}

const SPINS = 200;
/** How often a sleeping waiter looks whether the machine still lives. */
const LOOK_MS = 200;

let machine_has_died: () => boolean = () => false;

/** Installs the question whether the machine has panicked: a lock that its dead vCPU holds is never released. */
export function set_lock_watch(has_died: () => boolean): void {
  machine_has_died = has_died;
}

register_transient(() => {
  depth = 0;
});

function lock_slow(p: Ptr<'Lock'>): void {
  // A word that is none of a lock's would be waited for without end.
  if (Lock.state.load(p) >>> 0 > 2) panic('the lock of a record that has been freed', 'sanitizer');
  for (let i = 0; i < SPINS; i++) {
    if (Lock.state.load(p) === 0 && Lock.state.cas(p, 0, 1) === 0) return;
  }
  while (Lock.state.exchange(p, 2) !== 0) {
    if (Atomics.wait(I32, Lock.state.index(p), 2, LOOK_MS) === 'timed-out' && machine_has_died())
      panic('a lock is held by a vCPU that has panicked');
  }
}
