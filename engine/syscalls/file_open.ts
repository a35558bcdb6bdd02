/**
 * open(2), openat(2), openat2(2), creat(2).
 */
import { E2BIG, EAGAIN, EBADF, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, EXDEV } from '../abi/errno.ts';
import {
  AT_FDCWD,
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_TRUNC,
  O_WRONLY,
} from '../abi/fcntl.ts';
import {
  O_TMPFILE_BIT,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_XDEV,
  RESOLVE_VALID,
  VALID_OPEN_FLAGS,
} from '../abi/path.ts';
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { is_waiting } from '../kernel/block.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file, fd_fill, fd_reserve, fd_unreserve } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, get_user_u8 } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_REGULAR } from '../vfs/file.ts';
import { open_dentry, vfs_open } from '../vfs/open.ts';
import { begin_path, context, current_umask, drop_path, take_path } from './file_paths.ts';
import { full, partial, type SyscallRow } from './row.ts';

/** Flags that mean something together with O_PATH (open(2)). */
const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

const TWO_32 = 4294967296;
const SCOPED = RESOLVE_BENEATH | RESOLVE_IN_ROOT;

function do_open(dirfd: number, address: number, flags: number, mode: number, resolve: number): number {
  const waiting = Task.syscall_phase.get(current) as Ptr<'File'>;
  if (waiting !== 0) return open_again(waiting);
  if (!are_possible(flags)) return -EINVAL;
  const path = take_path(address);
  if (path < 0) return path;
  const files = Task.files.get(current);
  const fd = fd_reserve(files, 0);
  let file = fd < 0 ? fd : begin_path(dirfd, path);
  if (file === 0 && (resolve & SCOPED) !== 0 && dirfd !== AT_FDCWD) {
    // With a scope even an absolute path starts at the descriptor; or it is one that leaves it.
    context.start = fd_file(dirfd);
    if (context.start === 0) file = (resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : -EBADF;
  }
  if (file === 0) {
    context.resolve = resolve;
    file = vfs_open(context, path, flags, mode & ~current_umask());
    if ((resolve & RESOLVE_CACHED) !== 0 && is_not_cached(file, resolve)) file = -EAGAIN;
  }
  drop_path(path);
  return give_descriptor(fd, file, flags);
}

/**
 * An open that waited goes on where it was (fs/anon/fifo.ts): it has walked its path and has the permission. Its
 * descriptor, which stays reserved, and its flags are in syscall_progress.
 */
function open_again(place: Ptr<'File'>): number {
  const progress = Task.syscall_progress.get(current);
  const { mount, dentry, flags } = File;
  const file = open_dentry(mount.get(place), dentry.get(place), FILE_KIND_REGULAR, flags.get(place));
  return give_descriptor(Math.floor(progress / TWO_32), file, progress % TWO_32);
}

/** The reserved descriptor for what was opened; where nothing was, it is free again, unless the call waits. */
function give_descriptor(fd: number, file: number, flags: number): number {
  const files = Task.files.get(current);
  if (fd >= 0 && is_waiting(file)) Task.syscall_progress.set(current, fd * TWO_32 + (flags >>> 0));
  else if (file > 0) fd_fill(files, fd, file as Ptr<'File'>, (flags & O_CLOEXEC) !== 0);
  else if (fd >= 0) fd_unreserve(files, fd);
  return file > 0 ? fd : file;
}

/** Whether a walk of cached names alone stops there, and does not say that the file is absent: absent names are not cached. */
function is_not_cached(error: number, resolve: number): boolean {
  // Nor does it look closer at a mount that it may not cross.
  if (error === -EXDEV) return (resolve & RESOLVE_NO_XDEV) !== 0;
  return error === -ENOENT || error === -ENAMETOOLONG;
}

/** Whether flags go together, which is looked at before the path: nothing creates a directory; O_TMPFILE is three bits. */
function are_possible(flags: number): boolean {
  if ((flags & (O_DIRECTORY | O_CREAT)) === (O_DIRECTORY | O_CREAT)) return false;
  if ((flags & O_TMPFILE_BIT) === 0) return true;
  return (flags & O_DIRECTORY) !== 0 && (flags & O_ACCMODE) !== 0;
}

/** open(2) ignores flags it does not know, and what has no meaning with O_PATH. */
function legacy_flags(flags: number): number {
  flags &= VALID_OPEN_FLAGS;
  return (flags & O_PATH) !== 0 ? flags & PATH_FLAGS : flags;
}

function legacy_mode(flags: number, mode: number): number {
  return (flags & (O_CREAT | O_TMPFILE_BIT)) !== 0 ? mode & 0o7777 : 0;
}

function sys_open(): number {
  const flags = legacy_flags(arg_lo(1));
  return do_open(AT_FDCWD, arg_u64(0), flags, legacy_mode(flags, arg_lo(2)), 0);
}

function sys_openat(): number {
  const flags = legacy_flags(arg_lo(2));
  return do_open(arg_i32(0), arg_u64(1), flags, legacy_mode(flags, arg_lo(3)), 0);
}

function sys_creat(): number {
  return do_open(AT_FDCWD, arg_u64(0), O_CREAT | O_WRONLY | O_TRUNC, arg_lo(1) & 0o7777, 0);
}

const HOW_SIZE = 24;

/** openat2(2): unknown flags are errors, and a longer structure must end in zeros. */
function sys_openat2(): number {
  const waiting = Task.syscall_phase.get(current) as Ptr<'File'>;
  if (waiting !== 0) return open_again(waiting);
  const address = arg_u64(2);
  const size = arg_u64(3);
  if (size < HOW_SIZE) return -EINVAL;
  if (size > 4096) return -E2BIG;
  const how = Vcpu.scratch.at(current_vcpu);
  if (copy_in(how, address, HOW_SIZE) < 0) return -EFAULT;
  const at = how >> 2;
  const flags = U32[at] as number;
  const mode = U32[at + 2] as number;
  const resolve = U32[at + 4] as number;
  const high = (U32[at + 1] as number) | (U32[at + 3] as number) | (U32[at + 5] as number);
  for (let i = HOW_SIZE; i < size; i++) {
    const byte = get_user_u8(address + i);
    if (byte !== 0) return byte < 0 ? byte : -E2BIG;
  }
  if (high !== 0 || (flags & ~VALID_OPEN_FLAGS) !== 0 || (resolve & ~RESOLVE_VALID) !== 0) return -EINVAL;
  if ((resolve & SCOPED) === SCOPED || (mode & ~0o7777) !== 0) return -EINVAL;
  if ((flags & (O_CREAT | O_TMPFILE_BIT)) === 0 && mode !== 0) return -EINVAL;
  if ((flags & O_PATH) !== 0 && (flags & ~PATH_FLAGS) !== 0) return -EINVAL;
  if (!are_possible(flags)) return -EINVAL;
  if ((resolve & RESOLVE_CACHED) !== 0 && (flags & (O_TRUNC | O_CREAT | O_TMPFILE_BIT)) !== 0) return -EAGAIN;
  return do_open(arg_i32(0), arg_u64(1), flags, mode, resolve);
}

export const OPEN_ROWS: readonly SyscallRow[] = [
  full(2, 'open', sys_open, 'path:path', 'flags:flags(open)', 'mode:mode'),
  full(85, 'creat', sys_creat, 'path:path', 'mode:mode'),
  full(257, 'openat', sys_openat, 'dirfd:dirfd', 'path:path', 'flags:flags(open)', 'mode:mode'),
  partial(
    437,
    'openat2',
    'a rename during a scoped walk is not reported as EAGAIN',
    sys_openat2,
    'dirfd:dirfd',
    'path:path',
    'how:struct(open_how)',
    'size:size',
  ),
];
