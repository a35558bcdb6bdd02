/**
 * A task's address space as others see it. Only the task itself replaces it (exec, exit), under its lock;
 * whoever looks at another task's (process_vm_readv, /proc/PID/maps) takes a reference under that lock.
 */
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { TASK_LOCK } from '../heap/lock_order.ts';
import { Mm } from '../mm/mm.layout.ts';
import { mm_lock, mm_unlock } from '../mm/mm_lock.ts';
import { Task } from './task.layout.ts';

/** The task's address space with a reference for the caller (mm_put); 0 when it has none any more. */
export function task_mm_get(task: Ptr<'Task'>): Ptr<'Mm'> {
  const task_lock = Task.lock.at(task);
  lock(task_lock, TASK_LOCK);
  const mm = Task.mm.get(task);
  if (mm !== 0) Mm.refs.add(mm, 1);
  unlock(task_lock, TASK_LOCK);
  if (mm !== 0) {
    // A fork in progress took the address space for its own: let it end before anything is looked up.
    mm_lock(mm);
    mm_unlock(mm);
  }
  return mm;
}

/** Gives the task another address space (0: none) and returns the one before, with its reference. */
export function task_replace_mm(task: Ptr<'Task'>, mm: Ptr<'Mm'>): Ptr<'Mm'> {
  const task_lock = Task.lock.at(task);
  lock(task_lock, TASK_LOCK);
  const before = Task.mm.get(task);
  Task.mm.set(task, mm);
  unlock(task_lock, TASK_LOCK);
  return before;
}
