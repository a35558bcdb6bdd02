// @hot
/**
 * The task this thread's vCPU is running, as Linux's `current`. Valid only while a syscall handler,
 * fault handler or signal delivery runs; a cache of the vCPU record, set by the run loop.
 */
import type { Ptr } from '../base/types.ts';

export let current = 0 as Ptr<'Task'>;
export let current_cpu = 0 as Ptr<'CpuState'>;
export let current_vcpu = 0 as Ptr<'Vcpu'>;

/** Called by the run loop at each task switch. */
export function set_current(task: Ptr<'Task'>, cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>): void {
  current = task;
  current_cpu = cpu;
  current_vcpu = vcpu;
}
