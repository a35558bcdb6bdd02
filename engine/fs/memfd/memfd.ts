/**
 * memfd_create(2): regular files of a memory file system that no name leads to, and their seals
 * (F_ADD_SEALS, fcntl(2)).
 *
 * The files lie on one mount outside the mount tree, made at first use (Linux's shm_mnt). A file's name
 * is only for /proc/PID/fd: its dentry is never hashed. Seals are kept in the mapping, where every
 * write, truncation and mmap looks them up; MAPPING_SEALABLE tells a memfd from other files.
 */
import { EBUSY, EINVAL, ENFILE, ENOMEM, EPERM } from '../../abi/errno.ts';
import { FMODE_WRITE, O_LARGEFILE, O_RDWR } from '../../abi/fcntl.ts';
import {
  F_ALL_SEALS,
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
} from '../../abi/memfd.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { MAPPING_LOCK } from '../../heap/lock_order.ts';
import { VM_MAYWRITE, VM_SHARED, Vma } from '../../mm/mm.layout.ts';
import { d_alloc, dput } from '../../vfs/dcache.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_REGULAR } from '../../vfs/file.ts';
import { INODE_KIND_MEMORY, iput } from '../../vfs/inode.ts';
import { MAPPING_SEALABLE, Mapping } from '../../vfs/mapping.layout.ts';
import { kernel_mount, mntget, mntput } from '../../vfs/mount.ts';
import { open_dentry } from '../../vfs/open.ts';
import { inode_mapping } from '../../vfs/regular.ts';
import { vfs_root } from '../../vfs/root.ts';
import { sb_put, tree_lock, tree_unlock } from '../../vfs/super.ts';
import { Dentry, Inode, Mount, SuperBlock, VfsRoot } from '../../vfs/vfs.layout.ts';
import { memory_inode } from '../tmpfs/memory_inode.ts';
import { tmpfs_create } from '../tmpfs/memory_super.ts';

type M = Ptr<'Mount'>;

/** The mount of all memfds with a reference for the caller, or -errno. */
function memfd_mount(): number {
  const root = vfs_root();
  const have = VfsRoot.memfd_mount.load(root) as M;
  if (have !== 0) return mntget(have);
  const sb = tmpfs_create({ mode: 0o700 });
  if (sb < 0) return sb;
  const fresh = kernel_mount(sb as Ptr<'SuperBlock'>, 'tmpfs');
  if (fresh === 0) {
    sb_put(sb as Ptr<'SuperBlock'>);
    return -ENOMEM;
  }
  const winner = VfsRoot.memfd_mount.cas(root, 0, fresh) as M;
  if (winner === 0) return mntget(fresh);
  mntput(fresh);
  return mntget(winner);
}

/** Lets go of the mount of memfds when a machine's mounts go; files that are open keep it. */
export function memfd_unmount(): void {
  const root = vfs_root();
  const mount = VfsRoot.memfd_mount.load(root) as M;
  if (mount === 0) return;
  VfsRoot.memfd_mount.store(root, 0);
  mntput(mount);
}

/**
 * A new empty memory file of the given owner, open for reading and writing; `name` are the bytes after
 * which it is called in /proc/PID/fd. `seals` are its first seals (F_SEAL_SEAL: none can be added).
 * The file, or -errno.
 */
export function memfd_create(
  name: number,
  length: number,
  mode: number,
  seals: number,
  uid: number,
  gid: number,
): number {
  const mount = memfd_mount() as M;
  if (mount < 0) return mount;
  const sb = Mount.sb.get(mount);
  tree_lock(sb);
  const inode = memory_inode(sb, S_IFREG | mode, 0, uid, gid);
  tree_unlock(sb);
  const file = inode < 0 ? inode : open_unnamed(mount, inode as Ptr<'Inode'>, name, length, seals);
  mntput(mount);
  return file;
}

/** Opens a fresh inode, whose reference it takes over, under a dentry that is in no directory. */
function open_unnamed(mount: M, inode: Ptr<'Inode'>, name: number, length: number, seals: number): number {
  Inode.nlink.set(inode, 0);
  const mapping = inode_mapping(inode);
  const dentry = mapping === 0 ? (0 as Ptr<'Dentry'>) : d_alloc(SuperBlock.root.get(Mount.sb.get(mount)), name, length);
  if (dentry === 0) {
    iput(inode);
    return mapping === 0 ? -ENOMEM : -ENFILE;
  }
  Mapping.seals.set(mapping, MAPPING_SEALABLE | seals);
  Dentry.inode.set(dentry, inode);
  const file = open_dentry(mount, dentry, FILE_KIND_REGULAR, O_RDWR | O_LARGEFILE);
  dput(dentry);
  return file;
}

/** The mapping that carries a file's seals: 0 for a memory file that has none, -EINVAL for other files. */
function sealed_mapping(file: Ptr<'File'>): number {
  const inode = File.inode.get(file);
  if (inode === 0 || File.kind.get(file) !== FILE_KIND_REGULAR || Inode.kind.get(inode) !== INODE_KIND_MEMORY)
    return -EINVAL;
  const mapping = Inode.mapping.get(inode);
  return mapping !== 0 && (Mapping.seals.get(mapping) & MAPPING_SEALABLE) !== 0 ? mapping : 0;
}

/** Whether a file was made by memfd_create(2). */
export function is_memfd(file: Ptr<'File'>): boolean {
  return sealed_mapping(file) > 0;
}

/** F_GET_SEALS: the seals (a tmpfs file has F_SEAL_SEAL, like a memfd without MFD_ALLOW_SEALING); -EINVAL. */
export function get_seals(file: Ptr<'File'>): number {
  const mapping = sealed_mapping(file);
  if (mapping <= 0) return mapping === 0 ? F_SEAL_SEAL : mapping;
  return Mapping.seals.get(mapping as Ptr<'Mapping'>) & F_ALL_SEALS;
}

/**
 * F_ADD_SEALS: 0; -EINVAL for unknown seals or a file that has none, -EPERM for a file not open for
 * writing or sealed against it, -EBUSY when F_SEAL_WRITE finds a shared mapping that may be written.
 */
export function add_seals(file: Ptr<'File'>, seals: number): number {
  const found = sealed_mapping(file);
  if ((File.mode.get(file) & FMODE_WRITE) === 0) return -EPERM;
  if ((seals & ~F_ALL_SEALS) !== 0) return -EINVAL;
  if (found <= 0) return found === 0 ? -EPERM : found;
  const mapping = found as Ptr<'Mapping'>;
  // What is executable and must stay so must not change either (memfd_create(2), F_SEAL_EXEC).
  const executable = (Inode.mode.get(File.inode.get(file)) & 0o111) !== 0;
  if ((seals & F_SEAL_EXEC) !== 0 && executable)
    seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const old = Mapping.seals.get(mapping);
  let result = 0;
  if ((old & F_SEAL_SEAL) !== 0) result = -EPERM;
  else if ((seals & ~old & F_SEAL_WRITE) !== 0 && may_be_written(mapping)) result = -EBUSY;
  else Mapping.seals.set(mapping, old | seals);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  return result;
}

/** Whether a shared mapping is, or with mprotect could become, writable. Under the mapping's lock. */
function may_be_written(mapping: Ptr<'Mapping'>): boolean {
  const shared = VM_SHARED | VM_MAYWRITE;
  let vma = Mapping.vmas.get(mapping);
  while (vma !== 0 && (Vma.flags.get(vma) & shared) !== shared) vma = Vma.mapping_next.get(vma);
  return vma !== 0;
}
