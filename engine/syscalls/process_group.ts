/**
 * Process groups and sessions: setpgid(2), getsid(2), setsid(2).
 */
import { EACCES, EINVAL, EPERM, ESRCH } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { arg_i32 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { find_group, find_process_group, find_task } from '../kernel/pid.ts';
import {
  current_pgid,
  pgid_of,
  process_group_create,
  process_group_join,
  process_group_leave,
  session_create,
  session_of,
  session_reap,
  sid_of,
} from '../kernel/process_group.ts';
import { Task } from '../kernel/task.layout.ts';
import { GROUP_EXECED, ProcessGroup, Session, ThreadGroup } from '../kernel/thread_group.layout.ts';
import { full, type SyscallRow } from './row.ts';

function sys_getpgrp(): number {
  return current_pgid();
}

/** Looks up a process by pid (0: the caller) and answers `read` of it, or -ESRCH. */
function of_process(pid: number, read: (group: Ptr<'ThreadGroup'>) => number): number {
  lock_tasklist();
  const task = pid === 0 ? current : find_task(pid);
  const result = task === 0 ? -ESRCH : read(Task.group.get(task));
  unlock_tasklist();
  return result;
}

function sys_getpgid(): number {
  return of_process(arg_i32(0), pgid_of);
}

function sys_getsid(): number {
  return of_process(arg_i32(0), sid_of);
}

function sys_setpgid(): number {
  const own = Task.group.get(current);
  const pid = arg_i32(0) === 0 ? ThreadGroup.tgid.get(own) : arg_i32(0);
  const pgid = arg_i32(1) === 0 ? pid : arg_i32(1);
  if (pgid < 0) return -EINVAL;
  lock_tasklist();
  const result = set_process_group(own, pid, pgid);
  unlock_tasklist();
  return result;
}

/** The rules of setpgid(2), "ERRORS". Under the tasklist lock. */
function set_process_group(own: Ptr<'ThreadGroup'>, pid: number, pgid: number): number {
  const target = find_group(pid);
  if (target === 0) return -ESRCH;
  if (target !== own) {
    if (ThreadGroup.parent.get(target) !== own) return -ESRCH;
    if (session_of(target) !== session_of(own)) return -EPERM;
    if ((ThreadGroup.flags.load(target) & GROUP_EXECED) !== 0) return -EACCES;
  }
  const session = session_of(target);
  const target_pid = Task.pid.get(ThreadGroup.leader.get(target));
  if (Session.pid.get(session) === target_pid) return -EPERM;
  let process_group = find_process_group(pgid);
  if (pgid !== pid && (process_group === 0 || ProcessGroup.session.get(process_group) !== session)) return -EPERM;
  if (process_group !== 0 && process_group === ThreadGroup.process_group.get(target)) return 0;
  if (process_group === 0) {
    process_group = process_group_create(target_pid, session);
    if (process_group === 0) return -EPERM;
  }
  process_group_leave(target);
  process_group_join(process_group, target);
  return 0;
}

/** setsid(2): EPERM for the leader of a process group, and where the number is one's group's already. */
function sys_setsid(): number {
  const group = Task.group.get(current);
  lock_tasklist();
  const pid = Task.pid.get(ThreadGroup.leader.get(group));
  let result = -EPERM;
  if (find_process_group(ThreadGroup.tgid.get(group)) === 0) {
    const session = session_create(pid);
    const process_group = session === 0 ? (0 as Ptr<'ProcessGroup'>) : process_group_create(pid, session);
    if (process_group !== 0) {
      process_group_leave(group);
      process_group_join(process_group, group);
      result = ThreadGroup.tgid.get(group);
    } else if (session !== 0) session_reap(session);
  }
  unlock_tasklist();
  return result;
}

export const PROCESS_GROUP_ROWS: readonly SyscallRow[] = [
  full(109, 'setpgid', sys_setpgid, 'pid:pid', 'pgid:pid'),
  full(111, 'getpgrp', sys_getpgrp),
  full(112, 'setsid', sys_setsid),
  full(121, 'getpgid', sys_getpgid, 'pid:pid'),
  full(124, 'getsid', sys_getsid, 'pid:pid'),
];
