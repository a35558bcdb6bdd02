/**
 * The machine's kernel root: boot, limits, events.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { TASKLIST_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_KERNEL } from '../heap/machine.layout.ts';
import { I32, U8 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { TIMER_MACHINE_LIMIT, timer_arm } from '../time/timer.ts';
import { KernelRoot } from './kernel.layout.ts';

export const kernel_roots = slab(KernelRoot);

export interface KernelOptions {
  /** Tasks that may exist at once; default 4096. Beyond it clone answers EAGAIN. */
  readonly task_limit?: number;
  /** The machine ends after this many ns on its monotonic clock. */
  readonly time_limit_ns?: number;
  /** The machine ends after this many guest instructions. */
  readonly fuel_limit?: number;
  readonly hostname?: string;
  /** The machine outlives its processes: only the host ends it. */
  readonly persistent?: boolean;
}

/** Makes the KernelRoot at boot. */
export function boot_kernel(options: KernelOptions = {}): void {
  const root = kernel_roots.alloc();
  assert(root !== 0, 'boot_kernel: no heap');
  KernelRoot.task_limit.set(root, options.task_limit ?? 4096);
  KernelRoot.fuel_limit.set(root, options.fuel_limit ?? Number.POSITIVE_INFINITY);
  KernelRoot.persistent.set(root, options.persistent === true ? 1 : 0);
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_KERNEL] = root;
  if (options.time_limit_ns !== undefined)
    timer_arm(KernelRoot.limit_timer.at(root), TIMER_MACHINE_LIMIT, 0, options.time_limit_ns);
  set_host_name((options.hostname ?? 'tvisor').slice(0, 64));
}

/** The machine's KernelRoot. */
export function kernel_root(): Ptr<'KernelRoot'> {
  return I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_KERNEL] as Ptr<'KernelRoot'>;
}

/** Acquires the lock of the process tree. */
export function lock_tasklist(): void {
  lock(KernelRoot.tasklist.at(kernel_root()), TASKLIST_LOCK);
}

/** Releases the lock of the process tree. */
export function unlock_tasklist(): void {
  unlock(KernelRoot.tasklist.at(kernel_root()), TASKLIST_LOCK);
}

/** Sets the node name (ASCII, at most 64 characters). */
export function set_host_name(name: string): void {
  const root = kernel_root();
  for (let i = 0; i < name.length; i++) U8[KernelRoot.hostname.at(root) + i] = name.charCodeAt(i);
  KernelRoot.hostname_length.set(root, name.length);
}

/** Tells hosts that wait on `event_count` that a root process or the machine has ended. */
export function announce_machine_event(): void {
  const root = kernel_root();
  KernelRoot.event_count.add(root, 1);
  Atomics.notify(I32, KernelRoot.event_count.index(root));
}

/** How often a machine event was announced (modulo 2^32). */
export function machine_event_count(): number {
  return KernelRoot.event_count.load(kernel_root());
}

/** That counter's index in I32, for those who wait on it. */
export function machine_event_word(): number {
  return KernelRoot.event_count.index(kernel_root());
}
