/**
 * Changes of the name space: mknod, mkdir, symlink, link, unlink, rmdir, rename (Linux's fs/namei.c).
 *
 * Each call resolves the directory, takes the superblock's tree lock, looks the last component up again
 * under it, checks, and lets the file system act; the dentry cache then follows.
 */

import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD } from '../abi/capability.ts';
import {
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  EMLINK,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EROFS,
  EXDEV,
} from '../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from '../abi/path.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID, S_IXGRP } from '../abi/stat.ts';
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { U8 } from '../heap/memory.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { d_drop, d_move, dput, is_subdir } from './dcache.ts';
import { File } from './file.layout.ts';
import { inode_operations } from './inode.ts';
import { is_mountpoint } from './mount.ts';
import { notify_active, notify_create, notify_delete, notify_move, notify_moved } from './notify.ts';
import {
  is_directory,
  LAST_DOT,
  LAST_NORMAL,
  LAST_ROOT,
  LOOKUP_EMPTY,
  look_up_locked,
  type PathContext,
  path_walk,
  walker,
} from './path.ts';
import { module_path_ref, type PathRef } from './path_ref.ts';
import { capable, in_group, inode_permission, is_read_only, MAY_EXEC, MAY_WRITE, may_delete } from './permission.ts';
import { tree_lock, tree_unlock } from './super.ts';
import { Dentry, INODE_ORPHAN, Inode } from './vfs.layout.ts';

type D = Ptr<'Dentry'>;
type I = Ptr<'Inode'>;
type C = Ptr<'Credentials'>;

const LINK_MAX = 65000;

/** Owner and mode of the inode about to be made; filled by `inherit_owner`. */
export const new_owner = { uid: 0, gid: 0, mode: 0 };

/** The owner a new entry of `dir` gets: a set-group-id directory hands down its group (open(2), mkdir(2)). */
export function inherit_owner(dir: I, mode: number, credentials: C): void {
  new_owner.uid = Credentials.fsuid.get(credentials);
  new_owner.gid = Credentials.fsgid.get(credentials);
  if ((Inode.mode.get(dir) & S_ISGID) !== 0) {
    new_owner.gid = Inode.gid.get(dir);
    if ((mode & S_IFMT) === S_IFDIR) mode |= S_ISGID;
    else if ((mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP)) {
      const member = in_group(credentials, new_owner.gid) || capable(credentials, CAP_FSETID);
      if (!member) mode &= ~S_ISGID;
    }
  }
  new_owner.mode = mode;
}

/** 0 when an entry may be added to the directory. The tree lock is held. */
export function may_create(mount: Ptr<'Mount'>, parent: D, credentials: C): number {
  const dir = Dentry.inode.get(parent);
  if ((Inode.flags.load(dir) & INODE_ORPHAN) !== 0) return -ENOENT;
  if (is_read_only(mount)) return -EROFS;
  return inode_permission(dir, MAY_WRITE | MAY_EXEC, credentials);
}

/** Has the file system make an inode for a negative dentry; permission was checked, the tree lock is held. */
export function create_locked(parent: D, child: D, mode: number, rdev: number, credentials: C): number {
  const dir = Dentry.inode.get(parent);
  const create = inode_operations(dir).create;
  if (create === undefined) return -EPERM;
  inherit_owner(dir, mode, credentials);
  return create(dir, child, new_owner.mode, rdev, new_owner.uid, new_owner.gid);
}

/** The last component in its directory, with the tree lock taken; see `lock_last`. */
class LockedEntry {
  readonly parent = module_path_ref();
  child = 0 as D;
  trailing = false;
  sb = 0 as Ptr<'SuperBlock'>;

  release(): void {
    tree_unlock(this.sb);
    if (this.child !== 0) dput(this.child);
    this.child = 0 as D;
    this.parent.put();
  }
}

const entry = new LockedEntry();
register_transient(() => {
  entry.child = 0 as D;
});

/**
 * Resolves a path whose last component is to be made: on success the tree lock is held and `entry` has
 * the negative dentry. -EEXIST when the name is there (or is ".", ".." or the root). Whether the
 * directory may be written is the caller's next question.
 */
function begin_create(context: PathContext, path: number, directory: boolean): number {
  let result = walker.begin(context, path, 0);
  if (result === 0) result = walker.walk_parent();
  if (result === 0 && walker.last !== LAST_NORMAL) result = -EEXIST;
  if (result !== 0) {
    walker.end();
    return result;
  }
  const { at } = walker;
  entry.parent.set(at.mount, at.dentry);
  entry.sb = Dentry.sb.get(at.dentry);
  const before = walker.look_up();
  if (before > 0) dput(before as D);
  tree_lock(entry.sb);
  const child = before < 0 ? before : look_up_locked(at.dentry, walker.name, walker.name_length);
  const trailing = walker.trailing;
  walker.end();
  if (child < 0) result = child;
  else {
    entry.child = child as D;
    if (Dentry.inode.get(entry.child) !== 0) result = -EEXIST;
    else if (trailing && !directory) result = -ENOENT;
    else if (is_read_only(entry.parent.mount)) result = -EROFS;
  }
  if (result !== 0) entry.release();
  return result;
}

/** Whether mknod(2) makes files of this type, which it looks at before the path: 0, -EPERM for directories, -EINVAL. */
export function check_node_type(mode: number): number {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return -EPERM;
  const known = type === 0 || type === S_IFREG || type === S_IFCHR || type === S_IFBLK || type === S_IFIFO;
  return known || type === S_IFSOCK ? 0 : -EINVAL;
}

/** mknod(2) and the making of plain files: `mode` carries the type and permissions without the umask. */
export function vfs_mknod(context: PathContext, path: number, mode: number, rdev: number): number {
  const wrong = check_node_type(mode);
  if (wrong !== 0) return wrong;
  const type = mode & S_IFMT;
  if (type === 0) mode |= S_IFREG;
  const result = begin_create(context, path, false);
  if (result !== 0) return result;
  const is_device = type === S_IFCHR || type === S_IFBLK;
  let made = may_create(entry.parent.mount, entry.parent.dentry, context.credentials);
  if (made === 0 && is_device && !capable(context.credentials, CAP_MKNOD)) made = -EPERM;
  if (made === 0)
    made = create_locked(entry.parent.dentry, entry.child, mode, is_device ? rdev : 0, context.credentials);
  if (made === 0) notify_create(Dentry.inode.get(entry.parent.dentry), entry.child, false);
  entry.release();
  return made;
}

/**
 * Makes a node like `vfs_mknod` and keeps it: `out` gets references to it. For bind(2) of local sockets.
 */
export function vfs_mknod_keep(context: PathContext, path: number, mode: number, out: PathRef): number {
  const result = begin_create(context, path, false);
  if (result !== 0) return result;
  let made = may_create(entry.parent.mount, entry.parent.dentry, context.credentials);
  if (made === 0) made = create_locked(entry.parent.dentry, entry.child, mode, 0, context.credentials);
  if (made === 0) out.set(entry.parent.mount, entry.child);
  if (made === 0) notify_create(Dentry.inode.get(entry.parent.dentry), entry.child, false);
  entry.release();
  return made;
}

/** mkdir(2). */
export function vfs_mkdir(context: PathContext, path: number, mode: number): number {
  const result = begin_create(context, path, true);
  if (result !== 0) return result;
  const dir = Dentry.inode.get(entry.parent.dentry);
  let made = may_create(entry.parent.mount, entry.parent.dentry, context.credentials);
  if (made === 0 && Inode.nlink.get(dir) >= LINK_MAX) made = -EMLINK;
  if (made === 0)
    made = create_locked(entry.parent.dentry, entry.child, S_IFDIR | (mode & 0o1777), 0, context.credentials);
  if (made === 0) notify_create(Dentry.inode.get(entry.parent.dentry), entry.child, false);
  entry.release();
  return made;
}

/** symlink(2): `target` is a NUL-terminated string of `length` bytes, 1 to PATH_MAX - 1. */
export function vfs_symlink(context: PathContext, path: number, target: number, length: number): number {
  if (length === 0) return -ENOENT;
  const result = begin_create(context, path, false);
  if (result !== 0) return result;
  const dir = Dentry.inode.get(entry.parent.dentry);
  inherit_owner(dir, 0o777, context.credentials);
  const symlink = inode_operations(dir).symlink;
  let made = may_create(entry.parent.mount, entry.parent.dentry, context.credentials);
  if (made === 0) {
    const { uid, gid } = new_owner;
    made = symlink === undefined ? -EPERM : symlink(dir, entry.child, target, length, uid, gid);
  }
  if (made === 0) notify_create(Dentry.inode.get(entry.parent.dentry), entry.child, false);
  entry.release();
  return made;
}

const source = module_path_ref();

/** link(2), linkat(2): `flags` are LOOKUP_* for the old path, resolved from `old_start`. */
export function vfs_link(
  context: PathContext,
  old_start: Ptr<'File'>,
  old_path: number,
  flags: number,
  new_start: Ptr<'File'>,
  new_path: number,
): number {
  context.start = old_start;
  // A file without a name, by its descriptor: it is on no mount that has names.
  const nameless = U8[old_path] === 0 && old_start !== 0 && File.dentry.get(old_start) === 0;
  let result = nameless ? 0 : path_walk(context, old_path, flags, source);
  if (result !== 0) return result;
  context.start = new_start;
  result = begin_create(context, new_path, false);
  if (result === 0) {
    result = nameless ? -EXDEV : link_locked(context.credentials, (flags & LOOKUP_EMPTY) !== 0);
    entry.release();
  }
  if (!nameless) source.put();
  return result;
}

function link_locked(credentials: C, by_descriptor: boolean): number {
  const inode = Dentry.inode.get(source.dentry);
  const dir = Dentry.inode.get(entry.parent.dentry);
  if (source.mount !== entry.parent.mount) return -EXDEV;
  if (!may_hardlink(inode, credentials)) return -EPERM;
  const allowed = may_create(entry.parent.mount, entry.parent.dentry, credentials);
  if (allowed !== 0) return allowed;
  if (is_directory(inode)) return -EPERM;
  // An orphan has no name to copy, unless it was made by O_TMPFILE and is linked by its owner.
  if (Inode.nlink.get(inode) === 0 && (Inode.flags.load(inode) & INODE_ORPHAN) !== 0 && !by_descriptor) return -ENOENT;
  if (Inode.nlink.get(inode) >= LINK_MAX) return -EMLINK;
  const link = inode_operations(dir).link;
  if (link === undefined) return -EPERM;
  const linked = link(dir, entry.child, inode);
  if (linked === 0) notify_create(dir, entry.child, true);
  return linked;
}

/** The rule of /proc/sys/fs/protected_hardlinks at its usual value, 1. */
function may_hardlink(inode: I, credentials: C): boolean {
  if (Credentials.fsuid.get(credentials) === Inode.uid.get(inode) || capable(credentials, CAP_FOWNER)) return true;
  const mode = Inode.mode.get(inode);
  if ((mode & S_IFMT) !== S_IFREG || (mode & 0o4000) !== 0 || (mode & 0o2010) === 0o2010) return false;
  if (capable(credentials, CAP_DAC_OVERRIDE) || capable(credentials, CAP_DAC_READ_SEARCH)) return true;
  return inode_permission(inode, 6, credentials) === 0;
}

/** unlink(2), and rmdir(2) when `directory` is set. */
export function vfs_unlink(context: PathContext, path: number, directory: boolean): number {
  let result = walker.begin(context, path, 0);
  if (result === 0) result = walker.walk_parent();
  if (result === 0 && walker.last !== LAST_NORMAL) {
    if (!directory) result = -EISDIR;
    else result = walker.last === LAST_ROOT ? -EBUSY : walker.last === LAST_DOT ? -EINVAL : -ENOTEMPTY;
  }
  if (result !== 0) {
    walker.end();
    return result;
  }
  const { at } = walker;
  const before = walker.look_up();
  if (before > 0) dput(before as D);
  entry.parent.set(at.mount, at.dentry);
  entry.sb = Dentry.sb.get(at.dentry);
  tree_lock(entry.sb);
  const child = before < 0 ? before : look_up_locked(at.dentry, walker.name, walker.name_length);
  const trailing = walker.trailing;
  walker.end();
  if (child > 0) entry.child = child as D;
  result = child < 0 ? child : remove_locked(context.credentials, directory, trailing);
  entry.release();
  return result;
}

function remove_locked(credentials: C, directory: boolean, trailing: boolean): number {
  const { child } = entry;
  const victim = Dentry.inode.get(child);
  const dir = Dentry.inode.get(entry.parent.dentry);
  if (victim === 0) return -ENOENT;
  if (!directory && trailing) return is_directory(victim) ? -EISDIR : -ENOTDIR;
  if (is_read_only(entry.parent.mount)) return -EROFS;
  const allowed = may_delete(dir, victim, credentials);
  if (allowed !== 0) return allowed;
  if (directory && !is_directory(victim)) return -ENOTDIR;
  if (!directory && is_directory(victim)) return -EISDIR;
  if (is_mountpoint(child)) return -EBUSY;
  const remove = inode_operations(dir).remove;
  if (remove === undefined) return -EPERM;
  const result = remove(dir, child);
  if (result === 0) {
    if (directory) Inode.flags.or(victim, INODE_ORPHAN);
    d_drop(child);
    notify_delete(dir, child, victim, Dentry.refs.load(child) === 1);
  }
  return result;
}

const old_parent = module_path_ref();
const new_parent = module_path_ref();

/** renameat2(2) with RENAME_* flags; paths start at the given open directories. */
export function vfs_rename(
  context: PathContext,
  old_start: Ptr<'File'>,
  old_path: number,
  new_start: Ptr<'File'>,
  new_path: number,
  flags: number,
): number {
  const result = resolve_pair(context, old_start, old_path, new_start, new_path, flags);
  if (result !== 0) return result;
  const moved = rename_pair(context.credentials, flags);
  old_parent.put();
  new_parent.put();
  return moved;
}

/** Whether flags of renameat2(2) are any, and go together. */
export function are_rename_flags(flags: number): boolean {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) return false;
  return (flags & RENAME_EXCHANGE) === 0 || (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) === 0;
}

/** Whether the first path of a pair can be walked, where the second cannot even be read: 0 or -errno. */
export function vfs_check_first(
  context: PathContext,
  start: Ptr<'File'>,
  path: number,
  flags: number,
  parent: boolean,
): number {
  context.start = start;
  const result = parent ? resolve_parent(context, path, old_parent) : path_walk(context, path, flags, source);
  if (result === 0) (parent ? old_parent : source).put();
  return result;
}

/** What `resolve_pair` found: names are in the caller's path strings. */
const pair = { old_name: 0, old_length: 0, new_name: 0, new_length: 0, old_trailing: false, new_trailing: false };

function resolve_pair(
  context: PathContext,
  old_start: Ptr<'File'>,
  old_path: number,
  new_start: Ptr<'File'>,
  new_path: number,
  flags: number,
): number {
  context.start = old_start;
  let result = resolve_parent(context, old_path, old_parent);
  if (result !== 0) return result;
  pair.old_name = walker.name;
  pair.old_length = walker.name_length;
  pair.old_trailing = walker.trailing;
  const old_last = walker.last;
  context.start = new_start;
  result = resolve_parent(context, new_path, new_parent);
  if (result !== 0) {
    old_parent.put();
    return result;
  }
  pair.new_name = walker.name;
  pair.new_length = walker.name_length;
  pair.new_trailing = walker.trailing;
  if (old_parent.mount !== new_parent.mount) result = -EXDEV;
  else if (old_last !== LAST_NORMAL) result = -EBUSY;
  else if (walker.last !== LAST_NORMAL) result = (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : -EBUSY;
  if (result === 0) return 0;
  old_parent.put();
  new_parent.put();
  return result;
}

/** The directory of a path's last component into `out`; the walker then still describes that component. */
function resolve_parent(context: PathContext, path: number, out: PathRef): number {
  let result = walker.begin(context, path, 0);
  if (result === 0) result = walker.walk_parent();
  if (result === 0) out.set(walker.at.mount, walker.at.dentry);
  walker.end();
  return result;
}

function rename_pair(credentials: C, flags: number): number {
  const sb = Dentry.sb.get(old_parent.dentry);
  tree_lock(sb);
  const from = look_up_locked(old_parent.dentry, pair.old_name, pair.old_length);
  let result = Math.min(from, 0);
  let to = 0;
  // The new name is not looked at where there is no old one.
  if (result === 0 && Dentry.inode.get(from as D) === 0) result = -ENOENT;
  if (result === 0) {
    to = look_up_locked(new_parent.dentry, pair.new_name, pair.new_length);
    result = to < 0 ? to : rename_locked(from as D, to as D, credentials, flags);
  }
  tree_unlock(sb);
  if (from > 0) dput(from as D);
  if (to > 0) dput(to as D);
  return result;
}

function rename_locked(from: D, to: D, credentials: C, flags: number): number {
  const inode = Dentry.inode.get(from);
  const replaced = Dentry.inode.get(to);
  const old_dir = Dentry.inode.get(old_parent.dentry);
  const new_dir = Dentry.inode.get(new_parent.dentry);
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if ((flags & RENAME_NOREPLACE) !== 0 && replaced !== 0) return -EEXIST;
  if (exchange && replaced === 0) return -ENOENT;
  if (!is_directory(inode)) {
    if (pair.old_trailing) return -ENOTDIR;
    if (!exchange && pair.new_trailing) return -ENOTDIR;
  }
  if (exchange && pair.new_trailing && !is_directory(replaced)) return -ENOTDIR;
  // A directory cannot go below itself; nor can its own ancestor be replaced.
  if (is_subdir(new_parent.dentry, from)) return -EINVAL;
  if (replaced !== 0 && is_subdir(old_parent.dentry, to)) return exchange ? -EINVAL : -ENOTEMPTY;
  // Two names of one inode: nothing happens, whoever asks (rename(2)).
  if (inode === replaced) return 0;
  const refused = may_rename(from, to, credentials, exchange);
  if (refused !== 0) return refused;
  if (is_mountpoint(from) || is_mountpoint(to)) return -EBUSY;
  const rename = inode_operations(old_dir).rename;
  if (rename === undefined) return -EPERM;
  inherit_owner(old_dir, 0, credentials);
  const result = rename(old_dir, from, new_dir, to, flags, new_owner.uid, new_owner.gid);
  if (result !== 0) return result;
  if (!exchange && replaced !== 0 && is_directory(replaced)) Inode.flags.or(replaced, INODE_ORPHAN);
  d_move(from, to, exchange);
  if (notify_active()) tell_rename(from, to, inode, replaced, exchange);
  return 0;
}

/** After the move the two dentries have each other's names. */
function tell_rename(from: D, to: D, inode: I, replaced: I, exchange: boolean): void {
  const old_dir = Dentry.inode.get(old_parent.dentry);
  const new_dir = Dentry.inode.get(new_parent.dentry);
  notify_move(old_dir, to, new_dir, from, inode);
  notify_moved(inode, exchange ? (0 as I) : replaced);
  if (!exchange) return;
  notify_move(new_dir, from, old_dir, to, replaced);
  notify_moved(replaced, 0 as I);
}

function may_rename(from: D, to: D, credentials: C, exchange: boolean): number {
  const inode = Dentry.inode.get(from);
  const replaced = Dentry.inode.get(to);
  const old_dir = Dentry.inode.get(old_parent.dentry);
  const new_dir = Dentry.inode.get(new_parent.dentry);
  if (is_read_only(old_parent.mount)) return -EROFS;
  let result = may_delete(old_dir, inode, credentials);
  if (result !== 0) return result;
  if (replaced === 0) result = may_create(new_parent.mount, new_parent.dentry, credentials);
  else {
    result = may_delete(new_dir, replaced, credentials);
    if (result === 0 && !exchange) {
      if (is_directory(inode) && !is_directory(replaced)) result = -ENOTDIR;
      else if (!is_directory(inode) && is_directory(replaced)) result = -EISDIR;
    }
  }
  if (result !== 0 || old_dir === new_dir) return result;
  // A directory that changes parent is itself written: its ".." changes.
  if (is_directory(inode)) result = inode_permission(inode, MAY_WRITE, credentials);
  if (result === 0 && exchange && is_directory(replaced)) result = inode_permission(replaced, MAY_WRITE, credentials);
  return result;
}
