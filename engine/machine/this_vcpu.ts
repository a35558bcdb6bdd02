/**
 * The vCPU this thread drives: a per-thread cache of its number, set when the thread starts serving a
 * machine (and by tests). 0 means a thread that is no vCPU, such as one that only inspects.
 */
import type { Ptr } from '../base/types.ts';

export let this_vcpu = 0 as Ptr<'Vcpu'>;

/** Binds the thread to a vCPU area; 0 unbinds. */
export function set_this_vcpu(vcpu: Ptr<'Vcpu'>): void {
  this_vcpu = vcpu;
}
