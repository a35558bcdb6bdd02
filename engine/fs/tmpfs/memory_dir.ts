/**
 * Directories of the memory file system. A pinned dentry *is* the directory entry (as in Linux's ramfs),
 * so a name that is not in the dentry cache is absent here, and may be present only in the lower layer.
 *
 * Over a lower layer: a whiteout is a pinned negative dentry that hides a lower name. A directory made
 * here has no lower directory, so it is opaque without a mark. A moved directory keeps the lower one it
 * stands for, and its contents with it.
 */
import { EINVAL, ENOENT, ENOMEM, ENOTEMPTY } from '../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_WHITEOUT } from '../../abi/path.ts';
import { DT_SHIFT, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { INODE_LOCK } from '../../heap/lock_order.ts';
import { d_add, d_alloc, d_instantiate, d_lookup, d_name, d_pin, d_unpin, dput } from '../../vfs/dcache.ts';
import {
  type DirectorySink,
  icache_find,
  icache_insert,
  iget,
  inode_add_links,
  inode_operations,
  inode_touch,
  iput,
  TOUCH_CTIME,
  TOUCH_MTIME,
} from '../../vfs/inode.ts';
import { FS_MEMORY, FS_OVERLAY, tree_lock, tree_unlock } from '../../vfs/super.ts';
import { DENTRY_PINNED, DENTRY_WHITEOUT, Dentry, INODE_ORPHAN, Inode, SuperBlock } from '../../vfs/vfs.layout.ts';
import { MemoryNode } from './memory.layout.ts';
import { node_of } from './memory_data.ts';
import {
  DIRECTORY_ENTRY_BYTES,
  forget_modified,
  mark_modified,
  memory_inode,
  stand_for,
  store_link,
} from './memory_inode.ts';

type I = Ptr<'Inode'>;
type D = Ptr<'Dentry'>;

/** Positions of entries of the lower layer begin here, behind any cookie. */
const LOWER_BASE = 2 ** 40;

function is_directory(inode: I): boolean {
  return (Inode.mode.get(inode) & S_IFMT) === S_IFDIR;
}

/** The inode of a name in the lower directory with a reference, or -errno. */
function lower_lookup(dir: I, name: number, length: number): number {
  const lower = MemoryNode.lower.get(node_of(dir));
  if (lower === 0) return -ENOENT;
  const sb = Inode.sb.get(lower);
  tree_lock(sb);
  const found = inode_operations(lower).lookup?.(lower, name, length) ?? -ENOENT;
  tree_unlock(sb);
  return found;
}

/** The operation: a name that no pinned dentry decides is looked up below. */
export function memory_lookup(dir: I, name: number, length: number): number {
  const found = lower_lookup(dir, name, length);
  if (found < 0) return found;
  const lower = found as I;
  const sb = Inode.sb.get(dir);
  const known = icache_find(sb, lower, 1);
  if (known !== 0) {
    iput(lower);
    return known;
  }
  const inode = stand_for(sb, lower);
  if (inode > 0) icache_insert(inode as I, lower, 1);
  return inode;
}

/** Whether the lower directory has this name, so that its removal here must leave a whiteout. */
function hides_lower(dir: I, dentry: D): boolean {
  const found = lower_lookup(dir, d_name(dentry), Dentry.name_length.get(dentry));
  if (found <= 0) return false;
  iput(found as I);
  return true;
}

function changed(dir: I): void {
  mark_modified(dir);
  inode_touch(dir, TOUCH_MTIME | TOUCH_CTIME);
}

/**
 * Pins a dentry and the directories above it: those of the lower layer are not entries by themselves, and
 * everything pinned must be found from the root when the file system is dismantled.
 */
function pin_path(dentry: D): void {
  for (let d = dentry; (Dentry.flags.load(d) & DENTRY_PINNED) === 0; d = Dentry.parent.get(d)) {
    if (Dentry.parent.get(d) === d) return;
    d_pin(d);
  }
}

/** What an entry adds to the size of its directory, as that of a tmpfs in Linux; an overlay shows other sizes. */
function resize(dir: I, entries: number): void {
  if (SuperBlock.kind.get(Inode.sb.get(dir)) !== FS_MEMORY) return;
  const p = Inode.lock.at(dir);
  lock(p, INODE_LOCK);
  Inode.size.set(dir, Inode.size.get(dir) + entries * DIRECTORY_ENTRY_BYTES);
  unlock(p, INODE_LOCK);
}

function attach(dir: I, dentry: D, inode: I): void {
  d_instantiate(dentry, inode);
  pin_path(dentry);
  resize(dir, 1);
  changed(dir);
}

/** The operation: files, directories and special files. */
export function memory_create(dir: I, dentry: D, mode: number, rdev: number, uid: number, gid: number): number {
  const inode = memory_inode(Inode.sb.get(dir), mode, rdev, uid, gid);
  if (inode < 0) return inode;
  attach(dir, dentry, inode as I);
  if ((mode & S_IFMT) === S_IFDIR) inode_add_links(dir, 1);
  return 0;
}

/** The operation: O_TMPFILE. */
export function memory_tmpfile(dir: I, mode: number, uid: number, gid: number): number {
  const inode = memory_inode(Inode.sb.get(dir), mode, 0, uid, gid);
  if (inode > 0) Inode.nlink.set(inode as I, 0);
  return inode;
}

/** The operation: symbolic links. */
export function memory_symlink(dir: I, dentry: D, target: number, length: number, uid: number, gid: number): number {
  const inode = memory_inode(Inode.sb.get(dir), S_IFLNK | 0o777, 0, uid, gid);
  if (inode < 0) return inode;
  const stored = store_link(inode as I, target, length);
  if (stored !== 0) {
    iput(inode as I);
    return stored;
  }
  attach(dir, dentry, inode as I);
  return 0;
}

/** The operation: another name for an inode. */
export function memory_link(dir: I, dentry: D, inode: I): number {
  mark_modified(inode);
  inode_add_links(inode, 1);
  Inode.flags.and(inode, ~INODE_ORPHAN);
  attach(dir, dentry, iget(inode));
  return 0;
}

/** 0 or -ENOTEMPTY. */
function check_empty(dentry: D): number {
  for (let child = Dentry.first_child.get(dentry); child !== 0; child = Dentry.next_sibling.get(child))
    if (Dentry.inode.get(child) !== 0) return -ENOTEMPTY;
  const lower = MemoryNode.lower.get(node_of(Dentry.inode.get(dentry)));
  if (lower === 0) return 0;
  const sink = new VisibleSink(dentry, null);
  return scan_lower(lower, sink) ? -ENOTEMPTY : 0;
}

/** Whether the lower directory has a name that is not hidden here. A listing needs an open file to hang on. */
function scan_lower(lower: I, sink: VisibleSink): boolean {
  const sb = Inode.sb.get(lower);
  tree_lock(sb);
  inode_operations(lower).read_dir?.(lower, sink.dentry, 0 as Ptr<'File'>, 2, sink);
  tree_unlock(sb);
  return sink.visible;
}

/** Passes on lower entries whose names are not decided here by a pinned dentry. */
class VisibleSink implements DirectorySink {
  readonly dentry: D;
  private readonly next: DirectorySink | null;
  visible = false;

  constructor(dentry: D, next: DirectorySink | null) {
    this.dentry = dentry;
    this.next = next;
  }

  emit(name: number, length: number, ino: number, type: number, next: number): boolean {
    const known = d_lookup(this.dentry, name, length);
    if (known !== 0) {
      const decided = (Dentry.flags.load(known) & DENTRY_PINNED) !== 0;
      dput(known);
      if (decided) return true;
    }
    if (this.next !== null) return this.next.emit(name, length, ino, type, LOWER_BASE + next);
    this.visible = true;
    return false;
  }
}

/** A whiteout for the dentry's name, not yet in place: 0 when none is needed, -ENOMEM. */
function prepare_whiteout(dir: I, dentry: D): number {
  if (!hides_lower(dir, dentry)) return 0;
  const whiteout = d_alloc(Dentry.parent.get(dentry), d_name(dentry), Dentry.name_length.get(dentry));
  return whiteout === 0 ? -ENOMEM : whiteout;
}

function place_whiteout(whiteout: number): void {
  if (whiteout === 0) return;
  d_add(whiteout as D, 0 as I);
  Dentry.flags.or(whiteout as D, DENTRY_WHITEOUT);
  pin_path(whiteout as D);
  dput(whiteout as D);
}

/**
 * What RENAME_WHITEOUT leaves in the dentry's place, a character device of number 0, not yet in place: a dentry, -EINVAL
 * where there is a lower layer (Linux's ovl_rename), -ENOSPC, -ENOMEM.
 */
function prepare_whiteout_device(dir: I, dentry: D, uid: number, gid: number): number {
  const sb = Inode.sb.get(dir);
  if (SuperBlock.kind.get(sb) === FS_OVERLAY) return -EINVAL;
  const inode = memory_inode(sb, S_IFCHR, 0, uid, gid);
  if (inode < 0) return inode;
  const whiteout = d_alloc(Dentry.parent.get(dentry), d_name(dentry), Dentry.name_length.get(dentry));
  if (whiteout !== 0) d_instantiate(whiteout, inode as I);
  else iput(inode as I);
  return whiteout === 0 ? -ENOMEM : whiteout;
}

function place_whiteout_device(dir: I, whiteout: D): void {
  d_add(whiteout, Dentry.inode.get(whiteout));
  pin_path(whiteout);
  resize(dir, 1);
  dput(whiteout);
}

/** Takes one link off an inode whose name is going; a lower inode without names is forgotten. */
function drop_link(inode: I, dir: I): void {
  mark_modified(inode);
  const directory = is_directory(inode);
  inode_add_links(inode, directory ? -Inode.nlink.get(inode) : -1);
  if (directory) inode_add_links(dir, -1);
  if (Inode.nlink.get(inode) !== 0) return;
  Inode.flags.or(inode, INODE_ORPHAN);
  forget_modified(inode);
}

/** The operation: unlink and rmdir. */
export function memory_remove(dir: I, dentry: D): number {
  const inode = Dentry.inode.get(dentry);
  const empty = is_directory(inode) ? check_empty(dentry) : 0;
  if (empty !== 0) return empty;
  const whiteout = prepare_whiteout(dir, dentry);
  if (whiteout < 0) return whiteout;
  drop_whiteouts(dentry);
  place_whiteout(whiteout);
  drop_link(inode, dir);
  resize(dir, -1);
  if ((Dentry.flags.load(dentry) & DENTRY_PINNED) !== 0) d_unpin(dentry, DENTRY_WHITEOUT);
  changed(dir);
  return 0;
}

/** The whiteouts in a directory that is removed have nothing left to hide. */
function drop_whiteouts(dentry: D): void {
  for (let child = Dentry.first_child.get(dentry); child !== 0; child = Dentry.first_child.get(dentry)) {
    d_unpin(child, DENTRY_WHITEOUT);
  }
}

/** The operation: moves, replaces or exchanges. The caller moves the dentries. */
export function memory_rename(old_dir: I, from: D, new_dir: I, to: D, flags: number, uid: number, gid: number): number {
  const inode = Dentry.inode.get(from);
  const replaced = Dentry.inode.get(to);
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (!exchange && replaced !== 0 && is_directory(replaced)) {
    const empty = check_empty(to);
    if (empty !== 0) return empty;
  }
  const left_behind = (flags & RENAME_WHITEOUT) === 0 ? 0 : prepare_whiteout_device(old_dir, from, uid, gid);
  if (left_behind < 0) return left_behind;
  const whiteout = exchange ? 0 : prepare_whiteout(old_dir, from);
  if (whiteout < 0) {
    if (left_behind !== 0) dput(left_behind as D);
    return whiteout;
  }
  if (old_dir !== new_dir) {
    if (is_directory(inode)) move_link(old_dir, new_dir);
    if (exchange && is_directory(replaced)) move_link(new_dir, old_dir);
  }
  pin_path(from);
  pin_path(Dentry.parent.get(to));
  if (exchange) pin_path(to);
  else {
    if (replaced !== 0) {
      if (is_directory(replaced)) drop_whiteouts(to);
      drop_link(replaced, new_dir);
    }
    if ((Dentry.flags.load(to) & DENTRY_PINNED) !== 0) d_unpin(to, DENTRY_WHITEOUT);
    place_whiteout(whiteout);
    resize(old_dir, -1);
    resize(new_dir, replaced === 0 ? 1 : 0);
    if (left_behind !== 0) place_whiteout_device(old_dir, left_behind as D);
  }
  changed(old_dir);
  changed(new_dir);
  mark_modified(inode);
  inode_touch(inode, TOUCH_CTIME);
  return 0;
}

function move_link(from: I, to: I): void {
  inode_add_links(from, -1);
  inode_add_links(to, 1);
}

/** The operation: entries made here, then those of the lower layer. */
export function memory_read_dir(dir: I, dentry: D, file: Ptr<'File'>, position: number, sink: DirectorySink): number {
  if (position < LOWER_BASE) {
    for (let child = Dentry.first_child.get(dentry); child !== 0; child = Dentry.next_sibling.get(child)) {
      const cookie = Dentry.cookie.get(child);
      const inode = Dentry.inode.get(child);
      if (cookie < position || inode === 0) continue;
      const type = (Inode.mode.get(inode) & S_IFMT) >>> DT_SHIFT;
      if (!sink.emit(d_name(child), Dentry.name_length.get(child), Inode.ino.get(inode), type, cookie + 1))
        return cookie;
      position = cookie + 1;
    }
  }
  const lower = MemoryNode.lower.get(node_of(dir));
  if (lower === 0) return position;
  const start = position < LOWER_BASE ? 2 : position - LOWER_BASE;
  const sb = Inode.sb.get(lower);
  tree_lock(sb);
  const reached =
    inode_operations(lower).read_dir?.(lower, dentry, file, start, new VisibleSink(dentry, sink)) ?? start;
  tree_unlock(sb);
  return reached < 0 ? reached : LOWER_BASE + reached;
}
