/**
 * Boot of the kernel's own state in a fresh machine memory: vCPU records, time, kernel root, scheduler. The caller
 * (the library, a test) then mounts file systems and makes a root task.
 */
import { KCOV } from '../base/instrumented.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { boot_futex } from '../kernel/futex.ts';
import { boot_ipc } from '../kernel/ipc/ids.ts';
import { boot_kcov } from '../kernel/kcov.ts';
import { boot_kernel, type KernelOptions } from '../kernel/kernel.ts';
import { boot_scheduler } from '../kernel/scheduler.ts';
import { tlb_init } from '../machine/tlb.ts';
import { Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { boot_time, type TimeOptions } from '../time/clock.ts';

export interface SentryOptions extends KernelOptions {
  readonly time: TimeOptions;
  /** The instrumented build: slots of the files that may report coverage, null for all. */
  readonly coverage_slots?: readonly number[] | null;
  /** Guest instructions in a slice; default SLICE_FUEL. */
  readonly slice_fuel?: number;
}

/** Makes the kernel's boot-time records in the bound memory. The host clock is installed before. */
export function boot_sentry(options: SentryOptions): void {
  for (let i = 0; i < MachineHeader.vcpu_count.get(MACHINE); i++) {
    const vcpu = vcpu_at(i);
    Vcpu.index.set(vcpu, i);
    Vcpu.frame_table.set(vcpu, MachineHeader.frame_table.get(MACHINE));
    tlb_init(vcpu);
  }
  boot_time(options.time);
  boot_kernel(options);
  boot_futex();
  boot_ipc();
  boot_scheduler(options.slice_fuel);
  if (KCOV) boot_kcov(options.coverage_slots ?? null);
}
