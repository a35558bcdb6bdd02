/**
 * Timers of timer_create(2).
 */
import { EAGAIN, EFAULT, EINVAL, EOPNOTSUPP } from '../abi/errno.ts';
import { SIGALRM } from '../abi/signal.ts';
import { CLOCK_THREAD_CPUTIME_ID, TIMER_ABSTIME } from '../abi/time.ts';
import type { Ptr } from '../base/types.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import {
  absolute_to_monotonic,
  clock_has_timers,
  clock_kind,
  KIND_CPU,
  KIND_INVALID,
  read_cpu_clock,
} from '../kernel/clock_id.ts';
import { current } from '../kernel/current.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { find_task } from '../kernel/pid.ts';
import { PosixTimer } from '../kernel/posix_timer.layout.ts';
import {
  arm_posix_timer,
  posix_timer_find,
  posix_timer_put,
  posix_timer_unlink,
  posix_timers,
  SIGEV_NONE,
  SIGEV_SIGNAL,
  SIGEV_THREAD,
  SIGEV_THREAD_ID,
} from '../kernel/posix_timer.ts';
import { is_signal, lock_signals, unlock_signals } from '../kernel/signal.ts';
import {
  put_int,
  stage_i32,
  stage_i64,
  stage_in,
  stage_out,
  stage_set_timespec,
  stage_timespec,
  stage_u32,
} from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { monotonic_ns } from '../time/clock.ts';
import { timer_cancel } from '../time/timer.ts';
import { full, partial, type SyscallRow } from './row.ts';

const SIGEVENT_BYTES = 64;

/** struct sigevent: value 8, signo 4, notify 4, tid 4. Without one: SIGALRM with the timer's id as value. */
function sys_timer_create(): number {
  const clock = arg_i32(0);
  const kind = clock_kind(clock);
  if (kind === KIND_INVALID) return -EINVAL;
  if (!clock_has_timers(clock)) return -EOPNOTSUPP;
  const event_at = arg_u64(1);
  if (event_at !== 0 && stage_in(event_at, SIGEVENT_BYTES) < 0) return -EFAULT;
  const group = Task.group.get(current);
  // An id is taken before the rest is looked at, and told before the clock is (Linux's do_timer_create).
  const id = take_timer_id(group);
  const notify = event_at === 0 ? SIGEV_SIGNAL : stage_i32(12);
  const signo = event_at === 0 ? SIGALRM : stage_i32(8);
  const tid = notify === SIGEV_THREAD_ID ? stage_i32(16) : 0;
  if (![SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID].includes(notify)) return -EINVAL;
  if (notify !== SIGEV_NONE && !is_signal(signo)) return -EINVAL;
  if (notify === SIGEV_THREAD_ID && !is_own_thread(tid)) return -EINVAL;
  const [lo, hi] = event_at === 0 ? [id, 0] : [stage_u32(0), stage_u32(4)];
  if (put_int(arg_u64(2), id) !== 0) return -EFAULT;
  if (kind === KIND_CPU && clock < 0 && read_cpu_clock(clock) < 0) return -EINVAL;
  if (kind === KIND_CPU && clock < 0 && !is_own_clock(clock)) return -EOPNOTSUPP;
  const timer = posix_timers.alloc();
  if (timer === 0) return -EAGAIN;
  PosixTimer.group.set(timer, group);
  PosixTimer.clock.set(timer, clock);
  PosixTimer.notify.set(timer, notify);
  PosixTimer.signo.set(timer, signo);
  PosixTimer.tid.set(timer, tid);
  PosixTimer.refs.store(timer, 1);
  PosixTimer.cpu_tid.set(timer, cpu_clock_tid(clock));
  PosixTimer.id.set(timer, id);
  PosixTimer.value.set_parts(timer, lo, hi);
  lock_signals(group);
  PosixTimer.next.set(timer, ThreadGroup.posix_timers.get(group));
  ThreadGroup.posix_timers.set(group, timer);
  unlock_signals(group);
  return 0;
}

/** The next id of a process's timers, which is not given again before all others were. */
function take_timer_id(group: Ptr<'ThreadGroup'>): number {
  lock_signals(group);
  const id = ThreadGroup.next_timer_id.get(group);
  ThreadGroup.next_timer_id.set(group, (id + 1) & 0x7fff_ffff);
  unlock_signals(group);
  return id;
}

function is_own_thread(tid: number): boolean {
  lock_tasklist();
  const task = find_task(tid);
  const own = task !== 0 && Task.group.get(task) === Task.group.get(current);
  unlock_tasklist();
  return own;
}

/** The thread whose CPU clock this is, 0 for that of a process or another kind of clock. */
function cpu_clock_tid(clock: number): number {
  if (clock === CLOCK_THREAD_CPUTIME_ID) return Task.tid.get(current);
  if (clock >= 0 || (clock & 4) === 0) return 0;
  return ~(clock >> 3) || Task.tid.get(current);
}

/** Whether a CPU clock made from a number belongs to the current process. */
function is_own_clock(clock: number): boolean {
  const id = ~(clock >> 3);
  return id === 0 || is_own_thread(id);
}

/** Deletes the process's timer with this id; false when there is none (another thread was faster). */
function delete_timer(id: number): boolean {
  const group = Task.group.get(current);
  lock_signals(group);
  const timer = posix_timer_find(group, id);
  if (timer !== 0) posix_timer_unlink(group, timer);
  unlock_signals(group);
  if (timer === 0) return false;
  timer_cancel(PosixTimer.timer.at(timer));
  posix_timer_put(timer);
  return true;
}

/** The timer named by argument 0 with a reference (`posix_timer_put`), or 0. */
function timer_of_argument(): Ptr<'PosixTimer'> {
  const group = Task.group.get(current);
  lock_signals(group);
  const timer = posix_timer_find(group, arg_i32(0));
  if (timer !== 0) PosixTimer.refs.add(timer, 1);
  unlock_signals(group);
  return timer;
}

/** What the timer's clock tells now, as its `due` is told: monotonic or CPU ns. */
function clock_now(timer: Ptr<'PosixTimer'>): number {
  const clock = PosixTimer.clock.get(timer);
  return clock_kind(clock) === KIND_CPU ? Math.max(0, read_cpu_clock(clock)) : monotonic_ns();
}

/** Stages struct itimerspec: interval, value. Under the group's lock. */
function stage_setting(timer: Ptr<'PosixTimer'>, now: number): void {
  const due = PosixTimer.due.get(timer);
  const interval = PosixTimer.interval.get(timer);
  const left = due - now > 0 || interval === 0 ? due - now : interval - ((now - due) % interval);
  stage_set_timespec(0, interval);
  stage_set_timespec(16, due === 0 ? 0 : Math.max(1, left));
}

/** Sets a timer the caller has a reference to; the setting before is staged. */
function set_timer(timer: Ptr<'PosixTimer'>, interval: number, value: number, due: number): void {
  const group = PosixTimer.group.get(timer);
  const now = clock_now(timer);
  timer_cancel(PosixTimer.timer.at(timer));
  lock_signals(group);
  stage_setting(timer, now);
  PosixTimer.interval.set(timer, interval);
  PosixTimer.due.set(timer, value === 0 ? 0 : due || 1);
  PosixTimer.fired.set(timer, 0);
  PosixTimer.overrun.set(timer, 0);
  // Another thread may have deleted it meanwhile, or set it: the later call holds, and an alarm with nothing due is idle.
  if (PosixTimer.deleted.get(timer) === 0) arm_posix_timer(timer);
  unlock_signals(group);
}

function sys_timer_settime(): number {
  if (arg_u64(2) === 0) return -EINVAL;
  if (stage_in(arg_u64(2), 32) < 0) return -EFAULT;
  const interval = stage_timespec(0);
  const value = stage_timespec(16);
  if (interval < 0 || value < 0) return -EINVAL;
  const timer = timer_of_argument();
  if (timer === 0) return -EINVAL;
  const clock = PosixTimer.clock.get(timer);
  let due = clock_now(timer) + value;
  if ((arg_i32(1) & TIMER_ABSTIME) !== 0)
    due = clock_kind(clock) === KIND_CPU ? value : absolute_to_monotonic(clock, stage_i64(16), stage_i64(24));
  set_timer(timer, interval, value, due);
  posix_timer_put(timer);
  return arg_u64(3) === 0 ? 0 : stage_out(arg_u64(3), 32);
}

function sys_timer_gettime(): number {
  const timer = timer_of_argument();
  if (timer === 0) return -EINVAL;
  const now = clock_now(timer);
  lock_signals(PosixTimer.group.get(timer));
  stage_setting(timer, now);
  unlock_signals(PosixTimer.group.get(timer));
  posix_timer_put(timer);
  return stage_out(arg_u64(1), 32);
}

function sys_timer_getoverrun(): number {
  const timer = timer_of_argument();
  if (timer === 0) return -EINVAL;
  const overrun = PosixTimer.last_overrun.get(timer);
  posix_timer_put(timer);
  return overrun;
}

function sys_timer_delete(): number {
  return delete_timer(arg_i32(0)) ? 0 : -EINVAL;
}

export const POSIX_TIMER_ROWS: readonly SyscallRow[] = [
  partial(
    222,
    'timer_create',
    'the CPU-time clocks of other processes answer EOPNOTSUPP',
    sys_timer_create,
    'clockid:enum(clock)',
    'sevp:ptr',
    'timerid:ptr',
  ),
  full(223, 'timer_settime', sys_timer_settime, 'timerid:int', 'flags:int', 'new_value:ptr', 'old_value:ptr'),
  full(224, 'timer_gettime', sys_timer_gettime, 'timerid:int', 'curr_value:ptr'),
  full(225, 'timer_getoverrun', sys_timer_getoverrun, 'timerid:int'),
  full(226, 'timer_delete', sys_timer_delete, 'timerid:int'),
];
