/**
 * Extended attributes kept in kernel memory, for the file systems that have them (Linux's simple_xattr).
 *
 * The "user." name space of regular files and directories, and "trusted." and "security." for CAP_SYS_ADMIN. A name and
 * a short value lie in a heap page together; a long value lies in frames. Guarded by the inode's lock.
 */

import { EEXIST, ENODATA, ENOSPC, ERANGE } from '../abi/errno.ts';
import { register_transient } from '../base/transients.ts';
import { type FrameAddr, PAGE_SIZE, type Ptr } from '../base/types.ts';
import { bytes_copy, bytes_equal, bytes_read } from '../heap/bytes.ts';
import { heap_has_room, heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { layout } from '../heap/layout.ts';
import { lock, unlock } from '../heap/lock.ts';
import { INODE_LOCK } from '../heap/lock_order.ts';
import { U8, U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { frame_get, frame_put } from '../machine/frames.ts';
import { Inode } from './vfs.layout.ts';

export const XATTR_NAME_MAX = 255;
/** Longest value. */
export const XATTR_SIZE_MAX = 65536;
/** Longest value that lies behind its name. */
export const XATTR_INLINE_MAX = 3072;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
/** Attributes of one inode at most: each takes a page of kernel heap. */
const XATTRS_MAX = 32;

const l = layout('Xattr');
export const Xattr = l.done(
  {
    next: l.ptr('Xattr', 'guarded by the inode lock'),
    name_length: l.u32('guarded by the inode lock'),
    value_length: l.u32('guarded by the inode lock'),
    /** A heap page: the name, then the value; or, of a long value, the frames' addresses at FRAMES_AT. */
    page: l.u32('guarded by the inode lock'),
  },
  16,
);
const xattrs = slab(Xattr);
const FRAMES_AT = 256;

/** A long value on its way in or out: its frames, with a reference each. For one call. */
export const long_value: FrameAddr[] = [];
register_transient(() => {
  long_value.length = 0;
});

/** Gives `long_value`'s frames back. */
export function drop_long_value(): void {
  for (const frame of long_value) frame_put(frame);
  long_value.length = 0;
}

function frame_count(size: number): number {
  return size > XATTR_INLINE_MAX ? Math.ceil(size / PAGE_SIZE) : 0;
}

function frame_at(page: number, i: number): FrameAddr {
  return U32[(page + FRAMES_AT) / 4 + i] as FrameAddr;
}

/** Gives back a page of an attribute whose value had `size` bytes. */
function drop_page(page: number, size: number): void {
  for (let i = frame_count(size) - 1; i >= 0; i--) frame_put(frame_at(page, i));
  heap_page_free(page);
}

type I = Ptr<'Inode'>;

function find(inode: I, name: number, length: number): Ptr<'Xattr'> {
  let x = Inode.xattrs.get(inode);
  while (x !== 0 && !(Xattr.name_length.get(x) === length && bytes_equal(Xattr.page.get(x), name, length)))
    x = Xattr.next.get(x);
  return x;
}

/**
 * Sets an attribute; XATTR_CREATE and XATTR_REPLACE as in setxattr(2). A value above XATTR_INLINE_MAX is in `long_value`,
 * which is taken over where this succeeds.
 */
export function xattr_set(inode: I, name: number, length: number, value: number, size: number, flags: number): number {
  const page = heap_has_room() ? heap_page_alloc() : 0;
  const fresh = xattrs.alloc();
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  let x = find(inode, name, length);
  let result = 0;
  if (page === 0 || fresh === 0) result = -ENOSPC;
  else if (x !== 0 && (flags & XATTR_CREATE) !== 0) result = -EEXIST;
  else if (x === 0 && (flags & XATTR_REPLACE) !== 0) result = -ENODATA;
  else if (x === 0 && count(inode) >= XATTRS_MAX) result = -ENOSPC;
  let unused_page = page;
  let unused_size = 0;
  let used = false;
  if (result === 0) {
    bytes_copy(page, name, length);
    if (size <= XATTR_INLINE_MAX) bytes_copy(page + length, value, size);
    for (let i = 0; i < long_value.length; i++) U32[(page + FRAMES_AT) / 4 + i] = long_value[i] as number;
    long_value.length = 0;
    if (x !== 0) {
      unused_page = Xattr.page.get(x);
      unused_size = Xattr.value_length.get(x);
    } else {
      x = fresh;
      used = true;
      unused_page = 0;
    }
    Xattr.page.set(x, page);
    Xattr.name_length.set(x, length);
    Xattr.value_length.set(x, size);
    if (used) insert(inode, x);
  }
  unlock(p, INODE_LOCK);
  if (unused_page !== 0) drop_page(unused_page, unused_size);
  if (!used && fresh !== 0) xattrs.free(fresh);
  return result;
}

/** Puts an attribute where its name belongs: they are listed in the order of strcmp, as Linux's are. */
function insert(inode: I, x: Ptr<'Xattr'>): void {
  let before = 0 as Ptr<'Xattr'>;
  let at = Inode.xattrs.get(inode);
  for (; at !== 0 && compare_names(at, x) < 0; at = Xattr.next.get(at)) before = at;
  Xattr.next.set(x, at);
  if (before === 0) Inode.xattrs.set(inode, x);
  else Xattr.next.set(before, x);
}

function compare_names(a: Ptr<'Xattr'>, b: Ptr<'Xattr'>): number {
  const shorter = Math.min(Xattr.name_length.get(a), Xattr.name_length.get(b));
  for (let i = 0; i < shorter; i++) {
    const difference = (U8[Xattr.page.get(a) + i] as number) - (U8[Xattr.page.get(b) + i] as number);
    if (difference !== 0) return difference;
  }
  return Xattr.name_length.get(a) - Xattr.name_length.get(b);
}

function count(inode: I): number {
  let n = 0;
  for (let x = Inode.xattrs.get(inode); x !== 0; x = Xattr.next.get(x)) n++;
  return n;
}

/**
 * Copies a value to `target`, or a long one's frames to `long_value`: its size, -ERANGE when it does not fit (capacity 0
 * only asks), -ENODATA. A value is replaced as a whole, so that its frames do not change.
 */
export function xattr_get(inode: I, name: number, length: number, target: number, capacity: number): number {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const x = find(inode, name, length);
  let result = -ENODATA;
  if (x !== 0) {
    result = Xattr.value_length.get(x);
    if (capacity !== 0 && result > capacity) result = -ERANGE;
    else if (capacity !== 0 && result <= XATTR_INLINE_MAX) bytes_copy(target, Xattr.page.get(x) + length, result);
    else if (capacity !== 0) {
      const count = frame_count(result);
      for (let i = 0; i < count; i++) {
        const frame = frame_at(Xattr.page.get(x), i);
        frame_get(frame);
        long_value.push(frame);
      }
    }
  }
  unlock(p, INODE_LOCK);
  return result;
}

/** Copies the names, each with its NUL; total size or -ERANGE (capacity 0 only asks). `trusted`: also of that space. */
export function xattr_list(inode: I, target: number, capacity: number, trusted: boolean): number {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  let total = 0;
  for (let x = Inode.xattrs.get(inode); x !== 0; x = Xattr.next.get(x)) {
    const length = Xattr.name_length.get(x);
    if (!trusted && bytes_read(Xattr.page.get(x), Math.min(length, 8)) === 'trusted.') continue;
    if (capacity !== 0 && total + length + 1 > capacity) {
      total = -ERANGE;
      break;
    }
    if (capacity !== 0) {
      bytes_copy(target + total, Xattr.page.get(x), length);
      U8[target + total + length] = 0;
    }
    total += length + 1;
  }
  unlock(p, INODE_LOCK);
  return total;
}

/** Removes an attribute, or -ENODATA. */
export function xattr_remove(inode: I, name: number, length: number): number {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const x = find(inode, name, length);
  if (x !== 0) {
    let prev = Inode.xattrs.get(inode);
    if (prev === x) Inode.xattrs.set(inode, Xattr.next.get(x));
    else {
      while (Xattr.next.get(prev) !== x) prev = Xattr.next.get(prev);
      Xattr.next.set(prev, Xattr.next.get(x));
    }
  }
  unlock(p, INODE_LOCK);
  if (x === 0) return -ENODATA;
  drop_page(Xattr.page.get(x), Xattr.value_length.get(x));
  xattrs.free(x);
  return 0;
}

/** Frees every attribute of an inode that is going away. */
export function xattrs_free(inode: I): void {
  let x = Inode.xattrs.get(inode);
  Inode.xattrs.set(inode, 0 as Ptr<'Xattr'>);
  while (x !== 0) {
    const next = Xattr.next.get(x);
    drop_page(Xattr.page.get(x), Xattr.value_length.get(x));
    xattrs.free(x);
    x = next;
  }
}
