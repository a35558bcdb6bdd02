/**
 * Open directories: "." and "..", then what the file system lists. The position of an entry is a cookie
 * of the file system's choice, at least 2.
 */
import { EBADF, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTTY } from '../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../abi/path.ts';
import { DT_DIR } from '../abi/stat.ts';
import type { Ptr } from '../base/types.ts';
import { file_accessed } from './access_time.ts';
import { File } from './file.layout.ts';
import { FILE_KIND_DIRECTORY, FILE_KIND_PATH, type FileOperations, register_file_operations } from './file.ts';
import { type DirectorySink, inode_operations } from './inode.ts';
import { directory_listing_free } from './listing.ts';
import { vfs_root } from './root.ts';
import { tree_lock, tree_unlock } from './super.ts';
import { Dentry, INODE_ORPHAN, Inode, VfsRoot } from './vfs.layout.ts';

type F = Ptr<'File'>;

/**
 * Feeds entries to `sink` from the file's position on until it refuses one, and moves the position
 * behind the last one it took. 0 or -errno.
 */
export function read_directory(file: F, sink: DirectorySink): number {
  const dentry = File.dentry.get(file);
  if (dentry === 0 || File.kind.get(file) !== FILE_KIND_DIRECTORY) return -ENOTDIR;
  const inode = Dentry.inode.get(dentry);
  if ((Inode.flags.load(inode) & INODE_ORPHAN) !== 0) return -ENOENT;
  const sb = Inode.sb.get(inode);
  // The tree lock alone guards a directory's position: that of a lower layer is taken below it.
  tree_lock(sb);
  const result = emit_from(file, dentry, inode, sink);
  if (result >= 0) File.position.set(file, result);
  tree_unlock(sb);
  file_accessed(file);
  return Math.min(result, 0);
}

function emit_from(file: F, dentry: Ptr<'Dentry'>, inode: Ptr<'Inode'>, sink: DirectorySink): number {
  let position = File.position.get(file);
  const dots = VfsRoot.dots.at(vfs_root());
  if (position === 0) {
    if (!sink.emit(dots, 1, Inode.ino.get(inode), DT_DIR, 1)) return position;
    position = 1;
  }
  if (position === 1) {
    const parent = Dentry.inode.get(Dentry.parent.get(dentry));
    if (!sink.emit(dots, 2, Inode.ino.get(parent), DT_DIR, 2)) return position;
    position = 2;
  }
  const read_dir = inode_operations(inode).read_dir;
  return read_dir === undefined ? position : read_dir(inode, dentry, file, position, sink);
}

/** lseek(2) on a directory: to a position that getdents reported, or back to the start. */
function directory_seek(file: F, offset: number, whence: number): number {
  if (whence !== SEEK_SET && whence !== SEEK_CUR) return -EINVAL;
  const sb = Inode.sb.get(File.inode.get(file));
  tree_lock(sb);
  const target = whence === SEEK_SET ? offset : File.position.get(file) + offset;
  if (target >= 0) {
    // Going back to the start takes a new look at the directory (rewinddir(3)).
    if (target === 0) directory_listing_free(file);
    File.position.set(file, target);
  }
  tree_unlock(sb);
  return target < 0 ? -EINVAL : target;
}

const directory: FileOperations = {
  name: 'directory',
  read: () => -EISDIR,
  write: () => -EISDIR,
  poll: () => 0x145,
  queue: () => 0 as Ptr<'WaitQueue'>,
  seek: directory_seek,
  ioctl: () => -ENOTTY,
  release: directory_listing_free,
};
register_file_operations(FILE_KIND_DIRECTORY, directory);

/** A file opened with O_PATH names a place and can do nothing (open(2)). */
const path_only: FileOperations = {
  name: 'path',
  read: () => -EBADF,
  write: () => -EBADF,
  poll: () => 0,
  queue: () => 0 as Ptr<'WaitQueue'>,
  seek: () => -EBADF,
  ioctl: () => -EBADF,
  release: () => {},
};
register_file_operations(FILE_KIND_PATH, path_only);
