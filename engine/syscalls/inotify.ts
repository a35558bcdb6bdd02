/** inotify(7): inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch. */
import { EBADF, EINVAL } from '../abi/errno.ts';
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK } from '../abi/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_ISDIR,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_ONLYDIR,
  IN_UNMOUNT,
} from '../abi/inotify.ts';
import type { Ptr } from '../base/types.ts';
import { inotify_add, inotify_create, inotify_remove } from '../fs/anon/inotify.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { fd_opened } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_INOTIFY } from '../vfs/file.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { MAY_READ, path_permission } from '../vfs/permission.ts';
import { Dentry } from '../vfs/vfs.layout.ts';
import { install_new } from './eventfd.ts';
import { resolve } from './file_paths.ts';
import { full, type SyscallRow } from './row.ts';

const FLAGS = IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT;
const KNOWN = IN_ALL_EVENTS | IN_UNMOUNT | FLAGS;

const ref = module_path_ref();

function make(flags: number): number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL;
  const file = inotify_create(flags);
  return file < 0 ? file : install_new(file as Ptr<'File'>, flags);
}

function sys_inotify_init(): number {
  return make(0);
}

function sys_inotify_init1(): number {
  return make(arg_lo(0));
}

function sys_inotify_add_watch(): number {
  const mask = arg_lo(2);
  if ((mask & KNOWN) === 0) return -EINVAL;
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return -EINVAL;
  if (File.kind.get(file) !== FILE_KIND_INOTIFY) return -EINVAL;
  const follow = (mask & IN_DONT_FOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  const directory = (mask & IN_ONLYDIR) !== 0 ? LOOKUP_DIRECTORY : 0;
  let result = resolve(AT_FDCWD, arg_u64(1), follow | directory, ref);
  if (result !== 0) return result;
  const inode = Dentry.inode.get(ref.dentry);
  result = path_permission(ref.mount, inode, MAY_READ, Task.credentials.get(current));
  if (result === 0) result = inotify_add(file, inode, mask);
  ref.put();
  return result;
}

function sys_inotify_rm_watch(): number {
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  return File.kind.get(file) === FILE_KIND_INOTIFY ? inotify_remove(file, arg_i32(1)) : -EINVAL;
}

export const INOTIFY_ROWS: readonly SyscallRow[] = [
  full(253, 'inotify_init', sys_inotify_init),
  full(254, 'inotify_add_watch', sys_inotify_add_watch, 'fd:fd', 'path:path', 'mask:uint'),
  full(255, 'inotify_rm_watch', sys_inotify_rm_watch, 'fd:fd', 'wd:int'),
  full(294, 'inotify_init1', sys_inotify_init1, 'flags:flags(open)'),
];
