/**
 * A machine's state kept in its own memory, behind the guest's RAM (MemoryMap.shadow_bytes), and copied back in
 * microseconds: each reset compares what is in use with the image and copies the blocks that differ.
 *
 * The machine is quiescent: its vCPUs are between tasks, in no thread or in the calling one. The TLB, the jump cache
 * and decoded code are caches: the caller has the platform drop them. Every record class must have its descriptor
 * before the state is kept (`bind_slabs`), since a Slab remembers where its descriptor is.
 *
 * Measured (see ARCHITECTURE.md, "Snapshots"): comparing what a machine of the fuzzer uses takes less time than marking
 * the stores of ten system calls would, so nothing marks them. Parts that change with the allocations of a class alone
 * (parts.ts) are left out where there were none.
 */
import { assert, panic } from '../base/assert.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { bound_memory, U32 } from '../heap/memory.ts';
import { bind_slabs } from '../heap/slab.ts';
import { BLOCK, type Comparer, create_comparer, PIECE_WORDS } from './compare.ts';
import { heap_parts, type Part } from './parts.ts';
import {
  frame_table_region,
  frames_used_end,
  heap_used_end,
  leave_spaces,
  machine_regions,
  type Region,
} from './regions.ts';

/** A word of the machine that changes before what depends on it does, and what it was when the state was kept. */
interface Counter {
  readonly address: number;
  readonly kept: number;
}

/** The heap by what it depends on, anything else as a whole. */
function parts_of({ name, start, end }: Region): Part[] {
  return name === 'heap' ? heap_parts(start, end) : [{ start, length: end - start, counter: 0 }];
}

export class Shadow {
  private readonly comparer: Comparer;
  /** What a reset compares: pieces in machine memory behind the image, and behind them a word for each counter. */
  private readonly pieces: number;
  private readonly piece_count: number;
  private readonly flags: number;
  private readonly counters: readonly Counter[];
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
    const image_bytes = this.regions.reduce((sum, { start, end }) => sum + end - start, 0);
    const parts = this.regions.flatMap(parts_of);
    const counters = [...new Set(parts.map(({ counter }) => counter))].filter((address) => address !== 0);
    const bytes = image_bytes + (parts.length * PIECE_WORDS + 1 + counters.length) * 4;
    const room = memory.buffer.byteLength - this.image;
    if (bytes > room) panic(`a snapshot of ${bytes} bytes does not fit in ${room}`);
    this.each((start, source, length) => this.comparer.restore(source, start, length));
    this.counters = counters.map((address) => ({ address, kept: U32[address >>> 2] as number }));
    this.pieces = this.image + image_bytes;
    this.piece_count = parts.length;
    this.flags = this.pieces + parts.length * PIECE_WORDS * 4;
    this.write_pieces(parts);
  }

  /** The parts lie in the image one behind the other. */
  private write_pieces(parts: readonly Part[]): void {
    U32[this.flags >>> 2] = 1;
    let at = this.pieces >>> 2;
    let image = this.image;
    for (const { start, length, counter } of parts) {
      const flag = 1 + this.counters.findIndex(({ address }) => address === counter);
      U32.set([start, image, length, this.flags + flag * 4], at);
      at += PIECE_WORDS;
      image += length;
    }
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
    // All of them first: to copy anything back is to copy counters back.
    const flags = (this.flags >>> 2) + 1;
    for (let i = 0; i < this.counters.length; i++) {
      const { address, kept } = this.counters[i] as Counter;
      U32[flags + i] = U32[address >>> 2] === kept ? 0 : 1;
    }
    const pages = this.comparer.restore_pieces(this.pieces, this.piece_count);
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
