/** EventFd: a 64-bit counter that can be waited for (eventfd(2)). */
import { layout } from '../../heap/layout.ts';
import { Lock } from '../../heap/lock.ts';
import { WaitQueue } from '../../heap/wait_queue.ts';

const l = layout('EventFd');
export const EventFd = l.done(
  {
    lock: l.embed(Lock),
    queue: l.embed(WaitQueue),
    count: l.u64('guarded by lock'),
    /** A value on its way to or from a reader or writer. */
    value: l.u64('guarded by lock'),
    semaphore: l.u32('immutable'),
  },
  48,
);
