/**
 * What tasks share or copy when they are cloned: address space, descriptor table, file-system context. Each
 * owner installs its functions at module load, so that process code depends on none of them; 0 stands for "none"
 * (a kernel without that part, as in unit tests) and is never passed on.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';

export interface TaskResource<R extends string> {
  /** Takes a reference. */
  share(resource: Ptr<R>): void;
  /** A copy with one reference, or 0 when memory is exhausted. */
  copy(resource: Ptr<R>): Ptr<R>;
  /** Gives a reference back. */
  release(resource: Ptr<R>): void;
}

interface Resources {
  mm: TaskResource<'Mm'> | null;
  files: TaskResource<'Files'> | null;
  fs: TaskResource<'FsContext'> | null;
}

const resources: Resources = { mm: null, files: null, fs: null };

/** Installs the functions of one resource, at module load. */
export function register_task_resource<K extends keyof Resources>(name: K, table: Resources[K]): void {
  resources[name] = table;
}

function table_of<R extends string>(name: keyof Resources): TaskResource<R> {
  const table = resources[name] as unknown as TaskResource<R> | null;
  assert(table !== null, `no functions for the task resource ${name}`);
  return table;
}

/** Shares or copies for a new task: the pointer for it, 0 when memory is exhausted (or there is none to share). */
export function clone_resource<R extends string>(name: keyof Resources, resource: Ptr<R>, share: boolean): Ptr<R> {
  if (resource === 0) return resource;
  const table = table_of<R>(name);
  if (!share) return table.copy(resource);
  table.share(resource);
  return resource;
}

/** Gives a task's reference back. */
export function release_resource<R extends string>(name: keyof Resources, resource: Ptr<R>): void {
  if (resource !== 0) table_of<R>(name).release(resource);
}
