/**
 * File operations: what every kind of open file can do. Functions cannot live in shared memory, so a
 * file's `kind` indexes this table; it is filled at module load and the same on every thread.
 *
 * Operations never block: one that would returns -EAGAIN, and the syscall layer waits on `queue` for
 * the events it needs and calls again (one waiting loop, in syscalls/).
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import type { IoCursor } from '../machine/io.ts';
import { File } from './file.layout.ts';

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
  /** New position or -errno; -ESPIPE where seeking makes no sense. */
  seek(file: Ptr<'File'>, offset: number, whence: number): number;
  /** `argument` is the raw third argument (often a guest address). -ENOTTY for unknown commands. */
  ioctl(file: Ptr<'File'>, command: number, argument: number): number;
  /** Last reference gone: free the object. The File record itself is freed by the caller. */
  release(file: Ptr<'File'>): void;
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
