/**
 * Reading and writing: read(2), pread(2), readv(2), preadv2(2) and their writing kin, lseek(2).
 */
import { EBADF, EFAULT, EINVAL, EOPNOTSUPP, ESPIPE } from '../abi/errno.ts';
import { FMODE_STREAM } from '../abi/fcntl.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_POSITION_LOCK } from '../heap/lock_order.ts';
import { arg_i32, arg_i64, arg_lo, arg_u64 } from '../kernel/args.ts';
import { fd_file, fd_opened } from '../kernel/fd_table.ts';
import { user_range } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import {
  FILE_KIND_DIRECTORY,
  FILE_KIND_EVENTFD,
  FILE_KIND_FULL,
  FILE_KIND_INOTIFY,
  FILE_KIND_NULL,
  FILE_KIND_PIPE,
  FILE_KIND_RANDOM,
  FILE_KIND_SIGNALFD,
  FILE_KIND_SOCKET,
  FILE_KIND_TIMERFD,
  FILE_KIND_ZERO,
  file_operations,
  no_transfer,
} from '../vfs/file.ts';
import { override_append } from '../vfs/regular.ts';
import { full, type SyscallRow } from './row.ts';
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
const RWF_APPEND = 0x10;
const RWF_NOAPPEND = 0x20;
/** A broken pipe sends no SIGPIPE. */
const RWF_NOSIGNAL = 0x100;

/** Whether the file can be read or written at all, and arguments 1 and 2 can be a buffer: 0, -EINVAL, -EFAULT. */
function check_buffer(file: Ptr<'File'>, write: boolean): number {
  if (cannot_transfer(file, write)) return -EINVAL;
  return user_range(arg_u64(1), arg_u64(2)) ? 0 : -EFAULT;
}

/** Files without the operation (Linux's FMODE_CAN_READ, FMODE_CAN_WRITE). */
function cannot_transfer(file: Ptr<'File'>, write: boolean): boolean {
  const { read, write: written } = file_operations(file);
  return (write ? written : read) === no_transfer;
}

function sys_read(): number {
  const fd = arg_i32(0);
  const file = readable_file(fd);
  if (file < 0) return file;
  const wrong = check_buffer(file as Ptr<'File'>, false);
  if (wrong !== 0) return wrong;
  single_buffer(arg_u64(1), arg_u64(2));
  return read_transfer(fd, file as Ptr<'File'>, AT_POSITION, is_nonblocking(file as Ptr<'File'>));
}

function sys_write(): number {
  const fd = arg_i32(0);
  const file = writable_file(fd);
  if (file < 0) return file;
  const wrong = check_buffer(file as Ptr<'File'>, true);
  if (wrong !== 0) return wrong;
  single_buffer(arg_u64(1), arg_u64(2));
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
  const wrong = check_buffer(file as Ptr<'File'>, write);
  if (wrong !== 0) return wrong;
  single_buffer(arg_u64(1), arg_u64(2));
  const transfer = write ? write_transfer : read_transfer;
  return transfer(fd, file as Ptr<'File'>, offset, is_nonblocking(file as Ptr<'File'>));
}

function sys_pread64(): number {
  return transfer_at(false);
}

function sys_pwrite64(): number {
  return transfer_at(true);
}

const RWF_SUPPORTED = RWF_HIPRI | RWF_NOWAIT | RWF_DSYNC | RWF_SYNC | RWF_APPEND | RWF_NOAPPEND | RWF_NOSIGNAL;
/** Files that always know whether a transfer would wait (Linux's FMODE_NOWAIT). */
const NOWAIT_KINDS: ReadonlySet<number> = new Set([
  ...[FILE_KIND_PIPE, FILE_KIND_SOCKET, FILE_KIND_EVENTFD, FILE_KIND_TIMERFD, FILE_KIND_SIGNALFD],
  ...[FILE_KIND_NULL, FILE_KIND_ZERO, FILE_KIND_RANDOM],
]);

/** Files whose transfers take no flags: they have the oldest form of the operation only. */
function takes_no_flags(kind: number, write: boolean): boolean {
  if (kind === FILE_KIND_DIRECTORY || kind === FILE_KIND_INOTIFY) return true;
  return write && (kind === FILE_KIND_FULL || kind === FILE_KIND_EVENTFD);
}

/** The flags of preadv2(2) for this file: 0 or -errno. */
function check_flags(file: Ptr<'File'>, flags: number, write: boolean): number {
  const kind = File.kind.get(file);
  if (takes_no_flags(kind, write) && (flags & ~RWF_HIPRI) !== 0) return -EOPNOTSUPP;
  if ((flags & ~RWF_SUPPORTED) !== 0) return -EOPNOTSUPP;
  if ((flags & RWF_APPEND) !== 0 && (flags & RWF_NOAPPEND) !== 0) return -EINVAL;
  return (flags & RWF_NOWAIT) !== 0 && !NOWAIT_KINDS.has(kind) ? -EOPNOTSUPP : 0;
}

/** The vectored calls: `offset` AT_POSITION or not negative. */
function transfer_vector(offset: number, flags: number, write: boolean): number {
  const fd = arg_i32(0);
  const checked = check_position(fd, offset);
  if (checked < 0) return checked;
  const file = write ? writable_file(fd) : readable_file(fd);
  if (file < 0) return file;
  if (cannot_transfer(file as Ptr<'File'>, write)) return -EINVAL;
  const imported = import_iovec(arg_u64(1), arg_i32(2));
  if (imported < 0) return imported;
  if (transfer_length() === 0) return 0;
  if (flags !== 0) return transfer_with_flags(fd, file as Ptr<'File'>, offset, flags, write);
  const transfer = write ? write_transfer : read_transfer;
  return transfer(fd, file as Ptr<'File'>, offset, is_nonblocking(file as Ptr<'File'>));
}

function transfer_with_flags(fd: number, file: Ptr<'File'>, offset: number, flags: number, write: boolean): number {
  const checked = check_flags(file, flags, write);
  if (checked !== 0) return checked;
  const nonblocking = (flags & RWF_NOWAIT) !== 0 || is_nonblocking(file);
  if (!write) return read_transfer(fd, file, offset, nonblocking);
  override_append((flags & RWF_APPEND) !== 0 ? 1 : (flags & RWF_NOAPPEND) !== 0 ? -1 : 0);
  const written = write_transfer(fd, file, offset, nonblocking, (flags & RWF_NOSIGNAL) !== 0);
  override_append(0);
  return written;
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
  full(
    328,
    'pwritev2',
    sys_pwritev2,
    'fd:fd',
    'iov:iovec(2)',
    'iovcnt:int',
    'offset:off',
    'high:long',
    'flags:flags(RWF)',
  ),
];
