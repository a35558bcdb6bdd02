/**
 * mlock(2) and its family. Pages never leave memory here, so locking means: faulted in ahead, accounted
 * against RLIMIT_MEMLOCK, and shown in /proc.
 */
import { EINVAL, ENOMEM, EPERM } from '../abi/errno.ts';
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } from '../abi/mman.ts';
import type { Ptr } from '../base/types.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { set_flags_in } from './madvise.ts';
import { Mm, VM_LOCKED, VM_LOCKONFAULT, Vma } from './mm.layout.ts';
import { mm_lock, mm_unlock } from './mm_lock.ts';
import { page_align } from './mmap.ts';
import { populate } from './populate.ts';
import { vma_find } from './vma_tree.ts';

const LOCK_FLAGS = VM_LOCKED | VM_LOCKONFAULT;

/**
 * Sets the lock flags of a range (0 unlocks): 0 or -errno. `privileged` has CAP_IPC_LOCK: no limit. With VM_LOCKED alone
 * the caller faults the range in, which stays locked when that fails.
 */
export function do_mlock(
  mm: Ptr<'Mm'>,
  address: number,
  length: number,
  lock_flags: number,
  privileged: boolean,
): number {
  const start = address - (address % 4096);
  const end = page_align(address + length);
  if (!(end <= TASK_SIZE)) return lock_flags === 0 ? -EINVAL : -ENOMEM;
  const limit = Mm.limit_memlock.get(mm);
  if (lock_flags !== 0 && limit === 0 && !privileged) return -EPERM;
  mm_lock(mm);
  let result = 0;
  if (lock_flags !== 0 && !privileged && locked_with(mm, start, end) > limit) result = -ENOMEM;
  if (result === 0) result = apply(mm, start, end, lock_flags);
  mm_unlock(mm);
  return result;
}

/** Bytes locked if the range were too. */
function locked_with(mm: Ptr<'Mm'>, start: number, end: number): number {
  let bytes = Mm.locked_vm.get(mm) * 4096 + (end - start);
  for (let v = vma_find(mm, start); v !== 0 && Vma.start.get(v) < end; v = Vma.next.get(v)) {
    if ((Vma.flags.get(v) & VM_LOCKED) === 0) continue;
    bytes -= Math.min(end, Vma.end.get(v)) - Math.max(start, Vma.start.get(v));
  }
  return bytes;
}

function apply(mm: Ptr<'Mm'>, start: number, end: number, lock_flags: number): number {
  for (let at = start; at < end; ) {
    const vma = vma_find(mm, at);
    if (vma === 0 || Vma.start.get(vma) > at) return -ENOMEM;
    const stop = Math.min(end, Vma.end.get(vma));
    const error = set_flags_in(mm, vma, at, stop, (Vma.flags.get(vma) & ~LOCK_FLAGS) | lock_flags);
    if (error !== 0) return error;
    at = stop;
  }
  return 0;
}

/** mlockall(2): 0 or -errno. */
export function do_mlockall(mm: Ptr<'Mm'>, flags: number, privileged: boolean): number {
  const known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
  if (flags === 0 || (flags & ~known) !== 0 || flags === MCL_ONFAULT) return -EINVAL;
  const limit = Mm.limit_memlock.get(mm);
  if (limit === 0 && !privileged) return -EPERM;
  const lock_flags = (flags & MCL_ONFAULT) !== 0 ? LOCK_FLAGS : VM_LOCKED;
  mm_lock(mm);
  let result = 0;
  const too_much = Mm.total_vm.get(mm) * 4096 > limit && !privileged;
  if ((flags & MCL_CURRENT) !== 0 && too_much) result = -ENOMEM;
  if (result === 0) {
    Mm.default_flags.set(mm, (flags & MCL_FUTURE) !== 0 ? lock_flags : 0);
    if ((flags & MCL_CURRENT) !== 0) lock_all(mm, lock_flags);
  }
  mm_unlock(mm);
  return result;
}

function lock_all(mm: Ptr<'Mm'>, lock_flags: number): void {
  for (let at = 0; ; ) {
    const vma = vma_find(mm, at);
    if (vma === 0) break;
    at = Vma.end.get(vma);
    // Failures are ignored, as in Linux.
    set_flags_in(mm, vma, Vma.start.get(vma), at, (Vma.flags.get(vma) & ~LOCK_FLAGS) | lock_flags);
  }
  if (lock_flags === VM_LOCKED) populate(mm, 0, TASK_SIZE);
}

/** munlockall(2). */
export function do_munlockall(mm: Ptr<'Mm'>): number {
  mm_lock(mm);
  Mm.default_flags.set(mm, 0);
  lock_all(mm, 0);
  mm_unlock(mm);
  return 0;
}
