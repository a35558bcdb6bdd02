/**
 * Clock ids of clock_gettime(2) and their readings: the machine's clocks, and CPU clocks of tasks.
 */
import { EINVAL } from '../abi/errno.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
} from '../abi/time.ts';
import type { Ptr } from '../base/types.ts';
import { monotonic_from_wall, monotonic_ns } from '../time/clock.ts';
import { group_cpu_ns, task_cpu_ns } from './cpu_time.ts';
import { current } from './current.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { find_task } from './pid.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

export const KIND_INVALID = 0;
export const KIND_REAL = 1;
export const KIND_MONOTONIC = 2;
export const KIND_CPU = 3;

/** What a clock id is: KIND_*. */
export function clock_kind(clock: number): number {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return KIND_REAL;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return KIND_MONOTONIC;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return KIND_CPU;
    default:
      // A CPU clock of another task: ~pid << 3, 4 for a thread, 2 for "scheduler time" (clock_getcpuclockid(3)).
      return clock < 0 && (clock & 3) !== 3 ? KIND_CPU : KIND_INVALID;
  }
}

/** Whether a clock can be slept on and has timers: the coarse ones and the raw one only tell the time. */
export function clock_has_timers(clock: number): boolean {
  return clock !== CLOCK_REALTIME_COARSE && clock !== CLOCK_MONOTONIC_COARSE && clock !== CLOCK_MONOTONIC_RAW;
}

/** The thread that a CPU clock names; 0 for the current one or its process. */
export function cpu_clock_tid(clock: number): number {
  return clock < 0 ? ~(clock >> 3) : 0;
}

/** Whether a CPU clock by number is that of one thread. */
export function is_thread_clock(clock: number): boolean {
  return clock < 0 && (clock & 4) !== 0;
}

/** The task that a CPU clock names, or 0. Under the tasklist lock. */
function cpu_clock_task(clock: number): Ptr<'Task'> {
  const tid = cpu_clock_tid(clock);
  return tid === 0 ? current : find_task(tid);
}

/** Reads the CPU clock of a task, which it names: ns or -EINVAL. Under the tasklist lock. */
function read_clock_of(clock: number, task: Ptr<'Task'>): number {
  if (task === 0) return -EINVAL;
  return is_thread_clock(clock) ? thread_clock(task) : group_cpu_ns(Task.group.get(task));
}

/** Reads a CPU clock in ns; -EINVAL when it names no task. */
export function read_cpu_clock(clock: number): number {
  if (clock === CLOCK_THREAD_CPUTIME_ID) return task_cpu_ns(current);
  lock_tasklist();
  const result = read_clock_of(clock, cpu_clock_task(clock));
  unlock_tasklist();
  return result;
}

/**
 * Before a sleep until a CPU clock reads `deadline`: 0 when it does, 1 when KernelRoot.cpu_sleepers are woken then. A
 * thread's clock is no faster than its process's. The clock of who has ended stands still.
 */
export function watch_cpu_clock(clock: number, deadline: number): number {
  lock_tasklist();
  const task = cpu_clock_task(clock);
  const now = read_clock_of(clock, task);
  if (task !== 0 && now >= 0 && now < deadline) {
    const group = Task.group.get(task);
    const at = group_cpu_ns(group) + deadline - now;
    const before = ThreadGroup.sleep_expiry.get(group);
    ThreadGroup.sleep_expiry.set(group, before === 0 ? at : Math.min(before, at));
  }
  unlock_tasklist();
  return now >= deadline ? 0 : 1;
}

function thread_clock(task: Ptr<'Task'>): number {
  return Task.group.get(task) === Task.group.get(current) ? task_cpu_ns(task) : -EINVAL;
}

/** Monotonic instant of an absolute time, in ns, on a clock that is not a CPU clock. */
export function absolute_to_monotonic(clock: number, seconds: number, nanoseconds: number): number {
  if (clock_kind(clock) === KIND_REAL) return monotonic_from_wall(seconds, nanoseconds);
  return Math.min(seconds * 1e9 + nanoseconds, Number.MAX_SAFE_INTEGER);
}

/** ns from now until a monotonic instant, at least 0. */
export function until(deadline: number): number {
  return Math.max(0, deadline - monotonic_ns());
}

/** CPU time used by the current process, in ns. */
export function own_cpu_ns(): number {
  lock_tasklist();
  const ns = group_cpu_ns(Task.group.get(current));
  unlock_tasklist();
  return ns;
}

/** CPU time of the current process's reaped children, in ns. */
export function children_cpu_ns(): number {
  return ThreadGroup.children_cpu_ns.get(Task.group.get(current));
}
