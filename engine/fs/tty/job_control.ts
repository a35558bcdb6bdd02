/**
 * Job control (credentials(7), "Process group ID and session ID"; Linux's tty_jobctrl.c): which session a
 * terminal belongs to, which process group is in front, and who is stopped for touching it.
 */
import { EIO, ENOTTY, EPERM, ERESTARTSYS, ESRCH } from '../../abi/errno.ts';
import { SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU } from '../../abi/signal.ts';
import type { Ptr } from '../../base/types.ts';
import { current } from '../../kernel/current.ts';
import { register_exit_hooks } from '../../kernel/exit.ts';
import { lock_tasklist, unlock_tasklist } from '../../kernel/kernel.ts';
import { find_pid, find_process_group } from '../../kernel/pid.ts';
import { pgid_of, process_group_is_orphaned, session_of, sid_of } from '../../kernel/process_group.ts';
import { siginfo_kernel } from '../../kernel/siginfo.ts';
import { action_handler, send_to_group, set_has } from '../../kernel/signal.ts';
import { Task } from '../../kernel/task.layout.ts';
import { Pid, ProcessGroup, Session, ThreadGroup } from '../../kernel/thread_group.layout.ts';
import { Tty } from './tty.layout.ts';

type T = Ptr<'Tty'>;

/** Sends a signal to every process of a group. Under the tasklist lock. */
function signal_group_locked(process_group: Ptr<'ProcessGroup'>, signo: number): void {
  let member = ProcessGroup.members.get(process_group);
  for (; member !== 0; member = ThreadGroup.member_next.get(member))
    send_to_group(member, signo, siginfo_kernel(signo));
}

/** Sends a signal to the foreground process group, if there is one. */
export function signal_foreground(tty: T, signo: number): void {
  lock_tasklist();
  const process_group = find_process_group(Tty.foreground.get(tty));
  if (process_group !== 0) signal_group_locked(process_group, signo);
  unlock_tasklist();
}

/** Sends SIGHUP and SIGCONT to the foreground process group, and parts terminal and session. Under the tasklist lock. */
function part_locked(tty: T, session: Ptr<'Session'>): void {
  const process_group = find_process_group(Tty.foreground.get(tty));
  if (process_group !== 0) for (const signo of [SIGHUP, SIGCONT]) signal_group_locked(process_group, signo);
  if (session !== 0 && Session.terminal.get(session) === tty) Session.terminal.set(session, 0);
  Tty.session.set(tty, 0);
  Tty.foreground.set(tty, 0);
}

/** The terminal has gone: its session's leader is told, and the foreground group with it; the session has none. */
export function signal_session(tty: T): void {
  lock_tasklist();
  const pid = find_pid(Tty.session.get(tty));
  const leader = pid === 0 ? (0 as Ptr<'Task'>) : Pid.task.get(pid);
  if (leader !== 0)
    for (const signo of [SIGHUP, SIGCONT]) send_to_group(Task.group.get(leader), signo, siginfo_kernel(signo));
  part_locked(tty, pid === 0 ? (0 as Ptr<'Session'>) : Pid.session.get(pid));
  unlock_tasklist();
}

/** The current session's terminal with a reference, which a session's terminal always has another of; or 0. */
export function controlling_terminal(): T {
  lock_tasklist();
  const tty = Session.terminal.get(session_of(Task.group.get(current))) as T;
  if (tty !== 0) Tty.refs.add(tty, 1);
  unlock_tasklist();
  return tty;
}

/** Whether the current process is of the terminal's session but not in front. */
function in_background(tty: T): boolean {
  if (current === 0 || Task.group.get(current) === 0) return false;
  lock_tasklist();
  const group = Task.group.get(current);
  const front = Tty.foreground.get(tty);
  const background = front > 0 && sid_of(group) === Tty.session.get(tty) && pgid_of(group) !== front;
  unlock_tasklist();
  return background;
}

function ignores(signo: number): boolean {
  return action_handler(Task.group.get(current), signo) === SIG_IGN || set_has(Task.blocked_signals, current, signo);
}

/** Stops the current process group with `signo`: -ERESTARTSYS, or -EIO when it is orphaned. */
function stop_own_group(signo: number): number {
  lock_tasklist();
  const process_group = ThreadGroup.process_group.get(Task.group.get(current));
  const orphaned = process_group_is_orphaned(process_group);
  if (!orphaned) signal_group_locked(process_group, signo);
  unlock_tasklist();
  return orphaned ? -EIO : -ERESTARTSYS;
}

/** Before a read: 0, or what the call answers for a process in the background. */
export function check_read(tty: T): number {
  if (!in_background(tty)) return 0;
  return ignores(SIGTTIN) ? -EIO : stop_own_group(SIGTTIN);
}

/** Before a write with TOSTOP, or a change of settings: 0, or what the call answers. */
export function check_write(tty: T): number {
  return !in_background(tty) || ignores(SIGTTOU) ? 0 : stop_own_group(SIGTTOU);
}

/** TIOCSCTTY: the current session's leader takes the terminal, which must be free: 0, -EPERM, -EIO when it is gone. */
export function take_terminal(tty: T): number {
  lock_tasklist();
  const group = Task.group.get(current);
  const session = session_of(group);
  const sid = sid_of(group);
  let result = 0;
  if (Tty.hung_up.get(tty) !== 0) result = -EIO;
  else if (Session.terminal.get(session) === tty && Tty.session.get(tty) === sid) result = 0;
  else if (ThreadGroup.tgid.get(group) !== sid || Session.terminal.get(session) !== 0) result = -EPERM;
  else if (Tty.session.get(tty) > 0 && find_pid(Tty.session.get(tty)) !== 0) result = -EPERM;
  else give_terminal(tty, group);
  unlock_tasklist();
  return result;
}

/** Makes a terminal the controlling one of a process's session, its group in front. Under the tasklist lock. */
export function give_terminal(tty: T, group: Ptr<'ThreadGroup'>): void {
  const session = session_of(group);
  Session.terminal.set(session, tty);
  Tty.session.set(tty, sid_of(group));
  Tty.foreground.set(tty, pgid_of(group));
}

/** TIOCNOTTY: the session of a leader gives the terminal up. 0 or -ENOTTY. */
export function drop_terminal(tty: T): number {
  lock_tasklist();
  const group = Task.group.get(current);
  const session = session_of(group);
  const own = Session.terminal.get(session) === tty;
  const leader = ThreadGroup.tgid.get(group) === sid_of(group);
  if (own && leader) part_locked(tty, session);
  unlock_tasklist();
  return own ? 0 : -ENOTTY;
}

/** TIOCSPGRP: puts a group of the terminal's session in front. 0, -ENOTTY, -EPERM, -ESRCH, or a stop. */
export function set_foreground(tty: T, pgid: number): number {
  const allowed = check_write(tty);
  if (allowed !== 0) return allowed;
  lock_tasklist();
  const session = session_of(Task.group.get(current));
  const process_group = find_process_group(pgid);
  let result = 0;
  if (Session.terminal.get(session) !== tty) result = -ENOTTY;
  else if (process_group === 0) result = -ESRCH;
  else if (ProcessGroup.session.get(process_group) !== session) result = -EPERM;
  else Tty.foreground.set(tty, pgid);
  unlock_tasklist();
  return result;
}

/** Whether the terminal is the current session's. */
export function is_controlling(tty: T): boolean {
  lock_tasklist();
  const own = Session.terminal.get(session_of(Task.group.get(current))) === tty;
  unlock_tasklist();
  return own;
}

/** The leader of a session ends: its terminal is free again, and the foreground group is told. */
register_exit_hooks({
  memory: () => {},
  session(session) {
    const tty = Session.terminal.get(session) as T;
    if (tty !== 0) part_locked(tty, session);
  },
});
