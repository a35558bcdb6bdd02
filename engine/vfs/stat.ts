/**
 * What stat(2) and statx(2) tell of a file, before it is laid out for the guest.
 */
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { INODE_LOCK } from '../heap/lock_order.ts';
import { inode_operations } from './inode.ts';
import { Inode, SuperBlock } from './vfs.layout.ts';

/** Attributes of a file. Reused: `fill_stat` sets every field. */
export class FileStatus {
  dev = 0;
  ino = 0;
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  rdev = 0;
  size = 0;
  block_size = 4096;
  /** Units of 512 bytes. */
  blocks = 0;
  atime = 0;
  atime_ns = 0;
  mtime = 0;
  mtime_ns = 0;
  ctime = 0;
  ctime_ns = 0;
  btime = 0;
  btime_ns = 0;
}

/** Reads an inode's attributes, brought up to date by its file system. 0 or -errno. */
export function inode_status(inode: Ptr<'Inode'>, out: FileStatus): number {
  const refresh = inode_operations(inode).refresh;
  if (refresh !== undefined) {
    const result = refresh(inode);
    if (result !== 0) return result;
  }
  out.dev = SuperBlock.dev.get(Inode.sb.get(inode));
  out.ino = Inode.ino.get(inode);
  out.rdev = Inode.rdev.get(inode);
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  out.mode = Inode.mode.get(inode);
  out.nlink = Inode.nlink.get(inode);
  out.uid = Inode.uid.get(inode);
  out.gid = Inode.gid.get(inode);
  out.size = Inode.size.get(inode);
  out.blocks = Inode.blocks.get(inode);
  out.atime = Inode.atime.get(inode);
  out.atime_ns = Inode.atime_ns.get(inode);
  out.mtime = Inode.mtime.get(inode);
  out.mtime_ns = Inode.mtime_ns.get(inode);
  out.ctime = Inode.ctime.get(inode);
  out.ctime_ns = Inode.ctime_ns.get(inode);
  unlock(p, INODE_LOCK);
  out.btime = Inode.btime.get(inode);
  out.btime_ns = Inode.btime_ns.get(inode);
  out.block_size = 4096;
  return 0;
}
