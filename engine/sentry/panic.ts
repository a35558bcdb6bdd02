/**
 * A kernel panic: the report into the machine's header, the end of the machine, the life of the process.
 */
import type { Ptr } from '../base/types.ts';
import { forget_held_locks } from '../heap/lock.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { U8 } from '../heap/memory.ts';
import { slab_reports } from '../heap/slab.ts';
import { current } from '../kernel/current.ts';
import { MACHINE_PANICKED } from '../kernel/kernel.layout.ts';
import { end_machine } from '../kernel/kernel.ts';
import { Task } from '../kernel/task.layout.ts';
import { task_comm } from '../kernel/task.ts';
import { CpuState } from '../machine/cpu.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';

const TEXT_LIMIT = 2048;

/** The report of a panic: what broke, on which vCPU, in which task and system call, and where in the kernel. */
export function panic_report(error: unknown, vcpu: Ptr<'Vcpu'>): string {
  const lines = [`kernel panic: ${error instanceof Error ? error.message : String(error)}`];
  lines.push(`vcpu ${Vcpu.index.get(vcpu)}`);
  if (current !== 0) {
    const cpu = Task.cpu.get(current);
    lines.push(
      `task ${Task.tid.get(current)} (${task_comm(current)}) at record 0x${current.toString(16)}`,
      `syscall ${Task.syscall_number.get(current)}, entry ${Task.syscall_entries.get(current)}, ` +
        `state 0x${Task.state.load(current).toString(16)}, work 0x${Task.pending_work.load(current).toString(16)}`,
      `rip 0x${CpuState.rip.get_big(cpu).toString(16)}`,
    );
  }
  const live = slab_reports().filter((report) => report.live > 0);
  lines.push(`records: ${live.map(({ name, live }) => `${name} ${live}`).join(', ')}`);
  if (error instanceof Error && error.stack !== undefined) lines.push(error.stack);
  return lines.join('\n');
}

let thrown: unknown = null;

/** What the last `record_panic` on this thread was told, for who wants more than the report. */
export function panic_cause(): unknown {
  return thrown;
}

/** Writes the first panic's report to the header and ends the machine; other vCPUs leave at their next safe point. */
export function record_panic(error: unknown, vcpu: Ptr<'Vcpu'>): void {
  thrown = error;
  if (MachineHeader.panic_flag.cas(MACHINE, 0, 1) === 0) {
    const text = panic_report(error, vcpu).slice(0, TEXT_LIMIT);
    const at = MachineHeader.panic_text.at(MACHINE);
    for (let i = 0; i < text.length; i++) U8[at + i] = Math.min(text.charCodeAt(i), 0x7f);
    MachineHeader.panic_length.set(MACHINE, text.length);
    MachineHeader.panic_flag.store(MACHINE, 2);
  }
  forget_held_locks();
  end_machine(MACHINE_PANICKED);
}

/** The report of the machine's panic, or '' when there was none. */
export function read_panic(): string {
  if (MachineHeader.panic_flag.load(MACHINE) !== 2) return '';
  const at = MachineHeader.panic_text.at(MACHINE);
  let text = '';
  for (let i = 0; i < MachineHeader.panic_length.get(MACHINE); i++) text += String.fromCharCode(U8[at + i] as number);
  return text;
}

/** Whether the machine has panicked, for waiters on locks that nobody will release. */
export function has_panicked(): boolean {
  return MachineHeader.panic_flag.load(MACHINE) !== 0;
}
