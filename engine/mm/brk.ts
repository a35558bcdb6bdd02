/** brk(2): the heap (Linux's mm/mmap.c, SYSCALL_DEFINE1(brk)). */
import type { Ptr } from '../base/types.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { Mm, VM_LOCKED, VM_MAY_ACCESS, VM_READ, VM_WRITE, Vma } from './mm.layout.ts';
import { mm_lock, mm_unlock } from './mm_lock.ts';
import { map_region, may_lock, page_align, unmap_range } from './mmap.ts';
import { populate } from './populate.ts';
import { vma_find, vma_start_gap } from './vma_tree.ts';

/** Where the heap begins, set by exec; nothing is mapped yet. */
export function set_brk(mm: Ptr<'Mm'>, address: number): void {
  Mm.start_brk.set(mm, address);
  Mm.brk.set(mm, address);
}

/** Moves the end of the heap to `address`; returns the end as it then is, unchanged on any failure. */
export function do_brk(mm: Ptr<'Mm'>, address: number): number {
  mm_lock(mm);
  if (address >= Mm.start_brk.get(mm) && address < TASK_SIZE) set_end(mm, address);
  const brk = Mm.brk.get(mm);
  mm_unlock(mm);
  return brk;
}

function set_end(mm: Ptr<'Mm'>, address: number): void {
  const start = Mm.start_brk.get(mm);
  const data = address - start + (Mm.end_data.get(mm) - Mm.start_data.get(mm));
  if (data > Mm.limit_data.get(mm)) return;
  const old_end = page_align(Mm.brk.get(mm));
  const new_end = page_align(address);
  if (new_end < old_end) {
    if (unmap_range(mm, new_end, old_end) !== 0) return;
  } else if (new_end > old_end && !grow(mm, old_end, new_end)) return;
  Mm.brk.set(mm, address);
}

function grow(mm: Ptr<'Mm'>, start: number, end: number): boolean {
  const next = vma_find(mm, start);
  if (next !== 0 && end > vma_start_gap(next)) return false;
  const flags = VM_READ | VM_WRITE | VM_MAY_ACCESS | Mm.default_flags.get(mm);
  if ((flags & VM_LOCKED) !== 0 && !may_lock(mm, end - start)) return false;
  const file = 0 as Ptr<'File'>;
  const mapping = 0 as Ptr<'Mapping'>;
  if (map_region(mm, start, end, { flags, pgoff: start / 4096, file, mapping, special: 0 }) !== 0) return false;
  if ((flags & VM_LOCKED) !== 0) populate(mm, start, end);
  return true;
}

/** Whether a VMA overlaps the heap, for its name in /proc/pid/maps. */
export function is_heap(mm: Ptr<'Mm'>, vma: Ptr<'Vma'>): boolean {
  return Vma.start.get(vma) < Mm.brk.get(mm) && Vma.end.get(vma) > Mm.start_brk.get(mm) && Vma.mapping.get(vma) === 0;
}
