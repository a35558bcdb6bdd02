// @hot
/**
 * Safe points and modes of a vCPU.
 *
 * A safe point is a moment when the vCPU holds no pinned address, walks no page table and runs no guest
 * code: between guest slices, and at the end of each system call. There it takes the requests made of it
 * (TLB flush, changed code) and shows that it has seen the present epoch, so that what others retired
 * may be reused.
 *
 * Modes (Vcpu.mode): MODE_IDLE sleeps and holds nothing; MODE_KERNEL; MODE_GUEST runs guest code, and a
 * shoot-down waits for it to flush or to leave. Before a hook called from guest code takes a lock it
 * leaves guest mode, so nobody waits for a vCPU that waits for him.
 *
 *   run loop:  leave_idle -> [safe_point -> enter_guest -> guest -> leave_guest]* -> enter_idle
 *   hooks:     leave_guest -> work -> safe_point (syscalls only) -> enter_guest
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';
import { take_code_events } from './code_events.ts';
import { epoch_try_advance, frames_free } from './frames.ts';
import { unpin_all } from './pins.ts';
import { tlb_flush_all } from './tlb.ts';
import {
  INTERRUPT_CODE,
  INTERRUPT_FLUSH_TLB,
  MODE_GUEST,
  MODE_IDLE,
  MODE_KERNEL,
  Vcpu,
  vcpu_at,
} from './vcpu.layout.ts';

const REQUESTS = INTERRUPT_FLUSH_TLB | INTERRUPT_CODE;

/** Passes a safe point: ends pins, takes flush and code requests, passes the epoch. */
export function safe_point(vcpu: Ptr<'Vcpu'>): void {
  unpin_all();
  // Plain loads: a request that is not seen here is seen by the fenced look of `enter_guest`.
  if (((I32[Vcpu.interrupt.index(vcpu)] as number) & REQUESTS) !== 0) take_requests(vcpu);
  const epoch = I32[MachineHeader.epoch.index(MACHINE)] as number;
  if ((I32[Vcpu.epoch.index(vcpu)] as number) !== epoch) Vcpu.epoch.store(vcpu, epoch);
  if (MachineHeader.retired_count.get(MACHINE) !== 0) epoch_try_advance();
}

function take_requests(vcpu: Ptr<'Vcpu'>): void {
  const asked = Vcpu.interrupt.and(vcpu, ~REQUESTS);
  if ((asked & INTERRUPT_CODE) !== 0) take_code_events(vcpu);
  if ((asked & INTERRUPT_FLUSH_TLB) !== 0) {
    tlb_flush_all(vcpu);
    Vcpu.flushes.add(vcpu, 1);
    Atomics.notify(I32, Vcpu.flushes.index(vcpu));
  }
}

/** About to run guest code: from now on shoot-downs wait for this vCPU. Takes requests made before. */
export function enter_guest(vcpu: Ptr<'Vcpu'>): void {
  if (MachineHeader.vcpu_count.get(MACHINE) === 1) return;
  Vcpu.mode.store(vcpu, MODE_GUEST);
  if ((Vcpu.interrupt.load(vcpu) & REQUESTS) !== 0) take_requests(vcpu);
}

/**
 * Back from guest code, or in a hook called by it: required before taking any lock. A plain store, a third of the price
 * of an atomic one: who still sees the old mode waits a moment longer, and memory is not reused before the next epoch,
 * which this vCPU passes with an atomic store.
 */
export function leave_guest(vcpu: Ptr<'Vcpu'>): void {
  I32[Vcpu.mode.index(vcpu)] = MODE_KERNEL;
}

/** About to sleep: the vCPU counts as having passed every safe point from now on. */
export function enter_idle(vcpu: Ptr<'Vcpu'>): void {
  safe_point(vcpu);
  Vcpu.mode.store(vcpu, MODE_IDLE);
}

/** Awake again, before touching any record that others may retire. */
export function leave_idle(vcpu: Ptr<'Vcpu'>): void {
  Vcpu.mode.store(vcpu, MODE_KERNEL);
  Vcpu.epoch.store(vcpu, MachineHeader.epoch.load(MACHINE));
  if ((Vcpu.interrupt.load(vcpu) & REQUESTS) !== 0) take_requests(vcpu);
}

const RETIRED_WAITS = 100;

/**
 * For a fault of guest code that found no memory: waits a moment for other vCPUs to pass their safe points,
 * so that retired frames can be reused. True when there are free frames now. What this vCPU resolved before
 * is void afterwards, which Vcpu.flushes shows. The caller holds no lock and no pins.
 */
export function wait_for_retired(vcpu: Ptr<'Vcpu'>): boolean {
  if (MachineHeader.retired_count.get(MACHINE) === 0) return false;
  tlb_flush_all(vcpu);
  const flushes = Vcpu.flushes.add(vcpu, 1) + 1;
  const count = MachineHeader.vcpu_count.get(MACHINE);
  for (let tries = 0; tries < RETIRED_WAITS && frames_free() === 0; tries++) {
    Vcpu.epoch.store(vcpu, MachineHeader.epoch.load(MACHINE));
    epoch_try_advance();
    if (tries < 3) continue;
    for (let i = 0; i < count; i++) {
      const other = vcpu_at(i);
      if (other !== vcpu && Vcpu.mode.load(other) === MODE_GUEST) Vcpu.interrupt.or(other, INTERRUPT_FLUSH_TLB);
    }
    Atomics.wait(I32, Vcpu.flushes.index(vcpu), flushes, 1);
  }
  return frames_free() > 0;
}
