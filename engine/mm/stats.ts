/**
 * Address spaces as /proc shows them: sizes and the list of VMAs. Readers take a snapshot of one VMA at
 * a time, as Linux does, so a list read in pieces is consistent line by line.
 */
import type { Ptr } from '../base/types.ts';
import { file_get } from '../vfs/file.ts';
import { MAPPING_ANONYMOUS, Mapping } from '../vfs/mapping.layout.ts';
import { is_heap } from './brk.ts';
import { Mm, SPECIAL_VDSO, SPECIAL_VVAR, Vma } from './mm.layout.ts';
import { mm_lock, mm_unlock } from './mm_lock.ts';
import { vma_find } from './vma_tree.ts';

/** Sizes in pages; /proc/pid/statm and status are made of these. */
export interface MmStatistics {
  readonly total_vm: number;
  readonly hiwater_vm: number;
  readonly locked_vm: number;
  readonly data_vm: number;
  readonly stack_vm: number;
  readonly exec_vm: number;
  readonly rss_anon: number;
  readonly rss_file: number;
  readonly rss_shmem: number;
  readonly hiwater_rss: number;
  readonly map_count: number;
}

/** The sizes now. */
export function mm_statistics(mm: Ptr<'Mm'>): MmStatistics {
  mm_lock(mm);
  const statistics = {
    total_vm: Mm.total_vm.get(mm),
    hiwater_vm: Mm.hiwater_vm.get(mm),
    locked_vm: Mm.locked_vm.get(mm),
    data_vm: Mm.data_vm.get(mm),
    stack_vm: Mm.stack_vm.get(mm),
    exec_vm: Mm.exec_vm.get(mm),
    rss_anon: Mm.rss_anon.get(mm),
    rss_file: Mm.rss_file.get(mm),
    rss_shmem: Mm.rss_shmem.get(mm),
    hiwater_rss: Mm.hiwater_rss.get(mm),
    map_count: Mm.map_count.get(mm),
  };
  mm_unlock(mm);
  return statistics;
}

/** One line of /proc/pid/maps. */
export interface VmaSnapshot {
  readonly start: number;
  readonly end: number;
  /** VM_*. */
  readonly flags: number;
  /** Byte offset in the file; 0 for memory without one. */
  readonly offset: number;
  /** The file, with a reference for the caller (file_put), or 0. */
  readonly file: Ptr<'File'>;
  /** '[heap]', '[stack]', '[vdso]', '[vvar]', '/dev/zero (deleted)', or '' (print the file's path, if any). */
  readonly name: string;
}

/** The first VMA that ends above `address`, or null: call again with its end for the next. */
export function vma_snapshot(mm: Ptr<'Mm'>, address: number): VmaSnapshot | null {
  mm_lock(mm);
  const vma = vma_find(mm, address);
  let snapshot: VmaSnapshot | null = null;
  if (vma !== 0) {
    const file = Vma.file.get(vma);
    if (file !== 0) file_get(file);
    snapshot = {
      start: Vma.start.get(vma),
      end: Vma.end.get(vma),
      flags: Vma.flags.get(vma),
      offset: Vma.mapping.get(vma) === 0 || Vma.special.get(vma) !== 0 ? 0 : Vma.pgoff.get(vma) * 4096,
      file,
      name: vma_name(mm, vma),
    };
  }
  mm_unlock(mm);
  return snapshot;
}

function vma_name(mm: Ptr<'Mm'>, vma: Ptr<'Vma'>): string {
  const special = Vma.special.get(vma);
  if (special === SPECIAL_VDSO) return '[vdso]';
  if (special === SPECIAL_VVAR) return '[vvar]';
  if (Vma.file.get(vma) !== 0) return '';
  const mapping = Vma.mapping.get(vma);
  if (mapping !== 0) return Mapping.kind.get(mapping) === MAPPING_ANONYMOUS ? '/dev/zero (deleted)' : '';
  if (is_heap(mm, vma)) return '[heap]';
  const stack = Mm.start_stack.get(mm);
  return Vma.start.get(vma) <= stack && stack < Vma.end.get(vma) ? '[stack]' : '';
}
