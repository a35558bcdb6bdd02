/**
 * /proc/PID/mem (proc_pid_mem(5)): the memory of a process at its addresses. Who opens it must be allowed to trace
 * the process; what was opened is the address space of that moment, which an exec or an exit ends.
 */
import { EACCES, EIO, ENOENT, EPERM, ESRCH } from '../../abi/errno.ts';
import type { Ptr } from '../../base/types.ts';
import { foreign_mm } from '../../kernel/ptrace_access.ts';
import type { IoCursor } from '../../machine/io.ts';
import { mm_put } from '../../mm/address_space.ts';
import { Mm } from '../../mm/mm.layout.ts';
import { access_remote } from '../../mm/remote.ts';
import { File } from '../../vfs/file.layout.ts';
import type { Subject } from '../pseudo/node.ts';
import { task_exists, with_mm, with_task } from './subject.ts';

/** The address space for open(2), with a reference: -EACCES, -ENOENT, -ESRCH for a process without memory. */
function openable_mm(subject: Subject): number {
  const mm = foreign_mm(subject.tid, true);
  if (mm === -EPERM) return -EACCES;
  // A directory that is in use keeps its names for longer than the process lives.
  return mm >= 0 || task_exists(subject) ? mm : -ENOENT;
}

/** Whether the current task may look into the subject's memory, for files that tell of it: 0, -EACCES, -ESRCH. */
export function check_access(_file: Ptr<'File'>, subject: Subject): number {
  const mm = openable_mm(subject);
  if (mm < 0) return mm;
  mm_put(mm as Ptr<'Mm'>);
  return 0;
}

/** As `check_access`, for files that are empty when there is no memory. */
export function check_maps(file: Ptr<'File'>, subject: Subject): number {
  const allowed = check_access(file, subject);
  return allowed === -ESRCH ? 0 : allowed;
}

/** The file keeps the number of the address space, not a reference: it does not hold memory that nobody uses. */
export function open_mem(file: Ptr<'File'>, subject: Subject): number {
  const mm = openable_mm(subject);
  if (mm < 0) return mm;
  File.scratch2.set(file, Mm.number.get(mm as Ptr<'Mm'>));
  mm_put(mm as Ptr<'Mm'>);
  return 0;
}

/** Reads or writes at the address `position`: bytes, 0 once the address space is gone, -EIO where nothing is. */
export function transfer_mem(
  subject: Subject,
  file: Ptr<'File'>,
  io: IoCursor,
  position: number,
  write: boolean,
): number {
  if (io.remaining === 0) return 0;
  const n = with_task(subject, (task) =>
    with_mm(task, 0, (mm) => {
      if (Mm.number.get(mm) !== File.scratch2.get(file)) return 0;
      return access_remote(mm, position, io, write) || -EIO;
    }),
  );
  return n < 0 && n !== -EIO ? 0 : n;
}
