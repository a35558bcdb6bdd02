/**
 * The root record of the name space (slot ROOT_VFS): hash tables, lists and their locks.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_write, bytes_zero } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { MACHINE, MachineHeader, ROOT_VFS } from '../heap/machine.layout.ts';
import { U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { VfsRoot } from './vfs.layout.ts';

const roots = slab(VfsRoot);
const PAGE = 4096;
export const DENTRY_HASH_PAGES = 16;
export const INODE_HASH_PAGES = 4;

/** The machine's VfsRoot. */
export function vfs_root(): Ptr<'VfsRoot'> {
  return U32[(MachineHeader.roots.at(MACHINE) + ROOT_VFS * 4) >> 2] as Ptr<'VfsRoot'>;
}

/** Makes the name space's root record, with no mount yet. Panics when the heap is too small to boot. */
export function vfs_boot(): void {
  const root = roots.alloc();
  assert(root !== 0, 'vfs_boot: the kernel heap is too small');
  for (let i = 0; i < DENTRY_HASH_PAGES; i++) U32[(VfsRoot.dentry_hash.at(root) >> 2) + i] = zero_page();
  for (let i = 0; i < INODE_HASH_PAGES; i++) U32[(VfsRoot.inode_hash.at(root) >> 2) + i] = zero_page();
  // A cached name takes about 400 bytes with its inode: at most a sixteenth of the heap.
  const heap_bytes = MachineHeader.heap_end.get(MACHINE) - MachineHeader.heap_base.get(MACHINE);
  VfsRoot.lru_limit.set(root, Math.max(64, Math.floor(heap_bytes / 16 / 400)));
  VfsRoot.next_mount_id.set(root, 20);
  VfsRoot.next_minor.set(root, 20);
  bytes_write(VfsRoot.dots.at(root), '..');
  U32[(MachineHeader.roots.at(MACHINE) + ROOT_VFS * 4) >> 2] = root;
}

/** Frees the root record; every mount must be gone. */
export function vfs_shutdown(): void {
  const root = vfs_root();
  for (let i = 0; i < DENTRY_HASH_PAGES; i++) heap_page_free(U32[(VfsRoot.dentry_hash.at(root) >> 2) + i] as number);
  for (let i = 0; i < INODE_HASH_PAGES; i++) heap_page_free(U32[(VfsRoot.inode_hash.at(root) >> 2) + i] as number);
  roots.free(root);
  U32[(MachineHeader.roots.at(MACHINE) + ROOT_VFS * 4) >> 2] = 0;
}

function zero_page(): number {
  const page = heap_page_alloc();
  assert(page !== 0, 'vfs_boot: the kernel heap is too small');
  bytes_zero(page, PAGE);
  return page;
}
