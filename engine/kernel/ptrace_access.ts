/** Who may look into another process (ptrace(2), "Ptrace access mode checking"). */
import { CAP_SYS_PTRACE } from '../abi/capability.ts';
import { EPERM, ESRCH } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { TASK_LOCK } from '../heap/lock_order.ts';
import { mm_put } from '../mm/address_space.ts';
import { Mm } from '../mm/mm.layout.ts';
import { Credentials } from './credentials.layout.ts';
import { capable } from './credentials.ts';
import { current } from './current.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { find_task } from './pid.ts';
import { Task } from './task.layout.ts';
import { task_mm_get } from './task_mm.ts';

/**
 * Linux's ptrace_may_access, with the caller's file system ids or its real ones; `mm` is the task's address space, 0
 * for a task without one. Under the tasklist lock.
 */
function may_access(task: Ptr<'Task'>, mm: Ptr<'Mm'>, filesystem_ids: boolean): boolean {
  if (Task.group.get(task) === Task.group.get(current) || capable(CAP_SYS_PTRACE)) return true;
  const own = Task.credentials.get(current);
  const other = Task.credentials.get(task);
  const uid = (filesystem_ids ? Credentials.fsuid : Credentials.uid).get(own);
  const gid = (filesystem_ids ? Credentials.fsgid : Credentials.gid).get(own);
  return (
    (mm === 0 || Mm.dumpable.get(mm) === 1) &&
    uid === Credentials.uid.get(other) &&
    uid === Credentials.euid.get(other) &&
    uid === Credentials.suid.get(other) &&
    gid === Credentials.gid.get(other) &&
    gid === Credentials.egid.get(other) &&
    gid === Credentials.sgid.get(other)
  );
}

/**
 * The address space of a task by tid, with a reference (mm_put), for a caller that may look into it: -ESRCH for no
 * task and one without memory, -EPERM. `filesystem_ids`: the check for a file (PTRACE_MODE_FSCREDS).
 */
export function foreign_mm(tid: number, filesystem_ids: boolean): number {
  lock_tasklist();
  const task = find_task(tid);
  const mm = task === 0 ? (0 as Ptr<'Mm'>) : task_mm_get(task);
  const allowed = mm !== 0 && may_access(task, mm, filesystem_ids);
  unlock_tasklist();
  if (mm === 0) return -ESRCH;
  if (allowed) return mm;
  mm_put(mm);
  return -EPERM;
}

/** Whether the caller may look into a task, by its real ids (PTRACE_MODE_REALCREDS). Under the tasklist lock. */
export function may_inspect(task: Ptr<'Task'>): boolean {
  const task_lock = Task.lock.at(task);
  lock(task_lock, TASK_LOCK);
  const allowed = may_access(task, Task.mm.get(task), false);
  unlock(task_lock, TASK_LOCK);
  return allowed;
}
