/** epoll(7): epoll_create(2), epoll_ctl(2), epoll_wait(2). */
import { EBADF, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ERESTARTSYS } from '../abi/errno.ts';
import { O_CLOEXEC } from '../abi/fcntl.ts';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLEXCLUSIVE, EPOLLWAKEUP, POLLIN } from '../abi/poll.ts';
import type { Ptr } from '../base/types.ts';
import {
  EPOLL_EVENT_SIZE,
  epoll_add,
  epoll_collect,
  epoll_create,
  epoll_delete,
  epoll_modify,
  epoll_ready_count,
  is_epoll,
} from '../fs/anon/epoll.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { deadline_passed, set_timeout, wait_on } from '../kernel/block.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_install, fd_opened, hold_file } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, pin, user_range } from '../mm/uaccess.ts';
import { file_operations, file_put } from '../vfs/file.ts';
import { full, type SyscallRow } from './row.ts';
import { begin_mask, end_mask } from './temporary_mask.ts';
import { io } from './transfer.ts';
import { first_timeout } from './user_time.ts';

/** Bound of Linux (EP_MAX_EVENTS). */
const MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_SIZE);
/** Events reported by one call at most here: what one cursor holds. */
const MAX_BATCH = 4096;
const EXCLUSIVE_ALLOWED = 0xb000_001d;

function create(flags: number): number {
  const file = epoll_create();
  if (file === 0) return -ENOMEM;
  const fd = fd_install(Task.files.get(current), file, flags);
  if (fd < 0) file_put(file);
  return fd;
}

function sys_epoll_create(): number {
  return arg_i32(0) <= 0 ? -EINVAL : create(0);
}

function sys_epoll_create1(): number {
  return (arg_lo(0) & ~O_CLOEXEC) !== 0 ? -EINVAL : create(arg_lo(0));
}

/** Whether a file can announce events at all (Linux's file_can_poll): a directory or a file on a disk cannot. */
function can_be_polled(file: Ptr<'File'>): boolean {
  return file_operations(file).queue(file) !== 0;
}

function sys_epoll_ctl(): number {
  const operation = arg_i32(1);
  let events = 0;
  let lo = 0;
  let hi = 0;
  if (operation !== EPOLL_CTL_DEL) {
    const scratch = Vcpu.scratch.at(current_vcpu);
    if (copy_in(scratch, arg_u64(3), EPOLL_EVENT_SIZE) < 0) return -EFAULT;
    events = U32[scratch >> 2] as number;
    lo = U32[(scratch >> 2) + 1] as number;
    hi = U32[(scratch >> 2) + 2] as number;
  }
  const epoll = fd_opened(arg_i32(0));
  const fd = arg_i32(2);
  const file = fd_opened(fd);
  if (epoll === 0 || file === 0) return -EBADF;
  if (!can_be_polled(file)) return -EPERM;
  if (epoll === file || !is_epoll(epoll)) return -EINVAL;
  // A bit that would keep the system awake means nothing here.
  events = (events & ~EPOLLWAKEUP) >>> 0;
  switch (operation) {
    case EPOLL_CTL_ADD:
      if ((events & EPOLLEXCLUSIVE) !== 0 && (events & ~EXCLUSIVE_ALLOWED) !== 0) return -EINVAL;
      return epoll_add(epoll, fd, file, events, lo, hi);
    case EPOLL_CTL_MOD:
      if ((events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
      return epoll_modify(epoll, fd, file, events, lo, hi);
    case EPOLL_CTL_DEL:
      return epoll_delete(epoll, fd, file);
    default:
      return -EINVAL;
  }
}

/** Waits for events; `timeout_ns` is 0 for no wait, Infinity for no limit. */
function wait_for_events(timeout_ns: number): number {
  const fd = arg_i32(0);
  const file = fd_opened(fd);
  if (file === 0) return -EBADF;
  const max = arg_i32(2);
  if (max <= 0 || max > MAX_EVENTS) return -EINVAL;
  if (!user_range(arg_u64(1), max * EPOLL_EVENT_SIZE)) return -EFAULT;
  if (!is_epoll(file)) return -EINVAL;
  if (epoll_ready_count(file) > 0) {
    io.reset();
    pin(io, arg_u64(1), Math.min(max, MAX_BATCH) * EPOLL_EVENT_SIZE, true);
    const room = Math.floor(io.remaining / EPOLL_EVENT_SIZE);
    if (room === 0) return -EFAULT;
    const n = epoll_collect(file, io, Math.min(max, room));
    if (n !== 0) return n;
  }
  if (timeout_ns === 0) return 0;
  if (timeout_ns !== Number.POSITIVE_INFINITY) set_timeout(timeout_ns);
  if (deadline_passed()) return 0;
  if (!hold_file(fd, file)) return -ENOMEM;
  const result = wait_on(file_operations(file).queue(file), POLLIN, true);
  return result === -ERESTARTSYS ? -EINTR : result;
}

function milliseconds(ms: number): number {
  return ms < 0 ? Number.POSITIVE_INFINITY : ms * 1e6;
}

function sys_epoll_wait(): number {
  return wait_for_events(milliseconds(arg_i32(3)));
}

function sys_epoll_pwait(): number {
  const masked = begin_mask(arg_u64(4), arg_u64(5));
  return masked < 0 ? masked : end_mask(wait_for_events(milliseconds(arg_i32(3))));
}

function sys_epoll_pwait2(): number {
  const timeout = first_timeout(arg_u64(3), true);
  if (timeout < 0) return timeout;
  const masked = begin_mask(arg_u64(4), arg_u64(5));
  return masked < 0 ? masked : end_mask(wait_for_events(timeout));
}

export const EPOLL_ROWS: readonly SyscallRow[] = [
  full(213, 'epoll_create', sys_epoll_create, 'size:int'),
  full(232, 'epoll_wait', sys_epoll_wait, 'epfd:fd', 'events:ptr', 'maxevents:int', 'timeout:int'),
  full(233, 'epoll_ctl', sys_epoll_ctl, 'epfd:fd', 'op:enum(EPOLL_CTL)', 'fd:fd', 'event:struct(epoll_event)'),
  full(
    281,
    'epoll_pwait',
    sys_epoll_pwait,
    'epfd:fd',
    'events:ptr',
    'maxevents:int',
    'timeout:int',
    'mask:struct(sigset)',
    'size:size',
  ),
  full(291, 'epoll_create1', sys_epoll_create1, 'flags:flags(O)'),
  full(
    441,
    'epoll_pwait2',
    sys_epoll_pwait2,
    'epfd:fd',
    'events:ptr',
    'maxevents:int',
    'timeout:struct(timespec)',
    'mask:struct(sigset)',
    'size:size',
  ),
];
