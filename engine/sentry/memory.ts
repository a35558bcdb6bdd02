// @hot
/**
 * The vCPU's side of memory: which address space is active, its TLB, safe points, and faults on their way to mm.
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { U8 } from '../heap/memory.ts';
import { current } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { TLB_ENTRIES, TLB_ENTRY_SHIFT, TLB_OFFSET, Vcpu } from '../machine/vcpu.layout.ts';
import type { Platform } from '../platform/platform.ts';

/** Empties the vCPU's TLB and what is derived from it. */
export function flush_tlb(vcpu: Ptr<'Vcpu'>, platform: Platform): void {
  U8.fill(0xff, vcpu + TLB_OFFSET, vcpu + TLB_OFFSET + (TLB_ENTRIES << TLB_ENTRY_SHIFT));
  platform.flush_translations(vcpu);
  Vcpu.flushes.add(vcpu, 1);
}

/** Makes the current task's address space the vCPU's. */
export function activate_memory(vcpu: Ptr<'Vcpu'>, platform: Platform): void {
  const mm = Task.mm.get(current);
  if (Vcpu.mm.load(vcpu) === mm) return;
  Vcpu.mm.store(vcpu, mm);
  flush_tlb(vcpu, platform);
}

/** Nothing of this vCPU refers to pinned memory or translated code any more: it has seen the present epoch. */
export function safe_point(vcpu: Ptr<'Vcpu'>): void {
  Vcpu.epoch.store(vcpu, MachineHeader.epoch.load(MACHINE));
}

/** The platform's fault hook: no address space resolves anything yet. */
export function guest_fault(_address: number, _access: number): number {
  return 1;
}
