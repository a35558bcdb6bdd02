/**
 * What stat(2) and statx(2) tell of a file, before it is laid out for the guest.
 */
import { S_IFIFO, S_IFSOCK } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { Pipe } from '../fs/anon/pipe.layout.ts';
import { lock, unlock } from '../heap/lock.ts';
import { INODE_LOCK } from '../heap/lock_order.ts';
import { UnixSocket } from '../socket/socket.layout.ts';
import { File } from './file.layout.ts';
import { FILE_KIND_PIPE, FILE_KIND_SOCKET } from './file.ts';
import { inode_operations } from './inode.ts';
import { now_seconds } from './time.ts';
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

/** Attributes of an open file; those of files without an inode (pipes, eventfds) are made up from the kind. */
export function file_status(file: Ptr<'File'>, out: FileStatus): number {
  const inode = File.inode.get(file);
  if (inode !== 0) return inode_status(inode, out);
  const kind = File.kind.get(file);
  const type = kind === FILE_KIND_PIPE ? S_IFIFO : kind === FILE_KIND_SOCKET ? S_IFSOCK | 0o177 : 0;
  out.dev = ANONYMOUS_DEV;
  out.ino = File.object.get(file) || file;
  out.mode = type | 0o600;
  out.nlink = 1;
  const object = File.object.get(file);
  out.uid = out.gid = 0;
  if (kind === FILE_KIND_PIPE) {
    out.uid = Pipe.uid.get(object as Ptr<'Pipe'>);
    out.gid = Pipe.gid.get(object as Ptr<'Pipe'>);
  } else if (kind === FILE_KIND_SOCKET) {
    out.uid = UnixSocket.uid.get(object as Ptr<'UnixSocket'>);
    out.gid = UnixSocket.gid.get(object as Ptr<'UnixSocket'>);
  }
  out.rdev = 0;
  out.size = 0;
  out.blocks = 0;
  out.block_size = 4096;
  out.atime = out.mtime = out.ctime = out.btime = now_seconds();
  out.atime_ns = out.mtime_ns = out.ctime_ns = out.btime_ns = 0;
  return 0;
}

/** Device number of files without a file system. */
const ANONYMOUS_DEV = 14;
