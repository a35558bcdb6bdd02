/**
 * From a program's calls to a Linux executable that makes them, needing no compiler: straight-line code, and data.
 *
 *     map the log, close every descriptor, open 0 to 2 on /dev/null, set limits, map the data area
 *     each call: note that it starts; fill its memory; system call; note its result; keep results; log its memory
 *     note the end; exit_group
 *
 * What a program did stands in the log, a file that it maps shared, so a program that dies has told all the same.
 * Memory is filled and read with process_vm_writev(2) and process_vm_readv(2) on itself: an address that cannot be
 * used is an error there, and not a signal. Where filling fails the program stops: the call would otherwise read
 * what nobody has looked through (allow.ts). A child sleeps and exits, as on the `program` platform.
 */
import { type CallValue, child_ms, makes_child, type ProgramCall } from '../../engine/platform/program/calls.ts';
import type { MemoryRange } from '../exec/executor.ts';
import { DATA_BASE, DATA_SIZE } from '../prog/model.ts';
import { Assembler, type Label, label, R8, R9, R10, RAX, RDI, RDX, RSI } from './assembler.ts';
import { elf_image, IMAGE_DATA_BASE } from './elf_image.ts';

/** The log's words, 64 bits each: the header, then for each call START, END, RESULT and its memory. */
export const LOG_PID = 0;
export const LOG_READY = 8;
export const LOG_ENDED = 16;
/** 1 + the call whose memory could not be filled. */
export const LOG_STOPPED = 24;
export const LOG_HEADER = 32;
export const CALL_STARTED = 0;
export const CALL_ENDED = 8;
export const CALL_RESULT = 16;
const CALL_HEADER = 24;

/** The log's descriptor when the program begins. */
export const LOG_FD = 3;
const LOG_BASE = 0x6002_0000_0000;
const PAGE = 4096;

const NR_POLL = 7;
const NR_MMAP = 9;
const NR_CLOSE = 3;
const NR_GETPID = 39;
const NR_EXIT = 60;
const NR_UMASK = 95;
const NR_PRCTL = 157;
const NR_EXIT_GROUP = 231;
const NR_OPENAT = 257;
const NR_PRLIMIT64 = 302;
const NR_PROCESS_VM_READV = 310;
const NR_PROCESS_VM_WRITEV = 311;

const PR_SET_PDEATHSIG = 1;
const PR_SET_NAME = 15;
const MAP_SHARED_FIXED = 0x11;
const MAP_PRIVATE_ANONYMOUS_FIXED = 0x32;
/** Resource and limit, soft and hard: see setrlimit(2). Descriptors: as every task of a machine has. */
const LIMITS: readonly (readonly [number, number, number])[] = [
  [0, 1, 2], // RLIMIT_CPU, s
  [1, 16 << 20, 16 << 20], // RLIMIT_FSIZE
  [4, 0, 0], // RLIMIT_CORE
  [7, 1024, 1024], // RLIMIT_NOFILE
  [9, 1 << 30, 1 << 30], // RLIMIT_AS
];
const NPROC: readonly [number, number, number] = [6, 512, 512];

const ARGUMENTS = [RDI, RSI, RDX, R10, R8, R9];

export interface CompiledProgram {
  readonly image: Uint8Array;
  readonly log_size: number;
  /** Where each call's part of the log begins, and where each range of its memory does: bytes read, then bytes. */
  readonly calls: readonly { readonly at: number; readonly memory: readonly number[] }[];
}

export interface CompileOptions {
  /** Memory to log after each call. */
  readonly capture?: readonly (readonly MemoryRange[])[];
  /** Whether the user is one that nobody else is: then the number of its processes is limited. */
  readonly own_user?: boolean;
}

export function compile(calls: readonly ProgramCall[], options: CompileOptions = {}): CompiledProgram {
  return new Compiler(calls, options).compile();
}

class Compiler {
  private readonly calls: readonly ProgramCall[];
  private readonly options: CompileOptions;
  private readonly code = new Assembler();
  private readonly labels: Label[] = [];
  private readonly data = new ImageData();
  private readonly slots = new Map<number, number>();
  private readonly pid = this.data.reserve(8);
  private readonly iov = this.data.reserve(32);
  private readonly number = this.data.reserve(8);
  private readonly arguments = this.data.reserve(48);
  /** Where the children that a call makes go on. */
  private readonly children = new Map<number, Label>();
  private readonly failed = this.label();
  private readonly stopped = this.label();
  private log_size = LOG_HEADER;

  constructor(calls: readonly ProgramCall[], options: CompileOptions) {
    this.calls = calls;
    this.options = options;
  }

  compile(): CompiledProgram {
    const places = this.calls.map((_, i) => this.place_in_log(this.options.capture?.[i] ?? []));
    this.prologue();
    for (const [i, call] of this.calls.entries()) this.call(i, call, places[i]!);
    this.note(LOG_ENDED, 1);
    this.code.place(this.stopped);
    this.system_call(NR_EXIT_GROUP, 0);
    this.code.place(this.failed);
    this.system_call(NR_EXIT_GROUP, 100);
    for (const [i, child] of this.children) {
      this.code.place(child);
      this.system_call(NR_POLL, 0, 0, child_ms(this.calls, i));
      this.system_call(NR_EXIT, 0);
    }
    const image = elf_image(this.code.finish(this.labels), this.data.bytes());
    return { image, log_size: this.log_size, calls: places };
  }

  private label(): Label {
    const made = label();
    this.labels.push(made);
    return made;
  }

  private place_in_log(ranges: readonly MemoryRange[]): { at: number; memory: number[] } {
    const at = this.log_size;
    this.log_size += CALL_HEADER;
    const memory = ranges.map(({ length }) => {
      const place = this.log_size;
      this.log_size += 8 + Math.ceil(length / 8) * 8;
      return place;
    });
    return { at, memory };
  }

  private system_call(number: number, ...args: (number | bigint)[]): void {
    for (const [i, value] of args.entries()) this.code.set(ARGUMENTS[i]!, value);
    this.code.set(RAX, number);
    this.code.syscall();
  }

  /** Writes a word of the log. */
  private note(at: number, value: number): void {
    this.code.set(RAX, value);
    this.code.store(LOG_BASE + at);
  }

  private prologue(): void {
    const { code } = this;
    const log_bytes = Math.ceil(this.log_size / PAGE) * PAGE;
    this.system_call(NR_MMAP, LOG_BASE, log_bytes, 3, MAP_SHARED_FIXED, LOG_FD, 0);
    code.jump_if_error(this.failed);
    this.system_call(NR_GETPID);
    code.store(this.pid);
    code.store(LOG_BASE + LOG_PID);
    // The program dies with whoever started it.
    this.system_call(NR_PRCTL, PR_SET_PDEATHSIG, 9, 0, 0, 0);
    this.system_call(NR_PRCTL, PR_SET_NAME, this.data.add(new TextEncoder().encode('fuzz\0')), 0, 0, 0);
    for (let fd = 0; fd <= LOG_FD; fd++) this.system_call(NR_CLOSE, fd);
    const name = this.data.add(new TextEncoder().encode('/dev/null\0'));
    for (let fd = 0; fd < 3; fd++) {
      this.system_call(NR_OPENAT, -100, name, 2, 0);
      code.jump_if_error(this.failed);
    }
    this.system_call(NR_UMASK, 0);
    for (const [resource, soft, hard] of this.options.own_user ? [...LIMITS, NPROC] : LIMITS) {
      const limit = this.data.add(new Uint8Array(new BigUint64Array([BigInt(soft), BigInt(hard)]).buffer));
      this.system_call(NR_PRLIMIT64, 0, resource, limit, 0);
      code.jump_if_error(this.failed);
    }
    this.map(DATA_BASE - PAGE, PAGE, 0);
    this.map(DATA_BASE, DATA_SIZE, 7);
    this.map(DATA_BASE + DATA_SIZE, PAGE, 0);
    this.note(LOG_READY, 1);
  }

  private map(address: number, length: number, rights: number): void {
    this.system_call(NR_MMAP, address, length, rights, MAP_PRIVATE_ANONYMOUS_FIXED, -1, 0);
    this.code.jump_if_error(this.failed);
  }

  private call(index: number, call: ProgramCall, place: { at: number; memory: readonly number[] }): void {
    const { code } = this;
    if (call.copy_in.length > 0) this.note(LOG_STOPPED, index + 1);
    for (const { address, value } of call.copy_in) {
      if (value instanceof Uint8Array) this.fill(address, this.data.add(value), value.length);
      else {
        this.value(value);
        code.store(this.number);
        this.fill(address, this.number, value.size);
      }
    }
    this.note(LOG_STOPPED, 0);
    this.note(place.at + CALL_STARTED, 1);
    for (const [i, value] of call.args.entries()) {
      this.value(value);
      code.store(this.arguments + 8 * i);
    }
    for (let i = 0; i < call.args.length; i++) {
      code.load(this.arguments + 8 * i);
      code.copy_from_rax(ARGUMENTS[i]!);
    }
    code.set(RAX, call.number);
    code.syscall();
    if (makes_child(call.number)) {
      // 0 is the child's.
      const child = this.label();
      this.children.set(index, child);
      code.jump_if_equal(0, child);
    }
    code.store(LOG_BASE + place.at + CALL_RESULT);
    this.keep_results(call);
    this.capture(index, place.memory);
    this.note(place.at + CALL_ENDED, 1);
  }

  /** A value of the program in rax: written down, or what a slot holds if its maker has succeeded. */
  private value({ slot, lo, hi, divide, add }: CallValue): void {
    const { code } = this;
    const constant = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
    if (slot < 0) {
      code.set(RAX, constant);
      return;
    }
    const [missing, done] = [this.label(), this.label()];
    code.load(this.slot(slot));
    code.jump_if_equal(0, missing);
    code.load(this.slot(slot) + 8);
    code.divide_and_add(divide, add);
    code.jump_always(done);
    code.place(missing);
    code.set(RAX, constant);
    code.place(done);
  }

  /** Where a slot lies: whether it is made, and its value. */
  private slot(slot: number): number {
    let address = this.slots.get(slot);
    if (address === undefined) {
      address = this.data.reserve(16);
      this.slots.set(slot, address);
    }
    return address;
  }

  /** Copies between the program's memory (`there`) and the image or the log. Leaves the number of bytes in rax. */
  private transfer(number: number, here: number, there: number, length: number): void {
    const { code } = this;
    for (const [i, word] of [here, length, there, length].entries()) {
      code.set(RAX, word);
      code.store(this.iov + 8 * i);
    }
    code.load(this.pid);
    code.copy_from_rax(RDI);
    code.set(RSI, this.iov);
    code.set(RDX, 1);
    code.set(R10, this.iov + 16);
    code.set(R8, 1);
    code.set(R9, 0);
    code.set(RAX, number);
    code.syscall();
  }

  private fill(address: number, source: number, length: number): void {
    this.transfer(NR_PROCESS_VM_WRITEV, source, address, length);
    this.code.jump_unless_equal(length, this.stopped);
  }

  private keep_results({ slot, copy_out }: ProgramCall): void {
    const { code } = this;
    if (slot < 0 && copy_out.length === 0) return;
    const failed = this.label();
    code.jump_if_error(failed);
    if (slot >= 0) this.keep(slot);
    for (const { address, size, slot: target } of copy_out) {
      const unreadable = this.label();
      code.set(RAX, 0);
      code.store(this.number);
      this.transfer(NR_PROCESS_VM_READV, this.number, address, size);
      code.jump_unless_equal(size, unreadable);
      code.load(this.number);
      this.keep(target);
      code.place(unreadable);
    }
    code.place(failed);
  }

  /** Keeps rax in a slot. */
  private keep(slot: number): void {
    this.code.store(this.slot(slot) + 8);
    this.code.set(RAX, 1);
    this.code.store(this.slot(slot));
  }

  private capture(index: number, places: readonly number[]): void {
    for (const [i, { address, length }] of (this.options.capture?.[index] ?? []).entries()) {
      this.transfer(NR_PROCESS_VM_READV, LOG_BASE + places[i]! + 8, address, length);
      this.code.store(LOG_BASE + places[i]!);
    }
  }
}

/** The image's data segment. */
class ImageData {
  private readonly pieces: Uint8Array[] = [];
  private size = 0;

  /** Answers the address. */
  add(bytes: Uint8Array): number {
    const address = IMAGE_DATA_BASE + this.size;
    const piece = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
    piece.set(bytes);
    this.pieces.push(piece);
    this.size += piece.length;
    return address;
  }

  /** Zeros. */
  reserve(length: number): number {
    return this.add(new Uint8Array(length));
  }

  bytes(): Uint8Array {
    const whole = new Uint8Array(this.size);
    let at = 0;
    for (const piece of this.pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}
