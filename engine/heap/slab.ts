/**
 * Slabs: fixed-size records of one class, cut from pages of the kernel heap.
 *
 * Each page has a head (`SlabPage`) with its own free list and count, found by masking a cell's address, so
 * that a page whose cells are all free goes back to the heap; a class keeps SLAB_RESERVE_PAGES of them, so that
 * a record which comes and goes does not take a page each time.
 *
 * A slab's descriptor lives in the slab directory of the machine (found by class name, so that every
 * thread agrees whatever order it loaded modules in); the Slab object only caches its address for the
 * bound machine. Exhaustion is a value: `alloc` returns 0 and the caller answers ENOMEM.
 *
 * A free cell's first word links the free list of its page. In a sanitized machine a cell is
 *
 *     state (16 bytes) | record | red zone (16 bytes)
 *
 * with the state word telling live from free, the red zone and the freed record filled with known
 * bytes that are checked when the cell changes hands, and freed cells waiting in a queue before reuse
 * (heap/sanitize.ts).
 */
import { assert, panic } from '../base/assert.ts';
import { register_cache } from '../base/caches.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_length, bytes_read, bytes_zero } from './bytes.ts';
import { fault_now, faults_countdown } from './fault_injection.ts';
import { heap_page_alloc, heap_page_free } from './heap_pages.ts';
import { type Declared, type LayoutInfo, layout_of } from './layout.ts';
import { lock, unlock } from './lock.ts';
import { HEAP_LOCK, SLAB_LOCK } from './lock_order.ts';
import { HOST_HANDLES, MACHINE, MachineHeader, SLAB_DIRECTORY } from './machine.layout.ts';
import { bound_memory, U8, U32 } from './memory.ts';
import { CELL_OVERHEAD, check_free_cell, quarantine, sanitized_cell, unsanitized_record } from './sanitize.ts';
import { SLAB_NAME_MAX, SlabDescriptor, SlabPage } from './slab.layout.ts';

const PAGE = 4096;
/** Wholly free pages that a class keeps. */
export const SLAB_RESERVE_PAGES = 1;

/** The allocator of one record class. */
export class Slab<R extends string> {
  private readonly info: LayoutInfo;
  private memory: WebAssembly.Memory | null = null;
  private descriptor = 0 as Ptr<'SlabDescriptor'>;

  constructor(declaration: Declared<R>) {
    this.info = layout_of(declaration);
    assert(
      SlabPage.SIZE + this.info.size + CELL_OVERHEAD <= PAGE,
      `${this.info.name}: a record must fit in a heap page`,
    );
  }

  /** A zeroed record, or 0 when the kernel heap is exhausted. */
  alloc(): Ptr<R> {
    if (faults_countdown !== 0 && fault_now()) return 0 as Ptr<R>;
    const d = this.bind();
    const slab_lock = SlabDescriptor.lock.at(d);
    lock(slab_lock, SLAB_LOCK);
    let page = SlabDescriptor.partial.get(d);
    if (page === 0) page = add_page(d);
    let p = 0;
    if (page !== 0) {
      p = SlabPage.free_head.get(page);
      const next = U32[p >> 2] as number;
      SlabPage.free_head.set(page, next);
      if (next === 0) unlink_page(d, page);
      const used = SlabPage.used.get(page);
      SlabPage.used.set(page, used + 1);
      if (used === 0) SlabDescriptor.empty_pages.set(d, SlabDescriptor.empty_pages.get(d) - 1);
      const live = SlabDescriptor.live.get(d) + 1;
      SlabDescriptor.live.set(d, live);
      if (live > SlabDescriptor.peak.get(d)) SlabDescriptor.peak.set(d, live);
      SlabDescriptor.changes.set(d, SlabDescriptor.changes.get(d) + 1);
    }
    unlock(slab_lock, SLAB_LOCK);
    if (p === 0) return 0 as Ptr<R>;
    if (SlabDescriptor.sanitize.get(d) !== 0) p = sanitized_cell(p, this.info);
    bytes_zero(p, this.info.size);
    return p as Ptr<R>;
  }

  /** Gives a record back. Nothing may point to it any more. */
  free(record: Ptr<R>): void {
    const d = this.bind();
    if (SlabPage.slab.get(page_of(record)) !== d)
      panic(
        `${this.info.name}: free of 0x${record.toString(16)}, which is no such record`,
        'sanitizer',
        this.info.name,
      );
    const sanitize = SlabDescriptor.sanitize.get(d) !== 0;
    let p: number = record;
    if (sanitize) p = unsanitized_record(record, this.info);
    const slab_lock = SlabDescriptor.lock.at(d);
    lock(slab_lock, SLAB_LOCK);
    if (sanitize) p = quarantine(d, p);
    if (p !== 0) this.free_cell(d, p);
    SlabDescriptor.live.set(d, SlabDescriptor.live.get(d) - 1);
    SlabDescriptor.changes.set(d, SlabDescriptor.changes.get(d) + 1);
    unlock(slab_lock, SLAB_LOCK);
  }

  /** Records live now, in the bound machine. */
  live(): number {
    return SlabDescriptor.live.get(this.bind());
  }

  private free_cell(d: Ptr<'SlabDescriptor'>, p: number): void {
    const page = page_of(p);
    const next = SlabPage.free_head.get(page);
    U32[p >> 2] = next;
    SlabPage.free_head.set(page, p);
    if (next === 0) link_page(d, page);
    const used = SlabPage.used.get(page) - 1;
    SlabPage.used.set(page, used);
    if (used !== 0) return;
    const empty = SlabDescriptor.empty_pages.get(d);
    if (empty < SLAB_RESERVE_PAGES) SlabDescriptor.empty_pages.set(d, empty + 1);
    else this.give_back(d, page);
  }

  /** Returns a wholly free page to the heap. Under the slab's lock. */
  private give_back(d: Ptr<'SlabDescriptor'>, page: Ptr<'SlabPage'>): void {
    if (SlabDescriptor.sanitize.get(d) !== 0) {
      for (let p = SlabPage.free_head.get(page); p !== 0; p = U32[p >> 2] as number) check_free_cell(p, this.info);
    }
    unlink_page(d, page);
    SlabPage.slab.set(page, 0 as Ptr<'SlabDescriptor'>);
    SlabDescriptor.pages.set(d, SlabDescriptor.pages.get(d) - 1);
    heap_page_free(page);
  }

  /** The descriptor in the bound machine. */
  bind(): Ptr<'SlabDescriptor'> {
    const memory = bound_memory();
    if (memory !== this.memory) {
      this.descriptor = find_or_add(this.info);
      this.memory = memory;
    }
    return this.descriptor;
  }

  /** Forgets the descriptor's address, and the memory with it. */
  unbind(): void {
    this.memory = null;
  }
}

/** Declares the allocator of a record class; one for each class, at module level. */
export function slab<R extends string>(declaration: Declared<R>): Slab<R> {
  const made = new Slab(declaration);
  declared.push(made);
  return made;
}

const declared: { bind(): Ptr<'SlabDescriptor'>; unbind(): void }[] = [];

register_cache('slab descriptors', () => {
  for (const made of declared) made.unbind();
});

/** Gives every declared class its descriptor in the bound machine: afterwards none is made any more. */
export function bind_slabs(): void {
  for (const made of declared) made.bind();
}

export interface SlabReport {
  readonly name: string;
  readonly size: number;
  readonly live: number;
  readonly peak: number;
  /** Heap pages held. */
  readonly pages: number;
}

/** Live and peak counts of every record class of the bound machine. Takes no lock. */
export function slab_reports(): SlabReport[] {
  const reports: SlabReport[] = [];
  const count = MachineHeader.slab_count.get(MACHINE);
  for (let i = 0; i < count; i++) {
    const d = (SLAB_DIRECTORY + i * SlabDescriptor.SIZE) as Ptr<'SlabDescriptor'>;
    const name = SlabDescriptor.name.at(d);
    reports.push({
      name: bytes_read(name, bytes_length(name, SLAB_NAME_MAX)),
      size: SlabDescriptor.object_size.get(d),
      live: SlabDescriptor.live.get(d),
      peak: SlabDescriptor.peak.get(d),
      pages: SlabDescriptor.pages.get(d),
    });
  }
  return reports;
}

/** The page that a cell or record lies in. */
function page_of(p: number): Ptr<'SlabPage'> {
  return (p & -PAGE) as Ptr<'SlabPage'>;
}

/** Makes a page the first that cells are taken from. */
function link_page(d: Ptr<'SlabDescriptor'>, page: Ptr<'SlabPage'>): void {
  const next = SlabDescriptor.partial.get(d);
  SlabPage.prev.set(page, 0 as Ptr<'SlabPage'>);
  SlabPage.next.set(page, next);
  if (next !== 0) SlabPage.prev.set(next, page);
  SlabDescriptor.partial.set(d, page);
}

function unlink_page(d: Ptr<'SlabDescriptor'>, page: Ptr<'SlabPage'>): void {
  const next = SlabPage.next.get(page);
  const prev = SlabPage.prev.get(page);
  if (prev !== 0) SlabPage.next.set(prev, next);
  else SlabDescriptor.partial.set(d, next);
  if (next !== 0) SlabPage.prev.set(next, prev);
}

/** Cuts a heap page into free cells; 0 when the heap is exhausted. Under the slab's lock. */
function add_page(d: Ptr<'SlabDescriptor'>): Ptr<'SlabPage'> {
  const page = heap_page_alloc() as Ptr<'SlabPage'>;
  if (page === 0) return page;
  const size = SlabDescriptor.object_size.get(d);
  const first = page + SlabPage.SIZE;
  let free_head = 0;
  // From the end, so that records are handed out in rising order.
  for (let p = first + (Math.floor((PAGE - SlabPage.SIZE) / size) - 1) * size; p >= first; p -= size) {
    U32[p >> 2] = free_head;
    U32[(p >> 2) + 1] = 0;
    free_head = p;
  }
  SlabPage.free_head.set(page, free_head);
  SlabPage.used.set(page, 0);
  SlabPage.slab.set(page, d);
  link_page(d, page);
  SlabDescriptor.pages.set(d, SlabDescriptor.pages.get(d) + 1);
  SlabDescriptor.empty_pages.set(d, SlabDescriptor.empty_pages.get(d) + 1);
  return page;
}

/** The descriptor of a class in the bound machine, made at its first use. */
function find_or_add(info: LayoutInfo): Ptr<'SlabDescriptor'> {
  const heap_lock = MachineHeader.heap_lock.at(MACHINE);
  lock(heap_lock, HEAP_LOCK);
  const count = MachineHeader.slab_count.get(MACHINE);
  let d = SLAB_DIRECTORY as Ptr<'SlabDescriptor'>;
  const end = SLAB_DIRECTORY + count * SlabDescriptor.SIZE;
  while (d < end && !name_equals(d, info.name)) d = (d + SlabDescriptor.SIZE) as Ptr<'SlabDescriptor'>;
  if (d === end) {
    assert(d + SlabDescriptor.SIZE <= HOST_HANDLES, 'slab directory is full');
    const sanitize = MachineHeader.heap_sanitize.get(MACHINE);
    const cell = info.size + (sanitize !== 0 ? CELL_OVERHEAD : 0);
    SlabDescriptor.object_size.set(d, Math.ceil(cell / 16) * 16);
    SlabDescriptor.sanitize.set(d, sanitize);
    const name = SlabDescriptor.name.at(d);
    for (let i = 0; i < info.name.length && i < SLAB_NAME_MAX; i++) U8[name + i] = info.name.charCodeAt(i);
    MachineHeader.slab_count.set(MACHINE, count + 1);
  }
  unlock(heap_lock, HEAP_LOCK);
  return d;
}

function name_equals(d: Ptr<'SlabDescriptor'>, name: string): boolean {
  const at = SlabDescriptor.name.at(d);
  const length = Math.min(name.length, SLAB_NAME_MAX);
  for (let i = 0; i < length; i++) if (U8[at + i] !== name.charCodeAt(i)) return false;
  return U8[at + length] === 0;
}
