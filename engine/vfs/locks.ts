/**
 * File locks: record locks of processes (fcntl(2), F_SETLK) and of open file descriptions (F_OFD_SETLK),
 * and flock(2). The first two conflict with each other; flock is a world of its own.
 *
 * Nothing here blocks: -EAGAIN says that a conflicting lock is held, and every release wakes the
 * inode's `lock_queue`, on which the caller waits before it tries again.
 */
import { EAGAIN, EINVAL, ENOLCK } from '../abi/errno.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../abi/path.ts';
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { layout } from '../heap/layout.ts';
import { lock, unlock } from '../heap/lock.ts';
import { INODE_LOCK } from '../heap/lock_order.ts';
import { slab } from '../heap/slab.ts';
import { WAKE_ALL, WaitQueue, wake } from '../heap/wait_queue.ts';
import { File } from './file.layout.ts';
import { Inode } from './vfs.layout.ts';

export const LOCK_POSIX = 1;
export const LOCK_OFD = 2;
export const LOCK_FLOCK = 3;
/** The end of a lock that reaches to the end of the file, whatever its size. */
export const LOCK_END = Number.MAX_SAFE_INTEGER;
/** Locks on one inode at most. */
const LOCKS_MAX = 4096;

const l = layout('FileLock');
export const FileLock = l.done(
  {
    next: l.ptr('FileLock', 'guarded by the inode lock'),
    /** LOCK_*. */
    flavor: l.u32('guarded by the inode lock'),
    /** F_RDLCK or F_WRLCK. */
    type: l.u32('guarded by the inode lock'),
    /** The Files (POSIX) or File (OFD, flock) that holds it. */
    owner: l.u32('guarded by the inode lock'),
    pid: l.i32('guarded by the inode lock'),
    /** First and last byte. */
    start: l.f64('guarded by the inode lock'),
    end: l.f64('guarded by the inode lock'),
  },
  40,
);

const c = layout('FileLockContext');
export const FileLockContext = c.done(
  {
    head: c.ptr('FileLock', 'guarded by the inode lock'),
    count: c.u32('guarded by the inode lock'),
    queue: c.embed(WaitQueue),
  },
  24,
);

const locks = slab(FileLock);
const contexts = slab(FileLockContext);

type I = Ptr<'Inode'>;
type L = Ptr<'FileLock'>;
type X = Ptr<'FileLockContext'>;

/** A request or an answer, as struct flock has it. */
export interface LockRange {
  type: number;
  /** First byte and last byte (LOCK_END: to the end of the file). */
  start: number;
  end: number;
  pid: number;
}

function context_of(inode: I): X {
  return Inode.locks.get(inode);
}

/** Makes the inode's lock context when it has none; 0 when the heap is exhausted. */
function ensure_context(inode: I): X {
  const have = context_of(inode);
  if (have !== 0) return have;
  const fresh = contexts.alloc();
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const now = context_of(inode);
  if (now === 0) Inode.locks.set(inode, fresh);
  unlock(p, INODE_LOCK);
  if (now === 0) return fresh;
  if (fresh !== 0) contexts.free(fresh);
  return now;
}

/** The queue that is woken (POLLOUT) at each release of a lock of the inode; 0 when the heap is exhausted. */
export function lock_queue(inode: I): Ptr<'WaitQueue'> {
  const context = ensure_context(inode);
  return context === 0 ? (0 as Ptr<'WaitQueue'>) : FileLockContext.queue.at(context);
}

/** Whether a held lock stands in the way of a request; the owner's own locks never do. */
function conflicts(held: L, flavor: number, owner: number, type: number, start: number, end: number): boolean {
  const held_flock = FileLock.flavor.get(held) === LOCK_FLOCK;
  if (held_flock !== (flavor === LOCK_FLOCK)) return false;
  if (FileLock.owner.get(held) === owner && FileLock.flavor.get(held) === flavor) return false;
  if (type === F_RDLCK && FileLock.type.get(held) === F_RDLCK) return false;
  return FileLock.start.get(held) <= end && FileLock.end.get(held) >= start;
}

/** The conflicting lock that begins first: the one F_GETLK tells about. */
function first_conflict(x: X, flavor: number, owner: number, type: number, start: number, end: number): L {
  let found = 0 as L;
  for (let at = FileLockContext.head.get(x); at !== 0; at = FileLock.next.get(at)) {
    if (found !== 0 && FileLock.start.get(at) >= FileLock.start.get(found)) continue;
    if (conflicts(at, flavor, owner, type, start, end)) found = at;
  }
  return found;
}

/** The owner's own lock that overlaps the range, the first of them, or 0. */
function first_own(x: X, flavor: number, owner: number, { start, end }: LockRange): L {
  let found = 0 as L;
  for (let at = FileLockContext.head.get(x); at !== 0; at = FileLock.next.get(at)) {
    const own = FileLock.flavor.get(at) === flavor && FileLock.owner.get(at) === owner;
    const overlaps = FileLock.start.get(at) <= end && FileLock.end.get(at) >= start;
    if (own && overlaps && (found === 0 || FileLock.start.get(at) < FileLock.start.get(found))) found = at;
  }
  return found;
}

/**
 * F_GETLK: `range` becomes the first lock in the way of it, or its type F_UNLCK. An OFD lock's pid is -1.
 */
export function lock_test(inode: I, flavor: number, owner: number, range: LockRange): void {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const x = context_of(inode);
  let found = 0 as L;
  if (x !== 0 && range.type === F_UNLCK) found = first_own(x, flavor, owner, range);
  else if (x !== 0) found = first_conflict(x, flavor, owner, range.type, range.start, range.end);
  if (found === 0) range.type = F_UNLCK;
  else {
    range.type = FileLock.type.get(found);
    range.start = FileLock.start.get(found);
    range.end = FileLock.end.get(found);
    range.pid = FileLock.flavor.get(found) === LOCK_OFD ? -1 : FileLock.pid.get(found);
  }
  unlock(p, INODE_LOCK);
}

/** The Files whose record lock stands in the way of a request; 0 when there is none, or it is an OFD lock. */
export function lock_blocker(inode: I, flavor: number, owner: number, range: LockRange): number {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const x = context_of(inode);
  const found = x === 0 ? (0 as L) : first_conflict(x, flavor, owner, range.type, range.start, range.end);
  const blocker = found !== 0 && FileLock.flavor.get(found) === LOCK_POSIX ? FileLock.owner.get(found) : 0;
  unlock(p, INODE_LOCK);
  return blocker;
}

/**
 * F_SETLK: takes, changes or (F_UNLCK) gives up the range for `owner`. 0, -EAGAIN when another holds a
 * conflicting lock, -ENOLCK when there is no room.
 */
export function lock_set(inode: I, flavor: number, owner: number, range: LockRange): number {
  const { type, start, end } = range;
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return -EINVAL;
  if (type === F_UNLCK && context_of(inode) === 0) return 0;
  const x = ensure_context(inode);
  // At most one lock is split in two and one is added: reserve both before anything changes. What is given up whole
  // needs neither.
  const fresh = type === F_UNLCK ? (0 as L) : locks.alloc();
  const split = locks.alloc();
  spare_fresh = fresh;
  spare_split = split;
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  let result = 0;
  if (x === 0 || (type !== F_UNLCK && fresh === 0)) result = -ENOLCK;
  else if (split === 0 && splits(x, flavor, owner, start, end)) result = -ENOLCK;
  else if (type !== F_UNLCK && first_conflict(x, flavor, owner, type, start, end) !== 0) result = -EAGAIN;
  else if (type !== F_UNLCK && FileLockContext.count.get(x) >= LOCKS_MAX) result = -ENOLCK;
  else {
    carve(x, flavor, owner, start, end);
    if (type !== F_UNLCK) add_merged(x, flavor, owner, range);
  }
  unlock(p, INODE_LOCK);
  if (spare_fresh !== 0) locks.free(spare_fresh);
  if (spare_split !== 0) locks.free(spare_split);
  spare_fresh = 0 as L;
  spare_split = 0 as L;
  if (result === 0 && type !== F_WRLCK && x !== 0) wake(FileLockContext.queue.at(x), WAKE_ALL, WAKE_ALL);
  return result;
}

/** Whether a lock of the owner goes on on both sides of the range. */
function splits(x: X, flavor: number, owner: number, start: number, end: number): boolean {
  for (let at = FileLockContext.head.get(x); at !== 0; at = FileLock.next.get(at)) {
    const mine = FileLock.flavor.get(at) === flavor && FileLock.owner.get(at) === owner;
    if (mine && FileLock.start.get(at) < start && FileLock.end.get(at) > end) return true;
  }
  return false;
}

let spare_fresh = 0 as L;
let spare_split = 0 as L;
register_transient(() => {
  spare_fresh = 0 as L;
  spare_split = 0 as L;
});

/** Cuts [start, end] out of what the owner holds. */
function carve(x: X, flavor: number, owner: number, start: number, end: number): void {
  let prev = 0 as L;
  let at = FileLockContext.head.get(x);
  while (at !== 0) {
    const next = FileLock.next.get(at);
    const a = FileLock.start.get(at);
    const b = FileLock.end.get(at);
    const mine = FileLock.flavor.get(at) === flavor && FileLock.owner.get(at) === owner;
    if (mine && a <= end && b >= start) {
      if (a < start && b > end) {
        const tail = spare_split;
        spare_split = 0 as L;
        copy_lock(at, tail, end + 1, b);
        FileLock.end.set(at, start - 1);
        insert_after(x, at, tail);
        return;
      }
      if (a < start) FileLock.end.set(at, start - 1);
      else if (b > end) FileLock.start.set(at, end + 1);
      else {
        remove_after(x, prev, at);
        locks.free(at);
        at = next;
        continue;
      }
    }
    prev = at;
    at = next;
  }
}

/** Adds the range, joined with the owner's neighbours of the same type. */
function add_merged(x: X, flavor: number, owner: number, range: LockRange): void {
  let { start, end } = range;
  let prev = 0 as L;
  let at = FileLockContext.head.get(x);
  while (at !== 0) {
    const next = FileLock.next.get(at);
    const mine =
      FileLock.flavor.get(at) === flavor && FileLock.owner.get(at) === owner && FileLock.type.get(at) === range.type;
    if (mine && (FileLock.end.get(at) === start - 1 || FileLock.start.get(at) === end + 1)) {
      start = Math.min(start, FileLock.start.get(at));
      end = Math.max(end, FileLock.end.get(at));
      remove_after(x, prev, at);
      locks.free(at);
    } else prev = at;
    at = next;
  }
  const fresh = spare_fresh;
  spare_fresh = 0 as L;
  FileLock.flavor.set(fresh, flavor);
  FileLock.type.set(fresh, range.type);
  FileLock.owner.set(fresh, owner);
  FileLock.pid.set(fresh, range.pid);
  FileLock.start.set(fresh, start);
  FileLock.end.set(fresh, end);
  insert_after(x, 0 as L, fresh);
}

function copy_lock(from: L, to: L, start: number, end: number): void {
  FileLock.flavor.set(to, FileLock.flavor.get(from));
  FileLock.type.set(to, FileLock.type.get(from));
  FileLock.owner.set(to, FileLock.owner.get(from));
  FileLock.pid.set(to, FileLock.pid.get(from));
  FileLock.start.set(to, start);
  FileLock.end.set(to, end);
}

function insert_after(x: X, prev: L, at: L): void {
  if (prev === 0) {
    FileLock.next.set(at, FileLockContext.head.get(x));
    FileLockContext.head.set(x, at);
  } else {
    FileLock.next.set(at, FileLock.next.get(prev));
    FileLock.next.set(prev, at);
  }
  FileLockContext.count.set(x, FileLockContext.count.get(x) + 1);
}

function remove_after(x: X, prev: L, at: L): void {
  if (prev === 0) FileLockContext.head.set(x, FileLock.next.get(at));
  else FileLock.next.set(prev, FileLock.next.get(at));
  FileLockContext.count.set(x, FileLockContext.count.get(x) - 1);
}

/** Drops every lock of `owner` with this flavor; wakes those who wait. */
function release_owner(inode: I, flavor: number, owner: number): boolean {
  const x = context_of(inode);
  if (x === 0) return false;
  let dropped = false;
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  let prev = 0 as L;
  let at = FileLockContext.head.get(x);
  while (at !== 0) {
    const next = FileLock.next.get(at);
    if (FileLock.flavor.get(at) === flavor && FileLock.owner.get(at) === owner) {
      remove_after(x, prev, at);
      locks.free(at);
      dropped = true;
    } else prev = at;
    at = next;
  }
  unlock(p, INODE_LOCK);
  if (dropped) wake(FileLockContext.queue.at(x), WAKE_ALL, WAKE_ALL);
  return dropped;
}

/** close(2) of any descriptor of a file drops the process's record locks on it: `files` is its table. */
export function file_close_locks(file: Ptr<'File'>, files: Ptr<'Files'>): void {
  const inode = File.inode.get(file);
  if (inode !== 0 && context_of(inode) !== 0) release_owner(inode, LOCK_POSIX, files);
}

/** The last reference to an open file drops what it holds by itself: flock and OFD locks. */
export function file_locks_release(file: Ptr<'File'>): void {
  const inode = File.inode.get(file);
  if (context_of(inode) === 0) return;
  release_owner(inode, LOCK_OFD, file);
  release_owner(inode, LOCK_FLOCK, file);
}

/**
 * flock(2) without blocking: `type` is F_RDLCK, F_WRLCK or F_UNLCK. A conversion gives up the old lock
 * before it asks for the new one, as Linux does. 0, -EAGAIN, -ENOLCK.
 */
export function flock_set(file: Ptr<'File'>, type: number, pid: number): number {
  const inode = File.inode.get(file);
  if (inode === 0) return -EINVAL;
  if (type === F_UNLCK || holds_other_type(inode, file, type)) release_owner(inode, LOCK_FLOCK, file);
  if (type === F_UNLCK) return 0;
  return lock_set(inode, LOCK_FLOCK, file, { type, start: 0, end: LOCK_END, pid });
}

function holds_other_type(inode: I, file: Ptr<'File'>, type: number): boolean {
  const x = context_of(inode);
  if (x === 0) return false;
  let found = false;
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  for (let at = FileLockContext.head.get(x); at !== 0; at = FileLock.next.get(at))
    if (FileLock.flavor.get(at) === LOCK_FLOCK && FileLock.owner.get(at) === file)
      found = FileLock.type.get(at) !== type;
  unlock(p, INODE_LOCK);
  return found;
}

/** Frees the lock context of an inode that is going away; nobody holds a lock any more. */
export function file_locks_free(inode: I): void {
  const x = context_of(inode);
  if (x === 0) return;
  Inode.locks.set(inode, 0 as X);
  contexts.free(x);
}
