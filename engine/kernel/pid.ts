/**
 * Numbers of tasks, process groups and sessions: allotting them, and finding what they name. All under the
 * tasklist lock. A number is not handed out again while a task, a process group, a session or a pidfd uses it.
 */

import type { Ptr } from '../base/types.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { I32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { KernelRoot, PID_LIMIT, PID_PAGE_ENTRIES } from './kernel.layout.ts';
import { kernel_root } from './kernel.ts';
import { Task } from './task.layout.ts';
import { Pid, ThreadGroup } from './thread_group.layout.ts';

export const pids = slab(Pid);

/** Numbers below this one are not handed out a second time (Linux's RESERVED_PIDS). */
const RESERVED_PIDS = 300;

function entry_of(number: number): number {
  if (number <= 0 || number >= PID_LIMIT) return 0;
  const page = I32[(KernelRoot.pid_pages.at(kernel_root()) >> 2) + Math.floor(number / PID_PAGE_ENTRIES)] as number;
  return page === 0 ? 0 : (page >> 2) + (number % PID_PAGE_ENTRIES);
}

/** The record of a number in use, or 0. */
export function find_pid(number: number): Ptr<'Pid'> {
  const entry = entry_of(number);
  return (entry === 0 ? 0 : I32[entry]) as Ptr<'Pid'>;
}

/** The task with this tid, or 0. Valid while the tasklist lock is held, or with a reference taken under it. */
export function find_task(tid: number): Ptr<'Task'> {
  const pid = find_pid(tid);
  return pid === 0 ? (0 as Ptr<'Task'>) : Pid.task.get(pid);
}

/** The process with this pid, or 0. */
export function find_group(tgid: number): Ptr<'ThreadGroup'> {
  const task = find_task(tgid);
  if (task === 0) return 0 as Ptr<'ThreadGroup'>;
  const group = Task.group.get(task);
  return ThreadGroup.tgid.get(group) === tgid ? group : (0 as Ptr<'ThreadGroup'>);
}

/** The process group with this number, or 0. */
export function find_process_group(number: number): Ptr<'ProcessGroup'> {
  const pid = find_pid(number);
  return pid === 0 ? (0 as Ptr<'ProcessGroup'>) : Pid.process_group.get(pid);
}

/** Allots the next free number, with one reference; 0 when there is none or the heap is exhausted. */
export function pid_alloc(): Ptr<'Pid'> {
  const root = kernel_root();
  let number = KernelRoot.last_pid.get(root);
  for (let tries = 0; tries < PID_LIMIT; tries++) {
    number++;
    if (number >= PID_LIMIT) number = RESERVED_PIDS;
    if (find_pid(number) !== 0) continue;
    if (!ensure_page(number)) return 0 as Ptr<'Pid'>;
    const pid = pids.alloc();
    if (pid === 0) return pid;
    Pid.refs.store(pid, 1);
    Pid.number.set(pid, number);
    I32[entry_of(number)] = pid;
    KernelRoot.last_pid.set(root, number);
    return pid;
  }
  return 0 as Ptr<'Pid'>;
}

function ensure_page(number: number): boolean {
  const at = (KernelRoot.pid_pages.at(kernel_root()) >> 2) + Math.floor(number / PID_PAGE_ENTRIES);
  if (I32[at] !== 0) return true;
  const page = heap_page_alloc();
  if (page === 0) return false;
  bytes_zero(page, PID_PAGE_ENTRIES * 4);
  I32[at] = page;
  return true;
}

/** Takes a reference to a number. */
export function pid_get(pid: Ptr<'Pid'>): Ptr<'Pid'> {
  Pid.refs.add(pid, 1);
  return pid;
}

/** Gives a reference back; the last frees the number. Under the tasklist lock. */
export function pid_put(pid: Ptr<'Pid'>): void {
  if (Pid.refs.add(pid, -1) !== 1) return;
  I32[entry_of(Pid.number.get(pid))] = 0;
  pids.free(pid);
  if (pids.live() === 0) free_pages();
}

/** No number is in use: the table goes back to the heap. */
function free_pages(): void {
  const pages = KernelRoot.pid_pages.at(kernel_root()) >> 2;
  for (let i = 0; i < PID_LIMIT / PID_PAGE_ENTRIES; i++) {
    if (I32[pages + i] !== 0) heap_page_free(I32[pages + i] as number);
    I32[pages + i] = 0;
  }
}

/** Calls `visit` with every task, by rising tid, until it answers true. Under the tasklist lock. */
export function for_each_task(visit: (task: Ptr<'Task'>) => boolean): void {
  const pages = KernelRoot.pid_pages.at(kernel_root()) >> 2;
  for (let i = 0; i < PID_LIMIT / PID_PAGE_ENTRIES; i++) {
    const page = I32[pages + i] as number;
    if (page === 0) continue;
    for (let j = 0; j < PID_PAGE_ENTRIES; j++) {
      const pid = I32[(page >> 2) + j] as Ptr<'Pid'>;
      if (pid !== 0 && Pid.task.get(pid) !== 0 && visit(Pid.task.get(pid))) return;
    }
  }
}

/** The smallest tid >= `from` that names a task, or 0: for directory cursors of /proc. Under the tasklist lock. */
export function next_tid(from: number): number {
  for (let number = Math.max(1, from); number < PID_LIMIT; number++) {
    const pid = find_pid(number);
    if (pid !== 0 && Pid.task.get(pid) !== 0) return number;
  }
  return 0;
}
