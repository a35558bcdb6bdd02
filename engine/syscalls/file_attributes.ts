/**
 * Changing attributes: the chmod, chown and utime families.
 */

import { EBADF, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP, EROFS } from '../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH } from '../abi/fcntl.ts';
import { IN_ACCESS, IN_ATTRIB, IN_MODIFY } from '../abi/inotify.ts';
import { UTIME_NOW, UTIME_OMIT } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { file_inode } from '../fs/anon/attributes.ts';
import { I32, U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, get_user_u8 } from '../mm/uaccess.ts';
import { TIME_NOW, TIME_OMIT, TIME_SET, vfs_chmod, vfs_chown, vfs_utimes } from '../vfs/attributes.ts';
import { File } from '../vfs/file.layout.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { is_symlink, LOOKUP_EMPTY, LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { is_read_only } from '../vfs/permission.ts';
import { Dentry } from '../vfs/vfs.layout.ts';
import { resolve } from './file_paths.ts';
import { full, type SyscallRow } from './row.ts';

type Change = (inode: Ptr<'Inode'>, credentials: Ptr<'Credentials'>) => number;

const ref = module_path_ref();

/** Applies a change to what a path names. `flags` may have AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH. */
function on_path(dirfd: number, address: number, flags: number, change: Change, event = IN_ATTRIB): number {
  const empty = (flags & AT_EMPTY_PATH) !== 0;
  if (empty && dirfd !== AT_FDCWD && get_user_u8(address) === 0) return on_descriptor(dirfd, change, true, event);
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0;
  const result = resolve(dirfd, address, follow | (empty ? LOOKUP_EMPTY : 0), ref, empty);
  if (result !== 0) return result;
  const answer = is_read_only(ref.mount) ? -EROFS : change(Dentry.inode.get(ref.dentry), Task.credentials.get(current));
  if (answer === 0) notify_dentry(ref.dentry, event);
  ref.put();
  return answer;
}

/** Applies a change to an open file. */
function on_descriptor(fd: number, change: Change, path_allowed = false, event = IN_ATTRIB): number {
  const file = fd_file(fd);
  if (file === 0 || (!path_allowed && (File.flags.get(file) & O_PATH) !== 0)) return -EBADF;
  const inode = file_inode(file);
  if (inode === 0) return -ENOMEM;
  const mount = File.mount.get(file);
  if (mount !== 0 && is_read_only(mount)) return -EROFS;
  const answer = change(inode, Task.credentials.get(current));
  const dentry = File.dentry.get(file);
  if (answer === 0 && dentry !== 0) notify_dentry(dentry, event);
  return answer;
}

function do_chmod(dirfd: number, address: number, mode: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return on_path(dirfd, address, flags, (inode, credentials) =>
    is_symlink(inode) ? -EOPNOTSUPP : vfs_chmod(inode, mode, credentials),
  );
}

const sys_chmod = (): number => do_chmod(AT_FDCWD, arg_u64(0), arg_lo(1), 0);
const sys_fchmodat = (): number => do_chmod(arg_i32(0), arg_u64(1), arg_lo(2), 0);
const sys_fchmodat2 = (): number => do_chmod(arg_i32(0), arg_u64(1), arg_lo(2), arg_lo(3));

function sys_fchmod(): number {
  const mode = arg_lo(1);
  return on_descriptor(arg_i32(0), (inode, credentials) => vfs_chmod(inode, mode, credentials));
}

function do_chown(dirfd: number, address: number, uid: number, gid: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return on_path(dirfd, address, flags, (inode, credentials) => vfs_chown(inode, uid, gid, credentials));
}

const sys_chown = (): number => do_chown(AT_FDCWD, arg_u64(0), arg_i32(1), arg_i32(2), 0);
const sys_lchown = (): number => do_chown(AT_FDCWD, arg_u64(0), arg_i32(1), arg_i32(2), AT_SYMLINK_NOFOLLOW);
const sys_fchownat = (): number => do_chown(arg_i32(0), arg_u64(1), arg_i32(2), arg_i32(3), arg_lo(4));

function sys_fchown(): number {
  const uid = arg_i32(1);
  const gid = arg_i32(2);
  return on_descriptor(arg_i32(0), (inode, credentials) => vfs_chown(inode, uid, gid, credentials));
}

const atime = { kind: TIME_NOW, seconds: 0, nanoseconds: 0 };
const mtime = { kind: TIME_NOW, seconds: 0, nanoseconds: 0 };

function word64(at: number): number {
  return (I32[(at >> 2) + 1] as number) * 4294967296 + (U32[at >> 2] as number);
}

/** Reads one time; its fraction is in units of `unit` nanoseconds. False when it is out of range. */
function read_time(at: number, unit: number, choice: typeof atime): boolean {
  const fraction = word64(at + 8);
  choice.kind = TIME_SET;
  choice.seconds = word64(at);
  choice.nanoseconds = fraction * unit;
  if (unit === 1 && fraction === UTIME_NOW) choice.kind = TIME_NOW;
  else if (unit === 1 && fraction === UTIME_OMIT) choice.kind = TIME_OMIT;
  else if (fraction < 0 || fraction * unit >= 1e9) return false;
  return true;
}

/** Reads both times of a call, or takes the present when `address` is 0. 0 or -errno. */
function read_times(address: number, unit: number): number {
  atime.kind = TIME_NOW;
  mtime.kind = TIME_NOW;
  if (address === 0) return 0;
  const at = Vcpu.scratch.at(current_vcpu);
  if (copy_in(at, address, 32) < 0) return -EFAULT;
  return read_time(at, unit, atime) && read_time(at + 16, unit, mtime) ? 0 : -EINVAL;
}

const set_times: Change = (inode, credentials) => vfs_utimes(inode, atime, mtime, credentials);

/** One time alone is told as what it is a time of (Linux's fsnotify_change). */
function time_event(): number {
  if (atime.kind === TIME_OMIT) return IN_MODIFY;
  return mtime.kind === TIME_OMIT ? IN_ACCESS : IN_ATTRIB;
}

function do_utimes(dirfd: number, path: number, times: number, unit: number, flags: number): number {
  const result = read_times(times, unit);
  if (result !== 0) return result;
  if (atime.kind === TIME_OMIT && mtime.kind === TIME_OMIT) return 0;
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  // Linux's own convention: no path is the descriptor itself (futimens(3)).
  if (path === 0 && dirfd !== AT_FDCWD)
    return flags !== 0 ? -EINVAL : on_descriptor(dirfd, set_times, false, time_event());
  return on_path(dirfd, path, flags, set_times, time_event());
}

const sys_utimensat = (): number => do_utimes(arg_i32(0), arg_u64(1), arg_u64(2), 1, arg_lo(3));
const sys_utimes = (): number => do_utimes(AT_FDCWD, arg_u64(0), arg_u64(1), 1000, 0);
const sys_futimesat = (): number => do_utimes(arg_i32(0), arg_u64(1), arg_u64(2), 1000, 0);

/** utime(2): whole seconds. */
function sys_utime(): number {
  const times = arg_u64(1);
  atime.kind = TIME_NOW;
  mtime.kind = TIME_NOW;
  if (times !== 0) {
    const at = Vcpu.scratch.at(current_vcpu);
    if (copy_in(at, times, 16) < 0) return -EFAULT;
    atime.kind = TIME_SET;
    mtime.kind = TIME_SET;
    atime.seconds = word64(at);
    mtime.seconds = word64(at + 8);
    atime.nanoseconds = 0;
    mtime.nanoseconds = 0;
  }
  return on_path(AT_FDCWD, arg_u64(0), 0, set_times);
}

export const ATTRIBUTE_ROWS: readonly SyscallRow[] = [
  full(90, 'chmod', sys_chmod, 'path:path', 'mode:mode'),
  full(91, 'fchmod', sys_fchmod, 'fd:fd', 'mode:mode'),
  full(92, 'chown', sys_chown, 'path:path', 'owner:uid', 'group:gid'),
  full(93, 'fchown', sys_fchown, 'fd:fd', 'owner:uid', 'group:gid'),
  full(94, 'lchown', sys_lchown, 'path:path', 'owner:uid', 'group:gid'),
  full(132, 'utime', sys_utime, 'path:path', 'times:struct(utimbuf)'),
  full(235, 'utimes', sys_utimes, 'path:path', 'times:ptr'),
  full(260, 'fchownat', sys_fchownat, 'dirfd:dirfd', 'path:path', 'owner:uid', 'group:gid', 'flags:flags(at)'),
  full(261, 'futimesat', sys_futimesat, 'dirfd:dirfd', 'path:path', 'times:ptr'),
  full(268, 'fchmodat', sys_fchmodat, 'dirfd:dirfd', 'path:path', 'mode:mode'),
  full(280, 'utimensat', sys_utimensat, 'dirfd:dirfd', 'path:path', 'times:ptr', 'flags:flags(at)'),
  full(452, 'fchmodat2', sys_fchmodat2, 'dirfd:dirfd', 'path:path', 'mode:mode', 'flags:flags(at)'),
];
