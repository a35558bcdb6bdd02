// @hot
/**
 * Blocking (DESIGN D3): how a handler waits, without a stack.
 *
 *     const n = operations.read(file, io, position);
 *     if (n !== -EAGAIN || nonblocking) return n;
 *     return wait_on(operations.queue(file), POLLIN);
 *
 * The first call for a queue enrols the task and answers RETRY, so that the handler looks at its condition once
 * more; the next answers BLOCKED, and the run loop commits the task to sleep unless a wake came in between
 * (TASK_WOKEN). After a wake the handler is entered again from the top. Waits on several queues enrol on all of
 * them in one entry (`enrol_on`), then call `wait_enrolled`.
 *
 * A timeout is an absolute deadline, kept in Task.syscall_deadline over all entries: set it with `set_deadline` or
 * `set_timeout`, test it with `deadline_passed` before waiting.
 */
import { BLOCKED, ENOMEM, ERESTARTSYS, PREEMPTED, RETRY } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { WAKE_TASK, WaitEntry, wait_enrol, wait_leave, wait_looks, wake } from '../heap/wait_queue.ts';
import { monotonic_ns } from '../time/clock.ts';
import { Timer } from '../time/time.layout.ts';
import { register_timer, TIMER_TASK_DEADLINE, timer_arm, timer_cancel } from '../time/timer.ts';
import { current } from './current.ts';
import { wake_task } from './scheduler.ts';
import { CALL_EXCLUSIVE, CALL_WAITS, TASK_WOKEN, Task, WORK_EXIT, WORK_SIGNAL } from './task.layout.ts';

register_timer(TIMER_TASK_DEADLINE, (owner) => {
  wake_task(owner as Ptr<'Task'>);
});

/** Whether the call that a handler answers for goes on later: BLOCKED, RETRY or PREEMPTED. */
export function is_waiting(result: number): boolean {
  return result === BLOCKED || result === RETRY || result === PREEMPTED;
}

/** Whether a signal, or the end of the process, waits for the current task. */
export function signal_pending(): boolean {
  return (Task.pending_work.load(current) & (WORK_SIGNAL | WORK_EXIT)) !== 0;
}

/** Whether the current task is to die. */
export function fatal_signal_pending(): boolean {
  return (Task.pending_work.load(current) & WORK_EXIT) !== 0;
}

/**
 * Waits for `events` on one queue: RETRY, then BLOCKED. -ERESTARTSYS when a signal is pending, -ENOMEM when the
 * heap is exhausted. `exclusive` waiters are woken one at a time.
 */
export function wait_on(queue: Ptr<'WaitQueue'>, events: number, exclusive = false): number {
  if (signal_pending()) return -ERESTARTSYS;
  const enrolled = enrol_on(queue, events, exclusive);
  return enrolled < 0 ? enrolled : enrolled === 1 ? RETRY : commit_wait();
}

/** As `wait_on`, interrupted only by what ends the process (Linux's TASK_KILLABLE). */
export function wait_on_killable(queue: Ptr<'WaitQueue'>, events: number): number {
  if (fatal_signal_pending()) return -ERESTARTSYS;
  const enrolled = enrol_on(queue, events, false);
  return enrolled < 0 ? enrolled : enrolled === 1 ? RETRY : commit_wait();
}

/** Waits for the deadline or a signal alone: BLOCKED or -ERESTARTSYS. */
export function wait_until_deadline(): number {
  if (Task.syscall_entries.get(current) === 0) Task.state.and(current, ~TASK_WOKEN);
  return signal_pending() ? -ERESTARTSYS : commit_wait();
}

/**
 * Enrols the current task on a queue for this call: 1 when it was not yet (look at the condition once more), 0
 * when it was, -ENOMEM.
 */
export function enrol_on(queue: Ptr<'WaitQueue'>, events: number, exclusive = false): number {
  for (let entry = Task.wait_head.get(current); entry !== 0; entry = WaitEntry.sibling.get(entry))
    if (WaitEntry.queue.get(entry) === queue && WaitEntry.events.get(entry) === events) return 0;
  const entry = wait_enrol(queue, current, WAKE_TASK, events, exclusive);
  if (entry === 0) return -ENOMEM;
  WaitEntry.sibling.set(entry, Task.wait_head.get(current));
  Task.wait_head.set(current, entry);
  note_leftover(exclusive ? CALL_WAITS | CALL_EXCLUSIVE : CALL_WAITS);
  // A wake from before this call says nothing about it; the caller looks at its condition after this.
  Task.state.and(current, ~TASK_WOKEN);
  return 1;
}

/**
 * Waits on whatever was enrolled: RETRY when `enrolled_now` (something was enrolled in this entry), else BLOCKED.
 * -ERESTARTSYS when a signal is pending.
 */
export function wait_enrolled(enrolled_now: boolean): number {
  if (signal_pending()) return -ERESTARTSYS;
  return enrolled_now ? RETRY : commit_wait();
}

/** What the dispatcher is to see to when the call ends. */
function note_leftover(bits: number): void {
  Task.call_leftovers.set(current, Task.call_leftovers.get(current) | bits);
}

function commit_wait(): number {
  const deadline = Task.syscall_deadline.get(current);
  const timer = Task.deadline_timer.at(current);
  if (deadline !== 0 && (Timer.armed.get(timer) === 0 || Timer.deadline.get(timer) !== deadline))
    timer_arm(timer, TIMER_TASK_DEADLINE, current, deadline);
  return BLOCKED;
}

/** Sets the call's deadline, in monotonic ns, unless an earlier entry has; a deadline in the past is kept as one. */
export function set_deadline(deadline: number): void {
  if (Task.syscall_deadline.get(current) !== 0) return;
  Task.syscall_deadline.set(current, Math.max(1, deadline));
  note_leftover(CALL_WAITS);
}

/** Sets the call's deadline `ns` from now, unless an earlier entry has. */
export function set_timeout(ns: number): void {
  if (Task.syscall_deadline.get(current) === 0) set_deadline(Math.min(monotonic_ns() + ns, Number.MAX_SAFE_INTEGER));
}

/** Sets the call's deadline `ns` from now, in place of the one that it has. */
export function restart_timeout(ns: number): void {
  Task.syscall_deadline.set(current, 0);
  set_timeout(ns);
}

/** The call has no deadline any more. */
export function clear_timeout(): void {
  if (Task.syscall_deadline.get(current) === 0) return;
  timer_cancel(Task.deadline_timer.at(current));
  Task.syscall_deadline.set(current, 0);
}

/** Sleeps until a wake that the handler has arranged itself, the deadline or a signal: BLOCKED or -ERESTARTSYS. */
export function wait_armed(): number {
  return signal_pending() ? -ERESTARTSYS : commit_wait();
}

/** Whether the call has a deadline and it has gone by. */
export function deadline_passed(): boolean {
  const deadline = Task.syscall_deadline.get(current);
  return deadline !== 0 && monotonic_ns() >= deadline;
}

/** Nanoseconds until the call's deadline, 0 when it has gone by or there is none. */
export function deadline_remaining(): number {
  const deadline = Task.syscall_deadline.get(current);
  return deadline === 0 ? 0 : Math.max(0, deadline - monotonic_ns());
}

/** The handler is entered again, and will look at its condition. Called by the dispatcher for CALL_EXCLUSIVE. */
export function waits_look(): void {
  for (let entry = Task.wait_head.get(current); entry !== 0; entry = WaitEntry.sibling.get(entry)) wait_looks(entry);
}

/**
 * Leaves every queue but `queue`, for a call that waits for different things in turn: what it does with the one that it
 * waited for before may wake those who wait there, itself among them.
 */
export function wait_nowhere_but(queue: Ptr<'WaitQueue'>): void {
  let previous = 0 as Ptr<'WaitEntry'>;
  let entry = Task.wait_head.get(current);
  while (entry !== 0) {
    const next = WaitEntry.sibling.get(entry);
    const at = WaitEntry.queue.get(entry);
    if (at === queue) previous = entry;
    else {
      if (previous === 0) Task.wait_head.set(current, next);
      else WaitEntry.sibling.set(previous, next);
      const events = WaitEntry.events.get(entry);
      if (wait_leave(entry)) wake(at, events);
    }
    entry = next;
  }
}

/**
 * The call has ended, or `failed`: leaves every queue and disarms the timer. Called by the dispatcher. A wake that this
 * task was chosen for and has not used goes to the next exclusive waiter.
 */
export function waits_done(failed: boolean): void {
  let entry = Task.wait_head.get(current);
  Task.wait_head.set(current, 0 as Ptr<'WaitEntry'>);
  while (entry !== 0) {
    const next = WaitEntry.sibling.get(entry);
    const queue = WaitEntry.queue.get(entry);
    const events = WaitEntry.events.get(entry);
    if (wait_leave(entry, failed)) wake(queue, events);
    entry = next;
  }
  clear_timeout();
}
