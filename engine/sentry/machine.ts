/**
 * Boots a machine: its memory, then each subsystem's root record, from the bottom up. Runs on the host's
 * thread, before any vCPU does. What a thread must know of a machine besides its memory (clocks, the
 * thread's place in the lock order checker) is installed by `enter_machine`. Importing this module registers every
 * kind of file, file system and wake, which every thread needs alike.
 */
import type { Ptr } from '../base/types.ts';
import { anon_attributes_boot } from '../fs/anon/attributes.ts';
import { anon_root } from '../fs/anon/root.ts';
import { boot_mounts, type MountFailure, type Volume } from '../fs/boot_mounts.ts';
import { host_io } from '../fs/hostio/stream.ts';
import '../fs/hostio/terminal.ts';
import { install_host_files } from '../fs/host/host_files.ts';
import { tty_root } from '../fs/tty/tty.ts';
import { boot_memory } from '../heap/boot.ts';
import { set_lock_owner, set_lock_watch } from '../heap/lock.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { bind_memory } from '../heap/memory.ts';
import { host_clock } from '../host/clock.ts';
import { node_files } from '../host/files.ts';
import { set_current } from '../kernel/current.ts';
import { boot_vdso } from '../loader/vdso.ts';
import { use_mm } from '../mm/active.ts';
import { socket_root } from '../socket/root.ts';
import { install_host_clock, monotonic_ns, wall_nanoseconds_at, wall_seconds } from '../time/clock.ts';
import { vfs_boot } from '../vfs/root.ts';
import { set_vfs_clock } from '../vfs/time.ts';
import { boot_sentry } from './boot.ts';
import { unbind_vcpu } from './memory.ts';

/** Lock owner number of a thread that is no vCPU. */
const HOST_OWNER = 1000;
/** Looks at a lock that is not released, 200 ms apart, after which the host's thread gives the machine up. */
const HOST_PATIENCE = 50;

export interface BootOptions {
  readonly vcpus: number;
  readonly heap_bytes: number;
  readonly ram_bytes: number;
  readonly clock: 'real' | 'virtual';
  readonly seed: number | null;
  readonly hostname: string;
  /** Kernel records are checked for writes after their end and after they were freed. */
  readonly sanitize?: boolean;
  /** The instrumented engine: slots of the files that may report coverage; absent or null: all. */
  readonly coverage_slots?: readonly number[] | null;
}

/** Binds the calling thread to a machine: as the host's thread, or about to be a vCPU (`run_vcpu` says which). */
export function enter_machine(memory: WebAssembly.Memory): void {
  bind_memory(memory);
  install_host_clock(host_clock);
  install_host_files(node_files);
  set_vfs_clock({ seconds: wall_seconds, nanoseconds: () => wall_nanoseconds_at(monotonic_ns()) });
  set_lock_owner(HOST_OWNER);
  let looks = 0;
  set_lock_watch(() => MachineHeader.panic_flag.load(MACHINE) !== 0 || ++looks > HOST_PATIENCE);
  unbind_vcpu();
  set_current(0 as Ptr<'Task'>, 0 as Ptr<'CpuState'>, 0 as Ptr<'Vcpu'>);
  use_mm(0 as Ptr<'Mm'>);
}

/** Makes a machine without any file system or process. Throws a RangeError when its memory cannot be had. */
export function boot_machine(options: BootOptions): WebAssembly.Memory {
  const { vcpus, heap_bytes, ram_bytes } = options;
  const memory = boot_memory({ vcpus, heap_bytes, ram_bytes, sanitize: options.sanitize === true });
  enter_machine(memory);
  boot_sentry({
    hostname: options.hostname,
    persistent: true,
    coverage_slots: options.coverage_slots ?? null,
    time: { clock: options.clock, ...(options.seed === null ? {} : { seed: options.seed }) },
  });
  vfs_boot();
  boot_vdso();
  // Made on first use elsewhere; here they are part of what a machine has from the start.
  anon_root();
  anon_attributes_boot();
  socket_root();
  host_io();
  tty_root();
  return memory;
}

/** Mounts the file tree: the host's directory `root` under a memory overlay, and the volumes. Null is success. */
export function mount_tree(root: string, volumes: readonly Volume[]): MountFailure | null {
  return boot_mounts({
    root: byte_string(root),
    volumes: volumes.map((volume) => ({
      host: byte_string(volume.host),
      guest: byte_string(volume.guest),
      read_only: volume.read_only,
    })),
  });
}

/** A path as one character a byte, which is how the kernel takes text from its host. */
function byte_string(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
