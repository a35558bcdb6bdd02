/**
 * Scripted guests: a platform whose "instructions" are JavaScript steps and system calls, so that kernel behaviour
 * is tested without a CPU. Programs are shared by all tasks; a task's place in them is its RIP, so fork, restart
 * (RIP - 2), handlers and sigreturn work as on a CPU.
 */
import * as assert from 'uvu/assert';
import type { Ptr } from '../../engine/base/types.ts';
import { boot_memory, type MemoryMap } from '../../engine/heap/boot.ts';
import { U32 } from '../../engine/heap/memory.ts';
import { host_clock } from '../../engine/host/clock.ts';
import { credentials_create } from '../../engine/kernel/credentials.ts';
import { reap_root } from '../../engine/kernel/exit.ts';
import { files_create } from '../../engine/kernel/files.ts';
import { enqueue } from '../../engine/kernel/scheduler.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { create_root_task } from '../../engine/kernel/task.ts';
import { CpuState, R8, R10, RAX, RDI, RDX, RSI, RSP } from '../../engine/machine/cpu.layout.ts';
import { enter_guest, leave_guest, safe_point } from '../../engine/machine/safe_point.ts';
import { Vcpu } from '../../engine/machine/vcpu.layout.ts';
import { mm_create } from '../../engine/mm/address_space.ts';
import { do_mmap } from '../../engine/mm/mmap.ts';
import {
  EXIT_EXCEPTION,
  EXIT_FAULT,
  EXIT_FUEL,
  EXIT_INTERRUPT,
  EXIT_SYSCALL,
  NO_CODE,
  type Platform,
} from '../../engine/platform/platform.ts';
import { boot_sentry, type SentryOptions } from '../../engine/sentry/boot.ts';
import { read_panic } from '../../engine/sentry/panic.ts';
import { platform_hooks, RUN_ENDED, run_vcpu } from '../../engine/sentry/run.ts';
import { install_host_clock } from '../../engine/time/clock.ts';

import { live_counts } from './counts.ts';

export const CODE = 0x40_0000;
export const DATA = 0x1000_0000;
export const DATA_BYTES = 0x10_0000;
export const STACK_TOP = DATA + DATA_BYTES;

/** A step of a program: runs on the task's registers and memory. */
type Step = (guest: Guest) => void;
const SYSCALL: Step = () => {};
const ARGUMENTS = [RDI, RSI, RDX, R10, R8, 9];

/** The registers of the running task, as numbers. */
export class Guest {
  cpu = 0 as Ptr<'CpuState'>;
  /** Set by `fault` and `raise`: the exit reason of this step. */
  exit = 0;
  vcpu = 0 as Ptr<'Vcpu'>;

  get(n: number): number {
    const at = (this.cpu + n * 8) >> 2;
    return ((U32[at + 1] as number) | 0) * 4294967296 + (U32[at] as number);
  }
  set(n: number, value: number): void {
    const at = (this.cpu + n * 8) >> 2;
    U32[at] = value;
    U32[at + 1] = Math.floor(value / 4294967296);
  }
  /** The result of the last system call. */
  result(): number {
    return this.get(RAX);
  }
  jump(address: number): void {
    CpuState.rip.set(this.cpu, address);
  }
  fault(address: number, access: number, result: number): void {
    Vcpu.fault_address.set(this.vcpu, address);
    Vcpu.fault_access.set(this.vcpu, access);
    Vcpu.fault_result.set(this.vcpu, result);
    this.exit = EXIT_FAULT;
  }
  raise(vector: number): void {
    Vcpu.exception.set(this.vcpu, vector);
    this.exit = EXIT_EXCEPTION;
  }
}

/** Code of all programs: two bytes an operation. */
export class Script {
  readonly steps: Step[] = [];

  /** Address of the next operation. */
  here(): number {
    return CODE + this.steps.length * 2;
  }
  /** A step in JavaScript. */
  do(step: Step): this {
    this.steps.push(step);
    return this;
  }
  /** A system call; arguments may be computed when it is reached. */
  call(number: number, ...values: (number | ((guest: Guest) => number))[]): this {
    this.do((g) => {
      g.set(RAX, number);
      for (let i = 0; i < values.length; i++) {
        const value = values[i] as number | ((guest: Guest) => number);
        g.set(ARGUMENTS[i] as number, typeof value === 'number' ? value : value(g));
      }
    });
    return this.do(SYSCALL);
  }
  /** Jumps when the condition holds. */
  jump_if(condition: (guest: Guest) => boolean, target: () => number): this {
    return this.do((g) => {
      if (condition(g)) g.jump(target());
    });
  }
}

/** Runs a script's steps, each one instruction of fuel. */
export function script_platform(script: Script): Platform {
  const guest = new Guest();
  return {
    name: 'script',
    switch_to(cpu, vcpu) {
      guest.vcpu = vcpu;
      for (;;) {
        guest.cpu = cpu;
        if (Vcpu.interrupt.load(vcpu) !== 0) return EXIT_INTERRUPT;
        if (Vcpu.fuel.get(vcpu) <= 0) return EXIT_FUEL;
        const rip = CpuState.rip.get(cpu);
        const step = script.steps[(rip - CODE) / 2];
        if (step === undefined) throw new Error(`script ran off its end at 0x${rip.toString(16)}`);
        Vcpu.fuel.set(vcpu, Vcpu.fuel.get(vcpu) - 1);
        guest.exit = 0;
        CpuState.rip.set(cpu, rip + 2);
        if (step === SYSCALL) {
          if (platform_hooks.syscall() !== 0) return EXIT_SYSCALL;
        } else {
          // A step reaches guest memory as the kernel does, by the page table: in guest mode two vCPUs that fault
          // at once would each wait for the other to leave it.
          leave_guest(vcpu);
          step(guest);
          safe_point(vcpu);
          enter_guest(vcpu);
          if (guest.exit !== 0) {
            if (guest.exit === EXIT_FAULT) CpuState.rip.set(cpu, rip);
            return guest.exit;
          }
        }
      }
    },
    invalidate_frame() {},
    flush_translations() {},
    switch_space() {},
    drop_caches() {},
    statistics: () => NO_CODE,
  };
}

/** A booted machine without file systems. */
export function script_machine(
  options: Partial<SentryOptions> & { map?: Partial<MemoryMap> } = {},
): WebAssembly.Memory {
  const memory = boot_memory({ vcpus: 1, heap_bytes: 8 << 20, ram_bytes: 16 << 20, ...options.map });
  install_host_clock(host_clock);
  boot_sentry({ time: { clock: 'virtual', seed: 1 }, ...options });
  return memory;
}

/** A root process that starts at `entry` with DATA_BYTES of memory at DATA, and runs when the machine does. */
export function spawn(entry: number, uid = 0): Ptr<'Task'> {
  const mm = mm_create();
  do_mmap(mm, DATA, DATA_BYTES, 3, 0x32, 0 as Ptr<'File'>, 0);
  const task = create_root_task({
    mm,
    files: files_create(),
    fs: 0 as Ptr<'FsContext'>,
    credentials: credentials_create(uid, uid),
  });
  const cpu = Task.cpu.get(task);
  CpuState.rip.set(cpu, entry);
  const at = (cpu + RSP * 8) >> 2;
  U32[at] = STACK_TOP;
  enqueue(task);
  return task;
}

/**
 * Runs a script's program from its start to the machine's end and answers its wait status. Every record and frame
 * must be free again, and nothing may have panicked.
 */
export function run_script(script: Script, options: Parameters<typeof script_machine>[0] = {}): number {
  script_machine(options);
  const boot = live_counts();
  const pid = Task.tid.get(spawn(CODE));
  const end = run_vcpu(0, script_platform(script), false);
  assert.is(read_panic(), '');
  assert.is(end, RUN_ENDED);
  const status = reap_root(pid);
  assert.equal(live_counts(), boot);
  return status;
}
