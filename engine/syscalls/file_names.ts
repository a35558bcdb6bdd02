/**
 * Making, moving and removing names: mknod, mkdir, rmdir, unlink, link, symlink, rename and their *at kin.
 */
import { EINVAL, ENOENT } from '../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW } from '../abi/fcntl.ts';
import { PATH_MAX } from '../abi/path.ts';
import { decode_dev, S_IFMT } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_length } from '../heap/bytes.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import {
  are_rename_flags,
  check_node_type,
  vfs_check_first,
  vfs_link,
  vfs_mkdir,
  vfs_mknod,
  vfs_rename,
  vfs_symlink,
  vfs_unlink,
} from '../vfs/namei.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW } from '../vfs/path.ts';
import { begin_path, context, current_umask, drop_path, start_of, take_path } from './file_paths.ts';
import { may_link_by_descriptor } from './file_stat.ts';
import { full, partial, type SyscallRow } from './row.ts';

function do_mkdir(dirfd: number, address: number, mode: number): number {
  const path = take_path(address);
  if (path < 0) return path;
  let result = begin_path(dirfd, path);
  if (result === 0) result = vfs_mkdir(context, path, mode & 0o7777 & ~current_umask());
  drop_path(path);
  return result;
}

function do_mknod(dirfd: number, address: number, mode: number, dev: number): number {
  const type = check_node_type(mode);
  if (type !== 0) return type;
  const path = take_path(address);
  if (path < 0) return path;
  let result = begin_path(dirfd, path);
  const permissions = mode & 0o7777 & ~current_umask();
  if (result === 0) result = vfs_mknod(context, path, (mode & S_IFMT) | permissions, decode_dev(dev));
  drop_path(path);
  return result;
}

function do_unlink(dirfd: number, address: number, directory: boolean): number {
  const path = take_path(address);
  if (path < 0) return path;
  let result = begin_path(dirfd, path);
  if (result === 0) result = vfs_unlink(context, path, directory);
  drop_path(path);
  return result;
}

function do_symlink(target_address: number, dirfd: number, address: number): number {
  const target = take_path(target_address, true);
  if (target < 0) return target;
  const length = bytes_length(target, PATH_MAX);
  const path = length === 0 ? -ENOENT : take_path(address);
  let result = path < 0 ? path : begin_path(dirfd, path);
  if (result === 0) result = vfs_symlink(context, path, target, length);
  if (path > 0) drop_path(path);
  drop_path(target);
  return result;
}

/** Both paths of a call in kernel memory, and where they start. */
interface PathPair {
  old_path: number;
  new_path: number;
  old_start: Ptr<'File'>;
  new_start: Ptr<'File'>;
}

/**
 * Takes both paths, lets `use` work on them, and drops them. Where only the second cannot be read, `check_first` says
 * whether the first is wrong too, which Linux finds sooner.
 */
function with_pair(
  old_dirfd: number,
  old_address: number,
  new_dirfd: number,
  new_address: number,
  allow_empty: boolean,
  check_first: (start: Ptr<'File'>, path: number) => number,
  use: (pair: PathPair) => number,
): number {
  const old_path = take_path(old_address, allow_empty);
  if (old_path < 0) return old_path;
  const new_path = take_path(new_address);
  let result = begin_path(old_dirfd, old_path);
  if (result === 0) {
    const old_start = context.start;
    const new_start = new_path < 0 ? new_path : start_of(new_dirfd, new_path);
    if (new_start >= 0) result = use({ old_path, new_path, old_start, new_start: new_start as Ptr<'File'> });
    else result = check_first(old_start, old_path) || new_start;
  }
  if (new_path > 0) drop_path(new_path);
  drop_path(old_path);
  return result;
}

function do_link(old_dirfd: number, old_at: number, new_dirfd: number, new_at: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const empty = (flags & AT_EMPTY_PATH) !== 0;
  const lookup = ((flags & AT_SYMLINK_FOLLOW) !== 0 ? LOOKUP_FOLLOW : 0) | (empty ? LOOKUP_EMPTY : 0);
  const refuses = (start: Ptr<'File'>): boolean => empty && start !== 0 && !may_link_by_descriptor(start);
  return with_pair(
    old_dirfd,
    old_at,
    new_dirfd,
    new_at,
    empty,
    (start, path) => (refuses(start) ? -ENOENT : vfs_check_first(context, start, path, lookup, false)),
    ({ old_start, old_path, new_start, new_path }) =>
      refuses(old_start) ? -ENOENT : vfs_link(context, old_start, old_path, lookup, new_start, new_path),
  );
}

function do_rename(old_dirfd: number, old_at: number, new_dirfd: number, new_at: number, flags: number): number {
  if (!are_rename_flags(flags)) return -EINVAL;
  return with_pair(
    old_dirfd,
    old_at,
    new_dirfd,
    new_at,
    false,
    (start, path) => vfs_check_first(context, start, path, 0, true),
    (pair) => vfs_rename(context, pair.old_start, pair.old_path, pair.new_start, pair.new_path, flags),
  );
}

const sys_mkdir = (): number => do_mkdir(AT_FDCWD, arg_u64(0), arg_lo(1));
const sys_mkdirat = (): number => do_mkdir(arg_i32(0), arg_u64(1), arg_lo(2));
const sys_mknod = (): number => do_mknod(AT_FDCWD, arg_u64(0), arg_lo(1), arg_lo(2));
const sys_mknodat = (): number => do_mknod(arg_i32(0), arg_u64(1), arg_lo(2), arg_lo(3));
const sys_rmdir = (): number => do_unlink(AT_FDCWD, arg_u64(0), true);
const sys_unlink = (): number => do_unlink(AT_FDCWD, arg_u64(0), false);
const sys_symlink = (): number => do_symlink(arg_u64(0), AT_FDCWD, arg_u64(1));
const sys_symlinkat = (): number => do_symlink(arg_u64(0), arg_i32(1), arg_u64(2));
const sys_link = (): number => do_link(AT_FDCWD, arg_u64(0), AT_FDCWD, arg_u64(1), 0);
const sys_linkat = (): number => do_link(arg_i32(0), arg_u64(1), arg_i32(2), arg_u64(3), arg_lo(4));
const sys_rename = (): number => do_rename(AT_FDCWD, arg_u64(0), AT_FDCWD, arg_u64(1), 0);
const sys_renameat = (): number => do_rename(arg_i32(0), arg_u64(1), arg_i32(2), arg_u64(3), 0);
const sys_renameat2 = (): number => do_rename(arg_i32(0), arg_u64(1), arg_i32(2), arg_u64(3), arg_lo(4));

function sys_unlinkat(): number {
  const flags = arg_lo(2);
  if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  return do_unlink(arg_i32(0), arg_u64(1), flags !== 0);
}

const AT_OLD = ['olddirfd:dirfd', 'oldpath:path', 'newdirfd:dirfd', 'newpath:path'] as const;

export const NAME_ROWS: readonly SyscallRow[] = [
  full(82, 'rename', sys_rename, 'oldpath:path', 'newpath:path'),
  full(83, 'mkdir', sys_mkdir, 'path:path', 'mode:mode'),
  full(84, 'rmdir', sys_rmdir, 'path:path'),
  full(86, 'link', sys_link, 'oldpath:path', 'newpath:path'),
  full(87, 'unlink', sys_unlink, 'path:path'),
  full(88, 'symlink', sys_symlink, 'target:string', 'linkpath:path'),
  partial(133, 'mknod', 'block devices cannot be opened', sys_mknod, 'path:path', 'mode:mode', 'dev:uint'),
  full(258, 'mkdirat', sys_mkdirat, 'dirfd:dirfd', 'path:path', 'mode:mode'),
  partial(
    259,
    'mknodat',
    'block devices cannot be opened',
    sys_mknodat,
    'dirfd:dirfd',
    'path:path',
    'mode:mode',
    'dev:uint',
  ),
  full(263, 'unlinkat', sys_unlinkat, 'dirfd:dirfd', 'path:path', 'flags:flags(at)'),
  full(264, 'renameat', sys_renameat, ...AT_OLD),
  full(265, 'linkat', sys_linkat, ...AT_OLD, 'flags:flags(at)'),
  full(266, 'symlinkat', sys_symlinkat, 'target:string', 'newdirfd:dirfd', 'linkpath:path'),
  full(316, 'renameat2', sys_renameat2, ...AT_OLD, 'flags:uint'),
];
