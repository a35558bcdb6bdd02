/** Faulting a range in ahead of use: MAP_POPULATE, mlock, MADV_POPULATE_*. */
import type { Ptr } from '../base/types.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../machine/vcpu.layout.ts';
import { fault_locked } from './fault.ts';
import { VM_ACCESS, VM_SHARED, VM_WRITE, Vma } from './mm.layout.ts';
import { vma_find } from './vma_tree.ts';

/**
 * Faults in the pages of the VMAs in [start, end), for writing where they are private and writable; stops
 * at the first fault that fails and returns its FAULT_* code, 0 otherwise. `skip_forbidden` passes over
 * VMAs without any access instead. Under mm.lock.
 */
export function populate(mm: Ptr<'Mm'>, start: number, end: number, skip_forbidden = true): number {
  for (let vma = vma_find(mm, start); vma !== 0 && Vma.start.get(vma) < end; vma = Vma.next.get(vma)) {
    const flags = Vma.flags.get(vma);
    if ((flags & VM_ACCESS) === 0 && skip_forbidden) continue;
    const access = (flags & (VM_WRITE | VM_SHARED)) === VM_WRITE ? ACCESS_WRITE : ACCESS_READ;
    const stop = Math.min(end, Vma.end.get(vma));
    for (let a = Math.max(start, Vma.start.get(vma)); a < stop; a += 4096) {
      const result = fault_locked(mm, a, access, false);
      if (result !== 0) return result;
    }
  }
  return 0;
}
