/**
 * Address spaces for unit tests: a bare machine with vCPU 0 bound to this thread.
 */

import type { Ptr } from '../../engine/base/types.ts';
import type { MemoryMap } from '../../engine/heap/boot.ts';
import { set_lock_owner } from '../../engine/heap/lock.ts';
import { set_this_vcpu } from '../../engine/machine/this_vcpu.ts';
import { vcpu_at } from '../../engine/machine/vcpu.layout.ts';
import { mm_activate, mm_create } from '../../engine/mm/address_space.ts';
import { test_memory } from './memory.ts';

/** A machine memory with this thread as its vCPU 0 and no address space. */
export function test_machine(options: Partial<MemoryMap> = {}): WebAssembly.Memory {
  const memory = test_memory(options);
  set_this_vcpu(vcpu_at(0));
  set_lock_owner(0);
  return memory;
}

/** The same with a fresh, active address space. */
export function test_mm(options: Partial<MemoryMap> = {}): Ptr<'Mm'> {
  test_machine(options);
  const mm = mm_create();
  mm_activate(mm, vcpu_at(0));
  return mm;
}
