/** mremap(2): growing, shrinking and moving mappings (Linux's mm/mremap.c). */
import { EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM } from '../abi/errno.ts';
import { MAP_FIXED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from '../abi/mman.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import {
  next_table,
  page_table_prune,
  pte_get,
  pte_set,
  pte_slot,
  pte_slot_alloc,
  table_end,
} from '../machine/page_table.ts';
import { Mm, VM_DONTEXPAND, VM_FAULTED, VM_LOCKED, VM_LOCKONFAULT, VM_MAYSHARE, VM_SHARED, Vma } from './mm.layout.ts';
import { flush_later, free_later, mm_lock, mm_unlock } from './mm_lock.ts';
import { may_lock, page_align, split_at_bounds, unmap_range } from './mmap.ts';
import { MAX_MAP_COUNT, MMAP_MIN_ADDR, place } from './placement.ts';
import { populate } from './populate.ts';
import { account, may_expand, vma_backing, vma_create, vma_merge, vma_set_flags } from './vma.ts';
import { vma_at, vma_find, vma_insert, vma_remove, vma_resize, vma_start_gap } from './vma_tree.ts';

type V = Ptr<'Vma'>;

/** The new address, or -errno. Lengths are in bytes and rounded up to pages; `old_length` 0 copies a shared mapping. */
export function do_mremap(
  mm: Ptr<'Mm'>,
  address: number,
  old_length: number,
  new_length: number,
  flags: number,
  new_address: number,
): number {
  const to_address = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0;
  old_length = page_align(old_length);
  new_length = page_align(new_length);
  // All that can be refused is refused before anything is unmapped (as Linux does since 6.17).
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 || address % 4096 !== 0) return -EINVAL;
  if (new_length === 0 || new_length > TASK_SIZE || old_length > TASK_SIZE) return -EINVAL;
  if (to_address) {
    if (new_address > TASK_SIZE - new_length || new_address % 4096 !== 0) return -EINVAL;
    if ((flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) !== 0 && old_length !== new_length) return -EINVAL;
    if (address + old_length > new_address && new_address + new_length > address) return -EINVAL;
    if ((flags & MREMAP_FIXED) !== 0 && new_address < MMAP_MIN_ADDR) return -EPERM;
  }
  mm_lock(mm);
  const result = remap(mm, address, old_length, new_length, flags, new_address);
  const vma = result < 0 ? (0 as V) : vma_at(mm, result);
  if (vma !== 0 && (Vma.flags.get(vma) & VM_LOCKED) !== 0 && new_length > old_length)
    populate(mm, result + old_length, result + new_length);
  mm_unlock(mm);
  return result;
}

/**
 * Moves all that is mapped in a range, with the gaps in it, to another place (since Linux 6.17): the new address, -EFAULT
 * when nothing is mapped at its beginning, or what kept a mapping from being moved, those before it being moved then.
 */
function move_range(mm: Ptr<'Mm'>, start: number, length: number, flags: number, target: number): number {
  const end = start + length;
  let result = -EFAULT;
  let to = target;
  let last_end = 0;
  for (let at = start; at < end; ) {
    const vma = vma_find(mm, at);
    if (vma === 0 || Vma.start.get(vma) >= end) break;
    if (at === start && Vma.start.get(vma) > start) break;
    at = Math.max(at, Vma.start.get(vma));
    const n = Math.min(end, Vma.end.get(vma)) - at;
    if (last_end !== 0) to += Vma.start.get(vma) - last_end;
    last_end = Vma.end.get(vma);
    const moved = remap_to(mm, vma, at, n, n, flags, to);
    if (moved < 0) return moved;
    if (at === start) result = moved;
    to = moved + n;
    at += n;
  }
  return result;
}

function remap(mm: Ptr<'Mm'>, address: number, old: number, length: number, flags: number, target: number): number {
  if ((flags & MREMAP_FIXED) !== 0 && old === length) return move_range(mm, address, length, flags, target);
  const vma = vma_at(mm, address);
  if (vma === 0) return -EFAULT;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return remap_to(mm, vma, address, old, length, flags, target);
  if (old >= length) {
    const result = old > length ? unmap_range(mm, address + length, address + old) : 0;
    return result < 0 ? result : address;
  }
  const error = check_resize(mm, vma, address, old, length, flags);
  if (error !== 0) return error;
  if (old === Vma.end.get(vma) - address && expandable(vma, length - old)) {
    const end = address + length;
    vma_resize(mm, vma, Vma.start.get(vma), end);
    account(mm, Vma.flags.get(vma), (length - old) / 4096);
    vma_merge(mm, vma);
    return address;
  }
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  const to = place(mm, 0, length, 0);
  return to < 0 ? to : move_vma(mm, vma, address, old, length, to, flags);
}

function remap_to(
  mm: Ptr<'Mm'>,
  vma: V,
  address: number,
  old: number,
  length: number,
  flags: number,
  target: number,
): number {
  if (Mm.map_count.get(mm) + 2 >= MAX_MAP_COUNT - 3) return -ENOMEM;
  const error = check_resize(mm, vma, address, old, length, flags);
  if (error !== 0) return error;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && !may_expand(mm, Vma.flags.get(vma), length / 4096)) return -ENOMEM;
  const fixed = (flags & MREMAP_FIXED) !== 0;
  if (fixed) {
    const result = unmap_range(mm, target, target + length);
    if (result < 0) return result;
  }
  if (old > length) {
    const result = unmap_range(mm, address + length, address + old);
    if (result < 0) return result;
    old = length;
  }
  const to = place(mm, target, length, fixed ? MAP_FIXED : 0);
  // What was unmapped may have been cut out of this VMA.
  return to < 0 ? to : move_vma(mm, vma_at(mm, address), address, old, length, to, flags);
}

/** May this VMA be remapped so (check_prep_vma)? 0 or -errno. */
function check_resize(mm: Ptr<'Mm'>, vma: V, address: number, old: number, length: number, flags: number): number {
  const vm_flags = Vma.flags.get(vma);
  if (old === 0 && (vm_flags & (VM_SHARED | VM_MAYSHARE)) === 0) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && (vm_flags & VM_DONTEXPAND) !== 0) return -EINVAL;
  // What is cut off may lie in other mappings.
  if (Math.min(old, length) > Vma.end.get(vma) - address) return -EFAULT;
  if (length === old) return 0;
  if ((vm_flags & VM_DONTEXPAND) !== 0) return -EFAULT;
  if ((vm_flags & VM_LOCKED) !== 0 && !may_lock(mm, length - old)) return -EAGAIN;
  return length < old || may_expand(mm, vm_flags, (length - old) / 4096) ? 0 : -ENOMEM;
}

function expandable(vma: V, delta: number): boolean {
  const end = Vma.end.get(vma) + delta;
  if (end > TASK_SIZE) return false;
  const next = Vma.next.get(vma);
  return next === 0 || vma_start_gap(next) >= end;
}

function move_vma(
  mm: Ptr<'Mm'>,
  vma: V,
  address: number,
  old: number,
  length: number,
  to: number,
  flags: number,
): number {
  if (Mm.map_count.get(mm) >= MAX_MAP_COUNT - 3) return -ENOMEM;
  const backing = vma_backing(vma);
  const pages_in = (address - Vma.start.get(vma)) / 4096;
  // Untouched anonymous memory takes the offset of its new place; pages that exist keep theirs.
  const follows = backing.mapping === 0 && (backing.flags & VM_FAULTED) === 0;
  const pgoff = follows ? to / 4096 : backing.pgoff + pages_in;
  const copy = vma_create(mm, to, to + length, { ...backing, pgoff });
  if (copy === 0) return -ENOMEM;
  const keep = (flags & MREMAP_DONTUNMAP) !== 0;
  // Reserve: page tables for what moves, and the cuts in the old VMA.
  const reserved =
    reserve_tables(mm, address, address + old, to) &&
    (keep || old === 0 || split_at_bounds(mm, address, address + old) >= 0);
  if (!reserved) {
    page_table_prune(Mm.page_table.get(mm) as FrameAddr, to, to + length);
    free_later(copy);
    return -ENOMEM;
  }
  vma_insert(mm, copy);
  account(mm, backing.flags, length / 4096);
  move_entries(mm, address, address + old, to);
  if (keep) empty_kept(mm, address, old);
  else if (old > 0) unmap_moved(mm, address, address + old);
  vma_merge(mm, copy);
  return to;
}

function unmap_moved(mm: Ptr<'Mm'>, start: number, end: number): void {
  const vma = vma_at(mm, start);
  account(mm, Vma.flags.get(vma), -(end - start) / 4096);
  vma_remove(mm, vma);
  free_later(vma);
}

/** The emptied source of MREMAP_DONTUNMAP is no longer locked, and its offset is free to change again. */
function empty_kept(mm: Ptr<'Mm'>, address: number, old: number): void {
  const vma = vma_at(mm, address);
  let flags = Vma.flags.get(vma) & ~(VM_LOCKED | VM_LOCKONFAULT);
  if (Vma.start.get(vma) === address && Vma.end.get(vma) === address + old) flags &= ~VM_FAULTED;
  vma_set_flags(mm, vma, flags);
}

function reserve_tables(mm: Ptr<'Mm'>, start: number, end: number, to: number): boolean {
  const root = Mm.page_table.get(mm) as FrameAddr;
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a, end)) {
    const stop = Math.min(end, table_end(a));
    let slot = pte_slot(root, a);
    for (; a < stop; a += 4096, slot++) {
      if (pte_get(slot) !== 0 && pte_slot_alloc(root, to + (a - start)) === 0) return false;
    }
  }
  return true;
}

function move_entries(mm: Ptr<'Mm'>, start: number, end: number, to: number): void {
  const root = Mm.page_table.get(mm) as FrameAddr;
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a, end)) {
    const stop = Math.min(end, table_end(a));
    let slot = pte_slot(root, a);
    for (; a < stop; a += 4096, slot++) {
      const entry = pte_get(slot);
      if (entry === 0) continue;
      pte_set(slot, 0);
      pte_set(pte_slot(root, to + (a - start)), entry);
      flush_later(a, a + 4096, entry);
    }
  }
  page_table_prune(root, start, end);
}
