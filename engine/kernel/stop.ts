/**
 * Job control: a stop signal stops every thread of a process; the last one to stop tells the parent. SIGCONT
 * (signal.ts, continue_group) undoes it. Linux: do_signal_stop, task_participate_group_stop.
 */
import type { Ptr } from '../base/types.ts';
import { current } from './current.ts';
import { notify_job_control } from './notify.ts';
import { interrupt_task, wake_task } from './scheduler.ts';
import { lock_signals, unlock_signals } from './signal.ts';
import { TASK_STOPPED, TASK_WOKEN, Task, WORK_EXIT, WORK_STOP } from './task.layout.ts';
import {
  GROUP_CONTINUE_REPORT,
  GROUP_EXITING,
  GROUP_NOTIFY_CONTINUED,
  GROUP_STOP_REPORT,
  GROUP_STOPPING,
  ThreadGroup,
} from './thread_group.layout.ts';

type T = Ptr<'Task'>;

/** Starts the stop of the current process by `signo`: every live thread gets WORK_STOP. Under the group's lock. */
export function start_stop_locked(signo: number): void {
  const group = Task.group.get(current);
  const flags = ThreadGroup.flags.load(group);
  if ((flags & GROUP_EXITING) !== 0) return;
  if ((flags & GROUP_STOPPING) === 0) {
    ThreadGroup.stop_signal.set(group, signo);
    ThreadGroup.stop_left.set(group, 0);
    ThreadGroup.flags.or(group, GROUP_STOPPING);
    ThreadGroup.flags.and(group, ~(GROUP_CONTINUE_REPORT | GROUP_STOP_REPORT));
  }
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) {
    const state = Task.state.load(t) & 0xff;
    if (state >= TASK_STOPPED || (Task.pending_work.load(t) & WORK_STOP) !== 0) continue;
    Task.pending_work.or(t, WORK_STOP);
    ThreadGroup.stop_left.set(group, ThreadGroup.stop_left.get(group) + 1);
    if (t === current) continue;
    wake_task(t);
    interrupt_task(t);
  }
}

/** One thread fewer has to stop; whether that completes the stop. Under the group's lock. */
function participate(task: T): boolean {
  const group = Task.group.get(task);
  if ((Task.pending_work.load(task) & WORK_STOP) === 0) return false;
  Task.pending_work.and(task, ~WORK_STOP);
  const left = ThreadGroup.stop_left.get(group) - 1;
  ThreadGroup.stop_left.set(group, left);
  if (left > 0 || (ThreadGroup.flags.load(group) & GROUP_STOPPING) === 0) return false;
  ThreadGroup.flags.or(group, GROUP_STOP_REPORT);
  return true;
}

/**
 * Stops the current task when WORK_STOP says so. True: it is in TASK_STOPPED and another vCPU may already run it
 * again, so the caller must not touch it any more. The caller has charged its CPU time.
 */
export function stop_current(): boolean {
  const group = Task.group.get(current);
  lock_signals(group);
  const wanted = (Task.pending_work.load(current) & (WORK_STOP | WORK_EXIT)) === WORK_STOP;
  const complete = participate(current);
  unlock_signals(group);
  // The parent is told before the task can be continued, by a call that needs the tasklist lock.
  if (complete) notify_job_control(group, false);
  if (!wanted) return false;
  lock_signals(group);
  const still =
    (ThreadGroup.flags.load(group) & GROUP_STOPPING) !== 0 && (Task.pending_work.load(current) & WORK_EXIT) === 0;
  if (still) {
    Task.state.and(current, ~TASK_WOKEN);
    Task.state.store(current, TASK_STOPPED);
  }
  unlock_signals(group);
  return still;
}

/** An exiting task takes part in a stop in progress. */
export function leave_stop(task: T): void {
  const group = Task.group.get(task);
  lock_signals(group);
  const complete = participate(task);
  unlock_signals(group);
  if (complete) notify_job_control(group, false);
}

/** The first thread to run after SIGCONT tells the parent. */
export function announce_continue(): void {
  const group = Task.group.get(current);
  if ((ThreadGroup.flags.load(group) & GROUP_NOTIFY_CONTINUED) === 0) return;
  if ((ThreadGroup.flags.and(group, ~GROUP_NOTIFY_CONTINUED) & GROUP_NOTIFY_CONTINUED) !== 0)
    notify_job_control(group, true);
}
