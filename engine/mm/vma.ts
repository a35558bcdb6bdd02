/**
 * Making, splitting, joining and letting go of VMAs, and the accounting that goes with it. The caller
 * holds mm.lock.
 */
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { MAPPING_LOCK } from '../heap/lock_order.ts';
import { slab } from '../heap/slab.ts';
import { File } from '../vfs/file.layout.ts';
import { file_get, file_operations, file_put } from '../vfs/file.ts';
import { Mapping } from '../vfs/mapping.layout.ts';
import { mapping_get, mapping_put } from '../vfs/mapping.ts';
import { Mm, VM_EXEC, VM_FAULTED, VM_GROWSDOWN, VM_LOCKED, VM_SHARED, VM_WRITE, Vma } from './mm.layout.ts';
import { MAX_MAP_COUNT } from './placement.ts';
import { vma_insert, vma_remove, vma_resize } from './vma_tree.ts';

type V = Ptr<'Vma'>;
export const vmas = slab(Vma);

/** What a new mapping is made of. */
export interface Backing {
  readonly flags: number;
  readonly pgoff: number;
  readonly file: Ptr<'File'>;
  readonly mapping: Ptr<'Mapping'>;
  readonly special: number;
}

/** A VMA with its own references, not yet in the tree; 0 when the kernel heap is exhausted. */
export function vma_create(mm: Ptr<'Mm'>, start: number, end: number, backing: Backing): V {
  const vma = vmas.alloc();
  if (vma === 0) return vma;
  Vma.mm.set(vma, mm);
  Vma.start.set(vma, start);
  Vma.end.set(vma, end);
  Vma.flags.set(vma, backing.flags);
  Vma.pgoff.set(vma, backing.pgoff);
  Vma.file.set(vma, backing.file);
  Vma.mapping.set(vma, backing.mapping);
  Vma.special.set(vma, backing.special);
  if (backing.file !== 0) file_get(backing.file);
  if (backing.mapping !== 0) {
    mapping_get(backing.mapping);
    attach(vma, backing.mapping);
  }
  return vma;
}

/** The backing of a VMA, for a copy of it. */
export function vma_backing(vma: V): Backing {
  return {
    flags: Vma.flags.get(vma),
    pgoff: Vma.pgoff.get(vma),
    file: Vma.file.get(vma),
    mapping: Vma.mapping.get(vma),
    special: Vma.special.get(vma),
  };
}

function attach(vma: V, mapping: Ptr<'Mapping'>): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const head = Mapping.vmas.get(mapping);
  Vma.mapping_next.set(vma, head);
  if (head !== 0) Vma.mapping_prev.set(head, vma);
  Mapping.vmas.set(mapping, vma);
  Mapping.vma_generation.set(mapping, Mapping.vma_generation.get(mapping) + 1);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  if ((Vma.flags.get(vma) & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE)) Mapping.writable_vmas.add(mapping, 1);
}

/** Takes a VMA off its mapping's list, before it is freed or its mm is. */
function detach(vma: V, mapping: Ptr<'Mapping'>): void {
  lock(Mapping.lock.at(mapping), MAPPING_LOCK);
  const next = Vma.mapping_next.get(vma);
  const prev = Vma.mapping_prev.get(vma);
  if (prev === 0) Mapping.vmas.set(mapping, next);
  else Vma.mapping_next.set(prev, next);
  if (next !== 0) Vma.mapping_prev.set(next, prev);
  unlock(Mapping.lock.at(mapping), MAPPING_LOCK);
  if ((Vma.flags.get(vma) & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE)) Mapping.writable_vmas.add(mapping, -1);
}

/** Changes the flags, keeping the count of shared writable VMAs and the page accounting. */
export function vma_set_flags(mm: Ptr<'Mm'>, vma: V, flags: number): void {
  const old = Vma.flags.get(vma);
  const pages = (Vma.end.get(vma) - Vma.start.get(vma)) / 4096;
  const mapping = Vma.mapping.get(vma);
  if (mapping !== 0 && (old & VM_SHARED) !== 0 && ((old ^ flags) & VM_WRITE) !== 0)
    Mapping.writable_vmas.add(mapping, (flags & VM_WRITE) !== 0 ? 1 : -1);
  account(mm, old, -pages);
  Vma.flags.set(vma, flags);
  account(mm, flags, pages);
}

/** Gives a removed VMA's references back and frees it. Without any lock: closing a file takes its locks. */
export function vma_free(vma: V): void {
  const mapping = Vma.mapping.get(vma);
  const file = Vma.file.get(vma);
  if (mapping !== 0) {
    detach(vma, mapping);
    mapping_put(mapping);
  }
  vmas.free(vma);
  if (file === 0) return;
  file_operations(file).unmapped?.(file);
  file_put(file);
}

/** Frees a VMA whose references are also held by a neighbour, so that none of them is the last. */
function vma_free_absorbed(vma: V): void {
  const mapping = Vma.mapping.get(vma);
  const file = Vma.file.get(vma);
  if (mapping !== 0) {
    detach(vma, mapping);
    Mapping.refs.add(mapping, -1);
  }
  if (file !== 0) File.refs.add(file, -1);
  vmas.free(vma);
}

/** Cuts a VMA at `address`; returns the new upper part, 0 when the kernel heap is exhausted. */
export function vma_split(mm: Ptr<'Mm'>, vma: V, address: number): V {
  const start = Vma.start.get(vma);
  const end = Vma.end.get(vma);
  const upper = vma_create(mm, address, end, {
    ...vma_backing(vma),
    pgoff: Vma.pgoff.get(vma) + (address - start) / 4096,
  });
  if (upper === 0) return upper;
  vma_resize(mm, vma, start, address);
  vma_insert(mm, upper);
  return upper;
}

/**
 * Cuts a VMA so that one covers the part of it in [start, end) alone; 0 when there are too many VMAs or the kernel
 * heap is exhausted, and all is as before.
 */
export function vma_isolate(mm: Ptr<'Mm'>, vma: V, start: number, end: number): V {
  const cuts = (start > Vma.start.get(vma) ? 1 : 0) + (end < Vma.end.get(vma) ? 1 : 0);
  if (Mm.map_count.get(mm) + cuts > MAX_MAP_COUNT) return 0 as V;
  if (start > Vma.start.get(vma)) {
    vma = vma_split(mm, vma, start);
    if (vma === 0) return vma;
  }
  if (end >= Vma.end.get(vma) || vma_split(mm, vma, end) !== 0) return vma;
  vma_merge(mm, vma);
  return 0 as V;
}

function mergeable(low: V, high: V): boolean {
  return (
    low !== 0 &&
    high !== 0 &&
    Vma.end.get(low) === Vma.start.get(high) &&
    ((Vma.flags.get(low) ^ Vma.flags.get(high)) & ~VM_FAULTED) === 0 &&
    Vma.file.get(low) === Vma.file.get(high) &&
    Vma.mapping.get(low) === Vma.mapping.get(high) &&
    Vma.special.get(low) === 0 &&
    Vma.special.get(high) === 0 &&
    Vma.pgoff.get(low) + (Vma.end.get(low) - Vma.start.get(low)) / 4096 === Vma.pgoff.get(high)
  );
}

/** Joins a VMA with equal neighbours (Linux's vma_merge); returns the VMA that now covers it. */
export function vma_merge(mm: Ptr<'Mm'>, vma: V): V {
  const prev = Vma.prev.get(vma);
  if (mergeable(prev, vma)) vma = absorb(mm, prev, vma);
  const next = Vma.next.get(vma);
  return mergeable(vma, next) ? absorb(mm, vma, next) : vma;
}

function absorb(mm: Ptr<'Mm'>, low: V, high: V): V {
  const end = Vma.end.get(high);
  Vma.flags.set(low, Vma.flags.get(low) | (Vma.flags.get(high) & VM_FAULTED));
  vma_remove(mm, high);
  vma_free_absorbed(high);
  vma_resize(mm, low, Vma.start.get(low), end);
  return low;
}

/** Adds `pages` (negative: takes away) of a VMA with these flags to the statistics (vm_stat_account). */
export function account(mm: Ptr<'Mm'>, flags: number, pages: number): void {
  Mm.total_vm.set(mm, Mm.total_vm.get(mm) + pages);
  if (Mm.total_vm.get(mm) > Mm.hiwater_vm.get(mm)) Mm.hiwater_vm.set(mm, Mm.total_vm.get(mm));
  if ((flags & VM_GROWSDOWN) !== 0) Mm.stack_vm.set(mm, Mm.stack_vm.get(mm) + pages);
  else if ((flags & (VM_EXEC | VM_WRITE)) === VM_EXEC) Mm.exec_vm.set(mm, Mm.exec_vm.get(mm) + pages);
  else if (is_data(flags)) Mm.data_vm.set(mm, Mm.data_vm.get(mm) + pages);
  if ((flags & VM_LOCKED) !== 0) Mm.locked_vm.set(mm, Mm.locked_vm.get(mm) + pages);
}

/** Private writable memory that is no stack: what RLIMIT_DATA limits. */
export function is_data(flags: number): boolean {
  return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) === VM_WRITE;
}

/** Whether `pages` more of such memory stay within RLIMIT_AS and RLIMIT_DATA (may_expand_vm). */
export function may_expand(mm: Ptr<'Mm'>, flags: number, pages: number): boolean {
  if ((Mm.total_vm.get(mm) + pages) * 4096 > Mm.limit_as.get(mm)) return false;
  return !is_data(flags) || (Mm.data_vm.get(mm) + pages) * 4096 <= Mm.limit_data.get(mm);
}
