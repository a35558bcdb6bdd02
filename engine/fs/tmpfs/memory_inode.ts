/**
 * Inodes of the memory file system: making, changing and freeing them.
 */
import { ENOMEM, ENOSPC, ENXIO, EPERM } from '../../abi/errno.ts';
import { F_SEAL_EXEC } from '../../abi/memfd.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_copy } from '../../heap/bytes.ts';
import { heap_has_room, heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { slab } from '../../heap/slab.ts';
import { ATTR_MODE, ATTR_SIZE, type AttributeChange, set_attributes_in_memory } from '../../vfs/attributes.ts';
import { INODE_KIND_MEMORY, INODE_KIND_OVERLAY, iget, inode_alloc, inode_operations, iput } from '../../vfs/inode.ts';
import { Mapping } from '../../vfs/mapping.layout.ts';
import { inode_mapping_free } from '../../vfs/regular.ts';
import { FS_MEMORY, sb_next_ino, tree_lock, tree_unlock } from '../../vfs/super.ts';
import { Inode, SuperBlock } from '../../vfs/vfs.layout.ts';
import { LinkTarget, LongLinkTarget, MEMORY_MODIFIED, MemoryFs, MemoryNode } from './memory.layout.ts';
import { charge_change, charge_pages, memory_fs, memory_truncate, node_of } from './memory_data.ts';

type I = Ptr<'Inode'>;
type S = Ptr<'SuperBlock'>;

const link_targets = slab(LinkTarget);
const long_link_targets = slab(LongLinkTarget);

/** Bytes that an entry counts for in the size of a directory (Linux's BOGO_DIRENT_SIZE). */
export const DIRECTORY_ENTRY_BYTES = 20;

/** A new inode of the given owner, counted against the limit; a pointer, -ENOSPC or -ENOMEM. Tree lock held. */
export function memory_inode(sb: S, mode: number, rdev: number, uid: number, gid: number): number {
  const fs = memory_fs(sb);
  if (MemoryFs.inodes_used.load(fs) >= MemoryFs.inodes_max.get(fs) || !heap_has_room()) return -ENOSPC;
  const inode = inode_alloc(sb, INODE_KIND_MEMORY, mode, sb_next_ino(sb));
  if (inode === 0) return -ENOMEM;
  MemoryFs.inodes_used.add(fs, 1);
  Inode.uid.set(inode, uid);
  Inode.gid.set(inode, gid);
  Inode.rdev.set(inode, rdev);
  if ((mode & S_IFMT) === S_IFDIR) {
    Inode.nlink.set(inode, 2);
    if (SuperBlock.kind.get(sb) === FS_MEMORY) Inode.size.set(inode, 2 * DIRECTORY_ENTRY_BYTES);
  }
  return inode;
}

/** Stores the target of a symbolic link; 0 or -ENOMEM. */
export function store_link(inode: I, target: number, length: number): number {
  let room = 0;
  if (length <= LinkTarget.SIZE) room = link_targets.alloc();
  else if (length <= LongLinkTarget.SIZE) room = long_link_targets.alloc();
  else room = heap_page_alloc();
  if (room === 0) return -ENOMEM;
  bytes_copy(room, target, length);
  Inode.object.set(inode, room);
  Inode.size.set(inode, length);
  return 0;
}

function free_link(inode: I): void {
  const room = Inode.object.get(inode);
  const length = Inode.size.get(inode);
  if (room === 0) return;
  if (length <= LinkTarget.SIZE) link_targets.free(room as Ptr<'LinkTarget'>);
  else if (length <= LongLinkTarget.SIZE) long_link_targets.free(room as Ptr<'LongLinkTarget'>);
  else heap_page_free(room);
}

/** readlink(2): of the link itself, or of the one below. */
export function memory_read_link(inode: I, target: number, capacity: number): number {
  const lower = MemoryNode.lower.get(node_of(inode));
  if (lower !== 0) return inode_operations(lower).read_link?.(lower, target, capacity) ?? -ENOMEM;
  const length = Math.min(Inode.size.get(inode), capacity);
  bytes_copy(target, Inode.object.get(inode), length);
  return length;
}

/**
 * Notes that an inode of the lower layer differs from what lies below, and keeps it alive until its last
 * name is gone or the file system is. Tree lock held.
 */
export function mark_modified(inode: I): void {
  const node = node_of(inode);
  const state = MemoryNode.state.get(node);
  if (MemoryNode.lower.get(node) === 0 || (state & MEMORY_MODIFIED) !== 0) return;
  MemoryNode.state.set(node, state | MEMORY_MODIFIED);
  iget(inode);
  const fs = memory_fs(Inode.sb.get(inode));
  const first = MemoryFs.first_modified.get(fs);
  MemoryNode.next_modified.set(node, first);
  MemoryNode.prev_modified.set(node, 0 as I);
  if (first !== 0) MemoryNode.prev_modified.set(node_of(first), inode);
  MemoryFs.first_modified.set(fs, inode);
}

/** Ends `mark_modified`: the change is of no interest any more. Tree lock held, or nobody else is left. */
export function forget_modified(inode: I): void {
  const node = node_of(inode);
  const state = MemoryNode.state.get(node);
  if ((state & MEMORY_MODIFIED) === 0) return;
  MemoryNode.state.set(node, state & ~MEMORY_MODIFIED);
  const fs = memory_fs(Inode.sb.get(inode));
  const next = MemoryNode.next_modified.get(node);
  const prev = MemoryNode.prev_modified.get(node);
  if (prev === 0) MemoryFs.first_modified.set(fs, next);
  else MemoryNode.next_modified.set(node_of(prev), next);
  if (next !== 0) MemoryNode.prev_modified.set(node_of(next), prev);
  iput(inode);
}

/** As `mark_modified`, for callers without the tree lock. */
export function note_change(inode: I): void {
  if (MemoryNode.lower.get(node_of(inode)) === 0) return;
  const sb = Inode.sb.get(inode);
  tree_lock(sb);
  mark_modified(inode);
  tree_unlock(sb);
}

/** Whether F_SEAL_EXEC forbids a mode: it changes whether a memfd may be executed. */
function is_sealed_executable(inode: I, mode: number): boolean {
  const mapping = Inode.mapping.get(inode);
  if (mapping === 0 || (Mapping.seals.get(mapping) & F_SEAL_EXEC) === 0) return false;
  return ((mode ^ Inode.mode.get(inode)) & 0o111) !== 0;
}

/** The operation: size and attributes, all in memory. */
export function memory_set_attributes(inode: I, change: AttributeChange): number {
  if ((change.valid & ATTR_MODE) !== 0 && is_sealed_executable(inode, change.mode)) return -EPERM;
  if ((change.valid & ATTR_SIZE) !== 0) {
    const result = memory_truncate(inode, change.size);
    if (result !== 0) return result;
  }
  note_change(inode);
  set_attributes_in_memory(inode, change);
  return 0;
}

/** The operation: a lower file's data is about to change. */
export function memory_prepare_write(inode: I, end: number): number {
  if (MemoryNode.lower.get(node_of(inode)) === 0) return 0;
  const result = charge_change(inode, end);
  if (result === 0) note_change(inode);
  return result;
}

/** The operation: can the data below be read? */
export function memory_prepare_open(inode: I): number {
  const lower = MemoryNode.lower.get(node_of(inode));
  return inode_operations(lower).prepare_open?.(lower, false) ?? 0;
}

/** The operation: ends `memory_prepare_open`. */
export function memory_close(inode: I): void {
  const lower = MemoryNode.lower.get(node_of(inode));
  inode_operations(lower).close?.(lower);
}

/** The operation: special files of the lower layer are shown, and cannot be opened. */
export function memory_open_lower(inode: I): number {
  const type = Inode.mode.get(inode) & S_IFMT;
  return type === S_IFREG || type === S_IFDIR ? 0 : -ENXIO;
}

/** The operation: storage taken, from the pages in memory. */
export function memory_refresh(inode: I): number {
  const node = node_of(inode);
  const lower = MemoryNode.lower.get(node);
  if ((Inode.mode.get(inode) & S_IFMT) !== S_IFREG) return 0;
  const mapping = Inode.mapping.get(inode);
  if (lower === 0) Inode.blocks.set(inode, mapping === 0 ? 0 : Mapping.pages.get(mapping) * 8);
  else if (MemoryNode.charged.get(node) !== 0) Inode.blocks.set(inode, Math.ceil(Inode.size.get(inode) / 4096) * 8);
  return 0;
}

/** The operation: frees data, link target, charge and the inode below. */
export function memory_evict(inode: I): void {
  const node = node_of(inode);
  const sb = Inode.sb.get(inode);
  const lower = MemoryNode.lower.get(node);
  inode_mapping_free(inode);
  if (lower === 0) {
    if ((Inode.mode.get(inode) & S_IFMT) === S_IFLNK) free_link(inode);
    MemoryFs.inodes_used.add(memory_fs(sb), -1);
    return;
  }
  charge_pages(sb, -MemoryNode.charged.get(node));
  iput(lower);
}

/** The inode that stands for `lower` (whose reference it takes over): a pointer or -ENOMEM. Tree lock held. */
export function stand_for(sb: S, lower: I): number {
  const inode = inode_alloc(sb, INODE_KIND_OVERLAY, Inode.mode.get(lower), Inode.ino.get(lower));
  if (inode === 0) {
    iput(lower);
    return -ENOMEM;
  }
  Inode.uid.set(inode, Inode.uid.get(lower));
  Inode.gid.set(inode, Inode.gid.get(lower));
  Inode.nlink.set(inode, Inode.nlink.get(lower));
  Inode.rdev.set(inode, Inode.rdev.get(lower));
  Inode.size.set(inode, Inode.size.get(lower));
  Inode.blocks.set(inode, Inode.blocks.get(lower));
  Inode.atime.set(inode, Inode.atime.get(lower));
  Inode.atime_ns.set(inode, Inode.atime_ns.get(lower));
  Inode.mtime.set(inode, Inode.mtime.get(lower));
  Inode.mtime_ns.set(inode, Inode.mtime_ns.get(lower));
  Inode.ctime.set(inode, Inode.ctime.get(lower));
  Inode.ctime_ns.set(inode, Inode.ctime_ns.get(lower));
  Inode.btime.set(inode, Inode.btime.get(lower));
  Inode.btime_ns.set(inode, Inode.btime_ns.get(lower));
  const node = node_of(inode);
  MemoryNode.lower.set(node, lower);
  MemoryNode.lower_limit.set(node, Inode.size.get(lower));
  return inode;
}
