/**
 * Sending signals (signal(7); Linux kernel/signal.c, send_signal): whom a signal is for, whether it is kept,
 * dropped or merged, which thread is woken for it. Taking and acting on signals is in signal_delivery.ts.
 *
 * Lock order: tasklist, then the group's lock, then the actions' lock; wakes go to run queues below all of them.
 */
import { EAGAIN } from '../abi/errno.ts';
import { RLIMIT_SIGPENDING } from '../abi/resource.ts';
import {
  DEFAULT_CONTINUE,
  DEFAULT_IGNORE,
  DEFAULT_STOP,
  DEFAULT_TERMINATE,
  default_action,
  NSIG,
  SI_USER,
  SIG_DFL,
  SIG_IGN,
  SIGCONT,
  SIGKILL,
  SIGRTMIN,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
} from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import type { U64Field } from '../heap/field.ts';
import { lock, unlock } from '../heap/lock.ts';
import { SIGHAND_LOCK } from '../heap/lock_order.ts';
import { F64, I32, U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { wake } from '../heap/wait_queue.ts';
import { INTERRUPT_SIGNAL } from '../machine/vcpu.layout.ts';
import { KernelRoot } from './kernel.layout.ts';
import { kernel_root } from './kernel.ts';
import { group_rlimit } from './limits.ts';
import { interrupt_task, wake_stopped, wake_task } from './scheduler.ts';
import { SIGINFO_WORDS } from './siginfo.ts';
import { ACTION_BYTES, ACTION_FLAGS, ACTION_HANDLER, PendingSignals, QueuedSignal, SigHand } from './signal.layout.ts';
import { Task, WORK_EXIT, WORK_SIGNAL, WORK_STOP } from './task.layout.ts';
import {
  GROUP_CONTINUE_REPORT,
  GROUP_EXITING,
  GROUP_NOTIFY_CONTINUED,
  GROUP_STOP_REPORT,
  GROUP_STOPPING,
  ThreadGroup,
} from './thread_group.layout.ts';

export const queued_signals = slab(QueuedSignal);

type T = Ptr<'Task'>;
type Group = Ptr<'ThreadGroup'>;
type Pending = Ptr<'PendingSignals'>;
const POLLIN = 1;

/** Acquires the lock of a group's signal state. */
export function lock_signals(group: Group): void {
  lock(ThreadGroup.lock.at(group), SIGHAND_LOCK);
}

/** Releases the lock of a group's signal state. */
export function unlock_signals(group: Group): void {
  unlock(ThreadGroup.lock.at(group), SIGHAND_LOCK);
}

/** Whether signal `signo` is in a set. */
export function set_has<R extends string>(field: U64Field<R>, p: Ptr<R>, signo: number): boolean {
  const half = signo <= 32 ? field.lo(p) : field.hi(p);
  return ((half >>> ((signo - 1) & 31)) & 1) !== 0;
}

/** Adds a signal to a set. */
export function set_add<R extends string>(field: U64Field<R>, p: Ptr<R>, signo: number): void {
  const bit = 1 << ((signo - 1) & 31);
  if (signo <= 32) field.set_parts(p, field.lo(p) | bit, field.hi(p));
  else field.set_parts(p, field.lo(p), field.hi(p) | bit);
}

/** Removes a signal from a set. */
export function set_delete<R extends string>(field: U64Field<R>, p: Ptr<R>, signo: number): void {
  const bit = 1 << ((signo - 1) & 31);
  if (signo <= 32) field.set_parts(p, field.lo(p) & ~bit, field.hi(p));
  else field.set_parts(p, field.lo(p), field.hi(p) & ~bit);
}

function action_at(group: Group, signo: number): number {
  return SigHand.actions.at(ThreadGroup.sighand.get(group)) + (signo - 1) * ACTION_BYTES;
}

/** A group's handler of a signal: SIG_DFL, SIG_IGN or an address. */
export function action_handler(group: Group, signo: number): number {
  return F64[(action_at(group, signo) + ACTION_HANDLER) >> 3] as number;
}

/** A group's SA_* flags of a signal. */
export function action_flags(group: Group, signo: number): number {
  return U32[(action_at(group, signo) + ACTION_FLAGS) >> 2] as number;
}

/** Machine address of a group's action of a signal, under the SigHand's lock. */
export function action_address(group: Group, signo: number): number {
  return action_at(group, signo);
}

/** Whether the group ignores a signal, by SIG_IGN or because its default does nothing. */
export function is_ignored(group: Group, signo: number): boolean {
  const handler = action_handler(group, signo);
  if (handler !== SIG_DFL) return handler === SIG_IGN;
  const action = default_action(signo);
  // Stopped threads go on when SIGCONT is sent, so that it has nothing left to do (Linux's SIG_KERNEL_IGNORE_MASK).
  return action === DEFAULT_IGNORE || action === DEFAULT_CONTINUE;
}

/**
 * Sends a signal to a process (kill). `info` is a siginfo image of siginfo.ts. 0; -EAGAIN when a real-time signal
 * cannot be queued.
 */
export function send_to_group(group: Group, signo: number, info: Int32Array): number {
  lock_signals(group);
  const result = send_locked(group, 0 as T, signo, info, 0);
  unlock_signals(group);
  return result;
}

/** Sends a signal to one thread (tgkill). As `send_to_group`. */
export function send_to_task(task: T, signo: number, info: Int32Array): number {
  const group = Task.group.get(task);
  lock_signals(group);
  const result = send_locked(group, task, signo, info, 0);
  unlock_signals(group);
  return result;
}

/** As the above under the group's lock; `task` 0 sends to the group. `timer` is the POSIX timer that sends, or 0. */
export function send_locked(group: Group, task: T, signo: number, info: Int32Array, timer: number): number {
  if (!prepare(group, task, signo)) return 0;
  const owner: Pending = task === 0 ? ThreadGroup.pending.at(group) : Task.pending.at(task);
  if (signo < SIGRTMIN && set_has(PendingSignals.set, owner, signo)) return 0;
  if (signo !== SIGKILL && !push(group, owner, info, timer) && signo >= SIGRTMIN && info[2] !== SI_USER) return -EAGAIN;
  set_add(PendingSignals.set, owner, signo);
  wake(ThreadGroup.signal_queue.at(group), POLLIN);
  complete(group, task, signo);
  return 0;
}

/** Appends to the queue; false when the limit or the heap does not allow it (the bit alone is then kept). */
function push(group: Group, owner: Pending, info: Int32Array, timer: number): boolean {
  const root = kernel_root();
  if (KernelRoot.queued_signals.load(root) >= group_rlimit(group, RLIMIT_SIGPENDING) && (info[2] as number) < 0)
    return false;
  const entry = queued_signals.alloc();
  if (entry === 0) return false;
  KernelRoot.queued_signals.add(root, 1);
  const at = QueuedSignal.info.at(entry) >> 2;
  for (let i = 0; i < SIGINFO_WORDS; i++) I32[at + i] = info[i] as number;
  QueuedSignal.timer.set(entry, timer);
  const tail = PendingSignals.tail.get(owner);
  if (tail === 0) PendingSignals.head.set(owner, entry);
  else QueuedSignal.next.set(tail, entry);
  PendingSignals.tail.set(owner, entry);
  return true;
}

/** Gives a queued signal's record back. */
export function queued_free(entry: Ptr<'QueuedSignal'>): void {
  KernelRoot.queued_signals.add(kernel_root(), -1);
  queued_signals.free(entry);
}

/** Takes every queued instance of a signal out of a pending set. Under the group's lock. */
export function flush_pending(owner: Pending, signo: number): void {
  if (!set_has(PendingSignals.set, owner, signo)) return;
  set_delete(PendingSignals.set, owner, signo);
  let previous = 0 as Ptr<'QueuedSignal'>;
  let entry = PendingSignals.head.get(owner);
  while (entry !== 0) {
    const next = QueuedSignal.next.get(entry);
    if (I32[QueuedSignal.info.at(entry) >> 2] === signo) {
      unlink(owner, previous, entry);
      queued_free(entry);
    } else previous = entry;
    entry = next;
  }
}

/** Takes one entry, whose predecessor is `previous` (0: the head), off a queue. */
export function unlink(owner: Pending, previous: Ptr<'QueuedSignal'>, entry: Ptr<'QueuedSignal'>): void {
  const next = QueuedSignal.next.get(entry);
  if (previous === 0) PendingSignals.head.set(owner, next);
  else QueuedSignal.next.set(previous, next);
  if (next === 0) PendingSignals.tail.set(owner, previous);
}

/** Drops everything pending: a task or group that ends. Under the group's lock. */
export function flush_all(owner: Pending): void {
  PendingSignals.set.set_parts(owner, 0, 0);
  let entry = PendingSignals.head.get(owner);
  PendingSignals.head.set(owner, 0 as Ptr<'QueuedSignal'>);
  PendingSignals.tail.set(owner, 0 as Ptr<'QueuedSignal'>);
  while (entry !== 0) {
    const next = QueuedSignal.next.get(entry);
    queued_free(entry);
    entry = next;
  }
}

/** Flushes a signal from the group and from all its threads. Under the group's lock. */
export function flush_everywhere(group: Group, signo: number): void {
  flush_pending(ThreadGroup.pending.at(group), signo);
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t))
    flush_pending(Task.pending.at(t), signo);
}

/** Linux's prepare_signal: the effects of SIGCONT and stop signals that do not wait; whether to go on. */
function prepare(group: Group, task: T, signo: number): boolean {
  const flags = ThreadGroup.flags.load(group);
  if ((flags & GROUP_EXITING) !== 0) return signo === SIGKILL && ThreadGroup.exec_task.get(group) !== 0;
  if (ThreadGroup.live.load(group) === 0) return false;
  if (default_action(signo) === DEFAULT_STOP) flush_everywhere(group, SIGCONT);
  else if (signo === SIGCONT) continue_group(group);
  return !dropped(group, task, signo);
}

/**
 * Whether a signal may be dropped at once: ignored, and not blocked (sigwait may be about to fetch it). That somebody
 * waits for it does not keep it, nor from being deadly, if it is not blocked too (sig_ignored, complete_signal).
 */
function dropped(group: Group, task: T, signo: number): boolean {
  const target = task === 0 ? ThreadGroup.leader.get(group) : task;
  return !set_has(Task.blocked_signals, target, signo) && is_ignored(group, signo);
}

/** SIGCONT: pending stops are void, stopped threads run, and the parent is told. Under the group's lock. */
function continue_group(group: Group): void {
  for (const signo of [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]) flush_everywhere(group, signo);
  const flags = ThreadGroup.flags.load(group);
  if ((flags & GROUP_STOPPING) === 0) return;
  ThreadGroup.flags.and(group, ~(GROUP_STOPPING | GROUP_STOP_REPORT));
  ThreadGroup.flags.or(group, GROUP_CONTINUE_REPORT | GROUP_NOTIFY_CONTINUED);
  ThreadGroup.stop_left.set(group, 0);
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) {
    Task.pending_work.and(t, ~WORK_STOP);
    wake_stopped(t);
  }
}

/** Linux's complete_signal: chooses a thread to take it, and ends the process at once when it is deadly. */
function complete(group: Group, task: T, signo: number): void {
  const target = choose(group, task, signo);
  if (target === 0) return;
  const deadly =
    signo === SIGKILL ||
    (action_handler(group, signo) === SIG_DFL &&
      default_action(signo) === DEFAULT_TERMINATE &&
      !set_has(Task.blocked_signals, target, signo));
  if (deadly) kill_group_locked(group, signo);
  else notify_task(target);
}

/** The thread that takes a signal: the one addressed, else the leader, else any that does not block it. */
function choose(group: Group, task: T, signo: number): T {
  if (task !== 0) return signo === SIGKILL || wants(task, signo) ? task : (0 as T);
  const leader = ThreadGroup.leader.get(group);
  if (wants(leader, signo)) return leader;
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) if (wants(t, signo)) return t;
  return signo === SIGKILL ? leader : (0 as T);
}

function wants(task: T, signo: number): boolean {
  if ((Task.state.load(task) & 0xff) > 2) return false;
  if (signo === SIGKILL) return true;
  return !set_has(Task.blocked_signals, task, signo) || set_has(Task.awaited_signals, task, signo);
}

/** Makes a thread look at its signals: out of a wait, out of guest code. */
export function notify_task(task: T): void {
  Task.pending_work.or(task, WORK_SIGNAL);
  wake_task(task);
  interrupt_task(task, INTERRUPT_SIGNAL);
}

/** Ends a whole process with a wait status: every thread is told. Under the group's lock; the first status stays. */
export function kill_group_locked(group: Group, wait_status: number): void {
  const flags = ThreadGroup.flags.load(group);
  if ((flags & GROUP_EXITING) === 0) {
    ThreadGroup.flags.or(group, GROUP_EXITING);
    ThreadGroup.exit_code.set(group, wait_status);
  }
  ThreadGroup.flags.and(group, ~GROUP_STOPPING);
  for (let t = ThreadGroup.threads.get(group); t !== 0; t = Task.thread_next.get(t)) kill_thread(t);
}

/** Tells one thread to end. */
export function kill_thread(task: T): void {
  Task.pending_work.or(task, WORK_SIGNAL | WORK_EXIT);
  Task.pending_work.and(task, ~WORK_STOP);
  wake_stopped(task);
  wake_task(task);
  interrupt_task(task, INTERRUPT_SIGNAL);
}

/** The lowest pending signal of a set that is not blocked, synchronous ones first; 0 when there is none. */
export function next_signal(owner: Pending, blocked_lo: number, blocked_hi: number): number {
  const lo = PendingSignals.set.lo(owner) & ~blocked_lo;
  const hi = PendingSignals.set.hi(owner) & ~blocked_hi;
  // SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV SIGSYS come before the others, as in Linux's next_signal.
  const synchronous = lo & 0x4000_04d8;
  if (synchronous !== 0) return 32 - Math.clz32(synchronous & -synchronous);
  if (lo !== 0) return 32 - Math.clz32(lo & -lo);
  if (hi !== 0) return 64 - Math.clz32(hi & -hi);
  return 0;
}

/** Whether a signal waits for the task that it does not block. Under the group's lock. */
export function has_deliverable(task: T): boolean {
  const lo = Task.blocked_signals.lo(task);
  const hi = Task.blocked_signals.hi(task);
  return (
    next_signal(Task.pending.at(task), lo, hi) !== 0 ||
    next_signal(ThreadGroup.pending.at(Task.group.get(task)), lo, hi) !== 0
  );
}

/** Sets or clears WORK_SIGNAL by what is pending (Linux's recalc_sigpending). Under the group's lock. */
export function recalculate_pending(task: T): void {
  const work = Task.pending_work.load(task);
  if ((work & WORK_EXIT) !== 0 || has_deliverable(task)) Task.pending_work.or(task, WORK_SIGNAL);
  else if ((work & WORK_SIGNAL) !== 0) Task.pending_work.and(task, ~WORK_SIGNAL);
}

/** Whether `signo` is a valid signal number, 1 to 64. */
export function is_signal(signo: number): boolean {
  return signo >= 1 && signo <= NSIG;
}

/** Whether the default action of a signal continues or stops: job control. */
export function is_job_control(signo: number): boolean {
  const action = default_action(signo);
  return action === DEFAULT_STOP || action === DEFAULT_CONTINUE;
}
