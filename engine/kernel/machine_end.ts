/**
 * The end of a machine.
 */
import { INTERRUPT_RESCHEDULE } from '../machine/vcpu.layout.ts';
import { KernelRoot, MACHINE_RUNS } from './kernel.layout.ts';
import { announce_machine_event, kernel_root } from './kernel.ts';
import { interrupt_all } from './scheduler.ts';

/** Whether the machine has ended, and why: MACHINE_*. */
export function machine_ended(): number {
  return KernelRoot.ended.load(kernel_root());
}

/** Ends the machine unless it has ended: vCPUs leave their loops at the next safe point. */
export function end_machine(why: number): void {
  KernelRoot.ended.cas(kernel_root(), MACHINE_RUNS, why);
  interrupt_all(INTERRUPT_RESCHEDULE);
  announce_machine_event();
}
