/** A machine's counters as text, for `tvisor do --debug`. */
import type { MachineStatistics, VcpuStatistics } from '../sentry/statistics.ts';

function mib(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** Rows of the table of vCPUs: what each is called, and how its value is written. */
const ROWS: readonly (readonly [name: string, cell: (vcpu: VcpuStatistics) => string])[] = [
  ['vcpu', (v) => String(v.index)],
  ['thread', (v) => v.thread],
  ['instructions', (v) => String(v.instructions)],
  ['guest entries', (v) => String(v.guest_entries)],
  ['slices', (v) => String(v.slices)],
  ['system calls', (v) => String(v.syscalls)],
  ['task switches', (v) => String(v.task_switches)],
  ['page faults', (v) => String(v.page_faults)],
  ['TLB misses', (v) => String(v.tlb_misses)],
  ['sleeps', (v) => String(v.sleeps)],
  ['idle, ms', (v) => (v.idle_ns / 1e6).toFixed(1)],
  ['regions made', (v) => String(v.regions_made)],
  ['units made', (v) => String(v.units_made)],
  ['translated', (v) => String(v.region_instructions)],
  ['left by branch', (v) => String(v.region_jumps)],
  ['left by switch', (v) => String(v.region_switches)],
  ['left for one', (v) => String(v.region_enters)],
  ['left otherwise', (v) => String(v.region_others)],
  ['refused', (v) => String(v.region_refusals)],
  ['code entries', (v) => String(v.code_entries)],
  ['code, KiB', (v) => (v.code_bytes / 1024).toFixed(1)],
  ['code lookups', (v) => String(v.code_lookups)],
  ['code drops', (v) => String(v.code_drops)],
  ['code pages', (v) => String(v.code_pages)],
  ['regions', (v) => String(v.regions_live)],
  ['units', (v) => String(v.units_live)],
  ['regions, KiB', (v) => (v.region_bytes_live / 1024).toFixed(1)],
];

/** Lines that end with a newline each: the machine's counters, then a column for each vCPU. */
export function statistics_text({ uptime_ns, memory, heap, tasks, vcpus }: MachineStatistics): string {
  const width = Math.max(...ROWS.map(([name]) => name.length));
  const columns = vcpus.map((vcpu) => ROWS.map(([, cell]) => cell(vcpu)));
  const lines = [
    `tvisor: the machine ran for ${(uptime_ns / 1e6).toFixed(1)} ms`,
    `memory: ${mib(memory.total)}, ${mib(memory.free)} free, ${mib(memory.page_cache)} page cache`,
    `kernel heap: ${mib(heap.total)}, ${mib(heap.used)} used, ${heap.records} records`,
    `tasks: ${tasks.created} created, ${tasks.live} live`,
  ];
  for (const [i, [name]] of ROWS.entries()) {
    const cells = columns.map((column) => {
      const column_width = Math.max(...column.map((text) => text.length));
      return (column[i] as string).padStart(column_width);
    });
    lines.push(`${name.padEnd(width)}  ${cells.join('  ')}`);
  }
  return `${lines.join('\n')}\n`;
}
