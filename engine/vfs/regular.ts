// @hot
/**
 * Regular files over the page cache: the file operations shared by every file system whose inodes have
 * a mapping. Data of read(2), write(2) and mmap(2) are the same frames.
 */
import { EFAULT, EFBIG, EINVAL, ENODEV, ENOMEM, ENOTTY, ENXIO, EPERM } from '../abi/errno.ts';
import { FMODE_WRITE, O_APPEND } from '../abi/fcntl.ts';
import { F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_WRITE } from '../abi/memfd.ts';
import { SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from '../abi/path.ts';
import { S_ISGID, S_ISUID } from '../abi/stat.ts';
import { register_transient } from '../base/transients.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_LOCK, INODE_LOCK } from '../heap/lock_order.ts';
import { frame_put } from '../machine/frames.ts';
import type { IoCursor } from '../machine/io.ts';
import { file_accessed } from './access_time.ts';
import { strip_set_id_on_write } from './attributes.ts';
import { File } from './file.layout.ts';
import { FILE_KIND_REGULAR, type FileOperations, register_file_operations } from './file.ts';
import { inode_operations, inode_touch_locked, TOUCH_CTIME, TOUCH_MTIME } from './inode.ts';
import { Mapping } from './mapping.layout.ts';
import {
  mapping_create,
  mapping_find,
  mapping_get,
  mapping_grow,
  mapping_next_data,
  mapping_page,
  mapping_put,
  mapping_sync,
} from './mapping.ts';
import { allow_write_access, HOLDS_WRITE_ACCESS, put_write_access } from './open.ts';
import { Inode } from './vfs.layout.ts';

const WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

type F = Ptr<'File'>;
type I = Ptr<'Inode'>;

/** Largest size of a file: what the page cache can number, and exact in a double. */
export const FILE_SIZE_MAX = 0xffff_fffe * 4096;

/** The page cache of a regular file, made at first use; 0 when the heap is exhausted or the kind has none. */
export function inode_mapping(inode: I): Ptr<'Mapping'> {
  const have = Inode.mapping.get(inode);
  if (have !== 0) return have;
  const kind = inode_operations(inode).mapping_kind;
  if (kind === undefined) return 0 as Ptr<'Mapping'>;
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const mapping = inode_mapping_locked(inode, kind);
  unlock(p, INODE_LOCK);
  return mapping;
}

function inode_mapping_locked(inode: I, kind: number): Ptr<'Mapping'> {
  let mapping = Inode.mapping.get(inode);
  if (mapping === 0) {
    mapping = mapping_create(kind, inode, Inode.size.get(inode));
    Inode.mapping.set(inode, mapping);
  }
  return mapping;
}

/** Drops the page cache of an inode that is going away. */
export function inode_mapping_free(inode: I): void {
  const mapping = Inode.mapping.get(inode);
  if (mapping === 0) return;
  Inode.mapping.set(inode, 0 as Ptr<'Mapping'>);
  mapping_put(mapping);
}

/** The mapping that mmap shows, with a reference for the caller; -ENODEV, -ENOMEM, -ENOSPC, -EPERM when sealed. */
function regular_mmap(file: F, shared: boolean, write: boolean): Ptr<'Mapping'> | number {
  const inode = File.inode.get(file);
  // A shared mapping of a file open for writing may be written now or after an mprotect.
  const may_write = shared && (File.mode.get(file) & FMODE_WRITE) !== 0;
  const prepared = may_write ? (inode_operations(inode).prepare_write?.(inode, Inode.size.get(inode)) ?? 0) : 0;
  if (prepared !== 0) return prepared;
  const mapping = inode_mapping(inode);
  if (mapping === 0) return inode_operations(inode).mapping_kind === undefined ? -ENODEV : -ENOMEM;
  if (shared && write && (Mapping.seals.get(mapping) & WRITE_SEALS) !== 0) return -EPERM;
  mapping_get(mapping);
  file_accessed(file);
  return mapping;
}

/** Reads from the page cache: bytes transferred, 0 at the end, or -errno. */
export function regular_read(file: F, io: IoCursor, position: number): number {
  const n = read_pages(File.inode.get(file), io, position);
  file_accessed(file);
  return n;
}

function read_pages(inode: I, io: IoCursor, position: number): number {
  const size = Inode.size.get(inode);
  let left = Math.min(io.remaining, size - position);
  if (left <= 0) return io.missing > 0 && position < size ? -EFAULT : 0;
  const mapping = inode_mapping(inode);
  if (mapping === 0) return -ENOMEM;
  const sparse = inode_operations(inode).read_page === undefined;
  let done = 0;
  while (left > 0) {
    const index = Math.floor(position / 4096);
    const offset = position - index * 4096;
    const n = Math.min(left, 4096 - offset);
    // A hole of a memory file reads as zeros without getting a frame.
    const frame = sparse ? mapping_find(mapping, index) : mapping_page(mapping, index, false);
    if (frame < 0) return done > 0 ? done : frame;
    if (frame === 0) io.fill_zero(n);
    else {
      io.fill_from(frame + offset, n);
      frame_put(frame as FrameAddr);
    }
    position += n;
    done += n;
    left -= n;
  }
  return done;
}

/**
 * Writes through the page cache: bytes transferred or -errno; what was written when it fails part of the
 * way. With O_APPEND at the end of the file: see `last_write_position`.
 */
export function regular_write(file: F, io: IoCursor, position: number): number {
  const inode = File.inode.get(file);
  const wanted = io.wanted();
  if (wanted === 0) return 0;
  const operations = inode_operations(inode);
  const appends = appends_to(file);
  const start = appends ? Inode.size.get(inode) : position;
  const prepared = operations.prepare_write?.(inode, start + wanted) ?? 0;
  if (prepared !== 0) return prepared;
  const mapping = inode_mapping(inode);
  if (mapping === 0) return -ENOMEM;
  if ((Inode.mode.get(inode) & (S_ISUID | S_ISGID)) !== 0) strip_set_id_on_write(inode);
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  if (appends) position = Inode.size.get(inode);
  written_at = position;
  const seals = Mapping.seals.get(mapping);
  let done: number;
  if (seals !== 0 && forbids_write(seals, position + wanted > Inode.size.get(inode))) done = -EPERM;
  else if (io.remaining === 0) done = -EFAULT;
  else if (operations.write_through === undefined) done = write_pages(mapping, io, position);
  else done = write_host(inode, mapping, io, position);
  // A memory file grows up to where nothing could be copied (Linux's shmem_write_end).
  if (done > 0 || (done === -EFAULT && operations.write_through === undefined)) {
    const end = position + Math.max(done, 0);
    if (end > Inode.size.get(inode)) {
      Inode.size.set(inode, end);
      mapping_grow(mapping, end);
    }
    inode_touch_locked(inode, TOUCH_MTIME | TOUCH_CTIME);
  }
  unlock(p, INODE_LOCK);
  return done;
}

function forbids_write(seals: number, grows: boolean): boolean {
  return (seals & WRITE_SEALS) !== 0 || (grows && (seals & F_SEAL_GROW) !== 0);
}

let written_at = 0;
let append_override = 0;
register_transient(() => {
  append_override = 0;
});

/** For the writes of this thread until the next call: 1 at the end of the file, -1 not there, 0 as it was opened. */
export function override_append(mode: number): void {
  append_override = mode;
}

/** Whether a write goes to the end of the file. */
export function appends_to(file: F): boolean {
  return append_override === 0 ? (File.flags.get(file) & O_APPEND) !== 0 : append_override > 0;
}

/** Where the last `regular_write` of this thread began: with O_APPEND the old end of the file. */
export function last_write_position(): number {
  return written_at;
}

function write_pages(mapping: Ptr<'Mapping'>, io: IoCursor, position: number): number {
  let done = 0;
  if (position + io.remaining > FILE_SIZE_MAX && position >= FILE_SIZE_MAX) return -EFBIG;
  while (io.remaining > 0) {
    const index = Math.floor(position / 4096);
    const offset = position - index * 4096;
    const n = Math.min(io.remaining, 4096 - offset);
    const frame = mapping_page(mapping, index, true);
    if (frame < 0) return done > 0 ? done : frame;
    io.drain_to(frame + offset, n);
    frame_put(frame as FrameAddr);
    position += n;
    done += n;
  }
  return done;
}

/** The store first, then whatever the cache holds of the range. */
function write_host(inode: I, mapping: Ptr<'Mapping'>, io: IoCursor, position: number): number {
  const operations = inode_operations(inode);
  let done = 0;
  while (io.remaining > 0) {
    const index = Math.floor(position / 4096);
    const offset = position - index * 4096;
    const n = Math.min(io.piece_length(), 4096 - offset);
    const source = io.piece_address();
    const stored = operations.write_through?.(inode, position, source, n) ?? -EINVAL;
    if (stored < 0) return done > 0 ? done : stored;
    const frame = mapping_find(mapping, index);
    if (frame !== 0) {
      io.drain_to(frame + offset, stored);
      frame_put(frame);
    } else io.advance(stored);
    position += stored;
    done += stored;
    if (stored < n) break;
  }
  return done;
}

function seek_target(file: F, offset: number, whence: number): number {
  const inode = File.inode.get(file);
  const size = Inode.size.get(inode);
  if (whence === SEEK_SET) return offset;
  if (whence === SEEK_CUR) return File.position.get(file) + offset;
  if (whence === SEEK_END) return size + offset;
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return -EINVAL;
  if (offset < 0 || offset >= size) return -ENXIO;
  if (inode_operations(inode).read_page !== undefined) return whence === SEEK_DATA ? offset : size;
  return seek_page(inode, offset, size, whence === SEEK_DATA);
}

/**
 * Where data, or a hole, begins in a memory file at or behind `offset`. The gap before data is passed at once: a file
 * may be terabytes of holes, but has no more pages than the machine.
 */
function seek_page(inode: I, offset: number, size: number, want_data: boolean): number {
  const mapping = inode_mapping(inode);
  if (mapping === 0) return -ENOMEM;
  let index = Math.floor(offset / 4096);
  if (want_data) index = mapping_next_data(mapping, index);
  else while (mapping_next_data(mapping, index) === index) index++;
  if (index < 0) return -ENXIO;
  const at = Math.max(offset, index * 4096);
  if (at < size) return at;
  return want_data ? -ENXIO : size;
}

/** lseek(2) on a regular file. */
export function regular_seek(file: F, offset: number, whence: number): number {
  const p = File.lock.at(file);
  lock(p, FILE_LOCK);
  let target = seek_target(file, offset, whence);
  const failed = (whence === SEEK_DATA || whence === SEEK_HOLE || whence > SEEK_HOLE || whence < 0) && target < 0;
  if (!failed) {
    if (target < 0 || target > Number.MAX_SAFE_INTEGER) target = -EINVAL;
    else File.position.set(file, target);
  }
  unlock(p, FILE_LOCK);
  return target;
}

/** Lets go of a regular file's writer count, and writes shared mappings' changes back to the store. */
export function regular_release(file: F): void {
  const inode = File.inode.get(file);
  const { close, write_through } = inode_operations(inode);
  if (File.scratch.get(file) === HOLDS_WRITE_ACCESS) {
    const mapping = Inode.mapping.get(inode);
    if (mapping !== 0 && write_through !== undefined) mapping_sync(mapping, 0, Inode.size.get(inode));
    put_write_access(inode);
  }
  allow_write_access(file);
  close?.(inode);
}

const POLL_ALWAYS = 0x145;

const operations: FileOperations = {
  name: 'file',
  read: regular_read,
  write: regular_write,
  poll: () => POLL_ALWAYS,
  queue: () => 0 as Ptr<'WaitQueue'>,
  seek: regular_seek,
  ioctl: () => -ENOTTY,
  mmap: regular_mmap,
  release: regular_release,
};
register_file_operations(FILE_KIND_REGULAR, operations);
