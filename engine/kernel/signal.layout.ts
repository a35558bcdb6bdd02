/**
 * Signal state: queued signals, the pending sets that hold them, and the table of actions.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

const q = layout('QueuedSignal');
/** One queued signal: the kernel's siginfo, in the guest's layout (struct siginfo, first 48 bytes). */
export const QueuedSignal = q.done(
  {
    next: q.ptr('QueuedSignal', 'guarded by sighand'),
    /** POSIX timer that sent it, 0 none: its overrun count is fetched at delivery. */
    timer: q.u32('guarded by sighand'),
    info: q.bytes(48, 8, 'guarded by sighand'),
  },
  56,
);

const p = layout('PendingSignals');
/** Signals sent to a task or a thread group and not yet taken: the set, and the queue of their infos. */
export const PendingSignals = p.done(
  {
    set: p.u64('guarded by sighand'),
    head: p.ptr('QueuedSignal', 'guarded by sighand'),
    tail: p.ptr('QueuedSignal', 'guarded by sighand'),
  },
  16,
);

/** One action, as rt_sigaction(2) takes it; addresses are doubles. */
export const ACTION_HANDLER = 0;
export const ACTION_RESTORER = 8;
export const ACTION_MASK = 16;
export const ACTION_FLAGS = 24;
export const ACTION_BYTES = 32;

const s = layout('SigHand');
/** The actions of a thread group; shared between groups by CLONE_SIGHAND without CLONE_THREAD. */
export const SigHand = s.done(
  {
    refs: s.atomic(),
    lock: s.embed(Lock),
    /** Actions of signals 1 to 64. */
    actions: s.bytes(64 * ACTION_BYTES, 8, 'guarded by lock'),
  },
  2064,
);
