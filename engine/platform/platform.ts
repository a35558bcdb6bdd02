/**
 * The switch contract: how the sentry runs guest code, and how guest code comes back.
 *
 * `switch_to` runs the task whose register record is `cpu` on this thread's vCPU until something ends
 * it; the register record then holds the precise state (RIP of the instruction to execute next, or of
 * the faulting one). System calls do not end it: the platform calls `hooks.syscall` in place (DESIGN D4)
 * with rcx and r11 clobbered and RIP behind the instruction, and goes on when that returns 0.
 *
 * Fuel: `Vcpu.fuel` is the number of guest instructions this slice may retire. It is checked at block
 * boundaries (every branch, taken or not), counts retired instructions exactly, and is the same in every
 * platform; the slice ends at the first boundary where it is not positive.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';

export type ExitReason = number;
/** `hooks.syscall` asked to leave: the task blocked, died, changed its image or has a signal to take. */
export const EXIT_SYSCALL: ExitReason = 1;
/** A page fault that `hooks.fault` did not resolve; Vcpu.fault_address and fault_access tell. */
export const EXIT_FAULT: ExitReason = 2;
/** A CPU exception; Vcpu.exception is the vector. RIP is that of the instruction, behind it for INT3. */
export const EXIT_EXCEPTION: ExitReason = 3;
/** Fuel ran out. */
export const EXIT_FUEL: ExitReason = 4;
/** Vcpu.interrupt is not zero. */
export const EXIT_INTERRUPT: ExitReason = 5;

/** What a platform calls while guest code runs. Installed once a thread. */
export interface PlatformHooks {
  /** Runs the system call in the register record; 0 resumes the guest, anything else is EXIT_SYSCALL. */
  syscall(): number;
  /**
   * Resolves a page fault on the active address space: 0 when the page table now allows the access,
   * anything else is EXIT_FAULT. `address` is exact below 2^53; a larger one can never be resolved.
   */
  fault(address: number, access: number): number;
  /** Time stamp counter, in ticks of 1 ns: what RDTSC reads. */
  tsc(): number;
}

/** What a platform keeps of translated or decoded code, on one thread. */
export interface PlatformStatistics {
  /** Pieces of code in the cache: instructions of an interpreter, regions of a translator. */
  readonly code_entries: number;
  readonly code_bytes: number;
  /** Times a piece was looked up outside generated code, and times everything was dropped. */
  readonly code_lookups: number;
  readonly code_drops: number;
  /** Pages of code that are decoded from. */
  readonly code_pages: number;
  /**
   * Translated regions that may be entered, units of them, bytes of the modules of both, and places for them in the table
   * of functions.
   */
  readonly regions_live: number;
  readonly units_live: number;
  readonly region_bytes_live: number;
  readonly region_places: number;
}

/** Statistics of a platform without code. */
export const NO_CODE: PlatformStatistics = {
  code_entries: 0,
  code_bytes: 0,
  code_lookups: 0,
  code_drops: 0,
  code_pages: 0,
  regions_live: 0,
  units_live: 0,
  region_bytes_live: 0,
  region_places: 0,
};

export interface Platform {
  readonly name: string;
  /** Runs guest code on `vcpu` with the task state `cpu`. Vcpu.page_table and Vcpu.fuel are set. */
  switch_to(cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>): ExitReason;
  /** Forgets everything derived from this frame's bytes, on this thread. Called at safe points. */
  invalidate_frame(frame: FrameAddr): void;
  /** Forgets every virtual translation of code in the present address space; called with each full TLB flush. */
  flush_translations(vcpu: Ptr<'Vcpu'>): void;
  /**
   * Another address space is active, number `space`. What is remembered of it holds if `changes` is the same as when
   * it was left.
   */
  switch_space(vcpu: Ptr<'Vcpu'>, space: number, changes: number): void;
  /** Drops every cache, as if the thread were new. */
  drop_caches(vcpu: Ptr<'Vcpu'>): void;
  /** State of the caches and counts since the thread began. */
  statistics(vcpu: Ptr<'Vcpu'>): PlatformStatistics;
}
