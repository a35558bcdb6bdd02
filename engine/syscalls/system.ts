/**
 * The machine and its limits: uname(2), sysinfo(2), getrlimit(2), getrusage(2), getrandom(2).
 */

import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CAP_SYSLOG } from '../abi/capability.ts';
import { EFAULT, EINVAL, EPERM, ESRCH, PREEMPTED } from '../abi/errno.ts';
import {
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT_AS,
  RLIMIT_DATA,
  RLIMIT_MEMLOCK,
  RLIMIT_NOFILE,
  RLIMIT_STACK,
  RUSAGE_CHILDREN,
  RUSAGE_SELF,
  RUSAGE_THREAD,
} from '../abi/resource.ts';
import { KERNEL_NAME, KERNEL_RELEASE, KERNEL_VERSION, MACHINE_NAME } from '../abi/utsname.ts';
import type { Ptr } from '../base/types.ts';
import { random_pieces } from '../fs/dev/memory_devices.ts';
import { bytes_copy } from '../heap/bytes.ts';
import { U8 } from '../heap/memory.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import { signal_pending } from '../kernel/block.ts';
import { group_cpu_ns, task_cpu_ns } from '../kernel/cpu_time.ts';
import { capable } from '../kernel/credentials.ts';
import { current } from '../kernel/current.ts';
import { NR_OPEN } from '../kernel/files.layout.ts';
import { KernelRoot } from '../kernel/kernel.layout.ts';
import { kernel_root, lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { may_signal } from '../kernel/kill.ts';
import { apply_memory_limits, group_rlimit, group_rlimit_hard, set_group_rlimit } from '../kernel/limits.ts';
import { charge, LONG_PIECE, RANDOM_NS, slice_is_over } from '../kernel/long_call.ts';
import { find_task } from '../kernel/pid.ts';
import { peak_rss } from '../kernel/resident.ts';
import {
  stage,
  stage_clear,
  stage_in,
  stage_out,
  stage_set_timeval,
  stage_set_u32,
  stage_set_u64,
  stage_u64,
} from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { frames_free, frames_total } from '../machine/frames.ts';
import { monotonic_ns } from '../time/clock.ts';
import { full, partial, type SyscallRow } from './row.ts';
import { io, pin_from, single_buffer, transfer_length } from './transfer.ts';

type Group = Ptr<'ThreadGroup'>;

const NAME_LIMIT = 64;
/** Length of each field of struct new_utsname, the NUL included. */
const UTS_LENGTH = 65;
const GRND_ALL = 7;
/** GRND_RANDOM | GRND_INSECURE: not together. */
const GRND_CONFLICT = 6;

function stage_text(offset: number, text: string): void {
  for (let i = 0; i < text.length; i++) U8[stage() + offset + i] = text.charCodeAt(i);
}

function sys_uname(): number {
  stage_clear(UTS_LENGTH * 6);
  stage_text(0, KERNEL_NAME);
  stage_text(UTS_LENGTH * 2, KERNEL_RELEASE);
  stage_text(UTS_LENGTH * 3, KERNEL_VERSION);
  stage_text(UTS_LENGTH * 4, MACHINE_NAME);
  const root = kernel_root();
  lock_tasklist();
  const host = KernelRoot.hostname.at(root);
  bytes_copy(stage() + UTS_LENGTH, host, KernelRoot.hostname_length.get(root));
  const length = KernelRoot.domain_length.get(root);
  bytes_copy(stage() + UTS_LENGTH * 5, KernelRoot.domain.at(root), length);
  unlock_tasklist();
  if (length === 0) stage_text(UTS_LENGTH * 5, '(none)');
  return stage_out(arg_u64(0), UTS_LENGTH * 6);
}

/** Reads a name of argument 1 bytes into the staging area: its length, or -errno. */
function read_name(): number {
  const length = arg_i32(1);
  if (!capable(CAP_SYS_ADMIN)) return -EPERM;
  if (length < 0 || length > NAME_LIMIT) return -EINVAL;
  return stage_in(arg_u64(0), length) < 0 ? -EFAULT : length;
}

function sys_sethostname(): number {
  const length = read_name();
  if (length < 0) return length;
  const root = kernel_root();
  lock_tasklist();
  bytes_copy(KernelRoot.hostname.at(root), stage(), length);
  KernelRoot.hostname_length.set(root, length);
  unlock_tasklist();
  return 0;
}

function sys_setdomainname(): number {
  const length = read_name();
  if (length < 0) return length;
  const root = kernel_root();
  lock_tasklist();
  bytes_copy(KernelRoot.domain.at(root), stage(), length);
  KernelRoot.domain_length.set(root, length);
  unlock_tasklist();
  return 0;
}

/** struct sysinfo, 112 bytes. */
function sys_sysinfo(): number {
  stage_clear(112);
  stage_set_u64(0, Math.floor(monotonic_ns() / 1e9));
  stage_set_u64(32, frames_total() * 4096);
  stage_set_u64(40, frames_free() * 4096);
  stage_set_u32(80, Math.min(0xffff, KernelRoot.task_count.load(kernel_root())));
  stage_set_u32(104, 1);
  return stage_out(arg_u64(0), 112);
}

function stage_limits(group: Group, resource: number): void {
  stage_set_u64(0, group_rlimit(group, resource));
  stage_set_u64(8, group_rlimit_hard(group, resource));
}

/** A limit as read from the staging area: all ones is RLIM_INFINITY. */
function staged_limit(offset: number): number {
  const value = stage_u64(offset);
  return value >= 2 ** 63 ? RLIM_INFINITY : value;
}

/** Applies staged limits (setrlimit(2)): raising the hard limit needs CAP_SYS_RESOURCE. */
function set_limits(group: Group, resource: number): number {
  const soft = staged_limit(0);
  const hard = staged_limit(8);
  if (soft > hard) return -EINVAL;
  if (hard > group_rlimit_hard(group, resource) && !capable(CAP_SYS_RESOURCE)) return -EPERM;
  if (resource === RLIMIT_NOFILE && hard > NR_OPEN) return -EPERM;
  set_group_rlimit(group, resource, soft, hard);
  const memory = [RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK].includes(resource);
  if (memory) apply_memory_limits(group);
  return 0;
}

function sys_getrlimit(): number {
  const resource = arg_u32(0);
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  stage_limits(Task.group.get(current), resource);
  return stage_out(arg_u64(1), 16);
}

function sys_setrlimit(): number {
  const resource = arg_u32(0);
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  if (stage_in(arg_u64(1), 16) < 0) return -EFAULT;
  return set_limits(Task.group.get(current), resource);
}

function sys_prlimit64(): number {
  const resource = arg_u32(1);
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  const new_at = arg_u64(2);
  if (new_at !== 0 && stage_in(new_at, 16) < 0) return -EFAULT;
  lock_tasklist();
  const task = arg_i32(0) === 0 ? current : find_task(arg_i32(0));
  let result = task === 0 ? -ESRCH : may_signal(task, 0) ? 0 : -EPERM;
  let soft = 0;
  let hard = 0;
  if (result === 0) {
    const group = Task.group.get(task);
    soft = group_rlimit(group, resource);
    hard = group_rlimit_hard(group, resource);
    if (new_at !== 0) result = set_limits(group, resource);
  }
  unlock_tasklist();
  if (result < 0 || arg_u64(3) === 0) return result;
  stage_set_u64(0, soft);
  stage_set_u64(8, hard);
  return stage_out(arg_u64(3), 16);
}

/** struct rusage, 144 bytes: utime, stime, maxrss at 32, minflt at 64, nvcsw at 128, nivcsw at 136. */
function sys_getrusage(): number {
  const who = arg_i32(0);
  const group = Task.group.get(current);
  stage_clear(144);
  if (who === RUSAGE_THREAD) {
    stage_set_timeval(0, task_cpu_ns(current));
    stage_usage(
      Task.minor_faults.get(current),
      Task.voluntary_switches.get(current),
      Task.involuntary_switches.get(current),
    );
  } else if (who === RUSAGE_SELF) stage_self(group);
  else if (who === RUSAGE_CHILDREN) {
    stage_set_timeval(0, ThreadGroup.children_cpu_ns.get(group));
    stage_usage(
      ThreadGroup.children_minor_faults.get(group),
      ThreadGroup.children_voluntary.get(group),
      ThreadGroup.children_involuntary.get(group),
    );
  } else return -EINVAL;
  const own = Math.max(ThreadGroup.dead_maxrss.get(group), peak_rss(current));
  stage_set_u64(32, (who === RUSAGE_CHILDREN ? ThreadGroup.children_maxrss.get(group) : own) * 4);
  return stage_out(arg_u64(1), 144);
}

function stage_self(group: Group): void {
  let faults = ThreadGroup.dead_minor_faults.get(group);
  let voluntary = ThreadGroup.dead_voluntary.get(group);
  let involuntary = ThreadGroup.dead_involuntary.get(group);
  lock_tasklist();
  stage_set_timeval(0, group_cpu_ns(group));
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) {
    faults += Task.minor_faults.get(t);
    voluntary += Task.voluntary_switches.get(t);
    involuntary += Task.involuntary_switches.get(t);
  }
  unlock_tasklist();
  stage_usage(faults, voluntary, involuntary);
}

function stage_usage(faults: number, voluntary: number, involuntary: number): void {
  stage_set_u64(64, faults);
  stage_set_u64(128, voluntary);
  stage_set_u64(136, involuntary);
}

function sys_getrandom(): number {
  const flags = arg_u32(2);
  if ((flags & ~GRND_ALL) !== 0 || (flags & GRND_CONFLICT) === GRND_CONFLICT) return -EINVAL;
  single_buffer(arg_u64(0), arg_u64(1));
  const length = transfer_length();
  let done = Task.syscall_progress.get(current);
  while (done < length) {
    if (pin_from(done, Math.min(LONG_PIECE, length - done), true) < 0) return done === 0 ? -EFAULT : done;
    random_pieces(io);
    done += io.done;
    if (done === length) break;
    charge(io.done * RANDOM_NS);
    if (signal_pending()) return done;
    if (!slice_is_over()) continue;
    Task.syscall_progress.set(current, done);
    return PREEMPTED;
  }
  return done;
}

/** syslog(2): the kernel's log is empty. */
function sys_syslog(): number {
  const type = arg_i32(0);
  const length = arg_i32(2);
  if (type !== 3 && type !== 10 && !capable(CAP_SYSLOG)) return -EPERM;
  if (type < 0 || type > 10) return -EINVAL;
  if (type >= 2 && type <= 4 && (arg_u64(1) === 0 || length < 0)) return -EINVAL;
  return type === 8 && (length < 1 || length > 8) ? -EINVAL : 0;
}

export const SYSTEM_ROWS: readonly SyscallRow[] = [
  full(63, 'uname', sys_uname, 'buf:outstruct(utsname)'),
  full(97, 'getrlimit', sys_getrlimit, 'resource:enum(rlimit)', 'rlim:outstruct(rlimit)'),
  partial(
    98,
    'getrusage',
    'CPU time counts as user time; no block or message counters',
    sys_getrusage,
    'who:int',
    'usage:outstruct(rusage)',
  ),
  partial(99, 'sysinfo', 'no load averages', sys_sysinfo, 'info:outstruct(sysinfo)'),
  partial(103, 'syslog', 'the log is empty', sys_syslog, 'type:int', 'bufp:ptr', 'len:int'),
  full(160, 'setrlimit', sys_setrlimit, 'resource:enum(rlimit)', 'rlim:struct(rlimit)'),
  full(170, 'sethostname', sys_sethostname, 'name:in(1)', 'len:size'),
  full(171, 'setdomainname', sys_setdomainname, 'name:in(1)', 'len:size'),
  full(
    302,
    'prlimit64',
    sys_prlimit64,
    'pid:pid',
    'resource:enum(rlimit)',
    'new_limit:struct(rlimit)',
    'old_limit:outstruct(rlimit)',
  ),
  full(318, 'getrandom', sys_getrandom, 'buf:out(1)', 'buflen:size', 'flags:flags(getrandom)'),
];
