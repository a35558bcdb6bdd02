/**
 * A kernel panic: the report into the machine's header, the end of the machine, the life of the process.
 */

import { forget_transients } from '../base/transients.ts';
import type { Ptr } from '../base/types.ts';
import { held_lock_names } from '../heap/lock.ts';
import { MACHINE, MachineHeader } from '../heap/machine.layout.ts';
import { U8, U64 } from '../heap/memory.ts';
import { slab_reports } from '../heap/slab.ts';
import { current } from '../kernel/current.ts';
import { MACHINE_PANICKED } from '../kernel/kernel.layout.ts';
import { end_machine } from '../kernel/machine_end.ts';
import { Task } from '../kernel/task.layout.ts';
import { task_comm } from '../kernel/task.ts';
import { CpuState, R8, R9, R10, RDI, RDX, RSI, RSP } from '../machine/cpu.layout.ts';
import { Vcpu, vcpu_at } from '../machine/vcpu.layout.ts';
import { SYSCALLS } from '../syscalls/table.ts';

const TEXT_LIMIT = MachineHeader.panic_text.size;
/** The message and the innermost calls. */
const STACK_LINES = 16;
const ARGUMENTS = [RDI, RSI, RDX, R10, R8, R9];

/** A task as a report names it. */
function task_name(task: Ptr<'Task'>): string {
  return `${Task.tid.get(task)} (${task_comm(task)})`;
}

/** What the other vCPUs run, as far as that stands still. */
function others(vcpu: Ptr<'Vcpu'>): string {
  const found: string[] = [];
  for (let i = 0; i < MachineHeader.vcpu_count.get(MACHINE); i++) {
    const task = Vcpu.task.load(vcpu_at(i)) as Ptr<'Task'>;
    if (vcpu_at(i) !== vcpu && task !== 0) found.push(`vcpu ${i} runs task ${task_name(task)}`);
  }
  return found.map((text) => `; ${text}`).join('');
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** The current task, the call it is in with its arguments, and where its program is. */
function task_lines(task: Ptr<'Task'>): string[] {
  const cpu = Task.cpu.get(task);
  const number = Task.syscall_number.get(task);
  const words = cpu >> 3;
  const row = SYSCALLS[number];
  const args = ARGUMENTS.slice(0, row?.args.length ?? 6).map((register) => hex(U64[words + register] as bigint));
  return [
    `task ${task_name(task)} at record 0x${task.toString(16)}, ` +
      `state 0x${Task.state.load(task).toString(16)}, work 0x${Task.pending_work.load(task).toString(16)}`,
    number < 0
      ? 'no system call'
      : `syscall ${number} ${row?.name ?? ''}(${args.join(', ')}), entry ${Task.syscall_entries.get(task)}`,
    `rip ${hex(CpuState.rip.get_big(cpu))}, rsp ${hex(U64[words + RSP] as bigint)}`,
  ];
}

/**
 * The report of a panic: what broke, on which vCPU, in which task and system call, where in the kernel, and the records
 * of each class. It takes no lock.
 */
export function panic_report(error: unknown, vcpu: Ptr<'Vcpu'>): string {
  const lines = [`kernel panic: ${error instanceof Error ? error.message : String(error)}`];
  lines.push(`vcpu ${Vcpu.index.get(vcpu)}${others(vcpu)}`);
  if (current !== 0) lines.push(...task_lines(current));
  const held = held_lock_names();
  if (held.length > 0) lines.push(`locks held: ${held.join(', ')}`);
  if (error instanceof Error && error.stack !== undefined) lines.push(...error.stack.split('\n').slice(0, STACK_LINES));
  const live = slab_reports().filter((report) => report.live > 0);
  lines.push(`records: ${live.map(({ name, live }) => `${name} ${live}`).join(', ')}`);
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
  forget_transients();
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
