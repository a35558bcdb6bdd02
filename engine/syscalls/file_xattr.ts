/**
 * Extended attributes (xattr(7)): kept in memory by tmpfs and the overlay, EOPNOTSUPP elsewhere.
 */

import { CAP_SYS_ADMIN } from '../abi/capability.ts';
import { E2BIG, EBADF, EFAULT, EINVAL, ENODATA, ENOMEM, EOPNOTSUPP, EPERM, ERANGE, EROFS } from '../abi/errno.ts';
import { AT_FDCWD, O_PATH } from '../abi/fcntl.ts';
import { IN_ATTRIB } from '../abi/inotify.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_read } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { copy_in, copy_in_string, copy_out } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { inode_operations, inode_touch, TOUCH_CTIME } from '../vfs/inode.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { capable, inode_permission, is_read_only, MAY_READ, MAY_WRITE } from '../vfs/permission.ts';
import { Dentry, Inode } from '../vfs/vfs.layout.ts';
import { XATTR_NAME_MAX, XATTR_VALUE_MAX, xattr_get, xattr_list, xattr_remove, xattr_set } from '../vfs/xattr.ts';
import { resolve } from './file_paths.ts';
import { partial, type SyscallRow } from './row.ts';

type Use = (inode: Ptr<'Inode'>, mount: Ptr<'Mount'>) => number;

const ref = module_path_ref();
/** Largest value and list of xattr(7). */
const XATTR_SIZE_MAX = 65536;

function on_path(follow: number, use: Use): number {
  const result = resolve(AT_FDCWD, arg_u64(0), follow, ref);
  if (result !== 0) return result;
  const answer = use(Dentry.inode.get(ref.dentry), ref.mount);
  if (answer === 0 && (use === set || use === remove)) notify_dentry(ref.dentry, IN_ATTRIB);
  ref.put();
  return answer;
}

function on_descriptor(use: Use): number {
  const file = fd_file(arg_i32(0));
  if (file === 0 || (File.flags.get(file) & O_PATH) !== 0) return -EBADF;
  const inode = File.inode.get(file);
  if (inode === 0) return -EOPNOTSUPP;
  const answer = use(inode, File.mount.get(file));
  if (answer === 0 && (use === set || use === remove)) notify_dentry(File.dentry.get(file), IN_ATTRIB);
  return answer;
}

/** Who may touch which name space: 0 or -errno. `mask` is MAY_READ or MAY_WRITE. */
function check_name(inode: Ptr<'Inode'>, name: string, mask: number): number {
  const credentials = Task.credentials.get(current);
  const type = Inode.mode.get(inode) & S_IFMT;
  if (name.startsWith('trusted.')) {
    if (capable(credentials, CAP_SYS_ADMIN)) return 0;
    return mask === MAY_WRITE ? -EPERM : -ENODATA;
  }
  if (name.startsWith('security.')) return mask === MAY_READ || capable(credentials, CAP_SYS_ADMIN) ? 0 : -EPERM;
  if (!name.startsWith('user.')) return -EOPNOTSUPP;
  if (type !== S_IFREG && type !== S_IFDIR) return mask === MAY_WRITE ? -EPERM : -ENODATA;
  return inode_permission(inode, mask, credentials);
}

/** Copies the name of argument 1 into `page`: its length, or -errno. */
function take_name(page: number, inode: Ptr<'Inode'>, mask: number): number {
  const length = copy_in_string(arg_u64(1), page, XATTR_NAME_MAX + 1);
  if (length < 0) return length === -EFAULT ? -EFAULT : -ERANGE;
  if (length === 0) return -ERANGE;
  const allowed = check_name(inode, bytes_read(page, length), mask);
  return allowed !== 0 ? allowed : length;
}

/** Runs `use` with a kernel page when the file system keeps attributes. */
function with_page(inode: Ptr<'Inode'>, use: (page: number) => number): number {
  if (inode_operations(inode).has_xattrs !== true) return -EOPNOTSUPP;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const result = use(page);
  heap_page_free(page);
  return result;
}

const set: Use = (inode, mount) => {
  const size = arg_u64(3);
  const flags = arg_lo(4);
  if (flags > 2) return -EINVAL;
  if (size > XATTR_SIZE_MAX) return -E2BIG;
  if (mount !== 0 && is_read_only(mount)) return -EROFS;
  return with_page(inode, (page) => {
    const length = take_name(page, inode, MAY_WRITE);
    if (length < 0) return length;
    if (size > XATTR_VALUE_MAX) return -E2BIG;
    if (size > 0 && copy_in(page + 256, arg_u64(2), size) < 0) return -EFAULT;
    inode_operations(inode).note_change?.(inode);
    const result = xattr_set(inode, page, length, page + 256, size, flags);
    if (result === 0) inode_touch(inode, TOUCH_CTIME);
    return result;
  });
};

const get: Use = (inode) =>
  with_page(inode, (page) => {
    const length = take_name(page, inode, MAY_READ);
    if (length < 0) return length;
    const capacity = Math.min(arg_u64(3), XATTR_VALUE_MAX);
    const size = xattr_get(inode, page, length, page + 256, capacity);
    if (size > 0 && capacity > 0 && copy_out(arg_u64(2), page + 256, size) < 0) return -EFAULT;
    return size;
  });

const list: Use = (inode) => {
  if (inode_operations(inode).has_xattrs !== true) return 0;
  return with_page(inode, (page) => {
    const capacity = Math.min(arg_u64(2), 4096);
    const size = xattr_list(inode, page, capacity);
    if (size > 0 && capacity > 0 && copy_out(arg_u64(1), page, size) < 0) return -EFAULT;
    return size;
  });
};

const remove: Use = (inode, mount) => {
  if (mount !== 0 && is_read_only(mount)) return -EROFS;
  return with_page(inode, (page) => {
    const length = take_name(page, inode, MAY_WRITE);
    if (length < 0) return length;
    inode_operations(inode).note_change?.(inode);
    const result = xattr_remove(inode, page, length);
    if (result === 0) inode_touch(inode, TOUCH_CTIME);
    return result;
  });
};

const NOTE = 'tmpfs and the overlay, values up to 3 KiB; no access control lists';
const SET = ['name:string', 'value:in(3)', 'size:size', 'flags:int'] as const;
const GET = ['name:string', 'value:out(3)', 'size:size'] as const;

export const XATTR_ROWS: readonly SyscallRow[] = [
  partial(188, 'setxattr', NOTE, () => on_path(LOOKUP_FOLLOW, set), 'path:path', ...SET),
  partial(189, 'lsetxattr', NOTE, () => on_path(0, set), 'path:path', ...SET),
  partial(190, 'fsetxattr', NOTE, () => on_descriptor(set), 'fd:fd', ...SET),
  partial(191, 'getxattr', NOTE, () => on_path(LOOKUP_FOLLOW, get), 'path:path', ...GET),
  partial(192, 'lgetxattr', NOTE, () => on_path(0, get), 'path:path', ...GET),
  partial(193, 'fgetxattr', NOTE, () => on_descriptor(get), 'fd:fd', ...GET),
  partial(194, 'listxattr', NOTE, () => on_path(LOOKUP_FOLLOW, list), 'path:path', 'list:out(2)', 'size:size'),
  partial(195, 'llistxattr', NOTE, () => on_path(0, list), 'path:path', 'list:out(2)', 'size:size'),
  partial(196, 'flistxattr', NOTE, () => on_descriptor(list), 'fd:fd', 'list:out(2)', 'size:size'),
  partial(197, 'removexattr', NOTE, () => on_path(LOOKUP_FOLLOW, remove), 'path:path', 'name:string'),
  partial(198, 'lremovexattr', NOTE, () => on_path(0, remove), 'path:path', 'name:string'),
  partial(199, 'fremovexattr', NOTE, () => on_descriptor(remove), 'fd:fd', 'name:string'),
];
