// @hot
/**
 * The address space that user access on this thread works on: a cache of the vCPU's active Mm, set by
 * `mm_activate`, or another one for a while by `use_mm` (process_vm_readv, /proc/pid/mem).
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { Mm } from './mm.layout.ts';

export let active_mm = 0 as Ptr<'Mm'>;
export let active_root = 0 as FrameAddr;

/** Points user access at `mm` (0 for none) and returns the one before. The caller holds a reference. */
export function use_mm(mm: Ptr<'Mm'>): Ptr<'Mm'> {
  const before = active_mm;
  active_mm = mm;
  active_root = (mm === 0 ? 0 : Mm.page_table.get(mm)) as FrameAddr;
  return before;
}
