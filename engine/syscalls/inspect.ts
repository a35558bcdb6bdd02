/** What one process has, seen from another: kcmp(2) and pidfd_getfd(2). */
import { EBADF, EINVAL, ENOENT, EPERM, ESRCH } from '../abi/errno.ts';
import { O_CLOEXEC } from '../abi/fcntl.ts';
import {
  KCMP_EPOLL_TFD,
  KCMP_FILE,
  KCMP_FILES,
  KCMP_FS,
  KCMP_IO,
  KCMP_SIGHAND,
  KCMP_SYSVSEM,
  KCMP_VM,
} from '../abi/kcmp.ts';
import type { Ptr } from '../base/types.ts';
import { epoll_target, is_epoll } from '../fs/anon/epoll.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { fd_install, files_lookup } from '../kernel/fd_table.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { find_task } from '../kernel/pid.ts';
import { pidfd_drop, pidfd_lookup } from '../kernel/pidfd.ts';
import { may_inspect } from '../kernel/ptrace_access.ts';
import { stage_i32, stage_in, stage_u32 } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { Pid, ThreadGroup } from '../kernel/thread_group.layout.ts';
import { file_put } from '../vfs/file.ts';
import { full, partial, type SyscallRow } from './row.ts';

type T = Ptr<'Task'>;
const NO_FILE = 0 as Ptr<'File'>;

/** The file behind a descriptor of a task, with a reference; 0 for none. Under the tasklist lock. */
function task_file(task: T, fd: number): Ptr<'File'> {
  const files = Task.files.get(task);
  return files === 0 || fd < 0 ? NO_FILE : files_lookup(files, fd);
}

/** 0 for the same record, 1 and 2 for an order among different ones. */
function order(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? 1 : 2;
}

/** The record of a task that `type` compares. */
function part(task: T, type: number): number {
  switch (type) {
    case KCMP_VM:
      return Task.mm.get(task);
    case KCMP_FILES:
      return Task.files.get(task);
    case KCMP_FS:
      return Task.fs.get(task);
    default:
      return ThreadGroup.sighand.get(Task.group.get(task));
  }
}

/** The files that a comparison looks at; put back without locks. */
const held: Ptr<'File'>[] = [];

function hold(task: T, fd: number): Ptr<'File'> {
  const file = task_file(task, fd);
  if (file !== 0) held.push(file);
  return file;
}

/** KCMP_FILE and KCMP_EPOLL_TFD hold two files, or answer -EBADF. The epoll_slot has been read, or could not be. */
function hold_files(first: T, second: T, type: number, slot: number): number {
  if (slot < 0) return slot;
  if (hold(first, arg_i32(3)) === 0) return -EBADF;
  return hold(second, type === KCMP_FILE ? arg_i32(4) : stage_i32(0)) === 0 ? -EBADF : 0;
}

/** Compares what needs no file; holds the files of the rest, and answers 0. Under the tasklist lock. */
function compare(type: number, slot: number): number {
  const first = find_task(arg_i32(0));
  const second = find_task(arg_i32(1));
  if (first === 0 || second === 0) return -ESRCH;
  if (!may_inspect(first) || !may_inspect(second)) return -EPERM;
  switch (type) {
    case KCMP_FILE:
    case KCMP_EPOLL_TFD:
      return hold_files(first, second, type, slot);
    case KCMP_VM:
    case KCMP_FILES:
    case KCMP_FS:
    case KCMP_SIGHAND:
      return order(part(first, type), part(second, type));
    case KCMP_IO:
    case KCMP_SYSVSEM:
      // As where no task has the record: I/O contexts do not exist, undo lists are those of the process.
      return 0;
    default:
      return -EINVAL;
  }
}

/** The result of two held files: KCMP_EPOLL_TFD takes the second as the instance that watches what is compared. */
function compare_held(type: number): number {
  const [first, second] = held as [Ptr<'File'>, Ptr<'File'>];
  if (type === KCMP_FILE) return order(first, second);
  if (!is_epoll(second)) return -EINVAL;
  const target = epoll_target(second, stage_i32(4), stage_u32(8));
  if (target === 0) return -ENOENT;
  held.push(target);
  return order(first, target);
}

function sys_kcmp(): number {
  const type = arg_i32(2);
  const slot = type === KCMP_EPOLL_TFD ? stage_in(arg_u64(4), 12) : 0;
  lock_tasklist();
  let result = compare(type, slot);
  unlock_tasklist();
  if (held.length === 2) result = compare_held(type);
  for (const file of held) file_put(file);
  held.length = 0;
  return result;
}

/** The file behind descriptor `fd` of the process `pid` stands for, with a reference, or -errno. */
function process_file(pid: Ptr<'Pid'>, fd: number): number {
  lock_tasklist();
  const task = Pid.task.get(pid);
  let result = -ESRCH;
  if (task !== 0) result = may_inspect(task) ? task_file(task, fd) || -EBADF : -EPERM;
  unlock_tasklist();
  return result;
}

function sys_pidfd_getfd(): number {
  if (arg_u32(2) !== 0) return -EINVAL;
  const pid = pidfd_lookup(arg_i32(0));
  if (pid < 0) return pid;
  const file = process_file(pid as Ptr<'Pid'>, arg_i32(1));
  pidfd_drop(pid as Ptr<'Pid'>);
  if (file < 0) return file;
  const fd = fd_install(Task.files.get(current), file as Ptr<'File'>, O_CLOEXEC);
  if (fd < 0) file_put(file as Ptr<'File'>);
  return fd;
}

export const INSPECT_ROWS: readonly SyscallRow[] = [
  partial(
    312,
    'kcmp',
    'KCMP_IO and KCMP_SYSVSEM find no records, which are equal',
    sys_kcmp,
    'pid1:pid',
    'pid2:pid',
    'type:int',
    'idx1:ulong',
    'idx2:ulong',
  ),
  full(438, 'pidfd_getfd', sys_pidfd_getfd, 'pidfd:fd', 'targetfd:fd', 'flags:uint'),
];
