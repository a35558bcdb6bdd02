/**
 * From a mapping to the page tables that show its pages (Linux's rmap): truncation, hole punching and
 * write-back must reach them all.
 *
 * The order of locks is mm, then mapping, so the address spaces are collected under the mapping's lock,
 * referenced, and visited without it. A fork may add one meanwhile: then the list is read again.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { MAPPING_LOCK } from '../heap/lock_order.ts';
import { PTE_FILE, PTE_SHMEM, PTE_WRITE } from '../machine/page_table.layout.ts';
import { next_table, pte_get, pte_set, pte_slot, table_end } from '../machine/page_table.ts';
import { Mapping } from '../vfs/mapping.layout.ts';
import { register_unmapper } from '../vfs/mapping.ts';
import { mm_release } from './address_space.ts';
import { Mm, Vma } from './mm.layout.ts';
import { flush_later, mm_lock, mm_unlock, zap_range } from './mm_lock.ts';

type Visit = (mm: Ptr<'Mm'>, start: number, end: number) => void;

/** Calls `visit`, under each mm's lock, for the address ranges that show pages `first` to `last`. */
function visit_ranges(mapping: Ptr<'Mapping'>, first: number, last: number, visit: Visit): void {
  for (let generation = -1; ; ) {
    const found: Ptr<'Mm'>[] = [];
    lock(Mapping.lock.at(mapping), MAPPING_LOCK);
    const now = Mapping.vma_generation.get(mapping);
    if (now !== generation) {
      for (let v = Mapping.vmas.get(mapping); v !== 0; v = Vma.mapping_next.get(v)) {
        const mm = Vma.mm.get(v);
        // A hold, not a reference: ours must not be the last, since the caller may hold the inode's lock.
        // The record is there as long as one of its VMAs is on this list.
        if (found.includes(mm)) continue;
        Mm.holds.add(mm, 1);
        found.push(mm);
      }
    }
    unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
    if (now === generation) return;
    generation = now;
    for (const mm of found) {
      visit_mm(mm, mapping, first, last, visit);
      mm_release(mm);
    }
    if (found.length === 0) return;
  }
}

function visit_mm(mm: Ptr<'Mm'>, mapping: Ptr<'Mapping'>, first: number, last: number, visit: Visit): void {
  mm_lock(mm);
  // An mm that is being taken down has no VMAs left, or unmaps them itself after we let go of its lock.
  for (let vma = Mm.first.get(mm); vma !== 0; vma = Vma.next.get(vma)) {
    if (Vma.mapping.get(vma) !== mapping) continue;
    const base = Vma.start.get(vma) - Vma.pgoff.get(vma) * 4096;
    const start = Math.max(Vma.start.get(vma), base + first * 4096);
    const end = Math.min(Vma.end.get(vma), base + (last + 1) * 4096);
    if (start < end) visit(mm, start, end);
  }
  mm_unlock(mm);
}

function write_protect(mm: Ptr<'Mm'>, start: number, end: number): void {
  const root = Mm.page_table.get(mm) as FrameAddr;
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a, end)) {
    const stop = Math.min(end, table_end(a));
    let slot = pte_slot(root, a);
    for (; a < stop; a += 4096, slot++) {
      const entry = pte_get(slot);
      if ((entry & PTE_WRITE) === 0 || (entry & (PTE_FILE | PTE_SHMEM)) === 0) continue;
      pte_set(slot, (entry & ~PTE_WRITE) >>> 0);
      flush_later(a, a + 4096, 0);
    }
  }
}

register_unmapper({
  zap(mapping, first, last, cows) {
    visit_ranges(mapping, first, last, (mm, start, end) => zap_range(mm, start, end, cows));
  },
  write_protect(mapping, first, last) {
    visit_ranges(mapping, first, last, write_protect);
  },
});
