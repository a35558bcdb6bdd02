/**
 * What a snapshot holds of a machine's memory (machine.layout.ts has the map): each region up to where it is in use.
 * Behind that, heap pages and frames were never used and are zero.
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader, SLAB_DIRECTORY } from '../heap/machine.layout.ts';
import { SlabDescriptor } from '../heap/slab.layout.ts';
import { FrameInfo } from '../machine/frame.layout.ts';
import { tlb_forget_others } from '../machine/tlb.ts';
import { Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { use_mm } from '../mm/active.ts';
import { BLOCK } from './compare.ts';

export interface Region {
  readonly name: string;
  /** Machine addresses, multiples of BLOCK; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

function up(address: number): number {
  return Math.ceil(address / BLOCK) * BLOCK;
}

function down(address: number): number {
  return Math.floor(address / BLOCK) * BLOCK;
}

/** End of the heap in use. */
export function heap_used_end(): number {
  return MachineHeader.heap_next.get(MACHINE);
}

/** End of the frames in use. */
export function frames_used_end(): number {
  return MachineHeader.frames_next.get(MACHINE);
}

/** The entries of the frame table for the frames in [frames_base, end). */
export function frame_table_region(end: number): Region {
  const table = MachineHeader.frame_table.get(MACHINE);
  const first = MachineHeader.frames_base.get(MACHINE) / 4096;
  return {
    name: 'frame table',
    start: down(table + first * FrameInfo.SIZE),
    end: up(table + (end / 4096) * FrameInfo.SIZE),
  };
}

/** The regions in use now. The vCPU records are among them; TLBs, jump caches and code arenas are not. */
export function machine_regions(): Region[] {
  const directory_end = SLAB_DIRECTORY + MachineHeader.slab_count.get(MACHINE) * SlabDescriptor.SIZE;
  const regions: Region[] = [{ name: 'header', start: MACHINE, end: up(directory_end) }];
  for (let i = 0; i < MachineHeader.vcpu_count.get(MACHINE); i++)
    regions.push({ name: `vcpu ${i}`, start: vcpu_at(i), end: vcpu_at(i) + Vcpu.SIZE });
  regions.push({ name: 'heap', start: MachineHeader.heap_base.get(MACHINE), end: heap_used_end() });
  regions.push(frame_table_region(frames_used_end()));
  regions.push({ name: 'frames', start: MachineHeader.frames_base.get(MACHINE), end: frames_used_end() });
  return regions;
}

/** No vCPU is in any address space from now on, and none has a TLB of one. */
export function leave_spaces(): void {
  use_mm(0 as Ptr<'Mm'>);
  for (let i = 0; i < MachineHeader.vcpu_count.get(MACHINE); i++) {
    Vcpu.mm.store(vcpu_at(i), 0);
    Vcpu.page_table.set(vcpu_at(i), 0);
    Vcpu.tlb_space.set(vcpu_at(i), 0);
    // Numbers of address spaces come again.
    tlb_forget_others(vcpu_at(i));
  }
}
