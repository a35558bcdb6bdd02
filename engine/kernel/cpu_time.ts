/**
 * CPU time of tasks and processes: the time a vCPU spent on the task, from one switch to the next, on the machine's
 * own clock. With a virtual clock that is instructions retired, one ns each. User and system time are not told
 * apart: all of it counts as user time.
 */
import type { Ptr } from '../base/types.ts';
import { monotonic_ns } from '../time/clock.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

type Group = Ptr<'ThreadGroup'>;

/**
 * The clock as this thread's last `account_stop` read it, or -1. A switch takes one reading for the task that goes and
 * the one that comes: the host's clock costs 70 to 120 ns, a tenth of a switch between processes.
 */
let switched_at = -1;

/** A vCPU starts running the task. */
export function account_start(task: Ptr<'Task'>): void {
  Task.run_start.set(task, switched_at >= 0 ? switched_at : monotonic_ns());
  switched_at = -1;
}

/** The vCPU does something else than switch to the next task. */
export function account_idle(): void {
  switched_at = -1;
}

/** The vCPU stops running the task, or charges what has passed so far. */
export function account_stop(task: Ptr<'Task'>): void {
  const start = Task.run_start.get(task);
  if (start < 0) return;
  const now = monotonic_ns();
  Task.cpu_ns.set(task, Task.cpu_ns.get(task) + Math.max(0, now - start));
  Task.run_start.set(task, -1);
  switched_at = now;
}

/** CPU time of a thread in ns, the slice in progress included. */
export function task_cpu_ns(task: Ptr<'Task'>): number {
  const start = Task.run_start.get(task);
  return Task.cpu_ns.get(task) + (start < 0 ? 0 : Math.max(0, monotonic_ns() - start));
}

/** CPU time of a process in ns: its threads, living and dead. */
export function group_cpu_ns(group: Group): number {
  let total = ThreadGroup.dead_cpu_ns.get(group);
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) total += task_cpu_ns(t);
  return total;
}
