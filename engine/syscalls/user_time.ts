/** Time structures of the guest: struct timespec and struct timeval, as nanoseconds. */
import { EFAULT, EINVAL } from '../abi/errno.ts';
import { I32, U32 } from '../heap/memory.ts';
import { deadline_remaining } from '../kernel/block.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, copy_out } from '../mm/uaccess.ts';

const TWO_32 = 4294967296;
const NS_PER_SECOND = 1e9;
/** Longest time told apart from forever (Linux's KTIME_MAX); beyond 104 days a double does not count every nanosecond. */
const LONGEST_NS = 2 ** 63;

/** What was read last, not capped: an instant of the wall clock is later than LONGEST_NS. */
export const last_read = { seconds: 0, nanoseconds: 0 };

/** Reads two 64-bit numbers; their fraction is in units of `unit_ns` and below `limit`. */
function read_pair(address: number, unit_ns: number, limit: number): number {
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, address, 16) < 0) return -EFAULT;
  const at = scratch >> 2;
  const seconds = (I32[at + 1] as number) * TWO_32 + (U32[at] as number);
  const fraction = (I32[at + 3] as number) * TWO_32 + (U32[at + 2] as number);
  if (seconds < 0 || fraction < 0 || fraction >= limit) return -EINVAL;
  last_read.seconds = seconds;
  last_read.nanoseconds = fraction * unit_ns;
  return Math.min(seconds * NS_PER_SECOND + fraction * unit_ns, LONGEST_NS);
}

/** Nanoseconds of the struct timespec at `address`, capped; -EINVAL when it is not normalised, -EFAULT. */
export function read_timespec(address: number): number {
  return read_pair(address, 1, NS_PER_SECOND);
}

/** Nanoseconds of the struct timeval at `address`, capped; -EINVAL when negative, -EFAULT. */
export function read_timeval(address: number): number {
  return read_pair(address, 1000, Number.POSITIVE_INFINITY);
}

/**
 * The timeout of a call at `address`: ns, Infinity for a null pointer, or -errno. Once the call has a deadline, what is
 * left of it, and never nothing: the deadline itself decides.
 */
export function first_timeout(address: number, is_timespec: boolean): number {
  if (address === 0) return Number.POSITIVE_INFINITY;
  if (Task.syscall_deadline.get(current) !== 0) return deadline_remaining() + 1;
  return is_timespec ? read_timespec(address) : read_timeval(address);
}

function write_pair(address: number, seconds: number, fraction: number): number {
  const at = Vcpu.scratch.at(current_vcpu) >> 2;
  U32[at] = seconds;
  U32[at + 1] = Math.floor(seconds / TWO_32);
  U32[at + 2] = fraction;
  U32[at + 3] = 0;
  return copy_out(address, Vcpu.scratch.at(current_vcpu), 16) < 0 ? -EFAULT : 0;
}

/** Stores nanoseconds as a struct timespec: 0 or -EFAULT. */
export function write_timespec(address: number, ns: number): number {
  return write_pair(address, Math.floor(ns / NS_PER_SECOND), ns % NS_PER_SECOND);
}

/** Stores nanoseconds as a struct timeval: 0 or -EFAULT. */
export function write_timeval(address: number, ns: number): number {
  return write_pair(address, Math.floor(ns / NS_PER_SECOND), Math.floor((ns % NS_PER_SECOND) / 1000));
}
