/**
 * The dentry cache (Linux's fs/dcache.c): names already looked up, present or absent.
 *
 * Life of a dentry: `d_alloc` makes it, unhashed, with one reference; `d_add` gives it its inode (or 0)
 * and puts it into the hash, where `d_lookup` finds it. Without references it waits on the LRU list and
 * is freed when the list is full or the heap is. `d_drop` takes it out of the hash: it then goes with its
 * last reference. Memory file systems pin their entries: a pinned dentry is the directory entry itself
 * and is on its parent's child list, in order of insertion.
 */

import { assert, CHECKED } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_equal } from '../heap/bytes.ts';
import { lock, unlock } from '../heap/lock.ts';
import { DCACHE_LOCK } from '../heap/lock_order.ts';
import { U8, U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { iput } from './inode.ts';
import { notify_gone } from './notify.ts';
import { DENTRY_HASH_PAGES, vfs_root } from './root.ts';
import {
  DENTRY_CHILD,
  DENTRY_HASHED,
  DENTRY_INLINE_NAME,
  DENTRY_LRU,
  DENTRY_PINNED,
  DENTRY_REFERENCED,
  Dentry,
  Inode,
  LongName,
  SB_DYING,
  SB_NO_CACHE,
  SuperBlock,
  VfsRoot,
} from './vfs.layout.ts';

type D = Ptr<'Dentry'>;

const dentries = slab(Dentry);
/** Names too long for a record of their own kind. */
export const long_names = slab(LongName);
const BUCKETS = DENTRY_HASH_PAGES * 1024;
const RECLAIM_BATCH = 32;
/** Cookies 0 and 1 stand for "." and "..". */
const FIRST_COOKIE = 2;

function acquire(): Ptr<'Lock'> {
  const p = VfsRoot.dcache_lock.at(vfs_root());
  lock(p, DCACHE_LOCK);
  return p;
}

/** Runs `body` under the dcache lock: for readers of names and parents. */
export function with_dcache_lock<T>(body: () => T): T {
  const p = acquire();
  try {
    return body();
  } finally {
    unlock(p, DCACHE_LOCK);
  }
}

/** Address of the dentry's name; stable while the dcache lock or the superblock's tree lock is held. */
export function d_name(d: D): number {
  const long = Dentry.long_name.get(d);
  return long !== 0 ? long : Dentry.inline_name.at(d);
}

/** Begins the hash of a name in a directory. */
export function hash_begin(parent: D): number {
  return parent >>> 3;
}

/** Goes on with the next byte. */
export function hash_byte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** The hash, once the name has ended. */
export function hash_end(hash: number): number {
  return (hash ^ (hash >>> 15)) >>> 0;
}

function name_hash(parent: D, name: number, length: number): number {
  let hash = hash_begin(parent);
  for (let i = 0; i < length; i++) hash = hash_byte(hash, U8[name + i] as number);
  return hash_end(hash);
}

/** Address of the bucket head of a hash value. */
function bucket_of(hash: number): number {
  const index = hash & (BUCKETS - 1);
  return (U32[(VfsRoot.dentry_hash.at(vfs_root()) >> 2) + (index >>> 10)] as number) + (index & 1023) * 4;
}

/** Takes a reference; the caller holds one already, or the dcache lock. */
export function dget(d: D): D {
  Dentry.refs.add(d, 1);
  return d;
}

/** Drops a reference. The last one leaves the dentry in the cache, or frees it when it is unhashed. */
export function dput(d: D): void {
  for (let old = Dentry.refs.load(d); old > 1; ) {
    const seen = Dentry.refs.cas(d, old, old - 1);
    if (seen === old) return;
    old = seen;
  }
  let next = dput_last(d);
  while (next !== 0) next = dput_last(next);
  const root = vfs_root();
  if (VfsRoot.lru_count.get(root) > VfsRoot.lru_limit.get(root)) d_reclaim(RECLAIM_BATCH);
}

/** Drops what may be the last reference; returns the parent whose reference the freed dentry held, or 0. */
function dput_last(d: D): D {
  const p = acquire();
  const last = Dentry.refs.add(d, -1) === 1;
  if (CHECKED) assert(Dentry.refs.load(d) >= 0, 'dput: no reference');
  if (!last) {
    unlock(p, DCACHE_LOCK);
    return 0 as D;
  }
  const sb_flags = SuperBlock.flags.load(Dentry.sb.get(d));
  if ((Dentry.flags.load(d) & DENTRY_HASHED) !== 0 && (sb_flags & (SB_NO_CACHE | SB_DYING)) === 0) {
    Dentry.flags.or(d, DENTRY_REFERENCED);
    lru_add(d);
    unlock(p, DCACHE_LOCK);
    return 0 as D;
  }
  unhash(d);
  lru_remove(d);
  unlock(p, DCACHE_LOCK);
  return free_dentry(d);
}

/** Frees a dentry that nobody can find or holds; returns the parent, whose reference passes to the caller. */
function free_dentry(d: D): D {
  const inode = Dentry.inode.get(d);
  const parent = Dentry.parent.get(d);
  const long = Dentry.long_name.get(d);
  if (long !== 0) long_names.free(long);
  dentries.free(d);
  if (inode !== 0) {
    if (Inode.watchers.get(inode) !== 0) notify_gone(inode);
    iput(inode);
  }
  return parent === d ? (0 as D) : parent;
}

/**
 * A dentry for `name` below `parent` (whose reference it takes), unhashed and without inode, with one
 * reference; 0 when the heap is exhausted even after a reclaim.
 */
export function d_alloc(parent: D, name: number, length: number): D {
  let d = alloc_named(name, length);
  if (d === 0 && d_reclaim(RECLAIM_BATCH * 8) > 0) d = alloc_named(name, length);
  if (d === 0) return d;
  Dentry.sb.set(d, Dentry.sb.get(parent));
  Dentry.parent.set(d, dget(parent));
  return d;
}

function alloc_named(name: number, length: number): D {
  const d = dentries.alloc();
  if (d === 0) return d;
  if (length > DENTRY_INLINE_NAME) {
    const long = long_names.alloc();
    if (long === 0) {
      dentries.free(d);
      return 0 as D;
    }
    Dentry.long_name.set(d, long);
  }
  bytes_copy(d_name(d), name, length);
  Dentry.name_length.set(d, length);
  Dentry.refs.store(d, 1);
  Dentry.next_cookie.set(d, FIRST_COOKIE);
  return d;
}

/** The root dentry of a superblock; takes over the inode's reference. 0 when the heap is exhausted. */
export function d_alloc_root(sb: Ptr<'SuperBlock'>, inode: Ptr<'Inode'>): D {
  const d = alloc_named(0, 0);
  if (d === 0) return d;
  Dentry.sb.set(d, sb);
  Dentry.parent.set(d, d);
  Dentry.inode.set(d, inode);
  return d;
}

/** The cached dentry of a name with a reference, or 0. */
export function d_lookup(parent: D, name: number, length: number): D {
  const p = acquire();
  const d = d_find(parent, name, length);
  if (d !== 0) dget(d);
  unlock(p, DCACHE_LOCK);
  return d;
}

/** The same without a reference: the dcache lock is held, and the dentry stays while it is. */
export function d_find(parent: D, name: number, length: number): D {
  return d_find_hashed(parent, name, length, name_hash(parent, name, length));
}

/** The same for a caller that has made the name's hash. */
export function d_find_hashed(parent: D, name: number, length: number, hash: number): D {
  let d = U32[bucket_of(hash) >> 2] as D;
  while (d !== 0) {
    if (Dentry.hash.get(d) === hash && is_named(d, parent, name, length)) break;
    d = Dentry.hash_next.get(d);
  }
  return d;
}

function is_named(d: D, parent: D, name: number, length: number): boolean {
  if (Dentry.parent.get(d) !== parent || Dentry.name_length.get(d) !== length) return false;
  return bytes_equal(d_name(d), name, length);
}

/** Gives a new dentry its inode (whose reference it takes over; 0 is negative) and makes it findable. */
export function d_add(d: D, inode: Ptr<'Inode'>): void {
  const p = acquire();
  Dentry.inode.set(d, inode);
  hash_in(d);
  unlock(p, DCACHE_LOCK);
}

/** Turns a negative dentry into a positive one; takes over the inode's reference. */
export function d_instantiate(d: D, inode: Ptr<'Inode'>): void {
  const p = acquire();
  if (CHECKED) assert(Dentry.inode.get(d) === 0, 'd_instantiate: not negative');
  Dentry.inode.set(d, inode);
  unlock(p, DCACHE_LOCK);
}

/** Takes a dentry out of the hash: later lookups ask the file system. */
export function d_drop(d: D): void {
  const p = acquire();
  unhash(d);
  unlock(p, DCACHE_LOCK);
}

/** Whether the dentry is still in the tree (roots count as hashed). */
export function d_hashed(d: D): boolean {
  return (Dentry.flags.load(d) & DENTRY_HASHED) !== 0 || Dentry.parent.get(d) === d;
}

/** Makes a dentry the directory entry itself: referenced by the file system and on the child list. */
export function d_pin(d: D): void {
  const p = acquire();
  if ((Dentry.flags.or(d, DENTRY_PINNED) & DENTRY_PINNED) === 0) {
    dget(d);
    child_add(d);
  }
  unlock(p, DCACHE_LOCK);
}

/** Ends `d_pin`: off the child list, and the file system's reference is dropped. */
export function d_unpin(d: D, clear_flags = 0): void {
  const p = acquire();
  const was = Dentry.flags.and(d, ~(DENTRY_PINNED | clear_flags));
  child_remove(d);
  unlock(p, DCACHE_LOCK);
  if ((was & DENTRY_PINNED) !== 0) dput(d);
}

/** Whether `d` is `ancestor` or lies below it. The tree must not move: tree lock held. */
export function is_subdir(d: D, ancestor: D): boolean {
  for (;;) {
    if (d === ancestor) return true;
    const parent = Dentry.parent.get(d);
    if (parent === d) return false;
    d = parent;
  }
}

/**
 * Moves `d` to the place and name of `target`, which is unhashed (Linux's d_move). Tree lock held. When
 * `exchange` is set, `target` takes the place of `d` instead.
 */
export function d_move(d: D, target: D, exchange: boolean): void {
  const p = acquire();
  unhash(d);
  unhash(target);
  const d_child = child_remove(d);
  const target_child = child_remove(target);
  swap_names(d, target);
  const d_parent = Dentry.parent.get(d);
  Dentry.parent.set(d, Dentry.parent.get(target));
  Dentry.parent.set(target, d_parent);
  hash_in(d);
  if (exchange) hash_in(target);
  if (d_child) child_add(d);
  if (target_child) child_add(target);
  unlock(p, DCACHE_LOCK);
}

function swap_names(a: D, b: D): void {
  const inline_a = Dentry.inline_name.at(a);
  const inline_b = Dentry.inline_name.at(b);
  for (let i = 0; i < DENTRY_INLINE_NAME; i++) {
    const byte = U8[inline_a + i] as number;
    U8[inline_a + i] = U8[inline_b + i] as number;
    U8[inline_b + i] = byte;
  }
  const length = Dentry.name_length.get(a);
  Dentry.name_length.set(a, Dentry.name_length.get(b));
  Dentry.name_length.set(b, length);
  const long = Dentry.long_name.get(a);
  Dentry.long_name.set(a, Dentry.long_name.get(b));
  Dentry.long_name.set(b, long);
}

function hash_in(d: D): void {
  const hash = name_hash(Dentry.parent.get(d), d_name(d), Dentry.name_length.get(d));
  const bucket = bucket_of(hash) >> 2;
  Dentry.hash.set(d, hash);
  Dentry.hash_next.set(d, U32[bucket] as D);
  U32[bucket] = d;
  count_hash_change();
  Dentry.flags.or(d, DENTRY_HASHED);
}

function unhash(d: D): void {
  if ((Dentry.flags.and(d, ~DENTRY_HASHED) & DENTRY_HASHED) === 0) return;
  const bucket = bucket_of(Dentry.hash.get(d));
  let at = U32[bucket >> 2] as D;
  if (at === d) U32[bucket >> 2] = Dentry.hash_next.get(d);
  else {
    while (Dentry.hash_next.get(at) !== d) at = Dentry.hash_next.get(at);
    Dentry.hash_next.set(at, Dentry.hash_next.get(d));
  }
  Dentry.hash_next.set(d, 0 as D);
  count_hash_change();
}

function count_hash_change(): void {
  const root = vfs_root();
  VfsRoot.dentry_hash_changes.set(root, VfsRoot.dentry_hash_changes.get(root) + 1);
}

function child_add(d: D): void {
  const parent = Dentry.parent.get(d);
  const cookie = Dentry.next_cookie.get(parent);
  Dentry.next_cookie.set(parent, cookie + 1);
  Dentry.cookie.set(d, cookie);
  const tail = Dentry.last_child.get(parent);
  Dentry.prev_sibling.set(d, tail);
  Dentry.next_sibling.set(d, 0 as D);
  if (tail === 0) Dentry.first_child.set(parent, d);
  else Dentry.next_sibling.set(tail, d);
  Dentry.last_child.set(parent, d);
  Dentry.flags.or(d, DENTRY_CHILD);
}

function child_remove(d: D): boolean {
  if ((Dentry.flags.and(d, ~DENTRY_CHILD) & DENTRY_CHILD) === 0) return false;
  const parent = Dentry.parent.get(d);
  const next = Dentry.next_sibling.get(d);
  const prev = Dentry.prev_sibling.get(d);
  if (prev === 0) Dentry.first_child.set(parent, next);
  else Dentry.next_sibling.set(prev, next);
  if (next === 0) Dentry.last_child.set(parent, prev);
  else Dentry.prev_sibling.set(next, prev);
  return true;
}

function lru_add(d: D): void {
  if ((Dentry.flags.or(d, DENTRY_LRU) & DENTRY_LRU) !== 0) return;
  const root = vfs_root();
  const tail = VfsRoot.lru_tail.get(root);
  Dentry.lru_prev.set(d, tail);
  Dentry.lru_next.set(d, 0 as D);
  if (tail === 0) VfsRoot.lru_head.set(root, d);
  else Dentry.lru_next.set(tail, d);
  VfsRoot.lru_tail.set(root, d);
  VfsRoot.lru_count.set(root, VfsRoot.lru_count.get(root) + 1);
}

function lru_remove(d: D): void {
  if ((Dentry.flags.and(d, ~DENTRY_LRU) & DENTRY_LRU) === 0) return;
  const root = vfs_root();
  const next = Dentry.lru_next.get(d);
  const prev = Dentry.lru_prev.get(d);
  if (prev === 0) VfsRoot.lru_head.set(root, next);
  else Dentry.lru_next.set(prev, next);
  if (next === 0) VfsRoot.lru_tail.set(root, prev);
  else Dentry.lru_prev.set(next, prev);
  VfsRoot.lru_count.set(root, VfsRoot.lru_count.get(root) - 1);
}

/** Frees up to `count` unreferenced dentries, oldest first; returns how many were freed. */
export function d_reclaim(count: number): number {
  let freed = 0;
  for (let looked = 0; freed < count && looked < count * 4; looked++) {
    const p = acquire();
    const d = VfsRoot.lru_head.get(vfs_root());
    if (d === 0) {
      unlock(p, DCACHE_LOCK);
      break;
    }
    lru_remove(d);
    const in_use = Dentry.refs.load(d) > 0;
    const second_chance = !in_use && (Dentry.flags.and(d, ~DENTRY_REFERENCED) & DENTRY_REFERENCED) !== 0;
    if (second_chance) lru_add(d);
    else if (!in_use) unhash(d);
    unlock(p, DCACHE_LOCK);
    if (in_use || second_chance) continue;
    freed++;
    release_parent(free_dentry(d));
  }
  return freed;
}

function release_parent(parent: D): void {
  while (parent !== 0) {
    if (Dentry.refs.load(parent) > 1) {
      dput(parent);
      return;
    }
    parent = dput_last(parent);
  }
}

/** Frees every unreferenced dentry of a superblock (at unmount, or when its cached names are stale). */
export function d_shrink(sb: Ptr<'SuperBlock'>): void {
  for (;;) {
    const p = acquire();
    let d = VfsRoot.lru_head.get(vfs_root());
    while (d !== 0 && (Dentry.sb.get(d) !== sb || Dentry.refs.load(d) > 0)) d = Dentry.lru_next.get(d);
    if (d !== 0) {
      lru_remove(d);
      unhash(d);
    }
    unlock(p, DCACHE_LOCK);
    if (d === 0) return;
    release_parent(free_dentry(d));
  }
}

/** Unpins everything below `top`: a memory file system is being dismantled. Depth is no limit. */
export function d_unpin_tree(top: D): void {
  let at = top;
  for (;;) {
    const child = Dentry.first_child.get(at);
    if (child !== 0) {
      at = child;
      continue;
    }
    if (at === top) return;
    const parent = Dentry.parent.get(at);
    d_drop(at);
    d_unpin(at);
    at = parent;
  }
}

/** Dentries alive, for tests and the inspector. */
export function dentries_live(): number {
  return dentries.live();
}
