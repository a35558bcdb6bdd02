/**
 * Sending signals by number: whom kill(2) means, and who may.
 */
import { EINVAL, EPERM, ESRCH } from '../abi/errno.ts';
import { F_OWNER_PGRP, F_OWNER_PID } from '../abi/fcntl.ts';
import { SIGCONT } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { Credentials } from './credentials.layout.ts';
import { capable } from './credentials.ts';
import { current } from './current.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { find_process_group, find_task, for_each_task } from './pid.ts';
import { session_of } from './process_group.ts';
import { siginfo_kernel } from './siginfo.ts';
import { is_signal, send_to_group, send_to_task } from './signal.ts';
import { Task } from './task.layout.ts';
import { Pid, ProcessGroup, ThreadGroup } from './thread_group.layout.ts';

type Group = Ptr<'ThreadGroup'>;
const CAP_KILL = 5;

/** Whether the current task may signal a process (kill(2), NOTES): same user, CAP_KILL, or SIGCONT in the session. */
export function may_signal(target: Ptr<'Task'>, signo: number): boolean {
  const group = Task.group.get(target);
  const own = Task.group.get(current);
  if (group === own) return true;
  const mine = Task.credentials.get(current);
  const theirs = Task.credentials.get(target);
  if (mine === 0 || theirs === 0 || mine === theirs) return true;
  for (const id of [Credentials.euid.get(mine), Credentials.uid.get(mine)])
    if (id === Credentials.uid.get(theirs) || id === Credentials.suid.get(theirs)) return true;
  if (capable(CAP_KILL)) return true;
  return signo === SIGCONT && session_of(group) === session_of(own);
}

/** Whether there is such a signal and the current task may send it: 0, -EINVAL, -EPERM. Asked once a target is found. */
function check_signal(target: Ptr<'Task'>, signo: number): number {
  if (signo !== 0 && !is_signal(signo)) return -EINVAL;
  return may_signal(target, signo) ? 0 : -EPERM;
}

function send_checked(group: Group, signo: number, info: Int32Array): number {
  const refused = check_signal(ThreadGroup.leader.get(group), signo);
  return refused !== 0 || signo === 0 ? refused : send_to_group(group, signo, info);
}

function send_to_task_checked(task: Ptr<'Task'>, signo: number, info: Int32Array): number {
  const refused = check_signal(task, signo);
  return refused !== 0 || signo === 0 ? refused : send_to_task(task, signo, info);
}

/** kill(2): to a process, to the caller's group (0), to a group (< -1), to everyone it may (-1). */
export function kill(pid: number, signo: number, info: Int32Array): number {
  lock_tasklist();
  let result: number;
  if (pid > 0) result = kill_process(pid, signo, info);
  else if (pid === -1) result = kill_everyone(signo, info);
  else {
    const own = ThreadGroup.process_group.get(Task.group.get(current));
    result = kill_members(pid === 0 ? own : find_process_group(-pid), signo, info);
  }
  unlock_tasklist();
  return result;
}

/** To every member of the process group with this number. */
export function kill_group(number: number, signo: number, info: Int32Array): number {
  lock_tasklist();
  const result = kill_members(find_process_group(number), signo, info);
  unlock_tasklist();
  return result;
}

/** To the process of which `pid` is a thread's number, as Linux's kill accepts it. Under the tasklist lock. */
function kill_process(pid: number, signo: number, info: Int32Array): number {
  const task = find_task(pid);
  return task === 0 ? -ESRCH : send_checked(Task.group.get(task), signo, info);
}

/** To every member of a process group: success when one could be signalled. Under the tasklist lock. */
export function kill_members(process_group: Ptr<'ProcessGroup'>, signo: number, info: Int32Array): number {
  if (process_group === 0) return -ESRCH;
  let result = -ESRCH;
  let success = false;
  let member = ProcessGroup.members.get(process_group);
  for (; member !== 0; member = ThreadGroup.member_next.get(member)) {
    const outcome = send_checked(member, signo, info);
    if (outcome === 0) success = true;
    else result = outcome;
  }
  return success ? 0 : result;
}

function kill_everyone(signo: number, info: Int32Array): number {
  let result = -ESRCH;
  const own = Task.group.get(current);
  for_each_task((task) => {
    const group = Task.group.get(task);
    const spared = group === own || ThreadGroup.tgid.get(group) === 1 || ThreadGroup.leader.get(group) !== task;
    if (spared) return false;
    const outcome = send_checked(group, signo, info);
    if (outcome !== -EPERM) result = outcome;
    return false;
  });
  return result;
}

/** tkill(2), tgkill(2): to one thread, which must belong to `tgid` unless that is 0. */
export function kill_thread_by_id(tgid: number, tid: number, signo: number, info: Int32Array): number {
  if (tid <= 0 || tgid < 0) return -EINVAL;
  lock_tasklist();
  const task = find_task(tid);
  const found = task !== 0 && (tgid === 0 || ThreadGroup.tgid.get(Task.group.get(task)) === tgid);
  const result = found ? send_to_task_checked(task, signo, info) : -ESRCH;
  unlock_tasklist();
  return result;
}

/** To the one thread behind a number (PIDFD_THREAD). */
export function kill_pid_thread(pid: Ptr<'Pid'>, signo: number, info: Int32Array): number {
  lock_tasklist();
  const task = Pid.task.get(pid);
  const result = task === 0 ? -ESRCH : send_to_task_checked(task, signo, info);
  unlock_tasklist();
  return result;
}

/** pidfd_send_signal(2): to the process behind a number. */
export function kill_pid(pid: Ptr<'Pid'>, signo: number, info: Int32Array): number {
  lock_tasklist();
  const task = Pid.task.get(pid);
  const result = task === 0 ? -ESRCH : send_checked(Task.group.get(task), signo, info);
  unlock_tasklist();
  return result;
}

/** From the host or a terminal, without a sender: to a process group. */
export function signal_process_group(number: number, signo: number, info: Int32Array): number {
  lock_tasklist();
  const process_group = find_process_group(number);
  let member = process_group === 0 ? (0 as Group) : ProcessGroup.members.get(process_group);
  for (; member !== 0; member = ThreadGroup.member_next.get(member)) send_to_group(member, signo, info);
  unlock_tasklist();
  return process_group === 0 ? -ESRCH : 0;
}

/** From the host, without a sender: to a process. */
export function signal_process(pid: number, signo: number, info: Int32Array): number {
  lock_tasklist();
  const task = find_task(pid);
  const result = task === 0 ? -ESRCH : send_to_group(Task.group.get(task), signo, info);
  unlock_tasklist();
  return result;
}

/** Signals the owner of a file (fcntl(2), F_SETOWN_EX), if there is one: F_OWNER_*, and its number. */
export function signal_owner(type: number, number: number, signo: number): void {
  if (number === 0) return;
  const info = siginfo_kernel(signo);
  if (type === F_OWNER_PGRP) signal_process_group(number, signo, info);
  else if (type === F_OWNER_PID) signal_process(number, signo, info);
  else {
    lock_tasklist();
    const task = find_task(number);
    if (task !== 0) send_to_task(task, signo, info);
    unlock_tasklist();
  }
}
