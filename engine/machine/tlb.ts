// @hot
/**
 * Maintenance of a vCPU's software TLB from the kernel: flushes. Filling is done by generated code.
 * Only the vCPU's own thread flushes it; others ask by INTERRUPT_FLUSH_TLB (mm/shootdown.ts).
 */
import type { GuestAddr, Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { TLB_ENTRIES, TLB_ENTRY_SHIFT, TLB_OFFSET, Vcpu } from './vcpu.layout.ts';

const ENTRY_WORDS = (1 << TLB_ENTRY_SHIFT) >> 2;
/** Low half of an invalid tag; no page address has these bits, so the high half need not be written. */
const INVALID = 0xffff_ffff;

let flush_translations: ((vcpu: Ptr<'Vcpu'>) => void) | null = null;

/** Installs the platform's `flush_translations` for the vCPU that this thread is; null: it is none. */
export function register_translation_flush(fn: ((vcpu: Ptr<'Vcpu'>) => void) | null): void {
  flush_translations = fn;
}

let switch_space: ((vcpu: Ptr<'Vcpu'>, space: number, changes: number) => void) | null = null;

/** Installs the platform's `switch_space`, likewise. */
export function register_space_switch(fn: ((vcpu: Ptr<'Vcpu'>, space: number, changes: number) => void) | null): void {
  switch_space = fn;
}

/**
 * The vCPU comes to address space number `space`, after `changes` flushes of it, `code_changes` of them of code. What is
 * cached of it holds if these are the same as when it was left: a task that slept alone finds its TLB as it was.
 */
export function tlb_switch(vcpu: Ptr<'Vcpu'>, space: number, changes: number, code_changes: number): void {
  if (Vcpu.tlb_space.get(vcpu) !== space || Vcpu.tlb_changes.get(vcpu) !== changes >>> 0) {
    Vcpu.tlb_space.set(vcpu, space);
    Vcpu.tlb_changes.set(vcpu, changes);
    flush_entries(vcpu);
  }
  switch_space?.(vcpu, space, code_changes);
}

/** The vCPU itself has flushed what the change of number `changes` made void. */
export function tlb_is_current(vcpu: Ptr<'Vcpu'>, space: number, changes: number): void {
  if (Vcpu.tlb_space.get(vcpu) !== space || Vcpu.tlb_changes.get(vcpu) !== (changes - 1) >>> 0) return;
  Vcpu.tlb_changes.set(vcpu, changes);
}

/** Empties the TLB and the virtual translations of code. */
export function tlb_flush_all(vcpu: Ptr<'Vcpu'>): void {
  flush_entries(vcpu);
  flush_translations?.(vcpu);
}

function flush_entries(vcpu: Ptr<'Vcpu'>): void {
  const first = (vcpu + TLB_OFFSET) >>> 2;
  for (let at = first, end = first + TLB_ENTRIES * ENTRY_WORDS; at < end; at += ENTRY_WORDS) {
    U32[at] = INVALID;
    U32[at + 2] = INVALID;
  }
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
    flush_entries(vcpu);
  } else {
    for (let a = start; a < end; a += 4096) tlb_flush_page(vcpu, a);
  }
  if (code) flush_translations?.(vcpu);
}
