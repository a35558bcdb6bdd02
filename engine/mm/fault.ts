/**
 * Page faults: finding what belongs at an address and putting it into the page table.
 *
 * Private anonymous memory is the zero frame until written, then a frame of its own. Private file
 * memory shows the page cache until written, then a copy. Shared memory is the cache's page; where dirty
 * pages are written back it is mapped read-only until the first store, which marks it dirty.
 */
import { EACCES, EFAULT, EIO, ENOMEM } from '../abi/errno.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { FRAME_CACHE, FRAME_DIRTY, FrameInfo } from '../machine/frame.layout.ts';
import {
  frame_alloc,
  frame_alloc_uninitialized,
  frame_copy,
  frame_info,
  frame_put,
  frame_refs,
  zero_frame,
} from '../machine/frames.ts';
import {
  PTE_ACCESSED,
  PTE_COW,
  PTE_DIRTY,
  PTE_EXEC,
  PTE_FILE,
  PTE_FLAGS,
  PTE_PRESENT,
  PTE_SHMEM,
  PTE_WRITE,
  TASK_SIZE,
} from '../machine/page_table.layout.ts';
import { pte_frame, pte_get, pte_set, pte_slot, pte_slot_alloc } from '../machine/page_table.ts';
import { enter_guest, leave_guest, wait_for_retired } from '../machine/safe_point.ts';
import { this_vcpu } from '../machine/this_vcpu.ts';
import { tlb_flush_page } from '../machine/tlb.ts';
import { ACCESS_EXEC, ACCESS_WRITE, Vcpu } from '../machine/vcpu.layout.ts';
import { MAPPING_HOST, Mapping } from '../vfs/mapping.layout.ts';
import { mapping_fault, mapping_find_data, mapping_tracks_dirty } from '../vfs/mapping.ts';
import { active_mm } from './active.ts';
import { Mm, VM_ACCESS, VM_EXEC, VM_FAULTED, VM_GROWSDOWN, VM_SHARED, VM_WRITE, Vma } from './mm.layout.ts';
import { flush_later, mm_lock, mm_unlock, put_later, rss_account } from './mm_lock.ts';
import { account, may_expand } from './vma.ts';
import { STACK_GUARD_GAP, vma_find, vma_resize } from './vma_tree.ts';

type V = Ptr<'Vma'>;

/** Results of a fault that was not resolved. SIGSEGV with SEGV_MAPERR: nothing is mapped there. */
export const FAULT_MAPERR = -EFAULT;
/** SIGSEGV with SEGV_ACCERR: the mapping does not allow the access. */
export const FAULT_ACCERR = -EACCES;
/** SIGBUS with BUS_ADRERR: behind the end of the mapped file, or its page cannot be read. */
export const FAULT_SIGBUS = -EIO;
/** No memory: the task is to be killed (the OOM killer's choice is always the task that asked). */
export const FAULT_OOM = -ENOMEM;

/** Pages mapped around a file fault when the cache has them. */
const AROUND = 16;

/** For `hooks.fault`: resolves a fault of guest code on the active address space; 0 or FAULT_*. */
export function guest_fault(address: number, access: number): number {
  leave_guest(this_vcpu);
  let result = mm_fault(active_mm, address, access);
  if (result === FAULT_OOM && wait_for_retired(this_vcpu)) result = mm_fault(active_mm, address, access);
  enter_guest(this_vcpu);
  return result;
}

/** Resolves an access (ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC) to a user address; 0 or FAULT_*. */
export function mm_fault(mm: Ptr<'Mm'>, address: number, access: number): number {
  if (!(address >= 0 && address < TASK_SIZE) || mm === 0) return FAULT_MAPERR;
  const page = address - (address & 0xfff);
  mm_lock(mm);
  Mm.page_faults.set(mm, Mm.page_faults.get(mm) + 1);
  const result = fault_locked(mm, page, access, false);
  // A read-tag may still point to the zero frame, or lack the right just given.
  if (this_vcpu !== 0 && Vcpu.mm.load(this_vcpu) === mm) tlb_flush_page(this_vcpu, page);
  mm_unlock(mm);
  return result;
}

/** The same with mm.lock held and `page` aligned; `force` is ptrace's right to write private read-only pages. */
export function fault_locked(mm: Ptr<'Mm'>, page: number, access: number, force: boolean): number {
  const vma = vma_find(mm, page);
  if (vma === 0) return FAULT_MAPERR;
  if (Vma.start.get(vma) > page) {
    const grown = grow_stack(mm, vma, page);
    if (grown !== 0) return grown;
  }
  const flags = Vma.flags.get(vma);
  const needed = access === ACCESS_WRITE ? VM_WRITE : access === ACCESS_EXEC ? VM_EXEC : VM_ACCESS;
  if ((flags & needed) === 0 && !force) return FAULT_ACCERR;
  const slot = pte_slot_alloc(Mm.page_table.get(mm) as FrameAddr, page);
  if (slot === 0) return FAULT_OOM;
  if (pte_get(slot) === 0) return fault_absent(mm, vma, page, slot, access === ACCESS_WRITE);
  if (access === ACCESS_WRITE) return fault_write(mm, vma, page, slot);
  // The entry was made before a mprotect gave rights back, or another vCPU was faster.
  pte_set(slot, (pte_get(slot) | rights(flags)) >>> 0);
  return 0;
}

/** PRESENT and EXEC as the VMA allows; on x86 any right makes a page readable. */
function rights(flags: number): number {
  return ((flags & VM_ACCESS) !== 0 ? PTE_PRESENT : 0) | ((flags & VM_EXEC) !== 0 ? PTE_EXEC : 0);
}

/** Grows a stack down to `page` (expand_stack): 0, FAULT_MAPERR, or FAULT_OOM. */
function grow_stack(mm: Ptr<'Mm'>, vma: V, page: number): number {
  if ((Vma.flags.get(vma) & VM_GROWSDOWN) === 0) return FAULT_MAPERR;
  const start = Vma.start.get(vma);
  const end = Vma.end.get(vma);
  const prev = Vma.prev.get(vma);
  const limit = Mm.limit_stack.get(mm);
  if (prev !== 0) {
    const guarded = (Vma.flags.get(prev) & VM_GROWSDOWN) === 0 && (Vma.flags.get(prev) & VM_ACCESS) !== 0;
    if (page - Vma.end.get(prev) < (guarded ? STACK_GUARD_GAP : 0)) return FAULT_MAPERR;
  }
  const pages = (start - page) / 4096;
  if (end - page > limit || !may_expand(mm, Vma.flags.get(vma), pages)) return FAULT_MAPERR;
  Vma.pgoff.set(vma, Vma.pgoff.get(vma) - pages);
  vma_resize(mm, vma, page, end);
  account(mm, Vma.flags.get(vma), pages);
  return 0;
}

function fault_absent(mm: Ptr<'Mm'>, vma: V, page: number, slot: number, write: boolean): number {
  const flags = Vma.flags.get(vma);
  const mapping = Vma.mapping.get(vma);
  if (mapping === 0) return fault_anonymous(mm, vma, slot, write);
  const index = Vma.pgoff.get(vma) + (page - Vma.start.get(vma)) / 4096;
  const shared = (flags & VM_SHARED) !== 0;
  const frame = mapping_fault(mapping, index, write && shared);
  if (frame < 0) return frame === -ENOMEM ? FAULT_OOM : FAULT_SIGBUS;
  if (write && !shared) {
    const error = own_copy(mm, vma, slot, frame as FrameAddr);
    frame_put(frame as FrameAddr);
    return error;
  }
  const entry = file_entry(vma, frame as FrameAddr, write);
  pte_set(slot, entry);
  rss_account(mm, entry, 1);
  if (!write) map_around(mm, vma, page, index);
  return 0;
}

function fault_anonymous(mm: Ptr<'Mm'>, vma: V, slot: number, write: boolean): number {
  const flags = Vma.flags.get(vma);
  if (!write) {
    pte_set(slot, (zero_frame() | rights(flags) | PTE_COW | PTE_ACCESSED) >>> 0);
    return 0;
  }
  const frame = frame_alloc();
  if (frame === 0) return FAULT_OOM;
  install_own(mm, vma, slot, frame);
  return 0;
}

/** Maps a private frame, counted as anonymous. */
function install_own(mm: Ptr<'Mm'>, vma: V, slot: number, frame: FrameAddr): void {
  const flags = Vma.flags.get(vma);
  if ((flags & VM_FAULTED) === 0) Vma.flags.set(vma, flags | VM_FAULTED);
  const write = (flags & VM_WRITE) !== 0 ? PTE_WRITE : 0;
  const entry = (frame | rights(flags) | write | PTE_ACCESSED | PTE_DIRTY) >>> 0;
  pte_set(slot, entry);
  rss_account(mm, entry, 1);
}

function own_copy(mm: Ptr<'Mm'>, vma: V, slot: number, source: FrameAddr): number {
  const zero = source === zero_frame();
  const frame = zero ? frame_alloc() : frame_alloc_uninitialized();
  if (frame === 0) return FAULT_OOM;
  if (!zero) frame_copy(frame, source);
  install_own(mm, vma, slot, frame);
  return 0;
}

/** The entry for a page of the cache; takes over the caller's reference. */
function file_entry(vma: V, frame: FrameAddr, write: boolean): number {
  const flags = Vma.flags.get(vma);
  const mapping = Vma.mapping.get(vma);
  const kind = Mapping.kind.get(mapping) < MAPPING_HOST ? PTE_SHMEM : PTE_FILE;
  let entry = frame | rights(flags) | PTE_ACCESSED | kind;
  if ((flags & VM_SHARED) === 0) entry |= PTE_COW;
  else if ((flags & VM_WRITE) !== 0 && (write || !mapping_tracks_dirty(mapping))) entry |= PTE_WRITE;
  return entry >>> 0;
}

/** Maps the cached neighbours of a page that was read, so that a program's text costs few faults. */
function map_around(mm: Ptr<'Mm'>, vma: V, page: number, index: number): void {
  const window = page - (page & (AROUND * 4096 - 1));
  const start = Math.max(window, Vma.start.get(vma));
  const end = Math.min(window + AROUND * 4096, Vma.end.get(vma));
  const root = Mm.page_table.get(mm) as FrameAddr;
  const mapping = Vma.mapping.get(vma);
  const pages = Math.ceil(Mapping.size.get(mapping) / 4096);
  let slot = pte_slot(root, start);
  for (let a = start; a < end; a += 4096, slot++) {
    const i = index + (a - page) / 4096;
    if (pte_get(slot) !== 0 || i >= pages) continue;
    const frame = mapping_find_data(mapping, i);
    if (frame === 0) continue;
    const entry = file_entry(vma, frame, false);
    pte_set(slot, entry);
    rss_account(mm, entry, 1);
  }
}

/** A store to a page whose entry does not let it through. */
function fault_write(mm: Ptr<'Mm'>, vma: V, page: number, slot: number): number {
  const entry = pte_get(slot);
  const frame = pte_frame(entry);
  const flags = Vma.flags.get(vma);
  if ((entry & (PTE_PRESENT | PTE_WRITE)) === (PTE_PRESENT | PTE_WRITE)) return 0;
  if ((flags & VM_SHARED) !== 0) {
    const info = frame_info(frame);
    if ((FrameInfo.flags.load(info) & FRAME_DIRTY) === 0) FrameInfo.flags.or(info, FRAME_DIRTY);
    pte_set(slot, (entry | rights(flags) | PTE_WRITE | PTE_DIRTY) >>> 0);
    return 0;
  }
  const own =
    frame !== zero_frame() && frame_refs(frame) === 1 && (FrameInfo.flags.load(frame_info(frame)) & FRAME_CACHE) === 0;
  if (own) {
    // The last user of the frame: take it over.
    const write = (flags & VM_WRITE) !== 0 ? PTE_WRITE : 0;
    const kept = entry & ~(PTE_COW | PTE_FILE | PTE_SHMEM) & PTE_FLAGS;
    rss_account(mm, entry, -1);
    const taken = (frame | kept | rights(flags) | write | PTE_DIRTY) >>> 0;
    pte_set(slot, taken);
    rss_account(mm, taken, 1);
    return 0;
  }
  const error = own_copy(mm, vma, slot, frame);
  if (error !== 0) return error;
  rss_account(mm, entry, -1);
  flush_later(page, page + 4096, entry);
  put_later(frame);
  return 0;
}
