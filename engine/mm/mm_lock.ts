/**
 * The bracket around every change of an address space: `mm_lock`, edits, `mm_unlock`.
 *
 * Edits only collect what must wait: frames taken out of the page table wait for the shoot-down, and
 * removed VMAs wait for the lock to be released, because closing a file takes locks of lower rank.
 * `mm_unlock` does both. The collected state belongs to this thread and lives between the two calls only;
 * a thread holds one address space at a time.
 */
import { assert, CHECKED } from '../base/assert.ts';
import { register_transient } from '../base/transients.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, lock_is_held, unlock } from '../heap/lock.ts';
import { MM_LOCK } from '../heap/lock_order.ts';
import { FrameInfo } from '../machine/frame.layout.ts';
import { frame_chain_retire, frame_drop, frame_info, zero_frame } from '../machine/frames.ts';
import { PTE_EXEC, PTE_FILE, PTE_SHMEM } from '../machine/page_table.layout.ts';
import {
  next_table,
  page_table_prune,
  pte_frame,
  pte_get,
  pte_next_used,
  pte_set,
  pte_slot,
  table_end,
} from '../machine/page_table.ts';
import { this_vcpu } from '../machine/this_vcpu.ts';
import { tlb_flush_range, tlb_is_current } from '../machine/tlb.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { Mm, Vma } from './mm.layout.ts';
import { shoot_down } from './shootdown.ts';
import { vma_free } from './vma.ts';

let chain_head = 0 as FrameAddr;
let chain_tail = 0 as FrameAddr;
let chain_count = 0;
let flush_start = Infinity;
let flush_end = 0;
let flush_code = false;
let doomed = 0 as Ptr<'Vma'>;
register_transient(() => {
  chain_head = 0 as FrameAddr;
  chain_tail = 0 as FrameAddr;
  chain_count = 0;
  flush_start = Infinity;
  flush_end = 0;
  flush_code = false;
  doomed = 0 as Ptr<'Vma'>;
});

/** Acquires mm.lock. */
export function mm_lock(mm: Ptr<'Mm'>): void {
  lock(Mm.lock.at(mm), MM_LOCK);
}

/** Flushes and shoots down what changed, releases mm.lock, then frees what was collected. */
export function mm_unlock(mm: Ptr<'Mm'>): void {
  if (flush_start < flush_end) flush(mm);
  unlock(Mm.lock.at(mm), MM_LOCK);
  while (doomed !== 0) {
    const vma = doomed;
    doomed = Vma.next.get(vma);
    vma_free(vma);
  }
}

function flush(mm: Ptr<'Mm'>): void {
  const own = this_vcpu !== 0 && Vcpu.mm.load(this_vcpu) === mm;
  if (own) tlb_flush_range(this_vcpu, flush_start, flush_end, flush_code);
  if (flush_code) Mm.code_changes.add(mm, 1);
  const changes = shoot_down(mm);
  if (own) tlb_is_current(this_vcpu, Mm.number.get(mm), changes);
  flush_start = Infinity;
  flush_end = 0;
  flush_code = false;
  if (chain_count === 0) return;
  frame_chain_retire(chain_head, chain_tail, chain_count);
  chain_head = 0 as FrameAddr;
  chain_tail = 0 as FrameAddr;
  chain_count = 0;
}

/** A page's translation was replaced or lost rights: it is flushed everywhere before mm_unlock returns. */
export function flush_later(start: number, end: number, old_entry: number): void {
  if (start < flush_start) flush_start = start;
  if (end > flush_end) flush_end = end;
  if ((old_entry & PTE_EXEC) !== 0) flush_code = true;
}

/** Drops a frame's reference once the translation is flushed everywhere. */
export function put_later(frame: FrameAddr): void {
  if (!frame_drop(frame)) return;
  FrameInfo.owner.set(frame_info(frame), chain_head);
  if (chain_head === 0) chain_tail = frame;
  chain_head = frame;
  chain_count++;
}

/** Frees a VMA, already removed from the tree, once the lock is released. */
export function free_later(vma: Ptr<'Vma'>): void {
  Vma.next.set(vma, doomed);
  doomed = vma;
}

/** Counts a page into (1) or out of (-1) the resident set, by its entry. */
export function rss_account(mm: Ptr<'Mm'>, entry: number, pages: number): void {
  const field = (entry & PTE_FILE) !== 0 ? Mm.rss_file : (entry & PTE_SHMEM) !== 0 ? Mm.rss_shmem : Mm.rss_anon;
  if (field === Mm.rss_anon && pte_frame(entry) === zero_frame()) return;
  field.set(mm, field.get(mm) + pages);
  if (pages > 0) {
    const rss = Mm.rss_anon.get(mm) + Mm.rss_file.get(mm) + Mm.rss_shmem.get(mm);
    if (rss > Mm.hiwater_rss.get(mm)) Mm.hiwater_rss.set(mm, rss);
  }
}

/**
 * Unmaps the pages between two addresses; with `cows` false only those that are the cache's own pages.
 * Frames and tables go when the lock is released.
 */
export function zap_range(mm: Ptr<'Mm'>, start: number, end: number, cows = true): void {
  if (CHECKED) assert(lock_is_held(Mm.lock.at(mm)), 'zap_range without mm.lock');
  const root = Mm.page_table.get(mm) as FrameAddr;
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a, end)) {
    const stop = Math.min(end, table_end(a));
    zap_entries(mm, a, pte_slot(root, a), (stop - a) / 4096, cows);
    a = stop;
  }
  page_table_prune(root, start, end);
}

/**
 * Unmaps `count` pages from `start`, whose entries begin at `slot`. Counts in small integers: the end of each thread
 * drops its stack, two thousand entries of which a few are used, and addresses would be heap numbers.
 */
function zap_entries(mm: Ptr<'Mm'>, start: number, slot: number, count: number, cows: boolean): void {
  for (let i = pte_next_used(slot, 0, count); i < count; i = pte_next_used(slot, i + 1, count)) {
    const entry = pte_get(slot + i);
    if (!cows && (entry & (PTE_FILE | PTE_SHMEM)) === 0) continue;
    const address = start + i * 4096;
    pte_set(slot + i, 0);
    rss_account(mm, entry, -1);
    flush_later(address, address + 4096, entry);
    put_later(pte_frame(entry));
  }
}
