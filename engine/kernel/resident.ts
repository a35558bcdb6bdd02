/** Largest resident sets, in pages (getrusage(2), ru_maxrss): of an address space, of a process, of what it reaped. */
import type { Ptr } from '../base/types.ts';
import { Mm } from '../mm/mm.layout.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

/** Largest resident set of the current task's own address space so far; 0 when it has given it up. */
export function peak_rss(task: Ptr<'Task'>): number {
  const mm = Task.mm.get(task);
  return mm === 0 ? 0 : Mm.hiwater_rss.get(mm);
}

/** Largest resident set of an ended process and of the children it has reaped. Under the tasklist lock. */
export function tree_maxrss(group: Ptr<'ThreadGroup'>): number {
  return Math.max(ThreadGroup.dead_maxrss.get(group), ThreadGroup.children_maxrss.get(group));
}
