/**
 * An executor without a machine: a kernel of a few calls with branches, comparisons, places to fail and defects that
 * a test switches on. It is the oracle of the loop: what a campaign must find in it is known.
 *
 *     eventfd2   the initial value 0xbadcafe arms the kernel
 *     close      of a file, armed: the planted panic
 *     dup        of a duplicate: the planted leak
 *     write      of 4096 bytes or more: the planted hang
 *     getpid     the planted non-determinism
 *     sync       the planted corruption
 *     membarrier the planted death of the whole thread, or loop without end
 */

import { select_target } from '../../harness/cmd/enable.ts';
import type {
  CallOutcome,
  Comparison,
  ExecOptions,
  ExecOutcome,
  Executor,
  PanicInfo,
} from '../../harness/exec/executor.ts';
import { type ExecInstruction, exec_decode } from '../../harness/prog/exec_decode.ts';

export type Defect = 'panic' | 'leak' | 'hang' | 'nondeterminism' | 'corruption' | 'death' | 'endless';

export const MAGIC_VALUE = 0xbadcafe;
const TEXT = 0x8000_0000;
const FAULT_SITES = 3;
const EBADF = 9;
const ENOMEM = 12;
const NR = { read: 0, write: 1, close: 3, dup: 32, getpid: 39, sync: 162, openat: 257, eventfd2: 290, membarrier: 324 };

/** What campaigns against the toy generate. */
export const TOY_TARGET = select_target(
  ['read', 'write', 'close', 'dup', 'getpid', 'sync', 'openat', 'eventfd2', 'membarrier'],
  [],
);

type CallInstruction = Extract<ExecInstruction, { kind: 'call' }>;

interface Ongoing {
  pcs: number[];
  comparisons: Comparison[];
}

export class ToyKernel implements Executor {
  readonly instrumented: boolean = true;
  readonly blocks = 400;
  runs = 0;
  closed = false;
  private readonly defects: ReadonlySet<Defect>;
  private corrupt = false;

  constructor(...defects: readonly Defect[]) {
    this.defects = new Set(defects);
  }

  run(words: Uint32Array, options: ExecOptions): ExecOutcome {
    this.runs++;
    const { calls, slots, instructions } = exec_decode(words);
    const process = new ToyProcess(this.defects, slots, this.runs);
    const outcomes: CallOutcome[] = [];
    const late: [number, CallInstruction][] = [];
    const make = (index: number, call: CallInstruction): void => {
      outcomes[index] = process.alive ? process.call(call, index, options) : not_started();
    };
    let started = 0;
    for (const instruction of instructions) {
      if (instruction.kind !== 'call') continue;
      const index = started++;
      // An async call runs at once or at the end, as the seed says.
      if (instruction.is_async && options.seed % 2 === 1) late.push([index, instruction]);
      else make(index, instruction);
    }
    for (const [index, call] of late) make(index, call);
    if (started !== calls) throw new Error('the program has fewer calls than it says');
    this.corrupt ||= process.corrupts;
    const corruption = options.verify_reset && this.corrupt ? 'Inode at 0x123400: nlink 7, not 1' : '';
    if (corruption !== '') this.corrupt = false;
    const status = process.panic !== null ? 'panic' : process.hung ? 'hang' : corruption !== '' ? 'corrupt' : 'done';
    const leaks =
      options.check_leaks && process.leaked > 0 ? [{ record: 'File', before: 3, after: 3 + process.leaked }] : [];
    return { status, calls: outcomes, panic: process.panic, leaks, corruption, dirty_pages: 7, reset_ns: 20_000 };
  }

  close(): void {
    this.closed = true;
  }
}

class ToyProcess {
  panic: PanicInfo | null = null;
  hung = false;
  leaked = 0;
  corrupts = false;
  private readonly defects: ReadonlySet<Defect>;
  private readonly slots: (number | undefined)[];
  private readonly run: number;
  private readonly files = new Map<number, 'file' | 'duplicate'>([
    [0, 'file'],
    [1, 'file'],
    [2, 'file'],
  ]);
  private armed = false;

  constructor(defects: ReadonlySet<Defect>, slots: number, run: number) {
    this.defects = defects;
    this.slots = new Array(slots).fill(undefined);
    this.run = run;
  }

  get alive(): boolean {
    return this.panic === null && !this.hung;
  }

  call(call: CallInstruction, index: number, { collect }: ExecOptions): CallOutcome {
    const base = TEXT + call.number * 0x1000;
    const ongoing: Ongoing = { pcs: [base], comparisons: [] };
    const fault_injected = call.fail_nth > 0 && call.fail_nth <= FAULT_SITES;
    let result = -ENOMEM;
    if (fault_injected) ongoing.pcs.push(base + 0x800 + call.fail_nth);
    else result = this.make(call, index, base, ongoing);
    if (result >= 0 && call.slot < this.slots.length) this.slots[call.slot] = result;
    const finished = this.alive;
    return {
      started: true,
      finished,
      result: finished ? result : 0,
      fault_injected,
      pcs: new Uint32Array(collect === 'pc' ? ongoing.pcs : []),
      comparisons: collect === 'cmp' ? ongoing.comparisons : [],
    };
  }

  private value(call: CallInstruction, index: number): number {
    const arg = call.args[index];
    if (arg === undefined || arg.kind === 'data') return 0;
    if (arg.kind === 'result') return this.slots[arg.slot] ?? Number(BigInt.asIntN(32, arg.value));
    return Number(BigInt.asUintN(32, arg.value));
  }

  /** A block for each kind of value, as a real kernel's checks have. */
  private make(call: CallInstruction, index: number, base: number, { pcs, comparisons }: Ongoing): number {
    const first = this.value(call, 0);
    switch (call.number) {
      case NR.eventfd2: {
        pcs.push(base + (first === 0 ? 4 : first < 100 ? 8 : 12));
        comparisons.push({
          size: 4,
          constant: true,
          low1: first,
          high1: 0,
          low2: MAGIC_VALUE,
          high2: 0,
          pc: base + 16,
        });
        if (first === MAGIC_VALUE) {
          pcs.push(base + 20);
          this.armed = true;
        }
        return this.open('file');
      }
      case NR.openat:
        pcs.push(base + ((this.value(call, 2) & 0x40) !== 0 ? 4 : 8), base + 12, base + 16, base + 20);
        return this.open('file');
      case NR.membarrier:
        if (this.defects.has('death')) throw new Error('the toy kernel gives up its thread');
        while (this.defects.has('endless'));
        return 0;
      case NR.getpid:
        if (this.defects.has('nondeterminism')) pcs.push(base + 4 * (this.run % 50));
        return 7;
      case NR.sync:
        this.corrupts ||= this.defects.has('corruption');
        return 0;
      default:
        return this.use_file(call, first, index, base, pcs);
    }
  }

  private open(kind: 'file' | 'duplicate'): number {
    let fd = 0;
    while (this.files.has(fd)) fd++;
    this.files.set(fd, kind);
    return fd;
  }

  private use_file(call: CallInstruction, fd: number, index: number, base: number, pcs: number[]): number {
    const file = this.files.get(fd);
    if (file === undefined) {
      pcs.push(base + 4);
      return -EBADF;
    }
    pcs.push(base + (file === 'file' ? 8 : 12));
    if (call.number === NR.dup) {
      if (file === 'duplicate' && this.defects.has('leak')) this.leaked++;
      return this.open('duplicate');
    }
    if (call.number === NR.close) {
      this.files.delete(fd);
      if (this.armed && this.defects.has('panic')) this.panic = use_after_free(index);
      return 0;
    }
    const length = this.value(call, 2);
    pcs.push(base + (length === 0 ? 16 : 20));
    if (call.number === NR.write && length >= 4096 && this.defects.has('hang')) this.hung = true;
    return 0;
  }
}

function use_after_free(call: number): PanicInfo {
  return {
    kind: 'sanitizer',
    message: 'use after free of Eventfd 0x4711',
    function_name: 'eventfd_release',
    record: 'Eventfd',
    call,
    stack: '    at eventfd_release\n    at close',
  };
}

function not_started(): CallOutcome {
  const pcs = new Uint32Array(0);
  return { started: false, finished: false, result: 0, fault_injected: false, pcs, comparisons: [] };
}
