/**
 * Superblocks: one instance of a file system, shared by all its mounts. File system types register by
 * kind, at module load; `mount` of a type makes a superblock with its root dentry.
 */

import { make_dev } from '../abi/stat.ts';
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_write } from '../heap/bytes.ts';
import { type LockClass, lock, unlock } from '../heap/lock.ts';
import { MOUNT_LOCK, PSEUDO_TREE_LOCK, TREE_LOCK } from '../heap/lock_order.ts';
import { slab } from '../heap/slab.ts';
import { d_shrink, d_unpin_tree, dput } from './dcache.ts';
import { notify_unmount } from './notify.ts';
import { vfs_root } from './root.ts';
import { SB_DYING, SB_NO_CACHE, SuperBlock, VfsRoot } from './vfs.layout.ts';

type S = Ptr<'SuperBlock'>;

/** What statfs(2) tells, in blocks of `block_size` bytes. */
export interface FilesystemStatistics {
  magic: number;
  block_size: number;
  blocks: number;
  blocks_free: number;
  files: number;
  files_free: number;
}

export interface FilesystemType {
  readonly name: string;
  /** A superblock for mount(2) with its option string, or -errno. Absent: not mountable by the guest. */
  mount?(source: string, flags: number, options: string): number;
  /** Fills in what is not zero by default. */
  statistics?(sb: S, out: FilesystemStatistics): void;
  /** Every dentry and inode is gone: free the file system's own records. */
  kill?(sb: S): void;
}

export const FS_MEMORY = 1;
export const FS_OVERLAY = 2;
export const FS_HOST = 3;
export const FS_PROC = 4;
export const FS_SYS = 5;
export const FS_DEV = 6;
export const FS_DEVPTS = 7;
export const FS_DEBUG = 8;
export const FS_MEMFD = 9;
export const FS_PIPE = 10;
export const FS_SOCKET = 11;

const types: (FilesystemType | undefined)[] = [];

/** Installs a file system type, at module load. */
export function register_filesystem(kind: number, type: FilesystemType): void {
  assert(types[kind] === undefined, `file system kind ${kind} registered twice`);
  types[kind] = type;
}

/** The type of a superblock. */
export function filesystem_type(sb: S): FilesystemType {
  const type = types[SuperBlock.kind.get(sb)];
  assert(type !== undefined, 'superblock of unknown kind');
  return type;
}

/** The registered types, for mount(2) and /proc/filesystems. */
export function filesystem_types(): readonly FilesystemType[] {
  return types.filter((type) => type !== undefined);
}

const superblocks = slab(SuperBlock);

/** A superblock without root, with one reference and a device number of its own; 0 on exhaustion. */
export function sb_alloc(kind: number, magic: number, flags: number, type_name: string): S {
  const sb = superblocks.alloc();
  if (sb === 0) return sb;
  const root = vfs_root();
  SuperBlock.refs.store(sb, 1);
  SuperBlock.kind.set(sb, kind);
  SuperBlock.magic.set(sb, magic);
  SuperBlock.flags.store(sb, flags);
  SuperBlock.next_ino.set(sb, 1);
  bytes_write(SuperBlock.type_name.at(sb), type_name.slice(0, 15));
  const p = VfsRoot.mount_lock.at(root);
  lock(p, MOUNT_LOCK);
  const minor = VfsRoot.next_minor.get(root);
  VfsRoot.next_minor.set(root, minor + 1);
  SuperBlock.dev.set(sb, make_dev(0, minor));
  SuperBlock.next.set(sb, VfsRoot.superblocks.get(root));
  VfsRoot.superblocks.set(root, sb);
  unlock(p, MOUNT_LOCK);
  return sb;
}

/** Takes a reference. */
export function sb_get(sb: S): S {
  SuperBlock.refs.add(sb, 1);
  return sb;
}

/** Drops a reference; the last one dismantles the file system. No lock may be held. */
export function sb_put(sb: S): void {
  if (SuperBlock.refs.add(sb, -1) !== 1) return;
  notify_unmount(sb);
  SuperBlock.flags.or(sb, SB_DYING);
  const root_dentry = SuperBlock.root.get(sb);
  if (root_dentry !== 0) {
    d_unpin_tree(root_dentry);
    d_shrink(sb);
    dput(root_dentry);
    d_shrink(sb);
  }
  filesystem_type(sb).kill?.(sb);
  assert(SuperBlock.inodes.load(sb) === 0, `${filesystem_type(sb).name}: inodes left at unmount`);
  const root = vfs_root();
  const p = VfsRoot.mount_lock.at(root);
  lock(p, MOUNT_LOCK);
  let at = VfsRoot.superblocks.get(root);
  if (at === sb) VfsRoot.superblocks.set(root, SuperBlock.next.get(sb));
  else {
    while (SuperBlock.next.get(at) !== sb) at = SuperBlock.next.get(at);
    SuperBlock.next.set(at, SuperBlock.next.get(sb));
  }
  unlock(p, MOUNT_LOCK);
  superblocks.free(sb);
}

/** A file system that keeps no names, since it makes them up, looks at what has locks of its own to do so. */
function tree_class(sb: S): LockClass {
  return (SuperBlock.flags.load(sb) & SB_NO_CACHE) !== 0 ? PSEUDO_TREE_LOCK : TREE_LOCK;
}

/** Takes the superblock's tree lock. */
export function tree_lock(sb: S): void {
  lock(SuperBlock.tree.at(sb), tree_class(sb));
}

/** Releases the superblock's tree lock. */
export function tree_unlock(sb: S): void {
  unlock(SuperBlock.tree.at(sb), tree_class(sb));
}

/** The next inode number of a superblock that numbers its own inodes; the tree lock is held. */
export function sb_next_ino(sb: S): number {
  const ino = SuperBlock.next_ino.get(sb);
  SuperBlock.next_ino.set(sb, ino + 1);
  return ino;
}
