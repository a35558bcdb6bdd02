/**
 * Task and thread-group records: making them, linking them into the process tree, giving them back.
 *
 * Life of a task: `task_create` (everything reserved, nothing published) - `task_publish` (tid visible, in the
 * tree) - `enqueue` - runs - `exit_task` (exit.ts) - `task_release` when reaped, or at once for a thread that is
 * not the leader - freed when the run loop has dropped it too.
 */

import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { U8 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { CpuState } from '../machine/cpu.layout.ts';
import { reset_cpu } from '../machine/cpu.ts';
import { monotonic_ns } from '../time/clock.ts';
import { credentials_get, credentials_put, next_credentials_number } from './credentials.ts';
import { KernelRoot } from './kernel.layout.ts';
import { kernel_root, lock_tasklist, unlock_tasklist } from './kernel.ts';
import { default_rlimits } from './limits.ts';
import { pid_alloc, pid_put } from './pid.ts';
import {
  process_group_create,
  process_group_join,
  process_group_leave,
  session_create,
  session_reap,
} from './process_group.ts';
import { SigHand } from './signal.layout.ts';
import { flush_all, lock_signals, unlock_signals } from './signal.ts';
import { TASK_DEAD, TASK_RUNNING, Task } from './task.layout.ts';
import { Pid, ThreadGroup } from './thread_group.layout.ts';

export const tasks = slab(Task);
export const thread_groups = slab(ThreadGroup);
export const sighands = slab(SigHand);
export const cpu_states = slab(CpuState);

type T = Ptr<'Task'>;
type Group = Ptr<'ThreadGroup'>;
const NO_TASK = 0 as T;
const NO_GROUP = 0 as Group;

/** A task record with its registers, belonging to nobody; 0 when the heap or the task limit is exhausted. */
export function task_alloc(): T {
  const root = kernel_root();
  if (KernelRoot.task_count.add(root, 1) >= KernelRoot.task_limit.get(root)) {
    KernelRoot.task_count.add(root, -1);
    return NO_TASK;
  }
  const cpu = cpu_states.alloc();
  const task = cpu === 0 ? NO_TASK : tasks.alloc();
  if (task === 0) {
    if (cpu !== 0) cpu_states.free(cpu);
    KernelRoot.task_count.add(root, -1);
    return NO_TASK;
  }
  reset_cpu(cpu);
  Task.cpu.set(task, cpu);
  Task.state.store(task, TASK_RUNNING);
  Task.syscall_number.set(task, -1);
  Task.refs.store(task, 2);
  Task.start_ns.set(task, monotonic_ns());
  Task.run_start.set(task, -1);
  Task.affinity.set_parts(task, 0xffff_ffff, 0xffff_ffff);
  Task.timer_slack.set(task, 50_000);
  return task;
}

/** Gives back a record of `task_alloc` that was never published. */
export function task_discard(task: T): void {
  Task.refs.store(task, 1);
  task_put(task);
}

/** Takes a reference. */
export function task_get(task: T): T {
  Task.refs.add(task, 1);
  return task;
}

/** Gives a reference back; the last frees the record, its registers and its hold on the group. */
export function task_put(task: T): void {
  if (Task.refs.add(task, -1) !== 1) return;
  const group = Task.group.get(task);
  if (Task.credentials.get(task) !== 0) credentials_put(Task.credentials.get(task));
  cpu_states.free(Task.cpu.get(task));
  tasks.free(task);
  if (group !== 0) group_put(group);
  KernelRoot.task_count.add(kernel_root(), -1);
}

/** A thread group with the given actions (one reference is taken over), no task, no place in the tree; 0: no heap. */
export function group_alloc(sighand: Ptr<'SigHand'>): Group {
  const group = thread_groups.alloc();
  if (group === 0) return group;
  ThreadGroup.refs.store(group, 1);
  ThreadGroup.sighand.set(group, sighand);
  return group;
}

/** Takes a reference. */
export function group_get(group: Group): Group {
  ThreadGroup.refs.add(group, 1);
  return group;
}

/** Gives a reference back; the last frees the record and its actions. */
export function group_put(group: Group): void {
  if (ThreadGroup.refs.add(group, -1) !== 1) return;
  sighand_put(ThreadGroup.sighand.get(group));
  thread_groups.free(group);
}

/** New actions, all default; 0 when the heap is exhausted. */
export function sighand_create(): Ptr<'SigHand'> {
  const sighand = sighands.alloc();
  if (sighand !== 0) SigHand.refs.store(sighand, 1);
  return sighand;
}

/** Gives a reference back. */
export function sighand_put(sighand: Ptr<'SigHand'>): void {
  if (sighand !== 0 && SigHand.refs.add(sighand, -1) === 1) sighands.free(sighand);
}

/** Adds a task, with its number, to its group's threads. Under the tasklist lock; the list changes under both. */
export function thread_link(task: T, group: Group, pid: Ptr<'Pid'>): void {
  Task.group.set(task, group);
  Task.pid.set(task, pid);
  Task.tid.set(task, Pid.number.get(pid));
  Pid.task.set(pid, task);
  lock_signals(group);
  const tail = ThreadGroup.thread_tail.get(group);
  Task.thread_previous.set(task, tail);
  Task.thread_next.set(task, NO_TASK);
  if (tail === 0) ThreadGroup.threads.set(group, task);
  else Task.thread_next.set(tail, task);
  ThreadGroup.thread_tail.set(group, task);
  ThreadGroup.live.add(group, 1);
  unlock_signals(group);
}

/** Takes a task off its group's threads and frees its number. Under the tasklist lock; drops the tree's reference. */
export function task_release(task: T): void {
  const group = Task.group.get(task);
  lock_signals(group);
  const next = Task.thread_next.get(task);
  const previous = Task.thread_previous.get(task);
  if (previous === 0) ThreadGroup.threads.set(group, next);
  else Task.thread_next.set(previous, next);
  if (next === 0) ThreadGroup.thread_tail.set(group, previous);
  else Task.thread_previous.set(next, previous);
  flush_all(Task.pending.at(task));
  unlock_signals(group);
  const pid = Task.pid.get(task);
  Pid.task.set(pid, NO_TASK);
  pid_put(pid);
  Task.state.store(task, TASK_DEAD);
  task_put(task);
}

/** Makes `child` the youngest child of `parent` (0: a root process). Under the tasklist lock. */
export function child_link(child: Group, parent: Group): void {
  ThreadGroup.parent.set(child, parent);
  ThreadGroup.parent_tgid.store(child, parent === 0 ? 0 : ThreadGroup.tgid.get(parent));
  if (parent === 0) {
    const first = KernelRoot.roots.get(kernel_root());
    ThreadGroup.sibling_previous.set(child, NO_GROUP);
    ThreadGroup.sibling_next.set(child, first);
    if (first !== 0) ThreadGroup.sibling_previous.set(first, child);
    KernelRoot.roots.set(kernel_root(), child);
    return;
  }
  // wait(2) finds the oldest first.
  const last = ThreadGroup.children_last.get(parent);
  ThreadGroup.sibling_previous.set(child, last);
  ThreadGroup.sibling_next.set(child, NO_GROUP);
  if (last !== 0) ThreadGroup.sibling_next.set(last, child);
  else ThreadGroup.children.set(parent, child);
  ThreadGroup.children_last.set(parent, child);
}

/** Takes `child` off its parent's list. Under the tasklist lock. */
export function child_unlink(child: Group): void {
  const parent = ThreadGroup.parent.get(child);
  const next = ThreadGroup.sibling_next.get(child);
  const previous = ThreadGroup.sibling_previous.get(child);
  if (previous !== 0) ThreadGroup.sibling_next.set(previous, next);
  else if (parent === 0) KernelRoot.roots.set(kernel_root(), next);
  else ThreadGroup.children.set(parent, next);
  if (next !== 0) ThreadGroup.sibling_previous.set(next, previous);
  else if (parent !== 0) ThreadGroup.children_last.set(parent, previous);
}

/** Removes a dead process from the tree: reaped. Under the tasklist lock. The leader is its last thread. */
export function group_release(group: Group): void {
  child_unlink(group);
  process_group_leave(group);
  const leader = ThreadGroup.leader.get(group);
  assert(Task.thread_next.get(leader) === 0 && Task.thread_previous.get(leader) === 0, 'reaped with threads left');
  task_release(leader);
}

/** Parent's pid, 0 for a root process (getppid). */
export function parent_pid(group: Group): number {
  return ThreadGroup.parent_tgid.load(group);
}

/**
 * A root process: a leader of its own session without a parent, whose end the host awaits (`reap_root` in
 * exit.ts). It takes over one reference each of mm, files, fs (any may be 0) and credentials. Its registers are
 * reset; the caller sets rip and rsp (the loader) and calls `enqueue`. 0 when memory is exhausted.
 */
export function create_root_task(parts: {
  mm: Ptr<'Mm'>;
  files: Ptr<'Files'>;
  fs: Ptr<'FsContext'>;
  credentials: Ptr<'Credentials'>;
}): T {
  const sighand = sighand_create();
  if (sighand === 0) return NO_TASK;
  const group = group_alloc(sighand);
  if (group === 0) {
    sighand_put(sighand);
    return NO_TASK;
  }
  const task = task_alloc();
  if (task === 0) {
    group_put(group);
    return NO_TASK;
  }
  lock_tasklist();
  const linked = link_root(task, group);
  unlock_tasklist();
  if (!linked) {
    group_put(group);
    task_discard(task);
    return NO_TASK;
  }
  Task.mm.set(task, parts.mm);
  Task.files.set(task, parts.files);
  Task.fs.set(task, parts.fs);
  Task.credentials.set(task, parts.credentials);
  Task.credentials_number.set(task, next_credentials_number());
  default_rlimits(group);
  KernelRoot.forks.add(kernel_root(), 1);
  return task;
}

function link_root(task: T, group: Group): boolean {
  const pid = pid_alloc();
  if (pid === 0) return false;
  const session = session_create(pid);
  const process_group = session === 0 ? (0 as Ptr<'ProcessGroup'>) : process_group_create(pid, session);
  if (process_group === 0) {
    if (session !== 0) session_reap(session);
    pid_put(pid);
    return false;
  }
  ThreadGroup.tgid.set(group, Pid.number.get(pid));
  ThreadGroup.leader.set(group, task);
  thread_link(task, group, pid);
  child_link(group, NO_GROUP);
  process_group_join(process_group, group);
  return true;
}

/** Shares another task's credentials with a new one; a thread's are the same, a process's equal. */
export function inherit_credentials(child: T, parent: T, is_thread: boolean): void {
  const credentials = Task.credentials.get(parent);
  if (credentials !== 0) Task.credentials.set(child, credentials_get(credentials));
  Task.credentials_number.set(child, is_thread ? Task.credentials_number.get(parent) : next_credentials_number());
}

/** The thread's name, as /proc/PID/comm shows it. */
export function task_comm(task: T): string {
  let name = '';
  const at = Task.comm.at(task);
  for (let i = 0; i < 15 && U8[at + i] !== 0; i++) name += String.fromCharCode(U8[at + i] as number);
  return name;
}

/** Names the thread: at most 15 bytes are kept (prctl PR_SET_NAME, execve). */
export function set_task_comm(task: T, name: string): void {
  const at = Task.comm.at(task);
  bytes_zero(at, 16);
  for (let i = 0; i < 15 && i < name.length; i++) U8[at + i] = name.charCodeAt(i);
}
