/**
 * The end of tasks and processes (exit(2), exit_group(2), wait(2) "NOTES"; Linux kernel/exit.c).
 *
 * `exit_task` gives back what the task holds and leaves a zombie for its parent, or nothing. It never blocks. The
 * run loop then drops the task for good (`task_dropped`).
 */
import { POLLIN, READABLE } from '../abi/poll.ts';
import { SIGCONT, SIGHUP } from '../abi/signal.ts';
import { assert } from '../base/assert.ts';
import { KCOV } from '../base/instrumented.ts';
import type { Ptr } from '../base/types.ts';
import { wake } from '../heap/wait_queue.ts';
import { register_timer, TIMER_MACHINE_LIMIT, timer_cancel } from '../time/timer.ts';
import { waits_done } from './block.ts';
import { release_arguments } from './call_arguments.ts';
import { account_stop } from './cpu_time.ts';
import { current } from './current.ts';
import { release_held_files } from './fd_table.ts';
import { kcov_detach } from './kcov.ts';
import { KernelRoot, MACHINE_ENDED } from './kernel.layout.ts';
import { announce_machine_event, kernel_root, lock_tasklist, unlock_tasklist } from './kernel.ts';
import { end_machine } from './machine_end.ts';
import { notify_exit } from './notify.ts';
import { find_task, pid_get } from './pid.ts';
import { posix_timers_end } from './posix_timer.ts';
import { process_group_is_orphaned, session_of } from './process_group.ts';
import { peak_rss, tree_maxrss } from './resident.ts';
import { release_resource } from './resources.ts';
import { siginfo_kernel } from './siginfo.ts';
import { flush_all, kill_group_locked, lock_signals, send_to_group, send_to_task, unlock_signals } from './signal.ts';
import { leave_stop } from './stop.ts';
import { TASK_STATE_MASK, TASK_ZOMBIE, Task } from './task.layout.ts';
import { child_link, child_unlink, group_release, task_put, task_release } from './task.ts';
import { task_replace_mm } from './task_mm.ts';
import { task_replace_files, task_replace_fs } from './task_shared.ts';
import {
  GROUP_EXITING,
  GROUP_REAPED,
  GROUP_STOPPING,
  GROUP_SUBREAPER,
  GROUP_ZOMBIE,
  Pid,
  ProcessGroup,
  Session,
  ThreadGroup,
} from './thread_group.layout.ts';

type T = Ptr<'Task'>;
type Group = Ptr<'ThreadGroup'>;

/** What else happens when a task exits, in order: futexes, before its address space goes; terminals. */
export interface ExitHooks {
  /** The address space is still active: robust futexes, clear_child_tid. */
  memory?(task: T): void;
  /** The last thread of a process ends. Called without locks. */
  process?(group: Group): void;
  /** A session leader ends. */
  session?(session: Ptr<'Session'>): void;
}
const hooks: ExitHooks[] = [];

/** Installs an exit hook, at module load. */
export function register_exit_hooks(table: ExitHooks): void {
  hooks.push(table);
}

/** exit_group: marks the current process as ending with a wait status; every thread then ends on its way out. */
export function exit_group(wait_status: number): void {
  const group = Task.group.get(current);
  lock_signals(group);
  kill_group_locked(group, wait_status);
  unlock_signals(group);
}

/** A vfork child no longer uses its parent's memory: the parent goes on. */
export function vfork_done(task: T): void {
  if (Task.vfork_pending.exchange(task, 0) !== 0) wake(Task.vfork_queue.at(task), POLLIN);
}

/** Gives up the current task's address space, after what must still be written to it. */
export function exit_memory(task: T): void {
  for (const hook of hooks) hook.memory?.(task);
  const group = Task.group.get(task);
  const rss = peak_rss(task);
  lock_signals(group);
  if (rss > ThreadGroup.dead_maxrss.get(group)) ThreadGroup.dead_maxrss.set(group, rss);
  unlock_signals(group);
  release_resource('mm', task_replace_mm(task, 0 as Ptr<'Mm'>));
  vfork_done(task);
}

/**
 * Ends the current task with a wait status (that of its group, when the group is ending). When it is the last of
 * its process, the process becomes a zombie, or is gone at once when nobody will ask.
 */
export function exit_task(wait_status: number): void {
  const task = current;
  if (KCOV) kcov_detach(task);
  const group = Task.group.get(task);
  waits_done(true);
  if (Task.held_count.get(task) !== 0) release_held_files(task);
  release_arguments();
  exit_memory(task);
  release_resource('files', task_replace_files(task, 0 as Ptr<'Files'>));
  release_resource('fs', task_replace_fs(task, 0 as Ptr<'FsContext'>));
  account_stop(task);
  leave_stop(task);
  const last = leave_group(task, group, wait_status);
  if (last) {
    timer_cancel(ThreadGroup.real_timer.at(group));
    posix_timers_end(group);
    for (const hook of hooks) hook.process?.(group);
  }
  lock_tasklist();
  Task.state.store(task, TASK_ZOMBIE);
  // For who watches the thread alone (PIDFD_THREAD); a process's end is told by notify_exit.
  wake(Pid.exit_queue.at(Task.pid.get(task)), READABLE, Number.MAX_SAFE_INTEGER);
  if (ThreadGroup.leader.get(group) !== task) task_release(task);
  const exec_waits = ThreadGroup.exec_task.get(group) !== 0;
  // Who counted itself out last need not come here last: the process ends with the thread that does.
  if (only_leader_left(group)) {
    lock_signals(group);
    flush_all(ThreadGroup.pending.at(group));
    unlock_signals(group);
    end_process(group);
    zombie(group);
  }
  unlock_tasklist();
  if (exec_waits) wake(ThreadGroup.exec_queue.at(group), POLLIN);
}

/** Whether every thread has ended, and the leader alone keeps the process's number. Under the tasklist lock. */
function only_leader_left(group: Group): boolean {
  const leader = ThreadGroup.leader.get(group);
  if (Task.thread_next.get(leader) !== 0 || Task.thread_previous.get(leader) !== 0) return false;
  return (Task.state.load(leader) & TASK_STATE_MASK) === TASK_ZOMBIE;
}

/** Counts the task out of its group; whether it was the last. */
function leave_group(task: T, group: Group, wait_status: number): boolean {
  lock_signals(group);
  Task.exit_code.set(task, wait_status);
  ThreadGroup.dead_cpu_ns.set(group, ThreadGroup.dead_cpu_ns.get(group) + Task.cpu_ns.get(task));
  Task.cpu_ns.set(task, 0);
  add(ThreadGroup.dead_voluntary, group, Task.voluntary_switches.get(task));
  add(ThreadGroup.dead_involuntary, group, Task.involuntary_switches.get(task));
  add(ThreadGroup.dead_minor_faults, group, Task.minor_faults.get(task));
  const last = ThreadGroup.live.add(group, -1) === 1;
  unlock_signals(group);
  return last;
}

function add(field: { get(p: Group): number; set(p: Group, value: number): void }, group: Group, amount: number): void {
  field.set(group, field.get(group) + amount);
}

/** The last thread is gone: children are given away, orphaned groups told. Under the tasklist lock. */
function end_process(group: Group): void {
  const session = session_of(group);
  if (Task.pid.get(ThreadGroup.leader.get(group)) === Session.pid.get(session))
    for (const hook of hooks) hook.session?.(session);
  const reaper = reaper_of(group);
  let child = ThreadGroup.children.get(group);
  while (child !== 0) {
    const next = ThreadGroup.sibling_next.get(child);
    adopt(child, group, reaper);
    child = next;
  }
  const parent = ThreadGroup.parent.get(group);
  // The group of this process loses its link to the parent's group.
  if (parent !== 0) hang_up_if_orphaned(group, parent, group);
}

/** Who takes over a process's children: the nearest subreaper, else the root process at the top; 0 when it is dead. */
function reaper_of(group: Group): Group {
  let above = ThreadGroup.parent.get(group);
  for (; above !== 0; above = ThreadGroup.parent.get(above)) {
    const alive = ThreadGroup.live.load(above) > 0;
    const top = ThreadGroup.parent.get(above) === 0;
    if (alive && (top || (ThreadGroup.flags.load(above) & GROUP_SUBREAPER) !== 0)) return above;
  }
  return above;
}

function adopt(child: Group, dying: Group, reaper: Group): void {
  const leader = ThreadGroup.leader.get(child);
  for (let t = ThreadGroup.threads.get(child); t !== 0; t = Task.thread_next.get(t)) {
    const signo = Task.death_signal.get(t);
    if (signo !== 0) send_to_task(t, signo, siginfo_kernel(signo));
  }
  child_unlink(child);
  if (reaper === 0) {
    // The machine's tree has lost its root: as when a container's init ends, what is left is killed.
    child_link(child, reaper);
    ThreadGroup.exit_signal.set(child, 0);
    if ((ThreadGroup.flags.load(child) & GROUP_ZOMBIE) !== 0) reap(child);
    else {
      ThreadGroup.flags.or(child, GROUP_REAPED);
      lock_signals(child);
      kill_group_locked(child, 9);
      unlock_signals(child);
    }
    return;
  }
  child_link(child, reaper);
  ThreadGroup.parent_task.set(child, Task.tid.get(ThreadGroup.leader.get(reaper)));
  if (ThreadGroup.exit_signal.get(child) !== 0) ThreadGroup.exit_signal.set(child, 17);
  if ((ThreadGroup.flags.load(child) & GROUP_ZOMBIE) !== 0 && notify_exit(child, status_of(child))) reap(child);
  else if (leader !== 0) hang_up_if_orphaned(child, dying, 0 as Group);
}

/** Linux's kill_orphaned_pgrp: a group that becomes orphaned with stopped members gets SIGHUP and SIGCONT. */
function hang_up_if_orphaned(group: Group, parent: Group, leaving: Group): void {
  const process_group = ThreadGroup.process_group.get(group);
  const theirs = ThreadGroup.process_group.get(parent);
  if (theirs === process_group || ProcessGroup.session.get(theirs) !== ProcessGroup.session.get(process_group)) return;
  if (!process_group_is_orphaned(process_group, leaving) || !has_stopped(process_group)) return;
  for (const signo of [SIGHUP, SIGCONT]) {
    let member = ProcessGroup.members.get(process_group);
    for (; member !== 0; member = ThreadGroup.member_next.get(member))
      send_to_group(member, signo, siginfo_kernel(signo));
  }
}

function has_stopped(process_group: Ptr<'ProcessGroup'>): boolean {
  let member = ProcessGroup.members.get(process_group);
  for (; member !== 0; member = ThreadGroup.member_next.get(member))
    if ((ThreadGroup.flags.load(member) & GROUP_STOPPING) !== 0) return true;
  return false;
}

/** Wait status of a process that has ended. */
export function status_of(group: Group): number {
  if ((ThreadGroup.flags.load(group) & GROUP_EXITING) !== 0) return ThreadGroup.exit_code.get(group);
  return Task.exit_code.get(ThreadGroup.leader.get(group));
}

/** The process has no running thread left. Under the tasklist lock. */
function zombie(group: Group): void {
  ThreadGroup.flags.or(group, GROUP_ZOMBIE);
  const unwanted = (ThreadGroup.flags.load(group) & GROUP_REAPED) !== 0;
  if (unwanted || notify_exit(group, status_of(group))) reap(group);
  end_if_last();
}

/** The machine ends when no root process is alive. */
function end_if_last(): void {
  if (KernelRoot.persistent.get(kernel_root()) !== 0) {
    announce_machine_event();
    return;
  }
  let root = KernelRoot.roots.get(kernel_root());
  for (; root !== 0; root = ThreadGroup.sibling_next.get(root)) if (ThreadGroup.live.load(root) > 0) return;
  end_machine(MACHINE_ENDED);
}

/**
 * Removes a zombie from the tree; `counted`, when it was waited for, adds its usage to its parent's (getrusage(2),
 * NOTES). Under the tasklist lock.
 */
export function reap(group: Group, counted = false): void {
  assert((ThreadGroup.flags.load(group) & GROUP_ZOMBIE) !== 0, 'reap: not a zombie');
  ThreadGroup.flags.or(group, GROUP_REAPED);
  const parent = ThreadGroup.parent.get(group);
  if (counted && parent !== 0) {
    const cpu = ThreadGroup.dead_cpu_ns.get(group) + ThreadGroup.children_cpu_ns.get(group);
    add(ThreadGroup.children_cpu_ns, parent, cpu);
    add(ThreadGroup.children_voluntary, parent, ThreadGroup.dead_voluntary.get(group));
    add(ThreadGroup.children_involuntary, parent, ThreadGroup.dead_involuntary.get(group));
    add(ThreadGroup.children_minor_faults, parent, ThreadGroup.dead_minor_faults.get(group));
    const rss = tree_maxrss(group);
    if (rss > ThreadGroup.children_maxrss.get(parent)) ThreadGroup.children_maxrss.set(parent, rss);
  }
  group_release(group);
}

/** For the host: the wait status of root process `pid` once it has ended, and reaps it; -1 while it runs. */
export function reap_root(pid: number): number {
  lock_tasklist();
  let status = -1;
  const task = find_task(pid);
  const group = task === 0 ? (0 as Group) : Task.group.get(task);
  if (group !== 0 && (ThreadGroup.flags.load(group) & GROUP_ZOMBIE) !== 0) {
    status = status_of(group);
    reap(group);
  }
  unlock_tasklist();
  return status;
}

register_timer(TIMER_MACHINE_LIMIT, () => {
  KernelRoot.timed_out.store(kernel_root(), 1);
  kill_everything();
});

/** Kills every process of the machine: the host's orderly shutdown, or the limit on time. */
export function kill_everything(): void {
  lock_tasklist();
  let root = KernelRoot.roots.get(kernel_root());
  for (; root !== 0; root = ThreadGroup.sibling_next.get(root)) kill_tree(root);
  unlock_tasklist();
}

function kill_tree(group: Group): void {
  lock_signals(group);
  if (ThreadGroup.live.load(group) > 0) kill_group_locked(group, 9);
  unlock_signals(group);
  for (let c = ThreadGroup.children.get(group); c !== 0; c = ThreadGroup.sibling_next.get(c)) kill_tree(c);
}

/** The run loop has left a dead task for good. */
export function task_dropped(task: T): void {
  task_put(task);
}

/** Keeps a task's group leader's number alive for a pidfd. Under the tasklist lock. */
export function hold_pid(task: T): Ptr<'Pid'> {
  return pid_get(Task.pid.get(task));
}
