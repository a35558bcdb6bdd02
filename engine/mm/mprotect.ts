/** mprotect(2): changing the rights of a range (Linux's mm/mprotect.c). */
import { EACCES, EINVAL, ENOMEM } from '../abi/errno.ts';
import { PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_READ, PROT_SEM, PROT_WRITE } from '../abi/mman.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { PTE_COW, PTE_EXEC, PTE_PRESENT, PTE_WRITE, TASK_SIZE } from '../machine/page_table.layout.ts';
import { next_table, pte_frame, pte_get, pte_set, pte_slot, table_end } from '../machine/page_table.ts';
import { mapping_tracks_dirty } from '../vfs/mapping.ts';
import {
  Mm,
  VM_ACCESS,
  VM_ACCOUNT,
  VM_EXEC,
  VM_FAULTED,
  VM_GROWSDOWN,
  VM_NORESERVE,
  VM_SHARED,
  VM_WRITE,
  Vma,
} from './mm.layout.ts';
import { flush_later, mm_lock, mm_unlock } from './mm_lock.ts';
import { page_align } from './mmap.ts';
import { is_data, vma_isolate, vma_merge, vma_set_flags } from './vma.ts';
import { vma_find } from './vma_tree.ts';

const KNOWN = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM;

/** Sets the rights of [address, address + length): 0 or -errno; what lies below a failure is changed. */
export function do_mprotect(mm: Ptr<'Mm'>, address: number, length: number, prot: number): number {
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || address % 4096 !== 0) return -EINVAL;
  if (length === 0) return 0;
  const end = address + page_align(length);
  if (end > TASK_SIZE) return -ENOMEM;
  if ((prot & ~(KNOWN | PROT_GROWSDOWN | PROT_GROWSUP)) !== 0) return -EINVAL;
  mm_lock(mm);
  const result = protect_range(mm, address, end, prot, grows);
  mm_unlock(mm);
  return result;
}

function protect_range(mm: Ptr<'Mm'>, start: number, end: number, prot: number, grows: number): number {
  let vma = vma_find(mm, start);
  if (vma === 0) return -ENOMEM;
  if (grows === PROT_GROWSDOWN) {
    if (Vma.start.get(vma) >= end) return -ENOMEM;
    if ((Vma.flags.get(vma) & VM_GROWSDOWN) === 0) return -EINVAL;
    start = Vma.start.get(vma);
  } else if (grows === PROT_GROWSUP) return -EINVAL;
  if (Vma.start.get(vma) > start) return -ENOMEM;
  for (let at = start; at < end; ) {
    if (vma === 0 || Vma.start.get(vma) > at) return -ENOMEM;
    const flags = (Vma.flags.get(vma) & ~VM_ACCESS) | (prot & VM_ACCESS);
    // Bits 4-6 say which rights the mapping may have.
    if ((flags & ~(flags >> 4) & VM_ACCESS) !== 0) return -EACCES;
    const stop = Math.min(end, Vma.end.get(vma));
    const result = protect_vma(mm, vma, at, stop, flags);
    if (result !== 0) return result;
    at = stop;
    vma = vma_find(mm, at);
  }
  return 0;
}

function protect_vma(mm: Ptr<'Mm'>, vma: Ptr<'Vma'>, start: number, end: number, flags: number): number {
  const old = Vma.flags.get(vma);
  if (old === flags) return 0;
  const pages = (end - start) / 4096;
  // Memory that becomes data counts against RLIMIT_DATA.
  const data = (Mm.data_vm.get(mm) + pages) * 4096;
  if (is_data(flags) && !is_data(old) && data > Mm.limit_data.get(mm)) return -ENOMEM;
  flags = accounted(vma, old, flags);
  vma = vma_isolate(mm, vma, start, end);
  if (vma === 0) return -ENOMEM;
  vma_set_flags(mm, vma, flags);
  change_entries(mm, vma, start, end);
  vma_merge(mm, vma);
  return 0;
}

/** VM_ACCOUNT follows what was charged: it keeps VMAs apart in /proc/pid/maps, as in Linux. */
function accounted(vma: Ptr<'Vma'>, old: number, flags: number): number {
  if ((flags & VM_WRITE) !== 0) return (old & (VM_SHARED | VM_NORESERVE)) === 0 ? flags | VM_ACCOUNT : flags;
  return Vma.mapping.get(vma) === 0 && (old & VM_FAULTED) === 0 ? flags & ~VM_ACCOUNT : flags;
}

/** Gives the present pages of a VMA its rights; a page without access keeps its frame. */
function change_entries(mm: Ptr<'Mm'>, vma: Ptr<'Vma'>, start: number, end: number): void {
  const flags = Vma.flags.get(vma);
  const mapping = Vma.mapping.get(vma);
  const rights = ((flags & VM_ACCESS) !== 0 ? PTE_PRESENT : 0) | ((flags & VM_EXEC) !== 0 ? PTE_EXEC : 0);
  // Without a fault to see: pages that no store needs to be noticed for.
  const writable =
    (flags & VM_WRITE) !== 0 && ((flags & VM_SHARED) === 0 || mapping === 0 || !mapping_tracks_dirty(mapping));
  const root = Mm.page_table.get(mm) as FrameAddr;
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a, end)) {
    const stop = Math.min(end, table_end(a));
    let slot = pte_slot(root, a);
    for (; a < stop; a += 4096, slot++) {
      const entry = pte_get(slot);
      if (pte_frame(entry) === 0) continue;
      let changed = (entry & ~(PTE_PRESENT | PTE_WRITE | PTE_EXEC)) | rights;
      const kept = (flags & VM_WRITE) !== 0 ? entry & PTE_WRITE : 0;
      changed |= writable && (entry & PTE_COW) === 0 ? PTE_WRITE : kept;
      if (changed >>> 0 === entry) continue;
      pte_set(slot, changed >>> 0);
      if ((entry & ~changed & (PTE_PRESENT | PTE_WRITE | PTE_EXEC)) !== 0) flush_later(a, a + 4096, entry);
    }
  }
}
