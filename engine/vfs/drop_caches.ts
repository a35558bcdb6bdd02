/**
 * Giving caches up: clean pages of files, and names and inodes that nobody uses. What a program can observe does not
 * change. (Linux's fs/drop_caches.c.)
 */
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { epoch_try_advance } from '../machine/frames.ts';
import { d_reclaim } from './dcache.ts';
import { reclaim_pages } from './mapping.ts';
import { vfs_root } from './root.ts';
import { VfsRoot } from './vfs.layout.ts';

export const DROP_PAGES = 1;
export const DROP_NAMES = 2;

/** Drops what `what` (DROP_*) says, as vm.drop_caches in proc_sys_vm(5). No lock may be held. */
export function drop_caches(what: number): void {
  if ((what & DROP_PAGES) !== 0) while (reclaim_pages(Number.POSITIVE_INFINITY) > 0);
  // The end of a name may leave the directory above it unused.
  if ((what & DROP_NAMES) !== 0) while (d_reclaim(Math.max(1, VfsRoot.lru_count.get(vfs_root()))) > 0);
  for (let i = 0; i < 3 && MachineHeader.retired_count.get(MACHINE) > 0; i++) epoch_try_advance();
}
