/** Files of /proc that tell of the whole machine: meminfo, cpuinfo, stat, uptime, loadavg, version... */

import { KERNEL_RELEASE, KERNEL_VERSION } from '../../abi/utsname.ts';
import { MACHINE, MachineHeader } from '../../heap/machine.layout.ts';
import { KernelRoot, Scheduler } from '../../kernel/kernel.layout.ts';
import { kernel_root } from '../../kernel/kernel.ts';
import { queued_tasks, scheduler_root } from '../../kernel/scheduler.ts';
import { frames_free, frames_total } from '../../machine/frames.ts';
import { monotonic_ns, wall_seconds_at } from '../../time/clock.ts';
import { filesystem_types } from '../../vfs/super.ts';

function kilobytes(name: string, pages: number): string {
  return `${`${name}:`.padEnd(16)}${String(pages * 4).padStart(8)} kB\n`;
}

/** /proc/meminfo: guest RAM. What the kernel itself uses is not guest RAM. */
export function meminfo(): string {
  const total = frames_total();
  const free = frames_free();
  const lines: readonly (readonly [string, number])[] = [
    ['MemTotal', total],
    ['MemFree', free],
    ['MemAvailable', free],
    ['Buffers', 0],
    ['Cached', 0],
    ['SwapCached', 0],
    ['Active', total - free],
    ['Inactive', 0],
    ['SwapTotal', 0],
    ['SwapFree', 0],
    ['Dirty', 0],
    ['Writeback', 0],
    ['AnonPages', total - free],
    ['Mapped', 0],
    ['Shmem', 0],
    ['Slab', 0],
    ['PageTables', 0],
    ['CommitLimit', total],
    ['Committed_AS', total - free],
  ];
  return lines.map(([name, pages]) => kilobytes(name, pages)).join('');
}

const CPU_FLAGS =
  'fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx lm constant_tsc nopl pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm';

/** vCPUs of the machine. */
export function cpu_count(): number {
  return MachineHeader.vcpu_count.get(MACHINE);
}

/** /proc/cpuinfo. */
export function cpuinfo(): string {
  let out = '';
  for (let i = 0; i < cpu_count(); i++) {
    out += [
      `processor\t: ${i}`,
      'vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 26\nmodel name\t: tvisor x86-64-v2\nstepping\t: 3',
      'cpu MHz\t\t: 1000.000\ncache size\t: 64512 KB\nphysical id\t: 0',
      `siblings\t: ${cpu_count()}\ncore id\t\t: ${i}\ncpu cores\t: ${cpu_count()}`,
      `fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 7\nwp\t\t: yes\nflags\t\t: ${CPU_FLAGS}`,
      'bogomips\t: 2000.00\nclflush size\t: 64\naddress sizes\t: 40 bits physical, 48 bits virtual\n\n',
    ].join('\n');
  }
  return out;
}

function seconds(ns: number): string {
  return (Math.floor(ns / 1e7) / 100).toFixed(2);
}

/** /proc/uptime: seconds up, seconds idle (not accounted). */
export function uptime(): string {
  return `${seconds(monotonic_ns())} 0.00\n`;
}

/** /proc/loadavg: no averages are kept; the counts are current. */
export function loadavg(): string {
  const root = kernel_root();
  return `0.00 0.00 0.00 ${queued_tasks() + 1}/${KernelRoot.task_count.load(root)} ${KernelRoot.last_pid.get(root)}\n`;
}

/** /proc/stat: no CPU accounting by mode; what there is. */
export function system_stat(): string {
  const root = kernel_root();
  const ticks = Math.floor(monotonic_ns() / 1e7);
  let out = `cpu  ${ticks * cpu_count()} 0 0 0 0 0 0 0 0 0\n`;
  for (let i = 0; i < cpu_count(); i++) out += `cpu${i} ${ticks} 0 0 0 0 0 0 0 0 0\n`;
  out += `intr 0\nctxt ${Scheduler.switches.load(scheduler_root()) >>> 0}\nbtime ${wall_seconds_at(0)}\n`;
  return `${out}processes ${KernelRoot.forks.load(root)}\nprocs_running ${queued_tasks() + 1}\nprocs_blocked 0\n`;
}

/** /proc/vmstat: what is counted; there is no disk and no swap to page from. */
export function vmstat(): string {
  return `nr_free_pages ${frames_free()}\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n`;
}

/** /proc/tty/drivers: name, node, major, minors, type. */
export function tty_drivers(): string {
  return [
    '/dev/tty             /dev/tty        5       0 system:/dev/tty',
    '/dev/console         /dev/console    5       1 system:console',
    '/dev/ptmx            /dev/ptmx       5       2 system',
    'pty_slave            /dev/pts      136 0-1048575 pty:slave',
    '',
  ].join('\n');
}

/** /proc/version. */
export function version(): string {
  return `Linux version ${KERNEL_RELEASE} (tvisor) ${KERNEL_VERSION}\n`;
}

/** /proc/filesystems: those that need no device. */
export function filesystems(): string {
  return filesystem_types()
    .map((type) => `nodev\t${type.name}\n`)
    .join('');
}
