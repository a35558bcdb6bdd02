/**
 * Interval timers of a process: ITIMER_REAL (setitimer(2)) and the timers of timer_create(2).
 */
import { SIGALRM } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { slab } from '../heap/slab.ts';
import { monotonic_ns } from '../time/clock.ts';
import { Timer } from '../time/time.layout.ts';
import { register_timer, TIMER_ITIMER_REAL, TIMER_POSIX, timer_arm, timer_cancel } from '../time/timer.ts';
import { clock_kind, KIND_CPU } from './clock_id.ts';
import { current } from './current.ts';
import { PosixTimer } from './posix_timer.layout.ts';
import { siginfo_kernel, siginfo_timer } from './siginfo.ts';
import { PendingSignals, QueuedSignal } from './signal.layout.ts';
import { lock_signals, send_locked, send_to_group, unlock_signals } from './signal.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

export const posix_timers = slab(PosixTimer);

type Group = Ptr<'ThreadGroup'>;
type P = Ptr<'PosixTimer'>;

export const SIGEV_SIGNAL = 0;
export const SIGEV_NONE = 1;
/** For the C library: the kernel sends a signal. */
export const SIGEV_THREAD = 2;
export const SIGEV_THREAD_ID = 4;
/** A period shorter than this goes off no more often; the expiries between are counted. */
const SHORTEST_PERIOD_NS = 100_000;
/** Largest overrun count reported (DELAYTIMER_MAX). */
const DELAYTIMER_MAX = 0x7fff_ffff;

register_timer(TIMER_ITIMER_REAL, (owner, timer) => {
  const group = owner as Group;
  const interval = ThreadGroup.real_interval.get(group);
  const due = Timer.deadline.get(timer);
  send_to_group(group, SIGALRM, siginfo_kernel(SIGALRM));
  if (interval > 0) timer_arm(timer, TIMER_ITIMER_REAL, group, next_period(due, interval));
});

/** First instant of the period that is still to come, and far enough away for others to get a turn. */
function next_period(due: number, interval: number): number {
  const from = monotonic_ns() + (interval < SHORTEST_PERIOD_NS ? SHORTEST_PERIOD_NS : 0);
  return due + interval * Math.max(1, Math.floor((from - due) / interval) + 1);
}

register_timer(TIMER_POSIX, (owner) => {
  const posix = owner as P;
  const group = PosixTimer.group.get(posix);
  lock_signals(group);
  if (PosixTimer.deleted.get(posix) === 0) {
    posix_timer_expire(posix, monotonic_ns());
    arm_posix_timer(posix);
  }
  unlock_signals(group);
});

/** Arms the timer's alarm for its next expiry; a CPU clock's is looked at when slices end. Under the group's lock. */
export function arm_posix_timer(posix: P): void {
  const due = PosixTimer.due.get(posix);
  if (due === 0 || clock_kind(PosixTimer.clock.get(posix)) === KIND_CPU) return;
  const again = PosixTimer.interval.get(posix) > 0 ? monotonic_ns() + SHORTEST_PERIOD_NS : 0;
  const first = PosixTimer.fired.get(posix) === 0;
  timer_arm(PosixTimer.timer.at(posix), TIMER_POSIX, posix, first ? due : Math.max(due, again));
}

/** The timer's clock has passed its expiry: counts the periods gone by and signals. Under the group's lock. */
export function posix_timer_expire(posix: P, now: number): void {
  const due = PosixTimer.due.get(posix);
  if (due === 0 || now < due) return;
  const interval = PosixTimer.interval.get(posix);
  const missed = interval === 0 ? 0 : Math.floor((now - due) / interval);
  PosixTimer.due.set(posix, interval === 0 ? 0 : due + (missed + 1) * interval);
  PosixTimer.fired.set(posix, 1);
  if (PosixTimer.notify.get(posix) === SIGEV_NONE) return;
  const group = PosixTimer.group.get(posix);
  let target = 0 as Ptr<'Task'>;
  if (PosixTimer.notify.get(posix) === SIGEV_THREAD_ID) {
    for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t))
      if (Task.tid.get(t) === PosixTimer.tid.get(posix)) target = t;
    if (target === 0) return;
  }
  const pending = target === 0 ? ThreadGroup.pending.at(group) : Task.pending.at(target);
  if (is_queued(pending, posix)) {
    PosixTimer.overrun.set(posix, PosixTimer.overrun.get(posix) + 1 + missed);
    return;
  }
  PosixTimer.overrun.set(posix, missed);
  const signo = PosixTimer.signo.get(posix);
  const id = PosixTimer.id.get(posix);
  const info = siginfo_timer(signo, id, 0, PosixTimer.value.lo(posix), PosixTimer.value.hi(posix));
  send_locked(group, target, signo, info, posix);
}

/** Whether the timer's signal is still queued: further expiries are then overruns. */
function is_queued(pending: Ptr<'PendingSignals'>, posix: P): boolean {
  let entry = PendingSignals.head.get(pending);
  while (entry !== 0 && QueuedSignal.timer.get(entry) !== posix) entry = QueuedSignal.next.get(entry);
  return entry !== 0;
}

/** Looks at the CPU-clock timers of the current process, whose own and whose current thread's CPU times are given. */
export function check_posix_cpu_timers(process_ns: number, thread_ns: number): void {
  const group = Task.group.get(current);
  const tid = Task.tid.get(current);
  lock_signals(group);
  for (let p = ThreadGroup.posix_timers.get(group); p !== 0; p = PosixTimer.next.get(p)) {
    if (clock_kind(PosixTimer.clock.get(p)) !== KIND_CPU) continue;
    const thread = PosixTimer.cpu_tid.get(p);
    if (thread === 0) posix_timer_expire(p, process_ns);
    else if (thread === tid) posix_timer_expire(p, thread_ns);
  }
  unlock_signals(group);
}

/** A queued signal of a timer is taken: the overruns so far are its count. Under the group's lock. */
export function posix_timer_taken(group: Group, timer: number): number {
  for (let p = ThreadGroup.posix_timers.get(group); p !== 0; p = PosixTimer.next.get(p)) {
    if (p !== timer) continue;
    const overrun = Math.min(PosixTimer.overrun.get(p), DELAYTIMER_MAX);
    PosixTimer.overrun.set(p, 0);
    PosixTimer.last_overrun.set(p, overrun);
    return overrun;
  }
  return 0;
}

/** Drops a reference. Without locks: the last one waits for an alarm that goes off right now. */
export function posix_timer_put(timer: P): void {
  if (PosixTimer.refs.add(timer, -1) !== 1) return;
  timer_cancel(PosixTimer.timer.at(timer));
  posix_timers.free(timer);
}

/** A process's timer by its id, or 0. Under the group's lock. */
export function posix_timer_find(group: Group, id: number): P {
  let p = ThreadGroup.posix_timers.get(group);
  while (p !== 0 && PosixTimer.id.get(p) !== id) p = PosixTimer.next.get(p);
  return p;
}

/** Takes a timer off its process's list; the list's reference is the caller's now. Under the group's lock. */
export function posix_timer_unlink(group: Group, timer: P): void {
  PosixTimer.deleted.set(timer, 1);
  let previous = 0 as P;
  let p = ThreadGroup.posix_timers.get(group);
  while (p !== timer) {
    previous = p;
    p = PosixTimer.next.get(p);
  }
  if (previous === 0) ThreadGroup.posix_timers.set(group, PosixTimer.next.get(timer));
  else PosixTimer.next.set(previous, PosixTimer.next.get(timer));
  // A signal it has queued stays, as one of nobody's: the record may be another timer's soon.
  disown(ThreadGroup.pending.at(group), timer);
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) disown(Task.pending.at(t), timer);
}

function disown(pending: Ptr<'PendingSignals'>, timer: P): void {
  for (let entry = PendingSignals.head.get(pending); entry !== 0; entry = QueuedSignal.next.get(entry))
    if (QueuedSignal.timer.get(entry) === timer) QueuedSignal.timer.set(entry, 0);
}

/** Deletes every timer of a process: at its end and at execve. */
export function posix_timers_end(group: Group): void {
  for (;;) {
    lock_signals(group);
    const timer = ThreadGroup.posix_timers.get(group);
    if (timer !== 0) posix_timer_unlink(group, timer);
    unlock_signals(group);
    if (timer === 0) return;
    posix_timer_put(timer);
  }
}
