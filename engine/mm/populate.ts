/** Faulting a range in ahead of use: MAP_POPULATE, mlock, MADV_POPULATE_*. */
import type { Ptr } from '../base/types.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../machine/vcpu.layout.ts';
import { fault_locked } from './fault.ts';
import { VM_ACCESS, VM_SHARED, VM_WRITE, Vma } from './mm.layout.ts';
import { mm_lock, mm_unlock } from './mm_lock.ts';
import { vma_find } from './vma_tree.ts';

let reached = 0;

/** Where the last `populate` of this thread stopped: its end, or the first page that it had no more turns for. */
export function populated_to(): number {
  return reached;
}

/**
 * Faults in the pages of the VMAs in [start, end), for writing where they are private and writable; stops
 * at the first fault that fails and returns its FAULT_* code, 0 otherwise. `skip_forbidden` passes over
 * VMAs without any access instead. No more than `pages` are faulted in. Under mm.lock.
 */
export function populate(
  mm: Ptr<'Mm'>,
  start: number,
  end: number,
  skip_forbidden = true,
  pages = Number.POSITIVE_INFINITY,
): number {
  for (let vma = vma_find(mm, start); vma !== 0 && Vma.start.get(vma) < end; vma = Vma.next.get(vma)) {
    const flags = Vma.flags.get(vma);
    if ((flags & VM_ACCESS) === 0 && skip_forbidden) continue;
    const access = (flags & (VM_WRITE | VM_SHARED)) === VM_WRITE ? ACCESS_WRITE : ACCESS_READ;
    const stop = Math.min(end, Vma.end.get(vma));
    for (let a = Math.max(start, Vma.start.get(vma)); a < stop; a += 4096) {
      reached = a;
      if (pages-- <= 0) return 0;
      const result = fault_locked(mm, a, access, false);
      if (result !== 0) return result;
    }
  }
  reached = end;
  return 0;
}

/** The same, taking mm.lock. */
export function populate_some(
  mm: Ptr<'Mm'>,
  start: number,
  end: number,
  skip_forbidden: boolean,
  pages: number,
): number {
  mm_lock(mm);
  const result = populate(mm, start, end, skip_forbidden, pages);
  mm_unlock(mm);
  return result;
}
