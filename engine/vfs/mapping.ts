/**
 * The page cache: finding, filling, dirtying, truncating and evicting the pages of a mapping.
 *
 * For tmpfs and shared anonymous memory the pages *are* the data. For other kinds they are a cache of
 * it: `read_page` fills one, `write_page` writes a dirty one back, and a clean one that only the cache
 * references may be evicted under memory pressure.
 *
 * A cached frame carries FRAME_CACHE, its mapping and its page number; the cache holds one reference.
 * Callers hold a reference on the mapping. Reading and writing a file's data by read(2) and write(2)
 * goes through the same frames (`mapping_page`), so mappings and descriptors agree at all times.
 */

import { EFBIG, ENOMEM, ENXIO } from '../abi/errno.ts';
import { assert } from '../base/assert.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { lock, try_lock, unlock } from '../heap/lock.ts';
import { MAPPING_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { slab } from '../heap/slab.ts';
import { FRAME_CACHE, FRAME_DIRTY, FRAME_RESERVED, FRAME_WRITEBACK, FrameInfo } from '../machine/frame.layout.ts';
import {
  frame_alloc,
  frame_alloc_uninitialized,
  frame_get,
  frame_info,
  frame_put,
  frame_zero,
  register_reclaim,
} from '../machine/frames.ts';
import { MAPPING_ANONYMOUS, MAPPING_SPECIAL, Mapping } from './mapping.layout.ts';
import { MAPPING_MAX_INDEX, tree_find, tree_insert, tree_next, tree_remove } from './mapping_tree.ts';

export const mappings = slab(Mapping);

/** What a kind of mapping does. Called with the mapping's lock held: must not take locks of lower rank. */
export interface MappingOperations {
  readonly name: string;
  /** Fills a frame with the page's bytes, zeros behind the end of the file; 0 or -errno. Absent: zeros. */
  readonly read_page?: (mapping: Ptr<'Mapping'>, index: number, frame: FrameAddr) => number;
  /** Writes `length` bytes (the part within the file) of a dirty page back; 0 or -errno. Absent: pages are the data. */
  readonly write_page?: (mapping: Ptr<'Mapping'>, index: number, frame: FrameAddr, length: number) => number;
  /** Dirty pages are never written back: they stay, and are told from clean ones. */
  readonly dirty_pages_stay?: boolean;
  /** Clean pages can be read again, so memory pressure may drop them. */
  readonly evictable: boolean;
  /** May a page be added? 0 or -ENOSPC: a file system's size limit. `pages` is negative when pages went. */
  readonly charge?: (mapping: Ptr<'Mapping'>, pages: number) => number;
  /** The last reference is gone and the pages are freed. Called without locks. */
  readonly release?: (mapping: Ptr<'Mapping'>) => void;
}

const kinds: (MappingOperations | undefined)[] = [];
kinds[MAPPING_ANONYMOUS] = { name: 'anonymous', evictable: false };
kinds[MAPPING_SPECIAL] = { name: 'special', evictable: false };

/** Installs the operations of a kind (MAPPING_*), at module load. */
export function register_mapping_kind(kind: number, operations: MappingOperations): void {
  assert(kinds[kind] === undefined, `mapping kind ${kind} registered twice`);
  kinds[kind] = operations;
}

function operations_of(mapping: Ptr<'Mapping'>): MappingOperations {
  const operations = kinds[Mapping.kind.get(mapping)];
  assert(operations !== undefined, 'mapping of unknown kind');
  return operations;
}

/** Whether dirty pages are written back: shared writable mappings then notice the first write of a page. */
export function mapping_tracks_dirty(mapping: Ptr<'Mapping'>): boolean {
  const operations = operations_of(mapping);
  return operations.write_page !== undefined || operations.dirty_pages_stay === true;
}

/** What mm does for a mapping: removes (or write-protects) translations of pages `first` to `last`. */
export interface Unmapper {
  /** `cows`: private copies go too (truncation), not only the cache's own pages. */
  zap(mapping: Ptr<'Mapping'>, first: number, last: number, cows: boolean): void;
  write_protect(mapping: Ptr<'Mapping'>, first: number, last: number): void;
}
let unmapper: Unmapper | null = null;
/** Installs mm's functions, at module load. */
export function register_unmapper(functions: Unmapper): void {
  unmapper = functions;
}

/** A mapping with one reference and no pages; 0 when the kernel heap is exhausted. */
export function mapping_create(kind: number, inode: Ptr<'Inode'>, size: number): Ptr<'Mapping'> {
  const mapping = mappings.alloc();
  if (mapping === 0) return mapping;
  Mapping.refs.store(mapping, 1);
  Mapping.kind.set(mapping, kind);
  Mapping.inode.set(mapping, inode);
  Mapping.size.set(mapping, size);
  return mapping;
}

/** Takes a reference. */
export function mapping_get(mapping: Ptr<'Mapping'>): void {
  Mapping.refs.add(mapping, 1);
}

/** Drops a reference; the last one frees the pages. Dirty pages of a written-back kind are lost: sync first. */
export function mapping_put(mapping: Ptr<'Mapping'>): void {
  if (Mapping.refs.add(mapping, -1) !== 1) return;
  drop_pages(mapping, 0);
  operations_of(mapping).release?.(mapping);
  // A reclaimer that saw one of the pages may still be looking at the record; it never waits for anything.
  while (MachineHeader.reclaiming.load(MACHINE) !== 0);
  mappings.free(mapping);
}

/** Pages in all page caches, those of tmpfs and shared memory included (Cached in /proc/meminfo). */
export function cached_pages(): number {
  return MachineHeader.cached_pages.load(MACHINE);
}

/** The cached frame of a page with a reference for the caller, or 0: reads nothing in. */
export function mapping_find(mapping: Ptr<'Mapping'>, index: number): FrameAddr {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const frame = tree_find(mapping, index);
  if (frame !== 0) frame_get(frame);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return frame;
}

/** As `mapping_find`, but 0 for a page that is only reserved (Linux: one that is not uptodate). */
export function mapping_find_data(mapping: Ptr<'Mapping'>, index: number): FrameAddr {
  const frame = mapping_find(mapping, index);
  if (frame === 0 || !is_reserved(frame)) return frame;
  frame_put(frame);
  return 0 as FrameAddr;
}

/** The lowest number from `index` on of a cached page that holds data, and is not only reserved, or -1. */
export function mapping_next_data(mapping: Ptr<'Mapping'>, index: number): number {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  let next = tree_next(mapping, index);
  while (next >= 0 && is_reserved(tree_find(mapping, next))) next = tree_next(mapping, next + 1);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return next;
}

/** Makes a page part of a memory file's storage without data (fallocate(2)): 0 or -errno as from `mapping_page`. */
export function mapping_reserve(mapping: Ptr<'Mapping'>, index: number): number {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  let result = 0;
  if (index > MAPPING_MAX_INDEX) result = -EFBIG;
  else if (tree_find(mapping, index) === 0) {
    const frame = fill(mapping, index);
    if (frame < 0) result = frame;
    else FrameInfo.flags.or(frame_info(frame as FrameAddr), FRAME_DIRTY | FRAME_RESERVED);
  }
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return result;
}

/** Takes pages from `first` to `last` out again that are only reserved. */
export function mapping_unreserve(mapping: Ptr<'Mapping'>, first: number, last: number): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  for (let i = tree_next(mapping, first); i >= 0 && i <= last; i = tree_next(mapping, i + 1))
    if (is_reserved(tree_find(mapping, i))) remove_page(mapping, i);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
}

function is_reserved(frame: FrameAddr): boolean {
  return (FrameInfo.flags.load(frame_info(frame)) & FRAME_RESERVED) !== 0;
}

/**
 * The frame of a page with a reference for the caller, read in if need be; -errno from `read_page`,
 * -ENOMEM, -ENOSPC, -EFBIG. Pages behind the end of the file are made too (a write is about to extend
 * it). `for_write` marks the page dirty.
 */
export function mapping_page(mapping: Ptr<'Mapping'>, index: number, for_write: boolean): FrameAddr | number {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const frame = page_locked(mapping, index, for_write);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return frame;
}

/** As `mapping_page` for a fault: -ENXIO behind the last page of the file (a bus error). */
export function mapping_fault(mapping: Ptr<'Mapping'>, index: number, for_write: boolean): FrameAddr | number {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const inside = index * 4096 < Mapping.size.get(mapping);
  const frame = inside ? page_locked(mapping, index, for_write) : -ENXIO;
  // Whoever maps a page can write it, or has seen that it is zeros.
  if (frame > 0 && is_reserved(frame as FrameAddr)) holds_data(frame as FrameAddr);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return frame;
}

function page_locked(mapping: Ptr<'Mapping'>, index: number, for_write: boolean): FrameAddr | number {
  if (index > MAPPING_MAX_INDEX) return -EFBIG;
  let frame = tree_find(mapping, index);
  if (frame === 0) {
    const filled = fill(mapping, index);
    if (filled < 0) return filled;
    frame = filled as FrameAddr;
  }
  frame_get(frame);
  if (for_write) mark_dirty(frame);
  return frame;
}

function fill(mapping: Ptr<'Mapping'>, index: number): FrameAddr | number {
  const operations = operations_of(mapping);
  const charged = operations.charge?.(mapping, 1) ?? 0;
  if (charged < 0) return charged;
  const read_page = operations.read_page;
  const frame = read_page === undefined ? frame_alloc() : frame_alloc_uninitialized();
  let error = frame === 0 ? -ENOMEM : 0;
  if (error === 0 && read_page !== undefined) error = read_page(mapping, index, frame);
  if (error === 0) {
    const info = frame_info(frame);
    FrameInfo.owner.set(info, mapping);
    FrameInfo.index.set(info, index);
    if (tree_insert(mapping, index, frame)) {
      FrameInfo.flags.or(info, FRAME_CACHE);
      MachineHeader.cached_pages.add(MACHINE, 1);
      return frame;
    }
    error = -ENOMEM;
  }
  if (frame !== 0) frame_put(frame);
  operations.charge?.(mapping, -1);
  return error;
}

function mark_dirty(frame: FrameAddr): void {
  const info = frame_info(frame);
  const flags = FrameInfo.flags.load(info) & (FRAME_DIRTY | FRAME_RESERVED);
  if (flags === FRAME_DIRTY) return;
  FrameInfo.flags.or(info, FRAME_DIRTY);
  if (flags !== 0) holds_data(frame);
}

function holds_data(frame: FrameAddr): void {
  FrameInfo.flags.and(frame_info(frame), ~FRAME_RESERVED);
}

/** Sets the file's size after it grew by a write. */
export function mapping_grow(mapping: Ptr<'Mapping'>, size: number): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  if (size > Mapping.size.get(mapping)) Mapping.size.set(mapping, size);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
}

/**
 * Sets the file's size (truncate(2)): pages behind the end leave the cache and every page table, private
 * copies included, and the rest of the last page reads as zeros. The caller may hold the inode's lock.
 */
export function mapping_truncate(mapping: Ptr<'Mapping'>, size: number): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const old_size = Mapping.size.get(mapping);
  Mapping.size.set(mapping, size);
  if (size < old_size) zero_tail(mapping, size);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  if (size >= old_size) return;
  const first = Math.ceil(size / 4096);
  unmapper?.zap(mapping, first, MAPPING_MAX_INDEX, true);
  drop_pages(mapping, first);
}

/** Zeros behind the end of the file in its last page, so that a later extension reads zeros. */
function zero_tail(mapping: Ptr<'Mapping'>, size: number): void {
  const offset = size % 4096;
  if (offset === 0) return;
  const frame = tree_find(mapping, Math.floor(size / 4096));
  if (frame !== 0) bytes_zero(frame + offset, 4096 - offset);
}

function drop_pages(mapping: Ptr<'Mapping'>, first: number): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  for (let i = tree_next(mapping, first); i >= 0; i = tree_next(mapping, i + 1)) remove_page(mapping, i);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
}

/** Drops clean pages that only the cache references: the store has changed behind it. */
export function mapping_invalidate(mapping: Ptr<'Mapping'>): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  for (let i = tree_next(mapping, 0); i >= 0; i = tree_next(mapping, i + 1)) {
    const info = frame_info(tree_find(mapping, i));
    const clean = (FrameInfo.flags.load(info) & (FRAME_DIRTY | FRAME_WRITEBACK)) === 0;
    if (clean && FrameInfo.refs.load(info) === 1) remove_page(mapping, i);
  }
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
}

function remove_page(mapping: Ptr<'Mapping'>, index: number): void {
  const frame = tree_remove(mapping, index);
  if (frame === 0) return;
  FrameInfo.flags.and(frame_info(frame), ~(FRAME_CACHE | FRAME_DIRTY | FRAME_WRITEBACK | FRAME_RESERVED));
  MachineHeader.cached_pages.add(MACHINE, -1);
  frame_put(frame);
  operations_of(mapping).charge?.(mapping, -1);
}

/** Makes the bytes from `start` to `end` read as zeros (FALLOC_FL_PUNCH_HOLE, MADV_REMOVE); 0 or -errno. */
export function mapping_punch(mapping: Ptr<'Mapping'>, start: number, end: number): number {
  const first = Math.ceil(start / 4096);
  const last = Math.floor(end / 4096) - 1;
  const keep = mapping_tracks_dirty(mapping);
  if (last >= first && !keep) {
    unmapper?.zap(mapping, first, last, false);
    lock(Mapping.lock.at(mapping), MAPPING_LOCK);
    for (let i = tree_next(mapping, first); i >= 0 && i <= last; i = tree_next(mapping, i + 1)) remove_page(mapping, i);
    unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  }
  // Partial pages at the ends, or all of them where the pages are only a cache of the data.
  for (let at = start; at < end; ) {
    const index = Math.floor(at / 4096);
    const stop = Math.min(end, (index + 1) * 4096);
    if (keep || index < first || index > last) {
      const error = zero_range(mapping, index, at % 4096, stop - at);
      if (error !== 0) return error;
      at = stop;
    } else at = (last + 1) * 4096;
  }
  return 0;
}

function zero_range(mapping: Ptr<'Mapping'>, index: number, offset: number, length: number): number {
  const cached = mapping_find(mapping, index);
  const frame = cached !== 0 || !mapping_tracks_dirty(mapping) ? cached : mapping_page(mapping, index, true);
  if (frame === 0) return 0;
  if (frame < 0) return frame;
  if (length === 4096) frame_zero(frame as FrameAddr);
  else bytes_zero(frame + offset, length);
  mark_dirty(frame as FrameAddr);
  frame_put(frame as FrameAddr);
  return 0;
}

/** Writes dirty pages of the byte range back (fsync, msync); 0 or the first error. Waits for the host. */
export function mapping_sync(mapping: Ptr<'Mapping'>, start: number, end: number): number {
  const write_page = operations_of(mapping).write_page;
  if (write_page === undefined) return 0;
  const first = Math.floor(start / 4096);
  const last = Math.min(Math.ceil(end / 4096), MAPPING_MAX_INDEX) - 1;
  begin_writeback(mapping, first, last);
  // From here on a store faults and marks its page dirty again; what was stored before gets written.
  unmapper?.write_protect(mapping, first, last);
  let error = 0;
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  for (let i = tree_next(mapping, first); i >= 0 && i <= last; i = tree_next(mapping, i + 1)) {
    const frame = tree_find(mapping, i);
    const info = frame_info(frame);
    if ((FrameInfo.flags.load(info) & FRAME_WRITEBACK) === 0) continue;
    FrameInfo.flags.and(info, ~FRAME_WRITEBACK);
    const length = Math.min(4096, Mapping.size.get(mapping) - i * 4096);
    const result = length > 0 ? write_page(mapping, i, frame, length) : 0;
    if (result >= 0) continue;
    FrameInfo.flags.or(info, FRAME_DIRTY);
    if (error === 0) error = result;
  }
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return error;
}

/** Marks dirty pages from `first` to `last` as being written back. */
function begin_writeback(mapping: Ptr<'Mapping'>, first: number, last: number): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  for (let i = tree_next(mapping, first); i >= 0 && i <= last; i = tree_next(mapping, i + 1)) {
    const info = frame_info(tree_find(mapping, i));
    if ((FrameInfo.flags.load(info) & FRAME_DIRTY) === 0) continue;
    FrameInfo.flags.or(info, FRAME_WRITEBACK);
    FrameInfo.flags.and(info, ~FRAME_DIRTY);
  }
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
}

/**
 * Drops up to `wanted` clean, unmapped pages of evictable mappings, walking the frame table like a clock's hand; how
 * many went, or 1 when another thread was at it.
 */
export function reclaim_pages(wanted: number): number {
  if (MachineHeader.reclaiming.cas(MACHINE, 0, 1) !== 0) {
    while (MachineHeader.reclaiming.load(MACHINE) !== 0);
    return 1;
  }
  const base = MachineHeader.frames_base.get(MACHINE);
  const total = (MachineHeader.frames_next.get(MACHINE) - base) / 4096;
  let hand = MachineHeader.reclaim_hand.get(MACHINE);
  let freed = 0;
  for (let seen = 0; seen < total && freed < wanted; seen++) {
    hand = hand + 1 >= total ? 0 : hand + 1;
    if (evict((base + hand * 4096) as FrameAddr)) freed++;
  }
  MachineHeader.reclaim_hand.set(MACHINE, hand);
  MachineHeader.reclaiming.store(MACHINE, 0);
  return freed;
}

const UNCLEAN = FRAME_CACHE | FRAME_DIRTY | FRAME_WRITEBACK;

function evict(frame: FrameAddr): boolean {
  const info = frame_info(frame);
  if ((FrameInfo.flags.load(info) & UNCLEAN) !== FRAME_CACHE) return false;
  if (FrameInfo.refs.load(info) !== 1) return false;
  const mapping = FrameInfo.owner.get(info) as Ptr<'Mapping'>;
  if (mapping === 0 || !try_lock(Mapping.lock.at(mapping), MAPPING_LOCK)) return false;
  const index = FrameInfo.index.get(info);
  let evicted = false;
  if (
    kinds[Mapping.kind.get(mapping)]?.evictable === true &&
    tree_find(mapping, index) === frame &&
    FrameInfo.refs.load(info) === 1 &&
    (FrameInfo.flags.load(info) & UNCLEAN) === FRAME_CACHE
  ) {
    remove_page(mapping, index);
    evicted = true;
  }
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return evicted;
}

register_reclaim(reclaim_pages);
