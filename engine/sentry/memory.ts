// @hot
/**
 * The vCPU's side of memory: what binds mm to the platform and to the task's life.
 */
import { EACCES, EIO, ENOMEM } from '../abi/errno.ts';
import { SIGKILL } from '../abi/signal.ts';
import { register_cache } from '../base/caches.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { register_task_resource } from '../kernel/resources.ts';
import { siginfo_kernel } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { register_code_invalidation } from '../machine/code_events.ts';
import { set_this_vcpu, this_vcpu } from '../machine/this_vcpu.ts';
import { register_space_switch, register_translation_flush, tlb_flush_all } from '../machine/tlb.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { active_mm } from '../mm/active.ts';
import { mm_activate, mm_deactivate, mm_fork, mm_get, mm_put } from '../mm/address_space.ts';
import { guest_fault as mm_guest_fault } from '../mm/fault.ts';
import type { Platform } from '../platform/platform.ts';

/** What a fault that could not be resolved was: Vcpu.fault_result. */
export const FAULT_NOT_MAPPED = 1;
export const FAULT_NO_RIGHT = 2;
export const FAULT_BUS = 3;
/** Guest memory is exhausted: the task that asked for more is killed, as by Linux's OOM killer. */
export const FAULT_OUT_OF_MEMORY = 4;

register_task_resource('mm', {
  share: mm_get,
  copy: mm_fork,
  release(mm: Ptr<'Mm'>): void {
    // Nothing may go on looking through what the running task has let go of. What a failed clone gives back is
    // another one, or is still the running task's own.
    if (current_vcpu !== 0 && active_mm === mm && Task.mm.get(current) !== mm) mm_deactivate(current_vcpu);
    mm_put(mm);
  },
});

/** What this thread runs guest code with, while it is a vCPU. */
let bound_platform: Platform | null = null;

register_cache('TLB', () => {
  if (this_vcpu !== 0) tlb_flush_all(this_vcpu);
});
register_cache('code', () => {
  if (this_vcpu !== 0) bound_platform?.drop_caches(this_vcpu);
});

/** Binds this thread to a vCPU area and its memory maintenance to the platform. */
export function bind_vcpu(vcpu: Ptr<'Vcpu'>, platform: Platform): void {
  bound_platform = platform;
  set_this_vcpu(vcpu);
  register_translation_flush((flushed) => platform.flush_translations(flushed));
  register_space_switch((vcpu_now, space, changes) => platform.switch_space(vcpu_now, space, changes));
  register_code_invalidation({
    frame: (frame: FrameAddr) => platform.invalidate_frame(frame),
    all: () => platform.drop_caches(vcpu),
  });
}

/** This thread is no vCPU, or that of another machine from now on: a platform bound before has no say here. */
export function unbind_vcpu(): void {
  set_this_vcpu(0 as Ptr<'Vcpu'>);
  bound_platform = null;
  register_translation_flush(null);
  register_space_switch(null);
  register_code_invalidation(null);
}

/** Makes the current task's address space the vCPU's. */
export function activate_memory(vcpu: Ptr<'Vcpu'>): void {
  mm_activate(Task.mm.get(current), vcpu);
}

/** The platform's fault hook: 0, or what it was (FAULT_*), which is also left in Vcpu.fault_result. */
export function guest_fault(address: number, access: number): number {
  Vcpu.faults.set(current_vcpu, Vcpu.faults.get(current_vcpu) + 1);
  const result = mm_guest_fault(address, access);
  if (result === 0) return 0;
  const kind =
    result === -EACCES
      ? FAULT_NO_RIGHT
      : result === -EIO
        ? FAULT_BUS
        : result === -ENOMEM
          ? FAULT_OUT_OF_MEMORY
          : FAULT_NOT_MAPPED;
  Vcpu.fault_result.set(current_vcpu, kind);
  return kind;
}

/** Kills the current task's process for want of memory. */
export function kill_for_memory(): void {
  send_to_task(current, SIGKILL, siginfo_kernel(SIGKILL));
}
