/**
 * Inodes: what a name stands for. A file system makes them (`inode_alloc`), dentries and open files hold
 * them, and the last `iput` asks the file system to let go of what lies behind (`evict`).
 *
 * A file system is a table of operations, indexed by `Inode.kind` and filled at module load. Operations
 * that read or change a directory are called with the superblock's tree lock held. Names are (address,
 * length) pairs in kernel memory; new inodes get the owner given. Results are 0 or a count, or -errno.
 */
import { assert, CHECKED } from '../base/assert.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { ICACHE_LOCK, INODE_LOCK } from '../heap/lock_order.ts';
import { U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import type { AttributeChange } from './attributes.ts';
import { file_locks_free } from './locks.ts';
import type { PathRef } from './path_ref.ts';
import { INODE_HASH_PAGES, vfs_root } from './root.ts';
import { now_nanoseconds, now_seconds } from './time.ts';
import { Inode, SuperBlock, VfsRoot } from './vfs.layout.ts';
import { xattrs_free } from './xattr.ts';

type I = Ptr<'Inode'>;

/** Receives directory entries: false when there is no room for this one (it will be asked for again). */
export interface DirectorySink {
  /** `type` is a DT_*; `next` is the position behind this entry. */
  emit(name: number, length: number, ino: number, type: number, next: number): boolean;
}

export interface InodeOperations {
  readonly name: string;
  /** The inode of a name, with a reference, or -errno (-ENOENT when it is absent). */
  lookup?(dir: I, name: number, length: number): number;
  /** Makes a file, directory, FIFO, socket or device (by the type in `mode`) for a negative dentry. */
  create?(dir: I, dentry: Ptr<'Dentry'>, mode: number, rdev: number, uid: number, gid: number): number;
  symlink?(dir: I, dentry: Ptr<'Dentry'>, target: number, length: number, uid: number, gid: number): number;
  link?(dir: I, dentry: Ptr<'Dentry'>, inode: I): number;
  /** Removes a name: of an empty directory or of anything else. The caller unhashes the dentry. */
  remove?(dir: I, dentry: Ptr<'Dentry'>): number;
  /**
   * Types and permissions are checked; a target that is replaced is empty or no directory. `uid` and `gid` own what
   * RENAME_WHITEOUT leaves behind.
   */
  rename?(
    old_dir: I,
    old_dentry: Ptr<'Dentry'>,
    new_dir: I,
    new_dentry: Ptr<'Dentry'>,
    flags: number,
    uid: number,
    gid: number,
  ): number;
  /** An unnamed regular file in `dir` (O_TMPFILE): the inode, or -errno. */
  tmpfile?(dir: I, mode: number, uid: number, gid: number): number;
  /** Copies the target of a symbolic link, without terminator; its length or -errno. */
  read_link?(inode: I, target: number, capacity: number): number;
  /** Magic links: fills `out` with references. */
  follow_link?(inode: I, out: PathRef): number;
  /** Entries from `position` (at least 2; "." and ".." are the caller's) on; the new position or -errno. */
  read_dir?(dir: I, dentry: Ptr<'Dentry'>, file: Ptr<'File'>, position: number, sink: DirectorySink): number;
  /** Whether a cached name still stands for the same thing. */
  revalidate?(dir: I, dentry: Ptr<'Dentry'>): boolean;
  /** Brings the attributes up to date before they are read. */
  refresh?(inode: I): number;
  /** Applies a checked change of attributes; without it the generic change is made in memory. */
  set_attributes?(inode: I, change: AttributeChange): number;
  /** Reserves or frees storage (fallocate). */
  allocate?(inode: I, mode: number, offset: number, length: number): number;
  /** Prepares an open file: sets its kind and object, and counts what it must. */
  open?(inode: I, file: Ptr<'File'>): number;
  /** MAPPING_* kind of the page cache of a regular file; absent: it has none and cannot be mapped. */
  readonly mapping_kind?: number;
  /** A regular file is being opened: whether its data can be reached (0 or -errno). Paired with `close`. */
  prepare_open?(inode: I, write: boolean): number;
  /** Fills a frame with one page of data, zeros behind the end. Called with a mapping's lock held. */
  read_page?(inode: I, index: number, frame: FrameAddr): number;
  /** Before data up to byte `end` is changed by write, fallocate or a shared mapping: 0 or -errno. */
  prepare_write?(inode: I, end: number): number;
  /** Stores bytes of a write at once (write-through); absent: the page cache is the data. The inode's lock is held. */
  write_through?(inode: I, position: number, source: number, length: number): number;
  /** Ends `prepare_open`: one open regular file less. */
  close?(inode: I): void;
  /** Writes back what is not yet stored (fsync). */
  sync?(inode: I): number;
  /** Something kept in the inode by the layers above (an extended attribute) is about to change. */
  note_change?(inode: I): void;
  /** Extended attributes are kept in memory; absent: -EOPNOTSUPP. */
  readonly has_xattrs?: boolean;
  /** The attributes are nobody's to change: -EOPNOTSUPP, whoever asks. */
  readonly fixed_attributes?: boolean;
  /** The last reference is gone: free what belongs to the file system. The record is freed after it. */
  evict?(inode: I): void;
}

export const INODE_KIND_MEMORY = 1;
export const INODE_KIND_HOST = 2;
export const INODE_KIND_PROC = 3;
export const INODE_KIND_SYS = 4;
export const INODE_KIND_DEVPTS = 5;
export const INODE_KIND_MEMFD = 6;
export const INODE_KIND_DEBUG = 7;
/** A memory inode that stands for one of a lower layer. */
export const INODE_KIND_OVERLAY = 8;
/** A pipe reached through /proc/PID/fd. */
export const INODE_KIND_PIPE = 9;
/** What all anonymous files, or all pidfds, share. */
export const INODE_KIND_ANON = 10;
export const INODE_KIND_SOCKET = 11;

const operations: (InodeOperations | undefined)[] = [];

/** Installs the operations of an inode kind, at module load. */
export function register_inode_operations(kind: number, table: InodeOperations): void {
  assert(operations[kind] === undefined, `inode operations of kind ${kind} registered twice`);
  operations[kind] = table;
}

/** The operations of an inode. */
export function inode_operations(inode: I): InodeOperations {
  const table = operations[Inode.kind.get(inode)];
  assert(table !== undefined, 'inode of unknown kind');
  return table;
}

const inodes = slab(Inode);

/** An inode with one reference, one link and all times now; 0 when the heap is exhausted. */
export function inode_alloc(sb: Ptr<'SuperBlock'>, kind: number, mode: number, ino: number): I {
  const inode = inodes.alloc();
  if (inode === 0) return inode;
  Inode.refs.store(inode, 1);
  Inode.kind.set(inode, kind);
  Inode.sb.set(inode, sb);
  Inode.mode.set(inode, mode);
  Inode.nlink.set(inode, 1);
  Inode.ino.set(inode, ino);
  const seconds = now_seconds();
  const nanoseconds = now_nanoseconds();
  Inode.btime.set(inode, seconds);
  Inode.btime_ns.set(inode, nanoseconds);
  set_times(inode, TOUCH_ATIME | TOUCH_MTIME | TOUCH_CTIME, seconds, nanoseconds);
  SuperBlock.inodes.add(sb, 1);
  return inode;
}

/** Takes a reference; the caller holds one already. */
export function iget(inode: I): I {
  Inode.refs.add(inode, 1);
  return inode;
}

/** Drops a reference; the last one evicts the inode. No mapping or allocator lock may be held. */
export function iput(inode: I): void {
  for (let old = Inode.refs.load(inode); old > 1; ) {
    const seen = Inode.refs.cas(inode, old, old - 1);
    if (seen === old) return;
    old = seen;
  }
  const p = VfsRoot.icache_lock.at(vfs_root());
  lock(p, ICACHE_LOCK);
  const last = Inode.refs.add(inode, -1) === 1;
  if (CHECKED) assert(Inode.refs.load(inode) >= 0, 'iput: no reference');
  if (last) icache_remove(inode);
  unlock(p, ICACHE_LOCK);
  if (!last) return;
  inode_operations(inode).evict?.(inode);
  file_locks_free(inode);
  xattrs_free(inode);
  SuperBlock.inodes.add(Inode.sb.get(inode), -1);
  inodes.free(inode);
}

const BUCKETS = INODE_HASH_PAGES * 1024;

function icache_bucket(sb: number, lo: number, hi: number): number {
  const hash = Math.imul((sb >>> 4) ^ lo ^ Math.imul(hi, 0x9e3779b1), 0x85ebca6b);
  const index = (hash >>> 12) & (BUCKETS - 1);
  return (U32[(VfsRoot.inode_hash.at(vfs_root()) >> 2) + (index >>> 10)] as number) + (index & 1023) * 4;
}

/** The inode that a file system knows by this key, with a reference, or 0. */
export function icache_find(sb: Ptr<'SuperBlock'>, lo: number, hi: number): I {
  const p = VfsRoot.icache_lock.at(vfs_root());
  lock(p, ICACHE_LOCK);
  let inode = U32[icache_bucket(sb, lo, hi) >> 2] as I;
  while (inode !== 0) {
    if (Inode.sb.get(inode) === sb && Inode.key_lo.get(inode) === lo && Inode.key_hi.get(inode) === hi) {
      Inode.refs.add(inode, 1);
      break;
    }
    inode = Inode.hash_next.get(inode);
  }
  unlock(p, ICACHE_LOCK);
  return inode;
}

/** Makes an inode findable by a non-zero key within its superblock. */
export function icache_insert(inode: I, lo: number, hi: number): void {
  if (CHECKED) assert(lo !== 0 || hi !== 0, 'icache_insert: key 0 stands for none');
  const p = VfsRoot.icache_lock.at(vfs_root());
  lock(p, ICACHE_LOCK);
  Inode.key_lo.set(inode, lo);
  Inode.key_hi.set(inode, hi);
  const bucket = icache_bucket(Inode.sb.get(inode), lo, hi) >> 2;
  Inode.hash_next.set(inode, U32[bucket] as I);
  U32[bucket] = inode;
  count_hash_change();
  unlock(p, ICACHE_LOCK);
}

/** Makes an inode unfindable by its key: what it stood for is no longer there. */
export function icache_forget(inode: I): void {
  const p = VfsRoot.icache_lock.at(vfs_root());
  lock(p, ICACHE_LOCK);
  icache_remove(inode);
  unlock(p, ICACHE_LOCK);
}

function icache_remove(inode: I): void {
  const lo = Inode.key_lo.get(inode);
  const hi = Inode.key_hi.get(inode);
  if (lo === 0 && hi === 0) return;
  const bucket = icache_bucket(Inode.sb.get(inode), lo, hi) >> 2;
  let at = U32[bucket] as I;
  if (at === inode) U32[bucket] = Inode.hash_next.get(inode);
  else {
    while (Inode.hash_next.get(at) !== inode) at = Inode.hash_next.get(at);
    Inode.hash_next.set(at, Inode.hash_next.get(inode));
  }
  Inode.key_lo.set(inode, 0);
  Inode.key_hi.set(inode, 0);
  count_hash_change();
}

function count_hash_change(): void {
  const root = vfs_root();
  VfsRoot.inode_hash_changes.set(root, VfsRoot.inode_hash_changes.get(root) + 1);
}

export const TOUCH_ATIME = 1;
export const TOUCH_MTIME = 2;
export const TOUCH_CTIME = 4;

/** Stamps the chosen times with the present. Takes the inode's lock. */
export function inode_touch(inode: I, which: number): void {
  const seconds = now_seconds();
  const nanoseconds = now_nanoseconds();
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  set_times(inode, which, seconds, nanoseconds);
  unlock(p, INODE_LOCK);
}

/** Stamps the chosen times with the present; the inode's lock is held. */
export function inode_touch_locked(inode: I, which: number): void {
  set_times(inode, which, now_seconds(), now_nanoseconds());
}

function set_times(inode: I, which: number, seconds: number, nanoseconds: number): void {
  if ((which & TOUCH_ATIME) !== 0) {
    Inode.atime.set(inode, seconds);
    Inode.atime_ns.set(inode, nanoseconds);
  }
  if ((which & TOUCH_MTIME) !== 0) {
    Inode.mtime.set(inode, seconds);
    Inode.mtime_ns.set(inode, nanoseconds);
  }
  if ((which & TOUCH_CTIME) !== 0) {
    Inode.ctime.set(inode, seconds);
    Inode.ctime_ns.set(inode, nanoseconds);
  }
}

/** Adds to the link count and stamps the change time. */
export function inode_add_links(inode: I, delta: number): void {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  Inode.nlink.set(inode, Inode.nlink.get(inode) + delta);
  inode_touch_locked(inode, TOUCH_CTIME);
  unlock(p, INODE_LOCK);
}

/** Inodes alive, for tests and the inspector. */
export function inodes_live(): number {
  return inodes.live();
}
