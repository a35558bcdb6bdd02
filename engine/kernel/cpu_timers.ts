/**
 * Timers on CPU time: ITIMER_VIRTUAL, ITIMER_PROF, POSIX timers and sleeps on CPU clocks, and RLIMIT_CPU. They are looked
 * at when a slice of guest code ends, so they are late by a slice at most.
 */

import { READABLE } from '../abi/poll.ts';
import { RLIM_INFINITY, RLIMIT_CPU } from '../abi/resource.ts';
import { SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import type { F64Field } from '../heap/field.ts';
import { wake } from '../heap/wait_queue.ts';
import { own_cpu_ns } from './clock_id.ts';
import { task_cpu_ns } from './cpu_time.ts';
import { current } from './current.ts';
import { KernelRoot } from './kernel.layout.ts';
import { kernel_root, lock_tasklist, unlock_tasklist } from './kernel.ts';
import { group_rlimit, group_rlimit_hard, set_group_rlimit } from './limits.ts';
import { check_posix_cpu_timers } from './posix_timer.ts';
import { siginfo_kernel } from './siginfo.ts';
import { send_to_group } from './signal.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

type Field = F64Field<'ThreadGroup'>;

/** Sends the signals of the current process's CPU timers and limit that are due. */
export function check_cpu_timers(): void {
  const group = Task.group.get(current);
  const limit = group_rlimit(group, RLIMIT_CPU);
  const armed = ThreadGroup.virtual_expiry.get(group) !== 0 || ThreadGroup.prof_expiry.get(group) !== 0;
  const posix = ThreadGroup.posix_timers.get(group) !== 0;
  const sleepers = ThreadGroup.sleep_expiry.get(group) !== 0;
  if (!armed && !posix && !sleepers && limit === RLIM_INFINITY) return;
  const now = own_cpu_ns();
  if (sleepers) wake_sleepers(group, now);
  if (posix) check_posix_cpu_timers(now, task_cpu_ns(current));
  expire(now, ThreadGroup.virtual_expiry, ThreadGroup.virtual_interval, SIGVTALRM);
  expire(now, ThreadGroup.prof_expiry, ThreadGroup.prof_interval, SIGPROF);
  if (now < limit * 1e9) return;
  const hard = group_rlimit_hard(group, RLIMIT_CPU);
  const signo = now >= hard * 1e9 ? SIGKILL : SIGXCPU;
  // The next SIGXCPU comes a second later, as setrlimit(2) says.
  if (signo === SIGXCPU) set_group_rlimit(group, RLIMIT_CPU, limit + 1, hard);
  send_to_group(group, signo, siginfo_kernel(signo));
}

/** The current task stops running before its slice ends: whether somebody slept for the time that it used. */
export function tell_cpu_sleepers(): void {
  const group = Task.group.get(current);
  if (ThreadGroup.sleep_expiry.get(group) !== 0) wake_sleepers(group, own_cpu_ns());
}

/** Those who sleep on a CPU clock of the group look at it again, once one of them is due. */
function wake_sleepers(group: Ptr<'ThreadGroup'>, now: number): void {
  lock_tasklist();
  const due = now >= ThreadGroup.sleep_expiry.get(group);
  if (due) ThreadGroup.sleep_expiry.set(group, 0);
  unlock_tasklist();
  if (due) wake(KernelRoot.cpu_sleepers.at(kernel_root()), READABLE, Number.MAX_SAFE_INTEGER);
}

function expire(now: number, expiry: Field, interval: Field, signo: number): void {
  const group = Task.group.get(current);
  const due = expiry.get(group);
  if (due === 0 || now < due) return;
  const period = interval.get(group);
  expiry.set(group, period === 0 ? 0 : now + period);
  send_to_group(group, signo, siginfo_kernel(signo));
}
