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
 * is seen here or it sees the change. One that has the Mm's translations left over from before compares
 * Mm.shootdowns after that store, and flushes them if it differs.
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { flush_others } from '../machine/flush_others.ts';
import { Mm } from './mm.layout.ts';

/**
 * Returns when no other vCPU can use a translation older than the caller's last page-table change: the new value of
 * Mm.shootdowns.
 */
export function shoot_down(mm: Ptr<'Mm'>): number {
  const changes = Mm.shootdowns.add(mm, 1) + 1;
  if (MachineHeader.vcpu_count.get(MACHINE) > 1) flush_others(mm);
  return changes;
}
