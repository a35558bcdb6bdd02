/**
 * A debugger's access to an address space (Linux's access_remote_vm with FOLL_FORCE): protections of the program's
 * own do not count, but what is shared with others is written only where the mapping allows it.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { code_frame_changed } from '../machine/code_events.ts';
import { FRAME_CODE, FrameInfo } from '../machine/frame.layout.ts';
import { frame_info } from '../machine/frames.ts';
import type { IoCursor } from '../machine/io.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { pte_frame, pte_get, pte_slot } from '../machine/page_table.ts';
import { this_vcpu } from '../machine/this_vcpu.ts';
import { tlb_flush_page } from '../machine/tlb.ts';
import { ACCESS_READ, ACCESS_WRITE, Vcpu } from '../machine/vcpu.layout.ts';
import { fault_locked } from './fault.ts';
import { Mm, SPECIAL_VVAR, VM_SHARED, VM_WRITE, Vma } from './mm.layout.ts';
import { mm_lock, mm_unlock } from './mm_lock.ts';
import { vma_find } from './vma_tree.ts';

/** The frame behind a page, made the address space's own for a write; 0 where there is no access. */
function forced_frame(mm: Ptr<'Mm'>, page: number, write: boolean): FrameAddr {
  const none = 0 as FrameAddr;
  const vma = vma_find(mm, page);
  if (vma === 0 || Vma.special.get(vma) === SPECIAL_VVAR) return none;
  const flags = Vma.flags.get(vma);
  if (write && (flags & (VM_WRITE | VM_SHARED)) === VM_SHARED) return none;
  const fault = fault_locked(mm, page, write ? ACCESS_WRITE : ACCESS_READ, true);
  if (this_vcpu !== 0 && Vcpu.mm.load(this_vcpu) === mm) tlb_flush_page(this_vcpu, page);
  if (fault !== 0) return none;
  const slot = pte_slot(Mm.page_table.get(mm) as FrameAddr, page);
  return slot === 0 ? none : pte_frame(pte_get(slot));
}

/**
 * Copies between the cursor and another address space, of which the caller holds a reference, from `address` on:
 * bytes, which end before the first page that cannot be had.
 */
export function access_remote(mm: Ptr<'Mm'>, address: number, io: IoCursor, write: boolean): number {
  let done = 0;
  while (io.remaining > 0 && address + done < TASK_SIZE) {
    const at = address + done;
    const offset = at % 4096;
    const n = Math.min(io.remaining, 4096 - offset);
    // Under the lock no fork can share the frame before it is written.
    mm_lock(mm);
    const frame = forced_frame(mm, at - offset, write);
    if (frame !== 0 && !write) io.fill_from(frame + offset, n);
    else if (frame !== 0) {
      io.drain_to(frame + offset, n);
      if ((FrameInfo.flags.load(frame_info(frame)) & FRAME_CODE) !== 0) code_frame_changed(frame);
    }
    mm_unlock(mm);
    if (frame === 0) break;
    done += n;
  }
  return done;
}
