/**
 * PathRef: a place in the name space, with references: Linux's struct path.
 */
import { register_transient } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { dget, dput } from './dcache.ts';
import { mntget, mntput } from './mount.ts';

export class PathRef {
  mount = 0 as Ptr<'Mount'>;
  dentry = 0 as Ptr<'Dentry'>;

  /** Points here, taking references; what was held before must have been put. */
  set(mount: Ptr<'Mount'>, dentry: Ptr<'Dentry'>): void {
    this.mount = mntget(mount);
    this.dentry = dget(dentry);
  }

  /** Drops the references held, if any. */
  put(): void {
    const { mount, dentry } = this;
    this.mount = 0 as Ptr<'Mount'>;
    this.dentry = 0 as Ptr<'Dentry'>;
    if (dentry !== 0) dput(dentry);
    if (mount !== 0) mntput(mount);
  }

  /** Holds nothing any more, without giving anything back. */
  forget(): void {
    this.mount = 0 as Ptr<'Mount'>;
    this.dentry = 0 as Ptr<'Dentry'>;
  }
}

/** A place that a module uses again in each call. */
export function module_path_ref(): PathRef {
  const ref = new PathRef();
  register_transient(() => ref.forget());
  return ref;
}
