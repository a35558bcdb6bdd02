/**
 * The thread that samples the vCPUs of a profiled machine: see profile_area.ts. It reads words of the machine without
 * locks, and changes nothing but the interrupt bit.
 */

import type { Ptr } from '../base/types.ts';
import { bind_memory } from '../heap/memory.ts';
import { host_clock } from '../host/clock.ts';
import { Task } from '../kernel/task.layout.ts';
import { INTERRUPT_PROFILE, Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { PROFILED_CALLS, ProfileArea, STATE_CALLS, STATE_GUEST, STATE_IDLE, STATE_TRANSLATOR } from './profile_area.ts';

export interface SamplerTask {
  readonly memory: WebAssembly.Memory;
  readonly area: SharedArrayBuffer;
  readonly vcpus: number;
}

/** A task that ends is still memory, and what is read of it then at worst a sample that is wrong. */
function state_of(vcpu: Ptr<'Vcpu'>, task: Ptr<'Task'>): number {
  const call = Task.syscall_number.get(task);
  if (call >= 0 && call < PROFILED_CALLS) return STATE_CALLS + call;
  return Vcpu.translating.get(vcpu) !== 0 ? STATE_TRANSLATOR : STATE_GUEST;
}

/** Samples until the area says that it is over. */
export function sampler_job({ memory, area: buffer, vcpus }: SamplerTask): void {
  bind_memory(memory);
  const area = new ProfileArea(buffer);
  let before = host_clock.monotonic_ns();
  area.begin();
  while (area.sleep()) {
    const now = host_clock.monotonic_ns();
    const microseconds = Math.round((now - before) / 1000);
    before += microseconds * 1000;
    for (let i = 0; i < vcpus; i++) {
      const vcpu = vcpu_at(i);
      const task = Vcpu.task.load(vcpu) as Ptr<'Task'>;
      if (task === 0) area.add(i, STATE_IDLE, microseconds, 0);
      else {
        area.add(i, state_of(vcpu, task), microseconds, Task.tid.get(task));
        Vcpu.interrupt.or(vcpu, INTERRUPT_PROFILE);
      }
    }
  }
}
