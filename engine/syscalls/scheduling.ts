/**
 * Scheduling parameters: sched_setscheduler(2), sched_setaffinity(2), getpriority(2), getcpu(2).
 *
 * Policies, priorities and affinities are kept and told, and do not change which task runs: run queues are first in,
 * first out.
 */

import { CAP_SYS_NICE } from '../abi/capability.ts';
import { EACCES, EFAULT, EINVAL, EPERM, ESRCH } from '../abi/errno.ts';
import { RLIMIT_NICE, RLIMIT_RTPRIO } from '../abi/resource.ts';
import {
  SCHED_BATCH,
  SCHED_DEADLINE,
  SCHED_FIFO,
  SCHED_FLAG_RESET_ON_FORK,
  SCHED_IDLE,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  SCHED_RR,
} from '../abi/sched.ts';
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { capable } from '../kernel/credentials.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { rlimit } from '../kernel/limits.ts';
import { find_process_group, find_task, for_each_task } from '../kernel/pid.ts';
import { has_queued, SLICE_FUEL } from '../kernel/scheduler.ts';
import {
  put_int,
  stage_clear,
  stage_i32,
  stage_in,
  stage_out,
  stage_set_parts,
  stage_set_timespec,
  stage_set_u32,
  stage_set_u64,
  stage_u32,
  stage_u64,
} from '../kernel/stage.ts';
import { Task, WORK_RESCHEDULE } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { full, partial, type SyscallRow } from './row.ts';

type T = Ptr<'Task'>;

const PRIO_PROCESS = 0;
const PRIO_PGRP = 1;
const PRIO_USER = 2;
const NOT_USED = 'kept and told; run queues are first in, first out';

/** The task with this tid (0: the current one), or 0. Under the tasklist lock. */
function task_of(tid: number): T {
  return tid === 0 ? current : find_task(tid);
}

/** Whether the current task may change another's scheduling. */
function may_change(task: T): boolean {
  const mine = Credentials.euid.get(Task.credentials.get(current));
  const theirs = Task.credentials.get(task);
  return mine === Credentials.euid.get(theirs) || mine === Credentials.uid.get(theirs) || capable(CAP_SYS_NICE);
}

/** Runs `use` on a task under the tasklist lock; -ESRCH when there is none, -EINVAL for a negative tid. */
function with_task(tid: number, use: (task: T) => number): number {
  if (tid < 0) return -EINVAL;
  lock_tasklist();
  const task = task_of(tid);
  const result = task === 0 ? -ESRCH : use(task);
  unlock_tasklist();
  return result;
}

function sys_sched_yield(): number {
  if (has_queued(Vcpu.index.get(current_vcpu))) Task.pending_work.or(current, WORK_RESCHEDULE);
  return 0;
}

/** Applies a policy with its priority: the checks of sched_setscheduler(2). */
function set_policy(tid: number, policy: number, priority: number): number {
  const base = policy & ~SCHED_RESET_ON_FORK;
  const realtime = base === SCHED_FIFO || base === SCHED_RR;
  if (!realtime && base !== SCHED_OTHER && base !== SCHED_BATCH && base !== SCHED_IDLE) return -EINVAL;
  if (realtime ? priority < 1 || priority > 99 : priority !== 0) return -EINVAL;
  if (realtime && priority > rlimit(RLIMIT_RTPRIO) && !capable(CAP_SYS_NICE)) return -EPERM;
  return with_task(tid, (task) => {
    if (!may_change(task)) return -EPERM;
    Task.policy.set(task, policy);
    Task.priority.set(task, priority);
    return 0;
  });
}

function sys_sched_setscheduler(): number {
  if (arg_i32(1) < 0 || arg_u64(2) === 0) return -EINVAL;
  if (stage_in(arg_u64(2), 4) < 0) return -EFAULT;
  return set_policy(arg_i32(0), arg_i32(1), stage_i32(0));
}

function sys_sched_setparam(): number {
  if (arg_u64(1) === 0) return -EINVAL;
  if (stage_in(arg_u64(1), 4) < 0) return -EFAULT;
  const priority = stage_i32(0);
  const policy = with_task(arg_i32(0), (task) => Task.policy.get(task));
  return policy < 0 ? policy : set_policy(arg_i32(0), policy, priority);
}

function sys_sched_getparam(): number {
  if (arg_u64(1) === 0) return -EINVAL;
  const priority = with_task(arg_i32(0), (task) => Task.priority.get(task));
  return priority < 0 ? priority : put_int(arg_u64(1), priority);
}

function sys_sched_getscheduler(): number {
  return with_task(arg_i32(0), (task) => Task.policy.get(task));
}

/** sched_get_priority_max(2) and _min. */
function priority_range(realtime_value: number): number {
  const policy = arg_i32(0);
  if (policy === SCHED_FIFO || policy === SCHED_RR) return realtime_value;
  const known = [SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE].includes(policy);
  return known ? 0 : -EINVAL;
}

function sys_sched_rr_get_interval(): number {
  const policy = with_task(arg_i32(0), (task) => Task.policy.get(task));
  if (policy < 0) return policy;
  stage_set_timespec(0, policy === SCHED_FIFO ? 0 : SLICE_FUEL * 10);
  return stage_out(arg_u64(1), 16);
}

/** struct sched_attr, first version: size policy flags8 nice priority runtime8 deadline8 period8. */
function sys_sched_getattr(): number {
  const size = arg_u32(2);
  if (size < 48 || size > 4096 || arg_u32(3) !== 0 || arg_u64(1) === 0) return -EINVAL;
  const found = with_task(arg_i32(0), (task) => {
    stage_clear(48);
    stage_set_u32(0, 48);
    stage_set_u32(4, Task.policy.get(task) & ~SCHED_RESET_ON_FORK);
    stage_set_u32(8, (Task.policy.get(task) & SCHED_RESET_ON_FORK) !== 0 ? SCHED_FLAG_RESET_ON_FORK : 0);
    stage_set_u32(16, Task.nice.get(task));
    stage_set_u32(20, Task.priority.get(task));
    stage_set_u64(24, Task.deadline_runtime.get(task));
    stage_set_u64(32, Task.deadline_deadline.get(task));
    stage_set_u64(40, Task.deadline_period.get(task));
    return 0;
  });
  return found < 0 ? found : stage_out(arg_u64(1), 48);
}

/** Keeps a SCHED_DEADLINE reservation of the staged attributes (sched(7)): runtime <= deadline <= period. */
function set_deadline_policy(tid: number, reset: number): number {
  const runtime = stage_u64(24);
  const deadline = stage_u64(32);
  const period = stage_u64(40);
  const within = runtime >= 1024 && runtime <= deadline && (period === 0 || deadline <= period) && deadline < 2 ** 63;
  if (!within || stage_u32(20) !== 0) return -EINVAL;
  if (!capable(CAP_SYS_NICE)) return -EPERM;
  return with_task(tid, (task) => {
    Task.policy.set(task, SCHED_DEADLINE | reset);
    Task.priority.set(task, 0);
    Task.deadline_runtime.set(task, runtime);
    Task.deadline_deadline.set(task, deadline);
    Task.deadline_period.set(task, period === 0 ? deadline : period);
    return 0;
  });
}

function sys_sched_setattr(): number {
  if (arg_u64(1) === 0 || arg_i32(0) < 0 || arg_u32(2) !== 0) return -EINVAL;
  if (stage_in(arg_u64(1), 48) < 0) return -EFAULT;
  const base = stage_u32(4);
  if ((base & SCHED_RESET_ON_FORK) !== 0) return -EINVAL;
  const reset = (stage_u32(8) & SCHED_FLAG_RESET_ON_FORK) !== 0 ? SCHED_RESET_ON_FORK : 0;
  if (base === SCHED_DEADLINE) return set_deadline_policy(arg_i32(0), reset);
  const policy = base | reset;
  const nice = stage_i32(16);
  const priority = stage_u32(20);
  const set = set_policy(arg_i32(0), policy, priority);
  if (set < 0 || base === SCHED_FIFO || base === SCHED_RR) return set;
  return with_task(arg_i32(0), (task) => set_nice(task, nice));
}

const CPU_MASK_BYTES = 8;

/** Mask of the vCPUs that exist. */
function online_lo(): number {
  const count = MachineHeader.vcpu_count.get(MACHINE);
  return count >= 32 ? 0xffff_ffff : 2 ** count - 1;
}
function online_hi(): number {
  const count = MachineHeader.vcpu_count.get(MACHINE);
  return count <= 32 ? 0 : count >= 64 ? 0xffff_ffff : 2 ** (count - 32) - 1;
}

function sys_sched_setaffinity(): number {
  const size = Math.min(arg_u32(1), CPU_MASK_BYTES);
  stage_clear(8);
  if (stage_in(arg_u64(2), size) < 0) return -EFAULT;
  const lo = stage_u32(0) & online_lo();
  const hi = stage_u32(4) & online_hi();
  return with_task(arg_i32(0), (task) => {
    if (!may_change(task)) return -EPERM;
    if ((lo | hi) === 0) return -EINVAL;
    Task.affinity.set_parts(task, lo, hi);
    return 0;
  });
}

function sys_sched_getaffinity(): number {
  const size = arg_u32(1);
  if (size < CPU_MASK_BYTES || size % 8 !== 0) return -EINVAL;
  const found = with_task(arg_i32(0), (task) => {
    stage_set_parts(0, Task.affinity.lo(task) & online_lo(), Task.affinity.hi(task) & online_hi());
    return 0;
  });
  if (found < 0) return found;
  return stage_out(arg_u64(2), CPU_MASK_BYTES) < 0 ? -EFAULT : CPU_MASK_BYTES;
}

/** Calls `use` with every task that PRIO_* and `who` select; the number of them. Under the tasklist lock. */
function for_selected(which: number, who: number, use: (task: T) => void): number {
  let count = 0;
  const hit = (task: T): void => {
    count++;
    use(task);
  };
  if (which === PRIO_PROCESS) {
    const task = task_of(who);
    if (task !== 0) hit(task);
    return count;
  }
  const own = ThreadGroup.process_group.get(Task.group.get(current));
  const process_group = which === PRIO_PGRP ? (who === 0 ? own : find_process_group(who)) : 0;
  const uid = who === 0 ? Credentials.uid.get(Task.credentials.get(current)) : who;
  for_each_task((task) => {
    const selected =
      which === PRIO_PGRP
        ? process_group !== 0 && ThreadGroup.process_group.get(Task.group.get(task)) === process_group
        : Credentials.uid.get(Task.credentials.get(task)) === uid;
    if (selected) hit(task);
    return false;
  });
  return count;
}

/** getpriority(2): the highest of those selected, as 20 - nice. */
function sys_getpriority(): number {
  const which = arg_i32(0);
  if (which < PRIO_PROCESS || which > PRIO_USER) return -EINVAL;
  let best = -1;
  lock_tasklist();
  for_selected(which, arg_i32(1), (task) => {
    best = Math.max(best, 20 - Task.nice.get(task));
  });
  unlock_tasklist();
  return best < 0 ? -ESRCH : best;
}

function set_nice(task: T, wanted: number): number {
  const nice = Math.max(-20, Math.min(19, wanted));
  if (!may_change(task)) return -EPERM;
  if (nice < Task.nice.get(task) && 20 - nice > rlimit(RLIMIT_NICE) && !capable(CAP_SYS_NICE)) return -EACCES;
  Task.nice.set(task, nice);
  return 0;
}

function sys_setpriority(): number {
  const which = arg_i32(0);
  if (which < PRIO_PROCESS || which > PRIO_USER) return -EINVAL;
  const nice = arg_i32(2);
  let result = 0;
  lock_tasklist();
  const found = for_selected(which, arg_i32(1), (task) => {
    const outcome = set_nice(task, nice);
    if (outcome !== 0) result = outcome;
  });
  unlock_tasklist();
  return found === 0 ? -ESRCH : result;
}

const IOPRIO_WHO_USER = 3;

function sys_ioprio_get(): number {
  const which = arg_i32(0);
  if (which < 1 || which > IOPRIO_WHO_USER) return -EINVAL;
  let result = -ESRCH;
  lock_tasklist();
  for_selected(which - 1, arg_i32(1), (task) => {
    result = Math.max(result, Task.io_priority.get(task));
  });
  unlock_tasklist();
  return result;
}

function sys_ioprio_set(): number {
  const which = arg_i32(0);
  const priority = arg_i32(2);
  if (which < 1 || which > IOPRIO_WHO_USER || priority >>> 13 > 3) return -EINVAL;
  if (priority >>> 13 === 1 && !capable(CAP_SYS_NICE)) return -EPERM;
  lock_tasklist();
  const found = for_selected(which - 1, arg_i32(1), (task) => Task.io_priority.set(task, priority));
  unlock_tasklist();
  return found === 0 ? -ESRCH : 0;
}

function sys_getcpu(): number {
  if (arg_u64(0) !== 0 && put_int(arg_u64(0), Vcpu.index.get(current_vcpu)) < 0) return -EFAULT;
  return arg_u64(1) !== 0 ? put_int(arg_u64(1), 0) : 0;
}

export const SCHEDULING_ROWS: readonly SyscallRow[] = [
  full(24, 'sched_yield', sys_sched_yield),
  full(140, 'getpriority', sys_getpriority, 'which:int', 'who:int'),
  partial(141, 'setpriority', NOT_USED, sys_setpriority, 'which:int', 'who:int', 'prio:int'),
  partial(142, 'sched_setparam', NOT_USED, sys_sched_setparam, 'pid:pid', 'param:ptr'),
  full(143, 'sched_getparam', sys_sched_getparam, 'pid:pid', 'param:ptr'),
  partial(144, 'sched_setscheduler', NOT_USED, sys_sched_setscheduler, 'pid:pid', 'policy:int', 'param:ptr'),
  full(145, 'sched_getscheduler', sys_sched_getscheduler, 'pid:pid'),
  full(146, 'sched_get_priority_max', () => priority_range(99), 'policy:int'),
  full(147, 'sched_get_priority_min', () => priority_range(1), 'policy:int'),
  full(148, 'sched_rr_get_interval', sys_sched_rr_get_interval, 'pid:pid', 'tp:outstruct(timespec)'),
  partial(203, 'sched_setaffinity', NOT_USED, sys_sched_setaffinity, 'pid:pid', 'cpusetsize:size', 'mask:in(1)'),
  full(204, 'sched_getaffinity', sys_sched_getaffinity, 'pid:pid', 'cpusetsize:size', 'mask:ptr'),
  partial(251, 'ioprio_set', 'kept and told', sys_ioprio_set, 'which:int', 'who:int', 'ioprio:int'),
  full(252, 'ioprio_get', sys_ioprio_get, 'which:int', 'who:int'),
  full(309, 'getcpu', sys_getcpu, 'cpu:ptr', 'node:ptr', 'tcache:ptr'),
  partial(314, 'sched_setattr', NOT_USED, sys_sched_setattr, 'pid:pid', 'attr:ptr', 'flags:uint'),
  full(315, 'sched_getattr', sys_sched_getattr, 'pid:pid', 'attr:ptr', 'size:uint', 'flags:uint'),
];
