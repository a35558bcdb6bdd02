/**
 * What the calls on paths share: the path string in kernel memory, and on whose behalf it is resolved.
 *
 * Paths are copied before anything else happens, as Linux's getname does: a short one into the vCPU's record, a long one,
 * or the second of a call, into a heap page.
 */
import { EBADF, ENAMETOOLONG, ENOENT, ENOMEM } from '../abi/errno.ts';
import { AT_FDCWD } from '../abi/fcntl.ts';
import { PATH_MAX } from '../abi/path.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8 } from '../heap/memory.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { SHORT_PATH, Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in_string } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { PathContext, path_walk } from '../vfs/path.ts';
import type { PathRef } from '../vfs/path_ref.ts';
import { register_current_credentials } from '../vfs/permission.ts';
import { FsContext } from '../vfs/vfs.layout.ts';

const SLASH = 0x2f;

register_current_credentials(() => Task.credentials.get(current));

/** The context of the call in progress; filled by `begin_path`. */
export const context = new PathContext();

/** Copies a path from the guest: where it is, until `drop_path`, or -errno: -ENOENT for an empty one unless `allow_empty`. */
export function take_path(address: number, allow_empty = false): number {
  const vcpu = current_vcpu;
  if (Vcpu.path_taken.get(vcpu) !== 0) return take_long_path(address, allow_empty);
  const path = Vcpu.path.at(vcpu);
  const length = copy_in_string(address, path, SHORT_PATH);
  if (length === -ENAMETOOLONG) return take_long_path(address, allow_empty);
  if (length < 0) return length;
  if (length === 0 && !allow_empty) return -ENOENT;
  Vcpu.path_taken.set(vcpu, 1);
  return path;
}

function take_long_path(address: number, allow_empty: boolean): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const length = copy_in_string(address, page, PATH_MAX);
  const result = length === 0 && !allow_empty ? -ENOENT : length;
  if (result >= 0) return page;
  heap_page_free(page);
  return result;
}

/** Gives back what `take_path` answered, in the same entry of the call. */
export function drop_path(path: number): void {
  if (path === Vcpu.path.at(current_vcpu)) Vcpu.path_taken.set(current_vcpu, 0);
  else heap_page_free(path);
}

/** The open directory a path starts at: 0 for the current directory or an absolute path; or -EBADF. */
export function start_of(dirfd: number, path: number): number {
  if (dirfd === AT_FDCWD || U8[path] === SLASH) return 0;
  const file = fd_file(dirfd);
  return file === 0 ? -EBADF : file;
}

/** Whether an empty path stands for an open file that no path leads to (AT_EMPTY_PATH): no walk finds it. */
export function is_nameless(path: number): boolean {
  return U8[path] === 0 && context.start !== 0 && File.dentry.get(context.start) === 0;
}

/** Fills `context` for the current task and a path in kernel memory. 0 or -EBADF. */
export function begin_path(dirfd: number, path: number): number {
  const start = start_of(dirfd, path);
  if (start < 0) return start;
  context.fs = Task.fs.get(current);
  context.credentials = Task.credentials.get(current);
  context.start = start as Ptr<'File'>;
  context.resolve = 0;
  return 0;
}

/** Resolves a guest's path into `out`, with references. `flags` are LOOKUP_*. 0 or -errno. */
export function resolve(dirfd: number, address: number, flags: number, out: PathRef, allow_empty = false): number {
  const path = take_path(address, allow_empty);
  if (path < 0) return path;
  let result = begin_path(dirfd, path);
  if (result === 0) result = path_walk(context, path, flags, out);
  drop_path(path);
  return result;
}

/** The umask of the current task. */
export function current_umask(): number {
  return FsContext.umask.get(Task.fs.get(current));
}
