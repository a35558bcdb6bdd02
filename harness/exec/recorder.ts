/**
 * What the `program` platform asks of the kernel above it, and what is written down about each call while a program
 * runs. One recorder serves one executor; `begin` forgets the program before.
 */
import { CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM } from '../../engine/abi/clone.ts';
import { KCOV } from '../../engine/base/instrumented.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { fault_is_pending, set_faults } from '../../engine/heap/fault_injection.ts';
import { type CloneArgs, clone_task } from '../../engine/kernel/clone.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { task_put } from '../../engine/kernel/task.ts';
import { enter_guest, leave_guest, safe_point } from '../../engine/machine/safe_point.ts';
import { vcpu_at } from '../../engine/machine/vcpu.layout.ts';
import {
  copy_out_bytes,
  get_user_u8,
  get_user_u16,
  get_user_u32,
  put_user_parts,
  put_user_u8,
  put_user_u16,
  put_user_u32,
} from '../../engine/mm/uaccess.ts';
import type { LoadedNumber, ProgramCall } from '../../engine/platform/program/calls.ts';
import { ProgramState } from '../../engine/platform/program/program.layout.ts';
import { type ProgramHooks, program_state } from '../../engine/platform/program/program.ts';
import { platform_hooks } from '../../engine/sentry/run.ts';
import { MAX_THREADS, point_at_stack } from './boot.ts';
import { CallTrace, Coverage, comparisons_of } from './coverage.ts';
import type { CallOutcome, Collect, Comparison, MemoryRange } from './executor.ts';

const TWO_32 = 4294967296;
const THREAD: CloneArgs = {
  flags: CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
  clear_sighand: false,
  exit_signal: 0,
  stack: 0,
  tls: 0,
  parent_tid: 0,
  child_tid: 0,
  pidfd: 0,
};

const NO_PCS = new Uint32Array(0);
const NO_MEMORY: readonly Uint8Array[] = [];
const NO_CAPTURE: readonly (readonly MemoryRange[])[] = [];

/** What comes of one call, while it is found out. */
export class CallRecord implements CallOutcome {
  started = false;
  finished = false;
  result = 0;
  fault_injected = false;
  memory: readonly Uint8Array[] = NO_MEMORY;
  readonly trace: CallTrace = new CallTrace();
  private readonly collect: Collect;

  constructor(collect: Collect) {
    this.collect = collect;
  }

  get pcs(): Uint32Array {
    return this.collect === 'pc' ? this.trace.records() : NO_PCS;
  }

  get comparisons(): readonly Comparison[] {
    return this.collect === 'cmp' ? comparisons_of(this.trace.records()) : [];
  }
}

/** Makes a thread of the current task for the program: its register record, or 0. */
export function make_program_thread(): Ptr<'CpuState'> {
  const state = program_state();
  const number = ProgramState.threads.get(state) + 1;
  if (number >= MAX_THREADS) return 0 as Ptr<'CpuState'>;
  const child = clone_task(THREAD) as Ptr<'Task'>;
  if (child <= 0) return 0 as Ptr<'CpuState'>;
  ProgramState.threads.set(state, number);
  const cpu = Task.cpu.get(child);
  point_at_stack(cpu, number);
  task_put(child);
  return cpu;
}

/** The running task's memory. */
function read_ranges(ranges: readonly MemoryRange[]): Uint8Array[] {
  leave_guest(vcpu_at(0));
  const found = ranges.map(({ address, length }) => {
    const bytes = new Uint8Array(length);
    let done = 0;
    for (; done < length; done++) {
      const byte = get_user_u8(address + done);
      if (byte < 0) break;
      bytes[done] = byte;
    }
    return bytes.subarray(0, done);
  });
  safe_point(vcpu_at(0));
  enter_guest(vcpu_at(0));
  return found;
}

export class Recorder implements ProgramHooks {
  readonly coverage = new Coverage();
  calls: readonly ProgramCall[] = [];
  records: CallRecord[] = [];
  private ranges: readonly (readonly MemoryRange[])[] = NO_CAPTURE;

  /** Another program begins; `ranges` is the memory to read when each call has ended. */
  begin(calls: readonly ProgramCall[], collect: Collect, ranges = NO_CAPTURE): void {
    this.calls = calls;
    this.ranges = ranges;
    this.records = [];
    for (let i = 0; i < calls.length; i++) this.records.push(new CallRecord(collect));
  }

  syscall = platform_hooks.syscall;
  fault = platform_hooks.fault;
  tsc = platform_hooks.tsc;
  make_thread = make_program_thread;

  call_begins(index: number): void {
    const record = this.records[index] as CallRecord;
    record.started = true;
    const { fail_nth } = this.calls[index] as ProgramCall;
    if (fail_nth !== 0) set_faults(fail_nth);
    if (KCOV) this.coverage.open(index);
  }

  call_ends(index: number, lo: number, hi: number): void {
    if (KCOV) this.coverage.close();
    const record = this.records[index] as CallRecord;
    record.finished = true;
    record.result = (hi | 0) * TWO_32 + lo;
    const ranges = this.ranges[index];
    if (ranges !== undefined && ranges.length > 0) record.memory = read_ranges(ranges);
    if ((this.calls[index] as ProgramCall).fail_nth === 0) return;
    record.fault_injected = !fault_is_pending();
    set_faults(0);
  }

  store_bytes(address: number, bytes: Uint8Array): void {
    copy_out_bytes(address, bytes);
  }

  store_number(address: number, size: number, lo: number, hi: number): void {
    if (size === 8) put_user_parts(address, lo, hi);
    else if (size === 4) put_user_u32(address, lo);
    else if (size === 2) put_user_u16(address, lo & 0xffff);
    else put_user_u8(address, lo & 0xff);
  }

  load_number(address: number, size: number, loaded: LoadedNumber): boolean {
    const read = size >= 4 ? get_user_u32 : size === 2 ? get_user_u16 : get_user_u8;
    const lo = read(address);
    const hi = size === 8 ? get_user_u32(address + 4) : 0;
    if (lo < 0 || hi < 0) return false;
    loaded.lo = lo;
    loaded.hi = hi;
    return true;
  }
}
