/**
 * Process groups and sessions (credentials(7), "Process group ID and session ID"; setpgid(2), setsid(2)).
 * Everything here runs under the tasklist lock, unless it says otherwise.
 */
import type { Ptr } from '../base/types.ts';
import { slab } from '../heap/slab.ts';
import { current } from './current.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { pid_get, pid_put } from './pid.ts';
import { Task } from './task.layout.ts';
import { Pid, ProcessGroup, Session, ThreadGroup } from './thread_group.layout.ts';

export const process_groups = slab(ProcessGroup);
export const sessions = slab(Session);

type Group = Ptr<'ThreadGroup'>;

/** A process group named by `pid`, in `session`, with no member yet; 0 when the heap is exhausted. */
export function process_group_create(pid: Ptr<'Pid'>, session: Ptr<'Session'>): Ptr<'ProcessGroup'> {
  const process_group = process_groups.alloc();
  if (process_group === 0) return process_group;
  ProcessGroup.pid.set(process_group, pid_get(pid));
  ProcessGroup.session.set(process_group, session);
  Pid.process_group.set(pid, process_group);
  Session.groups.set(session, Session.groups.get(session) + 1);
  return process_group;
}

/** A session named by `pid`, with no process group yet; 0 when the heap is exhausted. */
export function session_create(pid: Ptr<'Pid'>): Ptr<'Session'> {
  const session = sessions.alloc();
  if (session === 0) return session;
  Session.pid.set(session, pid_get(pid));
  Pid.session.set(pid, session);
  return session;
}

/** Puts a process that is in no group into one. */
export function process_group_join(process_group: Ptr<'ProcessGroup'>, member: Group): void {
  const first = ProcessGroup.members.get(process_group);
  ThreadGroup.process_group.set(member, process_group);
  ThreadGroup.member_previous.set(member, 0 as Group);
  ThreadGroup.member_next.set(member, first);
  if (first !== 0) ThreadGroup.member_previous.set(first, member);
  ProcessGroup.members.set(process_group, member);
}

/** Takes a process out of its group; the last one out ends the group, and the last group its session. */
export function process_group_leave(member: Group): void {
  const process_group = ThreadGroup.process_group.get(member);
  const next = ThreadGroup.member_next.get(member);
  const previous = ThreadGroup.member_previous.get(member);
  if (previous === 0) ProcessGroup.members.set(process_group, next);
  else ThreadGroup.member_next.set(previous, next);
  if (next !== 0) ThreadGroup.member_previous.set(next, previous);
  ThreadGroup.process_group.set(member, 0 as Ptr<'ProcessGroup'>);
  process_group_reap(process_group);
}

/** Ends a process group without members. */
export function process_group_reap(process_group: Ptr<'ProcessGroup'>): void {
  if (ProcessGroup.members.get(process_group) !== 0) return;
  const session = ProcessGroup.session.get(process_group);
  const pid = ProcessGroup.pid.get(process_group);
  Pid.process_group.set(pid, 0 as Ptr<'ProcessGroup'>);
  pid_put(pid);
  process_groups.free(process_group);
  const left = Session.groups.get(session) - 1;
  Session.groups.set(session, left);
  if (left === 0) session_reap(session);
}

/** Ends a session without process groups. */
export function session_reap(session: Ptr<'Session'>): void {
  const pid = Session.pid.get(session);
  Pid.session.set(pid, 0 as Ptr<'Session'>);
  pid_put(pid);
  sessions.free(session);
}

/** Number of a process's group. */
export function pgid_of(group: Group): number {
  return Pid.number.get(ProcessGroup.pid.get(ThreadGroup.process_group.get(group)));
}

/** Number of the current process's group. Takes the tasklist lock. */
export function current_pgid(): number {
  lock_tasklist();
  const pgid = pgid_of(Task.group.get(current));
  unlock_tasklist();
  return pgid;
}

/** The session of a process. */
export function session_of(group: Group): Ptr<'Session'> {
  return ProcessGroup.session.get(ThreadGroup.process_group.get(group));
}

/** Number of a process's session. */
export function sid_of(group: Group): number {
  return Pid.number.get(Session.pid.get(session_of(group)));
}

/**
 * Whether a process group is orphaned: no member has a parent in another group of the same session. `leaving` is
 * counted as gone (it is about to exit).
 */
export function process_group_is_orphaned(process_group: Ptr<'ProcessGroup'>, leaving = 0 as Group): boolean {
  let member = ProcessGroup.members.get(process_group);
  for (; member !== 0; member = ThreadGroup.member_next.get(member)) {
    const parent = ThreadGroup.parent.get(member);
    if (member === leaving || parent === 0 || ThreadGroup.live.load(member) === 0) continue;
    const theirs = ThreadGroup.process_group.get(parent);
    if (theirs !== process_group && ProcessGroup.session.get(theirs) === ProcessGroup.session.get(process_group))
      return false;
  }
  return true;
}
