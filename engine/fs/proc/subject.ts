/**
 * The task behind a /proc/PID: found anew at each access, kept by reference while it is looked at.
 */
import { ESRCH } from '../../abi/errno.ts';
import type { Ptr } from '../../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { credentials_get, credentials_put } from '../../kernel/credentials.ts';
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

/** Runs a short `body` with the subject's task under the tasklist lock, without a reference; `none` when it is gone. */
export function peek<R>(subject: Subject, none: R, body: (task: T) => R): R {
  lock_tasklist();
  const task = find_task(subject.tid);
  const result = task === 0 ? none : body(task);
  unlock_tasklist();
  return result;
}

/** Whether the subject's task is there. */
export function task_exists(subject: Subject): boolean {
  return peek(subject, false, () => true);
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

/** Runs `body` with the task's credentials; `none` for a task that has none. */
export function with_credentials<R>(task: T, none: R, body: (credentials: Ptr<'Credentials'>) => R): R {
  lock_tasklist();
  const credentials = Task.credentials.get(task);
  if (credentials !== 0) credentials_get(credentials);
  unlock_tasklist();
  if (credentials === 0) return none;
  const result = body(credentials);
  credentials_put(credentials);
  return result;
}

/** Effective ids of the subject's task, the owner of its files in /proc. */
export function task_owner(subject: Subject): { uid: number; gid: number } {
  return peek(subject, { uid: 0, gid: 0 }, (task) => {
    const credentials = Task.credentials.get(task);
    if (credentials === 0) return { uid: 0, gid: 0 };
    return { uid: Credentials.euid.get(credentials), gid: Credentials.egid.get(credentials) };
  });
}
