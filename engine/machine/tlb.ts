// @hot
/**
 * Maintenance of a vCPU's software TLB from the kernel: flushes, and switches between address spaces. Filling is done
 * by generated code, which notes each entry in a log: a process that sleeps in turns with another uses a dozen of the
 * entries, and emptying them all cost more than the rest of the switch.
 *
 * What the TLB holds of an address space that the vCPU leaves is put into a bank, and taken back when it returns and
 * nothing has changed since. Only the vCPU's own thread works on TLB and banks; others ask by INTERRUPT_FLUSH_TLB
 * (mm/shootdown.ts).
 *
 *   bank: +0 space (0: empty), +4 its changes as of then, +8 entries; from +16 entries of 24 bytes:
 *         +0 offset of the entry in the TLB, +4 addend, +8 read tag, +16 write tag
 */
import type { FrameAddr, GuestAddr, Ptr } from '../base/types.ts';
import { I32, U32 } from '../heap/memory.ts';
import {
  TLB_BANKS_OFFSET,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_LOG_LIMIT,
  TLB_LOG_OFFSET,
  TLB_OFFSET,
  Vcpu,
} from './vcpu.layout.ts';

const ENTRY_WORDS = (1 << TLB_ENTRY_SHIFT) >> 2;
/** Low half of an invalid tag; no page address has these bits, so the high half need not be written. */
const INVALID = 0xffff_ffff;
/** The same, as a signed word. */
const NO_TAG = -1;

const BANKS = 8;
const BANK_HEAD_WORDS = 4;
const BANK_ENTRY_WORDS = 6;
const BANK_WORDS = BANK_HEAD_WORDS + TLB_LOG_LIMIT * BANK_ENTRY_WORDS;

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
  const before = Vcpu.tlb_space.get(vcpu);
  const held = Vcpu.tlb_changes.get(vcpu);
  if (before !== space || held !== changes >>> 0) {
    Vcpu.tlb_space.set(vcpu, space);
    Vcpu.tlb_changes.set(vcpu, changes);
    if (before === space) flush_entries(vcpu);
    else {
      put_aside(vcpu, before, held);
      take_back(vcpu, space, changes);
    }
  }
  switch_space?.(vcpu, space, code_changes);
}

/** The vCPU itself has flushed what the change of number `changes` made void. */
export function tlb_is_current(vcpu: Ptr<'Vcpu'>, space: number, changes: number): void {
  if (Vcpu.tlb_space.get(vcpu) !== space || Vcpu.tlb_changes.get(vcpu) !== (changes - 1) >>> 0) return;
  Vcpu.tlb_changes.set(vcpu, changes);
}

/** Index in U32 of bank number `i`. */
function bank_at(vcpu: Ptr<'Vcpu'>, i: number): number {
  return ((vcpu + TLB_BANKS_OFFSET) >>> 2) + i * BANK_WORDS;
}

/** The bank of an address space, an empty one for 0; -1 when there is none. */
function find_bank(vcpu: Ptr<'Vcpu'>, space: number): number {
  for (let i = 0; i < BANKS; i++) {
    const at = bank_at(vcpu, i);
    if (U32[at] === space) return at;
  }
  return -1;
}

/** Empties the TLB, and keeps what it held of an address space as of `changes` in a bank. */
function put_aside(vcpu: Ptr<'Vcpu'>, space: number, changes: number): void {
  const log = (vcpu + TLB_LOG_OFFSET) >>> 2;
  const used = U32[log] as number;
  if (space === 0 || used > TLB_LOG_LIMIT) {
    flush_entries(vcpu);
    return;
  }
  let bank = find_bank(vcpu, 0);
  if (bank < 0) {
    const victim = Vcpu.tlb_victim.get(vcpu);
    Vcpu.tlb_victim.set(vcpu, (victim + 1) % BANKS);
    bank = bank_at(vcpu, victim);
  }
  let to = bank + BANK_HEAD_WORDS;
  for (let i = 0; i < used; i++) {
    const offset = I32[log + 1 + i] as number;
    const at = (vcpu + TLB_OFFSET + offset) >>> 2;
    // Flushed since, or filled and put aside already: entries may be in the log more than once.
    if (I32[at] === NO_TAG && I32[at + 2] === NO_TAG) continue;
    I32[to] = offset;
    I32[to + 1] = I32[at + 4] as number;
    I32[to + 2] = I32[at] as number;
    I32[to + 3] = I32[at + 1] as number;
    I32[to + 4] = I32[at + 2] as number;
    I32[to + 5] = I32[at + 3] as number;
    to += BANK_ENTRY_WORDS;
    I32[at] = NO_TAG;
    I32[at + 2] = NO_TAG;
  }
  U32[bank] = space;
  U32[bank + 1] = changes;
  U32[bank + 2] = (to - bank - BANK_HEAD_WORDS) / BANK_ENTRY_WORDS;
  U32[log] = 0;
}

/** Fills the TLB, which is empty, with what a bank has of the address space, if nothing of that has changed. */
function take_back(vcpu: Ptr<'Vcpu'>, space: number, changes: number): void {
  const bank = find_bank(vcpu, space);
  if (bank < 0) return;
  U32[bank] = 0;
  if (U32[bank + 1] !== changes >>> 0) return;
  const count = U32[bank + 2] as number;
  const log = (vcpu + TLB_LOG_OFFSET) >>> 2;
  let from = bank + BANK_HEAD_WORDS;
  for (let i = 0; i < count; i++) {
    const offset = I32[from] as number;
    const at = (vcpu + TLB_OFFSET + offset) >>> 2;
    I32[log + 1 + i] = offset;
    I32[at + 4] = I32[from + 1] as number;
    I32[at] = I32[from + 2] as number;
    I32[at + 1] = I32[from + 3] as number;
    I32[at + 2] = I32[from + 4] as number;
    I32[at + 3] = I32[from + 5] as number;
    from += BANK_ENTRY_WORDS;
  }
  U32[log] = count;
}

/** Forgets what is put aside, after something that makes translations of any address space void. */
export function tlb_forget_others(vcpu: Ptr<'Vcpu'>): void {
  for (let i = 0; i < BANKS; i++) U32[bank_at(vcpu, i)] = 0;
}

/** Makes the TLB of a vCPU area that holds anything valid and empty. */
export function tlb_init(vcpu: Ptr<'Vcpu'>): void {
  flush_whole(vcpu);
  tlb_forget_others(vcpu);
}

/** Empties the TLB, its banks and the virtual translations of code. */
export function tlb_flush_all(vcpu: Ptr<'Vcpu'>): void {
  flush_entries(vcpu);
  tlb_forget_others(vcpu);
  flush_translations?.(vcpu);
}

/** Empties the TLB, by the log where that is complete. */
function flush_entries(vcpu: Ptr<'Vcpu'>): void {
  const log = (vcpu + TLB_LOG_OFFSET) >>> 2;
  const used = U32[log] as number;
  if (used > TLB_LOG_LIMIT) {
    flush_whole(vcpu);
    return;
  }
  for (let i = 0; i < used; i++) {
    const at = (vcpu + TLB_OFFSET + (I32[log + 1 + i] as number)) >>> 2;
    I32[at] = NO_TAG;
    I32[at + 2] = NO_TAG;
  }
  U32[log] = 0;
}

function flush_whole(vcpu: Ptr<'Vcpu'>): void {
  const first = (vcpu + TLB_OFFSET) >>> 2;
  for (let at = first, end = first + TLB_ENTRIES * ENTRY_WORDS; at < end; at += ENTRY_WORDS) {
    U32[at] = INVALID;
    U32[at + 2] = INVALID;
  }
  U32[(vcpu + TLB_LOG_OFFSET) >>> 2] = 0;
}

/** Takes what allows writes to a frame out of the TLB and forgets what is put aside, so that stores to it are noticed. */
export function tlb_forbid_writes(vcpu: Ptr<'Vcpu'>, frame: FrameAddr): void {
  tlb_forget_others(vcpu);
  const log = (vcpu + TLB_LOG_OFFSET) >>> 2;
  const first = (vcpu + TLB_OFFSET) >>> 2;
  const used = U32[log] as number;
  if (used <= TLB_LOG_LIMIT)
    for (let i = 0; i < used; i++) forbid_write(first + ((I32[log + 1 + i] as number) >> 2), frame);
  else for (let i = 0; i < TLB_ENTRIES; i++) forbid_write(first + i * ENTRY_WORDS, frame);
}

function forbid_write(at: number, frame: FrameAddr): void {
  // Machine address = low half of the page + addend.
  if (U32[at + 2] === INVALID || ((U32[at + 2] as number) + (U32[at + 4] as number)) >>> 0 !== frame) return;
  U32[at + 2] = INVALID;
  U32[at + 3] = INVALID;
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
