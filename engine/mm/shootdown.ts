/**
 * Shoot-down: makes other vCPUs forget translations of an address space after its page table changed.
 *
 * Who is asked: every other vCPU whose Vcpu.mm is this Mm, by INTERRUPT_FLUSH_TLB. Who is waited for:
 * only those in guest mode, until they flush or leave it; they do so at the next block boundary. A vCPU
 * in kernel mode or idle flushes before it runs guest code again, and its kernel copies go by the page
 * table, not the TLB. What it resolved before the change it may still use until its safe point: frames
 * are not reused before (machine/frames.ts), and against copy-on-write it holds pins (machine/pins.ts).
 *
 * It may be called with mm.lock held: a vCPU leaves guest mode before it takes any lock
 * (machine/safe_point.ts), so no vCPU that is waited for can be waiting for us.
 *
 * Ordering: the change of the page table comes before the increment of Mm.shootdowns (a full fence),
 * then Vcpu.mm is read. A vCPU that activates the Mm stores Vcpu.mm before its first walk, so either it
 * is seen here or it sees the change.
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';
import { this_vcpu } from '../machine/this_vcpu.ts';
import { INTERRUPT_FLUSH_TLB, MODE_GUEST, Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { Mm } from './mm.layout.ts';

const SPINS = 2000;
const WAIT_MS = 1;
const asked = new Int32Array(64);
const seen = new Int32Array(64);

/** Returns when no other vCPU can use a translation older than the caller's last page-table change. */
export function shoot_down(mm: Ptr<'Mm'>): void {
  if (MachineHeader.vcpu_count.get(MACHINE) === 1) return;
  Mm.shootdowns.add(mm, 1);
  flush_others(mm);
}

/**
 * Makes the other vCPUs that run guest code in `mm`, or in any address space when it is 0, pass a full
 * fence (membarrier(2)): the flush is one.
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
