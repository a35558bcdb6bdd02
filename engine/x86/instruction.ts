/**
 * What the decoder produces and everyone else consumes: the row of the instruction table and the decoded
 * instruction. The table (`table*.ts`) is the single description that decoder, disassembler, interpreter,
 * translator, oracle and tests share (DESIGN D5).
 */

/** Register classes. High byte registers (ah, ch, dh, bh) are class 'gpr8h' with number 0-3. */
export type RegisterClass = 'gpr' | 'gpr8h' | 'xmm' | 'mm' | 'st' | 'segment' | 'control' | 'debug';

/** How one operand of a row is encoded. */
export interface OperandSpec {
  /** Where it comes from: ModRM.rm (register or memory), ModRM.reg, opcode low bits, immediate, fixed... */
  readonly from: 'rm' | 'rm_reg' | 'rm_mem' | 'reg' | 'opcode' | 'imm' | 'rel' | 'moffs' | 'fixed' | 'one';
  /** `from` as one of the SOURCE_* numbers, the three kinds of rm as one. */
  readonly source: number;
  readonly cls: RegisterClass;
  /** Bytes, or one of the SIZE_* codes. */
  readonly size: number;
  /** Register number where `from` is 'fixed'. */
  readonly fixed?: number;
  /** Immediate: sign-extended to 64 bits. Without it, an immediate is zero-extended. */
  readonly sign_extend?: boolean;
  readonly access: 'r' | 'w' | 'rw' | 'none';
}

/** Values of `OperandSpec.source`. */
export const SOURCE_RM = 0;
export const SOURCE_REG = 1;
export const SOURCE_OPCODE = 2;
export const SOURCE_IMM = 3;
export const SOURCE_REL = 4;
export const SOURCE_MOFFS = 5;
export const SOURCE_FIXED = 6;
export const SOURCE_ONE = 7;

/** Codes of `OperandSpec.size` that are not a number of bytes. */
export const SIZE_OPERAND = 0; // the instruction's operand size
export const SIZE_NONE = -1; // no size: lea, far pointers, environments
export const SIZE_Y = -2; // 8 with REX.W, otherwise 4; 66 does not matter
export const SIZE_Z = -3; // 2 where the operand size is 2, otherwise 4

/** Bits of `Row.attributes`. */
export const ATTR_LOCK = 1; // LOCK allowed with a memory destination
export const ATTR_REP = 2; // string instruction, REP prefixes repeat it
export const ATTR_BRANCH = 4; // ends a block
export const ATTR_PRIVILEGED = 8; // #GP in user mode
export const ATTR_DEFAULT_64 = 16; // operand size defaults to 64 bits (push, pop, near branches)
export const ATTR_ALIGNED = 32; // memory operand must be aligned to its size (16), else #GP
export const ATTR_UNDEFINED = 64; // #UD
export const ATTR_X87 = 128;
export const ATTR_MMX = 256;
export const ATTR_FORCE_64 = 512; // operand size is 64 bits whatever the prefixes say (near branches)
export const ATTR_BYTE = 1024; // operand size 1

/** RFLAGS bits. */
export const CF = 0x001;
export const PF = 0x004;
export const AF = 0x010;
export const ZF = 0x040;
export const SF = 0x080;
export const TF = 0x100;
export const DF = 0x400;
export const OF = 0x800;
export const ALL_FLAGS = CF | PF | AF | ZF | SF | OF;

export interface Row {
  /** Dense index in the table. */
  readonly id: number;
  readonly mnemonic: string;
  /** The encoding as the Intel manual writes it, e.g. '66 0F 38 17 /r'. */
  readonly encoding: string;
  readonly operands: readonly OperandSpec[];
  /** Key of the semantics; rows that differ only in encoding share one. */
  readonly semantics: string;
  readonly attributes: number;
  /** Condition code 0-15 for jcc, setcc, cmovcc; otherwise -1. */
  readonly condition: number;
  /**
   * Flags read, written with a defined value, and left undefined. A flag that is written only sometimes (a shift
   * by a count of zero keeps all of them) counts as read too: its old value may show. What is undefined only for
   * some inputs is in `undefines`; `undefined_flags()` tells exactly.
   */
  readonly reads: number;
  readonly writes: number;
  readonly undefines: number;
  /** CPUID feature that introduces it: 'base', 'sse', 'sse2', ... 'popcnt', 'cx16', 'x87', 'mmx'. */
  readonly feature: string;
}

/** An operand of a decoded instruction. */
export interface Operand {
  kind: 'reg' | 'mem' | 'imm' | 'rel';
  cls: RegisterClass;
  /** Register number (kind 'reg'). */
  reg: number;
  /** Bytes accessed, of an immediate the bytes encoded; SIZE_NONE where the specification says so. */
  size: number;
}

export const SEGMENT_NONE = -1;
export const SEGMENT_FS = 4;
export const SEGMENT_GS = 5;
export const REGISTER_NONE = -1;

/** A decoded instruction. The decoder fills one that it is given; nothing in it refers to guest memory. */
export interface Instruction {
  row: Row;
  length: number;
  /** 1 (byte instructions), 2, 4 or 8. Of SSE and x87 instructions: 8 with REX.W, otherwise 4 or 2. */
  operand_size: number;
  /** 4 or 8. */
  address_size: number;
  lock: boolean;
  /** The last of F3 (rep) and F2 (repne), unless it is part of the opcode. */
  rep: boolean;
  repne: boolean;
  /** Segment override that matters in 64-bit mode. */
  segment: number;
  operand_count: number;
  operands: Operand[];
  /** Memory operand, if one of the operands is 'mem'. */
  base: number;
  index: number;
  scale_shift: number;
  rip_relative: boolean;
  /** Displacement as two signed 32-bit halves; the high one is a sign extension except for moffs. */
  displacement: number;
  displacement_hi: number;
  /** The ModRM byte, -1 without one (x87's FOP needs it). */
  modrm: number;
  /**
   * Immediate or branch displacement as two signed 32-bit halves: sign-extended where the operand says so
   * (`sign_extend`, always for 'rel'), otherwise zero-extended.
   */
  imm_lo: number;
  imm_hi: number;
  /** Second immediate, unsigned (enter). */
  imm2: number;
}
