/**
 * Inodes of the host file system: found by the host's device and inode number, so that two names of one
 * file are one inode. Owners and permissions are shown as they are on the host.
 */
import { EIO, ENODEV, ENOMEM } from '../../abi/errno.ts';
import { make_dev, S_IFDIR, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { FrameAddr, Ptr } from '../../base/types.ts';
import { bytes_zero } from '../../heap/bytes.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { INODE_LOCK } from '../../heap/lock_order.ts';
import { F64 } from '../../heap/memory.ts';
import { frame_zero } from '../../machine/frames.ts';
import { INODE_KIND_HOST, icache_find, icache_insert, iget, inode_alloc, iput } from '../../vfs/inode.ts';
import { MAPPING_HOST, Mapping } from '../../vfs/mapping.layout.ts';
import { mapping_invalidate, mapping_sync, mapping_truncate, register_mapping_kind } from '../../vfs/mapping.ts';
import { inode_mapping_free } from '../../vfs/regular.ts';
import { tree_lock, tree_unlock } from '../../vfs/super.ts';
import { Inode } from '../../vfs/vfs.layout.ts';
import { HOST_DEVICES, HOST_HIDDEN, HostFs, HostNode, INFO_DEVICES } from './host.layout.ts';
import { HostStatus, host_files } from './host_files.ts';
import {
  close_handles,
  host_file_close,
  host_file_hold,
  host_file_open,
  host_fs,
  host_name,
  host_node,
  host_node_alloc,
  host_node_free,
  host_node_is_named,
  host_node_rename,
  reach_directory,
} from './host_node.ts';

type I = Ptr<'Inode'>;
type S = Ptr<'SuperBlock'>;

const TWO_32 = 4294967296;
/** Inode numbers of each host device get a range of this size. */
const DEVICE_RANGE = 2 ** 44;

/** The index of a host device within the superblock, or -1 when there are too many. Tree lock held. */
function device_index(sb: S, dev: number): number {
  const fs = host_fs(sb);
  const count = HostFs.device_count.get(fs);
  const words = (HostFs.info.get(fs) + INFO_DEVICES) / 8;
  for (let i = 0; i < count; i++) if (F64[words + i] === dev) return i;
  if (count === HOST_DEVICES) return -1;
  F64[words + count] = dev;
  HostFs.device_count.set(fs, count + 1);
  return count;
}

/** Copies host attributes into an inode; its lock is held or it is not yet known to others. */
function set_status(inode: I, status: HostStatus): void {
  Inode.mode.set(inode, status.mode);
  Inode.uid.set(inode, status.uid);
  Inode.gid.set(inode, status.gid);
  Inode.nlink.set(inode, status.nlink);
  Inode.size.set(inode, status.size);
  Inode.blocks.set(inode, status.blocks);
  Inode.atime.set(inode, status.atime);
  Inode.atime_ns.set(inode, status.atime_ns);
  Inode.mtime.set(inode, status.mtime);
  Inode.mtime_ns.set(inode, status.mtime_ns);
  Inode.ctime.set(inode, status.ctime);
  Inode.ctime_ns.set(inode, status.ctime_ns);
}

/** The number a guest sees for a host inode. */
export function guest_ino(sb: S, status: { dev: number; ino: number }): number {
  const index = device_index(sb, status.dev);
  if (index >= 0 && status.ino < DEVICE_RANGE) return index * DEVICE_RANGE + status.ino;
  // Numbers that do not fit share one range; they are only shown, never used to find an inode.
  return HOST_DEVICES * DEVICE_RANGE + (status.ino % DEVICE_RANGE);
}

/**
 * The inode for host attributes found under `name` in `parent` (0 for the root): a pointer with a
 * reference, or -ENOMEM. Tree lock held.
 */
export function host_inode(sb: S, parent: I, name: number, length: number, status: HostStatus, flags: number): number {
  const lo = status.ino >>> 0;
  const hi = (device_index(sb, status.dev) + 1) * 0x200000 + (Math.floor(status.ino / TWO_32) & 0x1fffff);
  const known = icache_find(sb, lo, hi);
  if (known !== 0 && (Inode.mode.get(known) & S_IFMT) === (status.mode & S_IFMT)) {
    if (parent !== 0) relocate(known, parent, name, length);
    return known;
  }
  if (known !== 0) iput(known);
  const node = host_node_alloc(name, length, flags);
  const inode = node === 0 ? (0 as I) : inode_alloc(sb, INODE_KIND_HOST, status.mode, guest_ino(sb, status));
  if (inode === 0) {
    if (node !== 0) host_node_free(node);
    return -ENOMEM;
  }
  set_status(inode, status);
  Inode.btime.set(inode, status.btime);
  Inode.btime_ns.set(inode, status.btime_ns);
  Inode.rdev.set(inode, make_dev(status.rdev_major, status.rdev_minor));
  if (parent !== 0) HostNode.parent.set(node, iget(parent));
  Inode.object.set(inode, node);
  if (known === 0) icache_insert(inode, lo, hi);
  return inode;
}

/**
 * Remembers the name an inode was last found by: of several the one remembered may be removed. A root has
 * none. Tree lock held.
 */
export function relocate(inode: I, parent: I, name: number, length: number): void {
  const node = host_node(inode);
  const before = HostNode.parent.get(node);
  if (before === 0 || (before === parent && host_node_is_named(node, name, length))) return;
  if (!host_node_rename(node, name, length) || before === parent) return;
  HostNode.parent.set(node, iget(parent));
  iput(before);
}

const fresh = new HostStatus();

/** Takes over attributes that the host may have changed; a changed file loses its cached pages. */
export function take_status(inode: I, status: HostStatus): void {
  const p = Inode.lock.at(inode);
  lock(p, INODE_LOCK);
  const changed =
    status.size !== Inode.size.get(inode) ||
    status.mtime !== Inode.mtime.get(inode) ||
    status.mtime_ns !== Inode.mtime_ns.get(inode);
  set_status(inode, status);
  const mapping = Inode.mapping.get(inode);
  if (changed && mapping !== 0) {
    if (Mapping.size.get(mapping) !== status.size) mapping_truncate(mapping, status.size);
    mapping_invalidate(mapping);
  }
  unlock(p, INODE_LOCK);
}

/** The operation: on a writable volume, what the host says now. */
export function host_refresh(inode: I): number {
  const sb = Inode.sb.get(inode);
  if (HostFs.changing.get(host_fs(sb)) === 0) return 0;
  tree_lock(sb);
  const result = refresh_locked(inode);
  tree_unlock(sb);
  return result;
}

/** As `host_refresh`, with the tree lock held. A file whose name is gone keeps what was known. */
export function refresh_locked(inode: I): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const parent = HostNode.parent.get(host_node(inode));
  if (parent === 0 || Inode.nlink.get(inode) === 0) return 0;
  const place = reach_directory(parent);
  if (typeof place === 'number') return 0;
  if (files.stat(place, host_name(inode), fresh) !== 0) return 0;
  if (same_file(inode, fresh)) take_status(inode, fresh);
  return 0;
}

/** Whether host attributes are those of the file that the inode stands for. */
export function same_file(inode: I, status: HostStatus): boolean {
  return (
    Inode.ino.get(inode) === guest_ino(Inode.sb.get(inode), status) &&
    (Inode.mode.get(inode) & S_IFMT) === (status.mode & S_IFMT)
  );
}

/** The operation: a guest opens the file, perhaps through a layer above. */
export function host_prepare_open(inode: I, write: boolean): number {
  if ((Inode.mode.get(inode) & S_IFMT) !== S_IFREG) return 0;
  const sb = Inode.sb.get(inode);
  tree_lock(sb);
  if (HostFs.changing.get(host_fs(sb)) !== 0) refresh_locked(inode);
  let result = host_file_open(inode, false);
  if (result === 0 && write) result = host_file_open(inode, true);
  if (result === 0) host_file_hold(inode);
  tree_unlock(sb);
  return result;
}

/** The operation: a guest's open file is gone. */
export function host_close(inode: I): void {
  const sb = Inode.sb.get(inode);
  tree_lock(sb);
  host_file_close(inode);
  tree_unlock(sb);
}

/** The operation: a volume's file is about to be written. */
export function host_prepare_write(inode: I): number {
  const sb = Inode.sb.get(inode);
  if (HostNode.write_handle.get(host_node(inode)) !== 0) return 0;
  tree_lock(sb);
  const result = host_file_open(inode, true);
  tree_unlock(sb);
  return result;
}

/** The operation: one page from the host. */
export function host_read_page(inode: I, index: number, frame: FrameAddr): number {
  const files = host_files();
  const node = host_node(inode);
  const handle = HostNode.handle.get(node) || HostNode.write_handle.get(node);
  if (files === null || handle === 0) return -EIO;
  let done = 0;
  while (done < 4096) {
    const n = files.read(handle - 1, index * 4096 + done, frame + done, 4096 - done);
    if (n < 0) return n;
    if (n === 0) break;
    done += n;
  }
  if (done === 0) frame_zero(frame);
  else if (done < 4096) bytes_zero(frame + done, 4096 - done);
  return 0;
}

/** The operation: bytes of a write go to the host at once. */
export function host_write_through(inode: I, position: number, source: number, length: number): number {
  const files = host_files();
  const handle = HostNode.write_handle.get(host_node(inode));
  if (files === null || handle === 0) return -EIO;
  return files.write(handle - 1, position, source, length);
}

register_mapping_kind(MAPPING_HOST, {
  name: 'host',
  evictable: true,
  read_page: (mapping, index, frame) => host_read_page(Mapping.inode.get(mapping), index, frame),
  write_page: (mapping, index, frame, length) => {
    const written = host_write_through(Mapping.inode.get(mapping), index * 4096, frame, length);
    return Math.min(written, 0);
  },
});

/** The operation: fsync. */
export function host_sync(inode: I): number {
  const files = host_files();
  const mapping = Inode.mapping.get(inode);
  const result = mapping === 0 ? 0 : mapping_sync(mapping, 0, Inode.size.get(inode));
  const handle = HostNode.write_handle.get(host_node(inode));
  if (result !== 0 || handle === 0 || files === null) return result;
  return files.sync(handle - 1);
}

/** The operation: closes handles, frees the page cache and the node. */
export function host_evict(inode: I): void {
  const mapping = Inode.mapping.get(inode);
  if (mapping !== 0 && HostNode.write_handle.get(host_node(inode)) !== 0)
    mapping_sync(mapping, 0, Inode.size.get(inode));
  inode_mapping_free(inode);
  close_handles(inode);
  const node = host_node(inode);
  const parent = HostNode.parent.get(node);
  host_node_free(node);
  if (parent !== 0) iput(parent);
}

/** Whether nothing below this directory is shown. */
export function is_hidden(inode: I): boolean {
  return (HostNode.flags.get(host_node(inode)) & HOST_HIDDEN) !== 0;
}

/** Whether a status is a directory's. */
export function is_host_directory(status: HostStatus): boolean {
  return (status.mode & S_IFMT) === S_IFDIR;
}
