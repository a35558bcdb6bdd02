// @hot
/**
 * What a futex word is, apart from the address it is seen at (Linux's get_futex_key): a private one is
 * known by its address space and address, a shared one by its mapping and offset.
 */
import { EFAULT } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { ACCESS_READ } from '../machine/vcpu.layout.ts';
import { mm_fault } from './fault.ts';
import { VM_MAYSHARE, VM_SHARED, Vma } from './mm.layout.ts';
import { mm_lock, mm_unlock } from './mm_lock.ts';
import { vma_at } from './vma_tree.ts';

/** A key: two words are the same futex when both fields are equal. Refilled, not allocated. */
export class FutexKey {
  /** The Mm or the Mapping. Records of both live in the same memory, so their addresses differ. */
  object = 0;
  /** User address, or byte offset in the mapping. */
  offset = 0;
}

/**
 * Fills `key` for the aligned word at `uaddr`; 0 or -EFAULT. `shared` is false for FUTEX_PRIVATE_FLAG,
 * which needs no look at the mappings. The key takes no reference: a shared mapping lives at least as
 * long as the waiter's address space maps it.
 */
export function futex_key(mm: Ptr<'Mm'>, uaddr: number, shared: boolean, key: FutexKey): number {
  // As access_ok looks at what is shorter than a page: by its first byte, and one address too far.
  if (uaddr > TASK_SIZE) return -EFAULT;
  key.object = mm;
  key.offset = uaddr;
  if (!shared) return 0;
  const error = mm_fault(mm, uaddr, ACCESS_READ);
  if (error !== 0) return -EFAULT;
  mm_lock(mm);
  const vma = vma_at(mm, uaddr);
  if (vma !== 0 && Vma.mapping.get(vma) !== 0 && (Vma.flags.get(vma) & (VM_SHARED | VM_MAYSHARE)) !== 0) {
    key.object = Vma.mapping.get(vma);
    key.offset = Vma.pgoff.get(vma) * 4096 + (uaddr - Vma.start.get(vma));
  }
  mm_unlock(mm);
  return vma === 0 ? -EFAULT : 0;
}
