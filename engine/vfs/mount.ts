/**
 * The mount tree: which file system is seen where. One tree for a machine.
 *
 * A mount in the tree is referenced by the tree, by its child mounts, by open files and by FsContexts. A
 * covered dentry carries DENTRY_MOUNTED, so that a walk asks for a mount only where there may be one.
 */

import { EBUSY, EINVAL, ENOMEM } from '../abi/errno.ts';
import { POLLERR, POLLPRI } from '../abi/poll.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_write } from '../heap/bytes.ts';
import { lock, unlock } from '../heap/lock.ts';
import { MOUNT_LOCK } from '../heap/lock_order.ts';
import { slab } from '../heap/slab.ts';
import { WAKE_ALL, wake } from '../heap/wait_queue.ts';
import { dget, dput } from './dcache.ts';
import { vfs_root } from './root.ts';
import { sb_put } from './super.ts';
import { DENTRY_MOUNTED, Dentry, MOUNT_DETACHED, Mount, SuperBlock, VfsRoot } from './vfs.layout.ts';

type M = Ptr<'Mount'>;
type D = Ptr<'Dentry'>;

const mounts = slab(Mount);
/** Mounts in one machine at most (Linux: /proc/sys/fs/mount-max). */
const MOUNT_MAX = 4096;

/** Takes a reference. */
export function mntget(mount: M): M {
  Mount.refs.add(mount, 1);
  return mount;
}

/** Drops a reference; the last one lets go of the file system. */
export function mntput(mount: M): void {
  if (Mount.refs.add(mount, -1) !== 1) return;
  const root = Mount.root.get(mount);
  const sb = Mount.sb.get(mount);
  mounts.free(mount);
  dput(root);
  sb_put(sb);
}

function acquire(): Ptr<'Lock'> {
  const p = VfsRoot.mount_lock.at(vfs_root());
  lock(p, MOUNT_LOCK);
  return p;
}

/**
 * Mounts the tree at `root` (of `sb`, whose reference is taken over on success) on `mountpoint` in
 * `parent`, or as the root of the machine when `parent` is 0. Returns the mount (referenced by the tree
 * only) or -errno.
 */
export function mount_attach(sb: Ptr<'SuperBlock'>, root: D, flags: number, parent: M, at: D, source: string): number {
  const mount = mounts.alloc();
  if (mount === 0) return -ENOMEM;
  Mount.refs.store(mount, 1);
  Mount.flags.store(mount, flags);
  Mount.sb.set(mount, sb);
  Mount.root.set(mount, dget(root));
  bytes_write(Mount.source.at(mount), source.slice(0, 63));
  const r = vfs_root();
  const p = acquire();
  if (mounts.live() > MOUNT_MAX || (parent !== 0 && (Mount.flags.load(parent) & MOUNT_DETACHED) !== 0)) {
    unlock(p, MOUNT_LOCK);
    mounts.free(mount);
    dput(root);
    return -EINVAL;
  }
  const id = VfsRoot.next_mount_id.get(r);
  VfsRoot.next_mount_id.set(r, id + 1);
  Mount.id.set(mount, id);
  if (parent === 0) VfsRoot.root_mount.set(r, mount);
  else {
    Mount.parent.set(mount, mntget(parent));
    Mount.mountpoint.set(mount, dget(at));
    Dentry.flags.or(at, DENTRY_MOUNTED);
  }
  const tail = VfsRoot.mounts_tail.get(r);
  Mount.prev.set(mount, tail);
  if (tail === 0) VfsRoot.mounts_head.set(r, mount);
  else Mount.next.set(tail, mount);
  VfsRoot.mounts_tail.set(r, mount);
  announce_change(r);
  unlock(p, MOUNT_LOCK);
  return mount;
}

/** A mount in no tree, for files that no path leads to: takes `sb` over; 0 when the heap is exhausted. */
export function kernel_mount(sb: Ptr<'SuperBlock'>, source: string): M {
  const mount = mounts.alloc();
  if (mount === 0) return mount;
  Mount.refs.store(mount, 1);
  Mount.flags.store(mount, MOUNT_DETACHED);
  Mount.sb.set(mount, sb);
  Mount.root.set(mount, dget(SuperBlock.root.get(sb)));
  bytes_write(Mount.source.at(mount), source.slice(0, 63));
  return mount;
}

/** The topmost mount on `dentry` in `mount`, with a reference, or 0. */
export function mount_on(mount: M, dentry: D): M {
  if ((Dentry.flags.load(dentry) & DENTRY_MOUNTED) === 0) return 0 as M;
  const p = acquire();
  const found = mount_find(mount, dentry);
  if (found !== 0) mntget(found);
  unlock(p, MOUNT_LOCK);
  return found;
}

/** The same without a reference: the mount lock is held, and the mount stays while it is. */
export function mount_find(mount: M, dentry: D): M {
  let at = VfsRoot.mounts_tail.get(vfs_root());
  while (at !== 0 && !(Mount.parent.get(at) === mount && Mount.mountpoint.get(at) === dentry)) at = Mount.prev.get(at);
  return at;
}

/** Where a mount hangs: fills (parent mount, mountpoint) with references; false for a root or detached mount. */
export function mount_parent(mount: M, out: { mount: M; dentry: D }): boolean {
  const p = acquire();
  const parent = Mount.parent.get(mount);
  if (parent !== 0) {
    out.mount = mntget(parent);
    out.dentry = dget(Mount.mountpoint.get(mount));
  }
  unlock(p, MOUNT_LOCK);
  return parent !== 0;
}

/** Whether something is mounted on the dentry in any mount: such a directory cannot be removed or replaced. */
export function is_mountpoint(dentry: D): boolean {
  return (Dentry.flags.load(dentry) & DENTRY_MOUNTED) !== 0;
}

/** The mount tree has changed: whoever polls /proc/mounts learns of it (proc_pid_mounts(5)). */
function announce_change(root: Ptr<'VfsRoot'>): void {
  VfsRoot.mount_events.add(root, 1);
  wake(VfsRoot.mount_queue.at(root), POLLERR | POLLPRI, WAKE_ALL);
}

/** Takes a mount out of the list and the tree; the mount lock is held. Its references are dropped by the caller. */
function unlink_mount(mount: M): void {
  const r = vfs_root();
  const next = Mount.next.get(mount);
  const prev = Mount.prev.get(mount);
  if (prev === 0) VfsRoot.mounts_head.set(r, next);
  else Mount.next.set(prev, next);
  if (next === 0) VfsRoot.mounts_tail.set(r, prev);
  else Mount.prev.set(next, prev);
  Mount.flags.or(mount, MOUNT_DETACHED);
  if (VfsRoot.root_mount.get(r) === mount) VfsRoot.root_mount.set(r, 0 as M);
  announce_change(r);
  const at = Mount.mountpoint.get(mount);
  if (at === 0) return;
  let other = VfsRoot.mounts_head.get(r);
  while (other !== 0 && Mount.mountpoint.get(other) !== at) other = Mount.next.get(other);
  if (other === 0) Dentry.flags.and(at, ~DENTRY_MOUNTED);
}

function has_children(mount: M): boolean {
  for (let at = VfsRoot.mounts_head.get(vfs_root()); at !== 0; at = Mount.next.get(at))
    if (Mount.parent.get(at) === mount) return true;
  return false;
}

/**
 * umount2(2) of a mount on which the caller holds `held` references. -EBUSY when it is used or has mounts
 * below it, unless `detach`: then it and all below leave the tree at once and die with their last user.
 */
export function mount_detach(mount: M, held: number, detach: boolean): number {
  const p = acquire();
  const busy = has_children(mount) || Mount.refs.load(mount) > 1 + held;
  if ((Mount.flags.load(mount) & MOUNT_DETACHED) !== 0) {
    unlock(p, MOUNT_LOCK);
    return -EINVAL;
  }
  if (busy && !detach) {
    unlock(p, MOUNT_LOCK);
    return -EBUSY;
  }
  unlock(p, MOUNT_LOCK);
  for (let victim = take_leaf(mount); ; victim = take_leaf(mount)) {
    const parent = Mount.parent.get(victim);
    const at = Mount.mountpoint.get(victim);
    const last = victim === mount;
    Mount.parent.set(victim, 0 as M);
    Mount.mountpoint.set(victim, 0 as D);
    if (at !== 0) dput(at);
    if (parent !== 0) mntput(parent);
    mntput(victim);
    if (last) return 0;
  }
}

/** Unlinks and returns a mount below `top` that has none below itself, `top` being the last. */
function take_leaf(top: M): M {
  const p = acquire();
  let leaf = top;
  for (let at = VfsRoot.mounts_head.get(vfs_root()); at !== 0; at = Mount.next.get(at))
    if (Mount.parent.get(at) === leaf) {
      leaf = at;
      at = VfsRoot.mounts_head.get(vfs_root());
    }
  unlink_mount(leaf);
  unlock(p, MOUNT_LOCK);
  return leaf;
}

/** Calls `visit` with each mount in the tree, in mount order, referenced while it looks. */
export function mounts_each(visit: (mount: M) => void): void {
  let previous = 0 as M;
  for (;;) {
    const p = acquire();
    const at = previous === 0 ? VfsRoot.mounts_head.get(vfs_root()) : Mount.next.get(previous);
    if (at !== 0) mntget(at);
    unlock(p, MOUNT_LOCK);
    if (previous !== 0) mntput(previous);
    if (at === 0) return;
    visit(at);
    previous = at;
  }
}
