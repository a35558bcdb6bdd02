/**
 * Makes a machine's memory and writes its header: the memory map of `machine.layout.ts`.
 */
import { assert } from '../base/assert.ts';
import { FrameInfo } from '../machine/frame.layout.ts';
import { vcpu_stride_of } from '../machine/vcpu.layout.ts';
import { BOOT_TABLES_END, MACHINE, MACHINE_MAGIC, MachineHeader } from './machine.layout.ts';
import { bind_memory } from './memory.ts';

const WASM_PAGE = 65536;

export interface MemoryMap {
  /** vCPU areas to reserve, 1 to 64. */
  readonly vcpus: number;
  /** Kernel heap limit, a multiple of 64 KiB. */
  readonly heap_bytes: number;
  /** Guest RAM, a multiple of 64 KiB, at most about 3 GiB. */
  readonly ram_bytes: number;
  /** Red zones, poison and quarantine in every slab (tests, fuzzing). */
  readonly sanitize?: boolean;
  /** Room behind the guest's RAM for a copy of the machine's state (snapshot/shadow.ts), whole wasm pages; default none. */
  readonly shadow_bytes?: number;
}

/** Reserves the memory, binds it to this thread and writes the header. Throws a RangeError when it cannot be had. */
export function boot_memory(map: MemoryMap): WebAssembly.Memory {
  assert(map.vcpus >= 1 && map.vcpus <= 64, 'boot_memory: 1 to 64 vCPUs');
  assert(map.heap_bytes % WASM_PAGE === 0 && map.ram_bytes % WASM_PAGE === 0, 'boot_memory: whole wasm pages');
  const vcpu_base = BOOT_TABLES_END;
  const vcpu_stride = vcpu_stride_of(map.vcpus);
  const heap_base = vcpu_base + map.vcpus * vcpu_stride;
  const frame_table_at = heap_base + map.heap_bytes;
  // The table is indexed by machine address >>> 12, so its origin lies below its first used entry.
  const table_bytes_of = (end: number): number => Math.ceil((end / 4096) * FrameInfo.SIZE);
  const estimate = frame_table_at + map.ram_bytes;
  const frames_base =
    Math.ceil((frame_table_at + table_bytes_of(estimate) + (estimate >> 8)) / WASM_PAGE + 1) * WASM_PAGE;
  const frames_end = frames_base + map.ram_bytes;
  const pages = (frames_end + (map.shadow_bytes ?? 0)) / WASM_PAGE;
  if (pages > 65536) throw new RangeError(`guest RAM of ${map.ram_bytes} bytes does not fit in 4 GiB with the kernel`);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  bind_memory(memory);
  MachineHeader.magic.set(MACHINE, MACHINE_MAGIC);
  MachineHeader.vcpu_count.set(MACHINE, map.vcpus);
  MachineHeader.vcpu_base.set(MACHINE, vcpu_base);
  MachineHeader.vcpu_stride.set(MACHINE, vcpu_stride);
  MachineHeader.heap_base.set(MACHINE, heap_base);
  MachineHeader.heap_end.set(MACHINE, frame_table_at);
  MachineHeader.heap_next.set(MACHINE, heap_base);
  MachineHeader.heap_sanitize.set(MACHINE, map.sanitize === true ? 1 : 0);
  MachineHeader.frame_table.set(MACHINE, frame_table_at);
  MachineHeader.frames_base.set(MACHINE, frames_base);
  MachineHeader.frames_end.set(MACHINE, frames_end);
  // The first frame stays the zero frame.
  MachineHeader.frames_next.set(MACHINE, frames_base + 4096);
  MachineHeader.frames_total.set(MACHINE, map.ram_bytes / 4096);
  return memory;
}
