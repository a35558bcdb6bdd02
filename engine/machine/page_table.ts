// @hot
/**
 * Page tables: walking and editing the radix tree of `page_table.layout.ts` from the kernel.
 *
 * A walk yields a *slot*: the index in U32 of a level-0 entry, 0 when a table on the way is missing.
 * Walks need no lock (a table is retired like any frame, so it stays readable until the walker's next
 * safe point); edits are made under mm.lock. FrameInfo.index of a table counts its entries in use.
 */
import type { FrameAddr, GuestAddr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { FRAME_TABLE, FrameInfo } from './frame.layout.ts';
import { frame_alloc, frame_info, frame_put } from './frames.ts';

const TWO_32 = 4294967296;
const FRAME_MASK = ~0xfff;
/** Bytes of address space under one level-0 table, and under one of levels 1 and 2. */
const SPAN_0 = 0x40_0000;
const SPAN_1 = TWO_32;
const SPAN_2 = TWO_32 * 1024;

/** A new, empty root table, or 0 when guest RAM is exhausted. */
export function page_table_create(): FrameAddr {
  return table_alloc();
}

function table_alloc(): FrameAddr {
  const frame = frame_alloc();
  if (frame !== 0) FrameInfo.flags.store(frame_info(frame), FRAME_TABLE);
  return frame;
}

/** Slot of the entry that maps `address` (a user address), or 0 when there is no table for it. */
export function pte_slot(root: FrameAddr, address: GuestAddr): number {
  const high = Math.floor(address / TWO_32);
  const low = address >>> 0;
  const e3 = U32[(root >>> 2) + (high >>> 10)] as number;
  if (e3 === 0) return 0;
  const e2 = U32[((e3 & FRAME_MASK) >>> 2) + (high & 0x3ff)] as number;
  if (e2 === 0) return 0;
  const e1 = U32[((e2 & FRAME_MASK) >>> 2) + (low >>> 22)] as number;
  if (e1 === 0) return 0;
  return ((e1 & FRAME_MASK) >>> 2) + ((low >>> 12) & 0x3ff);
}

/** Slot of the entry for `address`, making the tables on the way; 0 when guest RAM is exhausted. */
export function pte_slot_alloc(root: FrameAddr, address: GuestAddr): number {
  const high = Math.floor(address / TWO_32);
  const low = address >>> 0;
  const t2 = table_below(root, high >>> 10);
  const t1 = t2 === 0 ? t2 : table_below(t2, high & 0x3ff);
  const t0 = t1 === 0 ? t1 : table_below(t1, low >>> 22);
  if (t0 !== 0) return (t0 >>> 2) + ((low >>> 12) & 0x3ff);
  prune_path(root, address);
  return 0;
}

function table_below(table: FrameAddr, index: number): FrameAddr {
  const at = (table >>> 2) + index;
  const entry = U32[at] as number;
  if (entry !== 0) return ((entry & FRAME_MASK) >>> 0) as FrameAddr;
  const frame = table_alloc();
  // Present: generated code walks tables as it walks pages.
  if (frame !== 0) pte_set(at, (frame | 1) >>> 0);
  return frame;
}

/** The entry in a slot. */
export function pte_get(slot: number): number {
  return U32[slot] as number;
}

/** Of the entries in slots `slot + from` to `slot + count - 1`, the index of the first that is in use; `count` if none is. */
export function pte_next_used(slot: number, from: number, count: number): number {
  let i = from;
  while (i < count && U32[slot + i] === 0) i++;
  return i;
}

/** Writes an entry and keeps its table's count. */
export function pte_set(slot: number, entry: number): void {
  const old = U32[slot] as number;
  if ((old === 0) !== (entry === 0)) {
    const info = frame_info((((slot << 2) >>> 0) & FRAME_MASK) as FrameAddr);
    FrameInfo.index.set(info, FrameInfo.index.get(info) + (entry === 0 ? -1 : 1));
  }
  U32[slot] = entry;
}

/** Frame of an entry. */
export function pte_frame(entry: number): FrameAddr {
  return ((entry & FRAME_MASK) >>> 0) as FrameAddr;
}

/**
 * The first address at or above `address`, below `end`, that has a level-0 table; `end` when none.
 * Lets a walk over a sparse range skip what was never touched.
 */
export function next_table(root: FrameAddr, address: GuestAddr, end: GuestAddr): GuestAddr {
  while (address < end) {
    const high = Math.floor(address / TWO_32);
    const e3 = U32[(root >>> 2) + (high >>> 10)] as number;
    if (e3 === 0) {
      address = (Math.floor(address / SPAN_2) + 1) * SPAN_2;
      continue;
    }
    const e2 = U32[((e3 & FRAME_MASK) >>> 2) + (high & 0x3ff)] as number;
    if (e2 === 0) {
      address = (high + 1) * SPAN_1;
      continue;
    }
    if ((U32[((e2 & FRAME_MASK) >>> 2) + ((address >>> 0) >>> 22)] as number) !== 0) return address;
    address = (Math.floor(address / SPAN_0) + 1) * SPAN_0;
  }
  return end;
}

/** First address behind the level-0 table that maps `address`. */
export function table_end(address: GuestAddr): GuestAddr {
  return (Math.floor(address / SPAN_0) + 1) * SPAN_0;
}

/** Frees the tables between `start` and `end` that have become empty, the root excepted. */
export function page_table_prune(root: FrameAddr, start: GuestAddr, end: GuestAddr): void {
  for (let a = next_table(root, start, end); a < end; a = next_table(root, table_end(a), end)) prune_path(root, a);
}

/** Frees the empty tables on the way to `address`, from the bottom up. */
function prune_path(root: FrameAddr, address: GuestAddr): void {
  const high = Math.floor(address / TWO_32);
  const at2 = (root >>> 2) + (high >>> 10);
  const t2 = pte_frame(U32[at2] as number);
  if (t2 === 0) return;
  const at1 = (t2 >>> 2) + (high & 0x3ff);
  const t1 = pte_frame(U32[at1] as number);
  if (t1 !== 0) {
    const at0 = (t1 >>> 2) + ((address >>> 0) >>> 22);
    const t0 = pte_frame(U32[at0] as number);
    if (t0 !== 0 && !free_if_empty(at0, t0)) return;
    if (!free_if_empty(at1, t1)) return;
  }
  free_if_empty(at2, t2);
}

function free_if_empty(slot: number, table: FrameAddr): boolean {
  if (FrameInfo.index.get(frame_info(table)) !== 0) return false;
  pte_set(slot, 0);
  frame_put(table);
  return true;
}

/** Frees an empty page table: every level-0 entry must be clear. */
export function page_table_destroy(root: FrameAddr): void {
  page_table_prune(root, 0, SPAN_2 * 32);
  frame_put(root);
}
