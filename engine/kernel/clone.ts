/**
 * New tasks: clone(2), clone3, fork, vfork (Linux kernel/fork.c, copy_process).
 *
 * Everything that can fail is reserved before the task is published; `copy_task` undoes what it has done, so a
 * failed clone leaves nothing behind.
 */

import { CAP_SYS_ADMIN } from '../abi/capability.ts';
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_DETACHED,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NAMESPACES,
  CLONE_NEWNS,
  CLONE_NEWUSER,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
} from '../abi/clone.ts';
import { EAGAIN, EINVAL, ENOMEM, EPERM, ERESTARTNOINTR } from '../abi/errno.ts';
import { O_EXCL } from '../abi/fcntl.ts';
import { SCHED_BATCH, SCHED_IDLE, SCHED_OTHER, SCHED_RESET_ON_FORK } from '../abi/sched.ts';
import { NSIG, SIG_DFL, SIG_IGN, SS_DISABLE } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';
import { lock, unlock } from '../heap/lock.ts';
import { SIGHAND_LOCK } from '../heap/lock_order.ts';
import { F64, U32 } from '../heap/memory.ts';
import { CpuState, RSP } from '../machine/cpu.layout.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { fatal_signal_pending } from './block.ts';
import { capable } from './credentials.ts';
import { current, current_cpu } from './current.ts';
import { KernelRoot } from './kernel.layout.ts';
import { kernel_root, lock_tasklist, unlock_tasklist } from './kernel.ts';
import { pid_alloc } from './pid.ts';
import { pidfd_bind, pidfd_finish, pidfd_reserve } from './pidfd.ts';
import { process_group_join } from './process_group.ts';
import { clone_resource, release_resource } from './resources.ts';
import { enqueue } from './scheduler.ts';
import { ACTION_BYTES, ACTION_HANDLER, SigHand } from './signal.layout.ts';
import { lock_signals, unlock_signals } from './signal.ts';
import { put_int } from './stage.ts';
import { RESUME_START, Task, WORK_STOP } from './task.layout.ts';
import {
  child_link,
  group_alloc,
  inherit_credentials,
  sighand_create,
  sighand_put,
  task_alloc,
  task_discard,
  task_get,
  thread_link,
} from './task.ts';
import { GROUP_EXITING, GROUP_STOPPING, Pid, ThreadGroup } from './thread_group.layout.ts';

/** What clone(2) and clone3(2) ask for, decoded. Addresses are user addresses, 0 where absent. */
export interface CloneArgs {
  flags: number;
  clear_sighand: boolean;
  exit_signal: number;
  /** Stack pointer of the child, 0: the parent's. */
  stack: number;
  tls: number;
  parent_tid: number;
  child_tid: number;
  pidfd: number;
}

type T = Ptr<'Task'>;
type Group = Ptr<'ThreadGroup'>;

/** The answer to CLONE_NEW* flags, as from a kernel configured without namespaces. */
export function no_namespaces(): number {
  return capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
}

/** Which combinations clone refuses (clone(2), "ERRORS"): 0 or -errno. */
export function check_clone_flags(args: CloneArgs): number {
  const flags = args.flags;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  if ((flags & (CLONE_NEWNS | CLONE_FS)) === (CLONE_NEWNS | CLONE_FS)) return -EINVAL;
  if ((flags & (CLONE_NEWUSER | CLONE_FS)) >>> 0 === (CLONE_NEWUSER | CLONE_FS)) return -EINVAL;
  if (has(CLONE_THREAD) && !has(CLONE_SIGHAND)) return -EINVAL;
  if (has(CLONE_SIGHAND) && !has(CLONE_VM)) return -EINVAL;
  if (has(CLONE_SIGHAND) && args.clear_sighand) return -EINVAL;
  if (has(CLONE_PIDFD) && has(CLONE_DETACHED)) return -EINVAL;
  if (has(CLONE_PARENT) && ThreadGroup.parent.get(Task.group.get(current)) === 0) return -EINVAL;
  if (has(CLONE_NAMESPACES)) return no_namespaces();
  if (has(CLONE_SETTLS) && args.tls >= TASK_SIZE) return -EPERM;
  return 0;
}

/**
 * Makes a task and lets it run. Answers the child's record with a reference for the caller (to wait for its vfork),
 * or -errno.
 */
export function clone_task(args: CloneArgs): number {
  const refused = check_clone_flags(args);
  if (refused !== 0) return refused;
  if (fatal_signal_pending()) return -ERESTARTNOINTR;
  const child = task_alloc();
  if (child === 0) return task_limit_reached() ? -EAGAIN : -ENOMEM;
  const group = (args.flags & CLONE_THREAD) !== 0 ? join_group() : new_group(args);
  if (group === 0) {
    task_discard(child);
    return -ENOMEM;
  }
  Task.group.set(child, group);
  inherit_credentials(child, current, (args.flags & CLONE_THREAD) !== 0);
  if (!copy_resources(child, args.flags)) {
    discard_resources(child);
    task_discard(child);
    return -ENOMEM;
  }
  copy_state(child, args);
  const result = publish(child, group, args);
  if (result < 0) {
    discard_resources(child);
    task_discard(child);
    return result;
  }
  if ((args.flags & CLONE_PARENT_SETTID) !== 0) put_int(args.parent_tid, Task.tid.get(child));
  KernelRoot.forks.add(kernel_root(), 1);
  task_get(child);
  enqueue(child);
  return child;
}

function task_limit_reached(): boolean {
  const root = kernel_root();
  return KernelRoot.task_count.load(root) >= KernelRoot.task_limit.get(root);
}

function join_group(): Group {
  const group = Task.group.get(current);
  ThreadGroup.refs.add(group, 1);
  return group;
}

/** A process of its own, with the parent's actions shared or copied, its limits and its dumpability; 0: no heap. */
function new_group(args: CloneArgs): Group {
  const parent = Task.group.get(current);
  const theirs = ThreadGroup.sighand.get(parent);
  let sighand = theirs;
  if ((args.flags & CLONE_SIGHAND) !== 0) SigHand.refs.add(theirs, 1);
  else {
    sighand = sighand_create();
    if (sighand === 0) return 0 as Group;
    copy_actions(sighand, theirs);
    if (args.clear_sighand) reset_handlers(sighand);
  }
  const group = group_alloc(sighand);
  if (group === 0) {
    sighand_put(sighand);
    return group;
  }
  const limits = ThreadGroup.rlimits;
  bytes_copy(limits.at(group), limits.at(parent), limits.size);
  ThreadGroup.oom_score_adj.set(group, ThreadGroup.oom_score_adj.get(parent));
  return group;
}

/** Copies all actions. */
export function copy_actions(to: Ptr<'SigHand'>, from: Ptr<'SigHand'>): void {
  lock(SigHand.lock.at(from), SIGHAND_LOCK);
  bytes_copy(SigHand.actions.at(to), SigHand.actions.at(from), NSIG * ACTION_BYTES);
  unlock(SigHand.lock.at(from), SIGHAND_LOCK);
}

/** Actions with a handler become the default; ignored signals stay ignored (execve(2), CLONE_CLEAR_SIGHAND). */
export function reset_handlers(sighand: Ptr<'SigHand'>): void {
  for (let i = 0; i < NSIG; i++) {
    const at = SigHand.actions.at(sighand) + i * ACTION_BYTES;
    const handler = F64[(at + ACTION_HANDLER) >> 3] as number;
    bytes_zero(at, ACTION_BYTES);
    F64[(at + ACTION_HANDLER) >> 3] = handler === SIG_IGN ? SIG_IGN : SIG_DFL;
  }
}

function copy_resources(child: T, flags: number): boolean {
  const mm = Task.mm.get(current);
  const files = Task.files.get(current);
  const fs = Task.fs.get(current);
  Task.files.set(child, clone_resource('files', files, (flags & CLONE_FILES) !== 0));
  if (files !== 0 && Task.files.get(child) === 0) return false;
  Task.fs.set(child, clone_resource('fs', fs, (flags & CLONE_FS) !== 0));
  if (fs !== 0 && Task.fs.get(child) === 0) return false;
  Task.mm.set(child, clone_resource('mm', mm, (flags & CLONE_VM) !== 0));
  return mm === 0 || Task.mm.get(child) !== 0;
}

function discard_resources(child: T): void {
  release_resource('mm', Task.mm.get(child));
  release_resource('files', Task.files.get(child));
  release_resource('fs', Task.fs.get(child));
}

/** Registers, signal mask, scheduling and the rest that a child takes over. */
function copy_state(child: T, args: CloneArgs): void {
  const cpu = Task.cpu.get(child);
  bytes_copy(cpu, current_cpu, CpuState.SIZE);
  CpuState.retired.set(cpu, 0);
  U32[cpu >> 2] = 0;
  U32[(cpu >> 2) + 1] = 0;
  if (args.stack !== 0) {
    U32[(cpu + RSP * 8) >> 2] = args.stack;
    U32[(cpu + RSP * 8 + 4) >> 2] = Math.floor(args.stack / 2 ** 32);
  }
  if ((args.flags & CLONE_SETTLS) !== 0) CpuState.fs_base.set(cpu, args.tls);
  Task.blocked_signals.set_parts(child, Task.blocked_signals.lo(current), Task.blocked_signals.hi(current));
  const shares_stack = (args.flags & (CLONE_VM | CLONE_VFORK)) === CLONE_VM;
  if (!shares_stack) {
    Task.altstack_address.set(child, Task.altstack_address.get(current));
    Task.altstack_size.set(child, Task.altstack_size.get(current));
    Task.altstack_flags.set(child, Task.altstack_flags.get(current));
  } else Task.altstack_flags.set(child, SS_DISABLE);
  copy_scheduling(child);
  Task.affinity.set_parts(child, Task.affinity.lo(current), Task.affinity.hi(current));
  for (const field of [Task.timer_slack, Task.default_timer_slack]) field.set(child, Task.timer_slack.get(current));
  Task.personality.set(child, Task.personality.get(current));
  Task.clear_child_tid.set(child, (args.flags & CLONE_CHILD_CLEARTID) !== 0 ? args.child_tid : 0);
  Task.set_child_tid.set(child, (args.flags & CLONE_CHILD_SETTID) !== 0 ? args.child_tid : 0);
  if ((args.flags & CLONE_VM) === 0) Task.rseq.set(child, Task.rseq.get(current));
  bytes_copy(Task.comm.at(child), Task.comm.at(current), 16);
  Task.vfork_pending.store(child, (args.flags & CLONE_VFORK) !== 0 ? 1 : 0);
  Task.resume.set(child, RESUME_START);
}

/** Scheduling parameters, reset where the parent asked for it (sched(7), SCHED_RESET_ON_FORK). */
function copy_scheduling(child: T): void {
  for (const field of [Task.nice, Task.policy, Task.priority, Task.io_priority]) field.set(child, field.get(current));
  const policy = Task.policy.get(child);
  if ((policy & SCHED_RESET_ON_FORK) === 0) return;
  const base = policy & ~SCHED_RESET_ON_FORK;
  Task.policy.set(child, base === SCHED_BATCH || base === SCHED_IDLE ? base : SCHED_OTHER);
  Task.priority.set(child, 0);
  if (Task.nice.get(child) < 0) Task.nice.set(child, 0);
}

/** Gives the child its number and its place in the tree, unless its process is ending: 0 or -errno. */
function publish(child: T, group: Group, args: CloneArgs): number {
  // A thread's pidfd stands for the thread alone (PIDFD_THREAD).
  const pidfd_flags = (args.flags & CLONE_THREAD) !== 0 ? O_EXCL : 0;
  const reservation = (args.flags & CLONE_PIDFD) !== 0 ? pidfd_reserve(pidfd_flags) : null;
  if (reservation !== null && reservation.fd < 0) return reservation.fd;
  // Written before the child exists: a bad address fails the call.
  let result = reservation === null ? 0 : put_int(args.pidfd, reservation.fd);
  lock_tasklist();
  if (result === 0 && (ThreadGroup.flags.load(Task.group.get(current)) & GROUP_EXITING) !== 0) result = -ERESTARTNOINTR;
  const pid = result === 0 ? pid_alloc() : (0 as Ptr<'Pid'>);
  if (pid === 0 && result === 0) result = -EAGAIN;
  if (result === 0) {
    if ((args.flags & CLONE_THREAD) !== 0) link_thread(child, group, pid);
    else link_process(child, group, pid, args);
    if (reservation !== null) pidfd_bind(reservation, pid);
  }
  unlock_tasklist();
  if (reservation !== null) pidfd_finish(reservation);
  return result;
}

function link_thread(child: T, group: Group, pid: Ptr<'Pid'>): void {
  thread_link(child, group, pid);
  lock_signals(group);
  if ((ThreadGroup.flags.load(group) & GROUP_STOPPING) !== 0 && ThreadGroup.stop_left.get(group) > 0) {
    Task.pending_work.or(child, WORK_STOP);
    ThreadGroup.stop_left.set(group, ThreadGroup.stop_left.get(group) + 1);
  }
  unlock_signals(group);
}

function link_process(child: T, group: Group, pid: Ptr<'Pid'>, args: CloneArgs): void {
  const own = Task.group.get(current);
  const sibling = (args.flags & CLONE_PARENT) !== 0;
  const parent = sibling ? ThreadGroup.parent.get(own) : own;
  ThreadGroup.tgid.set(group, Pid.number.get(pid));
  ThreadGroup.leader.set(group, child);
  ThreadGroup.exit_signal.set(group, sibling ? ThreadGroup.exit_signal.get(own) : args.exit_signal);
  ThreadGroup.parent_task.set(group, sibling ? ThreadGroup.parent_task.get(own) : Task.tid.get(current));
  thread_link(child, group, pid);
  child_link(group, parent);
  process_group_join(ThreadGroup.process_group.get(own), group);
}
