/**
 * Signals: actions, masks, sending, waiting, and the return from a handler (signal(7)).
 */
import { EAGAIN, EFAULT, EINTR, EINVAL, EPERM, ERESTARTNOHAND, ESRCH, NO_RESULT } from '../abi/errno.ts';
import {
  SA_EXPOSE_TAGBITS,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SI_TKILL,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
} from '../abi/signal.ts';
import { lock, unlock } from '../heap/lock.ts';
import { SIGHAND_LOCK } from '../heap/lock_order.ts';
import { F64, U32 } from '../heap/memory.ts';
import { altstack_state, set_altstack } from '../kernel/altstack.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import { deadline_passed, set_timeout, signal_pending, wait_until_deadline } from '../kernel/block.ts';
import { current, current_cpu } from '../kernel/current.ts';
import { kill, kill_thread_by_id } from '../kernel/kill.ts';
import { sys_restart_syscall } from '../kernel/restart.ts';
import { SIGINFO_WORDS, siginfo_kernel, siginfo_tkill, siginfo_user } from '../kernel/siginfo.ts';
import {
  ACTION_FLAGS,
  ACTION_HANDLER,
  ACTION_MASK,
  ACTION_RESTORER,
  PendingSignals,
  SigHand,
} from '../kernel/signal.layout.ts';
import {
  action_address,
  flush_everywhere,
  is_ignored,
  is_signal,
  lock_signals,
  recalculate_pending,
  unlock_signals,
} from '../kernel/signal.ts';
import { force_signal, set_blocked, set_temporary_mask, take_signal, taken_info } from '../kernel/signal_delivery.ts';
import { restore_signal_frame, restored_mask } from '../kernel/signal_frame.ts';
import {
  stage_clear,
  stage_i32,
  stage_in,
  stage_out,
  stage_set_parts,
  stage_set_u32,
  stage_set_u64,
  stage_timespec,
  stage_u32,
  stage_u64,
} from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { RSP } from '../machine/cpu.layout.ts';
import { full, type SyscallRow } from './row.ts';

const KNOWN_FLAGS =
  (SA_NOCLDSTOP |
    SA_NOCLDWAIT |
    SA_SIGINFO |
    SA_EXPOSE_TAGBITS |
    SA_RESTORER |
    SA_ONSTACK |
    SA_RESTART |
    SA_NODEFER |
    SA_RESETHAND) >>>
  0;
/** SIGKILL and SIGSTOP, which no mask holds, in the low half. */
const UNMASKABLE = 0x4_0100;
const SIGSET_BYTES = 8;

const new_action = { handler: 0, flags: 0, restorer: 0, mask_lo: 0, mask_hi: 0 };

/** struct sigaction of the kernel: handler 8, flags 8, restorer 8, mask 8. */
function sys_rt_sigaction(): number {
  const signo = arg_i32(0);
  const act = arg_u64(1);
  const oldact = arg_u64(2);
  if (arg_u64(3) !== SIGSET_BYTES || !is_signal(signo)) return -EINVAL;
  if (act !== 0) {
    if (stage_in(act, 32) < 0) return -EFAULT;
    if (signo === SIGKILL || signo === SIGSTOP) return -EINVAL;
    new_action.handler = stage_u64(0);
    new_action.flags = (stage_u32(8) & KNOWN_FLAGS) >>> 0;
    new_action.restorer = stage_u64(16);
    new_action.mask_lo = stage_u32(24) & ~UNMASKABLE;
    new_action.mask_hi = stage_u32(28);
  }
  const group = Task.group.get(current);
  const sighand = ThreadGroup.sighand.get(group);
  lock_signals(group);
  lock(SigHand.lock.at(sighand), SIGHAND_LOCK);
  const at = action_address(group, signo);
  stage_set_u64(0, F64[(at + ACTION_HANDLER) >> 3] as number);
  stage_set_u64(8, U32[(at + ACTION_FLAGS) >> 2] as number);
  stage_set_u64(16, F64[(at + ACTION_RESTORER) >> 3] as number);
  stage_set_parts(24, U32[(at + ACTION_MASK) >> 2] as number, U32[(at + ACTION_MASK + 4) >> 2] as number);
  if (act !== 0) {
    F64[(at + ACTION_HANDLER) >> 3] = new_action.handler;
    F64[(at + ACTION_RESTORER) >> 3] = new_action.restorer;
    U32[(at + ACTION_FLAGS) >> 2] = new_action.flags;
    U32[(at + ACTION_MASK) >> 2] = new_action.mask_lo;
    U32[(at + ACTION_MASK + 4) >> 2] = new_action.mask_hi;
  }
  unlock(SigHand.lock.at(sighand), SIGHAND_LOCK);
  // A signal that is now ignored is no longer pending, blocked or not (sigaction(2), "NOTES").
  if (act !== 0 && is_ignored(group, signo)) flush_everywhere(group, signo);
  unlock_signals(group);
  return oldact === 0 ? 0 : stage_out(oldact, 32);
}

function sys_rt_sigprocmask(): number {
  const how = arg_i32(0);
  const set = arg_u64(1);
  const oldset = arg_u64(2);
  if (arg_u64(3) !== SIGSET_BYTES) return -EINVAL;
  const old_lo = Task.blocked_signals.lo(current);
  const old_hi = Task.blocked_signals.hi(current);
  if (set !== 0) {
    if (stage_in(set, 8) < 0) return -EFAULT;
    const lo = stage_u32(0);
    const hi = stage_u32(4);
    if (how === SIG_BLOCK) set_blocked(old_lo | lo, old_hi | hi);
    else if (how === SIG_UNBLOCK) set_blocked(old_lo & ~lo, old_hi & ~hi);
    else if (how === SIG_SETMASK) set_blocked(lo, hi);
    else return -EINVAL;
  }
  if (oldset === 0) return 0;
  stage_set_parts(0, old_lo, old_hi);
  return stage_out(oldset, 8);
}

function sys_rt_sigreturn(): number {
  if (!restore_signal_frame()) {
    force_signal(SIGSEGV, siginfo_kernel(SIGSEGV));
    return NO_RESULT;
  }
  set_blocked(restored_mask.lo, restored_mask.hi);
  return NO_RESULT;
}

function sys_rt_sigpending(): number {
  const size = arg_u64(1);
  if (size > SIGSET_BYTES) return -EINVAL;
  const group = Task.group.get(current);
  lock_signals(group);
  const own = Task.pending.at(current);
  const shared = ThreadGroup.pending.at(group);
  const lo = (PendingSignals.set.lo(own) | PendingSignals.set.lo(shared)) & Task.blocked_signals.lo(current);
  const hi = (PendingSignals.set.hi(own) | PendingSignals.set.hi(shared)) & Task.blocked_signals.hi(current);
  unlock_signals(group);
  stage_set_parts(0, lo, hi);
  return stage_out(arg_u64(0), size);
}

function sys_pause(): number {
  const waiting = wait_until_deadline();
  return signal_pending() ? -ERESTARTNOHAND : waiting;
}

/** rt_sigsuspend(2): the mask is replaced until a handler has been set up. */
function sys_rt_sigsuspend(): number {
  if (arg_u64(1) !== SIGSET_BYTES) return -EINVAL;
  if (Task.syscall_phase.get(current) === 0) {
    if (stage_in(arg_u64(0), 8) < 0) return -EFAULT;
    set_temporary_mask(stage_u32(0), stage_u32(4));
    Task.syscall_phase.set(current, 1);
  }
  return sys_pause();
}

/** rt_sigtimedwait(2): takes a pending signal of the set, waiting for one if need be. */
function sys_rt_sigtimedwait(): number {
  if (arg_u64(3) !== SIGSET_BYTES) return -EINVAL;
  const timeout_at = arg_u64(2);
  if (Task.syscall_phase.get(current) === 0) {
    if (timeout_at !== 0) {
      if (stage_in(timeout_at, 16) < 0) return -EFAULT;
      const ns = stage_timespec(0);
      if (ns < 0) return -EINVAL;
      set_timeout(ns);
    }
    if (stage_in(arg_u64(0), 8) < 0) return -EFAULT;
    Task.syscall_phase.set(current, 1);
    Task.awaited_signals.set_parts(current, stage_u32(0) & ~UNMASKABLE, stage_u32(4));
  }
  const group = Task.group.get(current);
  lock_signals(group);
  const signo = take_signal(~Task.awaited_signals.lo(current), ~Task.awaited_signals.hi(current));
  if (signo !== 0) end_sigwait();
  unlock_signals(group);
  if (signo !== 0) return put_taken(signo);
  if (deadline_passed()) return fail_sigwait(-EAGAIN);
  const waiting = wait_until_deadline();
  return signal_pending() ? fail_sigwait(-EINTR) : waiting;
}

/** Under the group's lock. */
function end_sigwait(): void {
  Task.awaited_signals.set_parts(current, 0, 0);
  recalculate_pending(current);
}

function fail_sigwait(error: number): number {
  const group = Task.group.get(current);
  lock_signals(group);
  end_sigwait();
  unlock_signals(group);
  return error;
}

function put_taken(signo: number): number {
  const info_at = arg_u64(1);
  if (info_at === 0) return signo;
  stage_clear(128);
  const info = taken_info();
  for (let i = 0; i < SIGINFO_WORDS; i++) stage_set_u32(i * 4, info[i] as number);
  return stage_out(info_at, 128) < 0 ? -EFAULT : signo;
}

function sys_kill(): number {
  return kill(arg_i32(0), arg_i32(1), siginfo_user(arg_i32(1)));
}

function sys_tkill(): number {
  return kill_thread_by_id(0, arg_i32(0), arg_i32(1), siginfo_tkill(arg_i32(1)));
}

function sys_tgkill(): number {
  if (arg_i32(0) <= 0) return -EINVAL;
  return kill_thread_by_id(arg_i32(0), arg_i32(1), arg_i32(2), siginfo_tkill(arg_i32(2)));
}

const queued = new Int32Array(SIGINFO_WORDS);

/** Reads a user siginfo for the sigqueueinfo family: 0 or -EFAULT. */
function read_siginfo(uaddr: number, signo: number): number {
  if (stage_in(uaddr, SIGINFO_WORDS * 4) < 0) return -EFAULT;
  for (let i = 0; i < SIGINFO_WORDS; i++) queued[i] = stage_i32(i * 4);
  queued[0] = signo;
  return 0;
}

/** -EPERM for a siginfo to another that would pass for kill's or the kernel's. */
function check_queued(to_self: boolean): number {
  const code = queued[2] as number;
  return (code >= 0 || code === SI_TKILL) && !to_self ? -EPERM : 0;
}

function sys_rt_sigqueueinfo(): number {
  const pid = arg_i32(0);
  const signo = arg_i32(1);
  const bad = read_siginfo(arg_u64(2), signo) || check_queued(pid === ThreadGroup.tgid.get(Task.group.get(current)));
  if (bad < 0) return bad;
  return pid <= 0 ? -ESRCH : kill(pid, signo, queued);
}

function sys_rt_tgsigqueueinfo(): number {
  const tid = arg_i32(1);
  const signo = arg_i32(2);
  if (read_siginfo(arg_u64(3), signo) < 0) return -EFAULT;
  if (arg_i32(0) <= 0 || tid <= 0) return -EINVAL;
  const bad = check_queued(tid === Task.tid.get(current));
  return bad < 0 ? bad : kill_thread_by_id(arg_i32(0), tid, signo, queued);
}

/** stack_t: ss_sp 8, ss_flags 4, padding 4, ss_size 8. */
function sys_sigaltstack(): number {
  const ss = arg_u64(0);
  const old_ss = arg_u64(1);
  const rsp_at = (current_cpu + RSP * 8) >> 2;
  const rsp = (U32[rsp_at + 1] as number) * 4294967296 + (U32[rsp_at] as number);
  const old_address = Task.altstack_address.get(current);
  const old_size = Task.altstack_size.get(current);
  const old_flags = (altstack_state(rsp) | (Task.altstack_flags.get(current) & 0x8000_0000)) >>> 0;
  if (ss !== 0) {
    if (stage_in(ss, 24) < 0) return -EFAULT;
    const result = set_altstack(stage_u64(0), stage_u32(8), stage_u64(16), rsp);
    if (result < 0) return result;
  }
  if (old_ss === 0) return 0;
  stage_clear(24);
  stage_set_u64(0, old_address);
  stage_set_u32(8, old_flags);
  stage_set_u64(16, old_size);
  return stage_out(old_ss, 24);
}

export const SIGNAL_ROWS: readonly SyscallRow[] = [
  full(
    13,
    'rt_sigaction',
    sys_rt_sigaction,
    'signum:signal',
    'act:struct(sigaction)',
    'oldact:outstruct(sigaction)',
    'sigsetsize:size',
  ),
  full(
    14,
    'rt_sigprocmask',
    sys_rt_sigprocmask,
    'how:enum(sigprocmask)',
    'set:struct(sigset)',
    'oldset:outstruct(sigset)',
    'sigsetsize:size',
  ),
  full(15, 'rt_sigreturn', sys_rt_sigreturn),
  full(34, 'pause', sys_pause),
  full(62, 'kill', sys_kill, 'pid:pid', 'sig:signal'),
  full(127, 'rt_sigpending', sys_rt_sigpending, 'set:outstruct(sigset)', 'sigsetsize:size'),
  full(
    128,
    'rt_sigtimedwait',
    sys_rt_sigtimedwait,
    'set:struct(sigset)',
    'info:outstruct(siginfo)',
    'timeout:struct(timespec)',
    'sigsetsize:size',
  ),
  full(129, 'rt_sigqueueinfo', sys_rt_sigqueueinfo, 'tgid:pid', 'sig:signal', 'info:struct(siginfo)'),
  full(130, 'rt_sigsuspend', sys_rt_sigsuspend, 'mask:struct(sigset)', 'sigsetsize:size'),
  full(131, 'sigaltstack', sys_sigaltstack, 'ss:struct(stack)', 'old_ss:outstruct(stack)'),
  full(200, 'tkill', sys_tkill, 'tid:pid', 'sig:signal'),
  full(219, 'restart_syscall', sys_restart_syscall),
  full(234, 'tgkill', sys_tgkill, 'tgid:pid', 'tid:pid', 'sig:signal'),
  full(297, 'rt_tgsigqueueinfo', sys_rt_tgsigqueueinfo, 'tgid:pid', 'tid:pid', 'sig:signal', 'info:struct(siginfo)'),
];
