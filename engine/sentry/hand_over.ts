/**
 * A vCPU passes from one thread to another. The host's thread runs the first vCPU itself until a program has
 * shown that it needs a thread of its own: a thread costs 100 ms of processor time to start, most programs end before.
 *
 *   worker  take_over: asks, wakes the host's event loop, sleeps until the vCPU is given up
 *   host    hand_over_asked, between two turns: hand_over; from then on it leaves the vCPU alone
 *
 * Everything that makes up the vCPU is in its record; caches of the thread that gives it up are void.
 */
import { I32 } from '../heap/memory.ts';
import { announce_machine_event } from '../kernel/kernel.ts';
import { Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';

const HAND_OVER_ASKED = 1;
const HAND_OVER_DONE = 2;

/** Waits until the thread that runs vCPU `index` has given it up. */
export function take_over(index: number): void {
  const vcpu = vcpu_at(index);
  if (Vcpu.hand_over.cas(vcpu, 0, HAND_OVER_ASKED) === HAND_OVER_DONE) return;
  announce_machine_event();
  while (Vcpu.hand_over.load(vcpu) === HAND_OVER_ASKED) Atomics.wait(I32, Vcpu.hand_over.index(vcpu), HAND_OVER_ASKED);
}

/** Whether another thread waits for vCPU `index`. */
export function hand_over_asked(index: number): boolean {
  return Vcpu.hand_over.load(vcpu_at(index)) === HAND_OVER_ASKED;
}

/** Gives vCPU `index` up to the thread that waits for it or will. The caller is not running it, and never will again. */
export function hand_over(index: number): void {
  const vcpu = vcpu_at(index);
  Vcpu.hand_over.store(vcpu, HAND_OVER_DONE);
  Atomics.notify(I32, Vcpu.hand_over.index(vcpu));
}
