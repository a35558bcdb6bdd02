/**
 * Where a mapping goes: Linux's layout without randomisation. The stack ends at TASK_SIZE; mappings are
 * placed downwards from mmap_base, which lies below the room the stack may grow into.
 */
import { EEXIST, EINVAL, ENOMEM, EPERM } from '../abi/errno.ts';
import { MAP_32BIT, MAP_FIXED, MAP_FIXED_NOREPLACE } from '../abi/mman.ts';
import type { Ptr } from '../base/types.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { Mm, Vma } from './mm.layout.ts';
import { gap_find_bottom, gap_find_top, STACK_GUARD_GAP, vma_find, vma_overlap, vma_start_gap } from './vma_tree.ts';

/** vm.mmap_min_addr. */
export const MMAP_MIN_ADDR = 65536;
/** vm.max_map_count. */
export const MAX_MAP_COUNT = 65530;
const STACK_ROOM_MIN = 128 << 20;
const LOW_BASE = 0x4000_0000;
const LOW_END = 0x8000_0000;

/** Sets mmap_base from the stack limit (arch_pick_mmap_layout); at exec, before anything is mapped. */
export function set_mmap_base(mm: Ptr<'Mm'>): void {
  const limit = Mm.limit_stack.get(mm);
  const room = Math.min(Math.max(limit + STACK_GUARD_GAP, STACK_ROOM_MIN), Math.floor(TASK_SIZE / 6) * 5);
  Mm.mmap_base.set(mm, Math.floor((TASK_SIZE - room) / 4096) * 4096);
}

/**
 * The address for a mapping of `length` (a positive multiple of the page size), or -ENOMEM, -EINVAL,
 * -EEXIST, -EPERM (get_unmapped_area). With MAP_FIXED the range may be in use.
 */
export function place(mm: Ptr<'Mm'>, hint: number, length: number, flags: number): number {
  if (length > TASK_SIZE) return -ENOMEM;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0) {
    if (hint > TASK_SIZE - length) return -ENOMEM;
    if (hint % 4096 !== 0) return -EINVAL;
    if (hint < MMAP_MIN_ADDR) return -EPERM;
    if ((flags & MAP_FIXED_NOREPLACE) !== 0 && vma_overlap(mm, hint, hint + length) !== 0) return -EEXIST;
    return hint;
  }
  if ((flags & MAP_32BIT) !== 0) {
    const low = gap_find_bottom(mm, length, LOW_BASE, LOW_END);
    return low < 0 ? -ENOMEM : low;
  }
  if (hint !== 0 && is_free(mm, hint, length)) return hint;
  const top = gap_find_top(mm, length, MMAP_MIN_ADDR, Mm.mmap_base.get(mm));
  if (top >= 0) return top;
  // The room below is full: go upwards from the third of the address space the bottom-up layout uses.
  const up = gap_find_bottom(mm, length, Math.floor(TASK_SIZE / 3 / 4096) * 4096, TASK_SIZE);
  return up < 0 ? -ENOMEM : up;
}

function is_free(mm: Ptr<'Mm'>, address: number, length: number): boolean {
  if (address < MMAP_MIN_ADDR || address > TASK_SIZE - length) return false;
  const next = vma_find(mm, address);
  if (next === 0) return true;
  if (Vma.start.get(next) <= address) return false;
  return address + length <= vma_start_gap(next);
}
