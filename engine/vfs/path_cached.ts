// @hot
/**
 * The part of a path that the dentry cache knows, as Linux's RCU walk: its directories are passed under one
 * acquisition of the locks and without references. Component by component, a stat of a path of four names spent half
 * of its time in sixty atomic operations.
 *
 * Whatever is not plain (a name not cached, a symbolic link, "..", a right that is missing) ends it, and the Walker
 * goes on from there and finds the error, if it is one.
 */
import { ENOENT } from '../abi/errno.ts';
import { NAME_MAX } from '../abi/path.ts';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { DCACHE_LOCK, FS_CONTEXT_LOCK, MOUNT_LOCK } from '../heap/lock_order.ts';
import { I32, U8 } from '../heap/memory.ts';
import { d_find, d_find_hashed, dget, dput, hash_begin, hash_byte, hash_end } from './dcache.ts';
import { File } from './file.layout.ts';
import { mntget, mntput, mount_find } from './mount.ts';
import type { PathContext } from './path.ts';
import type { PathRef } from './path_ref.ts';
import { inode_permission, MAY_EXEC } from './permission.ts';
import { vfs_root } from './root.ts';
import {
  DENTRY_MOUNTED,
  DENTRY_REFERENCED,
  Dentry,
  FsContext,
  Inode,
  Mount,
  SB_REVALIDATE,
  SuperBlock,
  VfsRoot,
} from './vfs.layout.ts';

const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * Moves `at` through leading components of the string at `cursor` that are cached directories, except the last
 * component of the string. Answers where the rest begins.
 */
export function skip_directories(at: PathRef, cursor: number, credentials: Ptr<'Credentials'>): number {
  if (!has_directories(cursor)) return cursor;
  const root = vfs_root();
  const mount_lock = VfsRoot.mount_lock.at(root);
  const dcache_lock = VfsRoot.dcache_lock.at(root);
  let { mount, dentry } = at;
  let rest = cursor;
  lock(mount_lock, MOUNT_LOCK);
  lock(dcache_lock, DCACHE_LOCK);
  for (;;) {
    let name = rest;
    while (U8[name] === SLASH) name++;
    let end = name;
    while (U8[end] !== SLASH && U8[end] !== 0) end++;
    let next = end;
    while (U8[next] === SLASH) next++;
    // What begins with a dot may be "." or "..".
    if (U8[next] === 0 || end - name > NAME_MAX || U8[name] === DOT) break;
    const child = next_directory(dentry, name, end - name, credentials);
    if (child === 0) break;
    dentry = child;
    rest = next;
    while (((I32[Dentry.flags.index(dentry)] as number) & DENTRY_MOUNTED) !== 0) {
      const found = mount_find(mount, dentry);
      if (found === 0) break;
      mount = found;
      dentry = Mount.root.get(found);
    }
  }
  const moved = rest !== cursor;
  if (moved) {
    mntget(mount);
    dget(dentry);
  }
  unlock(dcache_lock, DCACHE_LOCK);
  unlock(mount_lock, MOUNT_LOCK);
  if (!moved) return cursor;
  dput(at.dentry);
  mntput(at.mount);
  at.mount = mount;
  at.dentry = dentry;
  return rest;
}

/** What `walk_cached` answers when the Walker has to go. */
export const NOT_PLAIN = 1;

/**
 * Resolves a whole path by cached names alone, without a reference on the way: 0 with the place, and references, in
 * `out`; -ENOENT for a name that is known to be absent; NOT_PLAIN for a path that is not plain to its end, and for every
 * other error. `directory`: the result must be one. Symbolic links are not plain, not even as the result.
 */
export function walk_cached(context: PathContext, path: number, directory: boolean, out: PathRef): number {
  if (context.resolve !== 0 || U8[path] === 0) return NOT_PLAIN;
  const { fs, start } = context;
  const root = vfs_root();
  const fs_lock = FsContext.lock.at(fs);
  const mount_lock = VfsRoot.mount_lock.at(root);
  const dcache_lock = VfsRoot.dcache_lock.at(root);
  lock(fs_lock, FS_CONTEXT_LOCK);
  lock(mount_lock, MOUNT_LOCK);
  lock(dcache_lock, DCACHE_LOCK);
  if (U8[path] === SLASH) reach(FsContext.root_mount.get(fs), FsContext.root_dentry.get(fs));
  else if (start === 0) reach(FsContext.cwd_mount.get(fs), FsContext.cwd_dentry.get(fs));
  else reach(File.mount.get(start), File.dentry.get(start));
  const result = reached_dentry === 0 ? NOT_PLAIN : walk_locked(path, fs, context.credentials, directory);
  if (result === 0) out.set(reached_mount, reached_dentry);
  unlock(dcache_lock, DCACHE_LOCK);
  unlock(mount_lock, MOUNT_LOCK);
  unlock(fs_lock, FS_CONTEXT_LOCK);
  return result;
}

/** How far `walk_cached` has come: without references, so only under its locks. */
let reached_mount = 0 as Ptr<'Mount'>;
let reached_dentry = 0 as Ptr<'Dentry'>;

function reach(mount: Ptr<'Mount'>, dentry: Ptr<'Dentry'>): void {
  reached_mount = mount;
  reached_dentry = dentry;
}

/** See `walk_cached`; under its locks. */
function walk_locked(path: number, fs: Ptr<'FsContext'>, credentials: Ptr<'Credentials'>, directory: boolean): number {
  let name = path;
  for (;;) {
    while (U8[name] === SLASH) name++;
    let end = name;
    let hash = hash_begin(reached_dentry);
    for (;;) {
      const byte = U8[end] as number;
      if (byte === SLASH || byte === 0) break;
      hash = hash_byte(hash, byte);
      end++;
    }
    const length = end - name;
    if (length === 0 || length > NAME_MAX || !may_search(reached_dentry, credentials)) return NOT_PLAIN;
    let next = end;
    while (U8[next] === SLASH) next++;
    if (is_dots(name, length)) {
      if (length === 2 && !go_up(fs)) return NOT_PLAIN;
      if (U8[next] === 0) return 0;
      name = next;
      continue;
    }
    const child = d_find_hashed(reached_dentry, name, length, hash_end(hash));
    if (child === 0) return NOT_PLAIN;
    const inode = Dentry.inode.get(child);
    if (inode === 0) {
      // As if it had been looked up and let go of.
      Dentry.flags.or(child, DENTRY_REFERENCED);
      return -ENOENT;
    }
    const type = Inode.mode.get(inode) & S_IFMT;
    if (type !== S_IFDIR && (type === S_IFLNK || directory || next !== end)) return NOT_PLAIN;
    reach(reached_mount, child);
    enter_mounts();
    if (U8[next] === 0) return 0;
    name = next;
  }
}

/** Goes down to what is mounted where the walk is. */
function enter_mounts(): void {
  while (((I32[Dentry.flags.index(reached_dentry)] as number) & DENTRY_MOUNTED) !== 0) {
    const found = mount_find(reached_mount, reached_dentry);
    if (found === 0) return;
    reach(found, Mount.root.get(found));
  }
}

/** "..": the root's is itself. False where it leaves a mount. */
function go_up(fs: Ptr<'FsContext'>): boolean {
  if (reached_dentry === FsContext.root_dentry.get(fs) && reached_mount === FsContext.root_mount.get(fs)) return true;
  if (reached_dentry === Mount.root.get(reached_mount)) return false;
  reach(reached_mount, Dentry.parent.get(reached_dentry));
  enter_mounts();
  return true;
}

/** Whether a name is "." or "..". */
function is_dots(name: number, length: number): boolean {
  return U8[name] === DOT && (length === 1 || (length === 2 && U8[name + 1] === DOT));
}

/** Whether the string has more than one component. */
function has_directories(cursor: number): boolean {
  let at = cursor;
  while (U8[at] === SLASH) at++;
  while (U8[at] !== SLASH && U8[at] !== 0) at++;
  while (U8[at] === SLASH) at++;
  return U8[at] !== 0;
}

/** The cached directory of that name, if `parent` may be searched; else 0. */
function next_directory(
  parent: Ptr<'Dentry'>,
  name: number,
  length: number,
  credentials: Ptr<'Credentials'>,
): Ptr<'Dentry'> {
  const none = 0 as Ptr<'Dentry'>;
  const child = may_search(parent, credentials) ? d_find(parent, name, length) : none;
  if (child === 0) return none;
  const found = Dentry.inode.get(child);
  return found !== 0 && (Inode.mode.get(found) & S_IFMT) === S_IFDIR ? child : none;
}

/** Whether names may be looked up there, and those in the cache stand. */
function may_search(parent: Ptr<'Dentry'>, credentials: Ptr<'Credentials'>): boolean {
  if (((I32[SuperBlock.flags.index(Dentry.sb.get(parent))] as number) & SB_REVALIDATE) !== 0) return false;
  const inode = Dentry.inode.get(parent);
  if ((Inode.mode.get(inode) & S_IFMT) !== S_IFDIR) return false;
  return inode_permission(inode, MAY_EXEC, credentials) === 0;
}
