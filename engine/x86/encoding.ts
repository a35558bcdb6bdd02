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

const DIGIT_0 = 48;

/** Parses one row. Throws on a text that it does not understand: a mistake in the table. */
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
  const words = row.encoding.split(' ');
  for (let i = 0; i < words.length; i++) parse_word(e, words[i]!, row);
  for (let i = 0; i < row.operands.length; i++) {
    const from = row.operands[i]!.from;
    if (from === 'rm') e.modrm = MODRM_ANY;
    else if (from === 'rm_mem') e.modrm = MODRM_MEMORY;
    else if (from === 'rm_reg') e.modrm = MODRM_REGISTER;
  }
  return e;
}

function parse_word(e: Encoding, word: string, row: Row): void {
  if (word === '66' && e.opcode < 0 && e.map === MAP_ONE) e.prefix = PREFIX_66;
  else if (word === 'F3' && e.opcode < 0 && e.map === MAP_ONE) e.prefix = PREFIX_F3;
  else if (word === 'F2' && e.opcode < 0 && e.map === MAP_ONE) e.prefix = PREFIX_F2;
  else if (word === 'NP') e.prefix = PREFIX_NONE;
  else if (word === 'REX.W') e.w = 1;
  else if (word === '0F' && e.opcode < 0 && e.map === MAP_ONE) e.map = MAP_0F;
  else if (word === '38' && e.opcode < 0 && e.map === MAP_0F) e.map = MAP_0F38;
  else if (word === '3A' && e.opcode < 0 && e.map === MAP_0F) e.map = MAP_0F3A;
  else if (word === '/r') e.modrm = e.modrm === MODRM_ABSENT ? MODRM_ANY : e.modrm;
  else if (word[0] === '/') e.digit = word.charCodeAt(1) - DIGIT_0;
  else if (word.length === 2 && word[0] !== 'i' && word[1]! < 'a') parse_byte(e, Number.parseInt(word, 16), row);
  else if (word.endsWith('+r')) {
    parse_byte(e, Number.parseInt(word, 16), row);
    e.plus_register = true;
  } else if (word.endsWith('+i')) {
    parse_byte(e, Number.parseInt(word, 16), row);
    e.rm = -1;
  }
}

function parse_byte(e: Encoding, byte: number, row: Row): void {
  if (Number.isNaN(byte)) throw new Error(`instruction table: bad encoding ${row.encoding}`);
  if (e.opcode < 0) {
    e.opcode = byte;
    return;
  }
  e.modrm = MODRM_REGISTER;
  e.digit = (byte >> 3) & 7;
  e.rm = byte & 7;
}
