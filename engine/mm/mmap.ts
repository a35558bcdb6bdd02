/**
 * mmap and munmap. Results are an address or 0, or -errno as the man pages say; the checks come in
 * Linux's order (mm/mmap.c: do_mmap, mmap_region, do_munmap).
 */

import { EACCES, EAGAIN, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM } from '../abi/errno.ts';
import { F_SEAL_FUTURE_WRITE, F_SEAL_WRITE } from '../abi/memfd.ts';
import {
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_EXECUTABLE,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_STACK,
  MAP_TYPE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../abi/mman.ts';
import type { Ptr } from '../base/types.ts';
import { frames_total } from '../machine/frames.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { File } from '../vfs/file.layout.ts';
import { file_operations } from '../vfs/file.ts';
import { MAPPING_ANONYMOUS, Mapping } from '../vfs/mapping.layout.ts';
import { mapping_create, mapping_put } from '../vfs/mapping.ts';
import { MOUNT_NOEXEC, Mount } from '../vfs/vfs.layout.ts';
import {
  Mm,
  SPECIAL_VDSO,
  SPECIAL_VVAR,
  VM_ACCOUNT,
  VM_DONTDUMP,
  VM_DONTEXPAND,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_MAY_ACCESS,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_NORESERVE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
  Vma,
} from './mm.layout.ts';
import { free_later, mm_lock, mm_unlock, zap_range } from './mm_lock.ts';
import { MAX_MAP_COUNT, MMAP_MIN_ADDR, place } from './placement.ts';
import { populate } from './populate.ts';
// What is mapped here must be found again by truncation.
import './rmap.ts';
import { account, type Backing, may_expand, vma_create, vma_merge, vma_split } from './vma.ts';
import { vma_find, vma_insert, vma_overlap, vma_remove } from './vma_tree.ts';

const FMODE_READ = 1;
const FMODE_WRITE = 2;
const WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
const KNOWN_FLAGS =
  MAP_SHARED |
  MAP_PRIVATE |
  MAP_FIXED |
  MAP_ANONYMOUS |
  MAP_DENYWRITE |
  MAP_EXECUTABLE |
  MAP_GROWSDOWN |
  MAP_LOCKED |
  MAP_NORESERVE |
  MAP_POPULATE |
  MAP_NONBLOCK |
  MAP_STACK |
  MAP_HUGETLB |
  MAP_FIXED_NOREPLACE |
  0x40;

/** Rounds a length up to whole pages. */
export function page_align(length: number): number {
  return Math.ceil(length / 4096) * 4096;
}

/**
 * Maps memory (mmap(2)). `file` is 0 for anonymous memory and is not consumed; `offset` is in bytes, a
 * multiple of the page size. Returns the address or -errno.
 */
export function do_mmap(
  mm: Ptr<'Mm'>,
  address: number,
  length: number,
  prot: number,
  flags: number,
  file: Ptr<'File'>,
  offset: number,
): number {
  if (length === 0 || offset % 4096 !== 0) return -EINVAL;
  const fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0;
  if (!fixed) {
    address -= address % 4096;
    if (address !== 0 && address < MMAP_MIN_ADDR) address = MMAP_MIN_ADDR;
  }
  length = page_align(length);
  if (length > TASK_SIZE) return -ENOMEM;
  if (offset / 4096 + length / 4096 > 2 ** 52) return -EOVERFLOW;
  let vm_flags = file === 0 ? anonymous_flags(prot, flags) : file_flags(file, prot, flags);
  if (vm_flags < 0) return first_error(mm, address, length, flags, vm_flags);
  const mapping = backing_of(file, vm_flags, offset, length);
  if (mapping < 0) return first_error(mm, address, length, flags, mapping);
  const sealed = mapping !== 0 && (Mapping.seals.get(mapping as Ptr<'Mapping'>) & WRITE_SEALS) !== 0;
  // mprotect must not make a shared view of a sealed memfd writable.
  if (sealed && (vm_flags & VM_MAYSHARE) !== 0) vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
  const result = map_locked(mm, address, length, flags, {
    flags: vm_flags,
    pgoff: file === 0 ? 0 : offset / 4096,
    file,
    mapping: mapping as Ptr<'Mapping'>,
    special: 0,
  });
  if (mapping !== 0) mapping_put(mapping as Ptr<'Mapping'>);
  return result;
}

/** Linux looks for the address before it looks at rights and types. */
function first_error(mm: Ptr<'Mm'>, address: number, length: number, flags: number, error: number): number {
  mm_lock(mm);
  const at = place(mm, address, length, flags);
  mm_unlock(mm);
  return at < 0 ? at : error;
}

function map_locked(mm: Ptr<'Mm'>, address: number, length: number, flags: number, backing: Backing): number {
  mm_lock(mm);
  let vm_flags = backing.flags | Mm.default_flags.get(mm);
  if ((flags & MAP_LOCKED) !== 0) vm_flags |= VM_LOCKED;
  const at = place(mm, address, length, flags);
  let result = at;
  if (at >= 0 && (vm_flags & VM_LOCKED) !== 0 && !may_lock(mm, length)) result = -EAGAIN;
  if (result >= 0) {
    const pgoff = backing.mapping === 0 ? at / 4096 : backing.pgoff;
    result = map_region(mm, at, at + length, { ...backing, flags: vm_flags, pgoff });
  }
  const wanted = (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE || (vm_flags & VM_LOCKED) !== 0;
  // Failure to populate is not an error of mmap.
  if (result === 0 && wanted) populate(mm, at, at + length);
  mm_unlock(mm);
  return result < 0 ? result : at;
}

/** Whether `length` more bytes may be locked (RLIMIT_MEMLOCK). */
export function may_lock(mm: Ptr<'Mm'>, length: number): boolean {
  return Mm.locked_vm.get(mm) * 4096 + length <= Mm.limit_memlock.get(mm);
}

/** Puts a mapping into a range, unmapping what is there (mmap_region); 0 or -errno. Under mm.lock. */
export function map_region(mm: Ptr<'Mm'>, start: number, end: number, backing: Backing): number {
  const pages = (end - start) / 4096;
  let expand = pages;
  for (let v = vma_overlap(mm, start, end); v !== 0 && Vma.start.get(v) < end; v = Vma.next.get(v))
    expand -= (Math.min(end, Vma.end.get(v)) - Math.max(start, Vma.start.get(v))) / 4096;
  if (!may_expand(mm, backing.flags, expand)) return -ENOMEM;
  // Private writable memory is charged; Linux's heuristic overcommit refuses only what all memory could not hold.
  const charged = (backing.flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) === VM_WRITE;
  if (charged && pages > frames_total()) return -ENOMEM;
  const flags = charged ? backing.flags | VM_ACCOUNT : backing.flags;
  // Reserve before anything is unmapped: a failed mmap changes nothing.
  const vma = vma_create(mm, start, end, { ...backing, flags });
  if (vma === 0) return -ENOMEM;
  let result = unmap_range(mm, start, end);
  if (result === 0 && Mm.map_count.get(mm) >= MAX_MAP_COUNT) result = -ENOMEM;
  if (result !== 0) {
    free_later(vma);
    return result;
  }
  vma_insert(mm, vma);
  account(mm, flags, pages);
  vma_merge(mm, vma);
  return 0;
}

function vm_rights(prot: number): number {
  return prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

function anonymous_flags(prot: number, flags: number): number {
  let vm_flags = vm_rights(prot) | VM_MAY_ACCESS;
  if ((flags & MAP_GROWSDOWN) !== 0) vm_flags |= VM_GROWSDOWN;
  if ((flags & MAP_NORESERVE) !== 0) vm_flags |= VM_NORESERVE;
  const type = flags & MAP_TYPE;
  if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
    if (type === MAP_SHARED_VALIDATE || (vm_flags & VM_GROWSDOWN) !== 0) return -EINVAL;
    return vm_flags | VM_SHARED | VM_MAYSHARE;
  }
  return type === MAP_PRIVATE ? vm_flags : -EINVAL;
}

function file_flags(file: Ptr<'File'>, prot: number, flags: number): number {
  const mode = File.mode.get(file);
  let vm_flags = vm_rights(prot) | VM_MAY_ACCESS;
  const type = flags & MAP_TYPE;
  if (type === MAP_SHARED_VALIDATE && (flags & ~(KNOWN_FLAGS | MAP_SHARED_VALIDATE)) !== 0) return -EOPNOTSUPP;
  if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
    if ((prot & PROT_WRITE) !== 0 && (mode & FMODE_WRITE) === 0) return -EACCES;
    vm_flags |= VM_SHARED | VM_MAYSHARE;
    if ((mode & FMODE_WRITE) === 0) vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
  } else if (type !== MAP_PRIVATE) return -EINVAL;
  if ((mode & FMODE_READ) === 0) return -EACCES;
  const mount = File.mount.get(file);
  // What has no mount is on file systems that nothing is executed from (Linux's SB_I_NOEXEC, since 6.16).
  if (mount === 0 || (Mount.flags.load(mount) & MOUNT_NOEXEC) !== 0) {
    if ((prot & PROT_EXEC) !== 0) return -EPERM;
    vm_flags &= ~VM_MAYEXEC;
  }
  const mmap = file_operations(file).mmap;
  if (mmap === undefined) return -ENODEV;
  if ((flags & MAP_GROWSDOWN) !== 0) return -EINVAL;
  if ((flags & MAP_NORESERVE) !== 0) vm_flags |= VM_NORESERVE;
  if (file_operations(file).fixed_size === true) vm_flags |= VM_DONTEXPAND;
  return vm_flags;
}

/** The mapping behind a new range, with a reference for the caller: 0 for private anonymous memory, -errno. */
function backing_of(file: Ptr<'File'>, vm_flags: number, offset: number, length: number): number {
  const shared = (vm_flags & VM_MAYSHARE) !== 0;
  if (file !== 0) {
    const write = (vm_flags & VM_WRITE) !== 0;
    const mapping = file_operations(file).mmap?.(file, shared, write, offset, length) ?? -ENODEV;
    if (mapping !== 0) return mapping;
  }
  if (!shared) return 0;
  const mapping = mapping_create(MAPPING_ANONYMOUS, 0 as Ptr<'Inode'>, length);
  return mapping === 0 ? -ENOMEM : mapping;
}

/**
 * Maps a kernel object's pages shared (shmat(2)), all of them from the first: the address or -errno. Without
 * PROT_WRITE the right to write cannot be had later either.
 */
export function map_object(
  mm: Ptr<'Mm'>,
  address: number,
  length: number,
  prot: number,
  flags: number,
  file: Ptr<'File'>,
  mapping: Ptr<'Mapping'>,
): number {
  let vm_flags = vm_rights(prot) | VM_MAY_ACCESS | VM_MAYSHARE;
  if ((prot & PROT_WRITE) !== 0) vm_flags |= VM_SHARED;
  else vm_flags &= ~VM_MAYWRITE;
  return map_locked(mm, address, length, flags, { flags: vm_flags, pgoff: 0, file, mapping, special: 0 });
}

/**
 * Maps the kernel's pages for programs at a free address: `data` bytes that may only ever be read (vvar), then `code`
 * bytes (vDSO), which a debugger may change for its own process. The address or -errno.
 */
export function map_special(mm: Ptr<'Mm'>, mapping: Ptr<'Mapping'>, data: number, code: number): number {
  const read_only = VM_READ | VM_MAYREAD | VM_DONTEXPAND;
  const backing = { file: 0 as Ptr<'File'>, mapping };
  mm_lock(mm);
  const at = place(mm, 0, data + code, 0);
  let result = at;
  if (at >= 0) {
    const flags = read_only | VM_DONTDUMP;
    result = map_region(mm, at, at + data, { ...backing, flags, pgoff: 0, special: SPECIAL_VVAR });
  }
  if (result >= 0) {
    const flags = read_only | VM_EXEC | VM_MAYWRITE | VM_MAYEXEC;
    const pgoff = data / 4096;
    result = map_region(mm, at + data, at + data + code, { ...backing, flags, pgoff, special: SPECIAL_VDSO });
  }
  mm_unlock(mm);
  return result < 0 ? result : at;
}

/** Unmaps a range (munmap(2)): 0 or -errno. */
export function do_munmap(mm: Ptr<'Mm'>, address: number, length: number): number {
  if (address % 4096 !== 0 || address > TASK_SIZE || length > TASK_SIZE - address || length === 0) return -EINVAL;
  mm_lock(mm);
  const result = unmap_range(mm, address, address + page_align(length));
  mm_unlock(mm);
  return result;
}

/** Removes what is mapped in a page-aligned range; 0, or -ENOMEM with nothing removed. Under mm.lock. */
export function unmap_range(mm: Ptr<'Mm'>, start: number, end: number): number {
  const first = split_at_bounds(mm, start, end);
  if (first < 0) return first;
  let vma = first as Ptr<'Vma'>;
  while (vma !== 0 && Vma.start.get(vma) < end) {
    const next = Vma.next.get(vma);
    zap_range(mm, Vma.start.get(vma), Vma.end.get(vma));
    account(mm, Vma.flags.get(vma), -(Vma.end.get(vma) - Vma.start.get(vma)) / 4096);
    vma_remove(mm, vma);
    free_later(vma);
    vma = next;
  }
  return 0;
}

/** Splits VMAs so that none crosses `start` or `end`; the first at or above `start` (0: none), or -ENOMEM. */
export function split_at_bounds(mm: Ptr<'Mm'>, start: number, end: number): number {
  let first = vma_find(mm, start);
  if (first === 0 || Vma.start.get(first) >= end) return 0;
  const cuts_start = Vma.start.get(first) < start;
  if (cuts_start) {
    if (end < Vma.end.get(first) && Mm.map_count.get(mm) >= MAX_MAP_COUNT) return -ENOMEM;
    const upper = vma_split(mm, first, start);
    if (upper === 0) return -ENOMEM;
    first = upper;
  }
  const last = vma_find(mm, end - 1);
  if (last !== 0 && Vma.start.get(last) < end && Vma.end.get(last) > end && vma_split(mm, last, end) === 0) {
    if (cuts_start) vma_merge(mm, first);
    return -ENOMEM;
  }
  return first;
}
