/**
 * Reading directories, and a task's place in the tree: getdents, chdir, getcwd, chroot, umask.
 */
import { CAP_SYS_CHROOT } from '../abi/capability.ts';
import { EBADF, EFAULT, EINVAL, ENOMEM, ENOTDIR, EPERM, ERANGE } from '../abi/errno.ts';
import { AT_FDCWD } from '../abi/fcntl.ts';
import { IN_ACCESS } from '../abi/inotify.ts';
import { PATH_MAX } from '../abi/path.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_POSITION_LOCK } from '../heap/lock_order.ts';
import { U8, U16 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { fd_file, fd_opened } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { copy_out } from '../mm/uaccess.ts';
import { d_path_cwd } from '../vfs/d_path.ts';
import { read_directory } from '../vfs/directory.ts';
import { File } from '../vfs/file.layout.ts';
import { fs_cwd, fs_set_cwd, fs_set_root, fs_set_umask } from '../vfs/fs_context.ts';
import type { DirectorySink } from '../vfs/inode.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { is_directory, LOOKUP_DIRECTORY, LOOKUP_FOLLOW } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { capable, inode_permission, MAY_EXEC } from '../vfs/permission.ts';
import { Dentry } from '../vfs/vfs.layout.ts';
import { resolve } from './file_paths.ts';
import { put64 } from './file_stat.ts';
import { full, type SyscallRow } from './row.ts';

const PAGE = 4096;
const ref = module_path_ref();

/** Lays entries out in a kernel page, in the old or the 64-bit format, until the room given is full. */
class EntryWriter implements DirectorySink {
  page = 0;
  room = 0;
  used = 0;
  wide = false;
  /** An entry did not fit. */
  refused = false;

  emit(name: number, length: number, ino: number, type: number, next: number): boolean {
    // getdents: number, offset, length, name, NUL, ..., type in the last byte; getdents64: type before the name.
    const size = ((this.wide ? 19 : 18) + length + (this.wide ? 1 : 2) + 7) & ~7;
    if (this.used + size > this.room) {
      this.refused = true;
      return false;
    }
    const at = this.page + this.used;
    bytes_zero(at, size);
    put64(at, ino);
    put64(at + 8, next);
    U16[(at + 16) >> 1] = size;
    if (this.wide) U8[at + 18] = type;
    bytes_copy(at + (this.wide ? 19 : 18), name, length);
    if (!this.wide) U8[at + size - 1] = type;
    this.used += size;
    return true;
  }
}

const writer = new EntryWriter();

function fill_entries(file: Ptr<'File'>, address: number, count: number): number {
  let done = 0;
  for (;;) {
    writer.used = 0;
    writer.refused = false;
    writer.room = Math.min(PAGE, count - done);
    const before = File.position.get(file);
    const result = read_directory(file, writer);
    if (result !== 0) return done > 0 ? done : result;
    if (writer.used === 0) return done > 0 || !writer.refused ? done : -EINVAL;
    if (copy_out(address + done, writer.page, writer.used) < 0) {
      File.position.set(file, before);
      return done > 0 ? done : -EFAULT;
    }
    done += writer.used;
    if (!writer.refused) return done;
  }
}

function do_getdents(wide: boolean): number {
  const file = fd_opened(arg_i32(0));
  if (file === 0) return -EBADF;
  const inode = File.inode.get(file);
  if (inode === 0 || !is_directory(inode)) return -ENOTDIR;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  writer.page = page;
  writer.wide = wide;
  const position_lock = File.position_lock.at(file);
  lock(position_lock, FILE_POSITION_LOCK);
  const result = fill_entries(file, arg_u64(1), arg_lo(2));
  unlock(position_lock, FILE_POSITION_LOCK);
  heap_page_free(page);
  if (result >= 0) notify_dentry(File.dentry.get(file), IN_ACCESS);
  return result;
}

const sys_getdents = (): number => do_getdents(false);
const sys_getdents64 = (): number => do_getdents(true);

function sys_chdir(): number {
  const result = resolve(AT_FDCWD, arg_u64(0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, ref);
  return result !== 0 ? result : enter(fs_set_cwd);
}

/** Makes `ref` the current directory or the root, when the task may search it. */
function enter(set: typeof fs_set_cwd): number {
  const result = inode_permission(Dentry.inode.get(ref.dentry), MAY_EXEC, Task.credentials.get(current));
  if (result === 0) set(Task.fs.get(current), ref);
  else ref.put();
  return result;
}

function sys_fchdir(): number {
  const file = fd_file(arg_i32(0));
  if (file === 0) return -EBADF;
  const inode = File.inode.get(file);
  if (inode === 0 || !is_directory(inode)) return -ENOTDIR;
  ref.set(File.mount.get(file), File.dentry.get(file));
  return enter(fs_set_cwd);
}

function sys_chroot(): number {
  const result = resolve(AT_FDCWD, arg_u64(0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, ref);
  if (result !== 0) return result;
  const credentials = Task.credentials.get(current);
  if (
    inode_permission(Dentry.inode.get(ref.dentry), MAY_EXEC, credentials) === 0 &&
    !capable(credentials, CAP_SYS_CHROOT)
  ) {
    ref.put();
    return -EPERM;
  }
  return enter(fs_set_root);
}

/** getcwd(2): the path with its NUL; the length is returned. */
function sys_getcwd(): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const fs = Task.fs.get(current);
  fs_cwd(fs, ref);
  let length = d_path_cwd(fs, ref, page, PATH_MAX - 1);
  ref.put();
  if (length >= 0) {
    U8[page + length] = 0;
    length++;
    if (length > arg_u64(1)) length = -ERANGE;
    else if (copy_out(arg_u64(0), page, length) < 0) length = -EFAULT;
  }
  heap_page_free(page);
  return length;
}

function sys_umask(): number {
  return fs_set_umask(Task.fs.get(current), arg_lo(0));
}

export const DIRECTORY_ROWS: readonly SyscallRow[] = [
  full(78, 'getdents', sys_getdents, 'fd:fd', 'dirp:out(2)', 'count:uint'),
  full(79, 'getcwd', sys_getcwd, 'buf:out(1)', 'size:size'),
  full(80, 'chdir', sys_chdir, 'path:path'),
  full(81, 'fchdir', sys_fchdir, 'fd:fd'),
  full(95, 'umask', sys_umask, 'mask:mode'),
  full(161, 'chroot', sys_chroot, 'path:path'),
  full(217, 'getdents64', sys_getdents64, 'fd:fd', 'dirp:out(2)', 'count:uint'),
];
