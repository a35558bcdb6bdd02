/**
 * Data of memory files: what counts against the size limit, reading through to the lower layer, and the
 * changes of size.
 *
 * Limit: every page a file made here has in the cache counts. A file of the lower layer counts once it
 * is changed, then with its whole size: that much may become memory that nothing can take back.
 */

import { EFBIG, EINTR, EINVAL, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, PREEMPTED } from '../../abi/errno.ts';
import { F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE } from '../../abi/memfd.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE } from '../../abi/path.ts';
import type { FrameAddr, Ptr } from '../../base/types.ts';
import { bytes_copy, bytes_zero } from '../../heap/bytes.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { INODE_LOCK } from '../../heap/lock_order.ts';
import { signal_pending } from '../../kernel/block.ts';
import { current } from '../../kernel/current.ts';
import { charge, slice_is_over } from '../../kernel/long_call.ts';
import { Task } from '../../kernel/task.layout.ts';
import { frame_put, frame_zero } from '../../machine/frames.ts';
import { inode_operations, inode_touch_locked, TOUCH_CTIME, TOUCH_MTIME } from '../../vfs/inode.ts';
import { MAPPING_OVERLAY, MAPPING_TMPFS, Mapping } from '../../vfs/mapping.layout.ts';
import {
  mapping_grow,
  mapping_page,
  mapping_punch,
  mapping_reserve,
  mapping_truncate,
  mapping_unreserve,
  register_mapping_kind,
} from '../../vfs/mapping.ts';
import { FILE_SIZE_MAX, inode_mapping } from '../../vfs/regular.ts';
import { FS_OVERLAY } from '../../vfs/super.ts';
import { Inode, SuperBlock } from '../../vfs/vfs.layout.ts';
import { MemoryFs, MemoryNode } from './memory.layout.ts';

type I = Ptr<'Inode'>;

/** The memory file system's words of an inode. */
export function node_of(inode: I): Ptr<'MemoryNode'> {
  return Inode.scratch.at(inode) as number as Ptr<'MemoryNode'>;
}

/** The memory file system's words of a superblock. */
export function memory_fs(sb: Ptr<'SuperBlock'>): Ptr<'MemoryFs'> {
  return SuperBlock.scratch.at(sb) as number as Ptr<'MemoryFs'>;
}

/** Counts `pages` more (or fewer) against the superblock's limit; 0 or -ENOSPC. */
export function charge_pages(sb: Ptr<'SuperBlock'>, pages: number): number {
  const fs = memory_fs(sb);
  const before = MemoryFs.pages_used.add(fs, pages);
  if (pages <= 0 || before + pages <= MemoryFs.pages_max.get(fs)) return 0;
  MemoryFs.pages_used.add(fs, -pages);
  return -ENOSPC;
}

function charge_mapping(mapping: Ptr<'Mapping'>, pages: number): number {
  const inode = Mapping.inode.get(mapping);
  const result = charge_pages(Inode.sb.get(inode), pages);
  if (result === 0) {
    const node = node_of(inode);
    MemoryNode.charged.set(node, MemoryNode.charged.get(node) + pages);
  }
  return result;
}

register_mapping_kind(MAPPING_TMPFS, { name: 'tmpfs', evictable: false, charge: charge_mapping });

/** Reads a page of the lower file; bytes that were truncated away here, or never were there, are zeros. */
function read_through(inode: I, index: number, frame: FrameAddr): number {
  const node = node_of(inode);
  const lower = MemoryNode.lower.get(node);
  const left = MemoryNode.lower_limit.get(node) - index * 4096;
  if (lower === 0 || left <= 0) {
    frame_zero(frame);
    return 0;
  }
  const read_page = inode_operations(lower).read_page;
  if (read_page === undefined) return -EINVAL;
  const result = read_page(lower, index, frame);
  if (result === 0 && left < 4096) bytes_zero(frame + left, 4096 - left);
  return result;
}

register_mapping_kind(MAPPING_OVERLAY, {
  name: 'overlay',
  // Clean pages can be read from below again; dirty ones are the data.
  evictable: true,
  dirty_pages_stay: true,
  read_page: (mapping, index, frame) => read_through(Mapping.inode.get(mapping), index, frame),
});

/** Reads a page for a layer stacked on this one; `prepare_open` has made the mapping of a file with data. */
export function memory_read_page(inode: I, index: number, frame: FrameAddr): number {
  const mapping = Inode.mapping.get(inode);
  const page = mapping === 0 ? 0 : mapping_page(mapping, index, false);
  if (page < 0) return page;
  if (page === 0) frame_zero(frame);
  else {
    bytes_copy(frame, page, 4096);
    frame_put(page as FrameAddr);
  }
  return 0;
}

/** Charges a lower file that is about to be changed with its size, or `end` if that is more; 0 or -ENOSPC. */
export function charge_change(inode: I, end: number): number {
  const node = node_of(inode);
  const pages = Math.ceil(Math.max(Inode.size.get(inode), end) / 4096);
  const result = charge_pages(Inode.sb.get(inode), pages - MemoryNode.charged.get(node));
  if (result === 0) MemoryNode.charged.set(node, pages);
  return result;
}

/** Sets the size of a regular file; the caller marks it modified. Takes the inode's lock. */
export function memory_truncate(inode: I, size: number): number {
  if (size > FILE_SIZE_MAX) return -EFBIG;
  const node = node_of(inode);
  if (MemoryNode.lower.get(node) !== 0) {
    const charged = size > Inode.size.get(inode) ? charge_change(inode, size) : 0;
    if (charged !== 0) return charged;
  }
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const mapping = Inode.mapping.get(inode);
  const change = size - Inode.size.get(inode);
  const seals = mapping === 0 || change === 0 ? 0 : Mapping.seals.get(mapping);
  if ((seals & (change < 0 ? F_SEAL_SHRINK : F_SEAL_GROW)) !== 0) {
    unlock(p, INODE_LOCK);
    return -EPERM;
  }
  if (size < MemoryNode.lower_limit.get(node)) MemoryNode.lower_limit.set(node, size);
  Inode.size.set(inode, size);
  inode_touch_locked(inode, TOUCH_MTIME | TOUCH_CTIME);
  if (mapping !== 0) mapping_truncate(mapping, size);
  unlock(p, INODE_LOCK);
  return 0;
}

/** fallocate(2): reserves pages, punches holes, zeroes ranges. */
export function memory_allocate(inode: I, mode: number, offset: number, length: number): number {
  const end = offset + length;
  if (end > FILE_SIZE_MAX) return -EFBIG;
  // An overlay can zero a range as a disk's file system does; a tmpfs cannot.
  const known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
  const overlay = SuperBlock.kind.get(Inode.sb.get(inode)) === FS_OVERLAY;
  if ((mode & ~(overlay ? known | FALLOC_FL_ZERO_RANGE : known)) !== 0) return -EOPNOTSUPP;
  const mapping = inode_mapping(inode);
  if (mapping === 0) return -ENOMEM;
  const size = Inode.size.get(inode);
  const seals = Mapping.seals.get(mapping);
  // Also what keeps the size takes storage behind the end (Linux's shmem_fallocate).
  if ((seals & F_SEAL_GROW) !== 0 && (mode & FALLOC_FL_PUNCH_HOLE) === 0 && end > size) return -EPERM;
  const erases = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) !== 0;
  if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0 && erases) return -EPERM;
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0)
    return mapping_punch(mapping, offset, Math.min(end, Math.ceil(size / 4096) * 4096));
  if ((mode & FALLOC_FL_ZERO_RANGE) !== 0) {
    const zeroed = mapping_punch(mapping, offset, Math.min(end, size));
    if (zeroed !== 0) return zeroed;
  }
  if (MemoryNode.lower.get(node_of(inode)) === 0) {
    const pages = Math.ceil(end / 4096) - Math.floor(offset / 4096);
    if (pages > MemoryFs.pages_max.get(memory_fs(Inode.sb.get(inode)))) return -ENOSPC;
    const reserved = reserve_pages(mapping, offset, end);
    if (reserved !== 0) return reserved;
  }
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > Inode.size.get(inode)) grow(inode, mapping, end);
  return 0;
}

/** Pages reserved between two looks at signals and the slice, and what each costs, ns. */
const TURN_PAGES = 256;
const RESERVE_NS = 500;

/**
 * Reserves the pages of a range, from page `Task.syscall_progress` on: 0, PREEMPTED, or -errno with none of them
 * reserved any more (Linux's shmem_fallocate). Any signal ends it.
 */
function reserve_pages(mapping: Ptr<'Mapping'>, offset: number, end: number): number {
  const first = Math.floor(offset / 4096);
  const last = Math.ceil(end / 4096);
  for (let index = Task.syscall_progress.get(current) || first; index < last; index++) {
    let result = mapping_reserve(mapping, index);
    if (result === 0 && (index + 1) % TURN_PAGES === 0) {
      charge(TURN_PAGES * RESERVE_NS);
      if (signal_pending()) result = -EINTR;
    }
    if (result < 0) {
      mapping_unreserve(mapping, first, index);
      return result;
    }
    if ((index + 1) % TURN_PAGES !== 0 || !slice_is_over()) continue;
    Task.syscall_progress.set(current, index + 1);
    return PREEMPTED;
  }
  return 0;
}

function grow(inode: I, mapping: Ptr<'Mapping'>, size: number): void {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  if (size > Inode.size.get(inode)) {
    Inode.size.set(inode, size);
    mapping_grow(mapping, size);
  }
  inode_touch_locked(inode, TOUCH_MTIME | TOUCH_CTIME);
  unlock(p, INODE_LOCK);
}
