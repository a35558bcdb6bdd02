/**
 * Interval timers of a process: ITIMER_REAL (setitimer(2)) and the timers of timer_create(2).
 */
import { SIGALRM } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { slab } from '../heap/slab.ts';
import { monotonic_ns } from '../time/clock.ts';
import { Timer } from '../time/time.layout.ts';
import { register_timer, TIMER_ITIMER_REAL, TIMER_POSIX, timer_arm, timer_cancel } from '../time/timer.ts';
import { PosixTimer } from './posix_timer.layout.ts';
import { siginfo_kernel, siginfo_timer } from './siginfo.ts';
import { lock_signals, send_locked, send_to_group, unlock_signals } from './signal.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

export const posix_timers = slab(PosixTimer);

type Group = Ptr<'ThreadGroup'>;
type P = Ptr<'PosixTimer'>;

export const SIGEV_SIGNAL = 0;
export const SIGEV_NONE = 1;
export const SIGEV_THREAD_ID = 4;
/** Largest overrun count reported (DELAYTIMER_MAX). */
const DELAYTIMER_MAX = 0x7fff_ffff;

register_timer(TIMER_ITIMER_REAL, (owner, timer) => {
  const group = owner as Group;
  const interval = ThreadGroup.real_interval.get(group);
  const due = Timer.deadline.get(timer);
  send_to_group(group, SIGALRM, siginfo_kernel(SIGALRM));
  if (interval > 0) timer_arm(timer, TIMER_ITIMER_REAL, group, next_period(due, interval));
});

/** First instant of the period that is still to come. */
function next_period(due: number, interval: number): number {
  return due + interval * Math.max(1, Math.floor((monotonic_ns() - due) / interval) + 1);
}

register_timer(TIMER_POSIX, (owner, timer) => {
  const posix = owner as P;
  const group = PosixTimer.group.get(posix);
  const due = Timer.deadline.get(timer);
  lock_signals(group);
  const interval = PosixTimer.interval.get(posix);
  if (PosixTimer.notify.get(posix) !== SIGEV_NONE) {
    if (PosixTimer.queued.get(posix) !== 0) PosixTimer.overrun.set(posix, PosixTimer.overrun.get(posix) + 1);
    else expire(posix, group);
  }
  unlock_signals(group);
  if (interval > 0) timer_arm(timer, TIMER_POSIX, posix, next_period(due, interval));
});

function expire(posix: P, group: Group): void {
  const signo = PosixTimer.signo.get(posix);
  let target = 0 as Ptr<'Task'>;
  if (PosixTimer.notify.get(posix) === SIGEV_THREAD_ID) {
    for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t))
      if (Task.tid.get(t) === PosixTimer.tid.get(posix)) target = t;
    if (target === 0) return;
  }
  PosixTimer.overrun.set(posix, 0);
  const id = PosixTimer.id.get(posix);
  const info = siginfo_timer(signo, id, 0, PosixTimer.value.lo(posix), PosixTimer.value.hi(posix));
  PosixTimer.queued.set(posix, 1);
  if (send_locked(group, target, signo, info, posix) !== 0) PosixTimer.queued.set(posix, 0);
}

/** A queued signal of a timer is taken: the overruns so far are its count. Under the group's lock. */
export function posix_timer_taken(group: Group, timer: number): number {
  for (let p = ThreadGroup.posix_timers.get(group); p !== 0; p = PosixTimer.next.get(p)) {
    if (p !== timer) continue;
    const overrun = Math.min(PosixTimer.overrun.get(p), DELAYTIMER_MAX);
    PosixTimer.queued.set(p, 0);
    PosixTimer.overrun.set(p, 0);
    PosixTimer.last_overrun.set(p, overrun);
    return overrun;
  }
  return 0;
}

/** A process's timer by its id, or 0. Under the group's lock. */
export function posix_timer_find(group: Group, id: number): P {
  let p = ThreadGroup.posix_timers.get(group);
  while (p !== 0 && PosixTimer.id.get(p) !== id) p = PosixTimer.next.get(p);
  return p;
}

/** Takes a timer off its process's list. Under the group's lock. */
export function posix_timer_unlink(group: Group, timer: P): void {
  let previous = 0 as P;
  let p = ThreadGroup.posix_timers.get(group);
  while (p !== timer) {
    previous = p;
    p = PosixTimer.next.get(p);
  }
  if (previous === 0) ThreadGroup.posix_timers.set(group, PosixTimer.next.get(timer));
  else PosixTimer.next.set(previous, PosixTimer.next.get(timer));
}

/** Deletes every timer of a process: at its end and at execve. */
export function posix_timers_end(group: Group): void {
  for (;;) {
    lock_signals(group);
    const timer = ThreadGroup.posix_timers.get(group);
    if (timer !== 0) ThreadGroup.posix_timers.set(group, PosixTimer.next.get(timer));
    unlock_signals(group);
    if (timer === 0) return;
    timer_cancel(PosixTimer.timer.at(timer));
    posix_timers.free(timer);
  }
}
