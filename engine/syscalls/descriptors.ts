/**
 * Descriptors: close(2), close_range(2), dup(2), fcntl(2), ioctl(2), pipe(2).
 */
import { CAP_SYS_RESOURCE } from '../abi/capability.ts';
import { EBADF, EFAULT, EINVAL, ENOMEM, ENOTTY, EPERM, ESRCH } from '../abi/errno.ts';
import {
  CLOSE_RANGE_CLOEXEC,
  CLOSE_RANGE_UNSHARE,
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_GETLEASE,
  F_GETOWN,
  F_GETOWN_EX,
  F_GETPIPE_SZ,
  F_GETSIG,
  F_OWNER_PGRP,
  F_OWNER_PID,
  F_SETFD,
  F_SETFL,
  F_SETOWN,
  F_SETOWN_EX,
  F_SETPIPE_SZ,
  F_SETSIG,
  FD_CLOEXEC,
  O_APPEND,
  O_ASYNC,
  O_CLOEXEC,
  O_DIRECT,
  O_LARGEFILE,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
} from '../abi/fcntl.ts';
import { FIGETBSZ, FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE } from '../abi/ioctl.ts';
import { NSIG } from '../abi/signal.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { file_inode } from '../fs/anon/attributes.ts';
import type { Pipe } from '../fs/anon/pipe.layout.ts';
import { pipe_ends, pipe_open } from '../fs/anon/pipe.ts';
import { pipe_capacity, pipe_limit_default, pipe_resize } from '../fs/anon/pipe_size.ts';
import { add_seals, get_seals, is_memfd } from '../fs/memfd/memfd.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_LOCK } from '../heap/lock_order.ts';
import { I32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u32, arg_u64 } from '../kernel/args.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import {
  fd_close,
  fd_file,
  fd_fill,
  fd_flags,
  fd_install,
  fd_opened,
  fd_replace,
  fd_reserve,
  fd_set_flags,
  fd_unreserve,
  files_lookup,
  nofile_limit,
} from '../kernel/fd_table.ts';
import { Files } from '../kernel/files.layout.ts';
import { files_close_range, files_copy, files_put } from '../kernel/files.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { find_process_group, find_task } from '../kernel/pid.ts';
import { Task } from '../kernel/task.layout.ts';
import { task_replace_files } from '../kernel/task_shared.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, copy_out, put_user_u32, put_user_u64 } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import {
  FILE_KIND_HOST_REGULAR,
  FILE_KIND_HOST_STREAM,
  FILE_KIND_INOTIFY,
  FILE_KIND_PIPE,
  FILE_KIND_PTMX,
  FILE_KIND_RANDOM,
  FILE_KIND_REGULAR,
  FILE_KIND_SOCKET,
  FILE_KIND_TTY,
  file_operations,
  file_put,
} from '../vfs/file.ts';
import { inode_operations } from '../vfs/inode.ts';
import { capable, owner_or_capable } from '../vfs/permission.ts';
import { Inode } from '../vfs/vfs.layout.ts';
import { record_lock } from './record_locks.ts';
import { full, partial, type SyscallRow } from './row.ts';

const F_OWNER_TID = 0;
/** Status flags that F_SETFL changes (fcntl(2)). */
const SETTABLE = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

function sys_close(): number {
  return fd_close(Task.files.get(current), arg_i32(0));
}

function sys_close_range(): number {
  const first = arg_u32(0);
  const last = arg_u32(1);
  const flags = arg_lo(2);
  if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return -EINVAL;
  let files = Task.files.get(current);
  if ((flags & CLOSE_RANGE_UNSHARE) !== 0 && Files.refs.load(files) > 1) {
    const copy = files_copy(files);
    if (copy === 0) return -ENOMEM;
    files_put(task_replace_files(current, copy));
    files = copy;
  }
  files_close_range(files, first, last, (flags & CLOSE_RANGE_CLOEXEC) !== 0);
  return 0;
}

/** Another descriptor for the same open file, the lowest free one from `lowest` on. */
function duplicate(fd: number, flags: number, lowest: number): number {
  const files = Task.files.get(current);
  const file = files_lookup(files, fd);
  if (file === 0) return -EBADF;
  const result = fd_install(files, file, flags, lowest);
  if (result < 0) file_put(file);
  return result;
}

function sys_dup(): number {
  return duplicate(arg_i32(0), 0, 0);
}

function duplicate_to(from: number, to: number, flags: number): number {
  const files = Task.files.get(current);
  const file = files_lookup(files, from);
  if (file === 0) return -EBADF;
  const result = fd_replace(files, to, file, flags);
  if (result < 0) file_put(file);
  return result;
}

function sys_dup2(): number {
  const from = arg_i32(0);
  const to = arg_i32(1);
  if (from === to) return fd_file(from) === 0 ? -EBADF : to;
  return duplicate_to(from, to, 0);
}

function sys_dup3(): number {
  const flags = arg_lo(2);
  if ((flags & ~O_CLOEXEC) !== 0 || arg_i32(0) === arg_i32(1)) return -EINVAL;
  return duplicate_to(arg_i32(0), arg_i32(1), flags);
}

/** F_GETFL: what open(2) opens is O_LARGEFILE for 64-bit programs, which says nothing of pipes and O_PATH. */
function status_flags(file: Ptr<'File'>): number {
  const flags = File.flags.get(file);
  return File.dentry.get(file) === 0 || (flags & O_PATH) !== 0 ? flags : flags | O_LARGEFILE;
}

function sys_fcntl(): number {
  const fd = arg_i32(0);
  const command = arg_lo(1);
  const file = fd_file(fd);
  if (file === 0) return -EBADF;
  const files = Task.files.get(current);
  switch (command) {
    case F_GETFD:
      return fd_flags(files, fd);
    case F_SETFD:
      return fd_set_flags(files, fd, (arg_lo(2) & FD_CLOEXEC) !== 0);
    case F_GETFL:
      return status_flags(file);
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
      const lowest = arg_u32(2);
      if (lowest >= nofile_limit()) return -EINVAL;
      return duplicate(fd, command === F_DUPFD ? 0 : O_CLOEXEC, lowest);
    }
    default:
      // A descriptor of O_PATH allows nothing else (open(2), O_PATH).
      return (File.flags.get(file) & O_PATH) !== 0 ? -EBADF : file_control(fd, file, command);
  }
}

function file_control(fd: number, file: Ptr<'File'>, command: number): number {
  switch (command) {
    case F_SETFL:
      return change_status_flags(file, arg_lo(2));
    case F_GETOWN:
      return get_owner(file);
    case F_SETOWN:
      return set_owner_number(file, arg_i32(2));
    case F_GETOWN_EX:
      return get_owner_ex(file);
    case F_SETOWN_EX:
      return set_owner_ex(file);
    case F_GETSIG:
      return File.owner_signal.get(file);
    case F_SETSIG:
      if (arg_u32(2) > NSIG) return -EINVAL;
      File.owner_signal.set(file, arg_i32(2));
      return 0;
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ:
      return pipe_size(file, command);
    case F_GETLEASE:
      return 2;
    case F_ADD_SEALS:
      return add_seals(file, arg_lo(2));
    case F_GET_SEALS:
      return get_seals(file);
    default:
      return record_lock(fd, file, command);
  }
}

function has_resource_capability(): boolean {
  return capable(Task.credentials.get(current), CAP_SYS_RESOURCE);
}

function pipe_size(file: Ptr<'File'>, command: number): number {
  if (File.kind.get(file) !== FILE_KIND_PIPE) return -EBADF;
  const pipe = File.object.get(file) as Ptr<typeof Pipe.NAME>;
  return command === F_GETPIPE_SZ ? pipe_capacity(pipe) : pipe_resize(pipe, arg_u32(2), has_resource_capability());
}

/** Files that can send a signal when they become ready. */
const ASYNC_KINDS: ReadonlySet<number> = new Set([
  ...[FILE_KIND_PIPE, FILE_KIND_SOCKET, FILE_KIND_TTY, FILE_KIND_PTMX, FILE_KIND_HOST_STREAM],
  ...[FILE_KIND_INOTIFY, FILE_KIND_RANDOM],
]);

/** Whether a file can be read and written past the page cache, or, as a pipe, in packets (O_DIRECT, open(2)). */
function can_be_direct(file: Ptr<'File'>): boolean {
  const kind = File.kind.get(file);
  // A memfd is no file that was opened (Linux's FMODE_CAN_ODIRECT).
  return (
    kind === FILE_KIND_PIPE || ((kind === FILE_KIND_REGULAR || kind === FILE_KIND_HOST_REGULAR) && !is_memfd(file))
  );
}

/** F_SETFL: 0, -EPERM for the access times of somebody else's file, -EINVAL, -ENOMEM. */
function change_status_flags(file: Ptr<'File'>, wanted: number): number {
  const old = File.flags.get(file);
  if ((wanted & ~old & O_NOATIME) !== 0) {
    const inode = file_inode(file);
    if (inode === 0) return -ENOMEM;
    if (!owner_or_capable(inode, Task.credentials.get(current))) return -EPERM;
  }
  if ((wanted & O_DIRECT) !== 0 && !can_be_direct(file)) return -EINVAL;
  // What sends no signals does not remember that it was asked to.
  const kept = ASYNC_KINDS.has(File.kind.get(file)) ? wanted : (wanted & ~O_ASYNC) | (old & O_ASYNC);
  return set_status_flags(file, kept);
}

function set_status_flags(file: Ptr<'File'>, wanted: number): number {
  lock(File.lock.at(file), FILE_LOCK);
  File.flags.set(file, (File.flags.get(file) & ~SETTABLE) | (wanted & SETTABLE));
  unlock(File.lock.at(file), FILE_LOCK);
  return 0;
}

/** Whether somebody, or a process group, has this number now (Linux's find_vpid). */
function is_number(number: number): boolean {
  lock_tasklist();
  const found = find_task(number) !== 0 || find_process_group(number) !== 0;
  unlock_tasklist();
  return found;
}

/** Whether a number is still that of a thread, a process or a process group, as `type` says. */
function is_owner(type: number, number: number): boolean {
  lock_tasklist();
  const task = find_task(number);
  let found = task !== 0;
  if (type === F_OWNER_PGRP) found = find_process_group(number) !== 0;
  else if (found && type === F_OWNER_PID) found = ThreadGroup.leader.get(Task.group.get(task)) === task;
  unlock_tasklist();
  return found;
}

/** Sets who is told: 0, or -ESRCH for a number that nobody has. */
function set_owner(file: Ptr<'File'>, type: number, number: number): number {
  if (number !== 0 && !is_number(number)) return -ESRCH;
  lock(File.lock.at(file), FILE_LOCK);
  File.owner_type.set(file, type);
  File.owner.set(file, number);
  unlock(File.lock.at(file), FILE_LOCK);
  return 0;
}

/** The owner's number, 0 once it is nobody's. */
function owner_of(file: Ptr<'File'>): number {
  const number = File.owner.get(file);
  return number !== 0 && is_owner(File.owner_type.get(file), number) ? number : 0;
}

/** F_SETOWN: a process, or below 0 a process group. */
function set_owner_number(file: Ptr<'File'>, number: number): number {
  if (number === -(2 ** 31)) return -EINVAL;
  return set_owner(file, number < 0 ? F_OWNER_PGRP : F_OWNER_PID, Math.abs(number));
}

function get_owner(file: Ptr<'File'>): number {
  const number = owner_of(file);
  return File.owner_type.get(file) === F_OWNER_PGRP ? -number | 0 : number;
}

/** struct f_owner_ex: type, then pid. */
function get_owner_ex(file: Ptr<'File'>): number {
  const number = owner_of(file);
  const scratch = Vcpu.scratch.at(current_vcpu);
  I32[scratch >> 2] = File.owner_type.get(file);
  I32[(scratch >> 2) + 1] = number;
  return copy_out(arg_u64(2), scratch, 8) < 0 ? -EFAULT : 0;
}

function set_owner_ex(file: Ptr<'File'>): number {
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, arg_u64(2), 8) < 0) return -EFAULT;
  const type = I32[scratch >> 2] as number;
  const number = I32[(scratch >> 2) + 1] as number;
  if (type !== F_OWNER_TID && type !== F_OWNER_PID && type !== F_OWNER_PGRP) return -EINVAL;
  return set_owner(file, type, number);
}

function sys_ioctl(): number {
  const fd = arg_i32(0);
  const file = fd_opened(fd);
  if (file === 0) return -EBADF;
  const command = arg_u32(1);
  const files = Task.files.get(current);
  switch (command) {
    case FIOCLEX:
      return fd_set_flags(files, fd, true);
    case FIONCLEX:
      return fd_set_flags(files, fd, false);
    case FIONBIO:
    case FIOASYNC:
      return set_flag_by_int(file, command === FIONBIO ? O_NONBLOCK : O_ASYNC);
    default: {
      const common = common_ioctl(file, command);
      return common !== UNKNOWN_COMMAND ? common : file_operations(file).ioctl(file, command, arg_u64(2));
    }
  }
}

/** Commands that files of every kind, or all with storage, know: a result, or UNKNOWN_COMMAND. */
function common_ioctl(file: Ptr<'File'>, command: number): number {
  if (command !== FIONREAD && command !== FIOQSIZE && command !== FIGETBSZ) return UNKNOWN_COMMAND;
  if (command === FIGETBSZ) return put_user_u32(arg_u64(2), BLOCK_BYTES);
  const inode = File.inode.get(file);
  const type = inode === 0 ? 0 : Inode.mode.get(inode) & S_IFMT;
  if (command === FIOQSIZE) {
    if (type !== S_IFREG && type !== S_IFDIR) return -ENOTTY;
    inode_operations(inode).refresh?.(inode);
    return put_user_u64(arg_u64(2), Inode.blocks.get(inode) * 512);
  }
  if (type !== S_IFREG) return UNKNOWN_COMMAND;
  return put_user_u32(arg_u64(2), Inode.size.get(inode) - File.position.get(file));
}

/** No result of a call. */
const UNKNOWN_COMMAND = -0x10_0000;
/** Block size of every file system here. */
const BLOCK_BYTES = 4096;

/** FIONBIO and FIOASYNC: the argument points to an int that says on or off. */
function set_flag_by_int(file: Ptr<'File'>, flag: number): number {
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, arg_u64(2), 4) < 0) return -EFAULT;
  const flags = File.flags.get(file);
  const wanted = I32[scratch >> 2] === 0 ? flags & ~flag : flags | flag;
  if (flag === O_ASYNC && wanted !== flags && !ASYNC_KINDS.has(File.kind.get(file))) return -ENOTTY;
  return set_status_flags(file, wanted);
}

function make_pipe(flags: number): number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return -EINVAL;
  const files = Task.files.get(current);
  const made = pipe_open(flags);
  if (made < 0) return made;
  const { read, write } = pipe_ends;
  if (!has_resource_capability()) pipe_limit_default(File.object.get(read) as Ptr<typeof Pipe.NAME>);
  const read_fd = fd_reserve(files, 0);
  const write_fd = read_fd < 0 ? read_fd : fd_reserve(files, 0);
  let result = Math.min(write_fd, 0);
  if (result === 0) {
    const scratch = Vcpu.scratch.at(current_vcpu);
    I32[scratch >> 2] = read_fd;
    I32[(scratch >> 2) + 1] = write_fd;
    if (copy_out(arg_u64(0), scratch, 8) < 0) result = -EFAULT;
  }
  if (result < 0) {
    if (read_fd >= 0) fd_unreserve(files, read_fd);
    if (write_fd >= 0) fd_unreserve(files, write_fd);
    file_put(read);
    file_put(write);
    return result;
  }
  fd_fill(files, read_fd, read, (flags & O_CLOEXEC) !== 0);
  fd_fill(files, write_fd, write, (flags & O_CLOEXEC) !== 0);
  return 0;
}

function sys_pipe(): number {
  return make_pipe(0);
}

function sys_pipe2(): number {
  return make_pipe(arg_lo(1));
}

export const DESCRIPTOR_ROWS: readonly SyscallRow[] = [
  full(3, 'close', sys_close, 'fd:fd'),
  partial(
    16,
    'ioctl',
    'commands of the supported file kinds',
    sys_ioctl,
    'fd:fd',
    'request:enum(IOCTL)',
    'argument:ptr',
  ),
  full(22, 'pipe', sys_pipe, 'fds:ptr'),
  full(32, 'dup', sys_dup, 'fd:fd'),
  full(33, 'dup2', sys_dup2, 'from:fd', 'to:fd'),
  partial(
    72,
    'fcntl',
    'no leases, no directory notification; O_ASYNC sends no signals',
    sys_fcntl,
    'fd:fd',
    'command:enum(FCNTL)',
    'argument:long',
  ),
  full(292, 'dup3', sys_dup3, 'from:fd', 'to:fd', 'flags:flags(O)'),
  full(293, 'pipe2', sys_pipe2, 'fds:ptr', 'flags:flags(O)'),
  full(436, 'close_range', sys_close_range, 'first:uint', 'last:uint', 'flags:flags(CLOSE_RANGE)'),
];
