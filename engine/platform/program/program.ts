// @hot
/**
 * The program platform: instead of guest code, a list of system calls (calls.ts) with their memory. Everything below
 * the CPU is real: tasks, address spaces, the dispatcher, signals. It serves the fuzzer and benchmarks.
 *
 * Where a task is stands in its RIP, as if each call were four bytes of code at PROGRAM_TEXT:
 *
 *   +0  before the call: its memory is filled, its arguments go to the registers
 *   +1  the call again with the registers as they are: the kernel takes 2 from RIP to restart a call
 *   +3  behind the call: the result is kept, copied out and told to the observer
 *
 * and in three registers that no system call touches: R14 is the address of the register record itself, which tells a
 * task of the program from the child of a fork and from a new program (execve); R15 is the task's part.
 *
 *   PART_MAIN    makes the calls one by one
 *   PART_WORKER  made for one call, or left behind in one that blocks; afterwards it waits to be killed
 *   PART_CHILD   a child by fork or clone, or a task that called execve: sleeps a while, then exits; R13 says how
 *                long, so that children end in the order they were made. There is no CPU here that could run code
 *
 * A RIP anywhere else is a signal handler: a function that does nothing but return by rt_sigreturn. Copies to memory
 * that is not there are left out, as in syzkaller's executor.
 */
import type { Ptr } from '../../base/types.ts';
import { MACHINE, MachineHeader, ROOT_PROGRAM } from '../../heap/machine.layout.ts';
import { I32, U8, U32 } from '../../heap/memory.ts';
import { CpuState, R8, R10, RDI, RDX, RSI, RSP } from '../../machine/cpu.layout.ts';
import { enter_guest, leave_guest, safe_point } from '../../machine/safe_point.ts';
import { INTERRUPT_STOP, Vcpu } from '../../machine/vcpu.layout.ts';
import {
  EXIT_FUEL,
  EXIT_INTERRUPT,
  EXIT_SYSCALL,
  type ExitReason,
  NO_CODE,
  type Platform,
  type PlatformHooks,
  type PlatformStatistics,
} from '../platform.ts';
import { type CallValue, child_ms, compute_value, type LoadedNumber, type ProgramCall } from './calls.ts';
import { ProgramState } from './program.layout.ts';

export const PROGRAM_TEXT = 0x40_0000;
const CALL_BYTES = 4;
const AT_RESTART = 1;
const AT_END = 3;
/** Code of the parts that make no calls of the program; two bytes a system call. */
const OTHER_TEXT = 0x3f_0000;
const CHILD_SLEEPS = OTHER_TEXT;
const CHILD_EXITS = OTHER_TEXT + 2;
const WAITS = OTHER_TEXT + 8;
const WAITED = OTHER_TEXT + 10;
const OTHER_END = OTHER_TEXT + 16;

const R9 = 9;
const R13 = 13;
const R14 = 14;
const R15 = 15;
const PART_MAIN = 0;
const PART_WORKER = 1;
const PART_CHILD = 2;

const NR_POLL = 7;
const NR_RT_SIGRETURN = 15;
const NR_PAUSE = 34;
const NR_EXIT = 60;
const NR_EXIT_GROUP = 231;

/** What one call costs of a slice's fuel: instructions that a program would take to prepare it. */
const CALL_FUEL = 1000;
const ARGUMENTS = new Int32Array([RDI, RSI, RDX, R10, R8, R9]);
const NO_RANDOM_YIELD = 0x8000_0000;

export interface ProgramHooks extends PlatformHooks {
  /** Writes bytes to the running task's memory; what is not mapped is left out. */
  store_bytes(address: number, bytes: Uint8Array): void;
  /** Writes the lowest `size` bytes of a number to the running task's memory, or nothing. */
  store_number(address: number, size: number, lo: number, hi: number): void;
  /** Reads `size` bytes into `loaded`; false when they cannot be read. */
  load_number(address: number, size: number, loaded: LoadedNumber): boolean;
  /** Makes a thread of the running task; its register record, a copy of the running one, or 0. */
  make_thread(): Ptr<'CpuState'>;
  /** Call `index` is about to be made by the running task. */
  call_begins(index: number): void;
  /** Call `index` has ended with the 64 bits of rax. */
  call_ends(index: number, lo: number, hi: number): void;
}

/** The machine's ProgramState. */
export function program_state(): Ptr<'ProgramState'> {
  return I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_PROGRAM] as Ptr<'ProgramState'>;
}

/** Makes the machine's ProgramState known. */
export function set_program_state(state: Ptr<'ProgramState'>): void {
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_PROGRAM] = state;
}

function set_register(cpu: Ptr<'CpuState'>, n: number, lo: number, hi: number): void {
  const at = (cpu + n * 8) >> 2;
  U32[at] = lo;
  U32[at + 1] = hi;
}

function get_register(cpu: Ptr<'CpuState'>, n: number): number {
  return U32[(cpu + n * 8) >> 2] as number;
}

/** Points a task of the program at call `index`; `worker`: for that call alone. */
export function program_enter(cpu: Ptr<'CpuState'>, index: number, worker: boolean): void {
  CpuState.rip.set(cpu, PROGRAM_TEXT + index * CALL_BYTES);
  set_register(cpu, R14, cpu, 0);
  set_register(cpu, R15, worker ? PART_WORKER : PART_MAIN, 0);
}

/** Gives a task a stack that ends at `top`. */
export function program_stack(cpu: Ptr<'CpuState'>, top: number): void {
  set_register(cpu, RSP, top >>> 0, Math.floor(top / 4294967296));
}

/**
 * The main task is in a call that blocks: it becomes that call's worker. Answers the call behind, which another task
 * goes on with, or -1 when the task is not in a call of the program.
 */
export function program_leave_behind(cpu: Ptr<'CpuState'>): number {
  const at = CpuState.rip.get(cpu) - PROGRAM_TEXT;
  if (get_register(cpu, R14) !== cpu || get_register(cpu, R15) !== PART_MAIN) return -1;
  if (at < 0 || (at - AT_END) % CALL_BYTES !== 0) return -1;
  set_register(cpu, R15, PART_WORKER, 0);
  return (at - AT_END) / CALL_BYTES + 1;
}

/** The call of the program that a task is in, -1 for none. */
export function program_call_of(cpu: Ptr<'CpuState'>): number {
  const at = CpuState.rip.get(cpu) - PROGRAM_TEXT;
  const part = get_register(cpu, R15);
  if (get_register(cpu, R14) !== cpu || part === PART_CHILD || at < 0 || at % CALL_BYTES !== AT_END) return -1;
  return (at - AT_END) / CALL_BYTES;
}

export class ProgramPlatform implements Platform {
  readonly name = 'program';
  private readonly hooks: ProgramHooks;
  private readonly loaded: LoadedNumber = { lo: 0, hi: 0 };
  private calls: readonly ProgramCall[] = [];
  /** Register record of the task that makes the calls; a cache of who has PART_MAIN. */
  main = 0 as Ptr<'CpuState'>;
  /** Rises with each call that begins or ends, not with one that is interrupted and made again. */
  progress = 0;
  /** Whether the program has come to its end by `stop`. */
  stopped = false;
  private stop = false;
  private vcpu = 0 as Ptr<'Vcpu'>;

  constructor(hooks: ProgramHooks) {
    this.hooks = hooks;
  }

  /**
   * The program that tasks run from now on. `seed` decides where tasks yield to others. At its end the process exits,
   * or with `stop` the vCPU's thread comes back (INTERRUPT_STOP), with the process as it is.
   */
  load(calls: readonly ProgramCall[], seed: number, stop: boolean): void {
    this.calls = calls;
    this.stop = stop;
    this.stopped = false;
    this.main = 0 as Ptr<'CpuState'>;
    ProgramState.random.set(program_state(), (Math.imul(seed + 1, 0x9e37_79b9) ^ (seed >>> 7)) >>> 0 || 1);
  }

  switch_to(cpu: Ptr<'CpuState'>, vcpu: Ptr<'Vcpu'>): ExitReason {
    this.vcpu = vcpu;
    for (;;) {
      // A plain load, as generated code does.
      if (I32[Vcpu.interrupt.index(vcpu)] !== 0) return EXIT_INTERRUPT;
      if (Vcpu.fuel.get(vcpu) <= 0) return EXIT_FUEL;
      Vcpu.fuel.set(vcpu, Vcpu.fuel.get(vcpu) - CALL_FUEL);
      if (get_register(cpu, R14) !== cpu) {
        set_register(cpu, R14, cpu, 0);
        set_register(cpu, R15, PART_CHILD, 0);
        const made_by = (CpuState.rip.get(cpu) - PROGRAM_TEXT) / CALL_BYTES;
        set_register(cpu, R13, child_ms(this.calls, made_by < this.calls.length ? made_by | 0 : 0), 0);
        CpuState.rip.set(cpu, CHILD_SLEEPS);
      }
      const rip = CpuState.rip.get(cpu);
      const at = rip - PROGRAM_TEXT;
      let reason = 0;
      if (at >= 0 && at < this.calls.length * CALL_BYTES && get_register(cpu, R15) !== PART_CHILD)
        reason = this.step(cpu, (at / CALL_BYTES) | 0, at % CALL_BYTES);
      else if (at === this.calls.length * CALL_BYTES) reason = this.program_ends(cpu);
      else if (at === this.calls.length * CALL_BYTES + 2) CpuState.rip.set(cpu, rip - 2);
      else if (rip >= OTHER_TEXT && rip < OTHER_END) reason = this.other_part(cpu, rip);
      else reason = this.return_from_handler(cpu);
      if (reason !== 0) return reason;
    }
  }

  private step(cpu: Ptr<'CpuState'>, index: number, place: number): ExitReason {
    const call = this.calls[index] as ProgramCall;
    if (place === AT_RESTART) {
      CpuState.rip.set(cpu, PROGRAM_TEXT + index * CALL_BYTES + AT_END);
      if (this.hooks.syscall() !== 0) return EXIT_SYSCALL;
      return this.call_ended(cpu, index, call);
    }
    if (place === AT_END) return this.call_ended(cpu, index, call);
    if (get_register(cpu, R15) === PART_MAIN) {
      this.main = cpu;
      if (call.is_async && this.start_worker(index)) {
        CpuState.rip.set(cpu, PROGRAM_TEXT + (index + 1) * CALL_BYTES);
        return this.yields() ? EXIT_FUEL : 0;
      }
    } else if (this.yields()) return EXIT_FUEL;
    if (call.copy_in.length > 0) this.fill_memory(call);
    const args = call.args;
    for (let i = 0; i < args.length && i < ARGUMENTS.length; i++) {
      const value = args[i] as CallValue;
      if (value.slot < 0) set_register(cpu, ARGUMENTS[i] as number, value.lo, value.hi);
      else {
        this.value_of(value);
        set_register(cpu, ARGUMENTS[i] as number, this.loaded.lo, this.loaded.hi);
      }
    }
    set_register(cpu, 0, call.number, 0);
    CpuState.rip.set(cpu, PROGRAM_TEXT + index * CALL_BYTES + AT_END);
    // A worker was counted when it was made.
    if (get_register(cpu, R15) === PART_MAIN) this.count_in_flight(1);
    this.progress++;
    this.hooks.call_begins(index);
    if (this.hooks.syscall() !== 0) return EXIT_SYSCALL;
    return this.call_ended(cpu, index, call);
  }

  /** Keeps what a call has made, and goes to what comes next. */
  private call_ended(cpu: Ptr<'CpuState'>, index: number, call: ProgramCall): ExitReason {
    const lo = get_register(cpu, 0);
    const hi = U32[(cpu >> 2) + 1] as number;
    this.progress++;
    this.hooks.call_ends(index, lo, hi);
    this.count_in_flight(-1);
    const failed = hi === 0xffff_ffff && lo >= 0xffff_f001;
    if (!failed) {
      if (call.slot >= 0) this.keep(call.slot, lo, hi);
      if (call.copy_out.length > 0) this.copy_results(call);
    }
    if (get_register(cpu, R15) === PART_MAIN) {
      CpuState.rip.set(cpu, PROGRAM_TEXT + (index + 1) * CALL_BYTES);
      return this.yields() ? EXIT_FUEL : 0;
    }
    // The last worker ends the program when its main task has come to the end before.
    const over = ProgramState.in_flight.get(program_state()) === 0 && this.main_waits();
    if (over) return this.exit_group(cpu);
    CpuState.rip.set(cpu, WAITS);
    return 0;
  }

  private count_in_flight(change: number): void {
    const state = program_state();
    ProgramState.in_flight.set(state, ProgramState.in_flight.get(state) + change);
  }

  private main_waits(): boolean {
    return this.main !== 0 && CpuState.rip.get(this.main) === PROGRAM_TEXT + this.calls.length * CALL_BYTES + 2;
  }

  /** The main task has made every call: it waits for those in progress, else the process ends. */
  private program_ends(cpu: Ptr<'CpuState'>): ExitReason {
    this.main = cpu;
    if (ProgramState.in_flight.get(program_state()) === 0) return this.exit_group(cpu);
    // Behind the call RIP is 2 further on, where the task is seen to wait; a signal brings it back here.
    return this.call(cpu, NR_PAUSE, CpuState.rip.get(cpu), 0);
  }

  private exit_group(cpu: Ptr<'CpuState'>): ExitReason {
    if (this.stop) {
      this.stopped = true;
      Vcpu.interrupt.or(this.vcpu, INTERRUPT_STOP);
      return EXIT_INTERRUPT;
    }
    set_register(cpu, RDI, 0, 0);
    return this.call(cpu, NR_EXIT_GROUP, OTHER_TEXT, 0);
  }

  /** A system call of the platform's own at `rip`, with one argument in rdi besides what the registers hold. */
  private call(cpu: Ptr<'CpuState'>, number: number, rip: number, first: number): ExitReason {
    set_register(cpu, 0, number, 0);
    set_register(cpu, RDI, first, 0);
    CpuState.rip.set(cpu, rip + 2);
    return this.hooks.syscall() !== 0 ? EXIT_SYSCALL : 0;
  }

  private other_part(cpu: Ptr<'CpuState'>, rip: number): ExitReason {
    if (rip === CHILD_SLEEPS) {
      this.progress++;
      set_register(cpu, RSI, 0, 0);
      set_register(cpu, RDX, get_register(cpu, R13), 0);
      return this.call(cpu, NR_POLL, CHILD_SLEEPS, 0);
    }
    if (rip === CHILD_EXITS) return this.call(cpu, NR_EXIT, CHILD_EXITS, 0);
    if (rip === WAITED) CpuState.rip.set(cpu, WAITS);
    else if (rip === WAITS) return this.call(cpu, NR_PAUSE, WAITS, 0);
    else CpuState.rip.set(cpu, get_register(cpu, R15) === PART_CHILD ? CHILD_EXITS : WAITS);
    return 0;
  }

  /** The handler's return address leads to rt_sigreturn: both at once. */
  private return_from_handler(cpu: Ptr<'CpuState'>): ExitReason {
    const at = (cpu + RSP * 8) >> 2;
    const lo = (U32[at] as number) + 8;
    U32[at] = lo;
    if (lo >= 4294967296) U32[at + 1] = (U32[at + 1] as number) + 1;
    set_register(cpu, 0, NR_RT_SIGRETURN, 0);
    return this.hooks.syscall() !== 0 ? EXIT_SYSCALL : 0;
  }

  /** A thread for an async call; false when there can be none, and the call is made in its place. */
  private start_worker(index: number): boolean {
    leave_guest(this.vcpu);
    const cpu = this.hooks.make_thread();
    if (cpu !== 0) {
      program_enter(cpu, index, true);
      this.count_in_flight(1);
    }
    safe_point(this.vcpu);
    enter_guest(this.vcpu);
    return cpu !== 0;
  }

  /** Whether the running task lets others go first: a coin, while there are others. */
  private yields(): boolean {
    const state = program_state();
    if (ProgramState.threads.get(state) === 0) return false;
    let x = ProgramState.random.get(state);
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    ProgramState.random.set(state, x);
    return x >>> 0 < NO_RANDOM_YIELD;
  }

  private fill_memory(call: ProgramCall): void {
    leave_guest(this.vcpu);
    for (let i = 0; i < call.copy_in.length; i++) {
      const { address, value } = call.copy_in[i] as ProgramCall['copy_in'][number];
      if (value instanceof Uint8Array) this.hooks.store_bytes(address, value);
      else {
        this.value_of(value);
        this.hooks.store_number(address, value.size, this.loaded.lo, this.loaded.hi);
      }
    }
    safe_point(this.vcpu);
    enter_guest(this.vcpu);
  }

  private copy_results(call: ProgramCall): void {
    leave_guest(this.vcpu);
    for (let i = 0; i < call.copy_out.length; i++) {
      const { address, size, slot } = call.copy_out[i] as ProgramCall['copy_out'][number];
      if (this.hooks.load_number(address, size, this.loaded)) this.keep(slot, this.loaded.lo, this.loaded.hi);
    }
    safe_point(this.vcpu);
    enter_guest(this.vcpu);
  }

  private keep(slot: number, lo: number, hi: number): void {
    const state = program_state();
    U8[ProgramState.made.at(state) + slot] = 1;
    const at = (ProgramState.slots.at(state) >> 2) + slot * 2;
    U32[at] = lo;
    U32[at + 1] = hi;
  }

  /** The value as 64 bits, in `loaded`. */
  private value_of(value: CallValue): void {
    const state = program_state();
    if (value.slot < 0 || U8[ProgramState.made.at(state) + value.slot] === 0) {
      this.loaded.lo = value.lo;
      this.loaded.hi = value.hi;
      return;
    }
    const at = (ProgramState.slots.at(state) >> 2) + value.slot * 2;
    this.loaded.lo = U32[at] as number;
    this.loaded.hi = U32[at + 1] as number;
    if (value.computed) compute_value(value, this.loaded);
  }

  invalidate_frame(): void {}
  flush_translations(): void {}
  switch_space(): void {}
  drop_caches(): void {}
  /** There is no code. */
  statistics(): PlatformStatistics {
    return NO_CODE;
  }
}
