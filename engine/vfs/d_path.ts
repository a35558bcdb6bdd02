/**
 * From a place in the name space back to its path: getcwd, /proc/self/fd, /proc/self/exe, maps.
 */
import { ENAMETOOLONG, ENOENT } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_write } from '../heap/bytes.ts';
import { lock, unlock } from '../heap/lock.ts';
import { DCACHE_LOCK, MOUNT_LOCK } from '../heap/lock_order.ts';
import { U8 } from '../heap/memory.ts';
import { d_hashed, d_name } from './dcache.ts';
import { File } from './file.layout.ts';
import { file_operations } from './file.ts';
import { fs_root } from './fs_context.ts';
import { module_path_ref, type PathRef } from './path_ref.ts';
import { vfs_root } from './root.ts';
import { Dentry, Mount, VfsRoot } from './vfs.layout.ts';

const root = module_path_ref();
const DELETED = ' (deleted)';

/**
 * Writes the path of (mount, dentry) as seen from the root of `fs` (0: the machine's root) to `target`, without terminator, and
 * returns its length. A place that cannot be reached from the root gets "(unreachable)" in front, a
 * removed one " (deleted)" behind, as in /proc. -ENAMETOOLONG when it does not fit.
 */
export function d_path(
  fs: Ptr<'FsContext'>,
  mount: Ptr<'Mount'>,
  dentry: Ptr<'Dentry'>,
  target: number,
  capacity: number,
): number {
  const deleted = !d_hashed(dentry);
  const length = write_path(fs, mount, dentry, target, capacity - (deleted ? DELETED.length : 0));
  if (length < 0 || !deleted) return length;
  return length + bytes_write(target + length, DELETED);
}

/** getcwd(2): like `d_path`, but -ENOENT for a removed directory. */
export function d_path_cwd(fs: Ptr<'FsContext'>, at: PathRef, target: number, capacity: number): number {
  if (!d_hashed(at.dentry)) return -ENOENT;
  return write_path(fs, at.mount, at.dentry, target, capacity);
}

/** Builds the path from its end backwards at the end of the buffer, then moves it to the front. */
function write_path(
  fs: Ptr<'FsContext'>,
  mount: Ptr<'Mount'>,
  dentry: Ptr<'Dentry'>,
  target: number,
  capacity: number,
): number {
  if (fs !== 0) fs_root(fs, root);
  const r = vfs_root();
  const mount_lock = VfsRoot.mount_lock.at(r);
  const dcache_lock = VfsRoot.dcache_lock.at(r);
  let at = target + capacity;
  let reached = false;
  let fits = capacity > 1;
  lock(mount_lock, MOUNT_LOCK);
  lock(dcache_lock, DCACHE_LOCK);
  while (fits) {
    if (dentry === root.dentry && mount === root.mount) {
      reached = true;
      break;
    }
    const parent = Dentry.parent.get(dentry);
    if (dentry === Mount.root.get(mount) || parent === dentry) {
      const above = Mount.parent.get(mount);
      if (above === 0) {
        reached = root.dentry === 0;
        break;
      }
      dentry = Mount.mountpoint.get(mount);
      mount = above;
      continue;
    }
    const length = Dentry.name_length.get(dentry);
    fits = at - length - 1 >= target;
    if (!fits) break;
    at -= length + 1;
    U8[at] = 0x2f;
    bytes_copy(at + 1, d_name(dentry), length);
    dentry = parent;
  }
  unlock(dcache_lock, DCACHE_LOCK);
  unlock(mount_lock, MOUNT_LOCK);
  root.put();
  if (!fits) return -ENAMETOOLONG;
  if (at === target + capacity) U8[--at] = 0x2f;
  return place(target, at, target + capacity - at, reached, capacity);
}

function place(target: number, from: number, length: number, reached: boolean, capacity: number): number {
  const prefix = reached ? '' : '(unreachable)';
  if (length + prefix.length > capacity) return -ENAMETOOLONG;
  bytes_copy(target + prefix.length, from, length);
  bytes_write(target, prefix);
  return length + prefix.length;
}

/**
 * The path of an open file as /proc/self/fd shows it; files without a name are "pipe:[17]",
 * "socket:[18]" or "anon_inode:[eventfd]".
 */
export function file_path(fs: Ptr<'FsContext'>, file: Ptr<'File'>, target: number, capacity: number): number {
  const dentry = File.dentry.get(file);
  if (dentry !== 0) return d_path(fs, File.mount.get(file), dentry, target, capacity);
  const { name, path } = file_operations(file);
  const unnamed = name === 'pipe' || name === 'socket' ? `${name}:[${File.object.get(file)}]` : `anon_inode:[${name}]`;
  const text = path === undefined ? unnamed : path(file);
  if (text.length > capacity) return -ENAMETOOLONG;
  return bytes_write(target, text);
}
