/**
 * Slabs: fixed-size records of one class, carved from pages of the kernel heap.
 *
 * A slab's descriptor lives in the slab directory of the machine (found by class name, so that every
 * thread agrees whatever order it loaded modules in); the Slab object only caches its address for the
 * bound machine. Exhaustion is a value: `alloc` returns 0 and the caller answers ENOMEM.
 *
 * A free record's first word links the free list. In a sanitized machine a cell is
 *
 *     state (16 bytes) | record | red zone (16 bytes)
 *
 * with the state word telling live from free, the red zone and the freed record filled with known
 * bytes that are checked when the cell changes hands, and freed cells waiting in a queue before reuse
 * (heap/sanitize.ts).
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_length, bytes_read, bytes_zero } from './bytes.ts';
import { heap_page_alloc } from './heap_pages.ts';
import { type Declared, type LayoutInfo, layout_of } from './layout.ts';
import { lock, unlock } from './lock.ts';
import { HEAP_LOCK, SLAB_LOCK } from './lock_order.ts';
import { BOOT_TABLES_END, MACHINE, MachineHeader, SLAB_DIRECTORY } from './machine.layout.ts';
import { bound_memory, U8, U32 } from './memory.ts';
import { CELL_OVERHEAD, quarantine, sanitized_cell, unsanitized_record } from './sanitize.ts';
import { SLAB_NAME_MAX, SlabDescriptor } from './slab.layout.ts';

const PAGE = 4096;

/** The allocator of one record class. */
export class Slab<R extends string> {
  private readonly info: LayoutInfo;
  private memory: WebAssembly.Memory | null = null;
  private descriptor = 0 as Ptr<'SlabDescriptor'>;

  constructor(declaration: Declared<R>) {
    this.info = layout_of(declaration);
    assert(this.info.size + CELL_OVERHEAD <= PAGE, `${this.info.name}: a record must fit in a heap page`);
  }

  /** A zeroed record, or 0 when the kernel heap is exhausted. */
  alloc(): Ptr<R> {
    const d = this.bind();
    const slab_lock = SlabDescriptor.lock.at(d);
    lock(slab_lock, SLAB_LOCK);
    let p = SlabDescriptor.free_head.get(d);
    if (p === 0 && refill(d)) p = SlabDescriptor.free_head.get(d);
    if (p !== 0) {
      SlabDescriptor.free_head.set(d, U32[p >> 2] as number);
      const live = SlabDescriptor.live.add(d, 1) + 1;
      if (live > SlabDescriptor.peak.get(d)) SlabDescriptor.peak.set(d, live);
    }
    unlock(slab_lock, SLAB_LOCK);
    if (p === 0) return 0 as Ptr<R>;
    if (SlabDescriptor.sanitize.get(d) !== 0) p = sanitized_cell(p, this.info);
    bytes_zero(p, this.info.size);
    return p as Ptr<R>;
  }

  /** Gives a record back. Nothing may point to it any more. */
  free(record: Ptr<R>): void {
    assert(record !== 0, `${this.info.name}: free of null`);
    const d = this.bind();
    const sanitize = SlabDescriptor.sanitize.get(d) !== 0;
    let p: number = record;
    if (sanitize) p = unsanitized_record(record, this.info);
    const slab_lock = SlabDescriptor.lock.at(d);
    lock(slab_lock, SLAB_LOCK);
    if (sanitize) p = quarantine(d, p);
    if (p !== 0) {
      U32[p >> 2] = SlabDescriptor.free_head.get(d);
      SlabDescriptor.free_head.set(d, p);
    }
    SlabDescriptor.live.add(d, -1);
    unlock(slab_lock, SLAB_LOCK);
  }

  /** Records live now, in the bound machine. */
  live(): number {
    return SlabDescriptor.live.load(this.bind());
  }

  private bind(): Ptr<'SlabDescriptor'> {
    const memory = bound_memory();
    if (memory !== this.memory) {
      this.descriptor = find_or_add(this.info);
      this.memory = memory;
    }
    return this.descriptor;
  }
}

/** Declares the allocator of a record class; one for each class, at module level. */
export function slab<R extends string>(declaration: Declared<R>): Slab<R> {
  return new Slab(declaration);
}

export interface SlabReport {
  readonly name: string;
  readonly size: number;
  readonly live: number;
  readonly peak: number;
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
      live: SlabDescriptor.live.load(d),
      peak: SlabDescriptor.peak.get(d),
    });
  }
  return reports;
}

function refill(d: Ptr<'SlabDescriptor'>): boolean {
  const page = heap_page_alloc();
  if (page === 0) return false;
  const size = SlabDescriptor.object_size.get(d);
  // From the end, so that records are handed out in rising order.
  for (let p = page + (Math.floor(PAGE / size) - 1) * size; p >= page; p -= size) {
    U32[p >> 2] = SlabDescriptor.free_head.get(d);
    U32[(p >> 2) + 1] = 0;
    SlabDescriptor.free_head.set(d, p);
  }
  return true;
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
    assert(d + SlabDescriptor.SIZE <= BOOT_TABLES_END, 'slab directory is full');
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
