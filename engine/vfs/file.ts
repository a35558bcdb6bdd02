/**
 * File operations: what every kind of open file can do. Functions cannot live in shared memory, so a
 * file's `kind` indexes this table; it is filled at module load and the same on every thread.
 *
 * Operations never block: one that would returns -EAGAIN, and the syscall layer waits on `queue` for
 * the events it needs and calls again (one waiting loop, in syscalls/).
 */

import { EINVAL } from '../abi/errno.ts';
import { FMODE_STREAM, FMODE_WRITE, O_ACCMODE, O_CLOEXEC } from '../abi/fcntl.ts';
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE } from '../abi/inotify.ts';
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { slab } from '../heap/slab.ts';
import type { IoCursor } from '../machine/io.ts';
import { dput } from './dcache.ts';
import { File } from './file.layout.ts';
import { file_locks_release } from './locks.ts';
import { mntput } from './mount.ts';
import { notify_dentry } from './notify.ts';

export interface FileOperations {
  readonly name: string;
  /** Bytes read into the cursor, 0 at the end, or -errno. `position` is -1 for files that have none. */
  read(file: Ptr<'File'>, io: IoCursor, position: number): number;
  /** Bytes written from the cursor, or -errno. */
  write(file: Ptr<'File'>, io: IoCursor, position: number): number;
  /** Events ready now (POLLIN, POLLOUT, POLLHUP, POLLERR ...). */
  poll(file: Ptr<'File'>): number;
  /** The queue on which a change of those events is announced; 0 when they never change. */
  queue(file: Ptr<'File'>): Ptr<'WaitQueue'>;
  /**
   * Where `queue` lies in a record that may go before the file: a reference to that record, which a lasting watcher
   * takes with its enrolment and gives back to `queue_drop`. Absent: the queue lives as long as the file.
   */
  queue_hold?(file: Ptr<'File'>): number;
  queue_drop?(held: number): void;
  /** New position or -errno; -ESPIPE where seeking makes no sense. */
  seek(file: Ptr<'File'>, offset: number, whence: number): number;
  /** `argument` is the raw third argument (often a guest address). -ENOTTY for unknown commands. */
  ioctl(file: Ptr<'File'>, command: number, argument: number): number;
  /**
   * The mapping that mmap(2) shows, with a reference for the caller; 0 for memory as if anonymous
   * (/dev/zero); -errno (-EPERM for a sealed file, -ENODEV). Absent: ENODEV. `offset` and `length` are in bytes,
   * multiples of the page size.
   */
  mmap?(file: Ptr<'File'>, shared: boolean, write: boolean, offset: number, length: number): Ptr<'Mapping'> | number;
  /** What is mapped has exactly its size: it cannot be extended (mremap) nor have holes made in it. */
  readonly fixed_size?: boolean;
  /** A mapped range of the file is unmapped. Called without locks. */
  unmapped?(file: Ptr<'File'>): void;
  /** Its path in /proc, where that is not anon_inode:[name]. */
  path?(file: Ptr<'File'>): string;
  /** Last reference gone: free the object. The File record itself is freed by the caller. */
  release(file: Ptr<'File'>): void;
}

/** The `read` or `write` of files that have none: EINVAL even for no bytes (Linux's FMODE_CAN_READ, FMODE_CAN_WRITE). */
export function no_transfer(): number {
  return -EINVAL;
}

export const FILE_KIND_REGULAR = 1;
export const FILE_KIND_DIRECTORY = 2;
export const FILE_KIND_PATH = 3;
export const FILE_KIND_PIPE = 4;
export const FILE_KIND_EVENTFD = 5;
export const FILE_KIND_EPOLL = 6;
export const FILE_KIND_TIMERFD = 7;
export const FILE_KIND_SIGNALFD = 8;
export const FILE_KIND_NULL = 9;
export const FILE_KIND_ZERO = 10;
export const FILE_KIND_FULL = 11;
export const FILE_KIND_RANDOM = 12;
export const FILE_KIND_TTY = 13;
export const FILE_KIND_HOST_STREAM = 14;
export const FILE_KIND_HOST_REGULAR = 15;
export const FILE_KIND_PROC = 16;
export const FILE_KIND_SYS = 17;
export const FILE_KIND_PIDFD = 18;
export const FILE_KIND_SOCKET = 19;
export const FILE_KIND_SHM = 20;
export const FILE_KIND_INOTIFY = 21;
export const FILE_KIND_PTMX = 22;
export const FILE_KIND_DEVPTS = 23;
export const FILE_KIND_DEBUG = 24;
export const FILE_KIND_KCOV = 25;

const operations: (FileOperations | undefined)[] = [];

/** Installs the operations of a kind, at module load. */
export function register_file_operations(kind: number, table: FileOperations): void {
  assert(operations[kind] === undefined, `file operations of kind ${kind} registered twice`);
  operations[kind] = table;
}

/** The operations of an open file. */
export function file_operations(file: Ptr<'File'>): FileOperations {
  const table = operations[File.kind.get(file)];
  assert(table !== undefined, 'file of unknown kind');
  return table;
}

export const file_slab = slab(File);

/** A file with one reference, or 0 when the heap is exhausted. `flags` are O_*, whose access mode sets `mode`. */
export function file_alloc(kind: number, flags: number): Ptr<'File'> {
  const file = file_slab.alloc();
  if (file === 0) return file;
  File.refs.store(file, 1);
  File.kind.set(file, kind);
  File.flags.set(file, flags & ~O_CLOEXEC);
  File.mode.set(file, ((flags & O_ACCMODE) + 1) & O_ACCMODE);
  File.host.set(file, -1);
  return file;
}

/** A file without name and position over the private record `object`, or 0 when the heap is exhausted. */
export function anon_file(kind: number, object: number, flags: number): Ptr<'File'> {
  const file = file_alloc(kind, flags);
  if (file === 0) return file;
  File.object.set(file, object);
  File.mode.set(file, File.mode.get(file) | FMODE_STREAM);
  return file;
}

/** Takes one more reference. */
export function file_get(file: Ptr<'File'>): Ptr<'File'> {
  File.refs.add(file, 1);
  return file;
}

let watch_release: ((file: Ptr<'File'>) => void) | null = null;

/** Installs what ends the epoll watches of a file whose last reference is gone, at module load. */
export function register_watch_release(end_watches: (file: Ptr<'File'>) => void): void {
  watch_release = end_watches;
}

/** Drops a reference; the last one releases the object. Call it with no lock held. */
export function file_put(file: Ptr<'File'>): void {
  if (File.refs.add(file, -1) !== 1) return;
  const named = File.dentry.get(file);
  if (named !== 0 && File.kind.get(file) !== FILE_KIND_PATH)
    notify_dentry(named, (File.mode.get(file) & FMODE_WRITE) !== 0 ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
  if (File.inode.get(file) !== 0) file_locks_release(file);
  if (File.watchers.get(file) !== 0 && watch_release !== null) watch_release(file);
  file_operations(file).release(file);
  const dentry = File.dentry.get(file);
  const mount = File.mount.get(file);
  file_slab.free(file);
  if (dentry !== 0) dput(dentry);
  if (mount !== 0) mntput(mount);
}
