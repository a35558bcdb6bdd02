/**
 * Instructions as text, near to Intel's syntax: for debugging and for the reports of the oracles.
 */
import { type Instruction, type Operand, REGISTER_NONE, SEGMENT_FS, SEGMENT_NONE } from './instruction.ts';

const NAMES_64 = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const NAMES_32 = NAMES_64.map((name, n) => (n < 8 ? `e${name.slice(1)}` : `${name}d`));
const NAMES_16 = NAMES_64.map((name, n) => (n < 8 ? name.slice(1) : `${name}w`));
const NAMES_8 = 'al cl dl bl spl bpl sil dil'.split(' ').concat(NAMES_64.slice(8).map((name) => `${name}b`));
const NAMES_HIGH = ['ah', 'ch', 'dh', 'bh'];
const NAMES_SEGMENT = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

const POINTERS: Readonly<Record<number, string>> = {
  1: 'byte ptr ',
  2: 'word ptr ',
  4: 'dword ptr ',
  8: 'qword ptr ',
  10: 'tbyte ptr ',
  16: 'xmmword ptr ',
};

/** Mnemonics that depend on the operand size: for 2, 4 and 8 bytes. */
const BY_SIZE: Readonly<Record<string, readonly [string, string, string]>> = {
  CBW: ['cbw', 'cwde', 'cdqe'],
  CWD: ['cwd', 'cdq', 'cqo'],
  MOVS: ['movsw', 'movsd', 'movsq'],
  CMPS: ['cmpsw', 'cmpsd', 'cmpsq'],
  STOS: ['stosw', 'stosd', 'stosq'],
  LODS: ['lodsw', 'lodsd', 'lodsq'],
  SCAS: ['scasw', 'scasd', 'scasq'],
  INS: ['insw', 'insd', 'insd'],
  OUTS: ['outsw', 'outsd', 'outsd'],
  PUSHF: ['pushf', 'pushfq', 'pushfq'],
  POPF: ['popf', 'popfq', 'popfq'],
  IRET: ['iret', 'iretd', 'iretq'],
  SYSRET: ['sysret', 'sysret', 'sysretq'],
  SYSEXIT: ['sysexit', 'sysexit', 'sysexitq'],
};

/** The lower-case mnemonic, with the names that depend on operand or address size. */
export function mnemonic_of(i: Instruction): string {
  const { mnemonic } = i.row;
  const names = BY_SIZE[mnemonic];
  if (names !== undefined) return names[i.operand_size >> 2]!;
  if (mnemonic === 'JRCXZ' && i.address_size === 4) return 'jecxz';
  return mnemonic.toLowerCase();
}

/** The name of a general register of 1, 2, 4 or 8 bytes. */
export function gpr_name(register: number, size: number): string {
  if (size === 8) return NAMES_64[register]!;
  if (size === 4) return NAMES_32[register]!;
  return size === 2 ? NAMES_16[register]! : NAMES_8[register]!;
}

/** The name of a register operand. */
export function register_name(operand: Operand): string {
  switch (operand.cls) {
    case 'gpr':
      return gpr_name(operand.reg, operand.size);
    case 'gpr8h':
      return NAMES_HIGH[operand.reg]!;
    case 'segment':
      return NAMES_SEGMENT[operand.reg]!;
    case 'control':
      return `cr${operand.reg}`;
    case 'debug':
      return `dr${operand.reg}`;
    case 'st':
      return `st(${operand.reg})`;
    default:
      return operand.cls + operand.reg;
  }
}

function hex(value: number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** A 64-bit value given as halves, unsigned. */
function hex_64(lo: number, hi: number): string {
  if (hi === 0) return hex(lo >>> 0);
  return `0x${(hi >>> 0).toString(16)}${(lo >>> 0).toString(16).padStart(8, '0')}`;
}

/** The address expression: `fs:[rax+rcx*4-0x8]`. A RIP-relative one shows its target. */
function memory_text(i: Instruction, rip: bigint): string {
  const segment = i.segment === SEGMENT_NONE ? '' : i.segment === SEGMENT_FS ? 'fs:' : 'gs:';
  if (i.rip_relative) {
    const target = BigInt.asUintN(i.address_size * 8, rip + BigInt(i.length + i.displacement));
    return `${segment}[${i.address_size === 4 ? 'eip' : 'rip'}${signed(i.displacement)}] (0x${target.toString(16)})`;
  }
  const parts: string[] = [];
  if (i.base !== REGISTER_NONE) parts.push(gpr_name(i.base, i.address_size));
  if (i.index !== REGISTER_NONE) parts.push(`${gpr_name(i.index, i.address_size)}*${1 << i.scale_shift}`);
  if (parts.length === 0) {
    const high = i.address_size === 4 ? 0 : i.displacement_hi;
    return `${segment}[${hex_64(i.displacement, high)}]`;
  }
  return `${segment}[${parts.join('+')}${i.displacement === 0 ? '' : signed(i.displacement)}]`;
}

function signed(value: number): string {
  return value < 0 ? hex(value) : `+${hex(value)}`;
}

function operand_text(i: Instruction, n: number, rip: bigint): string {
  const operand = i.operands[n]!;
  switch (operand.kind) {
    case 'reg':
      return register_name(operand);
    case 'mem':
      return (POINTERS[operand.size] ?? '') + memory_text(i, rip);
    case 'rel':
      return `0x${BigInt.asUintN(64, rip + BigInt(i.length + i.imm_lo)).toString(16)}`;
    default:
      if (n > 0 && i.operands[n - 1]!.kind === 'imm') return hex(i.imm2);
      return i.imm_hi < 0 && i.imm_lo < 0 && i.row.operands[n]!.sign_extend
        ? hex(i.imm_lo)
        : hex_64(i.imm_lo, i.imm_hi);
  }
}

/** One line of text for an instruction at address `rip`. */
export function disassemble(i: Instruction, rip: bigint): string {
  const operands: string[] = [];
  for (let n = 0; n < i.operand_count; n++) operands.push(operand_text(i, n, rip));
  const prefix = (i.lock ? 'lock ' : '') + (i.rep ? 'rep ' : '') + (i.repne ? 'repne ' : '');
  return `${prefix}${mnemonic_of(i)}${operands.length === 0 ? '' : ' '}${operands.join(', ')}`;
}
