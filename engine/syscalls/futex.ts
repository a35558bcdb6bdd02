/**
 * Futexes: futex(2), futex_waitv(2), set_robust_list(2).
 */
import { EAGAIN, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM, ERESTARTSYS, ESRCH, ETIMEDOUT } from '../abi/errno.ts';
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from '../abi/time.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u32, arg_u64 } from '../kernel/args.ts';
import { deadline_passed, set_deadline, set_timeout, signal_pending, wait_armed } from '../kernel/block.ts';
import { absolute_to_monotonic } from '../kernel/clock_id.ts';
import { current } from '../kernel/current.ts';
import { FutexWaiter } from '../kernel/futex.layout.ts';
import { futex_dequeue, futex_enqueue, futex_requeue, futex_wait, futex_wake, futex_wake_op } from '../kernel/futex.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { may_signal } from '../kernel/kill.ts';
import { find_task } from '../kernel/pid.ts';
import { RESTART_FUTEX, register_restart } from '../kernel/restart.ts';
import { put_long, stage_i64, stage_in, stage_timespec } from '../kernel/stage.ts';
import { TASK_WOKEN, Task } from '../kernel/task.layout.ts';
import { copy_in, get_user_u32 } from '../mm/uaccess.ts';
import { full, partial, type SyscallRow } from './row.ts';

const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const FUTEX_REQUEUE = 3;
const FUTEX_CMP_REQUEUE = 4;
const FUTEX_WAKE_OP = 5;
const FUTEX_WAIT_BITSET = 9;
const FUTEX_WAKE_BITSET = 10;
const FUTEX_PRIVATE_FLAG = 128;
const FUTEX_CLOCK_REALTIME = 256;
const MATCH_ANY = 0xffff_ffff;

/** Sets the deadline of a wait from its timespec (0: none); 0 or -errno. Relative unless `absolute`. */
function wait_deadline(timeout_at: number, absolute: boolean, clock: number): number {
  if (timeout_at === 0 || Task.syscall_deadline.get(current) !== 0) return 0;
  if (stage_in(timeout_at, 16) < 0) return -EFAULT;
  const ns = stage_timespec(0);
  if (ns < 0) return -EINVAL;
  if (absolute) set_deadline(absolute_to_monotonic(clock, stage_i64(0), stage_i64(8)));
  else set_timeout(ns);
  return 0;
}

/** Whether the operation works on a second word, at argument 4. */
function has_second_word(command: number): boolean {
  return command === FUTEX_REQUEUE || command === FUTEX_CMP_REQUEUE || command === FUTEX_WAKE_OP;
}

function sys_futex(): number {
  const uaddr = arg_u64(0);
  const op = arg_u32(1);
  const command = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  const shared = (op & FUTEX_PRIVATE_FLAG) === 0;
  const realtime = (op & FUTEX_CLOCK_REALTIME) !== 0;
  if (realtime && command !== FUTEX_WAIT_BITSET) return -ENOSYS;
  // Addresses above 2^53 are rounded as doubles: whether one is aligned is in its low half.
  if ((arg_lo(0) & 3) !== 0 || (has_second_word(command) && (arg_lo(4) & 3) !== 0)) return -EINVAL;
  switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
      const bitset = command === FUTEX_WAIT_BITSET ? arg_u32(5) : MATCH_ANY;
      const clock = realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
      const bad = wait_deadline(arg_u64(3), command === FUTEX_WAIT_BITSET, clock);
      return bad < 0 ? bad : futex_wait(uaddr, arg_u32(2), shared, bitset);
    }
    case FUTEX_WAKE:
      return futex_wake(uaddr, arg_i32(2), shared, MATCH_ANY);
    case FUTEX_WAKE_BITSET:
      return futex_wake(uaddr, arg_i32(2), shared, arg_u32(5));
    case FUTEX_REQUEUE:
      return futex_requeue(uaddr, arg_u64(4), arg_i32(2), arg_i32(3), -1, shared);
    case FUTEX_CMP_REQUEUE:
      return futex_requeue(uaddr, arg_u64(4), arg_i32(2), arg_i32(3), arg_u32(5), shared);
    case FUTEX_WAKE_OP:
      return futex_wake_op(uaddr, arg_u64(4), arg_i32(2), arg_i32(3), arg_u32(5), shared);
    default:
      return -ENOSYS;
  }
}
register_restart(RESTART_FUTEX, sys_futex);

const WAITV_LIMIT = 128;
const WAITV_BYTES = 24;
const FUTEX2_SIZE_U32 = 2;

/** futex_waitv(2): sleeps until one of several words is woken; its index. */
function sys_futex_waitv(): number {
  const count = arg_u32(1);
  if (arg_u32(2) !== 0 || count === 0 || count > WAITV_LIMIT || arg_u64(0) === 0) return -EINVAL;
  const clock = arg_i32(4);
  if (arg_u64(3) !== 0 && clock !== CLOCK_MONOTONIC && clock !== CLOCK_REALTIME) return -EINVAL;
  const bad = wait_deadline(arg_u64(3), true, clock);
  if (bad < 0) return bad;
  if (Task.syscall_phase.get(current) === 0) {
    const started = start_waitv(count);
    if (started !== 0) return started;
  }
  const passed = deadline_passed();
  if (first_woken() < 0 && !passed && !signal_pending()) return wait_armed();
  const woken = end_waitv();
  if (woken >= 0) return woken;
  return passed ? -ETIMEDOUT : -ERESTARTSYS;
}

/**
 * Reads the structs futex_waitv, once, to a heap page, queues a waiter for each word, last first, then compares the words:
 * 0, or the result of a call that ends at once.
 */
function start_waitv(count: number): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  Task.state.and(current, ~TASK_WOKEN);
  Task.syscall_phase.set(current, 1);
  let error = take_waitv(page, count);
  for (let i = count - 1; i >= 0 && error === 0; i--) error = queue_one(page + i * WAITV_BYTES);
  for (let i = 0; i < count && error === 0; i++) {
    const word = get_user_u32(word_address(page + i * WAITV_BYTES));
    if (word !== U32[(page + i * WAITV_BYTES) >> 2]) error = word < 0 ? -EFAULT : -EAGAIN;
  }
  heap_page_free(page);
  if (error === 0) return 0;
  const woken = end_waitv();
  return woken >= 0 ? woken : error;
}

/** Copies the structs futex_waitv (value 8, address 8, flags 4, reserved 4) to a heap page: 0, -EFAULT, -EINVAL. */
function take_waitv(page: number, count: number): number {
  const known = FUTEX_PRIVATE_FLAG | FUTEX2_SIZE_U32;
  for (let i = 0; i < count; i++) {
    const at = page + i * WAITV_BYTES;
    if (copy_in(at, arg_u64(0) + i * WAITV_BYTES, WAITV_BYTES) < 0) return -EFAULT;
    const flags = U32[(at >> 2) + 4] as number;
    if ((flags & ~known) !== 0 || (flags & FUTEX2_SIZE_U32) === 0 || U32[(at >> 2) + 5] !== 0) return -EINVAL;
  }
  return 0;
}

function word_address(at: number): number {
  return (U32[(at >> 2) + 3] as number) * 4294967296 + (U32[(at >> 2) + 2] as number);
}

/** Queues the waiter described at a machine address. */
function queue_one(at: number): number {
  const shared = ((U32[(at >> 2) + 4] as number) & FUTEX_PRIVATE_FLAG) === 0;
  const queued = futex_enqueue(word_address(at), shared, MATCH_ANY);
  if (queued < 0) return queued;
  FutexWaiter.sibling.set(queued as Ptr<'FutexWaiter'>, Task.syscall_aux.get(current) as Ptr<'FutexWaiter'>);
  Task.syscall_aux.set(current, queued);
  return 0;
}

/** Index of the first waiter that was woken, -1 when none was. */
function first_woken(): number {
  let waiter = Task.syscall_aux.get(current) as Ptr<'FutexWaiter'>;
  for (let i = 0; waiter !== 0; i++, waiter = FutexWaiter.sibling.get(waiter))
    if (FutexWaiter.woken.load(waiter) !== 0) return i;
  return -1;
}

/** Ends all waits of the call: the index of the last one woken, -1. */
function end_waitv(): number {
  let woken = -1;
  let waiter = Task.syscall_aux.get(current) as Ptr<'FutexWaiter'>;
  Task.syscall_aux.set(current, 0);
  for (let i = 0; waiter !== 0; i++) {
    const next = FutexWaiter.sibling.get(waiter);
    if (futex_dequeue(waiter)) woken = i;
    waiter = next;
  }
  return woken;
}

const ROBUST_LIST_HEAD_BYTES = 24;

function sys_set_robust_list(): number {
  if (arg_u64(1) !== ROBUST_LIST_HEAD_BYTES) return -EINVAL;
  Task.robust_list.set(current, arg_u64(0));
  return 0;
}

function sys_get_robust_list(): number {
  const tid = arg_i32(0);
  lock_tasklist();
  const task = tid === 0 ? current : find_task(tid);
  const allowed = task !== 0 && may_signal(task, 0);
  const head = task === 0 ? 0 : Task.robust_list.get(task);
  unlock_tasklist();
  if (task === 0) return -ESRCH;
  if (!allowed) return -EPERM;
  const fault = put_long(arg_u64(2), ROBUST_LIST_HEAD_BYTES);
  return fault < 0 ? fault : put_long(arg_u64(1), head);
}

export const FUTEX_ROWS: readonly SyscallRow[] = [
  partial(
    202,
    'futex',
    'priority inheritance operations answer ENOSYS',
    sys_futex,
    'uaddr:ptr',
    'op:enum(futex)',
    'val:uint',
    'timeout:ptr',
    'uaddr2:ptr',
    'val3:uint',
  ),
  full(273, 'set_robust_list', sys_set_robust_list, 'head:ptr', 'len:size'),
  full(274, 'get_robust_list', sys_get_robust_list, 'pid:pid', 'head_ptr:ptr', 'len_ptr:ptr'),
  full(449, 'futex_waitv', sys_futex_waitv, 'waiters:ptr', 'nr:uint', 'flags:uint', 'timeout:ptr', 'clockid:int'),
];
