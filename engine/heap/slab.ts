/**
 * Slabs: fixed-size records of one class, carved from pages of the kernel heap.
 *
 * A slab's descriptor lives in the slab directory of the machine (found by class name, so that every
 * thread agrees whatever order it loaded modules in); this object only caches its address for the bound
 * machine. Exhaustion is a value: `alloc` returns 0 and the caller answers ENOMEM.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc } from './heap_pages.ts';
import { type Declared, type LayoutInfo, layout, layout_of } from './layout.ts';
import { Lock, lock, unlock } from './lock.ts';
import { HEAP_LOCK, SLAB_LOCK } from './lock_order.ts';
import { BOOT_TABLES_END, MACHINE, MachineHeader, SLAB_DIRECTORY } from './machine.layout.ts';
import { bound_memory, U8, U32 } from './memory.ts';

const l = layout('SlabDescriptor');
export const SlabDescriptor = l.done(
  {
    lock: l.embed(Lock),
    free_head: l.u32('guarded by lock'),
    object_size: l.u32('immutable'),
    live: l.atomic(),
    /** Most records ever live at once. */
    peak: l.u32('guarded by lock'),
    name: l.bytes(32, 8, 'immutable'),
  },
  64,
);

/** The allocator of one record class. */
export class Slab<R extends string> {
  private readonly info: LayoutInfo;
  private memory: WebAssembly.Memory | null = null;
  private descriptor = 0 as Ptr<'SlabDescriptor'>;

  constructor(declaration: Declared<R>) {
    this.info = layout_of(declaration);
    assert(this.info.size <= 4096, `${this.info.name}: a record must fit in a heap page`);
  }

  /** A zeroed record, or 0 when the kernel heap is exhausted. */
  alloc(): Ptr<R> {
    const d = this.bind();
    lock(SlabDescriptor.lock.at(d), SLAB_LOCK);
    let p = SlabDescriptor.free_head.get(d);
    if (p === 0 && this.refill(d)) p = SlabDescriptor.free_head.get(d);
    if (p !== 0) {
      SlabDescriptor.free_head.set(d, U32[p >> 2] as number);
      const live = SlabDescriptor.live.add(d, 1) + 1;
      if (live > SlabDescriptor.peak.get(d)) SlabDescriptor.peak.set(d, live);
    }
    unlock(SlabDescriptor.lock.at(d), SLAB_LOCK);
    if (p !== 0) U8.fill(0, p, p + this.info.size);
    return p as Ptr<R>;
  }

  /** Gives a record back. Nothing may point to it any more. */
  free(p: Ptr<R>): void {
    assert(p !== 0, `${this.info.name}: free of null`);
    const d = this.bind();
    lock(SlabDescriptor.lock.at(d), SLAB_LOCK);
    U32[p >> 2] = SlabDescriptor.free_head.get(d);
    SlabDescriptor.free_head.set(d, p);
    SlabDescriptor.live.add(d, -1);
    unlock(SlabDescriptor.lock.at(d), SLAB_LOCK);
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

  private refill(d: Ptr<'SlabDescriptor'>): boolean {
    const page = heap_page_alloc();
    if (page === 0) return false;
    const size = SlabDescriptor.object_size.get(d);
    for (let p = page; p + size <= page + 4096; p += size) {
      U32[p >> 2] = SlabDescriptor.free_head.get(d);
      SlabDescriptor.free_head.set(d, p);
    }
    return true;
  }
}

/** Declares the allocator of a record class; one for each class, at module level. */
export function slab<R extends string>(declaration: Declared<R>): Slab<R> {
  return new Slab(declaration);
}

function find_or_add(info: LayoutInfo): Ptr<'SlabDescriptor'> {
  const heap_lock = MachineHeader.heap_lock.at(MACHINE);
  lock(heap_lock, HEAP_LOCK);
  const count = MachineHeader.slab_count.get(MACHINE);
  let d = SLAB_DIRECTORY as Ptr<'SlabDescriptor'>;
  let found = false;
  for (let i = 0; i < count && !found; i++) {
    if (name_equals(d, info.name)) found = true;
    else d = (d + SlabDescriptor.SIZE) as Ptr<'SlabDescriptor'>;
  }
  if (!found) {
    assert(d + SlabDescriptor.SIZE <= BOOT_TABLES_END, 'slab directory is full');
    SlabDescriptor.object_size.set(d, Math.ceil(info.size / 16) * 16);
    const name = SlabDescriptor.name.at(d);
    for (let i = 0; i < info.name.length && i < 31; i++) U8[name + i] = info.name.charCodeAt(i);
    MachineHeader.slab_count.set(MACHINE, count + 1);
  }
  unlock(heap_lock, HEAP_LOCK);
  return d;
}

function name_equals(d: Ptr<'SlabDescriptor'>, name: string): boolean {
  const at = SlabDescriptor.name.at(d);
  const length = Math.min(name.length, 31);
  for (let i = 0; i < length; i++) if (U8[at + i] !== name.charCodeAt(i)) return false;
  return U8[at + length] === 0;
}
