/**
 * The overlay: a memory file system whose inodes may stand for inodes of a read-only lower layer.
 *
 * Nothing is copied when a lower file is changed: its inode keeps reading what was not overwritten from
 * below, page by page. Inode numbers are those of the lower layer and never change; files made here get
 * numbers above them. Attributes, names and data of what was changed live in memory only.
 */
import { ENOMEM } from '../../abi/errno.ts';
import { OVERLAYFS_MAGIC } from '../../abi/mount.ts';
import type { Ptr } from '../../base/types.ts';
import { d_alloc_root } from '../../vfs/dcache.ts';
import { icache_insert, iget, iput } from '../../vfs/inode.ts';
import { FS_OVERLAY, register_filesystem, sb_alloc, sb_get, sb_put } from '../../vfs/super.ts';
import { Dentry, SuperBlock } from '../../vfs/vfs.layout.ts';
import { MemoryFs } from '../tmpfs/memory.layout.ts';
import { memory_fs } from '../tmpfs/memory_data.ts';
import { stand_for } from '../tmpfs/memory_inode.ts';
import { type MemoryOptions, memory_statistics, release_modified, set_limits } from '../tmpfs/memory_super.ts';

/** Numbers of inodes made in the overlay; a lower layer's are smaller. */
const FIRST_OWN_INO = 2 ** 52;

/** An overlay over the root of `lower` (which it references): the superblock with one reference, or -ENOMEM. */
export function overlay_create(lower: Ptr<'SuperBlock'>, options: MemoryOptions): number {
  const sb = sb_alloc(FS_OVERLAY, OVERLAYFS_MAGIC, 0, 'overlay');
  if (sb === 0) return -ENOMEM;
  set_limits(sb, options);
  SuperBlock.next_ino.set(sb, FIRST_OWN_INO);
  MemoryFs.lower_sb.set(memory_fs(sb), sb_get(lower));
  const lower_root = iget(Dentry.inode.get(SuperBlock.root.get(lower)));
  const inode = stand_for(sb, lower_root);
  const root = inode < 0 ? (0 as Ptr<'Dentry'>) : d_alloc_root(sb, inode as Ptr<'Inode'>);
  if (root === 0) {
    if (inode > 0) iput(inode as Ptr<'Inode'>);
    sb_put(sb);
    return -ENOMEM;
  }
  icache_insert(inode as Ptr<'Inode'>, lower_root, 1);
  SuperBlock.root.set(sb, root);
  return sb;
}

register_filesystem(FS_OVERLAY, {
  name: 'overlay',
  statistics: memory_statistics,
  kill(sb) {
    release_modified(sb);
    sb_put(MemoryFs.lower_sb.get(memory_fs(sb)));
  },
});
