/**
 * The vDSO's functions as machine code (vdso(7), Linux's arch/x86/entry/vdso): clocks are read without a system call,
 * from the time stamp counter, which counts the machine's nanoseconds since boot, and the data page before the image.
 *
 * Every function is a leaf that uses registers only, so that one unwind rule holds for all of it. What cannot be
 * answered here goes on to the system call.
 */
import { VVAR_NANOSECONDS, VVAR_SECONDS, VVAR_SEQUENCE } from '../time/time.layout.ts';

/** Clock ids by what they read, as bit masks; the others are the kernel's. */
const MONOTONIC_CLOCKS = (1 << 1) | (1 << 4) | (1 << 6) | (1 << 7);
const WALL_CLOCKS = (1 << 0) | (1 << 5) | (1 << 11);
const FINE_CLOCKS = (1 << 0) | (1 << 1) | (1 << 4) | (1 << 7) | (1 << 11);
const COARSE_CLOCKS = (1 << 5) | (1 << 6);
const LAST_CLOCK = 11;
/** Resolution of the coarse clocks, ns: a tick of CONFIG_HZ=250, as clock_getres(2) tells. */
const COARSE_NS = 4_000_000;

const SYS_CLOCK_GETTIME = 228;
const SYS_CLOCK_GETRES = 229;

/** A function of the vDSO: its name without prefix, and where it lies in the code. */
export interface VdsoFunction {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface VdsoCode {
  readonly bytes: Uint8Array;
  readonly functions: readonly VdsoFunction[];
}

/** Collects machine code; short jumps to labels are filled in at the end. */
class Assembler {
  private readonly bytes: number[] = [];
  private readonly labels = new Map<string, number>();
  private readonly jumps: { at: number; label: string }[] = [];
  private readonly functions: { name: string; offset: number }[] = [];
  /** Address of the data page minus the address of the code's first byte. */
  private readonly data: number;

  constructor(data: number) {
    this.data = data;
  }

  /** Bytes in hexadecimal, with the instruction they are. */
  op(hex: string, _instruction: string): this {
    for (const byte of hex.split(' ')) this.bytes.push(Number.parseInt(byte, 16));
    return this;
  }

  /** An instruction that ends in a 32-bit immediate. */
  op_imm(hex: string, value: number, instruction: string): this {
    return this.op(hex, instruction).word(value);
  }

  /** An instruction whose memory operand is a field of the data page, relative to RIP. */
  op_data(hex: string, field: number, instruction: string): this {
    this.op(hex, instruction);
    return this.word(this.data + field - (this.bytes.length + 4));
  }

  jump(hex: string, label: string): this {
    this.op(hex, `jump ${label}`);
    this.jumps.push({ at: this.bytes.length, label });
    this.bytes.push(0);
    return this;
  }

  label(name: string): this {
    this.labels.set(name, this.bytes.length);
    return this;
  }

  begin(name: string): this {
    while (this.bytes.length % 16 !== 0) this.bytes.push(0x90);
    this.functions.push({ name, offset: this.bytes.length });
    return this;
  }

  finish(): VdsoCode {
    for (const { at, label } of this.jumps) {
      const distance = (this.labels.get(label) as number) - (at + 1);
      if (distance < -128 || distance > 127) throw new Error(`vdso: jump to ${label} is too long`);
      this.bytes[at] = distance & 0xff;
    }
    const ends = [...this.functions.slice(1).map(({ offset }) => offset), this.bytes.length];
    return {
      bytes: Uint8Array.from(this.bytes),
      functions: this.functions.map((f, i) => ({ ...f, size: (ends[i] as number) - f.offset })),
    };
  }

  private word(value: number): this {
    for (let shift = 0; shift < 32; shift += 8) this.bytes.push((value >>> shift) & 0xff);
    return this;
  }
}

const JA = '77';
const JC = '72';
const JNC = '73';
const JZ = '74';
const JNZ = '75';
const JMP = 'eb';

/** rax = ns since boot; rdx is lost. */
function read_monotonic(a: Assembler): void {
  a.op('0f 31', 'rdtsc').op('48 c1 e2 20', 'shl $32, %rdx').op('48 09 d0', 'or %rdx, %rax');
}

/** r9 = seconds and rax = ns that together make the wall clock; r8, r10, rdx are lost. */
function read_wall(a: Assembler, again: string): void {
  a.label(again).op_data('44 8b 05', VVAR_SEQUENCE, 'mov sequence(%rip), %r8d');
  a.op('41 f6 c0 01', 'test $1, %r8b').jump(JNZ, again);
  a.op_data('4c 8b 0d', VVAR_SECONDS, 'mov seconds(%rip), %r9');
  a.op_data('4c 8b 15', VVAR_NANOSECONDS, 'mov nanoseconds(%rip), %r10');
  read_monotonic(a);
  a.op_data('44 3b 05', VVAR_SEQUENCE, 'cmp sequence(%rip), %r8d').jump(JNZ, again);
  a.op('4c 01 d0', 'add %r10, %rax');
}

/** rax = r9 plus the whole seconds in rax, rdx = the ns left. */
function split_seconds(a: Assembler): void {
  a.op('31 d2', 'xor %edx, %edx').op_imm('b9', 1_000_000_000, 'mov $1e9, %ecx').op('48 f7 f1', 'div %rcx');
  a.op('4c 01 c8', 'add %r9, %rax');
}

/** Jumps to `label` when bit edi of the mask is set (JC) or clear (JNC). */
function branch_on_clock(a: Assembler, mask: number, jump: string, label: string): void {
  a.op_imm('b8', mask, 'mov $mask, %eax').op('0f a3 f8', 'bt %edi, %eax').jump(jump, label);
}

function return_zero(a: Assembler): void {
  a.op('31 c0', 'xor %eax, %eax').op('c3', 'ret');
}

function system_call(a: Assembler, number: number): void {
  a.op_imm('b8', number, 'mov $number, %eax').op('0f 05', 'syscall').op('c3', 'ret');
}

/** int clock_gettime(clockid_t edi, struct timespec *rsi) */
function clock_gettime(a: Assembler): void {
  a.begin('clock_gettime');
  a.op(`83 ff ${LAST_CLOCK.toString(16).padStart(2, '0')}`, 'cmp $11, %edi').jump(JA, 'gettime_call');
  branch_on_clock(a, MONOTONIC_CLOCKS, JC, 'gettime_monotonic');
  branch_on_clock(a, WALL_CLOCKS, JNC, 'gettime_call');
  read_wall(a, 'gettime_again');
  a.label('gettime_store');
  split_seconds(a);
  a.op('48 89 06', 'mov %rax, (%rsi)').op('48 89 56 08', 'mov %rdx, 8(%rsi)');
  return_zero(a);
  a.label('gettime_monotonic').op('45 31 c9', 'xor %r9d, %r9d');
  read_monotonic(a);
  a.jump(JMP, 'gettime_store').label('gettime_call');
  system_call(a, SYS_CLOCK_GETTIME);
}

/** int gettimeofday(struct timeval *rdi, struct timezone *rsi) */
function gettimeofday(a: Assembler): void {
  a.begin('gettimeofday').op('48 85 ff', 'test %rdi, %rdi').jump(JZ, 'timeofday_zone');
  read_wall(a, 'timeofday_again');
  split_seconds(a);
  a.op('48 89 07', 'mov %rax, (%rdi)').op('89 d0', 'mov %edx, %eax').op('31 d2', 'xor %edx, %edx');
  a.op_imm('b9', 1000, 'mov $1000, %ecx').op('f7 f1', 'div %ecx').op('48 89 47 08', 'mov %rax, 8(%rdi)');
  a.label('timeofday_zone').op('48 85 f6', 'test %rsi, %rsi').jump(JZ, 'timeofday_end');
  a.op('48 c7 06 00 00 00 00', 'movq $0, (%rsi)').label('timeofday_end');
  return_zero(a);
}

/** time_t time(time_t *rdi) */
function time(a: Assembler): void {
  a.begin('time');
  read_wall(a, 'time_again');
  split_seconds(a);
  a.op('48 85 ff', 'test %rdi, %rdi').jump(JZ, 'time_end').op('48 89 07', 'mov %rax, (%rdi)');
  a.label('time_end').op('c3', 'ret');
}

/** int clock_getres(clockid_t edi, struct timespec *rsi) */
function clock_getres(a: Assembler): void {
  a.begin('clock_getres').op(`83 ff ${LAST_CLOCK.toString(16).padStart(2, '0')}`, 'cmp $11, %edi');
  a.jump(JA, 'getres_call').op_imm('b9', 1, 'mov $1, %ecx');
  branch_on_clock(a, FINE_CLOCKS, JC, 'getres_store');
  a.op_imm('b9', COARSE_NS, 'mov $COARSE_NS, %ecx');
  branch_on_clock(a, COARSE_CLOCKS, JNC, 'getres_call');
  a.label('getres_store').op('48 85 f6', 'test %rsi, %rsi').jump(JZ, 'getres_end');
  a.op('48 c7 06 00 00 00 00', 'movq $0, (%rsi)').op('48 89 4e 08', 'mov %rcx, 8(%rsi)').label('getres_end');
  return_zero(a);
  a.label('getres_call');
  system_call(a, SYS_CLOCK_GETRES);
}

/** int getcpu(unsigned *rdi, unsigned *rsi, void *): TSC_AUX has the vCPU's number in 12 bits, the node above. */
function getcpu(a: Assembler): void {
  a.begin('getcpu').op('0f 01 f9', 'rdtscp').op('48 85 ff', 'test %rdi, %rdi').jump(JZ, 'getcpu_node');
  a.op('89 c8', 'mov %ecx, %eax').op_imm('25', 0xfff, 'and $0xfff, %eax').op('89 07', 'mov %eax, (%rdi)');
  a.label('getcpu_node').op('48 85 f6', 'test %rsi, %rsi').jump(JZ, 'getcpu_end');
  a.op('c1 e9 0c', 'shr $12, %ecx').op('89 0e', 'mov %ecx, (%rsi)').label('getcpu_end');
  return_zero(a);
}

/** All functions; `data` is the address of the data page minus the address where the code begins. */
export function vdso_code(data: number): VdsoCode {
  const a = new Assembler(data);
  for (const emit of [clock_gettime, gettimeofday, time, clock_getres, getcpu]) emit(a);
  return a.finish();
}
