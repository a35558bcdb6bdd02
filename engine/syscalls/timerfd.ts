/** timerfd_create(2), timerfd_settime, timerfd_gettime; signalfd(2). */
import { CAP_WAKE_ALARM } from '../abi/capability.ts';
import { EBADF, EFAULT, EINVAL, EPERM } from '../abi/errno.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../abi/fcntl.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
} from '../abi/time.ts';
import type { Ptr } from '../base/types.ts';
import { is_signalfd, signalfd_create, signalfd_set_mask } from '../fs/anon/signalfd.ts';
import { TimerFd } from '../fs/anon/timerfd.layout.ts';
import { timerfd_create, timerfd_get, timerfd_of, timerfd_set, timerfd_setting } from '../fs/anon/timerfd.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { capable } from '../kernel/credentials.ts';
import { current_vcpu } from '../kernel/current.ts';
import { fd_opened } from '../kernel/fd_table.ts';
import { stage_in } from '../kernel/stage.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in } from '../mm/uaccess.ts';
import { monotonic_from_wall, monotonic_ns } from '../time/clock.ts';
import { install_new } from './eventfd.ts';
import { full, type SyscallRow } from './row.ts';
import { last_read, read_timespec, write_timespec } from './user_time.ts';

const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;
const CLOCKS = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM];

function sys_timerfd_create(): number {
  const clock = arg_i32(0);
  const flags = arg_lo(1);
  if (!CLOCKS.includes(clock) || (flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL;
  const alarm = clock === CLOCK_REALTIME_ALARM || clock === CLOCK_BOOTTIME_ALARM;
  if (alarm && !capable(CAP_WAKE_ALARM)) return -EPERM;
  return install_new(timerfd_create(clock, flags), flags);
}

/** The timer of a descriptor, or -EBADF, -EINVAL. */
function timer_at(fd: number): number {
  const file = fd_opened(fd);
  if (file === 0) return -EBADF;
  const object = timerfd_of(file);
  return object === 0 ? -EINVAL : object;
}

/** Stores a struct itimerspec with the setting read last. */
function write_setting(address: number): number {
  if (write_timespec(address, timerfd_setting.interval) < 0) return -EFAULT;
  return write_timespec(address + 16, timerfd_setting.left) < 0 ? -EFAULT : 0;
}

/** Monotonic expiry of a first expiration `value` ns from now or, absolute, on the timer's clock. */
function expiry_of(clock: number, value: number, absolute: boolean): number {
  if (value === 0) return 0;
  if (!absolute) return monotonic_ns() + value;
  const wall = clock === CLOCK_REALTIME || clock === CLOCK_REALTIME_ALARM;
  const at = wall ? monotonic_from_wall(last_read.seconds, last_read.nanoseconds) : value;
  return Math.max(1, at);
}

function sys_timerfd_settime(): number {
  const flags = arg_lo(1);
  if (stage_in(arg_u64(2), 32) < 0) return -EFAULT;
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL;
  const interval = read_timespec(arg_u64(2));
  const value = interval < 0 ? interval : read_timespec(arg_u64(2) + 16);
  if (value < 0) return value;
  const object = timer_at(arg_i32(0));
  if (object < 0) return object;
  const timer = object as Ptr<'TimerFd'>;
  timerfd_get(timer);
  timerfd_set(timer, expiry_of(TimerFd.clock.get(timer), value, (flags & TFD_TIMER_ABSTIME) !== 0), interval);
  return arg_u64(3) === 0 ? 0 : write_setting(arg_u64(3));
}

function sys_timerfd_gettime(): number {
  const object = timer_at(arg_i32(0));
  if (object < 0) return object;
  timerfd_get(object as Ptr<'TimerFd'>);
  return write_setting(arg_u64(1));
}

function make_signalfd(size: number, flags: number): number {
  if (size !== 8 || (flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL;
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, arg_u64(1), 8) < 0) return -EFAULT;
  const lo = U32[scratch >> 2] as number;
  const hi = U32[(scratch >> 2) + 1] as number;
  const fd = arg_i32(0);
  if (fd === -1) return install_new(signalfd_create(lo, hi, flags), flags);
  const file = fd_opened(fd);
  if (file === 0) return -EBADF;
  if (!is_signalfd(file)) return -EINVAL;
  signalfd_set_mask(file, lo, hi);
  return fd;
}

function sys_signalfd(): number {
  return make_signalfd(arg_lo(2), 0);
}

function sys_signalfd4(): number {
  return make_signalfd(arg_lo(2), arg_lo(3));
}

export const TIMERFD_ROWS: readonly SyscallRow[] = [
  full(282, 'signalfd', sys_signalfd, 'fd:fd', 'mask:struct(sigset)', 'size:size'),
  full(283, 'timerfd_create', sys_timerfd_create, 'clock:enum(CLOCK)', 'flags:flags(O)'),
  full(
    286,
    'timerfd_settime',
    sys_timerfd_settime,
    'fd:fd',
    'flags:int',
    'new:struct(itimerspec)',
    'old:outstruct(itimerspec)',
  ),
  full(287, 'timerfd_gettime', sys_timerfd_gettime, 'fd:fd', 'value:outstruct(itimerspec)'),
  full(289, 'signalfd4', sys_signalfd4, 'fd:fd', 'mask:struct(sigset)', 'size:size', 'flags:flags(O)'),
];
