/**
 * Attributes of threads and processes: prctl(2), arch_prctl(2), personality(2).
 */

import { CAP_LAST, CAP_SETPCAP } from '../abi/capability.ts';
import { EFAULT, EINVAL, ENODEV, ENOMEM, EPERM } from '../abi/errno.ts';
import {
  ARCH_GET_CPUID,
  ARCH_GET_FS,
  ARCH_GET_GS,
  ARCH_SET_CPUID,
  ARCH_SET_FS,
  ARCH_SET_GS,
  PR_CAP_AMBIENT,
  PR_CAPBSET_DROP,
  PR_CAPBSET_READ,
  PR_GET_CHILD_SUBREAPER,
  PR_GET_DUMPABLE,
  PR_GET_KEEPCAPS,
  PR_GET_NAME,
  PR_GET_NO_NEW_PRIVS,
  PR_GET_PDEATHSIG,
  PR_GET_SECCOMP,
  PR_GET_SECUREBITS,
  PR_GET_THP_DISABLE,
  PR_GET_TID_ADDRESS,
  PR_GET_TIMERSLACK,
  PR_GET_TSC,
  PR_SET_CHILD_SUBREAPER,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NAME,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  PR_SET_SECUREBITS,
  PR_SET_THP_DISABLE,
  PR_SET_TIMERSLACK,
  PR_SET_TSC,
  PR_TSC_ENABLE,
} from '../abi/prctl.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { capable, credentials_commit, credentials_prepare } from '../kernel/credentials.ts';
import { current, current_cpu } from '../kernel/current.ts';
import { is_signal } from '../kernel/signal.ts';
import { put_int, put_long, stage, stage_out } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { GROUP_SUBREAPER, ThreadGroup } from '../kernel/thread_group.layout.ts';
import { CpuState } from '../machine/cpu.layout.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { Mm } from '../mm/mm.layout.ts';
import { copy_in_string } from '../mm/uaccess.ts';
import { full, partial, type SyscallRow } from './row.ts';

const COMM_BYTES = 16;
const SECBIT_KEEP_CAPS = 16;
const DEFAULT_SLACK_NS = 50_000;
const PERSONALITY_QUERY = 0xffff_ffff;

/** Changes a copy of the credentials and commits it. */
function change(use: (c: Ptr<'Credentials'>) => void): number {
  const c = credentials_prepare();
  if (c === 0) return -ENOMEM;
  use(c);
  credentials_commit(c);
  return 0;
}

/** PR_SET_NO_NEW_PRIVS, which is kept here in the credentials and in Linux beside them: they stay the task's own. */
function forbid_new_privileges(): number {
  const number = Task.credentials_number.get(current);
  const result = change((c) => Credentials.no_new_privs.set(c, 1));
  Task.credentials_number.set(current, number);
  return result;
}

/** Whether an argument from number `first` on is not zero: newer operations insist. */
function any_from(first: number): boolean {
  for (let n = first; n <= 4; n++) if (arg_u64(n) !== 0) return true;
  return false;
}

function credentials(): Ptr<'Credentials'> {
  return Task.credentials.get(current);
}

function set_name(): number {
  const length = copy_in_string(arg_u64(1), stage(), COMM_BYTES);
  if (length === -EFAULT) return length;
  const at = Task.comm.at(current);
  const kept = length < 0 ? COMM_BYTES - 1 : length;
  bytes_zero(at, COMM_BYTES);
  bytes_copy(at, stage(), kept);
  return 0;
}

function get_name(): number {
  bytes_copy(stage(), Task.comm.at(current), COMM_BYTES);
  return stage_out(arg_u64(1), COMM_BYTES);
}

function capability_half(capability: number, lo: number, hi: number): number {
  return ((capability < 32 ? lo : hi) >>> (capability & 31)) & 1;
}

function drop_bounding(capability: number): number {
  if (!capable(CAP_SETPCAP)) return -EPERM;
  if (capability > CAP_LAST) return -EINVAL;
  const bit = 1 << (capability & 31);
  return change((c) => {
    const lo = Credentials.cap_bounding.lo(c);
    const hi = Credentials.cap_bounding.hi(c);
    Credentials.cap_bounding.set_parts(c, capability < 32 ? lo & ~bit : lo, capability < 32 ? hi : hi & ~bit);
  });
}

/** PR_CAP_AMBIENT: IS_SET 1, RAISE 2, LOWER 3, CLEAR_ALL 4. */
function ambient(operation: number, capability: number): number {
  if (operation === 4) return change((c) => Credentials.cap_ambient.set_parts(c, 0, 0));
  if (capability > CAP_LAST || operation < 1 || operation > 4) return -EINVAL;
  const own = credentials();
  const lo = Credentials.cap_ambient.lo(own);
  const hi = Credentials.cap_ambient.hi(own);
  if (operation === 1) return capability_half(capability, lo, hi);
  const bit_lo = capability < 32 ? 1 << capability : 0;
  const bit_hi = capability < 32 ? 0 : 1 << (capability - 32);
  if (operation === 3) return change((c) => Credentials.cap_ambient.set_parts(c, lo & ~bit_lo, hi & ~bit_hi));
  const permitted = capability_half(capability, Credentials.cap_permitted.lo(own), Credentials.cap_permitted.hi(own));
  const inheritable = capability_half(
    capability,
    Credentials.cap_inheritable.lo(own),
    Credentials.cap_inheritable.hi(own),
  );
  if (permitted === 0 || inheritable === 0) return -EPERM;
  return change((c) => Credentials.cap_ambient.set_parts(c, lo | bit_lo, hi | bit_hi));
}

function set_subreaper(): number {
  const group = Task.group.get(current);
  if (arg_u64(1) !== 0) ThreadGroup.flags.or(group, GROUP_SUBREAPER);
  else ThreadGroup.flags.and(group, ~GROUP_SUBREAPER);
  return 0;
}

/** The operations on credentials. */
function prctl_credentials(option: number): number {
  const own = credentials();
  const value = arg_u32(1);
  switch (option) {
    case PR_GET_KEEPCAPS:
      return (Credentials.securebits.get(own) & SECBIT_KEEP_CAPS) !== 0 ? 1 : 0;
    case PR_SET_KEEPCAPS:
      if (value > 1) return -EINVAL;
      return change((c) => {
        const others = Credentials.securebits.get(c) & ~SECBIT_KEEP_CAPS;
        Credentials.securebits.set(c, others | (value === 1 ? SECBIT_KEEP_CAPS : 0));
      });
    case PR_CAPBSET_READ:
      if (value > CAP_LAST) return -EINVAL;
      return capability_half(value, Credentials.cap_bounding.lo(own), Credentials.cap_bounding.hi(own));
    case PR_CAPBSET_DROP:
      return drop_bounding(value);
    case PR_GET_SECUREBITS:
      return Credentials.securebits.get(own);
    case PR_SET_SECUREBITS:
      if (!capable(CAP_SETPCAP)) return -EPERM;
      return value > 0xff ? -EPERM : change((c) => Credentials.securebits.set(c, value));
    case PR_GET_NO_NEW_PRIVS:
      if (any_from(1)) return -EINVAL;
      return Credentials.no_new_privs.get(own);
    case PR_SET_NO_NEW_PRIVS:
      if (arg_u64(1) !== 1 || any_from(2)) return -EINVAL;
      return forbid_new_privileges();
    case PR_CAP_AMBIENT:
      if (any_from(arg_i32(1) === 4 ? 2 : 3)) return -EINVAL;
      return ambient(arg_i32(1), arg_u32(2));
    default:
      return -EINVAL;
  }
}

function sys_prctl(): number {
  const option = arg_i32(0);
  const value = arg_u64(1);
  const group = Task.group.get(current);
  const mm = Task.mm.get(current);
  switch (option) {
    case PR_SET_PDEATHSIG:
      if (value !== 0 && !is_signal(value)) return -EINVAL;
      Task.death_signal.set(current, value);
      return 0;
    case PR_GET_PDEATHSIG:
      return put_int(value, Task.death_signal.get(current));
    case PR_GET_DUMPABLE:
      return mm === 0 ? 0 : Mm.dumpable.get(mm);
    case PR_SET_DUMPABLE:
      if (value > 1) return -EINVAL;
      if (mm !== 0) Mm.dumpable.set(mm, value);
      return 0;
    case PR_SET_NAME:
      return set_name();
    case PR_GET_NAME:
      return get_name();
    case PR_GET_SECCOMP:
      return 0;
    case PR_GET_TSC:
      return put_int(value, PR_TSC_ENABLE);
    case PR_SET_TSC:
      return value === PR_TSC_ENABLE ? 0 : -EINVAL;
    case PR_SET_TIMERSLACK:
      Task.timer_slack.set(current, value === 0 ? Task.default_timer_slack.get(current) || DEFAULT_SLACK_NS : value);
      return 0;
    case PR_GET_TIMERSLACK:
      return Task.timer_slack.get(current);
    case PR_SET_CHILD_SUBREAPER:
      return set_subreaper();
    case PR_GET_CHILD_SUBREAPER:
      return put_int(value, (ThreadGroup.flags.load(group) & GROUP_SUBREAPER) !== 0 ? 1 : 0);
    case PR_GET_TID_ADDRESS:
      return put_long(value, Task.clear_child_tid.get(current));
    case PR_SET_THP_DISABLE:
      if (any_from(2)) return -EINVAL;
      if (mm !== 0) Mm.thp_disable.set(mm, value !== 0 ? 1 : 0);
      return 0;
    case PR_GET_THP_DISABLE:
      if (any_from(1)) return -EINVAL;
      return mm === 0 ? 0 : Mm.thp_disable.get(mm);
    default:
      return prctl_credentials(option);
  }
}

function sys_arch_prctl(): number {
  const address = arg_u64(1);
  switch (arg_i32(0)) {
    case ARCH_SET_FS:
      if (address >= TASK_SIZE) return -EPERM;
      CpuState.fs_base.set(current_cpu, address);
      return 0;
    case ARCH_SET_GS:
      if (address >= TASK_SIZE) return -EPERM;
      CpuState.gs_base.set(current_cpu, address);
      return 0;
    case ARCH_GET_FS:
      return put_long(address, CpuState.fs_base.get(current_cpu));
    case ARCH_GET_GS:
      return put_long(address, CpuState.gs_base.get(current_cpu));
    case ARCH_GET_CPUID:
      return 1;
    case ARCH_SET_CPUID:
      // The CPU has no CPUID faulting.
      return -ENODEV;
    default:
      return -EINVAL;
  }
}

function sys_personality(): number {
  const before = Task.personality.get(current);
  if (arg_u32(0) !== PERSONALITY_QUERY) Task.personality.set(current, arg_u32(0));
  return before;
}

export const PRCTL_ROWS: readonly SyscallRow[] = [
  partial(135, 'personality', 'kept and told; STICKY_TIMEOUTS alone has an effect', sys_personality, 'persona:ulong'),
  partial(
    157,
    'prctl',
    'no PR_SET_MM, PR_SET_SECCOMP, PR_TSC_SIGSEGV, PR_SET_VMA, speculation or tagged addresses',
    sys_prctl,
    'option:enum(prctl)',
    'arg2:ulong',
    'arg3:ulong',
    'arg4:ulong',
    'arg5:ulong',
  ),
  full(158, 'arch_prctl', sys_arch_prctl, 'code:enum(arch_prctl)', 'addr:ulong'),
];
