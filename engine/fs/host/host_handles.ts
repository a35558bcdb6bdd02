/**
 * Host handles round a snapshot: a record holds the number of a descriptor of the host process, which means nothing
 * once that is closed. Before state is kept or replaced, everything idle is closed; what remains is the roots', which
 * are opened again by their paths where the snapshot knows others.
 */
import type { Ptr } from '../../base/types.ts';
import { U8, U32 } from '../../heap/memory.ts';
import { INODE_HASH_PAGES, vfs_root } from '../../vfs/root.ts';
import { FS_HOST } from '../../vfs/super.ts';
import { Dentry, Inode, SuperBlock, VfsRoot } from '../../vfs/vfs.layout.ts';
import { HOST_RING, HostFs, HostNode, INFO_PATH, INFO_RING } from './host.layout.ts';
import { host_files } from './host_files.ts';
import { close_handles, host_fs, host_node } from './host_node.ts';

const BUCKETS_PER_PAGE = 1024;

function each_host_super(visit: (sb: Ptr<'SuperBlock'>) => void): void {
  for (let sb = VfsRoot.superblocks.get(vfs_root()); sb !== 0; sb = SuperBlock.next.get(sb))
    if (SuperBlock.kind.get(sb) === FS_HOST) visit(sb);
}

function root_inode(sb: Ptr<'SuperBlock'>): Ptr<'Inode'> {
  return Dentry.inode.get(SuperBlock.root.get(sb));
}

/** Closes the handles of directories and files that no guest has open. */
export function close_idle_handles(): void {
  each_host_super((sb) => {
    const ring = (HostFs.info.get(host_fs(sb)) + INFO_RING) >> 2;
    for (let slot = 0; slot < HOST_RING; slot++) {
      const inode = U32[ring + slot] as Ptr<'Inode'>;
      if (inode !== 0 && inode !== root_inode(sb)) close_handles(inode);
    }
  });
}

/** Files of the host that a guest has open: they cannot be kept. */
export function open_host_files(): number {
  let count = 0;
  for (let page = 0; page < INODE_HASH_PAGES; page++) {
    const at = (U32[(VfsRoot.inode_hash.at(vfs_root()) >> 2) + page] as number) >> 2;
    for (let bucket = 0; bucket < BUCKETS_PER_PAGE; bucket++)
      for (let inode = U32[at + bucket] as Ptr<'Inode'>; inode !== 0; inode = Inode.hash_next.get(inode)) {
        const sb = Inode.sb.get(inode);
        if (SuperBlock.kind.get(sb) !== FS_HOST || inode === root_inode(sb)) continue;
        if ((HostNode.handle.get(host_node(inode)) | HostNode.write_handle.get(host_node(inode))) !== 0) count++;
      }
  }
  return count;
}

/** The handles of the roots. */
export function root_handles(): number[] {
  const handles: number[] = [];
  each_host_super((sb) => handles.push(HostNode.handle.get(host_node(root_inode(sb))) - 1));
  return handles;
}

/**
 * After state was put back: roots whose handles are not among the `open` ones are opened again, and handles that no
 * root has any more are closed. 0, or -errno of a root that cannot be opened.
 */
export function reopen_roots(open: readonly number[]): number {
  const files = host_files();
  const left = new Set(open);
  let result = 0;
  each_host_super((sb) => {
    const node = host_node(root_inode(sb));
    if (files === null || left.delete(HostNode.handle.get(node) - 1)) return;
    const fs = host_fs(sb);
    const path = HostFs.info.get(fs) + INFO_PATH;
    const handle = files.open_root(U8.slice(path, path + HostFs.path_length.get(fs)));
    HostNode.handle.set(node, Math.max(handle + 1, 0));
    if (handle < 0) result = handle;
  });
  for (const handle of left) files?.close(handle);
  return result;
}
