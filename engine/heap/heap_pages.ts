/**
 * Pages of the kernel heap, 4 KiB each, for slabs and boot-time tables. Pages come back through a free
 * list; the heap's size is the limit on kernel memory, and running out is a value.
 */
import { fault_now, faults_countdown } from './fault_injection.ts';
import { lock, unlock } from './lock.ts';
import { HEAP_LOCK } from './lock_order.ts';
import { MACHINE, MachineHeader } from './machine.layout.ts';
import { U32 } from './memory.ts';

/** A page of kernel heap with undefined content, or 0 when the heap is exhausted. */
export function heap_page_alloc(): number {
  if (faults_countdown !== 0 && fault_now()) return 0;
  const heap_lock = MachineHeader.heap_lock.at(MACHINE);
  lock(heap_lock, HEAP_LOCK);
  let page = MachineHeader.heap_free_list.get(MACHINE);
  if (page !== 0) {
    MachineHeader.heap_free_list.set(MACHINE, U32[page >> 2] as number);
    MachineHeader.heap_free_count.set(MACHINE, MachineHeader.heap_free_count.get(MACHINE) - 1);
  } else {
    const next = MachineHeader.heap_next.get(MACHINE);
    if (next + 4096 <= MachineHeader.heap_end.get(MACHINE)) {
      MachineHeader.heap_next.set(MACHINE, next + 4096);
      page = next;
    }
  }
  unlock(heap_lock, HEAP_LOCK);
  return page;
}

/** Gives a heap page back. */
export function heap_page_free(page: number): void {
  const heap_lock = MachineHeader.heap_lock.at(MACHINE);
  lock(heap_lock, HEAP_LOCK);
  U32[page >> 2] = MachineHeader.heap_free_list.get(MACHINE);
  MachineHeader.heap_free_list.set(MACHINE, page);
  MachineHeader.heap_free_count.set(MACHINE, MachineHeader.heap_free_count.get(MACHINE) + 1);
  unlock(heap_lock, HEAP_LOCK);
}

/** The part of the heap, one in so many, that is kept for what goes with the programs that use it. */
const PROGRAMS_SHARE = 8;

/**
 * Whether there is heap for what may outlive every program: files, their attributes, System V objects. The rest is kept,
 * since a machine that is full of them must still be able to start the program that removes them. Takes no lock.
 */
export function heap_has_room(): boolean {
  const end = MachineHeader.heap_end.get(MACHINE);
  const left = end - MachineHeader.heap_next.get(MACHINE) + MachineHeader.heap_free_count.get(MACHINE) * 4096;
  return left * PROGRAMS_SHARE > end - MachineHeader.heap_base.get(MACHINE);
}

/** Heap pages in use, those of slabs included. Takes no lock. */
export function heap_pages_used(): number {
  const reached = MachineHeader.heap_next.get(MACHINE) - MachineHeader.heap_base.get(MACHINE);
  return reached / 4096 - MachineHeader.heap_free_count.get(MACHINE);
}
