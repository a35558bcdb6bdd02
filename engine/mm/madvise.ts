/** madvise(2), mincore(2) and msync(2): advice and questions about mapped pages. */
import { EACCES, EBUSY, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP } from '../abi/errno.ts';
import {
  MADV_COLD,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_KEEPONFORK,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
  MS_ASYNC,
  MS_INVALIDATE,
  MS_SYNC,
} from '../abi/mman.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { U8 } from '../heap/memory.ts';
import { frame_put } from '../machine/frames.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { pte_get, pte_slot } from '../machine/page_table.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../machine/vcpu.layout.ts';
import { mapping_find_data, mapping_get, mapping_punch, mapping_put, mapping_sync } from '../vfs/mapping.ts';
import { FAULT_OOM, FAULT_SIGBUS, fault_locked } from './fault.ts';
import {
  Mm,
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_DONTEXPAND,
  VM_LOCKED,
  VM_MAYWRITE,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_WIPEONFORK,
  VM_WRITE,
  Vma,
} from './mm.layout.ts';
import { mm_lock, mm_unlock, zap_range } from './mm_lock.ts';
import { page_align } from './mmap.ts';
import { vma_isolate, vma_merge, vma_set_flags } from './vma.ts';
import { vma_at, vma_find } from './vma_tree.ts';

type V = Ptr<'Vma'>;

/** The flags that advice about a whole VMA clears and sets; undefined for other advice. */
function flag_change(advice: number): { clear: number; set: number } | undefined {
  switch (advice) {
    case MADV_NORMAL:
      return { clear: VM_RAND_READ | VM_SEQ_READ, set: 0 };
    case MADV_RANDOM:
      return { clear: VM_SEQ_READ, set: VM_RAND_READ };
    case MADV_SEQUENTIAL:
      return { clear: VM_RAND_READ, set: VM_SEQ_READ };
    case MADV_DONTFORK:
      return { clear: 0, set: VM_DONTCOPY };
    case MADV_DOFORK:
      return { clear: VM_DONTCOPY, set: 0 };
    case MADV_DONTDUMP:
      return { clear: 0, set: VM_DONTDUMP };
    case MADV_DODUMP:
      return { clear: VM_DONTDUMP, set: 0 };
    case MADV_WIPEONFORK:
      return { clear: 0, set: VM_WIPEONFORK };
    case MADV_KEEPONFORK:
      return { clear: VM_WIPEONFORK, set: 0 };
    default:
      return undefined;
  }
}

const ACTIONS = new Set([
  MADV_WILLNEED,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_COLD,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
]);

/**
 * madvise(2): 0 or -errno. Holes give -ENOMEM after the rest was done. Advice for features this kernel
 * does not have (huge pages, KSM, memory failure) is -EINVAL, as in a kernel built without them.
 */
export function do_madvise(mm: Ptr<'Mm'>, address: number, length: number, advice: number): number {
  const change = flag_change(advice);
  if (change === undefined && !ACTIONS.has(advice)) return -EINVAL;
  const end = address + page_align(length);
  if (address % 4096 !== 0 || end > TASK_SIZE) return -EINVAL;
  if (length === 0) return 0;
  if (advice === MADV_REMOVE) return remove(mm, address, end);
  mm_lock(mm);
  const populates = advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE;
  const result = populates ? populate_range(mm, address, end, advice) : walk(mm, address, end, advice, change);
  mm_unlock(mm);
  return result;
}

function walk(
  mm: Ptr<'Mm'>,
  start: number,
  end: number,
  advice: number,
  change: { clear: number; set: number } | undefined,
): number {
  let holes = false;
  let at = start;
  for (let vma = vma_find(mm, start); at < end; vma = vma_find(mm, at)) {
    if (vma === 0 || Vma.start.get(vma) > at) {
      holes = true;
      if (vma === 0 || Vma.start.get(vma) >= end) break;
      at = Vma.start.get(vma);
    }
    const stop = Math.min(end, Vma.end.get(vma));
    const error = change === undefined ? act(mm, vma, at, stop, advice) : change_flags(mm, vma, at, stop, change);
    if (error !== 0) return error;
    at = stop;
  }
  return holes ? -ENOMEM : 0;
}

function act(mm: Ptr<'Mm'>, vma: V, start: number, end: number, advice: number): number {
  const flags = Vma.flags.get(vma);
  const locked = (flags & VM_LOCKED) !== 0;
  if ((advice === MADV_DONTNEED || advice === MADV_FREE) && locked) return -EINVAL;
  // A freed page may lose its content at any time: here, at once.
  if (advice === MADV_FREE && Vma.mapping.get(vma) !== 0) return -EINVAL;
  if ((advice === MADV_COLD || advice === MADV_PAGEOUT) && locked) return -EINVAL;
  if (advice === MADV_DONTNEED || advice === MADV_DONTNEED_LOCKED || advice === MADV_FREE) zap_range(mm, start, end);
  return 0;
}

function change_flags(
  mm: Ptr<'Mm'>,
  vma: V,
  start: number,
  end: number,
  change: { clear: number; set: number },
): number {
  const old = Vma.flags.get(vma);
  // Only private anonymous memory can be wiped.
  if ((change.set & VM_WIPEONFORK) !== 0 && ((old & VM_SHARED) !== 0 || Vma.mapping.get(vma) !== 0)) return -EINVAL;
  const flags = ((old & ~change.clear) | change.set) >>> 0;
  return set_flags_in(mm, vma, start, end, flags);
}

/** Gives the part of a VMA in a range other flags, splitting and merging; 0 or -ENOMEM. Under mm.lock. */
export function set_flags_in(mm: Ptr<'Mm'>, vma: V, start: number, end: number, flags: number): number {
  if (flags === Vma.flags.get(vma)) return 0;
  vma = vma_isolate(mm, vma, start, end);
  if (vma === 0) return -ENOMEM;
  vma_set_flags(mm, vma, flags);
  vma_merge(mm, vma);
  return 0;
}

function populate_range(mm: Ptr<'Mm'>, start: number, end: number, advice: number): number {
  const write = advice === MADV_POPULATE_WRITE;
  for (let a = start; a < end; a += 4096) {
    const vma = vma_at(mm, a);
    if (vma === 0) return -ENOMEM;
    if ((Vma.flags.get(vma) & (write ? VM_WRITE : VM_READ)) === 0) return -EINVAL;
    const result = fault_locked(mm, a, write ? ACCESS_WRITE : ACCESS_READ, false);
    if (result === 0) continue;
    // madvise(2): EFAULT for SIGBUS, EINVAL for rights that are missing.
    return result === FAULT_OOM ? -ENOMEM : result === FAULT_SIGBUS ? -EFAULT : -EINVAL;
  }
  return 0;
}

/** MADV_REMOVE: a hole in the shared file behind a range. */
function remove(mm: Ptr<'Mm'>, start: number, end: number): number {
  let holes = false;
  for (let at = start; at < end; ) {
    mm_lock(mm);
    const vma = vma_find(mm, at);
    if (vma === 0 || Vma.start.get(vma) >= end) {
      mm_unlock(mm);
      return -ENOMEM;
    }
    if (Vma.start.get(vma) > at) {
      holes = true;
      at = Vma.start.get(vma);
    }
    const flags = Vma.flags.get(vma);
    const mapping = Vma.mapping.get(vma);
    const stop = Math.min(end, Vma.end.get(vma));
    const offset = Vma.pgoff.get(vma) * 4096 + (at - Vma.start.get(vma));
    let error = 0;
    if ((flags & VM_LOCKED) !== 0 || mapping === 0) error = -EINVAL;
    else if ((flags & (VM_SHARED | VM_MAYWRITE)) !== (VM_SHARED | VM_MAYWRITE)) error = -EACCES;
    else if ((flags & VM_DONTEXPAND) !== 0) error = -EOPNOTSUPP;
    else mapping_get(mapping);
    mm_unlock(mm);
    if (error !== 0) return error;
    // Unmapping takes mm.lock again, so the mapping is kept by a reference instead.
    error = mapping_punch(mapping, offset, offset + (stop - at));
    mapping_put(mapping);
    if (error !== 0) return error;
    at = stop;
  }
  return holes ? -ENOMEM : 0;
}

/** msync(2): writes dirty pages of shared mappings back; 0 or -errno. */
export function do_msync(mm: Ptr<'Mm'>, address: number, length: number, flags: number): number {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || address % 4096 !== 0) return -EINVAL;
  if ((flags & (MS_ASYNC | MS_SYNC)) === (MS_ASYNC | MS_SYNC)) return -EINVAL;
  const end = address + page_align(length);
  if (end > TASK_SIZE) return -ENOMEM;
  let holes = false;
  for (let at = address; at < end; ) {
    mm_lock(mm);
    const vma = vma_find(mm, at);
    if (vma === 0 || Vma.start.get(vma) >= end) {
      mm_unlock(mm);
      return -ENOMEM;
    }
    if (Vma.start.get(vma) > at) {
      holes = true;
      at = Vma.start.get(vma);
    }
    const stop = Math.min(end, Vma.end.get(vma));
    const vm_flags = Vma.flags.get(vma);
    const mapping = Vma.mapping.get(vma);
    const offset = Vma.pgoff.get(vma) * 4096 + (at - Vma.start.get(vma));
    const busy = (flags & MS_INVALIDATE) !== 0 && (vm_flags & VM_LOCKED) !== 0;
    const sync = !busy && (flags & MS_SYNC) !== 0 && (vm_flags & VM_SHARED) !== 0 && mapping !== 0;
    if (sync) mapping_get(mapping);
    mm_unlock(mm);
    if (busy) return -EBUSY;
    if (sync) {
      const error = mapping_sync(mapping, offset, offset + (stop - at));
      mapping_put(mapping);
      if (error !== 0) return error;
    }
    at = stop;
  }
  return holes ? -ENOMEM : 0;
}

/**
 * mincore(2) for `count` pages from `address`: one byte each at kernel address `target`; 0, or -ENOMEM
 * where nothing is mapped.
 */
export function mincore_pages(mm: Ptr<'Mm'>, address: number, count: number, target: number): number {
  mm_lock(mm);
  let done = 0;
  for (; done < count; done++) {
    const at = address + done * 4096;
    const vma = vma_at(mm, at);
    if (vma === 0) break;
    U8[target + done] = resident(mm, vma, at) ? 1 : 0;
  }
  mm_unlock(mm);
  return done;
}

function resident(mm: Ptr<'Mm'>, vma: V, address: number): boolean {
  const slot = pte_slot(Mm.page_table.get(mm) as FrameAddr, address);
  if (slot !== 0 && pte_get(slot) !== 0) return true;
  const mapping = Vma.mapping.get(vma);
  if (mapping === 0) return false;
  const frame = mapping_find_data(mapping, Vma.pgoff.get(vma) + (address - Vma.start.get(vma)) / 4096);
  if (frame !== 0) frame_put(frame);
  return frame !== 0;
}
