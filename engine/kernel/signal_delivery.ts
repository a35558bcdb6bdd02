/**
 * Taking signals on the way back to the guest (Linux's exit_to_user_mode_loop, get_signal, handle_signal): stops,
 * deaths, handler frames, and what becomes of the system call that the signal interrupted.
 */
import { EINTR, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS } from '../abi/errno.ts';
import {
  DEFAULT_CONTINUE,
  DEFAULT_CORE,
  DEFAULT_IGNORE,
  DEFAULT_STOP,
  default_action,
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SIG_DFL,
  SIG_IGN,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
} from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { SIGHAND_LOCK } from '../heap/lock_order.ts';
import { F64, I32, U32 } from '../heap/memory.ts';
import { CpuState } from '../machine/cpu.layout.ts';
import { current, current_cpu } from './current.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { posix_timer_taken } from './posix_timer.ts';
import { process_group_is_orphaned } from './process_group.ts';
import { SIGINFO_WORDS, siginfo_kernel } from './siginfo.ts';
import {
  ACTION_FLAGS,
  ACTION_HANDLER,
  ACTION_MASK,
  ACTION_RESTORER,
  PendingSignals,
  QueuedSignal,
  SigHand,
} from './signal.layout.ts';
import {
  action_address,
  flush_pending,
  kill_group_locked,
  lock_signals,
  next_signal,
  notify_task,
  queued_free,
  recalculate_pending,
  send_locked,
  set_add,
  set_delete,
  set_has,
  unlink,
  unlock_signals,
} from './signal.ts';
import { setup_signal_frame } from './signal_frame.ts';
import { announce_continue, start_stop_locked } from './stop.ts';
import { Task, WORK_EXIT, WORK_SIGNAL, WORK_STOP } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

type Pending = Ptr<'PendingSignals'>;

/** What the run loop does after `handle_work`. */
export const AFTER_WORK_RESUME = 0;
/** The task is to stop: `stop_current`. */
export const AFTER_WORK_STOP = 1;
/** The task is to end: `exit_task`. */
export const AFTER_WORK_EXIT = 2;

const NR_RESTART_SYSCALL = 219;
const SYSCALL_INSTRUCTION_BYTES = 2;
const NO_HANDLER = 0;

/** The siginfo of the signal being delivered on this thread; filled by `take_signal`. */
const taken = new Int32Array(SIGINFO_WORDS);
const action = { handler: 0, restorer: 0, mask_lo: 0, mask_hi: 0, flags: 0 };

/** Handles everything pending for the current task before it returns to the guest: AFTER_WORK_*. */
export function handle_work(): number {
  for (;;) {
    announce_continue();
    const work = Task.pending_work.load(current);
    if ((work & WORK_EXIT) !== 0) return AFTER_WORK_EXIT;
    if ((work & WORK_STOP) !== 0) return AFTER_WORK_STOP;
    if ((work & WORK_SIGNAL) === 0 || !deliver_one()) break;
  }
  finish_interrupted_call(NO_HANDLER, 0);
  restore_saved_mask();
  return AFTER_WORK_RESUME;
}

/** Takes one signal and acts on it; false when there is none. */
function deliver_one(): boolean {
  const group = Task.group.get(current);
  lock_signals(group);
  const signo = take_signal(Task.blocked_signals.lo(current), Task.blocked_signals.hi(current));
  if (signo === 0) {
    recalculate_pending(current);
    unlock_signals(group);
    return false;
  }
  read_action(group, signo);
  const handler = signo === SIGKILL || signo === SIGSTOP ? SIG_DFL : action.handler;
  if (handler === SIG_DFL) take_default(group, signo);
  unlock_signals(group);
  if (handler > SIG_IGN) run_handler(signo);
  return true;
}

/**
 * Dequeues the next signal outside `blocked` into `taken_info`: the task's own before the group's. 0 when there is
 * none. Under the group's lock.
 */
export function take_signal(blocked_lo: number, blocked_hi: number): number {
  const group = Task.group.get(current);
  let owner: Pending = Task.pending.at(current);
  let signo = next_signal(owner, blocked_lo, blocked_hi);
  if (signo === 0) {
    owner = ThreadGroup.pending.at(group);
    signo = next_signal(owner, blocked_lo, blocked_hi);
  }
  if (signo === 0) return 0;
  collect(group, owner, signo);
  return signo;
}

/** The siginfo image of the signal that `take_signal` took last on this thread. */
export function taken_info(): Int32Array {
  return taken;
}

/** Moves the first queued instance into `taken`; the bit stays while another is queued. */
function collect(group: Ptr<'ThreadGroup'>, owner: Pending, signo: number): void {
  let previous = 0 as Ptr<'QueuedSignal'>;
  let entry = PendingSignals.head.get(owner);
  while (entry !== 0 && I32[QueuedSignal.info.at(entry) >> 2] !== signo) {
    previous = entry;
    entry = QueuedSignal.next.get(entry);
  }
  taken.fill(0);
  taken[0] = signo;
  set_delete(PendingSignals.set, owner, signo);
  if (entry === 0) return;
  const at = QueuedSignal.info.at(entry) >> 2;
  for (let i = 0; i < SIGINFO_WORDS; i++) taken[i] = I32[at + i] as number;
  const timer = QueuedSignal.timer.get(entry);
  if (timer !== 0) taken[5] = posix_timer_taken(group, timer);
  let rest = QueuedSignal.next.get(entry);
  unlink(owner, previous, entry);
  queued_free(entry);
  for (; rest !== 0; rest = QueuedSignal.next.get(rest))
    if (I32[QueuedSignal.info.at(rest) >> 2] === signo) set_add(PendingSignals.set, owner, signo);
}

function read_action(group: Ptr<'ThreadGroup'>, signo: number): void {
  const sighand = ThreadGroup.sighand.get(group);
  lock(SigHand.lock.at(sighand), SIGHAND_LOCK);
  const at = action_address(group, signo);
  action.handler = F64[(at + ACTION_HANDLER) >> 3] as number;
  action.restorer = F64[(at + ACTION_RESTORER) >> 3] as number;
  action.mask_lo = U32[(at + ACTION_MASK) >> 2] as number;
  action.mask_hi = U32[(at + ACTION_MASK + 4) >> 2] as number;
  action.flags = U32[(at + ACTION_FLAGS) >> 2] as number;
  if (action.handler > SIG_IGN && (action.flags & SA_RESETHAND) !== 0) F64[(at + ACTION_HANDLER) >> 3] = SIG_DFL;
  unlock(SigHand.lock.at(sighand), SIGHAND_LOCK);
}

/** SIG_DFL. Under the group's lock. */
function take_default(group: Ptr<'ThreadGroup'>, signo: number): void {
  const kind = default_action(signo);
  if (kind === DEFAULT_IGNORE || kind === DEFAULT_CONTINUE) return;
  if (kind === DEFAULT_STOP) {
    if (signo !== SIGSTOP && orphaned(group)) return;
    start_stop_locked(signo);
    return;
  }
  // No core file is written: the status says "killed" without the core flag, as with RLIMIT_CORE 0.
  kill_group_locked(group, signo);
}

/** Stop signals of the terminal do nothing in an orphaned process group. Called under the group's lock. */
function orphaned(group: Ptr<'ThreadGroup'>): boolean {
  unlock_signals(group);
  lock_tasklist();
  const result = process_group_is_orphaned(ThreadGroup.process_group.get(group));
  unlock_tasklist();
  lock_signals(group);
  return result;
}

/** Builds the frame of a handler; a stack that cannot take it is SIGSEGV. */
function run_handler(signo: number): void {
  finish_interrupted_call(action.handler, action.flags);
  const saved = Task.restore_mask.get(current) !== 0 ? Task.saved_blocked_signals : Task.blocked_signals;
  const mask_lo = saved.lo(current);
  const mask_hi = saved.hi(current);
  if (!setup_signal_frame(signo, taken, action, mask_lo, mask_hi)) {
    force_signal(SIGSEGV, siginfo_kernel(SIGSEGV), signo === SIGSEGV);
    return;
  }
  Task.restore_mask.set(current, 0);
  const own_lo = (action.flags & SA_NODEFER) === 0 && signo <= 32 ? 1 << (signo - 1) : 0;
  const own_hi = (action.flags & SA_NODEFER) === 0 && signo > 32 ? 1 << (signo - 33) : 0;
  set_blocked(
    Task.blocked_signals.lo(current) | action.mask_lo | own_lo,
    Task.blocked_signals.hi(current) | action.mask_hi | own_hi,
  );
}

/** Sets the current task's mask (never SIGKILL, SIGSTOP) and looks again at what is pending. */
export function set_blocked(lo: number, hi: number): void {
  const group = Task.group.get(current);
  lock_signals(group);
  const old_lo = Task.blocked_signals.lo(current);
  const old_hi = Task.blocked_signals.hi(current);
  const new_lo = lo & ~0x4_0100;
  Task.blocked_signals.set_parts(current, new_lo, hi);
  if (((new_lo & ~old_lo) | (hi & ~old_hi)) !== 0) retarget(group, new_lo & ~old_lo, hi & ~old_hi);
  recalculate_pending(current);
  unlock_signals(group);
}

/** Signals pending for the group that this thread no longer takes are offered to its siblings. */
function retarget(group: Ptr<'ThreadGroup'>, lo: number, hi: number): void {
  const shared = ThreadGroup.pending.at(group);
  if (((PendingSignals.set.lo(shared) & lo) | (PendingSignals.set.hi(shared) & hi)) === 0) return;
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t))
    if (t !== current && next_signal(shared, Task.blocked_signals.lo(t), Task.blocked_signals.hi(t)) !== 0)
      notify_task(t);
}

function restore_saved_mask(): void {
  if (Task.restore_mask.get(current) === 0) return;
  Task.restore_mask.set(current, 0);
  set_blocked(Task.saved_blocked_signals.lo(current), Task.saved_blocked_signals.hi(current));
}

/** For sigsuspend, ppoll, pselect, epoll_pwait: a mask for the duration of the call, undone after delivery. */
export function set_temporary_mask(lo: number, hi: number): void {
  if (Task.restore_mask.get(current) === 0) {
    Task.saved_blocked_signals.set_parts(current, Task.blocked_signals.lo(current), Task.blocked_signals.hi(current));
    Task.restore_mask.set(current, 1);
  }
  set_blocked(lo, hi);
}

/** The call ended without a signal: back to the mask before `set_temporary_mask`. */
export function end_temporary_mask(): void {
  restore_saved_mask();
}

/**
 * Settles the system call that ended with an internal restart code (signal(7), "Interruption of system calls"):
 * it is made again, or answers EINTR. `handler` is 0 when no handler runs.
 */
function finish_interrupted_call(handler: number, flags: number): void {
  const number = Task.syscall_number.get(current);
  if (number < 0) return;
  Task.syscall_number.set(current, -1);
  const rax = current_cpu >> 2;
  const code = -(I32[rax] as number);
  if (I32[rax + 1] !== -1) return;
  let again = -1;
  if (code === ERESTARTNOINTR || (code === ERESTARTSYS && (handler === 0 || (flags & SA_RESTART) !== 0)))
    again = number;
  else if (handler === 0 && code === ERESTARTNOHAND) again = number;
  else if (handler === 0 && code === ERESTART_RESTARTBLOCK) again = NR_RESTART_SYSCALL;
  else if (code !== ERESTARTSYS && code !== ERESTARTNOHAND && code !== ERESTART_RESTARTBLOCK) return;
  I32[rax] = again >= 0 ? again : -EINTR;
  I32[rax + 1] = again >= 0 ? 0 : -1;
  if (again >= 0)
    CpuState.rip.set_big(current_cpu, CpuState.rip.get_big(current_cpu) - BigInt(SYSCALL_INSTRUCTION_BYTES));
}

/**
 * A signal that the current task cannot refuse: from a fault. When it is blocked or ignored, its action becomes the
 * default first (Linux's force_sig_info); `fatal` makes it the default in any case.
 */
export function force_signal(signo: number, info: Int32Array, fatal = false): void {
  const group = Task.group.get(current);
  lock_signals(group);
  const blocked = set_has(Task.blocked_signals, current, signo);
  read_handler_and_reset(group, signo, blocked || fatal);
  if (blocked) set_delete(Task.blocked_signals, current, signo);
  flush_pending(Task.pending.at(current), signo);
  send_locked(group, current, signo, info, 0);
  recalculate_pending(current);
  unlock_signals(group);
}

function read_handler_and_reset(group: Ptr<'ThreadGroup'>, signo: number, reset: boolean): void {
  const sighand = ThreadGroup.sighand.get(group);
  lock(SigHand.lock.at(sighand), SIGHAND_LOCK);
  const at = action_address(group, signo);
  if (reset || F64[(at + ACTION_HANDLER) >> 3] === SIG_IGN) F64[(at + ACTION_HANDLER) >> 3] = SIG_DFL;
  unlock(SigHand.lock.at(sighand), SIGHAND_LOCK);
}

/** Whether a default action writes a core file on Linux: what WCOREDUMP could say. */
export function dumps_core(signo: number): boolean {
  return default_action(signo) === DEFAULT_CORE;
}
