/**
 * FsContext: a task's root, current directory and umask (Linux's fs_struct); shared by CLONE_FS.
 */
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FS_CONTEXT_LOCK } from '../heap/lock_order.ts';
import { slab } from '../heap/slab.ts';
import { dget, dput } from './dcache.ts';
import { mntget, mntput } from './mount.ts';
import { module_path_ref, type PathRef } from './path_ref.ts';
import { FsContext } from './vfs.layout.ts';

type F = Ptr<'FsContext'>;
const contexts = slab(FsContext);

/** A context at the given root, which is also its current directory; 0 when the heap is exhausted. */
export function fs_context_create(mount: Ptr<'Mount'>, dentry: Ptr<'Dentry'>, umask: number): F {
  const fs = contexts.alloc();
  if (fs === 0) return fs;
  FsContext.refs.store(fs, 1);
  FsContext.umask.set(fs, umask);
  FsContext.root_mount.set(fs, mntget(mount));
  FsContext.root_dentry.set(fs, dget(dentry));
  FsContext.cwd_mount.set(fs, mntget(mount));
  FsContext.cwd_dentry.set(fs, dget(dentry));
  return fs;
}

/** A copy with one reference (fork without CLONE_FS), or 0. */
export function fs_context_clone(from: F): F {
  const fs = contexts.alloc();
  if (fs === 0) return fs;
  FsContext.refs.store(fs, 1);
  const p = FsContext.lock.at(from);
  lock(p, FS_CONTEXT_LOCK);
  FsContext.umask.set(fs, FsContext.umask.get(from));
  FsContext.root_mount.set(fs, mntget(FsContext.root_mount.get(from)));
  FsContext.root_dentry.set(fs, dget(FsContext.root_dentry.get(from)));
  FsContext.cwd_mount.set(fs, mntget(FsContext.cwd_mount.get(from)));
  FsContext.cwd_dentry.set(fs, dget(FsContext.cwd_dentry.get(from)));
  unlock(p, FS_CONTEXT_LOCK);
  return fs;
}

/** Takes a reference (CLONE_FS). */
export function fs_context_get(fs: F): F {
  FsContext.refs.add(fs, 1);
  return fs;
}

/** Drops a reference; no lock may be held. */
export function fs_context_put(fs: F): void {
  if (FsContext.refs.add(fs, -1) !== 1) return;
  const root = FsContext.root_dentry.get(fs);
  const root_mount = FsContext.root_mount.get(fs);
  const cwd = FsContext.cwd_dentry.get(fs);
  const cwd_mount = FsContext.cwd_mount.get(fs);
  contexts.free(fs);
  dput(cwd);
  mntput(cwd_mount);
  dput(root);
  mntput(root_mount);
}

/** The root, with references, into `out`. */
export function fs_root(fs: F, out: PathRef): void {
  const p = FsContext.lock.at(fs);
  lock(p, FS_CONTEXT_LOCK);
  out.set(FsContext.root_mount.get(fs), FsContext.root_dentry.get(fs));
  unlock(p, FS_CONTEXT_LOCK);
}

/** The current directory, with references, into `out`. */
export function fs_cwd(fs: F, out: PathRef): void {
  const p = FsContext.lock.at(fs);
  lock(p, FS_CONTEXT_LOCK);
  out.set(FsContext.cwd_mount.get(fs), FsContext.cwd_dentry.get(fs));
  unlock(p, FS_CONTEXT_LOCK);
}

const old = module_path_ref();

/** Puts `to`, whose references are taken over, in the place that two fields of the context keep. */
function replace_place(
  fs: F,
  mount: typeof FsContext.cwd_mount,
  dentry: typeof FsContext.cwd_dentry,
  to: PathRef,
): void {
  const p = FsContext.lock.at(fs);
  lock(p, FS_CONTEXT_LOCK);
  old.mount = mount.get(fs);
  old.dentry = dentry.get(fs);
  mount.set(fs, to.mount);
  dentry.set(fs, to.dentry);
  unlock(p, FS_CONTEXT_LOCK);
  to.mount = 0 as Ptr<'Mount'>;
  to.dentry = 0 as Ptr<'Dentry'>;
  old.put();
}

/** Makes `to` (whose references are taken over) the current directory. */
export function fs_set_cwd(fs: F, to: PathRef): void {
  replace_place(fs, FsContext.cwd_mount, FsContext.cwd_dentry, to);
}

/** Makes `to` (whose references are taken over) the root. */
export function fs_set_root(fs: F, to: PathRef): void {
  replace_place(fs, FsContext.root_mount, FsContext.root_dentry, to);
}

/** Sets the umask and returns the old one. */
export function fs_set_umask(fs: F, umask: number): number {
  const p = FsContext.lock.at(fs);
  lock(p, FS_CONTEXT_LOCK);
  const before = FsContext.umask.get(fs);
  FsContext.umask.set(fs, umask & 0o777);
  unlock(p, FS_CONTEXT_LOCK);
  return before;
}
