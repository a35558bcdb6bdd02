// @hot
/**
 * Maintenance of a vCPU's software TLB from the kernel: flushes. Filling is done by generated code.
 * Only the vCPU's own thread flushes it; others ask by INTERRUPT_FLUSH_TLB (mm/shootdown.ts).
 */
import type { GuestAddr, Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { TLB_ENTRIES, TLB_ENTRY_SHIFT, TLB_OFFSET } from './vcpu.layout.ts';

const ENTRY_WORDS = (1 << TLB_ENTRY_SHIFT) >> 2;
/** Low half of an invalid tag; no page address has these bits, so the high half need not be written. */
const INVALID = 0xffff_ffff;

let flush_translations: ((vcpu: Ptr<'Vcpu'>) => void) | null = null;

/** Installs the platform's `flush_translations`, once a thread. */
export function register_translation_flush(fn: (vcpu: Ptr<'Vcpu'>) => void): void {
  flush_translations = fn;
}

/** Empties the TLB and the virtual translations of code. */
export function tlb_flush_all(vcpu: Ptr<'Vcpu'>): void {
  const first = (vcpu + TLB_OFFSET) >>> 2;
  for (let at = first, end = first + TLB_ENTRIES * ENTRY_WORDS; at < end; at += ENTRY_WORDS) {
    U32[at] = INVALID;
    U32[at + 2] = INVALID;
  }
  flush_translations?.(vcpu);
}

/** Drops the entry of one page, if it is there. */
export function tlb_flush_page(vcpu: Ptr<'Vcpu'>, address: GuestAddr): void {
  const vpn = (address >>> 0) >>> 12;
  const at = ((vcpu + TLB_OFFSET) >>> 2) + (vpn & (TLB_ENTRIES - 1)) * ENTRY_WORDS;
  U32[at] = INVALID;
  U32[at + 2] = INVALID;
}

const FLUSH_ALL_FROM = 64;

/** Drops the entries of a range of pages; `code` also drops virtual translations of code. */
export function tlb_flush_range(vcpu: Ptr<'Vcpu'>, start: GuestAddr, end: GuestAddr, code: boolean): void {
  if (end - start > FLUSH_ALL_FROM * 4096) {
    tlb_flush_all(vcpu);
    return;
  }
  for (let a = start; a < end; a += 4096) tlb_flush_page(vcpu, a);
  if (code) flush_translations?.(vcpu);
}
