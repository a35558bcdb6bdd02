// @hot
/**
 * The part of a path that the dentry cache knows, as Linux's RCU walk: its directories are passed under one
 * acquisition of the locks and without references. Component by component, a stat of a path of four names spent half
 * of its time in sixty atomic operations.
 *
 * Whatever is not plain (a name not cached, a symbolic link, "..", a right that is missing) ends it, and the Walker
 * goes on from there and finds the error, if it is one.
 */
import { NAME_MAX } from '../abi/path.ts';
import { S_IFDIR, S_IFMT } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { DCACHE_LOCK, MOUNT_LOCK } from '../heap/lock_order.ts';
import { I32, U8 } from '../heap/memory.ts';
import { d_find, dget, dput } from './dcache.ts';
import { mntget, mntput, mount_find } from './mount.ts';
import type { PathRef } from './path_ref.ts';
import { inode_permission, MAY_EXEC } from './permission.ts';
import { vfs_root } from './root.ts';
import { DENTRY_MOUNTED, Dentry, Inode, Mount, SB_REVALIDATE, SuperBlock, VfsRoot } from './vfs.layout.ts';

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
  if (((I32[SuperBlock.flags.index(Dentry.sb.get(parent))] as number) & SB_REVALIDATE) !== 0) return none;
  const inode = Dentry.inode.get(parent);
  if ((Inode.mode.get(inode) & S_IFMT) !== S_IFDIR) return none;
  if (inode_permission(inode, MAY_EXEC, credentials) !== 0) return none;
  const child = d_find(parent, name, length);
  if (child === 0) return none;
  const found = Dentry.inode.get(child);
  return found !== 0 && (Inode.mode.get(found) & S_IFMT) === S_IFDIR ? child : none;
}
