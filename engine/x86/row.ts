/**
 * Row constructors: how the table files write one instruction on one line.
 *
 *     row('ADC', '10 /r', 'Eb+,Gb', ADC_FLAGS, ATTR_LOCK)
 *
 * Encodings are the Intel manual's: mandatory prefix (NP: no 66, F2 or F3; none given: any prefix), REX.W, opcode
 * bytes, /r or /digit, `+r` (register in the opcode), `+i` (x87 register in ModRM), a second fixed byte (ModRM), and
 * immediates, which are there for the reader: the operands say how many bytes they take.
 *
 * An operand is a letter for where it comes from, a letter for its size and a mark for its access:
 *
 *   E ModRM.rm general register or memory   G ModRM.reg general register   R ModRM.rm register only   M memory only
 *   Z register in the opcode   W/U/V xmm: rm or memory, rm only, reg   Q/N/P mm likewise   S segment   C, D control
 *   T x87 register in ModRM.rm   I immediate   J branch displacement   O moffs   AL rAX ... fixed registers   1 the constant
 *   sizes: b w d q x(16) t(10) f(512) v(operand size) y(4 or 8) z(2 or 4) n(none); Ibs and Iz are sign-extended
 *   access: nothing read, `=` written, `+` read and written, `-` not accessed
 */
import {
  AF,
  ALL_FLAGS,
  CF,
  DF,
  OF,
  type OperandSpec,
  PF,
  type RegisterClass,
  type Row,
  SF,
  SIZE_NONE,
  SIZE_OPERAND,
  SIZE_Y,
  SIZE_Z,
  SOURCE_FIXED,
  SOURCE_IMM,
  SOURCE_MOFFS,
  SOURCE_ONE,
  SOURCE_OPCODE,
  SOURCE_REG,
  SOURCE_REL,
  SOURCE_RM,
  ZF,
} from './instruction.ts';

/** Flags that an instruction reads, writes and leaves undefined. */
export interface FlagUse {
  readonly reads: number;
  readonly writes: number;
  readonly undefines: number;
}

/** A row as the table files write it. `table.ts` numbers it and reads its operands, in place: there are many rows. */
export type RowSource = { -readonly [K in keyof Row]: Row[K] } & {
  /** The operands as written; `b` alone marks a byte instruction whose operands are implied. */
  readonly syntax: string;
};

const NO_OPERANDS: readonly OperandSpec[] = [];

const FLAG_BITS: Readonly<Record<string, number>> = { C: CF, P: PF, A: AF, Z: ZF, S: SF, O: OF, D: DF };

/** Builds a FlagUse from letters out of OSZAPC and D. */
export function flags(reads: string, writes: string, undefines = ''): FlagUse {
  return { reads: flag_mask(reads), writes: flag_mask(writes), undefines: flag_mask(undefines) };
}

function flag_mask(letters: string): number {
  let mask = 0;
  for (let i = 0; i < letters.length; i++) mask |= FLAG_BITS[letters[i]!]!;
  return mask;
}

/** Touches no flag. */
export const NO_FLAGS: FlagUse = { reads: 0, writes: 0, undefines: 0 };
/** Writes all six. */
export const SETS_ALL: FlagUse = { reads: 0, writes: ALL_FLAGS, undefines: 0 };

/** One row; `semantics` is the lower-case mnemonic unless given. */
export function row(
  mnemonic: string,
  encoding: string,
  syntax = '',
  use: FlagUse = NO_FLAGS,
  attributes = 0,
  semantics = mnemonic.toLowerCase(),
  condition = -1,
): RowSource {
  const { reads, writes, undefines } = use;
  return {
    id: 0,
    mnemonic,
    encoding,
    operands: NO_OPERANDS,
    semantics,
    attributes,
    condition,
    reads,
    writes,
    undefines,
    feature: '',
    syntax,
  };
}

/** Names of the condition codes 0-15, as the manual prefers them. */
export const CONDITIONS = ['O', 'NO', 'B', 'AE', 'E', 'NE', 'BE', 'A', 'S', 'NS', 'P', 'NP', 'L', 'GE', 'LE', 'G'];

const CONDITION_READS = ['O', 'C', 'Z', 'CZ', 'S', 'P', 'SO', 'ZSO'].map((letters) => flags(letters, ''));

/** Flags that condition 0-15 reads. */
export function condition_flags(condition: number): FlagUse {
  return CONDITION_READS[condition >> 1]!;
}

/** The sixteen rows of a conditional instruction: opcode low four bits are the condition. */
export function conditional(prefix: string, map: string, high: number, tail: string, operands: string, attributes = 0) {
  return CONDITIONS.map((name, condition) => {
    const opcode = (high + condition).toString(16).toUpperCase();
    const encoding = `${map}${opcode}${tail}`;
    const semantics = `${prefix.toLowerCase()}cc`;
    return row(prefix + name, encoding, operands, condition_flags(condition), attributes, semantics, condition);
  });
}

const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  w: 2,
  d: 4,
  q: 8,
  t: 10,
  x: 16,
  f: 512,
  v: SIZE_OPERAND,
  n: SIZE_NONE,
  y: SIZE_Y,
  z: SIZE_Z,
};

const SOURCES: Readonly<Record<string, readonly [OperandSpec['from'], RegisterClass, number]>> = {
  E: ['rm', 'gpr', SOURCE_RM],
  G: ['reg', 'gpr', SOURCE_REG],
  R: ['rm_reg', 'gpr', SOURCE_RM],
  M: ['rm_mem', 'gpr', SOURCE_RM],
  Z: ['opcode', 'gpr', SOURCE_OPCODE],
  W: ['rm', 'xmm', SOURCE_RM],
  U: ['rm_reg', 'xmm', SOURCE_RM],
  V: ['reg', 'xmm', SOURCE_REG],
  Q: ['rm', 'mm', SOURCE_RM],
  N: ['rm_reg', 'mm', SOURCE_RM],
  P: ['reg', 'mm', SOURCE_REG],
  S: ['reg', 'segment', SOURCE_REG],
  C: ['reg', 'control', SOURCE_REG],
  D: ['reg', 'debug', SOURCE_REG],
  T: ['rm_reg', 'st', SOURCE_RM],
  I: ['imm', 'gpr', SOURCE_IMM],
  J: ['rel', 'gpr', SOURCE_REL],
  O: ['moffs', 'gpr', SOURCE_MOFFS],
};

/** Fixed registers: class, number, size. */
const FIXED: Readonly<Record<string, readonly [RegisterClass, number, number]>> = {
  AL: ['gpr', 0, 1],
  CL: ['gpr', 1, 1],
  AX: ['gpr', 0, 2],
  DX: ['gpr', 2, 2],
  eAX: ['gpr', 0, SIZE_Z],
  rAX: ['gpr', 0, SIZE_OPERAND],
  FS: ['segment', 4, SIZE_OPERAND],
  GS: ['segment', 5, SIZE_OPERAND],
  ST0: ['st', 0, 10],
  XMM0: ['xmm', 0, 16],
};

const ACCESSES: Readonly<Record<string, OperandSpec['access']>> = { '=': 'w', '+': 'rw', '-': 'none' };

const parsed = new Map<string, OperandSpec>();

/** The specification that an operand token stands for (see the head of this file). Throws on an unknown token. */
export function operand_spec(token: string): OperandSpec {
  let spec = parsed.get(token);
  if (spec === undefined) {
    spec = parse_operand(token);
    parsed.set(token, spec);
  }
  return spec;
}

function parse_operand(token: string): OperandSpec {
  const mark = ACCESSES[token[token.length - 1]!];
  const access = mark ?? 'r';
  const name = mark === undefined ? token : token.slice(0, -1);
  const fixed = FIXED[name];
  if (fixed !== undefined) {
    return { from: 'fixed', source: SOURCE_FIXED, cls: fixed[0], fixed: fixed[1], size: fixed[2], access };
  }
  if (name === '1') return { from: 'one', source: SOURCE_ONE, cls: 'gpr', size: 1, access };
  const found = SOURCES[name[0]!];
  const size = SIZES[name[1]!];
  if (found === undefined || size === undefined) throw new Error(`instruction table: unknown operand ${token}`);
  const [from, cls, source] = found;
  if (from === 'rel') return { from, source, cls, size, access, sign_extend: true };
  if (from !== 'imm') return { from, source, cls, size, access };
  return { from, source, cls, size, access, sign_extend: name[2] === 's' || size === SIZE_Z };
}
