/**
 * The host file system: a tree of the host, read-only as the lower layer of an overlay, or writable as a
 * volume (`--volume`). Every call goes to the gofer one name at a time, so nothing outside the root can
 * be reached, and no link is followed by the host (see host_files.ts).
 *
 * The root's tree is taken to be stable while the machine runs; a volume's names and attributes are
 * looked at again with each use. Special files are shown and cannot be opened.
 */
import { EACCES, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ENXIO, EPERM } from '../../abi/errno.ts';
import { V9FS_MAGIC } from '../../abi/mount.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_zero } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { U8 } from '../../heap/memory.ts';
import { d_alloc_root, d_name } from '../../vfs/dcache.ts';
import { File } from '../../vfs/file.layout.ts';
import {
  type DirectorySink,
  INODE_KIND_HOST,
  type InodeOperations,
  iput,
  register_inode_operations,
} from '../../vfs/inode.ts';
import { ListingBuilder, listing_emit } from '../../vfs/listing.ts';
import { MAPPING_HOST } from '../../vfs/mapping.layout.ts';
import { FS_HOST, register_filesystem, sb_alloc, sb_put } from '../../vfs/super.ts';
import { Dentry, Inode, SB_READ_ONLY, SB_REVALIDATE, SuperBlock } from '../../vfs/vfs.layout.ts';
import { HOST_HIDDEN, HostFs, HostNode, INFO_PATH_MAX } from './host.layout.ts';
import { type HostEntry, HostStatus, host_files } from './host_files.ts';
import {
  guest_ino,
  host_close,
  host_evict,
  host_inode,
  host_prepare_open,
  host_prepare_write,
  host_read_page,
  host_refresh,
  host_sync,
  host_write_through,
  is_hidden,
  is_host_directory,
  relocate,
  same_file,
  take_status,
} from './host_inode.ts';
import { host_fs, host_name, host_node, reach_directory, store_root_path } from './host_node.ts';
import { host_create, host_link, host_remove, host_rename, host_set_attributes, host_symlink } from './host_write.ts';

type I = Ptr<'Inode'>;

const status = new HostStatus();
/** Directories of the host's root that the machine has its own of. */
const OWN_DIRECTORIES = ['proc', 'sys', 'dev'];

function host_lookup(dir: I, name: number, length: number): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  if (is_hidden(dir)) return -ENOENT;
  const place = reach_directory(dir);
  if (typeof place === 'number') return place;
  const result = files.stat(place, U8.slice(name, name + length), status);
  if (result !== 0) return result;
  const inode = host_inode(Inode.sb.get(dir), dir, name, length, status, 0);
  if (inode > 0) hide_kernel_directories(dir, inode as I);
  return inode;
}

/** Marks a directory that shows the host kernel's own state: it is empty for the guest. */
function hide_kernel_directories(dir: I, inode: I): void {
  if ((Inode.mode.get(inode) & S_IFMT) !== S_IFDIR) return;
  const sb = Inode.sb.get(dir);
  const node = host_node(inode);
  const at_root = HostNode.parent.get(host_node(dir)) === 0 && HostFs.is_root.get(host_fs(sb)) !== 0;
  let hidden = at_root && OWN_DIRECTORIES.includes(String.fromCharCode(...host_name(inode)));
  const crosses = Math.floor(Inode.ino.get(inode) / 2 ** 44) !== Math.floor(Inode.ino.get(dir) / 2 ** 44);
  if (!hidden && crosses) {
    const place = reach_directory(inode, 1);
    hidden = typeof place !== 'number' && host_files()?.is_kernel_filesystem(place) === true;
  }
  if (hidden) HostNode.flags.set(node, HostNode.flags.get(node) | HOST_HIDDEN);
}

function host_revalidate(dir: I, dentry: Ptr<'Dentry'>): boolean {
  const files = host_files();
  const place = reach_directory(dir);
  if (files === null || typeof place === 'number') return true;
  const name = d_name(dentry);
  const result = files.stat(place, U8.slice(name, name + Dentry.name_length.get(dentry)), status);
  const inode = Dentry.inode.get(dentry);
  if (inode === 0) return result === -ENOENT;
  if (result !== 0 || !same_file(inode, status)) return false;
  relocate(inode, dir, name, Dentry.name_length.get(dentry));
  take_status(inode, status);
  return true;
}

function host_read_link(inode: I, target: number, capacity: number): number {
  const files = host_files();
  const parent = HostNode.parent.get(host_node(inode));
  if (files === null || parent === 0) return -EIO;
  const place = reach_directory(parent, 1);
  if (typeof place === 'number') return place;
  const text = files.read_link(place, host_name(inode));
  if (typeof text === 'number') return text;
  const length = Math.min(text.length, capacity);
  U8.set(text.subarray(0, length), target);
  return length;
}

function entries_of(dir: I): HostEntry[] | number {
  const files = host_files();
  if (files === null) return -ENODEV;
  if (is_hidden(dir)) return [];
  const place = reach_directory(dir);
  return typeof place === 'number' ? place : files.list(place);
}

/** Position of the first entry: 0 and 1 are "." and "..". */
const BASE = 2;

function host_read_dir(
  dir: I,
  _dentry: Ptr<'Dentry'>,
  file: Ptr<'File'>,
  position: number,
  sink: DirectorySink,
): number {
  // The first frame of a listing is there even when the directory is empty.
  if (file !== 0 && File.object.get(file) !== 0) return BASE + listing_emit(file, position - BASE, BASE, sink);
  const entries = entries_of(dir);
  if (typeof entries === 'number') return entries;
  const builder = new ListingBuilder();
  let result = builder.begin();
  for (const entry of entries) {
    if (result !== 0) break;
    const ino = guest_ino(Inode.sb.get(dir), entry);
    result = builder.add(entry.name, ino, entry.type);
  }
  if (result !== 0) {
    builder.abandon();
    return result;
  }
  if (file !== 0) {
    builder.finish(file);
    return BASE + listing_emit(file, position - BASE, BASE, sink);
  }
  const reached = builder.emit(position - BASE, BASE, sink);
  builder.abandon();
  return BASE + reached;
}

const operations: InodeOperations = {
  name: 'host',
  mapping_kind: MAPPING_HOST,
  lookup: host_lookup,
  revalidate: host_revalidate,
  refresh: host_refresh,
  read_link: host_read_link,
  read_dir: host_read_dir,
  prepare_open: host_prepare_open,
  prepare_write: host_prepare_write,
  read_page: host_read_page,
  write_through: host_write_through,
  close: host_close,
  sync: host_sync,
  create: host_create,
  symlink: host_symlink,
  link: host_link,
  remove: host_remove,
  rename: host_rename,
  set_attributes: host_set_attributes,
  open: host_open,
  evict: host_evict,
};
register_inode_operations(INODE_KIND_HOST, operations);

/** Only regular files and directories of the host can be opened. */
function host_open(inode: I): number {
  const type = Inode.mode.get(inode) & S_IFMT;
  return type === S_IFREG || type === S_IFDIR ? 0 : type === 0 ? -EACCES : -ENXIO;
}

/** How a host tree is used. */
export interface HostOptions {
  /** Changes go to the host. */
  readonly writable: boolean;
  /** Names and attributes are looked at again with each use. */
  readonly volatile: boolean;
  /** It is the machine's root: /proc, /sys and /dev of the host are not shown. */
  readonly is_root: boolean;
}

/**
 * A superblock for the directory `path` of the host (bytes as Latin-1), with one reference; or -errno.
 */
export function host_create_super(path: string, options: HostOptions): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  if (path.length > INFO_PATH_MAX) return -EINVAL;
  const flags = (options.writable ? 0 : SB_READ_ONLY) | (options.volatile ? SB_REVALIDATE : 0);
  const sb = sb_alloc(FS_HOST, V9FS_MAGIC, flags, 'host');
  if (sb === 0) return -ENOMEM;
  const result = open_root(sb, path, options);
  if (result !== 0) {
    sb_put(sb);
    return result;
  }
  return sb;
}

function open_root(sb: Ptr<'SuperBlock'>, path: string, options: HostOptions): number {
  const files = host_files();
  const fs = host_fs(sb);
  const info = heap_page_alloc();
  if (info === 0) return -ENOMEM;
  bytes_zero(info, 4096);
  HostFs.info.set(fs, info);
  HostFs.changing.set(fs, options.volatile ? 1 : 0);
  HostFs.is_root.set(fs, options.is_root ? 1 : 0);
  store_root_path(fs, path);
  if (files === null) return -ENODEV;
  const bytes = Uint8Array.from(path, (c) => c.charCodeAt(0));
  const handle = files.open_root(bytes);
  if (handle < 0) return handle;
  const error = files.stat_directory({ handle, path: bytes }, status);
  const inode = error !== 0 ? error : is_host_directory(status) ? host_inode(sb, 0 as I, 0, 0, status, 0) : -EPERM;
  if (inode < 0) {
    files.close(handle);
    return inode;
  }
  HostNode.handle.set(host_node(inode as I), handle + 1);
  const root = d_alloc_root(sb, inode as I);
  if (root === 0) {
    iput(inode as I);
    return -ENOMEM;
  }
  SuperBlock.root.set(sb, root);
  return 0;
}

register_filesystem(FS_HOST, {
  name: 'host',
  kill(sb) {
    const info = HostFs.info.get(host_fs(sb));
    if (info !== 0) heap_page_free(info);
  },
});
