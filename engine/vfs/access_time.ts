/**
 * When reading moves an access time: relatime, Linux's default (fs/inode.c, atime_needs_update), without its rule that
 * one of yesterday moves too.
 */
import { O_NOATIME } from '../abi/fcntl.ts';
import type { Ptr } from '../base/types.ts';
import { File } from './file.layout.ts';
import { inode_operations, inode_touch, TOUCH_ATIME } from './inode.ts';
import { now_nanoseconds, now_seconds } from './time.ts';
import { Inode, MOUNT_NOATIME, MOUNT_READ_ONLY, Mount } from './vfs.layout.ts';

/** Whether the inode's access time is not later than its last change, and the present is. */
export function atime_is_stale(mount: Ptr<'Mount'>, inode: Ptr<'Inode'>): boolean {
  if ((Mount.flags.load(mount) & (MOUNT_NOATIME | MOUNT_READ_ONLY)) !== 0) return false;
  const seconds = Inode.atime.get(inode);
  const nanoseconds = Inode.atime_ns.get(inode);
  const { mtime, mtime_ns, ctime, ctime_ns } = Inode;
  const later =
    is_later(seconds, nanoseconds, mtime.get(inode), mtime_ns.get(inode)) &&
    is_later(seconds, nanoseconds, ctime.get(inode), ctime_ns.get(inode));
  // The host keeps the times of its own files.
  if (later || inode_operations(inode).write_through !== undefined) return false;
  return seconds !== now_seconds() || nanoseconds !== now_nanoseconds();
}

function is_later(seconds: number, nanoseconds: number, than_seconds: number, than_nanoseconds: number): boolean {
  return seconds > than_seconds || (seconds === than_seconds && nanoseconds > than_nanoseconds);
}

/** The inode was read by way of the mount. */
export function inode_accessed(mount: Ptr<'Mount'>, inode: Ptr<'Inode'>): void {
  if (atime_is_stale(mount, inode)) inode_touch(inode, TOUCH_ATIME);
}

/** The open file was read, whatever came of it. */
export function file_accessed(file: Ptr<'File'>): void {
  if ((File.flags.get(file) & O_NOATIME) === 0) inode_accessed(File.mount.get(file), File.inode.get(file));
}
