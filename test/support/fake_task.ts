/**
 * A minimal current task for unit tests of handlers and descriptor tables: a record, registers and a
 * descriptor table; no address space, never scheduled.
 */
import type { Ptr } from '../../engine/base/types.ts';
import { U32 } from '../../engine/heap/memory.ts';
import { slab } from '../../engine/heap/slab.ts';
import { set_current } from '../../engine/kernel/current.ts';
import { files_create } from '../../engine/kernel/files.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { CpuState, R8, R10, RDI, RDX, RSI } from '../../engine/machine/cpu.layout.ts';
import { vcpu_at } from '../../engine/machine/vcpu.layout.ts';

const tasks = slab(Task);
const cpus = slab(CpuState);

/** Makes a task with an empty descriptor table and makes it current. */
export function fake_task(): Ptr<'Task'> {
  const task = tasks.alloc();
  const cpu = cpus.alloc();
  Task.tid.set(task, tasks.live());
  Task.cpu.set(task, cpu);
  Task.files.set(task, files_create());
  set_current(task, cpu, vcpu_at(0));
  return task;
}

/** Makes another fake task current. */
export function switch_to_task(task: Ptr<'Task'>): void {
  set_current(task, Task.cpu.get(task), vcpu_at(0));
}

const ARGUMENTS = [RDI, RSI, RDX, R10, R8, 9];

/** Puts system call arguments into the current task's registers: integers of +-2^53. */
export function set_args(task: Ptr<'Task'>, ...values: number[]): void {
  const cpu = Task.cpu.get(task);
  for (let i = 0; i < values.length; i++) {
    const at = (cpu + (ARGUMENTS[i] as number) * 8) >> 2;
    const value = values[i] as number;
    U32[at] = value;
    U32[at + 1] = Math.floor(value / 4294967296);
  }
}
