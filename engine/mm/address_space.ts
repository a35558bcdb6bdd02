/**
 * Address spaces: creation, sharing, the copy that fork makes, activation on a vCPU, and the end.
 *
 * Calls that change an address space go mm_lock -> edit VMAs and page table -> mm_unlock; see mm_lock.ts
 * for what happens when. The files of this folder, bottom up:
 *
 *   active, shootdown, vma_tree, vma -> mm_lock -> placement, populate/fault -> mmap, mprotect, mremap,
 *   brk, madvise, mlock -> uaccess, iov, futex_key, stats
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { bytes_copy } from '../heap/bytes.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { U32 } from '../heap/memory.ts';
import { ref_put } from '../heap/refcount.ts';
import { slab } from '../heap/slab.ts';
import { frame_alloc_uninitialized, frame_copy, frame_get, zero_frame } from '../machine/frames.ts';
import { PTE_COW, PTE_FILE, PTE_FLAGS, PTE_SHMEM, PTE_WRITE } from '../machine/page_table.layout.ts';
import {
  next_table,
  page_table_create,
  page_table_destroy,
  pte_frame,
  pte_get,
  pte_next_used,
  pte_set,
  pte_slot,
  pte_slot_alloc,
  table_end,
} from '../machine/page_table.ts';
import { frame_pinned } from '../machine/pins.ts';
import { tlb_switch } from '../machine/tlb.ts';
import { INTERRUPT_FLUSH_TLB, Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { file_get, file_put } from '../vfs/file.ts';
import { active_mm, use_mm } from './active.ts';
import { Mm, VM_DONTCOPY, VM_FAULTED, VM_LOCKED, VM_LOCKONFAULT, VM_SHARED, VM_WIPEONFORK, Vma } from './mm.layout.ts';
import { flush_later, free_later, mm_lock, mm_unlock, rss_account, zap_range } from './mm_lock.ts';
import { set_mmap_base } from './placement.ts';
import { account, vma_backing, vma_create } from './vma.ts';
import { vma_insert, vma_remove } from './vma_tree.ts';

export const mms = slab(Mm);
const DEFAULT_STACK_LIMIT = 8 << 20;
const DEFAULT_MEMLOCK_LIMIT = 8 << 20;

/** An empty address space with one reference and default limits; 0 when memory is exhausted. */
export function mm_create(): Ptr<'Mm'> {
  const mm = mms.alloc();
  if (mm === 0) return mm;
  const root = page_table_create();
  if (root === 0) {
    mms.free(mm);
    return 0 as Ptr<'Mm'>;
  }
  Mm.refs.store(mm, 1);
  Mm.holds.store(mm, 1);
  Mm.page_table.set(mm, root);
  Mm.number.set(mm, MachineHeader.spaces_made.add(MACHINE, 1) + 1);
  Mm.dumpable.set(mm, 1);
  Mm.limit_as.set(mm, Infinity);
  Mm.limit_data.set(mm, Infinity);
  Mm.limit_stack.set(mm, DEFAULT_STACK_LIMIT);
  Mm.limit_memlock.set(mm, DEFAULT_MEMLOCK_LIMIT);
  set_mmap_base(mm);
  return mm;
}

/**
 * Sets the soft limits in bytes (RLIMIT_AS, DATA, STACK, MEMLOCK; 2^64 or Infinity for none). The stack
 * limit acts at the next growth; placement took it into account at exec.
 */
export function mm_set_limits(mm: Ptr<'Mm'>, as: number, data: number, stack: number, memlock: number): void {
  Mm.limit_as.set(mm, as);
  Mm.limit_data.set(mm, data);
  Mm.limit_stack.set(mm, stack);
  Mm.limit_memlock.set(mm, memlock);
}

/** Takes a reference (CLONE_VM, a temporary holder). */
export function mm_get(mm: Ptr<'Mm'>): void {
  Mm.refs.add(mm, 1);
}

/** Drops a reference; the last one unmaps everything and frees it. The caller holds no lock. */
export function mm_put(mm: Ptr<'Mm'>): void {
  if (!ref_put(mm, Mm.refs)) return;
  mm_lock(mm);
  for (let vma = Mm.last.get(mm); vma !== 0; vma = Mm.last.get(mm)) {
    zap_range(mm, Vma.start.get(vma), Vma.end.get(vma));
    vma_remove(mm, vma);
    free_later(vma);
  }
  mm_unlock(mm);
  deactivate(mm);
  page_table_destroy(Mm.page_table.get(mm) as FrameAddr);
  const exe = Mm.exe_file.get(mm);
  if (exe !== 0) file_put(exe);
  mm_release(mm);
}

/** Drops a hold on the record of an Mm; the last one frees it. Takes no locks but the slab's. */
export function mm_release(mm: Ptr<'Mm'>): void {
  if (ref_put(mm, Mm.holds)) mms.free(mm);
}

/** No vCPU may keep a dead Mm as its own: the record's address will stand for another one. */
function deactivate(mm: Ptr<'Mm'>): void {
  const count = MachineHeader.vcpu_count.get(MACHINE);
  for (let i = 0; i < count; i++) {
    const vcpu = vcpu_at(i);
    if (Vcpu.mm.cas(vcpu, mm, 0) === mm) Vcpu.interrupt.or(vcpu, INTERRUPT_FLUSH_TLB);
  }
  if (active_mm === mm) use_mm(0 as Ptr<'Mm'>);
}

/**
 * Makes `mm` (0 for none) the vCPU's address space, on the vCPU's own thread: page table, user access,
 * and a TLB flush if it was another one or has changed. Cheap when nothing changes.
 */
export function mm_activate(mm: Ptr<'Mm'>, vcpu: Ptr<'Vcpu'>): void {
  // Always: what this thread remembers may be a dead record at the same address, or another machine's.
  use_mm(mm);
  if (Vcpu.mm.load(vcpu) === mm) return;
  Vcpu.mm.store(vcpu, mm);
  Vcpu.page_table.set(vcpu, mm === 0 ? 0 : Mm.page_table.get(mm));
  // With none, nothing is looked up; what is cached may still hold when the address space comes back.
  if (mm !== 0) tlb_switch(vcpu, Mm.number.get(mm), Mm.shootdowns.load(mm), Mm.code_changes.load(mm));
}

/**
 * A copy for fork: the same VMAs, private pages shared copy-on-write, shared mappings shared. 0 when
 * memory is exhausted; the parent is then as before, except that pages may be copied on its next writes.
 */
export function mm_fork(mm: Ptr<'Mm'>): Ptr<'Mm'> {
  const child = mm_create();
  if (child === 0) return child;
  mm_lock(mm);
  copy_fields(child, mm);
  let complete = true;
  for (let vma = Mm.first.get(mm); vma !== 0 && complete; vma = Vma.next.get(vma)) {
    if ((Vma.flags.get(vma) & VM_DONTCOPY) === 0) complete = fork_vma(child, mm, vma);
  }
  const exe = Mm.exe_file.get(mm);
  if (exe !== 0) file_get(exe);
  Mm.exe_file.set(child, exe);
  mm_unlock(mm);
  if (complete) return child;
  mm_put(child);
  return 0 as Ptr<'Mm'>;
}

function copy_fields(child: Ptr<'Mm'>, mm: Ptr<'Mm'>): void {
  Mm.seed.set(child, Mm.seed.get(mm));
  Mm.dumpable.set(child, Mm.dumpable.get(mm));
  Mm.thp_disable.set(child, Mm.thp_disable.get(mm));
  const offset = Mm.mmap_base.offset;
  bytes_copy(child + offset, mm + offset, Mm.env_end.offset + 8 - offset);
  Mm.limit_as.set(child, Mm.limit_as.get(mm));
  Mm.limit_data.set(child, Mm.limit_data.get(mm));
  Mm.limit_stack.set(child, Mm.limit_stack.get(mm));
  Mm.limit_memlock.set(child, Mm.limit_memlock.get(mm));
  bytes_copy(Mm.auxv.at(child), Mm.auxv.at(mm), Mm.auxv.size);
}

function fork_vma(child: Ptr<'Mm'>, mm: Ptr<'Mm'>, vma: Ptr<'Vma'>): boolean {
  const backing = vma_backing(vma);
  // Locks are not inherited (mlock(2)); wiped memory starts over.
  const wiped = (backing.flags & VM_WIPEONFORK) !== 0;
  const flags = backing.flags & ~(VM_LOCKED | VM_LOCKONFAULT | (wiped ? VM_FAULTED : 0));
  const copy = vma_create(child, Vma.start.get(vma), Vma.end.get(vma), { ...backing, flags });
  if (copy === 0) return false;
  vma_insert(child, copy);
  account(child, flags, (Vma.end.get(vma) - Vma.start.get(vma)) / 4096);
  // Pages of files and shared memory are found again by a fault; private copies exist nowhere else.
  if (wiped || (flags & VM_SHARED) !== 0 || (flags & VM_FAULTED) === 0) return true;
  return fork_pages(child, mm, Vma.start.get(vma), Vma.end.get(vma));
}

function fork_pages(child: Ptr<'Mm'>, mm: Ptr<'Mm'>, start: number, end: number): boolean {
  const root = Mm.page_table.get(mm) as FrameAddr;
  const child_root = Mm.page_table.get(child) as FrameAddr;
  const alone = Mm.refs.load(mm) === 1;
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a, end)) {
    const stop = Math.min(end, table_end(a));
    const slot = pte_slot(root, a);
    const target = pte_slot_alloc(child_root, a);
    if (target === 0) return false;
    const count = (stop - a) / 4096;
    for (let i = pte_next_used(slot, 0, count); i < count; i = pte_next_used(slot, i + 1, count))
      if (!fork_page(child, alone, a + i * 4096, slot + i, target + i)) return false;
    a = stop;
  }
  return true;
}

/** `alone`: only the forking task uses the address space, so nobody can be copying into it. */
function fork_page(child: Ptr<'Mm'>, alone: boolean, address: number, slot: number, target: number): boolean {
  const entry = pte_get(slot);
  const frame = pte_frame(entry);
  const shared = ((entry & ~PTE_WRITE) | PTE_COW) >>> 0;
  if (shared !== entry) {
    if (alone) U32[slot] = shared;
    else {
      // The exchange is a fence: a kernel copy in progress is either seen as a pin here, or sees the entry.
      Atomics.exchange(U32, slot, shared);
      if (frame_pinned(frame)) {
        Atomics.store(U32, slot, entry);
        return fork_pinned(child, entry, target);
      }
    }
    if ((entry & PTE_WRITE) !== 0) flush_later(address, address + 4096, 0);
  }
  if (frame !== zero_frame()) frame_get(frame);
  pte_set(target, shared);
  rss_account(child, shared, 1);
  return true;
}

/** A vCPU is copying into the page for a system call: the child gets its own copy now (see pins.ts). */
function fork_pinned(child: Ptr<'Mm'>, entry: number, target: number): boolean {
  const copy = frame_alloc_uninitialized();
  if (copy === 0) return false;
  frame_copy(copy, pte_frame(entry));
  pte_set(target, (copy | (entry & PTE_FLAGS & ~(PTE_COW | PTE_FILE | PTE_SHMEM))) >>> 0);
  rss_account(child, copy, 1);
  return true;
}

/** Drops this thread's active address space, before the last reference of a task that ends goes. */
export function mm_deactivate(vcpu: Ptr<'Vcpu'>): void {
  mm_activate(0 as Ptr<'Mm'>, vcpu);
}
