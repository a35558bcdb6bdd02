/** TimerFd: a timer that is read (timerfd_create(2)). */
import { layout } from '../../heap/layout.ts';
import { Lock } from '../../heap/lock.ts';
import { WaitQueue } from '../../heap/wait_queue.ts';
import { Timer } from '../../time/time.layout.ts';

const l = layout('TimerFd');
export const TimerFd = l.done(
  {
    lock: l.embed(Lock),
    queue: l.embed(WaitQueue),
    timer: l.embed(Timer),
    clock: l.u32('immutable'),
    /** Flags of the last setting. */
    flags: l.u32('guarded by lock'),
    /** Expirations since the last read. */
    ticks: l.f64('guarded by lock'),
    /** Next expiration, monotonic ns, 0 disarmed; and the period in ns, 0 for one shot. */
    expiry: l.f64('guarded by lock'),
    interval: l.f64('guarded by lock'),
    /** A count on its way to a reader. */
    value: l.u64('guarded by lock'),
  },
  112,
);
