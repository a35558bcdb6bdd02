/**
 * Who may do what with an inode: path_resolution(7), "Permissions", and credentials(7). File system
 * accesses use fsuid, fsgid and the supplementary groups; capabilities override.
 */

import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID } from '../abi/capability.ts';
import { EACCES, EPERM, EROFS } from '../abi/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFSOCK, S_ISVTX } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { Inode, MOUNT_READ_ONLY, Mount, SB_READ_ONLY, SuperBlock } from './vfs.layout.ts';

type I = Ptr<'Inode'>;
type C = Ptr<'Credentials'>;

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** Whether a capability (its number) is effective. */
export function capable(credentials: C, capability: number): boolean {
  const half = capability < 32 ? Credentials.cap_effective.lo(credentials) : Credentials.cap_effective.hi(credentials);
  return ((half >>> (capability & 31)) & 1) !== 0;
}

let current_credentials: (() => C) | null = null;

/** Installs the way to the running task's credentials, at module load of a layer that knows tasks. */
export function register_current_credentials(source: () => C): void {
  current_credentials = source;
}

/** Whether the running task keeps set-id bits of files it writes to; kernel work on nobody's behalf does not. */
export function writer_keeps_set_id(): boolean {
  const credentials = current_credentials?.() ?? (0 as C);
  return credentials !== 0 && capable(credentials, CAP_FSETID);
}

/** Whether `gid` is the file system group or a supplementary one. */
export function in_group(credentials: C, gid: number): boolean {
  if (Credentials.fsgid.get(credentials) === gid) return true;
  const count = Credentials.group_count.get(credentials);
  const groups = Credentials.groups.at(credentials) >> 2;
  for (let i = 0; i < count; i++) if (U32[groups + i] === gid) return true;
  return false;
}

/** 0 when the accesses in `mask` (MAY_*) are allowed by mode, owner and capabilities, else -EACCES. */
export function inode_permission(inode: I, mask: number, credentials: C): number {
  const mode = Inode.mode.get(inode);
  let bits = mode & 7;
  if (Credentials.fsuid.get(credentials) === Inode.uid.get(inode)) bits = (mode >>> 6) & 7;
  else if (((mode >>> 3) & 7) !== bits && in_group(credentials, Inode.gid.get(inode))) bits = (mode >>> 3) & 7;
  if ((mask & ~bits) === 0) return 0;
  const is_directory = (mode & S_IFMT) === S_IFDIR;
  // Execution of a file needs some x bit even for root; search of a directory does not.
  const exec_ok = (mask & MAY_EXEC) === 0 || is_directory || (mode & 0o111) !== 0;
  if (exec_ok && capable(credentials, CAP_DAC_OVERRIDE)) return 0;
  const searching = is_directory ? (mask & MAY_WRITE) === 0 : mask === MAY_READ;
  if (searching && capable(credentials, CAP_DAC_READ_SEARCH)) return 0;
  return -EACCES;
}

/** Like `inode_permission`, and -EROFS for writing to a file, directory or link of a read-only mount. */
export function path_permission(mount: Ptr<'Mount'>, inode: I, mask: number, credentials: C): number {
  if ((mask & MAY_WRITE) !== 0 && is_read_only(mount)) {
    const type = Inode.mode.get(inode) & S_IFMT;
    // Devices, FIFOs and sockets are written through, not changed.
    if (type !== S_IFCHR && type !== S_IFBLK && type !== S_IFIFO && type !== S_IFSOCK) return -EROFS;
  }
  return inode_permission(inode, mask, credentials);
}

/** Whether nothing may be changed through this mount. */
export function is_read_only(mount: Ptr<'Mount'>): boolean {
  return (
    (Mount.flags.load(mount) & MOUNT_READ_ONLY) !== 0 ||
    (SuperBlock.flags.load(Mount.sb.get(mount)) & SB_READ_ONLY) !== 0
  );
}

/** Whether the credentials own the inode, or may act as its owner. */
export function owner_or_capable(inode: I, credentials: C): boolean {
  return Credentials.fsuid.get(credentials) === Inode.uid.get(inode) || capable(credentials, CAP_FOWNER);
}

/** 0 when an entry `victim` may be removed from `dir`: write and search, and the sticky bit's rule. */
export function may_delete(dir: I, victim: I, credentials: C): number {
  const result = inode_permission(dir, MAY_WRITE | MAY_EXEC, credentials);
  if (result !== 0) return result;
  if ((Inode.mode.get(dir) & S_ISVTX) === 0) return 0;
  const uid = Credentials.fsuid.get(credentials);
  if (uid === Inode.uid.get(victim) || uid === Inode.uid.get(dir) || capable(credentials, CAP_FOWNER)) return 0;
  return -EPERM;
}
