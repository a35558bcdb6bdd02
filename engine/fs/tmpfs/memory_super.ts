/**
 * tmpfs(5): the file system type, its mount options, and the operations of its inodes.
 */
import { EINVAL, ENOMEM } from '../../abi/errno.ts';
import { TMPFS_MAGIC } from '../../abi/mount.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { MACHINE, MachineHeader } from '../../heap/machine.layout.ts';
import { d_alloc_root } from '../../vfs/dcache.ts';
import {
  INODE_KIND_MEMORY,
  INODE_KIND_OVERLAY,
  type InodeOperations,
  iput,
  register_inode_operations,
} from '../../vfs/inode.ts';
import { MAPPING_OVERLAY, MAPPING_TMPFS } from '../../vfs/mapping.layout.ts';
import { type FilesystemStatistics, FS_MEMORY, register_filesystem, sb_alloc, sb_put } from '../../vfs/super.ts';
import { SuperBlock } from '../../vfs/vfs.layout.ts';
import { MemoryFs } from './memory.layout.ts';
import { memory_allocate, memory_fs, memory_read_page } from './memory_data.ts';
import {
  memory_create,
  memory_link,
  memory_lookup,
  memory_read_dir,
  memory_remove,
  memory_rename,
  memory_symlink,
  memory_tmpfile,
} from './memory_dir.ts';
import {
  forget_modified,
  memory_close,
  memory_evict,
  memory_inode,
  memory_open_lower,
  memory_prepare_open,
  memory_prepare_write,
  memory_read_link,
  memory_refresh,
  memory_set_attributes,
  note_change,
} from './memory_inode.ts';

const operations: InodeOperations = {
  name: 'tmpfs',
  mapping_kind: MAPPING_TMPFS,
  has_xattrs: true,
  lookup: memory_lookup,
  create: memory_create,
  symlink: memory_symlink,
  link: memory_link,
  remove: memory_remove,
  rename: memory_rename,
  tmpfile: memory_tmpfile,
  read_link: memory_read_link,
  read_dir: memory_read_dir,
  refresh: memory_refresh,
  set_attributes: memory_set_attributes,
  allocate: memory_allocate,
  evict: memory_evict,
};
register_inode_operations(INODE_KIND_MEMORY, operations);
register_inode_operations(INODE_KIND_OVERLAY, {
  ...operations,
  name: 'overlay',
  mapping_kind: MAPPING_OVERLAY,
  prepare_open: memory_prepare_open,
  close: memory_close,
  open: memory_open_lower,
  note_change,
  prepare_write: memory_prepare_write,
  read_page: memory_read_page,
});

/** What mount options say of a memory file system. */
export interface MemoryOptions {
  /** Limit of data in bytes; absent: half of guest RAM. */
  size?: number;
  /** Limit of inodes; absent: what half of the kernel heap can hold. */
  inodes?: number;
  mode?: number;
  uid?: number;
  gid?: number;
}

/** Sets the limits of a fresh superblock. */
export function set_limits(sb: Ptr<'SuperBlock'>, options: MemoryOptions): void {
  const fs = memory_fs(sb);
  const frames = MachineHeader.frames_total.get(MACHINE);
  const heap = MachineHeader.heap_end.get(MACHINE) - MachineHeader.heap_base.get(MACHINE);
  MemoryFs.pages_max.set(fs, Math.min(Math.ceil((options.size ?? (frames / 2) * 4096) / 4096), 0x7fff_ffff));
  // An inode with its dentry and link target takes about half a kilobyte.
  MemoryFs.inodes_max.set(fs, Math.min(options.inodes ?? Math.floor(heap / 2 / 512), 0x7fff_ffff));
}

/**
 * A tmpfs with an empty root directory: the superblock with one reference, or -ENOMEM. `type_name` is what the mount
 * table says: a devtmpfs is a tmpfs in all but that.
 */
export function tmpfs_create(options: MemoryOptions, type_name = 'tmpfs'): number {
  const sb = sb_alloc(FS_MEMORY, TMPFS_MAGIC, 0, type_name);
  if (sb === 0) return -ENOMEM;
  set_limits(sb, options);
  const mode = S_IFDIR | (options.mode ?? 0o1777);
  const inode = memory_inode(sb, mode, 0, options.uid ?? 0, options.gid ?? 0);
  const root = inode < 0 ? (0 as Ptr<'Dentry'>) : d_alloc_root(sb, inode as Ptr<'Inode'>);
  if (root === 0) {
    if (inode > 0) iput(inode as Ptr<'Inode'>);
    sb_put(sb);
    return -ENOMEM;
  }
  SuperBlock.root.set(sb, root);
  return sb;
}

/** A size as tmpfs writes it: bytes, or with k, m, g, or % of RAM. NaN when it is none. */
export function parse_size(text: string): number {
  const match = /^(\d+)([kKmMgG%]?)$/.exec(text);
  if (match === null) return Number.NaN;
  const value = Number(match[1]);
  const unit = (match[2] ?? '').toLowerCase();
  if (unit === '%') return Math.floor((MachineHeader.frames_total.get(MACHINE) * value) / 100) * 4096;
  return value * (unit === 'k' ? 1024 : unit === 'm' ? 1 << 20 : unit === 'g' ? 1 << 30 : 1);
}

/** Parses tmpfs mount options; null when one is unknown or malformed. */
export function parse_options(text: string): MemoryOptions | null {
  const options: MemoryOptions = {};
  for (const option of text.split(',')) {
    const at = option.indexOf('=');
    const key = at < 0 ? option : option.slice(0, at);
    const value = at < 0 ? '' : option.slice(at + 1);
    let number = Number.parseInt(value, key === 'mode' ? 8 : 10);
    if (key === '' || key === 'noswap' || key === 'huge' || key === 'mpol') continue;
    if (key === 'size' || key === 'nr_inodes') number = parse_size(value);
    if (key === 'nr_blocks') number = parse_size(value) * 4096;
    if (Number.isNaN(number)) return null;
    if (key === 'size' || key === 'nr_blocks') options.size = number;
    else if (key === 'nr_inodes') options.inodes = number;
    else if (key === 'mode') options.mode = number & 0o7777;
    else if (key === 'uid') options.uid = number;
    else if (key === 'gid') options.gid = number;
    else return null;
  }
  return options;
}

/** statfs(2) of a memory file system. */
export function memory_statistics(sb: Ptr<'SuperBlock'>, out: FilesystemStatistics): void {
  const fs = memory_fs(sb);
  out.blocks = MemoryFs.pages_max.get(fs);
  out.blocks_free = Math.max(0, out.blocks - MemoryFs.pages_used.load(fs));
  out.files = MemoryFs.inodes_max.get(fs);
  out.files_free = Math.max(0, out.files - MemoryFs.inodes_used.load(fs));
}

/** Lets go of the modified inodes of a stacked superblock that is dismantled. */
export function release_modified(sb: Ptr<'SuperBlock'>): void {
  const fs = memory_fs(sb);
  for (let inode = MemoryFs.first_modified.get(fs); inode !== 0; inode = MemoryFs.first_modified.get(fs))
    forget_modified(inode);
}

register_filesystem(FS_MEMORY, {
  name: 'tmpfs',
  mount(_source, _flags, text) {
    const options = parse_options(text);
    return options === null ? -EINVAL : tmpfs_create(options);
  },
  statistics: memory_statistics,
});
