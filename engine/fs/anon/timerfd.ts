/**
 * timerfd_create(2): expirations are counted and read. The timer is armed for the next expiration only;
 * when it fires late, the expirations in between are counted at once.
 */
import { EAGAIN, EFAULT, EINVAL, ENOTTY } from '../../abi/errno.ts';
import { O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN, READABLE } from '../../abi/poll.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { slab } from '../../heap/slab.ts';
import { wake } from '../../heap/wait_queue.ts';
import type { IoCursor } from '../../machine/io.ts';
import { monotonic_ns } from '../../time/clock.ts';
import { register_timer, TIMER_TIMERFD, timer_arm, timer_cancel } from '../../time/timer.ts';
import { File } from '../../vfs/file.layout.ts';
import { anon_file, FILE_KIND_TIMERFD, no_transfer, register_file_operations } from '../../vfs/file.ts';
import { TimerFd } from './timerfd.layout.ts';

type F = Ptr<'TimerFd'>;

export const timerfd_slab = slab(TimerFd);

/** A disarmed timer's file, or 0 when the heap is exhausted. */
export function timerfd_create(clock: number, flags: number): Ptr<'File'> {
  const object = timerfd_slab.alloc();
  if (object === 0) return 0 as Ptr<'File'>;
  TimerFd.clock.set(object, clock);
  const file = anon_file(FILE_KIND_TIMERFD, object, O_RDWR | (flags & O_NONBLOCK));
  if (file === 0) timerfd_slab.free(object);
  return file;
}

/** The timer behind a file, or 0 when it is no timerfd. */
export function timerfd_of(file: Ptr<'File'>): F {
  return (File.kind.get(file) === FILE_KIND_TIMERFD ? File.object.get(file) : 0) as F;
}

/** Counts what has expired by `now` and moves the expiry behind it. Under the lock. */
function count_expirations(object: F, now: number): void {
  const expiry = TimerFd.expiry.get(object);
  if (expiry === 0 || expiry > now) return;
  const interval = TimerFd.interval.get(object);
  const count = interval === 0 ? 1 : Math.floor((now - expiry) / interval) + 1;
  TimerFd.ticks.set(object, TimerFd.ticks.get(object) + count);
  TimerFd.expiry.set(object, interval === 0 ? 0 : expiry + count * interval);
}

register_timer(TIMER_TIMERFD, (owner) => {
  const object = owner as F;
  lock(TimerFd.lock.at(object), ANON_LOCK);
  count_expirations(object, monotonic_ns());
  const next = TimerFd.expiry.get(object);
  if (next !== 0) timer_arm(TimerFd.timer.at(object), TIMER_TIMERFD, object, next);
  unlock(TimerFd.lock.at(object), ANON_LOCK);
  wake(TimerFd.queue.at(object), READABLE);
});

/** What timerfd_settime and timerfd_gettime tell: ns until the next expiration (0 disarmed), and the period. */
export const timerfd_setting = { left: 0, interval: 0 };

/** Leaves the present setting in `timerfd_setting`. */
export function timerfd_get(object: F): void {
  lock(TimerFd.lock.at(object), ANON_LOCK);
  const now = monotonic_ns();
  count_expirations(object, now);
  const expiry = TimerFd.expiry.get(object);
  timerfd_setting.left = expiry === 0 ? 0 : Math.max(1, expiry - now);
  timerfd_setting.interval = TimerFd.interval.get(object);
  unlock(TimerFd.lock.at(object), ANON_LOCK);
}

/** Arms the timer for `expiry` (monotonic ns, 0 disarms) with a period; expirations so far are forgotten. */
export function timerfd_set(object: F, expiry: number, interval: number): void {
  const timer = TimerFd.timer.at(object);
  timer_cancel(timer);
  lock(TimerFd.lock.at(object), ANON_LOCK);
  TimerFd.ticks.set(object, 0);
  TimerFd.expiry.set(object, expiry);
  TimerFd.interval.set(object, interval);
  if (expiry !== 0) timer_arm(timer, TIMER_TIMERFD, object, expiry);
  unlock(TimerFd.lock.at(object), ANON_LOCK);
}

function object_of(file: Ptr<'File'>): F {
  return File.object.get(file) as F;
}

function read(file: Ptr<'File'>, io: IoCursor): number {
  const object = object_of(file);
  if (io.wanted() < 8) return -EINVAL;
  lock(TimerFd.lock.at(object), ANON_LOCK);
  const ticks = TimerFd.ticks.get(object);
  if (ticks > 0) {
    TimerFd.value.set(object, ticks);
    TimerFd.ticks.set(object, 0);
  }
  const told = ticks > 0 ? io.fill_from(object + TimerFd.value.offset, 8) : 0;
  unlock(TimerFd.lock.at(object), ANON_LOCK);
  if (ticks === 0) return -EAGAIN;
  // What cannot be told is gone all the same.
  return told > 0 ? told : -EFAULT;
}

register_file_operations(FILE_KIND_TIMERFD, {
  name: 'timerfd',
  read,
  write: no_transfer,
  poll: (file) => (TimerFd.ticks.get(object_of(file)) > 0 ? POLLIN : 0),
  queue: (file) => TimerFd.queue.at(object_of(file)),
  // A position that nothing uses (Linux's noop_llseek).
  seek: () => 0,
  ioctl: () => -ENOTTY,
  release(file) {
    timer_cancel(TimerFd.timer.at(object_of(file)));
    timerfd_slab.free(object_of(file));
  },
});
