/** eventfd(2). */
import { EINVAL, ENOMEM } from '../abi/errno.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../abi/fcntl.ts';
import type { Ptr } from '../base/types.ts';
import { EFD_SEMAPHORE, eventfd_create } from '../fs/anon/eventfd.ts';
import { arg_lo, arg_u32 } from '../kernel/args.ts';
import { current } from '../kernel/current.ts';
import { fd_install } from '../kernel/fd_table.ts';
import { Task } from '../kernel/task.layout.ts';
import { file_put } from '../vfs/file.ts';
import { full, type SyscallRow } from './row.ts';

/** Puts a new file (0: memory was exhausted) at a descriptor; on failure the file goes. */
export function install_new(file: Ptr<'File'>, flags: number): number {
  if (file === 0) return -ENOMEM;
  const fd = fd_install(Task.files.get(current), file, flags);
  if (fd < 0) file_put(file);
  return fd;
}

function make_eventfd(initial: number, flags: number): number {
  if ((flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL;
  return install_new(eventfd_create(initial, flags), flags);
}

function sys_eventfd(): number {
  return make_eventfd(arg_u32(0), 0);
}

function sys_eventfd2(): number {
  return make_eventfd(arg_u32(0), arg_lo(1));
}

export const EVENTFD_ROWS: readonly SyscallRow[] = [
  full(284, 'eventfd', sys_eventfd, 'initval:uint'),
  full(290, 'eventfd2', sys_eventfd2, 'initval:uint', 'flags:flags(EFD)'),
];
