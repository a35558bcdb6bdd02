/**
 * Random encodings of a row of the instruction table, with the places of displacement and immediate kept so
 * that a memory operand can be aimed.
 */
import { decode, new_instruction } from '../../engine/x86/decoder.ts';
import {
  type Encoding,
  MAP_0F,
  MAP_0F3A,
  MAP_0F38,
  MODRM_ABSENT,
  MODRM_MEMORY,
  MODRM_REGISTER,
  PREFIX_66,
  PREFIX_ANY,
  PREFIX_F2,
  PREFIX_F3,
} from '../../engine/x86/encoding.ts';
import { ATTR_LOCK, ATTR_REP, type Instruction, type Row } from '../../engine/x86/instruction.ts';
import { ENCODINGS } from '../../engine/x86/lookup.ts';
import { one_in, pick, type Random } from './values.ts';

export interface Encoded {
  readonly bytes: Uint8Array;
  readonly instruction: Instruction;
  /** Offset and size of the ModRM displacement; size 0 without one. */
  readonly displacement_at: number;
  readonly displacement_size: number;
  /** Offset of what follows ModRM, SIB and displacement: immediates, rel, moffs. */
  readonly tail_at: number;
}

function is_sized(row: Row): boolean {
  return row.operands.some((operand) => operand.size === 0 || operand.size === -3) || row.operands.length === 0;
}

function legacy_prefixes(row: Row, e: Encoding, random: Random): number[] {
  const out: number[] = [];
  if ((row.attributes & ATTR_LOCK) !== 0 && one_in(random, 3)) out.push(0xf0);
  if ((row.attributes & ATTR_REP) !== 0 && e.prefix === PREFIX_ANY && !one_in(random, 3))
    out.push(pick(random, [0xf2, 0xf3]));
  if (one_in(random, 40)) out.push(pick(random, [0x64, 0x65]));
  if (one_in(random, 60)) out.push(pick(random, [0x26, 0x2e, 0x36, 0x3e]));
  if (one_in(random, 25)) out.push(0x67);
  if (e.prefix === PREFIX_ANY && (is_sized(row) ? one_in(random, 3) : one_in(random, 40))) out.push(0x66);
  if (e.prefix === PREFIX_F2 || e.prefix === PREFIX_F3) {
    if (is_sized(row) && one_in(random, 4)) out.push(0x66);
    out.push(e.prefix === PREFIX_F2 ? 0xf2 : 0xf3);
  }
  if (e.prefix === PREFIX_66) out.push(0x66);
  return out;
}

/** ModRM, SIB and a displacement of zeros. */
function modrm_bytes(e: Encoding, random: Random): { bytes: number[]; displacement_size: number } {
  const reg = e.digit >= 0 ? e.digit : random() & 7;
  const register = e.modrm === MODRM_REGISTER || (e.modrm !== MODRM_MEMORY && one_in(random, 3));
  if (register) return { bytes: [0xc0 | (reg << 3) | (e.rm >= 0 ? e.rm : random() & 7)], displacement_size: 0 };
  const mod = random() % 3;
  const rm = random() & 7;
  const bytes = [(mod << 6) | (reg << 3) | rm];
  let displacement_size = mod === 0 ? 0 : mod === 1 ? 1 : 4;
  if (rm === 4) {
    const sib = random() & 0xff;
    bytes.push(sib);
    if (mod === 0 && (sib & 7) === 5) displacement_size = 4;
  } else if (mod === 0 && rm === 5) displacement_size = 4;
  return { bytes, displacement_size };
}

function opcode_bytes(e: Encoding, random: Random): number[] {
  const opcode = e.plus_register ? e.opcode | (random() & 7) : e.opcode;
  if (e.map === MAP_0F) return [0x0f, opcode];
  if (e.map === MAP_0F38) return [0x0f, 0x38, opcode];
  return e.map === MAP_0F3A ? [0x0f, 0x3a, opcode] : [opcode];
}

/** One random encoding of the row, or null when the draw decodes as another row or not at all. */
export function random_encoding(row: Row, random: Random): Encoded | null {
  const e = ENCODINGS[row.id] as Encoding;
  const bytes = legacy_prefixes(row, e, random);
  let rex = one_in(random, 2) ? 0x40 | (random() & 7) : 0;
  if (e.w === 1 || (e.w === -1 && one_in(random, 3))) rex |= 0x48;
  if (rex !== 0) bytes.push(rex);
  bytes.push(...opcode_bytes(e, random));
  let displacement_size = 0;
  let displacement_at = 0;
  if (e.modrm !== MODRM_ABSENT) {
    const modrm = modrm_bytes(e, random);
    bytes.push(...modrm.bytes);
    displacement_size = modrm.displacement_size;
    displacement_at = bytes.length;
    for (let i = 0; i < displacement_size; i++) bytes.push(0);
  }
  const tail_at = bytes.length;
  while (bytes.length < 32) bytes.push(random() & 0xff);
  const buffer = Uint8Array.from(bytes);
  const instruction = new_instruction();
  const length = decode(buffer, 0, buffer.length, instruction);
  if (length <= 0 || instruction.row !== row) return null;
  return { bytes: buffer.subarray(0, length), instruction, displacement_at, displacement_size, tail_at };
}

/** Decodes again after bytes were patched. */
export function redecode(encoded: Encoded): void {
  decode(encoded.bytes, 0, encoded.bytes.length, encoded.instruction);
}
