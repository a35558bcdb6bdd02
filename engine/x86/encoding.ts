/**
 * Reads the encoding text of a row ('66 REX.W 0F 3A 16 /r ib') into what decoder and encoder need.
 */
import type { Row } from './instruction.ts';

/** Opcode maps. */
export const MAP_ONE = 0; // one-byte opcodes
export const MAP_0F = 1;
export const MAP_0F38 = 2;
export const MAP_0F3A = 3;

/** Mandatory prefix of a row. */
export const PREFIX_ANY = -1;
export const PREFIX_NONE = 0;
export const PREFIX_66 = 1;
export const PREFIX_F3 = 2;
export const PREFIX_F2 = 3;

/** Which forms of ModRM a row takes. */
export const MODRM_ABSENT = 0;
export const MODRM_ANY = 1;
export const MODRM_MEMORY = 2;
export const MODRM_REGISTER = 3;

export interface Encoding {
  map: number;
  opcode: number;
  prefix: number;
  /** 1 where REX.W is required, otherwise -1. */
  w: number;
  modrm: number;
  /** Required ModRM.reg, or -1. */
  digit: number;
  /** Required ModRM.rm (with MODRM_REGISTER), or -1. */
  rm: number;
  /** The low three bits of the opcode are a register. */
  plus_register: boolean;
}

const SPACE = 32;
const PLUS = 43;
const SLASH = 47;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
const LETTER_A = 65;
const LETTER_N = 78;
const LETTER_R = 82;
const SMALL_A = 97;
const SMALL_R = 114;

/** Parses one row. It runs for every row when the module loads, so it looks at each character once. */
export function parse_encoding(row: Row): Encoding {
  const e: Encoding = {
    map: MAP_ONE,
    opcode: -1,
    prefix: PREFIX_ANY,
    w: -1,
    modrm: MODRM_ABSENT,
    digit: -1,
    rm: -1,
    plus_register: false,
  };
  const text = row.encoding;
  const length = text.length;
  for (let at = 0; at < length; at++) {
    const first = text.charCodeAt(at);
    if (first === SLASH) {
      const next = text.charCodeAt(at + 1);
      e.modrm = MODRM_ANY;
      if (next !== SMALL_R) e.digit = next - DIGIT_0;
    } else if (first === LETTER_N) e.prefix = PREFIX_NONE;
    else if (first === LETTER_R) e.w = 1;
    else if (first < SMALL_A) {
      add_byte(e, hex_digit(first) * 16 + hex_digit(text.charCodeAt(at + 1)));
      if (text.charCodeAt(at + 2) === PLUS) {
        if (text.charCodeAt(at + 3) === SMALL_R) e.plus_register = true;
        else e.rm = -1;
      }
    }
    while (at < length && text.charCodeAt(at) !== SPACE) at++;
  }
  const operands = row.operands;
  for (let i = 0; i < operands.length; i++) {
    const from = operands[i]!.from;
    if (from === 'rm') e.modrm = MODRM_ANY;
    else if (from === 'rm_mem') e.modrm = MODRM_MEMORY;
    else if (from === 'rm_reg') e.modrm = MODRM_REGISTER;
  }
  return e;
}

function hex_digit(code: number): number {
  return code <= DIGIT_9 ? code - DIGIT_0 : code - LETTER_A + 10;
}

/** A byte is a mandatory prefix, an escape, the opcode or, after the opcode, a fixed ModRM. */
function add_byte(e: Encoding, byte: number): void {
  if (e.opcode >= 0) {
    e.modrm = MODRM_REGISTER;
    e.digit = (byte >> 3) & 7;
    e.rm = byte & 7;
  } else if (e.map === MAP_ONE && byte === 0x66) e.prefix = PREFIX_66;
  else if (e.map === MAP_ONE && byte === 0xf3) e.prefix = PREFIX_F3;
  else if (e.map === MAP_ONE && byte === 0xf2) e.prefix = PREFIX_F2;
  else if (e.map === MAP_ONE && byte === 0x0f) e.map = MAP_0F;
  else if (e.map === MAP_0F && byte === 0x38) e.map = MAP_0F38;
  else if (e.map === MAP_0F && byte === 0x3a) e.map = MAP_0F3A;
  else e.opcode = byte;
}
