// @hot
/**
 * Descriptor tables: allotting descriptors, finding their files, closing, duplicating, sharing.
 *
 * Life of a descriptor: `fd_reserve` (EMFILE comes before anything is created), then `fd_fill`, or
 * `fd_unreserve` on failure; `fd_install` does both. `fd_close` empties the entry and drops its
 * reference.
 *
 * Finding a file (Linux's fdget). `fd_file` borrows: where the task owns its table alone nobody can
 * close the descriptor under a running handler, and no reference is counted. Where the table is shared,
 * the task takes a reference and keeps it until its call ends. A handler that is about to block calls
 * `hold_file` first, so that the file outlives a close by another thread; on re-entry `fd_file` answers
 * the same file for the same descriptor, whatever the table says by then. The dispatcher calls
 * `release_held_files` when the call ends (CALL_FILES).
 *
 * Lock order: files, then nothing: references are dropped after the lock is released.
 */

import { EBADF, EBUSY, EMFILE, ENOMEM } from '../abi/errno.ts';
import { O_CLOEXEC, O_PATH } from '../abi/fcntl.ts';
import { RLIMIT_NOFILE } from '../abi/resource.ts';
import { assert, CHECKED } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { heap_page_alloc } from '../heap/heap_pages.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILES_LOCK } from '../heap/lock_order.ts';
import { U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { File } from '../vfs/file.layout.ts';
import { file_get, file_put } from '../vfs/file.ts';
import { file_close_locks } from '../vfs/locks.ts';
import { current } from './current.ts';
import {
  FD_CLOSE_ON_EXEC,
  FD_FLAGS,
  FD_INLINE,
  FD_PAGE_ENTRIES,
  FD_RESERVED,
  Files,
  HELD_CHUNK,
  HELD_INLINE,
  HeldFiles,
  NR_OPEN,
} from './files.layout.ts';
import { rlimit } from './limits.ts';
import { CALL_FILES, Task } from './task.layout.ts';

export const files_slab = slab(Files);
export const held_files_slab = slab(HeldFiles);

const PAGE_BYTES = 4096;
const NO_ENTRY = 0;

/** Machine address of a descriptor's entry, or 0 when its page does not exist. */
export function entry_at(files: Ptr<'Files'>, fd: number): number {
  if (fd >>> 0 < FD_INLINE) return Files.entries.at(files) + fd * 4;
  if (fd >>> 0 >= NR_OPEN) return NO_ENTRY;
  const directory = Files.directory.get(files);
  if (directory === 0) return NO_ENTRY;
  const page = U32[(directory + ((fd / FD_PAGE_ENTRIES) | 0) * 8) >> 2] as number;
  return page === 0 ? NO_ENTRY : page + (fd % FD_PAGE_ENTRIES) * 4;
}

/** As `entry_at`, making the page; 0 only when the heap is exhausted. Under the table's lock. */
export function entry_make(files: Ptr<'Files'>, fd: number): number {
  const at = entry_at(files, fd);
  if (at !== NO_ENTRY) return at;
  let directory = Files.directory.get(files);
  if (directory === 0) {
    directory = heap_page_alloc();
    if (directory === 0) return NO_ENTRY;
    bytes_zero(directory, PAGE_BYTES);
    Files.directory.set(files, directory);
  }
  const page = heap_page_alloc();
  if (page === 0) return NO_ENTRY;
  bytes_zero(page, PAGE_BYTES);
  U32[(directory + ((fd / FD_PAGE_ENTRIES) | 0) * 8) >> 2] = page;
  return page + (fd % FD_PAGE_ENTRIES) * 4;
}

/** Word index, in U32, of the number of used entries of the page that holds `fd`. */
function page_use(files: Ptr<'Files'>, fd: number): number {
  return (Files.directory.get(files) + ((fd / FD_PAGE_ENTRIES) | 0) * 8 + 4) >> 2;
}

/** Fills a free entry. Under the table's lock. */
export function occupy(files: Ptr<'Files'>, fd: number, at: number, word: number): void {
  if (CHECKED) assert((U32[at >> 2] as number) === 0, 'fd_table: entry is not free');
  U32[at >> 2] = word;
  Files.count.set(files, Files.count.get(files) + 1);
  if (fd >= FD_INLINE) {
    const use = page_use(files, fd);
    U32[use] = (U32[use] as number) + 1;
  }
  if (fd >= Files.end.get(files)) Files.end.set(files, fd + 1);
}

function vacate(files: Ptr<'Files'>, fd: number, at: number): void {
  U32[at >> 2] = 0;
  Files.count.set(files, Files.count.get(files) - 1);
  if (fd >= FD_INLINE) {
    const use = page_use(files, fd);
    U32[use] = (U32[use] as number) - 1;
  }
  if (fd < Files.next_fd.get(files)) Files.next_fd.set(files, fd);
}

/** Lowest free descriptor from `lowest` on; full pages are stepped over. Under the table's lock. */
function lowest_free(files: Ptr<'Files'>, lowest: number): number {
  const end = Files.end.get(files);
  let fd = Math.max(lowest, Files.next_fd.get(files));
  while (fd < end) {
    const at = entry_at(files, fd);
    if (at === NO_ENTRY || (U32[at >> 2] as number) === 0) return fd;
    const page_end = (((fd / FD_PAGE_ENTRIES) | 0) + 1) * FD_PAGE_ENTRIES;
    const in_page = fd >= FD_PAGE_ENTRIES ? FD_PAGE_ENTRIES : FD_PAGE_ENTRIES - FD_INLINE;
    if (fd >= FD_INLINE && U32[page_use(files, fd)] === in_page) fd = page_end;
    else fd++;
  }
  return fd;
}

/** RLIMIT_NOFILE of the current task: descriptors at or above it are not allotted. */
export function nofile_limit(): number {
  return Task.group.get(current) === 0 ? NR_OPEN : Math.min(rlimit(RLIMIT_NOFILE), NR_OPEN);
}

/**
 * Promises the lowest free descriptor from `lowest` on. Answers the descriptor, -EMFILE from
 * RLIMIT_NOFILE on, -ENOMEM. `fd_file` does not see it before `fd_fill`.
 */
export function fd_reserve(files: Ptr<'Files'>, lowest: number): number {
  const limit = nofile_limit();
  lock(Files.lock.at(files), FILES_LOCK);
  const fd = lowest_free(files, lowest);
  let result = fd;
  if (fd >= limit) result = -EMFILE;
  else {
    const at = entry_make(files, fd);
    if (at === NO_ENTRY) result = -ENOMEM;
    else {
      occupy(files, fd, at, FD_RESERVED);
      if (lowest <= Files.next_fd.get(files)) Files.next_fd.set(files, fd + 1);
    }
  }
  unlock(Files.lock.at(files), FILES_LOCK);
  return result;
}

/** Fills a reserved descriptor. The table takes over the caller's reference to `file`. */
export function fd_fill(files: Ptr<'Files'>, fd: number, file: Ptr<'File'>, close_on_exec: boolean): void {
  lock(Files.lock.at(files), FILES_LOCK);
  const at = entry_at(files, fd);
  if (CHECKED) assert(at !== NO_ENTRY && U32[at >> 2] === FD_RESERVED, 'fd_fill: not reserved');
  U32[at >> 2] = file | (close_on_exec ? FD_CLOSE_ON_EXEC : 0);
  unlock(Files.lock.at(files), FILES_LOCK);
  if (File.opener.get(file) === 0 && current !== 0) File.opener.set(file, Task.credentials_number.get(current));
}

/** Takes back a promise of `fd_reserve`. */
export function fd_unreserve(files: Ptr<'Files'>, fd: number): void {
  lock(Files.lock.at(files), FILES_LOCK);
  const at = entry_at(files, fd);
  if (CHECKED) assert(at !== NO_ENTRY && U32[at >> 2] === FD_RESERVED, 'fd_unreserve: not reserved');
  vacate(files, fd, at);
  unlock(Files.lock.at(files), FILES_LOCK);
}

/**
 * Puts a file at the lowest free descriptor from `lowest` on, with close-on-exec when `flags` has
 * O_CLOEXEC. Answers the descriptor, and the table takes over the caller's reference; -EMFILE or -ENOMEM,
 * and the caller keeps it.
 */
export function fd_install(files: Ptr<'Files'>, file: Ptr<'File'>, flags: number, lowest = 0): number {
  const fd = fd_reserve(files, lowest);
  if (fd >= 0) fd_fill(files, fd, file, (flags & O_CLOEXEC) !== 0);
  return fd;
}

/**
 * dup2: puts a file at exactly `fd`, dropping the one that was there. Takes over the caller's reference
 * unless it fails: -EBADF at or above the limit, -EBUSY where another thread's open is in progress
 * (dup(2), ERRORS), -ENOMEM.
 */
export function fd_replace(files: Ptr<'Files'>, fd: number, file: Ptr<'File'>, flags: number): number {
  if (fd < 0 || fd >= nofile_limit()) return -EBADF;
  const word = file | ((flags & O_CLOEXEC) !== 0 ? FD_CLOSE_ON_EXEC : 0);
  lock(Files.lock.at(files), FILES_LOCK);
  const at = entry_make(files, fd);
  const old = at === NO_ENTRY ? 0 : (U32[at >> 2] as number);
  let result = fd;
  if (at === NO_ENTRY) result = -ENOMEM;
  else if (old === FD_RESERVED) result = -EBUSY;
  else if (old === 0) occupy(files, fd, at, word);
  else U32[at >> 2] = word;
  unlock(Files.lock.at(files), FILES_LOCK);
  if (result >= 0 && old !== 0) {
    file_close_locks((old & ~FD_FLAGS) as Ptr<'File'>, files);
    file_put((old & ~FD_FLAGS) as Ptr<'File'>);
  }
  return result;
}

/** Empties a descriptor and drops its reference: 0 or -EBADF. A blocked user keeps its own (close(2), NOTES). */
export function fd_close(files: Ptr<'Files'>, fd: number): number {
  lock(Files.lock.at(files), FILES_LOCK);
  const at = entry_at(files, fd);
  const word = at === NO_ENTRY ? 0 : (U32[at >> 2] as number);
  const filled = (word & ~FD_FLAGS) !== 0;
  if (filled) vacate(files, fd, at);
  unlock(Files.lock.at(files), FILES_LOCK);
  if (!filled) return -EBADF;
  const file = (word & ~FD_FLAGS) as Ptr<'File'>;
  file_close_locks(file, files);
  file_put(file);
  return 0;
}

/** FD_CLOEXEC of a descriptor (0 or 1), or -EBADF. */
export function fd_flags(files: Ptr<'Files'>, fd: number): number {
  const at = entry_at(files, fd);
  const word = at === NO_ENTRY ? 0 : (U32[at >> 2] as number);
  return (word & ~FD_FLAGS) === 0 ? -EBADF : word & FD_CLOSE_ON_EXEC;
}

/** Sets or clears close-on-exec: 0 or -EBADF. */
export function fd_set_flags(files: Ptr<'Files'>, fd: number, close_on_exec: boolean): number {
  lock(Files.lock.at(files), FILES_LOCK);
  const at = entry_at(files, fd);
  const word = at === NO_ENTRY ? 0 : (U32[at >> 2] as number);
  const filled = (word & ~FD_FLAGS) !== 0;
  if (filled) U32[at >> 2] = (word & ~FD_CLOSE_ON_EXEC) | (close_on_exec ? FD_CLOSE_ON_EXEC : 0);
  unlock(Files.lock.at(files), FILES_LOCK);
  return filled ? 0 : -EBADF;
}

/** The file of a descriptor in any table, with a reference of the caller's own; 0 when there is none. */
export function files_lookup(files: Ptr<'Files'>, fd: number): Ptr<'File'> {
  lock(Files.lock.at(files), FILES_LOCK);
  const at = entry_at(files, fd);
  const file = ((at === NO_ENTRY ? 0 : (U32[at >> 2] as number)) & ~FD_FLAGS) as Ptr<'File'>;
  if (file !== 0) file_get(file);
  unlock(Files.lock.at(files), FILES_LOCK);
  return file;
}

/** The lowest filled descriptor from `from` on, or -1: for readers of /proc and for sweeps. */
export function files_next(files: Ptr<'Files'>, from: number): number {
  lock(Files.lock.at(files), FILES_LOCK);
  const fd = next_filled(files, from, Files.end.get(files));
  unlock(Files.lock.at(files), FILES_LOCK);
  return fd;
}

function next_filled(files: Ptr<'Files'>, from: number, end: number): number {
  for (let fd = from; fd < end; fd++) {
    const at = entry_at(files, fd);
    if (at === NO_ENTRY) fd = (((fd / FD_PAGE_ENTRIES) | 0) + 1) * FD_PAGE_ENTRIES - 1;
    else if (((U32[at >> 2] as number) & ~FD_FLAGS) !== 0) return fd;
  }
  return -1;
}

/**
 * The current task's file behind a descriptor, or 0 (EBADF). Borrowed until the handler returns, or
 * until the call ends once `hold_file` was called; see the head of this file.
 */
export function fd_file(fd: number): Ptr<'File'> {
  const task = current;
  if (Task.held_count.get(task) !== 0) {
    const held = held_for(task, fd);
    if (held !== 0) return held;
  }
  const files = Task.files.get(task);
  if (Files.refs.load(files) !== 1) return fd_file_shared(task, files, fd);
  const at = entry_at(files, fd);
  return ((at === NO_ENTRY ? 0 : (U32[at >> 2] as number)) & ~FD_FLAGS) as Ptr<'File'>;
}

/** Like `fd_file`, but 0 for a file that was opened as a path only (O_PATH, open(2)): what most calls ask for. */
export function fd_opened(fd: number): Ptr<'File'> {
  const file = fd_file(fd);
  return file !== 0 && (File.flags.get(file) & O_PATH) !== 0 ? (0 as Ptr<'File'>) : file;
}

function fd_file_shared(task: Ptr<'Task'>, files: Ptr<'Files'>, fd: number): Ptr<'File'> {
  const file = files_lookup(files, fd);
  if (file !== 0 && !keep(task, fd, file)) {
    file_put(file);
    return 0 as Ptr<'File'>;
  }
  return file;
}

/**
 * Keeps the file referenced until the current call ends, and bound to `fd` for re-entries (-1: to no
 * descriptor). False when the heap is exhausted.
 */
export function hold_file(fd: number, file: Ptr<'File'>): boolean {
  const task = current;
  if (fd >= 0 && held_for(task, fd) === file) return true;
  file_get(file);
  if (keep(task, fd, file)) return true;
  file_put(file);
  return false;
}

/** Word index of held slot `n`: descriptor plus one, then file. */
function held_slot(task: Ptr<'Task'>, n: number): number {
  return (Task.held.at(task) + n * 8) >> 2;
}

function held_for(task: Ptr<'Task'>, fd: number): Ptr<'File'> {
  const count = Math.min(Task.held_count.get(task), HELD_INLINE);
  for (let i = 0; i < count; i++) {
    const slot = held_slot(task, i);
    if (U32[slot] === fd + 1) return U32[slot + 1] as Ptr<'File'>;
  }
  return 0 as Ptr<'File'>;
}

/** Notes a reference that the task now owns. Slots first; what does not fit goes to a chain. */
function keep(task: Ptr<'Task'>, fd: number, file: Ptr<'File'>): boolean {
  const count = Task.held_count.get(task);
  if (count < HELD_INLINE) {
    const slot = held_slot(task, count);
    U32[slot] = fd + 1;
    U32[slot + 1] = file;
  } else {
    let chunk = Task.held_more.get(task);
    if (chunk === 0 || HeldFiles.count.get(chunk) === HELD_CHUNK) {
      const fresh = held_files_slab.alloc();
      if (fresh === 0) return false;
      HeldFiles.next.set(fresh, chunk);
      Task.held_more.set(task, fresh);
      chunk = fresh;
    }
    const n = HeldFiles.count.get(chunk);
    U32[(HeldFiles.files.at(chunk) + n * 4) >> 2] = file;
    HeldFiles.count.set(chunk, n + 1);
  }
  Task.held_count.set(task, count + 1);
  Task.call_leftovers.set(task, Task.call_leftovers.get(task) | CALL_FILES);
  return true;
}

/** Drops what the call held. The dispatcher calls it after the wait entries have left their queues. */
export function release_held_files(task: Ptr<'Task'>): void {
  const count = Task.held_count.get(task);
  let chunk = Task.held_more.get(task);
  Task.held_count.set(task, 0);
  Task.held_more.set(task, 0 as Ptr<'HeldFiles'>);
  for (let i = 0; i < count && i < HELD_INLINE; i++) file_put(U32[held_slot(task, i) + 1] as Ptr<'File'>);
  while (chunk !== 0) {
    const filled = HeldFiles.count.get(chunk);
    for (let i = 0; i < filled; i++) file_put(U32[(HeldFiles.files.at(chunk) + i * 4) >> 2] as Ptr<'File'>);
    const next = HeldFiles.next.get(chunk);
    held_files_slab.free(chunk);
    chunk = next;
  }
}
