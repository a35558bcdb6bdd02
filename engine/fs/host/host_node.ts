/**
 * Reaching host files: the handles of directories and files, opened component by component from the
 * root's handle, cached, and bounded in number.
 *
 * All opening happens under the superblock's tree lock. A directory's handle and an idle file's stay open
 * until the ring has come round; a file that a guest has open keeps its own. An inode's last reference
 * may go under any lock, so the ring has a lock of its own, and it is never held over a host call.
 */
import { EIO, ENODEV } from '../../abi/errno.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_copy, bytes_equal, bytes_write } from '../../heap/bytes.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { GOFER_LOCK } from '../../heap/lock_order.ts';
import { U8, U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { Inode, SuperBlock } from '../../vfs/vfs.layout.ts';
import { HOST_INLINE_NAME, HOST_RING, HostFs, HostLongName, HostNode, INFO_PATH, INFO_RING } from './host.layout.ts';
import { type HostDirectory, type HostFiles, host_files } from './host_files.ts';

type I = Ptr<'Inode'>;

const nodes = slab(HostNode);
const long_names = slab(HostLongName);

/** The host file system's words of a superblock. */
export function host_fs(sb: Ptr<'SuperBlock'>): Ptr<'HostFs'> {
  return SuperBlock.scratch.at(sb) as number as Ptr<'HostFs'>;
}

/** The HostNode of an inode. */
export function host_node(inode: I): Ptr<'HostNode'> {
  return Inode.object.get(inode) as Ptr<'HostNode'>;
}

/** A HostNode with a name and no parent; 0 when the heap is exhausted. */
export function host_node_alloc(name: number, length: number, flags: number): Ptr<'HostNode'> {
  const node = nodes.alloc();
  if (node === 0) return node;
  HostNode.flags.set(node, flags);
  if (!host_node_rename(node, name, length)) {
    nodes.free(node);
    return 0 as Ptr<'HostNode'>;
  }
  return node;
}

/** Gives a node another name; false when the heap is exhausted. */
export function host_node_rename(node: Ptr<'HostNode'>, name: number, length: number): boolean {
  let long = 0 as Ptr<'HostLongName'>;
  if (length > HOST_INLINE_NAME) {
    long = long_names.alloc();
    if (long === 0) return false;
  }
  const old = HostNode.long_name.get(node);
  bytes_copy(long !== 0 ? long : HostNode.inline_name.at(node), name, length);
  HostNode.long_name.set(node, long);
  HostNode.name_length.set(node, length);
  if (old !== 0) long_names.free(old);
  return true;
}

/** Whether this is the node's name. */
export function host_node_is_named(node: Ptr<'HostNode'>, name: number, length: number): boolean {
  const long = HostNode.long_name.get(node);
  const at = long !== 0 ? long : HostNode.inline_name.at(node);
  return HostNode.name_length.get(node) === length && bytes_equal(at, name, length);
}

/** Frees a node whose handles are closed and whose parent is dropped. */
export function host_node_free(node: Ptr<'HostNode'>): void {
  const long = HostNode.long_name.get(node);
  if (long !== 0) long_names.free(long);
  nodes.free(node);
}

/** The name by which the host knows an inode in its parent. */
export function host_name(inode: I): Uint8Array {
  const node = host_node(inode);
  const long = HostNode.long_name.get(node);
  const at = long !== 0 ? long : HostNode.inline_name.at(node);
  return U8.slice(at, at + HostNode.name_length.get(node));
}

function gofer_lock(sb: Ptr<'SuperBlock'>): Ptr<'Lock'> {
  return HostFs.gofer_lock_state.at(host_fs(sb)) as number as Ptr<'Lock'>;
}

function ring_word(sb: Ptr<'SuperBlock'>, slot: number): number {
  return (HostFs.info.get(host_fs(sb)) + INFO_RING + slot * 4) >> 2;
}

/** Takes an inode out of the ring. Gofer lock held. */
function leave_ring(sb: Ptr<'SuperBlock'>, node: Ptr<'HostNode'>): void {
  const slot = HostNode.slot.get(node);
  if (slot === 0) return;
  U32[ring_word(sb, slot - 1)] = 0;
  HostNode.slot.set(node, 0);
}

/** Puts an inode with open handles into the ring; closes those of the one whose turn is over. */
function enter_ring(inode: I, files: HostFiles): void {
  const sb = Inode.sb.get(inode);
  const fs = host_fs(sb);
  const node = host_node(inode);
  const p = gofer_lock(sb);
  lock(p, GOFER_LOCK);
  leave_ring(sb, node);
  const slot = HostFs.ring_next.get(fs);
  HostFs.ring_next.set(fs, (slot + 1) % HOST_RING);
  const victim = U32[ring_word(sb, slot)] as I;
  let handle = 0;
  let write_handle = 0;
  if (victim !== 0) {
    const victim_node = host_node(victim);
    handle = HostNode.handle.get(victim_node);
    write_handle = HostNode.write_handle.get(victim_node);
    HostNode.handle.set(victim_node, 0);
    HostNode.write_handle.set(victim_node, 0);
    HostNode.slot.set(victim_node, 0);
  }
  U32[ring_word(sb, slot)] = inode;
  HostNode.slot.set(node, slot + 1);
  unlock(p, GOFER_LOCK);
  if (handle !== 0) files.close(handle - 1);
  if (write_handle !== 0) files.close(write_handle - 1);
}

/** Closes an inode's handles: it is going away, or what it stood for is gone. */
export function close_handles(inode: I): void {
  const sb = Inode.sb.get(inode);
  const node = host_node(inode);
  const p = gofer_lock(sb);
  lock(p, GOFER_LOCK);
  leave_ring(sb, node);
  const handle = HostNode.handle.get(node);
  const write_handle = HostNode.write_handle.get(node);
  HostNode.handle.set(node, 0);
  HostNode.write_handle.set(node, 0);
  unlock(p, GOFER_LOCK);
  const files = host_files();
  if (files === null) return;
  if (handle !== 0) files.close(handle - 1);
  if (write_handle !== 0) files.close(write_handle - 1);
}

/** Two directories at most are in use at once (rename). */
const places: HostDirectory[] = [
  { handle: -1, path: new Uint8Array(0) },
  { handle: -1, path: new Uint8Array(0) },
];

/**
 * Opens the way to a directory inode: fills place number `which` and returns it, or -errno. Valid until
 * the next call with the same number; the tree lock is held.
 */
export function reach_directory(inode: I, which = 0): HostDirectory | number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const place = places[which] as HostDirectory;
  if (files.by_path) {
    place.handle = -1;
    place.path = host_path(inode);
    return place;
  }
  const handle = directory_handle(inode, files, place);
  if (handle < 0) return handle;
  place.handle = handle;
  return place;
}

function directory_handle(inode: I, files: HostFiles, place: HostDirectory): number {
  // Up to the nearest directory that is open, then down again.
  const chain: I[] = [];
  let at = inode;
  while (HostNode.handle.get(host_node(at)) === 0) {
    chain.push(at);
    at = HostNode.parent.get(host_node(at));
    if (at === 0) return -EIO;
  }
  let handle = HostNode.handle.get(host_node(at)) - 1;
  for (let i = chain.length - 1; i >= 0; i--) {
    const child = chain[i] as I;
    place.handle = handle;
    handle = files.open_directory(place, host_name(child));
    if (handle < 0) return handle;
    HostNode.handle.set(host_node(child), handle + 1);
    enter_ring(child, files);
  }
  return handle;
}

/** The host path of an inode, for hosts without directory handles. */
function host_path(inode: I): Uint8Array {
  const names: Uint8Array[] = [];
  let at = inode;
  for (let parent = HostNode.parent.get(host_node(at)); parent !== 0; parent = HostNode.parent.get(host_node(at))) {
    names.unshift(host_name(at));
    at = parent;
  }
  const fs = host_fs(Inode.sb.get(inode));
  const root = HostFs.info.get(fs) + INFO_PATH;
  const parts = [U8.slice(root, root + HostFs.path_length.get(fs)), ...names];
  const total = parts.reduce((sum, part) => sum + part.length + 1, -1);
  const path = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    if (offset > 0) path[offset++] = 0x2f;
    path.set(part, offset);
    offset += part.length;
  }
  return path;
}

/**
 * A guest opens a regular file: makes sure of a handle for reading (or writing), and keeps it until
 * `host_file_close`. 0 or -errno.
 */
export function host_file_open(inode: I, write: boolean): number {
  const files = host_files();
  if (files === null) return -ENODEV;
  const node = host_node(inode);
  const field = write ? HostNode.write_handle : HostNode.handle;
  if (field.get(node) === 0) {
    const parent = HostNode.parent.get(node);
    const place = reach_directory(parent);
    if (typeof place === 'number') return place;
    const handle = files.open_file(place, host_name(inode), write);
    if (handle < 0) return handle;
    field.set(node, handle + 1);
  }
  const p = gofer_lock(Inode.sb.get(inode));
  lock(p, GOFER_LOCK);
  leave_ring(Inode.sb.get(inode), node);
  unlock(p, GOFER_LOCK);
  return 0;
}

/** Counts a guest's open file; tree lock held. */
export function host_file_hold(inode: I): void {
  const node = host_node(inode);
  HostNode.opens.set(node, HostNode.opens.get(node) + 1);
}

/** Ends `host_file_hold`: with the last one the handles become idle. Tree lock held. */
export function host_file_close(inode: I): void {
  const files = host_files();
  const node = host_node(inode);
  const opens = HostNode.opens.get(node) - 1;
  HostNode.opens.set(node, opens);
  if (opens === 0 && files !== null && (HostNode.handle.get(node) | HostNode.write_handle.get(node)) !== 0)
    enter_ring(inode, files);
}

/** Keeps the root's host path in the superblock. */
export function store_root_path(fs: Ptr<'HostFs'>, path: string): void {
  HostFs.path_length.set(fs, bytes_write(HostFs.info.get(fs) + INFO_PATH, path));
}
