/**
 * A machine's state kept outside its memory, for the library: Machine.snapshot() and restore().
 *
 * The machine is quiescent (no vCPU runs, none is in guest code) and no program is in progress, so that nobody outside
 * holds anything of it but this. vCPU records stay as they are: threads talk through them. The caller drops every
 * vCPU's caches after a restore.
 */
import { assert } from '../base/assert.ts';
import { close_idle_handles, open_host_files, reopen_roots, root_handles } from '../fs/host/host_handles.ts';
import { bound_memory, U8 } from '../heap/memory.ts';
import { bind_slabs } from '../heap/slab.ts';
import {
  frame_table_region,
  frames_used_end,
  heap_used_end,
  leave_spaces,
  machine_regions,
  type Region,
} from './regions.ts';

/** Kept state; the machine whose it is alone can take it back. */
export class MachineImage {
  readonly memory: WebAssembly.Memory;
  private readonly parts: readonly { readonly region: Region; readonly bytes: Uint8Array }[];
  private readonly heap_end: number;
  private readonly frames_end: number;

  /** Keeps the bound machine's state. Answers how many host files guests have open instead where there are any. */
  static save(): MachineImage | number {
    bind_slabs();
    close_idle_handles();
    const open = open_host_files();
    return open > 0 ? open : new MachineImage();
  }

  private constructor() {
    const memory = bound_memory();
    assert(memory !== null, 'MachineImage: no machine is bound');
    this.memory = memory;
    leave_spaces();
    const regions = machine_regions().filter(({ name }) => !name.startsWith('vcpu'));
    this.parts = regions.map((region) => ({ region, bytes: U8.slice(region.start, region.end) }));
    this.heap_end = heap_used_end();
    this.frames_end = frames_used_end();
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Brings the state back. 0, or -errno where a directory of the host that is mounted is gone. */
  restore(): number {
    assert(bound_memory() === this.memory, 'MachineImage: another machine is bound');
    close_idle_handles();
    const open = root_handles();
    const heap = heap_used_end();
    const frames = frames_used_end();
    const kept = frame_table_region(this.frames_end).end;
    const table = frame_table_region(frames).end;
    for (const { region, bytes } of this.parts) U8.set(bytes, region.start);
    if (heap > this.heap_end) U8.fill(0, this.heap_end, heap);
    if (table > kept) U8.fill(0, kept, table);
    if (frames > this.frames_end) U8.fill(0, this.frames_end, frames);
    leave_spaces();
    return reopen_roots(open);
  }
}
