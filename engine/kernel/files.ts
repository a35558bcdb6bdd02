/**
 * Descriptor tables as wholes: creation, sharing (CLONE_FILES), the copy that fork makes, the sweep of
 * close-on-exec, close_range, and the end.
 */
import type { Ptr } from '../base/types.ts';
import { heap_page_free } from '../heap/heap_pages.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILES_LOCK } from '../heap/lock_order.ts';
import { U32 } from '../heap/memory.ts';
import { file_get } from '../vfs/file.ts';
import { entry_at, entry_make, fd_close, fd_set_flags, files_next, files_slab, occupy } from './fd_table.ts';
import { FD_CLOSE_ON_EXEC, FD_DIRECTORY_ENTRIES, FD_FLAGS, Files } from './files.layout.ts';

/** An empty table with one reference, or 0 when the heap is exhausted. */
export function files_create(): Ptr<'Files'> {
  const files = files_slab.alloc();
  if (files !== 0) Files.refs.store(files, 1);
  return files;
}

/** One more task shares the table (CLONE_FILES). */
export function files_get(files: Ptr<'Files'>): Ptr<'Files'> {
  Files.refs.add(files, 1);
  return files;
}

/** A task leaves the table; the last one closes every descriptor and frees it. */
export function files_put(files: Ptr<'Files'>): void {
  if (Files.refs.add(files, -1) !== 1) return;
  for (let fd = files_next(files, 0); fd >= 0; fd = files_next(files, fd + 1)) fd_close(files, fd);
  const directory = Files.directory.get(files);
  if (directory !== 0) {
    for (let i = 0; i < FD_DIRECTORY_ENTRIES; i++) {
      const page = U32[(directory + i * 8) >> 2] as number;
      if (page !== 0) heap_page_free(page);
    }
    heap_page_free(directory);
  }
  files_slab.free(files);
}

/**
 * A copy for fork or unshare, sharing the open file descriptions; descriptors from `end` on are left
 * out (close_range with CLOSE_RANGE_UNSHARE), as are those still being opened. 0 when the heap is exhausted.
 */
export function files_copy(files: Ptr<'Files'>, end = Number.MAX_SAFE_INTEGER): Ptr<'Files'> {
  const copy = files_create();
  if (copy === 0) return copy;
  lock(Files.lock.at(files), FILES_LOCK);
  const last = Math.min(end, Files.end.get(files));
  let complete = true;
  for (let fd = 0; fd < last && complete; fd++) {
    const from = entry_at(files, fd);
    const word = from === 0 ? 0 : (U32[from >> 2] as number);
    if ((word & ~FD_FLAGS) === 0) continue;
    const to = entry_make(copy, fd);
    if (to === 0) complete = false;
    else {
      file_get((word & ~FD_FLAGS) as Ptr<'File'>);
      occupy(copy, fd, to, word);
    }
  }
  unlock(Files.lock.at(files), FILES_LOCK);
  if (complete) return copy;
  files_put(copy);
  return 0 as Ptr<'Files'>;
}

/** Closes what execve must close (execve(2): O_CLOEXEC). The table is the task's own by then. */
export function files_close_on_exec(files: Ptr<'Files'>): void {
  for (let fd = files_next(files, 0); fd >= 0; fd = files_next(files, fd + 1)) {
    const word = U32[entry_at(files, fd) >> 2] as number;
    if ((word & FD_CLOSE_ON_EXEC) !== 0) fd_close(files, fd);
  }
}

/** Closes, or marks close-on-exec, the descriptors from `first` to `last` inclusive. */
export function files_close_range(files: Ptr<'Files'>, first: number, last: number, mark_only: boolean): void {
  for (let fd = files_next(files, first); fd >= 0 && fd <= last; fd = files_next(files, fd + 1)) {
    if (mark_only) fd_set_flags(files, fd, true);
    else fd_close(files, fd);
  }
}
