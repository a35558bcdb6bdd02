/**
 * Changes to a volume: they go to the host at once, and the inode then shows what the host says.
 *
 * A device, FIFO or socket cannot be made on the host. Ownership is set as far as the host lets this
 * process; where it does not, the file belongs to the user who runs the machine.
 */
import { EINVAL, EIO, ENODEV, EPERM } from '../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_WHITEOUT } from '../../abi/path.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { INODE_LOCK } from '../../heap/lock_order.ts';
import { U8 } from '../../heap/memory.ts';
import {
  ATTR_ATIME,
  ATTR_GID,
  ATTR_MODE,
  ATTR_MTIME,
  ATTR_SIZE,
  ATTR_UID,
  type AttributeChange,
} from '../../vfs/attributes.ts';
import { d_instantiate, d_name } from '../../vfs/dcache.ts';
import { icache_forget, iget, inode_add_links, iput } from '../../vfs/inode.ts';
import { mapping_truncate } from '../../vfs/mapping.ts';
import { tree_lock, tree_unlock } from '../../vfs/super.ts';
import { Dentry, Inode } from '../../vfs/vfs.layout.ts';
import { HostNode } from './host.layout.ts';
import { type HostDirectory, type HostFiles, HostStatus, host_files } from './host_files.ts';
import { host_inode, refresh_locked } from './host_inode.ts';
import { host_file_open, host_name, host_node, host_node_rename, reach_directory } from './host_node.ts';

type I = Ptr<'Inode'>;
type D = Ptr<'Dentry'>;

const status = new HostStatus();

function name_of(dentry: D): Uint8Array {
  const at = d_name(dentry);
  return U8.slice(at, at + Dentry.name_length.get(dentry));
}

/** Looks at what was just made, gives it its owner and mode, and makes the dentry positive. */
function adopt(
  files: HostFiles,
  place: HostDirectory,
  dir: I,
  dentry: D,
  mode: number,
  uid: number,
  gid: number,
): number {
  const name = name_of(dentry);
  let result = files.stat(place, name, status);
  if (result !== 0) return result;
  if (status.uid !== uid || status.gid !== gid) files.change_owner(place, name, uid, gid);
  if (mode >= 0 && (status.mode & 0o7777) !== (mode & 0o7777)) files.change_mode(place, name, mode & 0o7777);
  result = files.stat(place, name, status);
  if (result !== 0) return result;
  const inode = host_inode(Inode.sb.get(dir), dir, d_name(dentry), name.length, status, 0);
  if (inode < 0) return inode;
  d_instantiate(dentry, inode as I);
  refresh_locked(dir);
  return 0;
}

/** The operation: regular files and directories. */
export function host_create(dir: I, dentry: D, mode: number, _rdev: number, uid: number, gid: number): number {
  const files = host_files();
  const type = mode & S_IFMT;
  if (files === null) return -ENODEV;
  if (type !== S_IFREG && type !== S_IFDIR) return -EPERM;
  const place = reach_directory(dir);
  if (typeof place === 'number') return place;
  const name = name_of(dentry);
  const made =
    type === S_IFDIR ? files.make_directory(place, name, mode & 0o7777) : files.create_file(place, name, mode & 0o7777);
  if (made < 0) return made;
  if (type === S_IFREG) files.close(made);
  return adopt(files, place, dir, dentry, mode, uid, gid);
}

/** The operation: symbolic links. */
export function host_symlink(dir: I, dentry: D, target: number, length: number, uid: number, gid: number): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const place = reach_directory(dir);
  if (typeof place === 'number') return place;
  const made = files.make_link(place, name_of(dentry), U8.slice(target, target + length));
  return made < 0 ? made : adopt(files, place, dir, dentry, -1, uid, gid);
}

/** The operation: hard links. */
export function host_link(dir: I, dentry: D, inode: I): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const parent = HostNode.parent.get(host_node(inode));
  if (parent === 0) return -EIO;
  const from = reach_directory(parent, 0);
  if (typeof from === 'number') return from;
  const to = reach_directory(dir, 1);
  if (typeof to === 'number') return to;
  const made = files.hard_link(from, host_name(inode), to, name_of(dentry));
  if (made < 0) return made;
  d_instantiate(dentry, iget(inode));
  inode_add_links(inode, 1);
  refresh_locked(dir);
  return 0;
}

/** The operation: unlink and rmdir. */
export function host_remove(dir: I, dentry: D): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const place = reach_directory(dir);
  if (typeof place === 'number') return place;
  const inode = Dentry.inode.get(dentry);
  const directory = (Inode.mode.get(inode) & S_IFMT) === S_IFDIR;
  const result = files.remove(place, name_of(dentry), directory);
  if (result < 0) return result;
  lost_name(inode, directory);
  refresh_locked(dir);
  return 0;
}

/** A name of the inode is gone; with the last one the host may give its number to another file. */
function lost_name(inode: I, directory: boolean): void {
  inode_add_links(inode, directory ? -Inode.nlink.get(inode) : -1);
  if (Inode.nlink.get(inode) === 0) icache_forget(inode);
}

/** The operation: moves and replaces. The host has no exchange that Node offers. */
export function host_rename(old_dir: I, from: D, new_dir: I, to: D, flags: number): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  if ((flags & RENAME_WHITEOUT) !== 0) return -EINVAL;
  if ((flags & RENAME_EXCHANGE) !== 0) return -EPERM;
  const source = reach_directory(old_dir, 0);
  if (typeof source === 'number') return source;
  const target = reach_directory(new_dir, 1);
  if (typeof target === 'number') return target;
  const inode = Dentry.inode.get(from);
  const replaced = Dentry.inode.get(to);
  const result = files.rename(source, name_of(from), target, name_of(to));
  if (result < 0) return result;
  if (replaced !== 0) lost_name(replaced, (Inode.mode.get(replaced) & S_IFMT) === S_IFDIR);
  const node = host_node(inode);
  const old_parent = HostNode.parent.get(node);
  HostNode.parent.set(node, iget(new_dir));
  if (old_parent !== 0) iput(old_parent);
  host_node_rename(node, d_name(to), Dentry.name_length.get(to));
  refresh_locked(old_dir);
  if (new_dir !== old_dir) refresh_locked(new_dir);
  refresh_locked(inode);
  return 0;
}

/** The operation: attributes go to the host, and what it made of them comes back. */
export function host_set_attributes(inode: I, change: AttributeChange): number {
  const sb = Inode.sb.get(inode);
  tree_lock(sb);
  const result = set_locked(inode, change);
  if (result === 0) refresh_locked(inode);
  tree_unlock(sb);
  return result;
}

function set_locked(inode: I, change: AttributeChange): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const { valid } = change;
  if ((valid & ATTR_SIZE) !== 0) {
    const truncated = truncate_locked(files, inode, change.size);
    if (truncated < 0) return truncated;
  }
  const parent = HostNode.parent.get(host_node(inode));
  // The root of a volume has no name to change it by.
  if (parent === 0) return -EPERM;
  const place = reach_directory(parent);
  if (typeof place === 'number') return place;
  const name = host_name(inode);
  let result = 0;
  if ((valid & (ATTR_UID | ATTR_GID)) !== 0) {
    const uid = (valid & ATTR_UID) !== 0 ? change.uid : -1;
    result = files.change_owner(place, name, uid, (valid & ATTR_GID) !== 0 ? change.gid : -1);
  }
  if (result === 0 && (valid & ATTR_MODE) !== 0) result = files.change_mode(place, name, change.mode & 0o7777);
  const times = valid & (ATTR_ATIME | ATTR_MTIME);
  if (result === 0 && times !== 0 && (valid & ATTR_SIZE) === 0) {
    const atime = (times & ATTR_ATIME) !== 0;
    const mtime = (times & ATTR_MTIME) !== 0;
    result = files.change_times(
      place,
      name,
      atime ? change.atime + change.atime_ns / 1e9 : Inode.atime.get(inode) + Inode.atime_ns.get(inode) / 1e9,
      mtime ? change.mtime + change.mtime_ns / 1e9 : Inode.mtime.get(inode) + Inode.mtime_ns.get(inode) / 1e9,
    );
  }
  return result;
}

function truncate_locked(files: HostFiles, inode: I, size: number): number {
  const opened = host_file_open(inode, true);
  if (opened !== 0) return opened;
  const result = files.truncate(HostNode.write_handle.get(host_node(inode)) - 1, size);
  if (result < 0) return result;
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  Inode.size.set(inode, size);
  const mapping = Inode.mapping.get(inode);
  if (mapping !== 0) mapping_truncate(mapping, size);
  unlock(p, INODE_LOCK);
  return 0;
}
