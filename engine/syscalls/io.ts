/**
 * Reading and writing: read(2), pread(2), readv(2), preadv2(2) and their writing kin, lseek(2).
 */
import { EBADF, EINVAL, EOPNOTSUPP, ESPIPE } from '../abi/errno.ts';
import { FMODE_STREAM } from '../abi/fcntl.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_POSITION_LOCK } from '../heap/lock_order.ts';
import { arg_i32, arg_i64, arg_lo, arg_u64 } from '../kernel/args.ts';
import { fd_file, fd_opened } from '../kernel/fd_table.ts';
import { File } from '../vfs/file.layout.ts';
import { file_operations, no_transfer } from '../vfs/file.ts';
import { full, partial, type SyscallRow } from './row.ts';
import {
  AT_POSITION,
  import_iovec,
  is_nonblocking,
  read_transfer,
  readable_file,
  single_buffer,
  transfer_length,
  writable_file,
  write_transfer,
} from './transfer.ts';

/** Flags of preadv2 and pwritev2. */
const RWF_HIPRI = 1;
const RWF_DSYNC = 2;
const RWF_SYNC = 4;
const RWF_NOWAIT = 8;

const LARGEST_LENGTH = 2 ** 63;

function sys_read(): number {
  const fd = arg_i32(0);
  const file = readable_file(fd);
  if (file < 0) return file;
  const count = arg_u64(2);
  if (count >= LARGEST_LENGTH) return -EINVAL;
  single_buffer(arg_u64(1), count);
  return read_transfer(fd, file as Ptr<'File'>, AT_POSITION, is_nonblocking(file as Ptr<'File'>));
}

function sys_write(): number {
  const fd = arg_i32(0);
  const file = writable_file(fd);
  if (file < 0) return file;
  const count = arg_u64(2);
  if (count >= LARGEST_LENGTH) return -EINVAL;
  single_buffer(arg_u64(1), count);
  return write_transfer(fd, file as Ptr<'File'>, AT_POSITION, is_nonblocking(file as Ptr<'File'>));
}

/** The positioned calls look for a position before they look at the access mode: 0 or -ESPIPE. */
function check_position(fd: number, offset: number): number {
  if (offset === AT_POSITION) return 0;
  const file = fd_file(fd);
  return file !== 0 && (File.mode.get(file) & FMODE_STREAM) !== 0 ? -ESPIPE : 0;
}

/** pread64 and pwrite64. */
function transfer_at(write: boolean): number {
  const fd = arg_i32(0);
  const offset = arg_i64(3);
  if (offset < 0) return -EINVAL;
  const checked = check_position(fd, offset);
  if (checked < 0) return checked;
  const file = write ? writable_file(fd) : readable_file(fd);
  if (file < 0) return file;
  const count = arg_u64(2);
  if (count >= LARGEST_LENGTH) return -EINVAL;
  single_buffer(arg_u64(1), count);
  const transfer = write ? write_transfer : read_transfer;
  return transfer(fd, file as Ptr<'File'>, offset, is_nonblocking(file as Ptr<'File'>));
}

function sys_pread64(): number {
  return transfer_at(false);
}

function sys_pwrite64(): number {
  return transfer_at(true);
}

const RWF_SUPPORTED = RWF_HIPRI | RWF_NOWAIT | RWF_DSYNC | RWF_SYNC;

/** A vectored call of no bytes looks only at whether the file can be read or written at all. */
function empty_transfer(file: Ptr<'File'>, write: boolean): number {
  const { read, write: written } = file_operations(file);
  return (write ? written : read) === no_transfer ? -EINVAL : 0;
}

/** The vectored calls: `offset` AT_POSITION or not negative. */
function transfer_vector(offset: number, flags: number, write: boolean): number {
  const fd = arg_i32(0);
  const checked = check_position(fd, offset);
  if (checked < 0) return checked;
  const file = write ? writable_file(fd) : readable_file(fd);
  if (file < 0) return file;
  const imported = import_iovec(arg_u64(1), arg_i32(2));
  if (imported < 0) return imported;
  if (transfer_length() === 0) return empty_transfer(file as Ptr<'File'>, write);
  if ((flags & ~RWF_SUPPORTED) !== 0) return -EOPNOTSUPP;
  const nonblocking = (flags & RWF_NOWAIT) !== 0 || is_nonblocking(file as Ptr<'File'>);
  const transfer = write ? write_transfer : read_transfer;
  return transfer(fd, file as Ptr<'File'>, offset, nonblocking);
}

function sys_readv(): number {
  return transfer_vector(AT_POSITION, 0, false);
}

function sys_writev(): number {
  return transfer_vector(AT_POSITION, 0, true);
}

/** preadv and pwritev pass the offset in two registers, of which x86-64 uses the first. */
function sys_preadv(): number {
  const offset = arg_i64(3);
  return offset < 0 ? -EINVAL : transfer_vector(offset, 0, false);
}

function sys_pwritev(): number {
  const offset = arg_i64(3);
  return offset < 0 ? -EINVAL : transfer_vector(offset, 0, true);
}

/** Offset -1 of the second versions is the file's position. */
function transfer_vector_flags(write: boolean): number {
  const offset = arg_i64(3);
  return offset < AT_POSITION ? -EINVAL : transfer_vector(offset, arg_lo(5), write);
}

function sys_preadv2(): number {
  return transfer_vector_flags(false);
}

function sys_pwritev2(): number {
  return transfer_vector_flags(true);
}

function sys_lseek(): number {
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  const whence = arg_lo(2);
  if (whence > 4) return -EINVAL;
  const position_lock = File.position_lock.at(file);
  lock(position_lock, FILE_POSITION_LOCK);
  const result = file_operations(file).seek(file, arg_i64(1), whence);
  unlock(position_lock, FILE_POSITION_LOCK);
  return result;
}

export const IO_ROWS: readonly SyscallRow[] = [
  full(0, 'read', sys_read, 'fd:fd', 'buf:out(2)', 'count:size'),
  full(1, 'write', sys_write, 'fd:fd', 'buf:in(2)', 'count:size'),
  full(8, 'lseek', sys_lseek, 'fd:fd', 'offset:off', 'whence:enum(SEEK)'),
  full(17, 'pread64', sys_pread64, 'fd:fd', 'buf:out(2)', 'count:size', 'offset:off'),
  full(18, 'pwrite64', sys_pwrite64, 'fd:fd', 'buf:in(2)', 'count:size', 'offset:off'),
  full(19, 'readv', sys_readv, 'fd:fd', 'iov:outiovec(2)', 'iovcnt:int'),
  full(20, 'writev', sys_writev, 'fd:fd', 'iov:iovec(2)', 'iovcnt:int'),
  full(295, 'preadv', sys_preadv, 'fd:fd', 'iov:outiovec(2)', 'iovcnt:int', 'offset:off'),
  full(296, 'pwritev', sys_pwritev, 'fd:fd', 'iov:iovec(2)', 'iovcnt:int', 'offset:off'),
  full(
    327,
    'preadv2',
    sys_preadv2,
    'fd:fd',
    'iov:outiovec(2)',
    'iovcnt:int',
    'offset:off',
    'high:long',
    'flags:flags(RWF)',
  ),
  partial(
    328,
    'pwritev2',
    'RWF_APPEND is not supported',
    sys_pwritev2,
    'fd:fd',
    'iov:iovec(2)',
    'iovcnt:int',
    'offset:off',
    'high:long',
    'flags:flags(RWF)',
  ),
];
