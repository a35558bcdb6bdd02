/**
 * A second vCPU for two-thread tests: a miniature guest that runs stores through the TLB as generated
 * code does, and kernel copies through pins. `workerData` says which.
 */
import { workerData } from 'node:worker_threads';
import type { Ptr } from '../../engine/base/types.ts';
import { set_lock_owner } from '../../engine/heap/lock.ts';
import { bind_memory, I32, U32 } from '../../engine/heap/memory.ts';
import { IoCursor } from '../../engine/machine/io.ts';
import { PTE_PRESENT, PTE_WRITE } from '../../engine/machine/page_table.layout.ts';
import { pte_slot } from '../../engine/machine/page_table.ts';
import { enter_guest, enter_idle, leave_guest, leave_idle, safe_point } from '../../engine/machine/safe_point.ts';
import { set_this_vcpu } from '../../engine/machine/this_vcpu.ts';
import { ACCESS_WRITE, TLB_ENTRIES, TLB_OFFSET, Vcpu, vcpu_at } from '../../engine/machine/vcpu.layout.ts';
import { active_root } from '../../engine/mm/active.ts';
import { mm_activate } from '../../engine/mm/address_space.ts';
import { guest_fault } from '../../engine/mm/fault.ts';
import { get_user_u32, pin } from '../../engine/mm/uaccess.ts';
import { log_tlb_fill } from './tlb.ts';

/** What the main thread passes, and the control words' index in I32: stop, ready, rounds, errors. */
export interface WorkerTask {
  readonly memory: WebAssembly.Memory;
  readonly mm: number;
  readonly what: 'store' | 'pin';
  readonly address: number;
  readonly pages: number;
  readonly control: number;
}

const task = workerData as WorkerTask;
bind_memory(task.memory);
const vcpu = vcpu_at(1);
set_this_vcpu(vcpu);
set_lock_owner(1);

/** One store of guest code: TLB, then page table, then a fault. False when the fault stands. */
function guest_store(address: number, value: number): boolean {
  const number = ((address / 4096) % TLB_ENTRIES) | 0;
  const tag = ((vcpu + TLB_OFFSET) >> 2) + number * 8 + 2;
  const page = address - (address % 4096);
  if (U32[tag] !== page >>> 0 || U32[tag + 1] !== Math.floor(page / 2 ** 32)) {
    for (;;) {
      const slot = pte_slot(active_root, page);
      const entry = slot === 0 ? 0 : (U32[slot] as number);
      if ((entry & PTE_WRITE) !== 0 && (entry & PTE_PRESENT) !== 0) {
        U32[tag] = page >>> 0;
        U32[tag + 1] = Math.floor(page / 2 ** 32);
        U32[tag + 2] = ((entry & ~0xfff) >>> 0) - (page >>> 0);
        log_tlb_fill(vcpu, number);
        break;
      }
      if (guest_fault(page, ACCESS_WRITE) !== 0) return false;
    }
  }
  U32[(((U32[tag + 2] as number) + (address >>> 0)) >>> 0) >>> 2] = value;
  return true;
}

function block_boundary(): void {
  if (Vcpu.interrupt.load(vcpu) === 0) return;
  leave_guest(vcpu);
  safe_point(vcpu);
  enter_guest(vcpu);
}

function run_stores(): void {
  for (let i = 1; Atomics.load(I32, task.control) === 0; i++) {
    guest_store(task.address + (i % task.pages) * 4096, i);
    block_boundary();
    Atomics.add(I32, task.control + 2, 1);
  }
}

/** A read(2) of 4-byte records into user pages, as the kernel does it: pin, fill slowly, look. */
function run_pins(): void {
  const io = new IoCursor();
  for (let i = 1; Atomics.load(I32, task.control) === 0; i++) {
    leave_guest(vcpu);
    io.reset();
    if (pin(io, task.address, task.pages * 4096, true) !== task.pages * 4096) Atomics.add(I32, task.control + 3, 1);
    while (io.remaining > 0) {
      const at = io.piece_address();
      // Leave half of each page to the other thread.
      if (at % 4096 < 2048) U32[at >>> 2] = i;
      io.advance(4);
    }
    for (let a = 0; a < task.pages * 4096; a += 4)
      if (a % 4096 < 2048 && get_user_u32(task.address + a) !== i) Atomics.add(I32, task.control + 3, 1);
    safe_point(vcpu);
    enter_guest(vcpu);
    Atomics.add(I32, task.control + 2, 1);
  }
}

leave_idle(vcpu);
mm_activate(task.mm as Ptr<'Mm'>, vcpu);
enter_guest(vcpu);
Atomics.store(I32, task.control + 1, 1);
if (task.what === 'store') run_stores();
else run_pins();
leave_guest(vcpu);
mm_activate(0 as Ptr<'Mm'>, vcpu);
enter_idle(vcpu);
