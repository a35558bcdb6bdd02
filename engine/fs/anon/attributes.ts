/**
 * Attributes of files that no path leads to. In Linux each pipe and each socket has an inode of its own, on a file
 * system that nobody can mount (pipefs, sockfs); all eventfds, timerfds and their like share one (anon_inodefs), whose
 * attributes cannot be changed, and pidfds have those of pidfs.
 *
 * Here a pipe or a socket gets its inode when its attributes are first asked for; it goes with the pipe, or with the
 * socket's file. The shared ones are made at boot. `File.inode` of all of them is 0.
 */

import { ENOMEM } from '../../abi/errno.ts';
import { ANON_INODE_MAGIC, PID_FS_MAGIC, PIPEFS_MAGIC, SOCKFS_MAGIC } from '../../abi/mount.ts';
import { S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import { assert } from '../../base/assert.ts';
import type { Ptr } from '../../base/types.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { UnixSocket } from '../../socket/socket.layout.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_PIDFD, FILE_KIND_PIPE, FILE_KIND_SOCKET } from '../../vfs/file.ts';
import {
  INODE_KIND_ANON,
  INODE_KIND_PIPE,
  INODE_KIND_SOCKET,
  inode_alloc,
  iput,
  register_inode_operations,
} from '../../vfs/inode.ts';
import { type FileStatus, inode_status } from '../../vfs/stat.ts';
import { FS_PIPE, FS_SOCKET, register_filesystem, sb_alloc } from '../../vfs/super.ts';
import { Inode } from '../../vfs/vfs.layout.ts';
import { AnonRoot } from './epoll.layout.ts';
import { Pipe } from './pipe.layout.ts';
import { anon_root } from './root.ts';

type I = Ptr<'Inode'>;

register_filesystem(FS_PIPE, { name: 'pipefs' });
register_filesystem(FS_SOCKET, { name: 'sockfs' });
register_inode_operations(INODE_KIND_ANON, { name: 'anon_inodefs', fixed_attributes: true });
// A name of the "security." space is told apart only by security modules, of which there are none.
register_inode_operations(INODE_KIND_SOCKET, { name: 'sockfs' });

function shared_inode(magic: number, type_name: string, mode: number): I {
  const sb = sb_alloc(FS_PIPE, magic, 0, type_name);
  const inode = sb === 0 ? (0 as I) : inode_alloc(sb, INODE_KIND_ANON, mode, 1);
  assert(inode !== 0, 'anon_attributes_boot: the kernel heap is too small');
  return inode;
}

/** Makes the file systems and the shared inodes, at boot. Panics when the heap is too small to boot. */
export function anon_attributes_boot(): void {
  const root = anon_root();
  AnonRoot.pipe_super.set(root, sb_alloc(FS_PIPE, PIPEFS_MAGIC, 0, 'pipefs'));
  AnonRoot.socket_super.set(root, sb_alloc(FS_SOCKET, SOCKFS_MAGIC, 0, 'sockfs'));
  assert(AnonRoot.socket_super.get(root) !== 0, 'anon_attributes_boot: the kernel heap is too small');
  AnonRoot.shared_inode.set(root, shared_inode(ANON_INODE_MAGIC, 'anon_inodefs', 0o600));
  AnonRoot.pidfd_inode.set(root, shared_inode(PID_FS_MAGIC, 'pidfs', S_IFREG | 0o700));
}

function own_inode(sb: Ptr<'SuperBlock'>, kind: number, mode: number, object: number, uid: number, gid: number): I {
  const inode = inode_alloc(sb, kind, mode, object);
  if (inode === 0) return inode;
  Inode.uid.set(inode, uid);
  Inode.gid.set(inode, gid);
  return inode;
}

/** `fresh`, unless another thread was first: then `winner` is its inode. */
function first_of(fresh: I, winner: number): I {
  if (winner === 0) return fresh;
  iput(fresh);
  return winner as I;
}

function pipe_inode(pipe: Ptr<'Pipe'>): I {
  const have = Pipe.inode.load(pipe) as I;
  if (have !== 0) return have;
  const sb = AnonRoot.pipe_super.get(anon_root());
  const fresh = own_inode(sb, INODE_KIND_PIPE, S_IFIFO | 0o600, pipe, Pipe.uid.get(pipe), Pipe.gid.get(pipe));
  return fresh === 0 ? fresh : first_of(fresh, Pipe.inode.cas(pipe, 0, fresh));
}

function socket_inode(socket: Ptr<'UnixSocket'>): I {
  const have = UnixSocket.attributes.load(socket) as I;
  if (have !== 0) return have;
  const credentials = UnixSocket.credentials.get(socket);
  const [uid, gid] = [Credentials.fsuid.get(credentials), Credentials.fsgid.get(credentials)];
  const sb = AnonRoot.socket_super.get(anon_root());
  const fresh = own_inode(sb, INODE_KIND_SOCKET, S_IFSOCK | 0o777, socket, uid, gid);
  return fresh === 0 ? fresh : first_of(fresh, UnixSocket.attributes.cas(socket, 0, fresh));
}

/** The inode with the attributes of any open file, borrowed from the file; 0 when the heap is exhausted. */
export function file_inode(file: Ptr<'File'>): I {
  const inode = File.inode.get(file);
  if (inode !== 0) return inode;
  switch (File.kind.get(file)) {
    case FILE_KIND_PIPE:
      return pipe_inode(File.object.get(file) as Ptr<'Pipe'>);
    case FILE_KIND_SOCKET:
      return socket_inode(File.object.get(file) as Ptr<'UnixSocket'>);
    case FILE_KIND_PIDFD:
      return AnonRoot.pidfd_inode.get(anon_root());
    default:
      return AnonRoot.shared_inode.get(anon_root());
  }
}

/** What stat(2) tells of any open file: 0 or -errno. The file type of shared inodes is not shown, as in Linux. */
export function file_status(file: Ptr<'File'>, out: FileStatus): number {
  const inode = file_inode(file);
  if (inode === 0) return -ENOMEM;
  const result = inode_status(inode, out);
  if (Inode.kind.get(inode) === INODE_KIND_ANON) out.mode &= ~S_IFMT;
  return result;
}
