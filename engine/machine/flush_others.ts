/**
 * Makes other vCPUs flush their TLBs, and waits for those that run guest code (see mm/shootdown.ts for why that is
 * enough, and for the ordering).
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';
import { this_vcpu } from './this_vcpu.ts';
import { INTERRUPT_FLUSH_TLB, MODE_GUEST, Vcpu, vcpu_at } from './vcpu.layout.ts';

const SPINS = 2000;
const WAIT_MS = 1;
const asked = new Int32Array(64);
const seen = new Int32Array(64);

/**
 * Makes the other vCPUs that run guest code in `mm`, or in any address space when it is 0, pass a full
 * fence (membarrier(2)): the flush is one. Not to be called in guest mode.
 */
export function flush_others(mm: Ptr<'Mm'>): void {
  const count = MachineHeader.vcpu_count.get(MACHINE);
  let waiting = 0;
  for (let i = 0; i < count; i++) {
    const vcpu = vcpu_at(i);
    if (vcpu === this_vcpu || (mm !== 0 && Vcpu.mm.load(vcpu) !== mm)) continue;
    const flushes = Vcpu.flushes.load(vcpu);
    Vcpu.interrupt.or(vcpu, INTERRUPT_FLUSH_TLB);
    if (Vcpu.mode.load(vcpu) !== MODE_GUEST) continue;
    asked[waiting] = i;
    seen[waiting] = flushes;
    waiting++;
  }
  for (let i = 0; i < waiting; i++) wait_for_flush(vcpu_at(asked[i] as number), seen[i] as number);
}

function wait_for_flush(vcpu: Ptr<'Vcpu'>, flushes: number): void {
  for (let spins = 0; Vcpu.mode.load(vcpu) === MODE_GUEST && Vcpu.flushes.load(vcpu) === flushes; spins++) {
    // The host may have taken the other thread off its core: do not burn ours.
    if (spins > SPINS) Atomics.wait(I32, Vcpu.flushes.index(vcpu), flushes, WAIT_MS);
  }
}
