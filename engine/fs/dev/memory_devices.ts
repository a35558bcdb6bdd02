/**
 * The memory devices (null(4), random(4)): null, zero, full, random, urandom.
 */

import { EFAULT, ENOSPC, ENOTTY } from '../../abi/errno.ts';
import { RNDGETENTCNT } from '../../abi/ioctl.ts';
import { READABLE, WRITABLE } from '../../abi/poll.ts';
import type { Ptr } from '../../base/types.ts';
import type { IoCursor } from '../../machine/io.ts';
import { put_user_u32 } from '../../mm/uaccess.ts';
import { random_fill } from '../../time/random.ts';
import { register_stateless_device } from '../../vfs/device.ts';
import { File } from '../../vfs/file.layout.ts';
import {
  FILE_KIND_FULL,
  FILE_KIND_NULL,
  FILE_KIND_RANDOM,
  FILE_KIND_ZERO,
  type FileOperations,
  register_file_operations,
} from '../../vfs/file.ts';

export const MEMORY_MAJOR = 1;
export const NULL_MINOR = 3;
export const ZERO_MINOR = 5;
export const FULL_MINOR = 7;
export const RANDOM_MINOR = 8;
export const URANDOM_MINOR = 9;

/** What is thrown away is not looked at. */
function swallow(_file: Ptr<'File'>, io: IoCursor): number {
  const n = io.wanted();
  io.skip(io.remaining);
  return n;
}

/** Mixed into the pool, which needs no more. */
function mix(_file: Ptr<'File'>, io: IoCursor): number {
  const n = io.remaining;
  io.skip(n);
  return n === 0 && io.missing > 0 ? -EFAULT : n;
}

function zeros(_file: Ptr<'File'>, io: IoCursor): number {
  return io.remaining === 0 && io.missing > 0 ? -EFAULT : io.fill_zero(io.remaining);
}

/** Fills what is left of the cursor's pieces with random bytes. */
export function random_pieces(io: IoCursor): void {
  while (io.remaining > 0) {
    const n = io.piece_length();
    random_fill(io.piece_address(), n);
    io.advance(n);
  }
}

function random(_file: Ptr<'File'>, io: IoCursor): number {
  const total = io.remaining;
  random_pieces(io);
  return total === 0 && io.missing > 0 ? -EFAULT : total;
}

/** Seeking a memory device leaves it at the start (null_lseek). */
function rewind(file: Ptr<'File'>): number {
  File.position.set(file, 0);
  return 0;
}

/** Bits in the entropy pool, here and in /proc/sys/kernel/random. */
export const ENTROPY_BITS = 256;

function device(name: string, read: FileOperations['read'], write: FileOperations['write']): FileOperations {
  return {
    name,
    read,
    write,
    poll: () => READABLE | WRITABLE,
    queue: () => 0 as Ptr<'WaitQueue'>,
    seek: rewind,
    ioctl: () => -ENOTTY,
    release: () => {},
  };
}

register_file_operations(
  FILE_KIND_NULL,
  device('null', () => 0, swallow),
);
// Mapping /dev/zero is memory as if anonymous.
register_file_operations(FILE_KIND_ZERO, { ...device('zero', zeros, swallow), mmap: () => 0 });
register_file_operations(
  FILE_KIND_FULL,
  device('full', zeros, () => -ENOSPC),
);
register_file_operations(FILE_KIND_RANDOM, {
  ...device('random', random, mix),
  // random(4): the pool is always full.
  ioctl: (_file, command, argument) => (command === RNDGETENTCNT ? put_user_u32(argument, ENTROPY_BITS) : -ENOTTY),
});

register_stateless_device(MEMORY_MAJOR, NULL_MINOR, FILE_KIND_NULL);
register_stateless_device(MEMORY_MAJOR, ZERO_MINOR, FILE_KIND_ZERO);
register_stateless_device(MEMORY_MAJOR, FULL_MINOR, FILE_KIND_FULL);
register_stateless_device(MEMORY_MAJOR, RANDOM_MINOR, FILE_KIND_RANDOM);
register_stateless_device(MEMORY_MAJOR, URANDOM_MINOR, FILE_KIND_RANDOM);
