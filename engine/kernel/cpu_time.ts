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

/** A vCPU starts running the task. */
export function account_start(task: Ptr<'Task'>): void {
  Task.run_start.set(task, monotonic_ns());
}

/** The vCPU stops running the task, or charges what has passed so far. */
export function account_stop(task: Ptr<'Task'>): void {
  const start = Task.run_start.get(task);
  if (start < 0) return;
  Task.cpu_ns.set(task, Task.cpu_ns.get(task) + Math.max(0, monotonic_ns() - start));
  Task.run_start.set(task, -1);
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
