/**
 * Sizes and storage: truncate, fallocate, the sync family, advice, flock.
 */

import {
  EAGAIN,
  EBADF,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  ENOLCK,
  ENOMEM,
  EOPNOTSUPP,
  ESPIPE,
  PREEMPTED,
} from '../abi/errno.ts';
import { AT_FDCWD, FMODE_WRITE } from '../abi/fcntl.ts';
import { IN_MODIFY } from '../abi/inotify.ts';
import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_WRITE_ZEROES,
  FALLOC_FL_ZERO_RANGE,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
} from '../abi/path.ts';
import { POLLOUT } from '../abi/poll.ts';
import { RLIMIT_FSIZE } from '../abi/resource.ts';
import { SIGXFSZ } from '../abi/signal.ts';
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { file_inode } from '../fs/anon/attributes.ts';
import { arg_i32, arg_i64, arg_lo, arg_u64 } from '../kernel/args.ts';
import { wait_on } from '../kernel/block.ts';
import { current } from '../kernel/current.ts';
import { fd_opened, hold_file } from '../kernel/fd_table.ts';
import { rlimit } from '../kernel/limits.ts';
import { siginfo_user } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { strip_set_id_on_write, vfs_truncate } from '../vfs/attributes.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_PIPE } from '../vfs/file.ts';
import { inode_operations } from '../vfs/inode.ts';
import { flock_set, lock_queue } from '../vfs/locks.ts';
import { mapping_sync } from '../vfs/mapping.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { truncate_as_writer } from '../vfs/open.ts';
import { LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { MAY_WRITE, path_permission } from '../vfs/permission.ts';
import { Dentry, Inode } from '../vfs/vfs.layout.ts';
import { resolve } from './file_paths.ts';
import { full, partial, type SyscallRow } from './row.ts';

const ref = module_path_ref();

/** The limit on file sizes: -EFBIG and SIGXFSZ beyond it (setrlimit(2)). */
function check_size(size: number): number {
  if (Task.group.get(current) === 0 || size <= rlimit(RLIMIT_FSIZE)) return 0;
  send_to_task(current, SIGXFSZ, siginfo_user(SIGXFSZ));
  return -EFBIG;
}

/** Tells watchers of a change that succeeded. */
function modified(file: Ptr<'File'>, result: number): number {
  if (result === 0) notify_dentry(File.dentry.get(file), IN_MODIFY);
  return result;
}

function sys_truncate(): number {
  const size = arg_i64(1);
  if (size < 0) return -EINVAL;
  let result = resolve(AT_FDCWD, arg_u64(0), LOOKUP_FOLLOW, ref);
  if (result !== 0) return result;
  const inode = Dentry.inode.get(ref.dentry);
  const type = Inode.mode.get(inode) & S_IFMT;
  const credentials = Task.credentials.get(current);
  if (type === S_IFDIR) result = -EISDIR;
  else if (type !== S_IFREG) result = -EINVAL;
  else result = path_permission(ref.mount, inode, MAY_WRITE, credentials);
  if (result === 0) result = check_size(size);
  if (result === 0) result = truncate_as_writer(inode, size, Task.credentials.get(current));
  if (result === 0) notify_dentry(ref.dentry, IN_MODIFY);
  ref.put();
  return result;
}

function sys_ftruncate(): number {
  const size = arg_i64(1);
  if (size < 0) return -EINVAL;
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  const inode = file_inode(file);
  if (inode === 0) return -ENOMEM;
  if ((Inode.mode.get(inode) & S_IFMT) !== S_IFREG) return -EINVAL;
  if ((File.mode.get(file) & FMODE_WRITE) === 0) return -EINVAL;
  const result = inode_operations(inode).fixed_attributes === true ? -EOPNOTSUPP : check_size(size);
  return result !== 0 ? result : modified(file, vfs_truncate(inode, size, Task.credentials.get(current)));
}

/** Whether a mode of fallocate(2) is one at all: one operation, of which some go with KEEP_SIZE, and one needs it. */
function is_allocation(mode: number): boolean {
  const keep = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
    case FALLOC_FL_UNSHARE_RANGE:
    case FALLOC_FL_ZERO_RANGE:
      return true;
    case FALLOC_FL_PUNCH_HOLE:
      return keep;
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
    case FALLOC_FL_WRITE_ZEROES:
      return !keep;
    default:
      return false;
  }
}

/** Files that have storage: 0, or why they have none (Linux's vfs_fallocate). */
function check_storage(inode: Ptr<'Inode'>): number {
  const type = Inode.mode.get(inode) & S_IFMT;
  if (type === S_IFIFO) return -ESPIPE;
  if (type === S_IFDIR) return -EISDIR;
  return type === S_IFREG ? 0 : -ENODEV;
}

function sys_fallocate(): number {
  const mode = arg_lo(1);
  const offset = arg_i64(2);
  const length = arg_i64(3);
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  if (offset < 0 || length <= 0) return -EINVAL;
  if (!is_allocation(mode)) return -EOPNOTSUPP;
  if ((File.mode.get(file) & FMODE_WRITE) === 0) return -EBADF;
  const inode = file_inode(file);
  if (inode === 0) return -ENOMEM;
  const storage = check_storage(inode);
  if (storage !== 0) return storage;
  if (offset + length >= 2 ** 63) return -EFBIG;
  const operations = inode_operations(inode);
  if (operations.allocate === undefined) return -EOPNOTSUPP;
  const grows = (mode & FALLOC_FL_PUNCH_HOLE) === 0 && offset + length > Inode.size.get(inode);
  let result = grows ? check_size(offset + length) : 0;
  if (result === 0) result = operations.prepare_write?.(inode, offset + length) ?? 0;
  if (result !== 0) return result;
  strip_set_id_on_write(inode);
  const allocated = operations.allocate(inode, mode, offset, length);
  if (allocated === PREEMPTED && !hold_file(arg_i32(0), file)) return -ENOMEM;
  return modified(file, allocated);
}

function sys_fsync(): number {
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  const inode = File.inode.get(file);
  if (inode === 0) return -EINVAL;
  // Devices and FIFOs have nothing to be synchronised (fsync(2), EINVAL).
  const type = Inode.mode.get(inode) & S_IFMT;
  if (type !== S_IFREG && type !== S_IFDIR) return -EINVAL;
  const { sync } = inode_operations(inode);
  if (sync !== undefined) return sync(inode);
  const mapping = Inode.mapping.get(inode);
  return mapping === 0 ? 0 : mapping_sync(mapping, 0, Inode.size.get(inode));
}

/** Writes reach the host when they are made; shared mappings' changes follow at msync, fsync and close. */
function sys_sync(): number {
  return 0;
}

function sys_syncfs(): number {
  const file = fd_opened(arg_i32(0));
  return file === 0 ? -EBADF : 0;
}

const FADVISE_LAST = 5;

/** Advice changes nothing; what is asked is checked (posix_fadvise(2)). */
function sys_fadvise64(): number {
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  if (File.kind.get(file) === FILE_KIND_PIPE) return -ESPIPE;
  return arg_i64(2) < 0 || arg_lo(3) > FADVISE_LAST ? -EINVAL : 0;
}

function sys_readahead(): number {
  const file = fd_opened(arg_i32(0));
  if (file === 0 || (File.mode.get(file) & 1) === 0) return -EBADF;
  const inode = File.inode.get(file);
  return inode === 0 || (Inode.mode.get(inode) & S_IFMT) !== S_IFREG ? -EINVAL : 0;
}

const LOCK_MAND = 32;
const LOCK_TYPES: Readonly<Record<number, number>> = { [LOCK_SH]: F_RDLCK, [LOCK_EX]: F_WRLCK, [LOCK_UN]: F_UNLCK };

function sys_flock(): number {
  const fd = arg_i32(0);
  // Mandatory locks of the past mean nothing (Linux's LOCK_MAND).
  if ((arg_lo(1) & LOCK_MAND) !== 0) return 0;
  const type = LOCK_TYPES[arg_lo(1) & ~LOCK_NB];
  if (type === undefined) return -EINVAL;
  const file = fd_opened(fd);
  if (file === 0) return -EBADF;
  const inode = File.inode.get(file);
  // What has no inode of its own nobody else can open: nothing to be locked against.
  if (inode === 0) return 0;
  const result = flock_set(file, type, ThreadGroup.tgid.get(Task.group.get(current)));
  if (result !== -EAGAIN || (arg_lo(1) & LOCK_NB) !== 0) return result;
  const queue = lock_queue(inode);
  if (queue === 0) return -ENOLCK;
  return hold_file(fd, file) ? wait_on(queue, POLLOUT) : -ENOMEM;
}

const SYNC_FILE_RANGE_ALL = 7;

/** sync_file_range(2): dirty pages of the range are written back, whatever the phases asked for. */
function sys_sync_file_range(): number {
  const offset = arg_i64(1);
  const length = arg_i64(2);
  const flags = arg_lo(3);
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  if ((flags & ~SYNC_FILE_RANGE_ALL) !== 0 || offset < 0 || length < 0 || offset + length >= 2 ** 63) return -EINVAL;
  const inode = file_inode(file);
  if (inode === 0) return -ENOMEM;
  const type = Inode.mode.get(inode) & S_IFMT;
  if (type !== S_IFREG && type !== S_IFDIR) return -ESPIPE;
  const mapping = Inode.mapping.get(inode);
  if (mapping === 0 || flags === 0) return 0;
  return mapping_sync(mapping, offset, length === 0 ? Inode.size.get(inode) : offset + length);
}

export const SPACE_ROWS: readonly SyscallRow[] = [
  full(73, 'flock', sys_flock, 'fd:fd', 'operation:int'),
  full(74, 'fsync', sys_fsync, 'fd:fd'),
  full(75, 'fdatasync', sys_fsync, 'fd:fd'),
  full(76, 'truncate', sys_truncate, 'path:path', 'length:off'),
  full(77, 'ftruncate', sys_ftruncate, 'fd:fd', 'length:off'),
  full(162, 'sync', sys_sync),
  partial(187, 'readahead', 'checked, and reads nothing ahead', sys_readahead, 'fd:fd', 'offset:off', 'count:size'),
  partial(221, 'fadvise64', 'checked, and ignored', sys_fadvise64, 'fd:fd', 'offset:off', 'len:off', 'advice:int'),
  partial(
    285,
    'fallocate',
    'COLLAPSE_RANGE, INSERT_RANGE and UNSHARE_RANGE are EOPNOTSUPP',
    sys_fallocate,
    'fd:fd',
    'mode:int',
    'offset:off',
    'len:off',
  ),
  full(277, 'sync_file_range', sys_sync_file_range, 'fd:fd', 'offset:off', 'nbytes:off', 'flags:uint'),
  full(306, 'syncfs', sys_syncfs, 'fd:fd'),
];
