/**
 * Extended attributes (xattr(7)): kept in memory by tmpfs and the overlay, EOPNOTSUPP elsewhere.
 */

import { CAP_SETFCAP, CAP_SYS_ADMIN } from '../abi/capability.ts';
import {
  E2BIG,
  EACCES,
  EBADF,
  EFAULT,
  EINVAL,
  ENODATA,
  ENOMEM,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  EROFS,
} from '../abi/errno.ts';
import { AT_FDCWD } from '../abi/fcntl.ts';
import { IN_ATTRIB } from '../abi/inotify.ts';
import { SOCK_STREAM } from '../abi/socket.ts';
import { S_IFDIR, S_IFMT, S_IFREG, S_ISVTX } from '../abi/stat.ts';
import { PAGE_SIZE, type Ptr } from '../base/types.ts';
import { file_inode } from '../fs/anon/attributes.ts';
import { bytes_copy, bytes_read, bytes_write } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { fd_opened } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { frame_alloc_uninitialized } from '../machine/frames.ts';
import { copy_in, copy_in_string, copy_out } from '../mm/uaccess.ts';
import { UnixSocket } from '../socket/socket.layout.ts';
import { File } from '../vfs/file.layout.ts';
import { INODE_KIND_SOCKET, inode_operations, inode_touch, TOUCH_CTIME } from '../vfs/inode.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { is_symlink, LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { capable, inode_permission, is_read_only, MAY_READ, MAY_WRITE, owner_or_capable } from '../vfs/permission.ts';
import { Dentry, Inode } from '../vfs/vfs.layout.ts';
import {
  drop_long_value,
  long_value,
  XATTR_CREATE,
  XATTR_INLINE_MAX,
  XATTR_NAME_MAX,
  XATTR_REPLACE,
  XATTR_SIZE_MAX,
  xattr_get,
  xattr_list,
  xattr_remove,
  xattr_set,
} from '../vfs/xattr.ts';
import { resolve } from './file_paths.ts';
import { partial, type SyscallRow } from './row.ts';

/**
 * What a call does with the inode it names, once its other arguments were copied into `page`: the name is there, NUL
 * behind it, and a value at VALUE_AT.
 */
type Use = (inode: Ptr<'Inode'>, page: number) => number;

const ref = module_path_ref();
const VALUE_AT = 256;
const ACL_ACCESS = 'system.posix_acl_access';
const ACL_DEFAULT = 'system.posix_acl_default';
const SOCKET_PROTOCOL = 'system.sockprotoname';
const CAPABILITY = 'security.capability';

/** Length and text of the name that is being worked with: for one call. */
let name_length = 0;
let name = '';
let value_size = 0;

/** Copies the name of argument 1 into `page`: 0, -EFAULT, or -ERANGE for one that is empty or too long. */
function take_name(page: number): number {
  name_length = copy_in_string(arg_u64(1), page, XATTR_NAME_MAX + 1);
  if (name_length === -EFAULT) return -EFAULT;
  if (name_length <= 0) return -ERANGE;
  name = bytes_read(page, name_length);
  return 0;
}

/** Copies name and value of setxattr(2) into `page`: 0 or -errno. Flags are looked at first, the value last. */
function take_name_and_value(page: number): number {
  if ((arg_lo(4) & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
  const result = take_name(page);
  value_size = arg_u64(3);
  if (result !== 0 || value_size === 0) return result;
  if (value_size > XATTR_SIZE_MAX) return -E2BIG;
  if (value_size > XATTR_INLINE_MAX) return take_long_value(page);
  return copy_in(page + VALUE_AT, arg_u64(2), value_size) < 0 ? -EFAULT : 0;
}

/** Copies a long value into frames, and its beginning into `page`: 0, -EFAULT or -ENOMEM. */
function take_long_value(page: number): number {
  for (let done = 0; done < value_size; done += PAGE_SIZE) {
    const frame = frame_alloc_uninitialized();
    if (frame === 0) return -ENOMEM;
    long_value.push(frame);
    if (copy_in(frame, arg_u64(2) + done, Math.min(PAGE_SIZE, value_size - done)) < 0) return -EFAULT;
  }
  bytes_copy(page + VALUE_AT, long_value[0] as number, XATTR_INLINE_MAX);
  return 0;
}

/** Gives the guest a value of `size` bytes: 0 or -EFAULT. */
function put_value(page: number, size: number): number {
  if (size <= XATTR_INLINE_MAX) return copy_out(arg_u64(2), page + VALUE_AT, size);
  for (const [i, frame] of long_value.entries()) {
    const done = i * PAGE_SIZE;
    if (copy_out(arg_u64(2) + done, frame, Math.min(PAGE_SIZE, size - done)) < 0) return -EFAULT;
  }
  return 0;
}

function no_name(): number {
  return 0;
}

/** A call by path: `take` copies the other arguments before the path is walked, as in Linux since 6.13. */
function on_path(follow: number, take: (page: number) => number, use: Use): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  let result = take(page);
  if (result === 0) result = resolve(AT_FDCWD, arg_u64(0), follow, ref);
  if (result === 0) {
    result = apply(Dentry.inode.get(ref.dentry), ref.mount, ref.dentry, page, use);
    ref.put();
  }
  drop_long_value();
  heap_page_free(page);
  return result;
}

function on_descriptor(take: (page: number) => number, use: Use): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  let result = take(page);
  const file = result === 0 ? fd_opened(arg_i32(0)) : (0 as Ptr<'File'>);
  if (result === 0 && file === 0) result = -EBADF;
  if (result === 0) {
    const inode = file_inode(file);
    result = inode === 0 ? -ENOMEM : apply(inode, File.mount.get(file), File.dentry.get(file), page, use);
  }
  drop_long_value();
  heap_page_free(page);
  return result;
}

function apply(inode: Ptr<'Inode'>, mount: Ptr<'Mount'>, dentry: Ptr<'Dentry'>, page: number, use: Use): number {
  const changes = use === set || use === remove;
  if (changes && mount !== 0 && is_read_only(mount)) return -EROFS;
  const result = use(inode, page);
  if (changes && result === 0 && dentry !== 0) notify_dentry(dentry, IN_ATTRIB);
  return result;
}

function has_capability(capability: number): boolean {
  return capable(Task.credentials.get(current), capability);
}

/** Who may touch which name space: 0 or -errno. `mask` is MAY_READ or MAY_WRITE. */
function check_permission(inode: Ptr<'Inode'>, mask: number): number {
  const credentials = Task.credentials.get(current);
  if (name.startsWith('security.') || name.startsWith('system.')) return 0;
  if (name.startsWith('trusted.')) {
    if (has_capability(CAP_SYS_ADMIN)) return 0;
    return mask === MAY_WRITE ? -EPERM : -ENODATA;
  }
  const mode = Inode.mode.get(inode);
  if (name.startsWith('user.')) {
    const type = mode & S_IFMT;
    if (type !== S_IFREG && type !== S_IFDIR) return mask === MAY_WRITE ? -EPERM : -ENODATA;
    const sticky = type === S_IFDIR && (mode & S_ISVTX) !== 0;
    if (sticky && mask === MAY_WRITE && !owner_or_capable(inode, credentials)) return -EPERM;
  }
  return inode_permission(inode, mask, credentials);
}

/** Changing what security modules read takes CAP_SYS_ADMIN; file capabilities have a rule of their own. */
function may_change_security(inode: Ptr<'Inode'>): boolean {
  if (!name.startsWith('security.') || inode_operations(inode).fixed_attributes === true) return true;
  return name === CAPABILITY || has_capability(CAP_SYS_ADMIN);
}

/** Whether the inode keeps attributes of this name: 0, -EOPNOTSUPP, or -EINVAL for the name of a name space alone. */
function check_kept(inode: Ptr<'Inode'>): number {
  const spaces = inode_operations(inode).has_xattrs === true ? KEPT : has_protocol(inode) ? ['security.'] : [];
  const space = spaces.find((prefix) => name.startsWith(prefix));
  if (space === undefined) return -EOPNOTSUPP;
  if (name === space) return -EINVAL;
  return spaces === KEPT ? 0 : -EOPNOTSUPP;
}

const KEPT: readonly string[] = ['user.', 'trusted.', 'security.'];

function has_protocol(inode: Ptr<'Inode'>): boolean {
  return Inode.kind.get(inode) === INODE_KIND_SOCKET;
}

function is_acl(): boolean {
  return name === ACL_ACCESS || name === ACL_DEFAULT;
}

const ACL_VERSION = 2;
const ACL_USER_OBJ = 1;
const ACL_USER = 2;
const ACL_GROUP_OBJ = 4;
const ACL_GROUP = 8;
const ACL_MASK = 16;
const ACL_OTHER = 32;
/** Bytes of its header, and of an entry: tag, permissions, id. */
const ACL_HEADER = 4;
const ACL_ENTRY = 8;

/** Tags of entries (acl(5)); those of USER and GROUP name somebody. */
const ACL_TAGS: readonly number[] = [ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER];

/** An access control list's entries are some (posix_acl_from_xattr): their number, or -errno. */
function check_acl(page: number): number {
  if (value_size === 0) return 0;
  const at = page + VALUE_AT;
  if (value_size < ACL_HEADER) return -EINVAL;
  if (U32[at >> 2] !== ACL_VERSION) return -EOPNOTSUPP;
  if ((value_size - ACL_HEADER) % ACL_ENTRY !== 0) return -EINVAL;
  const entries = (value_size - ACL_HEADER) / ACL_ENTRY;
  for (let i = 0; i < entries; i++) {
    const tag = acl_word(page, i) & 0xffff;
    const names_nobody = (tag === ACL_USER || tag === ACL_GROUP) && acl_id(page, i) === 0xffff_ffff;
    if (!ACL_TAGS.includes(tag) || names_nobody) return -EINVAL;
  }
  return entries;
}

/** Tag and permissions of entry `i`, in the low and the high half of a word. */
function acl_word(page: number, i: number): number {
  return value_word(page, ACL_HEADER + i * ACL_ENTRY);
}

function acl_id(page: number, i: number): number {
  return value_word(page, ACL_HEADER + i * ACL_ENTRY + 4);
}

/** The word of the value at a multiple of 4. */
function value_word(page: number, at: number): number {
  const frame = value_size > XATTR_INLINE_MAX ? (long_value[at >>> 12] as number) : 0;
  return U32[(frame === 0 ? page + VALUE_AT + at : frame + (at & 0xfff)) >>> 2] as number;
}

/** Whether the list has the entries it must have, in order of their tags, and permissions only (posix_acl_valid). */
function is_valid_acl(page: number, entries: number): boolean {
  let last = 0;
  let seen = 0;
  for (let i = 0; i < entries; i++) {
    const word = acl_word(page, i);
    const tag = word & 0xffff;
    const several = tag === ACL_USER || tag === ACL_GROUP;
    if (word >>> 16 > 7 || tag < last || (tag === last && !several)) return false;
    last = tag;
    seen |= tag;
  }
  const needed = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
  const needs_mask = (seen & (ACL_USER | ACL_GROUP)) !== 0;
  return (seen & needed) === needed && (!needs_mask || (seen & ACL_MASK) !== 0);
}

/**
 * Sets or (`entries` 0) removes the access control list at `page`. There are none, so nothing changes but the time.
 */
function change_acl(inode: Ptr<'Inode'>, page: number, entries: number): number {
  if (inode_operations(inode).has_xattrs !== true || is_symlink(inode)) return -EOPNOTSUPP;
  if (name === ACL_DEFAULT && (Inode.mode.get(inode) & S_IFMT) !== S_IFDIR) return entries === 0 ? 0 : -EACCES;
  if (!owner_or_capable(inode, Task.credentials.get(current))) return -EPERM;
  if (entries !== 0) return is_valid_acl(page, entries) ? -EOPNOTSUPP : -EINVAL;
  inode_touch(inode, TOUCH_CTIME);
  return 0;
}

/** The value of security.capability that execve(2) understands: a revision and as many bytes as belong to it. */
function is_capability(at: number, size: number): boolean {
  const revision = (U32[at >> 2] as number) & VFS_CAP_REVISION_MASK;
  return (size === 20 && revision === VFS_CAP_REVISION_2) || (size === 24 && revision === VFS_CAP_REVISION_3);
}

const VFS_CAP_REVISION_MASK = 0xff00_0000 | 0;
const VFS_CAP_REVISION_2 = 0x0200_0000;
const VFS_CAP_REVISION_3 = 0x0300_0000;

const set: Use = (inode, page) => {
  if (is_acl()) {
    const entries = check_acl(page);
    return entries < 0 ? entries : change_acl(inode, page, entries);
  }
  // An empty value is not looked at here (Linux's vfs_setxattr).
  if (name === CAPABILITY && value_size > 0) {
    if (!is_capability(page + VALUE_AT, value_size)) return -EINVAL;
    if (!has_capability(CAP_SETFCAP)) return -EPERM;
  }
  const allowed = check_permission(inode, MAY_WRITE);
  if (allowed !== 0) return allowed;
  if (!may_change_security(inode)) return -EPERM;
  const kept = check_kept(inode);
  if (kept !== 0) return kept;
  inode_operations(inode).note_change?.(inode);
  const result = xattr_set(inode, page, name_length, page + VALUE_AT, value_size, arg_lo(4));
  if (result === 0) inode_touch(inode, TOUCH_CTIME);
  return result;
};

/** The name of a socket's protocol: its length with the NUL. */
function get_protocol(inode: Ptr<'Inode'>, target: number, capacity: number): number {
  const stream = UnixSocket.type.get(Inode.ino.get(inode) as Ptr<'UnixSocket'>) === SOCK_STREAM;
  const text = stream ? 'UNIX-STREAM\0' : 'UNIX\0';
  if (capacity === 0) return text.length;
  return text.length > capacity ? -ERANGE : bytes_write(target, text);
}

function get_value(inode: Ptr<'Inode'>, page: number, capacity: number): number {
  if (is_acl()) return inode_operations(inode).has_xattrs !== true || is_symlink(inode) ? -EOPNOTSUPP : -ENODATA;
  const allowed = check_permission(inode, MAY_READ);
  if (allowed !== 0) return allowed;
  if (name === SOCKET_PROTOCOL && has_protocol(inode)) return get_protocol(inode, page + VALUE_AT, capacity);
  const kept = check_kept(inode);
  if (kept !== 0) return kept;
  const size = xattr_get(inode, page, name_length, page + VALUE_AT, name === CAPABILITY ? XATTR_INLINE_MAX : capacity);
  if (name !== CAPABILITY || size < 0) return size;
  if (!is_capability(page + VALUE_AT, size)) return -EINVAL;
  return capacity !== 0 && size > capacity ? -ERANGE : size;
}

const get: Use = (inode, page) => {
  const capacity = Math.min(arg_u64(3), XATTR_SIZE_MAX);
  const size = get_value(inode, page, capacity);
  if (size > 0 && capacity > 0 && put_value(page, size) < 0) return -EFAULT;
  return size === -ERANGE && capacity === XATTR_SIZE_MAX ? -E2BIG : size;
};

const list: Use = (inode, page) => {
  const capacity = Math.min(arg_u64(2), 4096);
  let size = 0;
  if (has_protocol(inode)) {
    size = SOCKET_PROTOCOL.length + 1;
    if (capacity !== 0) size = size > capacity ? -ERANGE : bytes_write(page, `${SOCKET_PROTOCOL}\0`);
  } else if (inode_operations(inode).has_xattrs === true)
    size = xattr_list(inode, page, capacity, has_capability(CAP_SYS_ADMIN));
  if (size > 0 && capacity > 0 && copy_out(arg_u64(1), page, size) < 0) return -EFAULT;
  return size;
};

const remove: Use = (inode, page) => {
  if (is_acl()) return change_acl(inode, page, 0);
  const allowed = check_permission(inode, MAY_WRITE);
  if (allowed !== 0) return allowed;
  if (!may_change_security(inode)) return -EPERM;
  const is_private = inode_operations(inode).fixed_attributes === true;
  if (name === CAPABILITY && !is_private && !has_capability(CAP_SETFCAP)) return -EPERM;
  const kept = check_kept(inode);
  if (kept !== 0) return kept;
  inode_operations(inode).note_change?.(inode);
  const result = xattr_remove(inode, page, name_length);
  if (result === 0) inode_touch(inode, TOUCH_CTIME);
  return result;
};

const NOTE = 'tmpfs and the overlay; no access control lists';
const SET = ['name:string', 'value:in(3)', 'size:size', 'flags:int'] as const;
const GET = ['name:string', 'value:out(3)', 'size:size'] as const;

export const XATTR_ROWS: readonly SyscallRow[] = [
  partial(188, 'setxattr', NOTE, () => on_path(LOOKUP_FOLLOW, take_name_and_value, set), 'path:path', ...SET),
  partial(189, 'lsetxattr', NOTE, () => on_path(0, take_name_and_value, set), 'path:path', ...SET),
  partial(190, 'fsetxattr', NOTE, () => on_descriptor(take_name_and_value, set), 'fd:fd', ...SET),
  partial(191, 'getxattr', NOTE, () => on_path(LOOKUP_FOLLOW, take_name, get), 'path:path', ...GET),
  partial(192, 'lgetxattr', NOTE, () => on_path(0, take_name, get), 'path:path', ...GET),
  partial(193, 'fgetxattr', NOTE, () => on_descriptor(take_name, get), 'fd:fd', ...GET),
  partial(194, 'listxattr', NOTE, () => on_path(LOOKUP_FOLLOW, no_name, list), 'path:path', 'list:out(2)', 'size:size'),
  partial(195, 'llistxattr', NOTE, () => on_path(0, no_name, list), 'path:path', 'list:out(2)', 'size:size'),
  partial(196, 'flistxattr', NOTE, () => on_descriptor(no_name, list), 'fd:fd', 'list:out(2)', 'size:size'),
  partial(197, 'removexattr', NOTE, () => on_path(LOOKUP_FOLLOW, take_name, remove), 'path:path', 'name:string'),
  partial(198, 'lremovexattr', NOTE, () => on_path(0, take_name, remove), 'path:path', 'name:string'),
  partial(199, 'fremovexattr', NOTE, () => on_descriptor(take_name, remove), 'fd:fd', 'name:string'),
];
