/**
 * Replacing a task's descriptor table and file-system context. Only the task itself does, under the tasklist lock:
 * whoever looks at another task's (/proc) takes its reference under that lock, before the old one can be given back.
 */
import type { Ptr } from '../base/types.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { Task } from './task.layout.ts';

/** Gives the task another descriptor table (0: none); the one before, with its reference. */
export function task_replace_files(task: Ptr<'Task'>, files: Ptr<'Files'>): Ptr<'Files'> {
  lock_tasklist();
  const before = Task.files.get(task);
  Task.files.set(task, files);
  unlock_tasklist();
  return before;
}

/** Gives the task another file-system context (0: none); the one before, with its reference. */
export function task_replace_fs(task: Ptr<'Task'>, fs: Ptr<'FsContext'>): Ptr<'FsContext'> {
  lock_tasklist();
  const before = Task.fs.get(task);
  Task.fs.set(task, fs);
  unlock_tasklist();
  return before;
}
