/**
 * A machine's state kept in its own memory, behind the guest's RAM (MemoryMap.shadow_bytes), and copied back in
 * microseconds: each reset compares what is in use with the image and copies the blocks that differ.
 *
 * The machine is quiescent: its vCPUs are between tasks, in no thread or in the calling one. The TLB, the jump cache
 * and decoded code are caches: the caller has the platform drop them. Every record class must have its descriptor
 * before the state is kept (`bind_slabs`), since a Slab remembers where its descriptor is.
 *
 * Measured (see ARCHITECTURE.md, "Snapshots"): comparing what a machine of the fuzzer uses, 250 KiB, takes less time
 * than marking the stores of ten system calls would, so nothing marks them.
 */
import { assert, panic } from '../base/assert.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { bound_memory } from '../heap/memory.ts';
import { bind_slabs } from '../heap/slab.ts';
import { BLOCK, type Comparer, create_comparer } from './compare.ts';
import {
  frame_table_region,
  frames_used_end,
  heap_used_end,
  leave_spaces,
  machine_regions,
  type Region,
} from './regions.ts';

export class Shadow {
  private readonly comparer: Comparer;
  private readonly regions: readonly Region[];
  private readonly image: number;
  private readonly heap_end: number;
  private readonly frames_end: number;
  /** How far frames were ever in use. */
  private frames_high: number;

  /** Keeps the bound machine's state as it is now. Panics when the machine has too little room for it. */
  constructor() {
    const memory = bound_memory();
    assert(memory !== null, 'Shadow: no machine is bound');
    bind_slabs();
    leave_spaces();
    this.comparer = create_comparer(memory);
    this.regions = machine_regions();
    this.image = MachineHeader.frames_end.get(MACHINE);
    this.heap_end = heap_used_end();
    this.frames_end = this.frames_high = frames_used_end();
    const bytes = this.regions.reduce((sum, { start, end }) => sum + end - start, 0);
    const room = memory.buffer.byteLength - this.image;
    if (bytes > room) panic(`a snapshot of ${bytes} bytes does not fit in ${room}`);
    this.each((start, source, length) => this.comparer.restore(source, start, length));
  }

  private each(visit: (start: number, image: number, length: number) => void): void {
    let image = this.image;
    for (const { start, end } of this.regions) {
      visit(start, image, end - start);
      image += end - start;
    }
  }

  /** Brings the state back; the number of pages that were not as kept. */
  restore(): number {
    leave_spaces();
    const heap = heap_used_end();
    const frames = frames_used_end();
    this.frames_high = Math.max(this.frames_high, frames);
    let pages = 0;
    let image = this.image;
    for (const { start, end } of this.regions) {
      pages += this.comparer.restore(start, image, end - start);
      image += end - start;
    }
    if (heap > this.heap_end) this.comparer.zero(this.heap_end, heap - this.heap_end);
    if (frames > this.frames_end) {
      this.comparer.zero(this.frames_end, frames - this.frames_end);
      const kept = frame_table_region(this.frames_end).end;
      this.comparer.zero(kept, frame_table_region(frames).end - kept);
    }
    return pages + (heap - this.heap_end + frames - this.frames_end) / 4096;
  }

  /** '' when the state is the one kept; else where it first differs. */
  verify(): string {
    let found = '';
    this.each((start, image, length) => {
      if (found !== '') return;
      const at = this.comparer.difference(start, image, length);
      if (at >= 0) found = this.describe(start + at, image + at);
    });
    if (found !== '') return found;
    const table = frame_table_region(this.frames_end).end;
    const unused = [
      ['unused heap', this.heap_end, MachineHeader.heap_end.get(MACHINE)],
      ['unused frame table', table, frame_table_region(MachineHeader.frames_end.get(MACHINE)).end],
      // Frames behind those ever used would cost the host their memory by being looked at.
      ['unused frames', this.frames_end, this.frames_high],
    ] as const;
    for (const [name, start, end] of unused) {
      const at = this.comparer.nonzero(start, end - start);
      if (at >= 0) return `${name}: 0x${(start + at).toString(16)} is not zero`;
    }
    return '';
  }

  private describe(address: number, image: number): string {
    const region = this.regions.find(({ start, end }) => address >= start && address < end) as Region;
    const words = new Uint32Array((bound_memory() as WebAssembly.Memory).buffer);
    let i = 0;
    while (i < BLOCK / 4 && words[(address >>> 2) + i] === words[(image >>> 2) + i]) i++;
    const hex = (value: number | undefined): string => `0x${(value ?? 0).toString(16)}`;
    return `${region.name}: ${hex(address + i * 4)} is ${hex(words[(address >>> 2) + i])}, not ${hex(words[(image >>> 2) + i])}`;
  }
}
