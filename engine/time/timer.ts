/**
 * Timers: one-shot, in a pairing heap in shared memory, fired by any vCPU at a safe point or when idle.
 *
 * A timer is embedded in the record that owns it; `timer_cancel` returns only when its fire function is not
 * running (del_timer_sync in Linux), so the owner may then be freed. A fire function may arm its timer again.
 * Never cancel while holding a lock that the fire function takes.
 */
import { assert } from '../base/assert.ts';
import { KCOV } from '../base/instrumented.ts';
import type { Ptr } from '../base/types.ts';
import { lock, lock_owner, unlock } from '../heap/lock.ts';
import { TIMER_LOCK } from '../heap/lock_order.ts';
import { I32 } from '../heap/memory.ts';
import { monotonic_ns, time_root } from './clock.ts';
import { TimeRoot, Timer } from './time.layout.ts';

export type FireFunction = (owner: number, timer: Ptr<'Timer'>) => void;

/** Kinds: which fire function a timer calls. */
export const TIMER_TASK_DEADLINE = 0;
export const TIMER_ITIMER_REAL = 1;
export const TIMER_POSIX = 2;
export const TIMER_TIMERFD = 3;
/** The machine's time limit. */
export const TIMER_MACHINE_LIMIT = 4;
/** From here on: tests. */
export const TIMER_USER = 5;

const fire_functions: (FireFunction | undefined)[] = [];

/** Installs the fire function of a kind, at module load. */
export function register_timer(kind: number, fire: FireFunction): void {
  assert(fire_functions[kind] === undefined, `timer kind ${kind} registered twice`);
  fire_functions[kind] = fire;
}

/** Whom the work of a firing timer is counted for (kernel/kcov.ts). */
export interface FireContext {
  /** What is kept with a timer that is armed now. */
  handle(): number;
  /** Round the fire function of a timer, with what was kept. */
  begin(handle: number): void;
  end(): void;
}
let context: FireContext | null = null;

/** Installs the instrumented build's context, at module load. */
export function register_fire_context(installed: FireContext): void {
  context = installed;
}

/** Arms the timer for `deadline` (ns, monotonic), or moves it there. A deadline that is past fires at once. */
export function timer_arm(timer: Ptr<'Timer'>, kind: number, owner: number, deadline: number): void {
  const root = time_root();
  const timer_lock = TimeRoot.timer_lock.at(root);
  lock(timer_lock, TIMER_LOCK);
  if (Timer.armed.get(timer) !== 0) heap_remove(root, timer);
  else TimeRoot.armed_count.set(root, TimeRoot.armed_count.get(root) + 1);
  const sequence = TimeRoot.next_sequence.get(root);
  TimeRoot.next_sequence.set(root, sequence + 1);
  Timer.deadline.set(timer, deadline);
  Timer.sequence.set(timer, sequence);
  Timer.kind.set(timer, kind);
  Timer.owner.set(timer, owner);
  Timer.child.set(timer, 0 as Ptr<'Timer'>);
  Timer.armed.set(timer, 1);
  if (KCOV && context !== null) Timer.work_handle.set(timer, context.handle());
  set_root(root, meld(TimeRoot.root.get(root), timer));
  unlock(timer_lock, TIMER_LOCK);
}

/** Disarms the timer and waits until its fire function, if it runs, has ended. Returns whether it was armed. */
export function timer_cancel(timer: Ptr<'Timer'>): boolean {
  const root = time_root();
  const timer_lock = TimeRoot.timer_lock.at(root);
  let was_armed = false;
  for (;;) {
    lock(timer_lock, TIMER_LOCK);
    if (Timer.armed.get(timer) !== 0) {
      heap_remove(root, timer);
      Timer.armed.set(timer, 0);
      TimeRoot.armed_count.set(root, TimeRoot.armed_count.get(root) - 1);
      was_armed = true;
    }
    const elsewhere = TimeRoot.firing.load(root) === timer && TimeRoot.firing_by.get(root) !== lock_owner();
    unlock(timer_lock, TIMER_LOCK);
    if (!elsewhere) return was_armed;
    Atomics.wait(I32, TimeRoot.firing.index(root), timer, 1);
  }
}

/** Nanoseconds until the timer fires, 0 when it is not armed; at least 1 when it is. */
export function timer_remaining(timer: Ptr<'Timer'>): number {
  const root = time_root();
  lock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  const left = Timer.armed.get(timer) === 0 ? 0 : Math.max(1, Timer.deadline.get(timer) - monotonic_ns());
  unlock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  return left;
}

/**
 * Fires every timer whose deadline has come by now. What comes due meanwhile waits for the next call: periods shorter
 * than the work they cause would keep the vCPU here for ever. Holds no lock while a fire function runs.
 */
export function timers_run(): void {
  const root = time_root();
  // Before the clock is read: this is asked at each switch of tasks, and most programs have no timer.
  if (TimeRoot.next_deadline.get(root) === Number.POSITIVE_INFINITY) return;
  const now = monotonic_ns();
  if (TimeRoot.next_deadline.get(root) > now) return;
  const timer_lock = TimeRoot.timer_lock.at(root);
  for (;;) {
    lock(timer_lock, TIMER_LOCK);
    const timer = TimeRoot.root.get(root);
    // One thread fires at a time; the next deadline tells the others, and itself, what is left.
    if (timer === 0 || TimeRoot.firing.load(root) !== 0 || Timer.deadline.get(timer) > now) {
      unlock(timer_lock, TIMER_LOCK);
      return;
    }
    heap_remove(root, timer);
    Timer.armed.set(timer, 0);
    TimeRoot.armed_count.set(root, TimeRoot.armed_count.get(root) - 1);
    TimeRoot.firing_by.set(root, lock_owner());
    TimeRoot.firing.store(root, timer);
    const fire = fire_functions[Timer.kind.get(timer)];
    const owner = Timer.owner.get(timer);
    const handle = Timer.work_handle.get(timer);
    unlock(timer_lock, TIMER_LOCK);
    assert(fire !== undefined, 'timer of unknown kind');
    if (KCOV && context !== null) context.begin(handle);
    fire(owner, timer);
    if (KCOV && context !== null) context.end();
    TimeRoot.firing.store(root, 0);
    Atomics.notify(I32, TimeRoot.firing.index(root));
  }
}

/** Timers armed now. */
export function timers_armed(): number {
  return TimeRoot.armed_count.get(time_root());
}

type T = Ptr<'Timer'>;
const NONE = 0 as T;

function set_root(root: Ptr<'TimeRoot'>, timer: T): void {
  TimeRoot.root.set(root, timer);
  if (timer === 0) {
    TimeRoot.next_deadline.set(root, Number.POSITIVE_INFINITY);
    return;
  }
  Timer.previous.set(timer, NONE);
  Timer.sibling.set(timer, NONE);
  TimeRoot.next_deadline.set(root, Timer.deadline.get(timer));
}

function before(a: T, b: T): boolean {
  const da = Timer.deadline.get(a);
  const db = Timer.deadline.get(b);
  return da < db || (da === db && Timer.sequence.get(a) < Timer.sequence.get(b));
}

/** Joins two heaps; the later root becomes the first child of the earlier. */
function meld(a: T, b: T): T {
  if (a === 0) return b;
  if (b === 0) return a;
  const winner = before(a, b) ? a : b;
  const loser = winner === a ? b : a;
  const child = Timer.child.get(winner);
  Timer.sibling.set(loser, child);
  if (child !== 0) Timer.previous.set(child, loser);
  Timer.previous.set(loser, winner);
  Timer.child.set(winner, loser);
  return winner;
}

/** Joins a list of siblings into one heap: pairs from the left, then all from the right. */
function meld_siblings(first: T): T {
  let pairs = NONE;
  let at = first;
  while (at !== 0) {
    const second = Timer.sibling.get(at);
    const rest = second === 0 ? NONE : Timer.sibling.get(second);
    const pair = meld(at, second);
    // The pairs are chained through `previous`, which a root does not use.
    Timer.previous.set(pair, pairs);
    pairs = pair;
    at = rest;
  }
  let heap = NONE;
  while (pairs !== 0) {
    const next = Timer.previous.get(pairs);
    heap = meld(heap, pairs);
    pairs = next;
  }
  return heap;
}

function heap_remove(root: Ptr<'TimeRoot'>, timer: T): void {
  const children = meld_siblings(Timer.child.get(timer));
  Timer.child.set(timer, NONE);
  if (TimeRoot.root.get(root) === timer) {
    set_root(root, children);
    return;
  }
  const previous = Timer.previous.get(timer);
  const sibling = Timer.sibling.get(timer);
  if (Timer.child.get(previous) === timer) Timer.child.set(previous, sibling);
  else Timer.sibling.set(previous, sibling);
  if (sibling !== 0) Timer.previous.set(sibling, previous);
  Timer.sibling.set(timer, NONE);
  set_root(root, meld(TimeRoot.root.get(root), children));
}
