/**
 * Changes of an inode's attributes (Linux's notify_change): chmod, chown, truncate, utimes. The checks
 * are made here; the file system applies the change.
 */
import { CAP_CHOWN, CAP_FOWNER, CAP_FSETID } from '../abi/capability.ts';
import { EACCES, EINVAL, EISDIR, EOPNOTSUPP, EPERM } from '../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_IXGRP } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { INODE_LOCK } from '../heap/lock_order.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { inode_operations, inode_touch_locked, TOUCH_CTIME } from './inode.ts';
import { capable, in_group, inode_permission, MAY_WRITE, owner_or_capable, writer_keeps_set_id } from './permission.ts';
import { now_nanoseconds, now_seconds } from './time.ts';
import { Inode } from './vfs.layout.ts';

type I = Ptr<'Inode'>;
type C = Ptr<'Credentials'>;

export const ATTR_MODE = 1;
export const ATTR_UID = 2;
export const ATTR_GID = 4;
export const ATTR_SIZE = 8;
export const ATTR_ATIME = 16;
export const ATTR_MTIME = 32;

/** A change to make: `valid` says which fields count. */
export class AttributeChange {
  valid = 0;
  mode = 0;
  uid = 0;
  gid = 0;
  size = 0;
  atime = 0;
  atime_ns = 0;
  mtime = 0;
  mtime_ns = 0;
}

const change = new AttributeChange();

function apply(inode: I): number {
  const operations = inode_operations(inode);
  if (operations.set_attributes !== undefined) return operations.set_attributes(inode, change);
  if ((change.valid & ATTR_SIZE) !== 0) return -EINVAL;
  set_attributes_in_memory(inode, change);
  return 0;
}

/** Writes the new attributes (all but the size) into the inode and stamps its change time. */
export function set_attributes_in_memory(inode: I, c: AttributeChange): void {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  if ((c.valid & ATTR_MODE) !== 0) Inode.mode.set(inode, (Inode.mode.get(inode) & S_IFMT) | (c.mode & ~S_IFMT));
  if ((c.valid & ATTR_UID) !== 0) Inode.uid.set(inode, c.uid);
  if ((c.valid & ATTR_GID) !== 0) Inode.gid.set(inode, c.gid);
  if ((c.valid & ATTR_ATIME) !== 0) {
    Inode.atime.set(inode, c.atime);
    Inode.atime_ns.set(inode, c.atime_ns);
  }
  if ((c.valid & ATTR_MTIME) !== 0) {
    Inode.mtime.set(inode, c.mtime);
    Inode.mtime_ns.set(inode, c.mtime_ns);
  }
  inode_touch_locked(inode, TOUCH_CTIME);
  unlock(p, INODE_LOCK);
}

/** chmod(2): the owner only; S_ISGID falls away for a file of a group that is not the caller's. */
export function vfs_chmod(inode: I, mode: number, credentials: C): number {
  if (inode_operations(inode).fixed_attributes === true) return -EOPNOTSUPP;
  if (!owner_or_capable(inode, credentials)) return -EPERM;
  change.valid = ATTR_MODE;
  change.mode = mode & 0o7777;
  if (!in_group(credentials, Inode.gid.get(inode)) && !capable(credentials, CAP_FSETID)) change.mode &= ~S_ISGID;
  return apply(inode);
}

/** chown(2): -1 leaves an id alone. Changing the owner of a file takes its set-id bits away. */
export function vfs_chown(inode: I, uid: number, gid: number, credentials: C): number {
  if (inode_operations(inode).fixed_attributes === true) return -EOPNOTSUPP;
  const owner = Inode.uid.get(inode);
  const is_owner = Credentials.fsuid.get(credentials) === owner;
  change.valid = 0;
  if (uid !== -1) {
    if (!(is_owner && uid >>> 0 === owner) && !capable(credentials, CAP_CHOWN)) return -EPERM;
    change.valid |= ATTR_UID;
    change.uid = uid >>> 0;
  }
  if (gid !== -1) {
    const same = gid >>> 0 === Inode.gid.get(inode) || in_group(credentials, gid >>> 0);
    if (!(is_owner && same) && !capable(credentials, CAP_CHOWN)) return -EPERM;
    change.valid |= ATTR_GID;
    change.gid = gid >>> 0;
  }
  const mode = Inode.mode.get(inode);
  if ((mode & S_IFMT) !== S_IFDIR) {
    const without = without_set_id(mode);
    if (without !== mode) {
      change.valid |= ATTR_MODE;
      change.mode = without;
    }
  }
  if (change.valid === 0) return 0;
  return apply(inode);
}

/** The mode without set-user-id, and without set-group-id where the group may execute. */
export function without_set_id(mode: number): number {
  if ((mode & S_IXGRP) !== 0) mode &= ~S_ISGID;
  return mode & ~S_ISUID;
}

/** Sets the size of a regular file that was opened for writing or whose write permission was checked. */
export function vfs_truncate(inode: I, size: number, credentials: C): number {
  const mode = Inode.mode.get(inode);
  if ((mode & S_IFMT) === S_IFDIR) return -EISDIR;
  if ((mode & S_IFMT) !== S_IFREG) return -EINVAL;
  change.valid = ATTR_SIZE | ATTR_MTIME;
  change.size = size;
  change.mtime = now_seconds();
  change.mtime_ns = now_nanoseconds();
  const without = without_set_id(mode);
  if (without !== mode && !capable(credentials, CAP_FSETID)) {
    change.valid |= ATTR_MODE;
    change.mode = without;
  }
  return apply(inode);
}

/** Drops set-id bits when the running task writes to the file without CAP_FSETID. No lock is held. */
export function strip_set_id_on_write(inode: I): void {
  const mode = Inode.mode.get(inode);
  const without = without_set_id(mode);
  if (without === mode || writer_keeps_set_id()) return;
  change.valid = ATTR_MODE;
  change.mode = without;
  apply(inode);
}

/** One of the two times of utimensat(2). */
export interface TimeChoice {
  /** 0 omit, 1 now, 2 the given time. */
  kind: number;
  seconds: number;
  nanoseconds: number;
}
export const TIME_OMIT = 0;
export const TIME_NOW = 1;
export const TIME_SET = 2;

/**
 * utimensat(2): setting both to now needs write permission or ownership, anything else ownership.
 */
export function vfs_utimes(inode: I, atime: TimeChoice, mtime: TimeChoice, credentials: C): number {
  if (atime.kind === TIME_OMIT && mtime.kind === TIME_OMIT) return 0;
  if (atime.kind === TIME_NOW && mtime.kind === TIME_NOW) {
    const owner = Credentials.fsuid.get(credentials) === Inode.uid.get(inode) || capable(credentials, CAP_FOWNER);
    if (!owner && inode_permission(inode, MAY_WRITE, credentials) !== 0) return -EACCES;
  } else if (inode_operations(inode).fixed_attributes !== true && !owner_or_capable(inode, credentials)) return -EPERM;
  if (inode_operations(inode).fixed_attributes === true) return -EOPNOTSUPP;
  change.valid = 0;
  const seconds = now_seconds();
  const nanoseconds = now_nanoseconds();
  if (atime.kind !== TIME_OMIT) {
    change.valid |= ATTR_ATIME;
    change.atime = atime.kind === TIME_NOW ? seconds : atime.seconds;
    change.atime_ns = atime.kind === TIME_NOW ? nanoseconds : atime.nanoseconds;
  }
  if (mtime.kind !== TIME_OMIT) {
    change.valid |= ATTR_MTIME;
    change.mtime = mtime.kind === TIME_NOW ? seconds : mtime.seconds;
    change.mtime_ns = mtime.kind === TIME_NOW ? nanoseconds : mtime.nanoseconds;
  }
  return apply(inode);
}
