// @hot
/**
 * Vectors of user buffers (struct iovec: base, length; 16 bytes) for readv, writev and their kin.
 */
import { EFAULT, EINVAL } from '../abi/errno.ts';
import { U32 } from '../heap/memory.ts';
import type { IoCursor } from '../machine/io.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { get_user_u64, pin, user_read_address } from './uaccess.ts';

/** Most buffers of one vectored call. */
export const IOV_MAX = 1024;
/** Bytes of a struct iovec. */
export const IOVEC_BYTES = 16;
/** Most bytes of one read or write: whole pages below 2 GiB (read(2), NOTES). */
export const MAX_RW_COUNT = 0x7fff_f000;
const TWO_32 = 4294967296;
const SSIZE_MAX = 2 ** 63;

/**
 * Validates a vector (import_iovec): the sum of its lengths, cut to MAX_RW_COUNT, or -EINVAL for a
 * bad count or a negative length, -EFAULT for a vector or buffer outside user memory.
 */
export function iovec_length(uaddr: number, count: number): number {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (!load_iovec(uaddr + i * IOVEC_BYTES)) return -EFAULT;
    if (iov_length >= SSIZE_MAX) return -EINVAL;
    if (iov_base + iov_length > TASK_SIZE && iov_length > 0) return -EFAULT;
    total += iov_length;
  }
  return Math.min(total, MAX_RW_COUNT);
}

let iov_base = 0;
let iov_length = 0;

/** Base of the element read last, by `load_iovec`. */
export function loaded_base(): number {
  return iov_base;
}

/** Length of the element read last. */
export function loaded_length(): number {
  return iov_length;
}

/** Reads one element of a vector; false for -EFAULT. */
export function load_iovec(uaddr: number): boolean {
  if ((uaddr & 7) === 0 && (uaddr & 0xfff) <= 4096 - IOVEC_BYTES) {
    const at = user_read_address(uaddr);
    if (at < 0) return false;
    const word = at >>> 2;
    iov_base = (U32[word + 1] as number) * TWO_32 + (U32[word] as number);
    iov_length = (U32[word + 3] as number) * TWO_32 + (U32[word + 2] as number);
    return true;
  }
  iov_base = get_user_u64(uaddr);
  iov_length = iov_base < 0 ? -1 : get_user_u64(uaddr + 8);
  return iov_length >= 0;
}

/**
 * Appends the buffers of a vector to the cursor, leaving out the first `skip` bytes and stopping after
 * `limit` bytes: the bytes appended (fewer when the cursor is full or a later page faults), or -EFAULT
 * when nothing could be. The vector was validated by `iovec_length`.
 */
export function pin_iovec(
  io: IoCursor,
  uaddr: number,
  count: number,
  skip: number,
  limit: number,
  write: boolean,
): number {
  let done = 0;
  for (let i = 0; i < count && done < limit; i++) {
    if (!load_iovec(uaddr + i * IOVEC_BYTES)) return done > 0 ? done : -EFAULT;
    const base = iov_base;
    const length = iov_length;
    if (skip >= length) {
      skip -= length;
      continue;
    }
    const wanted = Math.min(length - skip, limit - done);
    const n = pin(io, base + skip, wanted, write);
    if (n < 0) return done > 0 ? done : n;
    done += n;
    if (n < wanted) return done;
    skip = 0;
  }
  return done;
}
