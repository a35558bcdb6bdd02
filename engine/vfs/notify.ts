/**
 * What happens to files, told to those who watch (Linux's fsnotify). The watchers are inotify's
 * (fs/anon/inotify.ts), which installs itself here; without any watch a call costs two loads.
 *
 * An event of an entry goes to the watches of its directory, with its name, and then to its own.
 */
import { IN_ATTRIB, IN_CREATE, IN_DELETE, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO } from '../abi/inotify.ts';
import { S_IFDIR, S_IFMT } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { DCACHE_LOCK } from '../heap/lock_order.ts';
import { vfs_root } from './root.ts';
import { DENTRY_HASHED, Dentry, Inode, VfsRoot } from './vfs.layout.ts';

type D = Ptr<'Dentry'>;
type I = Ptr<'Inode'>;

export interface NotifyHooks {
  /**
   * `mask` (IN_*) happened to a watched inode, or to the entry `name` in it (length 0: to itself).
   * `unlinked`: the entry is no longer in the directory. May be called with the dcache lock held.
   */
  event(inode: I, mask: number, name: number, length: number, cookie: number, unlinked: boolean): void;
  /** The last name of a watched inode is gone: its watches end. Called without spin locks. */
  gone(inode: I): void;
  /** A file system goes: so do the watches of its inodes. Called without locks. */
  unmount(sb: Ptr<'SuperBlock'>): void;
  /** A number that ties the two events of a move together. */
  next_cookie(): number;
}

let hooks: NotifyHooks | null = null;

/** Installs the watchers' side, at module load. */
export function register_notify(functions: NotifyHooks): void {
  hooks = functions;
}

/** Whether anything is watched in this machine. */
export function notify_active(): boolean {
  return hooks !== null && VfsRoot.watches.load(vfs_root()) > 0;
}

function directory_bit(inode: I): number {
  return (Inode.mode.get(inode) & S_IFMT) === S_IFDIR ? IN_ISDIR : 0;
}

/** `mask` happened to what a dentry stands for: its directory's watches learn the name. */
export function notify_dentry(d: D, mask: number): void {
  if (hooks === null || d === 0 || !notify_active()) return;
  const p = VfsRoot.dcache_lock.at(vfs_root());
  lock(p, DCACHE_LOCK);
  const inode = Dentry.inode.get(d);
  const parent = Dentry.parent.get(d);
  const length = Dentry.name_length.get(d);
  if (inode !== 0) {
    mask |= directory_bit(inode);
    const dir = parent === d || length === 0 ? (0 as I) : Dentry.inode.get(parent);
    if (dir !== 0 && Inode.watchers.get(dir) !== 0) {
      const unlinked = (Dentry.flags.load(d) & DENTRY_HASHED) === 0;
      hooks.event(dir, mask, name_of(d), length, 0, unlinked);
    }
    if (Inode.watchers.get(inode) !== 0) hooks.event(inode, mask, 0, 0, 0, false);
  }
  unlock(p, DCACHE_LOCK);
}

function name_of(d: D): number {
  const long = Dentry.long_name.get(d);
  return long !== 0 ? long : Dentry.inline_name.at(d);
}

function entry_event(dir: I, d: D, inode: I, mask: number, cookie: number): void {
  if (Inode.watchers.get(dir) === 0) return;
  hooks?.event(dir, mask | directory_bit(inode), name_of(d), Dentry.name_length.get(d), cookie, false);
}

/** A name was made in `dir`; `linked` when it is another name of an inode. The tree lock is held. */
export function notify_create(dir: I, d: D, linked: boolean): void {
  if (!notify_active()) return;
  const inode = Dentry.inode.get(d);
  if (inode === 0) return;
  if (linked) notify_links(inode);
  entry_event(dir, d, inode, IN_CREATE, 0);
}

/** The link count of an inode changed. */
function notify_links(inode: I): void {
  if (Inode.watchers.get(inode) !== 0) hooks?.event(inode, IN_ATTRIB, 0, 0, 0, false);
}

/**
 * A name was removed; the caller holds the last reference to its dentry when `last`, so an inode without
 * other names is gone too. The tree lock is held.
 */
export function notify_delete(dir: I, d: D, inode: I, last: boolean): void {
  if (!notify_active()) return;
  if (directory_bit(inode) === 0) notify_links(inode);
  if (last) notify_gone(inode);
  entry_event(dir, d, inode, IN_DELETE, 0);
}

/** An inode without names loses its last dentry: its watches end. No spin lock is held. */
export function notify_gone(inode: I): void {
  if (Inode.watchers.get(inode) === 0) return;
  // The count of a directory that was removed is not kept down to 0 by every file system.
  const nlink = Inode.nlink.get(inode);
  if (nlink === 0 || directory_bit(inode) !== 0) hooks?.gone(inode);
}

/** An inode left the name of `left` in one directory for that of `entered` in another. The tree lock is held. */
export function notify_move(old_dir: I, left: D, new_dir: I, entered: D, inode: I): void {
  const cookie = hooks?.next_cookie() ?? 0;
  entry_event(old_dir, left, inode, IN_MOVED_FROM, cookie);
  entry_event(new_dir, entered, inode, IN_MOVED_TO, cookie);
}

/** What was moved learns of it, and what it replaced. The tree lock is held. */
export function notify_moved(inode: I, replaced: I): void {
  if (replaced !== 0 && directory_bit(replaced) === 0) notify_links(replaced);
  if (Inode.watchers.get(inode) !== 0) hooks?.event(inode, IN_MOVE_SELF, 0, 0, 0, false);
}

/** A file system is being dismantled. No lock is held. */
export function notify_unmount(sb: Ptr<'SuperBlock'>): void {
  if (notify_active()) hooks?.unmount(sb);
}
