/**
 * Processes and threads: clone(2), exit(2), wait(2), credentials(7) "Process ID", setpgid(2), setsid(2), pidfd_open(2).
 */

import {
  CLONE_CLEAR_SIGHAND_HI,
  CLONE_DETACHED,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NAMESPACES,
  CLONE_NEWTIME,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  CSIGNAL,
  P_ALL,
  P_PGID,
  P_PID,
  P_PIDFD,
  WALL,
  WCLONE,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOTHREAD,
  WNOWAIT,
  WUNTRACED,
} from '../abi/clone.ts';
import {
  E2BIG,
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  ENOENT,
  ENOMEM,
  EPERM,
  ERESTARTSYS,
  ESRCH,
  NO_RESULT,
} from '../abi/errno.ts';
import { O_NONBLOCK } from '../abi/fcntl.ts';
import { NSIG, SI_TKILL, SIGCHLD } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { process_of_directory } from '../fs/proc/proc.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import { fatal_signal_pending, is_waiting, wait_on_killable, waits_done } from '../kernel/block.ts';
import { type CloneArgs, clone_task, no_namespaces } from '../kernel/clone.ts';
import { current } from '../kernel/current.ts';
import { exit_group } from '../kernel/exit.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { kill_group, kill_pid, kill_pid_thread } from '../kernel/kill.ts';
import { find_task, pid_get } from '../kernel/pid.ts';
import {
  pidfd_bind,
  pidfd_drop,
  pidfd_finish,
  pidfd_is_nonblocking,
  pidfd_is_thread,
  pidfd_lookup,
  pidfd_reserve,
} from '../kernel/pidfd.ts';
import { current_pgid } from '../kernel/process_group.ts';
import { clone_resource, release_resource } from '../kernel/resources.ts';
import { SIGINFO_WORDS, siginfo_user } from '../kernel/siginfo.ts';
import {
  put_int,
  stage,
  stage_clear,
  stage_i32,
  stage_in,
  stage_out,
  stage_set_timeval,
  stage_set_u32,
  stage_set_u64,
  stage_u32,
  stage_u64,
} from '../kernel/stage.ts';
import { Task, WORK_EXIT } from '../kernel/task.layout.ts';
import { parent_pid, task_put } from '../kernel/task.ts';
import { task_replace_files, task_replace_fs } from '../kernel/task_shared.ts';
import { Pid, ThreadGroup } from '../kernel/thread_group.layout.ts';
import { wait_for_child, wait_report } from '../kernel/wait.ts';
import { copy_out } from '../mm/uaccess.ts';
import { full, partial, type SyscallRow } from './row.ts';

const POLLIN = 1;

/** Clones, and for a vfork waits until the child has given up the parent's memory; re-entries only wait. */
function clone_and_wait(args: CloneArgs): number {
  if (Task.syscall_phase.get(current) === 0) {
    const child = clone_task(args);
    if (child < 0) return child;
    const tid = Task.tid.get(child as Ptr<'Task'>);
    if ((args.flags & CLONE_VFORK) === 0) {
      task_put(child as Ptr<'Task'>);
      return tid;
    }
    Task.syscall_phase.set(current, 1);
    Task.syscall_aux.set(current, child);
    Task.syscall_progress.set(current, tid);
  }
  const child = Task.syscall_aux.get(current) as Ptr<'Task'>;
  if (Task.vfork_pending.load(child) !== 0 && !fatal_signal_pending()) {
    const waiting = wait_on_killable(Task.vfork_queue.at(child), POLLIN);
    if (is_waiting(waiting)) return waiting;
  }
  waits_done(false);
  task_put(child);
  return Task.syscall_progress.get(current);
}

function sys_clone(): number {
  const flags = arg_u32(0);
  const legacy_pidfd = (flags & CLONE_PIDFD) !== 0;
  if (legacy_pidfd && (flags & CLONE_PARENT_SETTID) !== 0) return -EINVAL;
  return clone_and_wait({
    flags: flags & ~CSIGNAL & ~CLONE_DETACHED,
    clear_sighand: false,
    exit_signal: (flags & CLONE_THREAD) !== 0 ? 0 : flags & CSIGNAL,
    stack: arg_u64(1),
    parent_tid: arg_u64(2),
    child_tid: arg_u64(3),
    tls: arg_u64(4),
    pidfd: arg_u64(2),
  });
}

const NO_ARGS: CloneArgs = {
  flags: 0,
  clear_sighand: false,
  exit_signal: SIGCHLD,
  stack: 0,
  tls: 0,
  parent_tid: 0,
  child_tid: 0,
  pidfd: 0,
};

function sys_fork(): number {
  return clone_and_wait(NO_ARGS);
}

function sys_vfork(): number {
  return clone_and_wait({ ...NO_ARGS, flags: CLONE_VFORK | CLONE_VM });
}

const CLONE_ARGS_SIZE_VER0 = 64;
const CLONE_ARGS_SIZE_VER2 = 88;

/** struct clone_args (clone(2)): flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid ... */
function sys_clone3(): number {
  if (Task.syscall_phase.get(current) !== 0) return clone_and_wait(NO_ARGS);
  const size = arg_u64(1);
  if (size > 4096) return -E2BIG;
  if (size < CLONE_ARGS_SIZE_VER0) return -EINVAL;
  stage_clear(CLONE_ARGS_SIZE_VER2);
  const fault = stage_in(arg_u64(0), Math.min(size, 1024));
  if (fault < 0) return fault;
  for (let at = CLONE_ARGS_SIZE_VER2; at + 4 <= Math.min(size, 1024); at += 4) if (stage_u32(at) !== 0) return -E2BIG;
  const flags = stage_u32(0);
  const flags_hi = stage_u32(4);
  const exit_signal = stage_u64(32);
  const stack = stage_u64(40);
  const stack_size = stage_u64(48);
  if ((flags_hi & ~(CLONE_CLEAR_SIGHAND_HI | 2)) !== 0 || (flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME))) !== 0)
    return -EINVAL;
  if (exit_signal > NSIG || (stack === 0) !== (stack_size === 0)) return -EINVAL;
  if ((flags & CLONE_THREAD) !== 0 && exit_signal !== 0) return -EINVAL;
  if ((flags_hi & 2) !== 0) return -EINVAL;
  if ((flags & CLONE_NEWTIME) !== 0) return no_namespaces();
  if (stage_u64(72) !== 0) return -EPERM;
  return clone_and_wait({
    flags,
    clear_sighand: (flags_hi & CLONE_CLEAR_SIGHAND_HI) !== 0,
    exit_signal,
    stack: stack + stack_size,
    pidfd: stage_u64(8),
    child_tid: stage_u64(16),
    parent_tid: stage_u64(24),
    tls: stage_u64(56),
  });
}

function sys_exit(): number {
  Task.exit_code.set(current, (arg_i32(0) & 0xff) << 8);
  Task.pending_work.or(current, WORK_EXIT);
  return NO_RESULT;
}

function sys_exit_group(): number {
  Task.exit_code.set(current, (arg_i32(0) & 0xff) << 8);
  exit_group((arg_i32(0) & 0xff) << 8);
  return NO_RESULT;
}

/** struct rusage of the child just reported (getrusage(2)). */
function put_child_rusage(uaddr: number): number {
  stage_clear(144);
  stage_set_timeval(0, wait_report.cpu_ns);
  stage_set_u64(32, wait_report.maxrss * 4);
  stage_set_u64(64, wait_report.minor_faults);
  stage_set_u64(128, wait_report.voluntary);
  stage_set_u64(136, wait_report.involuntary);
  return stage_out(uaddr, 144);
}

function sys_wait4(): number {
  const pid = arg_i32(0);
  const options = arg_u32(2);
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL)) !== 0) return -EINVAL;
  if (pid === -0x8000_0000) return -ESRCH;
  const kind = pid > 0 ? P_PID : pid === -1 ? P_ALL : P_PGID;
  const id = pid > 0 ? pid : pid === 0 ? current_pgid() : -pid;
  const found = wait_for_child(kind, id, options | WEXITED);
  if (found <= 0) return found;
  const status_at = arg_u64(1);
  const rusage_at = arg_u64(3);
  if (status_at !== 0) {
    const fault = put_int(status_at, wait_report.status);
    if (fault < 0) return fault;
  }
  return rusage_at === 0 ? found : Math.min(put_child_rusage(rusage_at), 0) || found;
}

/** Linux writes the siginfo of a failed call too: zeros. */
function sys_waitid(): number {
  const found = find_for_waitid();
  if (found > 0 || goes_on(found)) return found > 0 ? put_waitid(found, arg_u64(2), arg_u64(4)) : found;
  const fault = put_waitid(0, arg_u64(2), arg_u64(4));
  return fault < 0 ? fault : found;
}

/** BLOCKED, RETRY and what restarts the call: it has not ended. */
function goes_on(result: number): boolean {
  return result <= -ERESTARTSYS;
}

/** The pid that was found, 0 for none yet, -errno, or the results of waiting. */
function find_for_waitid(): number {
  const options = arg_u32(3);
  if ((options & ~(WNOHANG | WEXITED | WUNTRACED | WCONTINUED | WNOWAIT | WNOTHREAD | WCLONE | WALL)) !== 0)
    return -EINVAL;
  if ((options & (WEXITED | WUNTRACED | WCONTINUED)) === 0) return -EINVAL;
  let kind = arg_i32(0);
  let id = arg_i32(1);
  let nonblocking = false;
  // A call that sleeps does not hear of O_NONBLOCK any more.
  const began = Task.syscall_entries.get(current) === 0;
  if (kind < P_ALL || kind > P_PIDFD) return -EINVAL;
  if ((kind === P_PID && id <= 0) || (kind === P_PGID && id < 0) || (kind === P_PIDFD && id < 0)) return -EINVAL;
  if (kind === P_PGID && id === 0) id = current_pgid();
  if (kind === P_PIDFD) {
    nonblocking = began && pidfd_is_nonblocking(id) && (options & WNOHANG) === 0;
    const pid = pidfd_lookup(id);
    if (pid < 0) return pid;
    id = Pid.number.get(pid as Ptr<'Pid'>);
    pidfd_drop(pid as Ptr<'Pid'>);
    kind = P_PID;
  }
  const found = wait_for_child(kind, id, nonblocking ? options | WNOHANG : options);
  return found === 0 && nonblocking ? -EAGAIN : found;
}

/** siginfo and rusage of waitid; all zero when nothing was found (WNOHANG). */
function put_waitid(found: number, info_at: number, rusage_at: number): number {
  if (found !== 0 && rusage_at !== 0) {
    const fault = put_child_rusage(rusage_at);
    if (fault < 0) return fault;
  }
  if (info_at === 0) return 0;
  stage_clear(128);
  if (found !== 0) {
    stage_set_u32(0, SIGCHLD);
    stage_set_u32(8, wait_report.code);
    stage_set_u32(16, wait_report.pid);
    stage_set_u32(20, wait_report.uid);
    stage_set_u32(24, wait_report.code_status);
  }
  // The fields alone: Linux leaves what is between and behind them as it is.
  return stage_out(info_at, 12) < 0 || copy_out(info_at + 16, stage() + 16, 12) < 0 ? -EFAULT : 0;
}

function sys_getpid(): number {
  return ThreadGroup.tgid.get(Task.group.get(current));
}

function sys_gettid(): number {
  return Task.tid.get(current);
}

function sys_getppid(): number {
  return parent_pid(Task.group.get(current));
}

function sys_set_tid_address(): number {
  Task.clear_child_tid.set(current, arg_u64(0));
  return Task.tid.get(current);
}

/** pidfd_open(2) for a thread that need not lead its process: O_EXCL. */
const PIDFD_THREAD = 0x80;

function sys_pidfd_open(): number {
  const tid = arg_i32(0);
  const flags = arg_u32(1);
  if ((flags & ~(O_NONBLOCK | PIDFD_THREAD)) !== 0 || tid <= 0) return -EINVAL;
  const reservation = pidfd_reserve(flags);
  if (reservation.fd < 0) return reservation.fd;
  lock_tasklist();
  const task = find_task(tid);
  const leader = task !== 0 && ThreadGroup.leader.get(Task.group.get(task)) === task;
  const wanted = leader || (task !== 0 && (flags & PIDFD_THREAD) !== 0);
  if (wanted) pidfd_bind(reservation, Task.pid.get(task));
  unlock_tasklist();
  pidfd_finish(reservation);
  if (task === 0) return -ESRCH;
  return wanted ? reservation.fd : -ENOENT;
}

/** The number behind a pidfd, or behind an open directory /proc/PID, which stands for the process too; -EBADF. */
function signal_target(fd: number): number {
  const pid = pidfd_lookup(fd);
  if (pid !== -EBADF) return pid;
  const file = fd_file(fd);
  const number = file === 0 ? 0 : process_of_directory(file);
  if (number === 0) return -EBADF;
  lock_tasklist();
  const task = find_task(number);
  const found = task === 0 ? -ESRCH : pid_get(Task.pid.get(task));
  unlock_tasklist();
  return found;
}

function sys_pidfd_send_signal(): number {
  const signo = arg_i32(1);
  const info_at = arg_u64(2);
  const flags = arg_u32(3);
  if ((flags & ~SIGNAL_SCOPES) !== 0 || (flags & (flags - 1)) !== 0) return -EINVAL;
  const pid = signal_target(arg_i32(0));
  if (pid < 0) return pid;
  const scope = flags !== 0 ? flags : pidfd_is_thread(arg_i32(0)) ? SIGNAL_THREAD : SIGNAL_PROCESS;
  const result =
    info_at === 0 ? send_to_scope(pid, signo, siginfo_user(signo), scope) : queue_to_pid(pid, signo, scope);
  pidfd_drop(pid as Ptr<'Pid'>);
  return result;
}

/** With the siginfo at argument 2, which the kernel's own codes only the process itself may have. */
function queue_to_pid(pid: number, signo: number, scope: number): number {
  const fault = stage_in(arg_u64(2), SIGINFO_WORDS * 4);
  if (fault < 0) return fault;
  if (stage_i32(0) !== signo) return -EINVAL;
  const info = new Int32Array(SIGINFO_WORDS);
  for (let i = 0; i < SIGINFO_WORDS; i++) info[i] = stage_i32(i * 4);
  const code = info[2] as number;
  const forged = code >= 0 || code === SI_TKILL;
  const to_self = Pid.task.get(pid as Ptr<'Pid'>) === current && scope !== SIGNAL_GROUP;
  return forged && !to_self ? -EPERM : send_to_scope(pid, signo, info, scope);
}

/** PIDFD_SIGNAL_*: whom a signal through a pidfd is for. */
const SIGNAL_THREAD = 1;
const SIGNAL_PROCESS = 2;
const SIGNAL_GROUP = 4;
const SIGNAL_SCOPES = SIGNAL_THREAD | SIGNAL_PROCESS | SIGNAL_GROUP;

function send_to_scope(pid: number, signo: number, info: Int32Array, scope: number): number {
  if (scope === SIGNAL_THREAD) return kill_pid_thread(pid as Ptr<'Pid'>, signo, info);
  if (scope === SIGNAL_PROCESS) return kill_pid(pid as Ptr<'Pid'>, signo, info);
  const number = Pid.number.get(pid as Ptr<'Pid'>);
  return kill_group(number, signo, info);
}

/** unshare(2): own copies of what was shared with other tasks; no namespaces. */
function sys_unshare(): number {
  const flags = arg_u32(0);
  const known = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NAMESPACES;
  if ((flags & ~(known | CLONE_NEWTIME)) !== 0) return -EINVAL;
  if ((flags & (CLONE_NAMESPACES | CLONE_NEWTIME)) !== 0) return no_namespaces();
  const single = ThreadGroup.live.load(Task.group.get(current)) === 1;
  if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) !== 0 && !single) return -EINVAL;
  const files = Task.files.get(current);
  if ((flags & CLONE_FILES) !== 0 && files !== 0) {
    const copy = clone_resource('files', files, false);
    if (copy === 0) return -ENOMEM;
    release_resource('files', task_replace_files(current, copy));
  }
  const fs = Task.fs.get(current);
  if ((flags & CLONE_FS) !== 0 && fs !== 0) {
    const copy = clone_resource('fs', fs, false);
    if (copy === 0) return -ENOMEM;
    release_resource('fs', task_replace_fs(current, copy));
  }
  return 0;
}

const NO_NAMESPACES = 'no namespaces: CLONE_NEW* flags answer EINVAL, or EPERM without CAP_SYS_ADMIN';

export const PROCESS_ROWS: readonly SyscallRow[] = [
  full(39, 'getpid', sys_getpid),
  partial(
    56,
    'clone',
    NO_NAMESPACES,
    sys_clone,
    'flags:flags(clone)',
    'stack:ptr',
    'parent_tid:ptr',
    'child_tid:ptr',
    'tls:ulong',
  ),
  full(57, 'fork', sys_fork),
  full(58, 'vfork', sys_vfork),
  full(60, 'exit', sys_exit, 'status:int'),
  full(61, 'wait4', sys_wait4, 'pid:pid', 'wstatus:ptr', 'options:flags(wait)', 'rusage:ptr'),
  full(110, 'getppid', sys_getppid),
  full(186, 'gettid', sys_gettid),
  full(218, 'set_tid_address', sys_set_tid_address, 'tidptr:ptr'),
  full(231, 'exit_group', sys_exit_group, 'status:int'),
  full(247, 'waitid', sys_waitid, 'idtype:enum(idtype)', 'id:pid', 'infop:ptr', 'options:flags(wait)', 'rusage:ptr'),
  partial(272, 'unshare', NO_NAMESPACES, sys_unshare, 'flags:flags(clone)'),
  full(424, 'pidfd_send_signal', sys_pidfd_send_signal, 'pidfd:fd', 'sig:signal', 'info:ptr', 'flags:uint'),
  full(434, 'pidfd_open', sys_pidfd_open, 'pid:pid', 'flags:uint'),
  partial(435, 'clone3', NO_NAMESPACES, sys_clone3, 'args:ptr', 'size:size'),
];
