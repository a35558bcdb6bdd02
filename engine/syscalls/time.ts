/**
 * Clocks, sleeps and interval timers: clock_gettime(2), clock_nanosleep(2), getitimer(2), times(2).
 */
import { EFAULT, EINVAL, EOPNOTSUPP, EPERM, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS } from '../abi/errno.ts';
import { READABLE } from '../abi/poll.ts';
import {
  CLOCK_MONOTONIC_COARSE,
  CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE,
  CLOCK_THREAD_CPUTIME_ID,
  ITIMER_PROF,
  ITIMER_REAL,
  ITIMER_VIRTUAL,
  NS_PER_TICK,
  TIMER_ABSTIME,
} from '../abi/time.ts';
import type { F64Field } from '../heap/field.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import {
  deadline_passed,
  deadline_remaining,
  set_deadline,
  set_timeout,
  signal_pending,
  wait_on,
  wait_until_deadline,
} from '../kernel/block.ts';
import {
  absolute_to_monotonic,
  children_cpu_ns,
  clock_has_timers,
  clock_kind,
  cpu_clock_tid,
  is_thread_clock,
  KIND_CPU,
  KIND_INVALID,
  KIND_REAL,
  own_cpu_ns,
  read_cpu_clock,
  watch_cpu_clock,
} from '../kernel/clock_id.ts';
import { capable } from '../kernel/credentials.ts';
import { current } from '../kernel/current.ts';
import { KernelRoot } from '../kernel/kernel.layout.ts';
import { kernel_root } from '../kernel/kernel.ts';
import {
  RESTART_CLOCK_NANOSLEEP,
  RESTART_CPU_SLEEP,
  RESTART_NANOSLEEP,
  register_restart,
  restart_later,
} from '../kernel/restart.ts';
import {
  put_long,
  stage_clear,
  stage_i64,
  stage_in,
  stage_out,
  stage_set_timespec,
  stage_set_timeval,
  stage_set_u64,
  stage_timespec,
} from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import {
  monotonic_ns,
  read_monotonic_ns,
  set_wall_clock,
  wall_nanoseconds_at,
  wall_seconds_at,
} from '../time/clock.ts';
import { TIMER_ITIMER_REAL, timer_arm, timer_cancel, timer_remaining } from '../time/timer.ts';
import { full, partial, type SyscallRow } from './row.ts';

const CAP_SYS_TIME = 25;
/** Resolution of the coarse clocks: a tick of CONFIG_HZ=250. */
const COARSE_NS = 4_000_000;

function sys_clock_gettime(): number {
  const clock = arg_i32(0);
  const kind = clock_kind(clock);
  if (kind === KIND_INVALID) return -EINVAL;
  if (kind === KIND_CPU) {
    const ns = read_cpu_clock(clock);
    if (ns < 0) return ns;
    stage_set_timespec(0, ns);
    return stage_out(arg_u64(1), 16);
  }
  const now = read_monotonic_ns();
  if (kind === KIND_REAL) {
    stage_set_u64(0, wall_seconds_at(now));
    stage_set_u64(8, wall_nanoseconds_at(now));
  } else stage_set_timespec(0, now);
  return stage_out(arg_u64(1), 16);
}

function sys_clock_settime(): number {
  const clock = arg_i32(0);
  if (clock_kind(clock) === KIND_INVALID) return -EINVAL;
  if (stage_in(arg_u64(1), 16) < 0) return -EFAULT;
  if (clock !== CLOCK_REALTIME || stage_timespec(0) < 0) return -EINVAL;
  if (!capable(CAP_SYS_TIME)) return -EPERM;
  set_wall_clock(stage_i64(0), stage_i64(8));
  return 0;
}

function sys_clock_getres(): number {
  const clock = arg_i32(0);
  if (clock_kind(clock) === KIND_INVALID) return -EINVAL;
  if (clock < 0 && read_cpu_clock(clock) < 0) return -EINVAL;
  if (arg_u64(1) === 0) return 0;
  const coarse = clock === CLOCK_REALTIME_COARSE || clock === CLOCK_MONOTONIC_COARSE;
  stage_set_timespec(0, coarse ? COARSE_NS : 1);
  return stage_out(arg_u64(1), 16);
}

/** Sleeps until the call's deadline; `remainder_at` gets what a signal left of a relative sleep. */
function sleep(remainder_at: number, relative: boolean, restart_kind: number): number {
  if (deadline_passed()) return 0;
  const waiting = wait_until_deadline();
  if (!signal_pending()) return waiting;
  if (!relative) return -ERESTARTNOHAND;
  if (remainder_at !== 0) {
    stage_set_timespec(0, deadline_remaining());
    if (stage_out(remainder_at, 16) < 0) return -EFAULT;
  }
  return restart_later(restart_kind);
}

function sys_nanosleep(): number {
  if (Task.syscall_deadline.get(current) === 0) {
    if (stage_in(arg_u64(0), 16) < 0) return -EFAULT;
    const ns = stage_timespec(0);
    if (ns < 0) return -EINVAL;
    set_timeout(ns);
  }
  return sleep(arg_u64(1), true, RESTART_NANOSLEEP);
}
register_restart(RESTART_NANOSLEEP, sys_nanosleep);

function sys_clock_nanosleep(): number {
  const clock = arg_i32(0);
  const absolute = (arg_i32(1) & TIMER_ABSTIME) !== 0;
  const kind = clock_kind(clock);
  if (kind === KIND_CPU && Task.syscall_entries.get(current) > 0) return sleep_on_cpu_clock(clock, absolute);
  if (Task.syscall_deadline.get(current) === 0) {
    if (kind === KIND_INVALID) return -EINVAL;
    if (clock === CLOCK_THREAD_CPUTIME_ID || !clock_has_timers(clock)) return -EOPNOTSUPP;
    if (stage_in(arg_u64(2), 16) < 0) return -EFAULT;
    const ns = stage_timespec(0);
    if (ns < 0) return -EINVAL;
    if (kind === KIND_CPU) return begin_cpu_sleep(clock, absolute, ns);
    if (absolute) set_deadline(absolute_to_monotonic(clock, stage_i64(0), stage_i64(8)));
    else set_timeout(ns);
  }
  return sleep(arg_u64(3), !absolute, RESTART_CLOCK_NANOSLEEP);
}
register_restart(RESTART_CLOCK_NANOSLEEP, sys_clock_nanosleep);

const CPU_TICK_NS = 1e6;

/** Begins a sleep on a process's CPU clock, or another thread's (Linux's posix_cpu_nsleep). `ns` 0 is no sleep. */
function begin_cpu_sleep(clock: number, absolute: boolean, ns: number): number {
  const own_thread = is_thread_clock(clock) && [0, Task.tid.get(current)].includes(cpu_clock_tid(clock));
  const now = own_thread ? -EINVAL : read_cpu_clock(clock);
  if (now < 0) return now;
  if (ns === 0) return 0;
  if (absolute && now >= ns) return 0;
  // Linux looks at ticks: going to sleep does not end the sleep.
  Task.syscall_progress.set(current, Math.max(absolute ? ns : now + ns, now + CPU_TICK_NS));
  return sleep_on_cpu_clock(clock, absolute);
}

/** Sleeps until the clock reads `Task.syscall_progress`. */
function sleep_on_cpu_clock(clock: number, absolute: boolean): number {
  const deadline = Task.syscall_progress.get(current);
  if (watch_cpu_clock(clock, deadline) === 0) return 0;
  const waiting = wait_on(KernelRoot.cpu_sleepers.at(kernel_root()), READABLE);
  if (waiting !== -ERESTARTSYS) return waiting;
  if (absolute) return -ERESTARTNOHAND;
  if (arg_u64(3) !== 0) {
    stage_set_timespec(0, Math.max(0, deadline - Math.max(0, read_cpu_clock(clock))));
    if (stage_out(arg_u64(3), 16) < 0) return -EFAULT;
  }
  Task.restart_kind.set(current, RESTART_CPU_SLEEP);
  Task.restart_deadline.set(current, deadline);
  return -ERESTART_RESTARTBLOCK;
}

register_restart(RESTART_CPU_SLEEP, () => {
  // The deadline is one of another clock than calls have.
  if (Task.syscall_entries.get(current) === 0) {
    Task.syscall_deadline.set(current, 0);
    Task.syscall_progress.set(current, Task.restart_deadline.get(current));
  }
  return sleep_on_cpu_clock(arg_i32(0), false);
});

function sys_gettimeofday(): number {
  const now = read_monotonic_ns();
  if (arg_u64(0) !== 0) {
    stage_set_u64(0, wall_seconds_at(now));
    stage_set_u64(8, Math.floor(wall_nanoseconds_at(now) / 1000));
    if (stage_out(arg_u64(0), 16) < 0) return -EFAULT;
  }
  if (arg_u64(1) === 0) return 0;
  stage_set_u64(0, 0);
  return stage_out(arg_u64(1), 8);
}

function sys_settimeofday(): number {
  if (arg_u64(0) === 0) return capable(CAP_SYS_TIME) ? 0 : -EPERM;
  if (stage_in(arg_u64(0), 16) < 0) return -EFAULT;
  const microseconds = stage_i64(8);
  if (microseconds < 0 || microseconds > 999_999 || stage_i64(0) < 0) return -EINVAL;
  if (!capable(CAP_SYS_TIME)) return -EPERM;
  set_wall_clock(stage_i64(0), microseconds * 1000);
  return 0;
}

function sys_time(): number {
  const seconds = wall_seconds_at(read_monotonic_ns());
  if (arg_u64(0) !== 0 && put_long(arg_u64(0), seconds) < 0) return -EFAULT;
  return seconds;
}

function sys_times(): number {
  if (arg_u64(0) !== 0) {
    stage_clear(32);
    stage_set_u64(0, Math.floor(own_cpu_ns() / NS_PER_TICK));
    stage_set_u64(16, Math.floor(children_cpu_ns() / NS_PER_TICK));
    if (stage_out(arg_u64(0), 32) < 0) return -EFAULT;
  }
  return Math.floor(read_monotonic_ns() / NS_PER_TICK);
}

/** alarm(2): seconds that were left of the alarm before, rounded up when there is less than one. */
function sys_alarm(): number {
  const group = Task.group.get(current);
  const timer = ThreadGroup.real_timer.at(group);
  const left = timer_remaining(timer);
  timer_cancel(timer);
  ThreadGroup.real_interval.set(group, 0);
  const seconds = arg_u32(0);
  if (seconds !== 0) timer_arm(timer, TIMER_ITIMER_REAL, group, monotonic_ns() + seconds * 1e9);
  return left === 0 ? 0 : Math.max(1, Math.round(left / 1e9));
}

/** The fields of a CPU-time itimer. */
function cpu_fields(which: number): { expiry: F64Field<'ThreadGroup'>; interval: F64Field<'ThreadGroup'> } {
  return which === ITIMER_VIRTUAL
    ? { expiry: ThreadGroup.virtual_expiry, interval: ThreadGroup.virtual_interval }
    : { expiry: ThreadGroup.prof_expiry, interval: ThreadGroup.prof_interval };
}

/** Stages struct itimerval: interval, value. */
function stage_itimer(which: number): void {
  const group = Task.group.get(current);
  let value = 0;
  let interval = 0;
  if (which === ITIMER_REAL) {
    value = timer_remaining(ThreadGroup.real_timer.at(group));
    interval = ThreadGroup.real_interval.get(group);
  } else {
    const fields = cpu_fields(which);
    const expiry = fields.expiry.get(group);
    value = expiry === 0 ? 0 : Math.max(1000, expiry - own_cpu_ns());
    interval = fields.interval.get(group);
  }
  stage_set_timeval(0, interval);
  // What is left is never told as zero while the timer is armed.
  stage_set_timeval(16, value === 0 ? 0 : Math.max(1000, value));
}

function sys_getitimer(): number {
  const which = arg_i32(0);
  if (which < ITIMER_REAL || which > ITIMER_PROF) return -EINVAL;
  stage_itimer(which);
  return stage_out(arg_u64(1), 32);
}

/** ns of the struct timeval at `offset`; -1 when it is not valid. */
function stage_timeval(offset: number): number {
  const seconds = stage_i64(offset);
  const microseconds = stage_i64(offset + 8);
  if (seconds < 0 || microseconds < 0 || microseconds > 999_999) return -1;
  return Math.min(seconds * 1e9 + microseconds * 1000, Number.MAX_SAFE_INTEGER);
}

function sys_setitimer(): number {
  const which = arg_i32(0);
  if (which < ITIMER_REAL || which > ITIMER_PROF) return -EINVAL;
  let interval = 0;
  let value = 0;
  if (arg_u64(1) !== 0) {
    if (stage_in(arg_u64(1), 32) < 0) return -EFAULT;
    interval = stage_timeval(0);
    value = stage_timeval(16);
    if (interval < 0 || value < 0) return -EINVAL;
  }
  stage_itimer(which);
  set_itimer(which, value, interval);
  return arg_u64(2) === 0 ? 0 : stage_out(arg_u64(2), 32);
}

function set_itimer(which: number, value: number, interval: number): void {
  const group = Task.group.get(current);
  if (which === ITIMER_REAL) {
    const timer = ThreadGroup.real_timer.at(group);
    timer_cancel(timer);
    ThreadGroup.real_interval.set(group, interval);
    if (value !== 0) timer_arm(timer, TIMER_ITIMER_REAL, group, monotonic_ns() + value);
    return;
  }
  const fields = cpu_fields(which);
  fields.interval.set(group, interval);
  fields.expiry.set(group, value === 0 ? 0 : own_cpu_ns() + value);
}

const CPU_NOTE = 'CPU time is run time on a vCPU, all of it counted as user time';

export const TIME_ROWS: readonly SyscallRow[] = [
  full(35, 'nanosleep', sys_nanosleep, 'req:struct(timespec)', 'rem:outstruct(timespec)'),
  full(36, 'getitimer', sys_getitimer, 'which:enum(itimer)', 'curr_value:outstruct(itimerval)'),
  full(37, 'alarm', sys_alarm, 'seconds:uint'),
  full(
    38,
    'setitimer',
    sys_setitimer,
    'which:enum(itimer)',
    'new_value:struct(itimerval)',
    'old_value:outstruct(itimerval)',
  ),
  full(96, 'gettimeofday', sys_gettimeofday, 'tv:outstruct(timeval)', 'tz:ptr'),
  partial(100, 'times', CPU_NOTE, sys_times, 'buf:outstruct(tms)'),
  full(164, 'settimeofday', sys_settimeofday, 'tv:struct(timeval)', 'tz:ptr'),
  full(201, 'time', sys_time, 'tloc:ptr'),
  full(227, 'clock_settime', sys_clock_settime, 'clockid:enum(clock)', 'tp:struct(timespec)'),
  full(228, 'clock_gettime', sys_clock_gettime, 'clockid:enum(clock)', 'tp:outstruct(timespec)'),
  full(229, 'clock_getres', sys_clock_getres, 'clockid:enum(clock)', 'res:outstruct(timespec)'),
  full(
    230,
    'clock_nanosleep',
    sys_clock_nanosleep,
    'clockid:enum(clock)',
    'flags:int',
    'req:struct(timespec)',
    'rem:outstruct(timespec)',
  ),
];
