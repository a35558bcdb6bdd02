/**
 * The task behind a /proc/PID: found anew at each access, kept by reference while it is looked at.
 */
import { ESRCH } from '../../abi/errno.ts';
import type { Ptr } from '../../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { files_get, files_put } from '../../kernel/files.ts';
import { lock_tasklist, unlock_tasklist } from '../../kernel/kernel.ts';
import { find_task } from '../../kernel/pid.ts';
import { Task } from '../../kernel/task.layout.ts';
import { task_get, task_put } from '../../kernel/task.ts';
import { task_mm_get } from '../../kernel/task_mm.ts';
import { mm_put } from '../../mm/address_space.ts';
import { fs_context_get, fs_context_put } from '../../vfs/fs_context.ts';
import type { Subject } from '../pseudo/node.ts';

export type T = Ptr<'Task'>;

/** Runs `body` with the subject's task; -ESRCH when it is gone. */
export function with_task<R>(subject: Subject, body: (task: T) => R): R | number {
  lock_tasklist();
  const task = find_task(subject.tid);
  if (task !== 0) task_get(task);
  unlock_tasklist();
  if (task === 0) return -ESRCH;
  const result = body(task);
  lock_tasklist();
  task_put(task);
  unlock_tasklist();
  return result;
}

/**
 * The subject's task as a hint, without lock or reference: for lookups and directory listings, which run
 * under the tree lock, where the tasklist lock cannot be taken. Records are never unmapped, so a task that
 * goes meanwhile gives a stale answer at worst, and the access that follows says ESRCH.
 */
export function peek_task(subject: Subject): T {
  return find_task(subject.tid);
}

/** Whether the subject's task is there; a hint. */
export function task_exists(subject: Subject): boolean {
  return peek_task(subject) !== 0;
}

/** Runs `body` with the task's address space; `none` for a task that has none (a zombie). */
export function with_mm<R>(task: T, none: R, body: (mm: Ptr<'Mm'>) => R): R {
  const mm = task_mm_get(task);
  if (mm === 0) return none;
  const result = body(mm);
  mm_put(mm);
  return result;
}

/** Runs `body` with the task's descriptor table; `none` for a task that has none. */
export function with_files<R>(task: T, none: R, body: (files: Ptr<'Files'>) => R): R {
  lock_tasklist();
  const files = Task.files.get(task);
  if (files !== 0) files_get(files);
  unlock_tasklist();
  if (files === 0) return none;
  const result = body(files);
  files_put(files);
  return result;
}

/** Runs `body` with the task's root and current directory; `none` for a task that has none. */
export function with_fs<R>(task: T, none: R, body: (fs: Ptr<'FsContext'>) => R): R {
  lock_tasklist();
  const fs = Task.fs.get(task);
  if (fs !== 0) fs_context_get(fs);
  unlock_tasklist();
  if (fs === 0) return none;
  const result = body(fs);
  fs_context_put(fs);
  return result;
}

/** Runs `body` with a scratch page; `none` when the heap is exhausted. */
export function with_page<R>(none: R, body: (page: number) => R): R {
  const page = heap_page_alloc();
  if (page === 0) return none;
  const result = body(page);
  heap_page_free(page);
  return result;
}

/** Effective ids of the subject's task, the owner of its files in /proc; a hint. */
export function task_owner(subject: Subject): { uid: number; gid: number } {
  const task = peek_task(subject);
  const credentials = task === 0 ? (0 as Ptr<'Credentials'>) : Task.credentials.get(task);
  if (credentials === 0) return { uid: 0, gid: 0 };
  return { uid: Credentials.euid.get(credentials), gid: Credentials.egid.get(credentials) };
}
