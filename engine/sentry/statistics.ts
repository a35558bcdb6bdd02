/**
 * What a machine has done and holds: read from its memory without locks, so that numbers which change meanwhile need
 * not add up.
 */
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { slab_reports } from '../heap/slab.ts';
import { KernelRoot } from '../kernel/kernel.layout.ts';
import { kernel_root } from '../kernel/kernel.ts';
import { frames_free, frames_total } from '../machine/frames.ts';
import { Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { NO_CODE, type PlatformStatistics } from '../platform/platform.ts';
import { monotonic_ns } from '../time/clock.ts';

/** Counters of one vCPU, since the machine's boot. */
export interface VcpuStatistics {
  readonly index: number;
  /** What runs it: the calling thread, a thread of its own, or nothing yet. */
  readonly thread: 'caller' | 'worker' | 'none';
  /** Guest instructions retired. */
  readonly instructions: number;
  /** Entries into guest code from the kernel's run loop; a system call that does not block needs none. */
  readonly guest_entries: number;
  /** Time slices that were used up. */
  readonly slices: number;
  readonly syscalls: number;
  /** Tasks picked up to run. */
  readonly task_switches: number;
  /** Page faults of guest code that came to the kernel. */
  readonly page_faults: number;
  /** Memory accesses of guest code that the software TLB could not serve. */
  readonly tlb_misses: number;
  /** Sleeps because there was nothing to run, and their length on the machine's clock, ns. */
  readonly sleeps: number;
  readonly idle_ns: number;
  /** Translated regions made, guest instructions in them, and units made of them. */
  readonly regions_made: number;
  readonly units_made: number;
  readonly region_instructions: number;
  /** Regions left: at a branch, by an indirect jump, at an instruction without translation, otherwise; and refused. */
  readonly region_jumps: number;
  readonly region_switches: number;
  readonly region_enters: number;
  readonly region_others: number;
  readonly region_refusals: number;
  /** Pieces of guest code in the thread's cache: decoded instructions, or translated regions. */
  readonly code_entries: number;
  readonly code_bytes: number;
  /** Lookups of code that generated code did not find by itself, and times the whole cache was dropped. */
  readonly code_lookups: number;
  readonly code_drops: number;
  /** Pages of code in the cache. */
  readonly code_pages: number;
  /** Translated regions and units in the cache, bytes of their modules, and places in the table of functions for them. */
  readonly regions_live: number;
  readonly units_live: number;
  readonly region_bytes_live: number;
  readonly region_places: number;
}

/** A machine's counters. Sizes are bytes. */
export interface MachineStatistics {
  /** Machine time since boot, ns. */
  readonly uptime_ns: number;
  /** Guest RAM; page cache is what could be given up or written back. */
  readonly memory: { readonly total: number; readonly free: number; readonly page_cache: number };
  /** Kernel heap: what was ever taken from it, and kernel records live now. */
  readonly heap: { readonly total: number; readonly used: number; readonly records: number };
  /** Tasks (threads) that exist now, and how many were ever created. */
  readonly tasks: { readonly live: number; readonly created: number };
  readonly vcpus: readonly VcpuStatistics[];
}

/** Counters of vCPU `index` of the bound machine. `code` is the caches' state, known to the vCPU's own thread only. */
export function vcpu_statistics(
  index: number,
  thread: VcpuStatistics['thread'],
  code: PlatformStatistics = NO_CODE,
): VcpuStatistics {
  const vcpu = vcpu_at(index);
  return {
    index,
    thread,
    instructions: Vcpu.retired.get(vcpu),
    guest_entries: Vcpu.guest_entries.get(vcpu),
    slices: Vcpu.slices.get(vcpu),
    syscalls: Vcpu.syscalls.get(vcpu),
    task_switches: Vcpu.switches.get(vcpu),
    page_faults: Vcpu.faults.get(vcpu),
    tlb_misses: Vcpu.tlb_misses.get(vcpu),
    sleeps: Vcpu.sleeps.get(vcpu),
    idle_ns: Vcpu.idle_ns.get(vcpu),
    regions_made: Vcpu.regions_made.get(vcpu),
    units_made: Vcpu.units_made.get(vcpu),
    region_instructions: Vcpu.region_instructions.get(vcpu),
    region_jumps: Vcpu.region_jumps.get(vcpu),
    region_switches: Vcpu.region_switches.get(vcpu),
    region_enters: Vcpu.region_enters.get(vcpu),
    region_others: Vcpu.region_slow.get(vcpu) + Vcpu.region_exceptions.get(vcpu),
    region_refusals: Vcpu.region_refusals.get(vcpu),
    ...code,
  };
}

/** Counters of the bound machine; the caller has asked its vCPUs for theirs. */
export function machine_statistics(vcpus: readonly VcpuStatistics[]): MachineStatistics {
  const root = kernel_root();
  const heap_base = MachineHeader.heap_base.get(MACHINE);
  return {
    uptime_ns: monotonic_ns(),
    memory: {
      total: frames_total() * 4096,
      free: frames_free() * 4096,
      page_cache: MachineHeader.cached_pages.load(MACHINE) * 4096,
    },
    heap: {
      total: MachineHeader.heap_end.get(MACHINE) - heap_base,
      used: MachineHeader.heap_next.get(MACHINE) - heap_base,
      records: slab_reports().reduce((sum, { live }) => sum + live, 0),
    },
    tasks: { live: KernelRoot.task_count.load(root), created: KernelRoot.forks.load(root) },
    vcpus,
  };
}
