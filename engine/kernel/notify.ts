/**
 * Telling a parent about its child: SIGCHLD with its CLD_ code, and the queue on which wait sleeps.
 * Linux: do_notify_parent, do_notify_parent_cldstop.
 */
import { POLLIN, READABLE } from '../abi/poll.ts';
import {
  CLD_CONTINUED,
  CLD_DUMPED,
  CLD_EXITED,
  CLD_KILLED,
  CLD_STOPPED,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
} from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { wake } from '../heap/wait_queue.ts';
import { group_cpu_ns } from './cpu_time.ts';
import { Credentials } from './credentials.layout.ts';
import { KernelRoot } from './kernel.layout.ts';
import { announce_machine_event, kernel_root, lock_tasklist, unlock_tasklist } from './kernel.ts';
import { siginfo_child } from './siginfo.ts';
import { action_flags, action_handler, send_to_group } from './signal.ts';
import { Task } from './task.layout.ts';
import { Pid, ThreadGroup } from './thread_group.layout.ts';

const NS_PER_TICK = 10_000_000;

type Group = Ptr<'ThreadGroup'>;

/** CLD_* code of a wait status of an ended process. */
export function exit_cld_code(status: number): number {
  if ((status & 0x7f) === 0) return CLD_EXITED;
  return (status & 0x80) !== 0 ? CLD_DUMPED : CLD_KILLED;
}

/** si_status of a wait status of an ended process: exit code or signal. */
export function exit_cld_status(status: number): number {
  return (status & 0x7f) === 0 ? (status >> 8) & 0xff : status & 0x7f;
}

/** Real uid of a process. */
export function group_uid(group: Group): number {
  const credentials = Task.credentials.get(ThreadGroup.leader.get(group));
  return credentials === 0 ? 0 : Credentials.uid.get(credentials);
}

function child_info(group: Group, signo: number, code: number, status: number): Int32Array {
  const ticks = Math.floor(group_cpu_ns(group) / NS_PER_TICK);
  return siginfo_child(signo, code, ThreadGroup.tgid.get(group), group_uid(group), status, ticks);
}

/**
 * A process has ended: its parent is sent its exit signal and woken. Answers whether nobody wants its status, so
 * that the caller reaps it. Under the tasklist lock.
 */
export function notify_exit(group: Group, status: number): boolean {
  wake(Pid.exit_queue.at(Task.pid.get(ThreadGroup.leader.get(group))), READABLE, Number.MAX_SAFE_INTEGER);
  const parent = ThreadGroup.parent.get(group);
  if (parent === 0) {
    wake(KernelRoot.root_queue.at(kernel_root()), POLLIN);
    announce_machine_event();
    return false;
  }
  let signo = ThreadGroup.exit_signal.get(group);
  let reap = false;
  if (signo === SIGCHLD) {
    const ignored = action_handler(parent, SIGCHLD) === SIG_IGN;
    reap = ignored || (action_flags(parent, SIGCHLD) & SA_NOCLDWAIT) !== 0;
    if (ignored) signo = 0;
  }
  if (signo !== 0)
    send_to_group(parent, signo, child_info(group, signo, exit_cld_code(status), exit_cld_status(status)));
  wake(ThreadGroup.child_queue.at(parent), POLLIN);
  return reap;
}

/** A process has stopped or been continued: its parent is told unless SA_NOCLDSTOP. Takes the tasklist lock. */
export function notify_job_control(group: Group, continued: boolean): void {
  lock_tasklist();
  const parent = ThreadGroup.parent.get(group);
  if (parent !== 0) {
    const wanted = (action_flags(parent, SIGCHLD) & SA_NOCLDSTOP) === 0;
    if (wanted && action_handler(parent, SIGCHLD) !== SIG_IGN) {
      const code = continued ? CLD_CONTINUED : CLD_STOPPED;
      const status = continued ? SIGCONT : ThreadGroup.stop_signal.get(group);
      send_to_group(parent, SIGCHLD, child_info(group, SIGCHLD, code, status));
    }
    wake(ThreadGroup.child_queue.at(parent), POLLIN);
  }
  unlock_tasklist();
}
