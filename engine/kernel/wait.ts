/**
 * Waiting for children (wait(2); Linux kernel/exit.c, do_wait): which child is eligible, what it reports, and what
 * is consumed by the report.
 */

import {
  P_ALL,
  P_PGID,
  P_PID,
  WALL,
  WCLONE,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOTHREAD,
  WNOWAIT,
  WUNTRACED,
} from '../abi/clone.ts';
import { ECHILD } from '../abi/errno.ts';
import { CLD_CONTINUED, CLD_STOPPED, SIGCHLD, SIGCONT } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { wait_on } from './block.ts';
import { current } from './current.ts';
import { reap, status_of } from './exit.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { exit_cld_code, exit_cld_status, group_uid } from './notify.ts';
import { pgid_of } from './process_group.ts';
import { tree_maxrss } from './resident.ts';
import { Task } from './task.layout.ts';
import {
  GROUP_CONTINUE_REPORT,
  GROUP_REAPED,
  GROUP_STOP_REPORT,
  GROUP_ZOMBIE,
  ThreadGroup,
} from './thread_group.layout.ts';

type Group = Ptr<'ThreadGroup'>;
const POLLIN = 1;

/** What the last successful `wait_for_child` on this thread found; read at once by the handler. */
export const wait_report = {
  pid: 0,
  uid: 0,
  /** Wait status in the encoding of wait4(2). */
  status: 0,
  /** CLD_* code and si_status for waitid(2). */
  code: 0,
  code_status: 0,
  cpu_ns: 0,
  voluntary: 0,
  involuntary: 0,
  minor_faults: 0,
  /** Pages. */
  maxrss: 0,
};

/**
 * Waits for a change of a child that `kind` (P_*) and `id` select: its pid with `wait_report` filled, 0 with
 * WNOHANG when there is none yet, -ECHILD, or the results of waiting. The caller is a handler.
 */
export function wait_for_child(kind: number, id: number, options: number): number {
  const group = Task.group.get(current);
  lock_tasklist();
  let eligible = false;
  let found = 0;
  let child = ThreadGroup.children.get(group);
  for (; child !== 0 && found === 0; child = ThreadGroup.sibling_next.get(child)) {
    if (!is_eligible(child, kind, id, options)) continue;
    eligible = true;
    if (collect(child, options)) {
      found = ThreadGroup.tgid.get(child);
      consume(child, options);
      break;
    }
  }
  unlock_tasklist();
  if (found !== 0) return found;
  if (!eligible) return -ECHILD;
  if ((options & WNOHANG) !== 0) return 0;
  return wait_on(ThreadGroup.child_queue.at(group), POLLIN);
}

function is_eligible(child: Group, kind: number, id: number, options: number): boolean {
  const flags = ThreadGroup.flags.load(child);
  if ((flags & GROUP_REAPED) !== 0) return false;
  // All that a zombie will ever report is its end.
  if ((flags & GROUP_ZOMBIE) !== 0 && (options & WEXITED) === 0) return false;
  if (kind === P_PID && ThreadGroup.tgid.get(child) !== id) return false;
  if (kind === P_PGID && pgid_of(child) !== id) return false;
  if (kind !== P_ALL && kind !== P_PID && kind !== P_PGID) return false;
  if ((options & WNOTHREAD) !== 0 && ThreadGroup.parent_task.get(child) !== Task.tid.get(current)) return false;
  if ((options & WALL) !== 0) return true;
  // A "clone" child is one that does not send SIGCHLD (wait(2), __WCLONE).
  return (ThreadGroup.exit_signal.get(child) !== SIGCHLD) === ((options & WCLONE) !== 0);
}

/** Whether the child has something to report that `options` ask for; fills `wait_report`. */
function collect(child: Group, options: number): boolean {
  const flags = ThreadGroup.flags.load(child);
  if ((flags & GROUP_ZOMBIE) !== 0) {
    if ((options & WEXITED) === 0) return false;
    const status = status_of(child);
    report(child, status, exit_cld_code(status), exit_cld_status(status));
    return true;
  }
  if ((flags & GROUP_STOP_REPORT) !== 0 && (options & WUNTRACED) !== 0) {
    const signo = ThreadGroup.stop_signal.get(child);
    report(child, (signo << 8) | 0x7f, CLD_STOPPED, signo);
    return true;
  }
  if ((flags & GROUP_CONTINUE_REPORT) !== 0 && (options & WCONTINUED) !== 0) {
    report(child, 0xffff, CLD_CONTINUED, SIGCONT);
    return true;
  }
  return false;
}

function report(child: Group, status: number, code: number, code_status: number): void {
  wait_report.pid = ThreadGroup.tgid.get(child);
  wait_report.uid = group_uid(child);
  wait_report.status = status;
  wait_report.code = code;
  wait_report.code_status = code_status;
  wait_report.cpu_ns = ThreadGroup.dead_cpu_ns.get(child) + ThreadGroup.children_cpu_ns.get(child);
  wait_report.voluntary = ThreadGroup.dead_voluntary.get(child);
  wait_report.involuntary = ThreadGroup.dead_involuntary.get(child);
  wait_report.minor_faults = ThreadGroup.dead_minor_faults.get(child);
  wait_report.maxrss = tree_maxrss(child);
}

function consume(child: Group, options: number): void {
  if ((options & WNOWAIT) !== 0) return;
  if (wait_report.code === CLD_STOPPED) ThreadGroup.flags.and(child, ~GROUP_STOP_REPORT);
  else if (wait_report.code === CLD_CONTINUED) ThreadGroup.flags.and(child, ~GROUP_CONTINUE_REPORT);
  else reap(child, true);
}
