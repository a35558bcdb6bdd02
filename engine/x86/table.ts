/**
 * The instruction table: all rows, numbered. The families write them (`table_*.ts`), `row.ts` says how to read them.
 */
import { ATTR_ALIGNED, ATTR_BYTE, ATTR_MMX, ATTR_X87, type OperandSpec, type Row } from './instruction.ts';
import { NO_FLAGS, operand_spec, type RowSource, row } from './row.ts';
import { INTEGER_FEATURE_ROWS, INTEGER_ROWS } from './table_integer.ts';
import { MMX_ROWS } from './table_mmx.ts';
import { SSE_ROWS, UNALIGNED } from './table_sse.ts';
import { SYSTEM_FEATURE_ROWS, SYSTEM_ROWS } from './table_system.ts';
import { X87_ROWS } from './table_x87.ts';

const rows: Row[] = [];

/** What an operand text stands for; few texts serve many rows. */
interface Operands {
  readonly specs: readonly OperandSpec[];
  /** A 16-byte SSE memory operand, which must be aligned unless the mnemonic is one of UNALIGNED. */
  readonly aligned: boolean;
  readonly attributes: number;
}

const operands_of_text = new Map<string, Operands>();

function parse_operands(text: string): Operands {
  const specs = text === '' || text === 'b' ? [] : text.split(',').map(operand_spec);
  let mmx = false;
  let xmm = false;
  let memory_16 = false;
  for (const { cls, from, size } of specs) {
    if (cls === 'mm') mmx = true;
    if (cls === 'xmm') xmm = true;
    if ((from === 'rm' || from === 'rm_mem') && size === 16) memory_16 = true;
  }
  return {
    specs,
    aligned: xmm && memory_16,
    attributes: (mmx ? ATTR_MMX : 0) | (text === 'b' || is_byte_instruction(specs) ? ATTR_BYTE : 0),
  };
}

/** A byte instruction: its first operand is a byte register or byte in memory. */
function is_byte_instruction(operands: readonly OperandSpec[]): boolean {
  const first = operands[0];
  return first !== undefined && first.size === 1 && first.from !== 'imm' && first.from !== 'rel' && first.cls === 'gpr';
}

function add(feature: string, sources: readonly RowSource[], attributes = 0): void {
  for (let i = 0; i < sources.length; i++) {
    const source = sources[i]!;
    let operands = operands_of_text.get(source.syntax);
    if (operands === undefined) {
      operands = parse_operands(source.syntax);
      operands_of_text.set(source.syntax, operands);
    }
    const aligned = operands.aligned && !UNALIGNED.includes(source.mnemonic) ? ATTR_ALIGNED : 0;
    source.id = rows.length;
    source.operands = operands.specs;
    source.attributes |= attributes | operands.attributes | aligned;
    source.feature = feature;
    rows.push(source);
  }
}

function add_features(features: Readonly<Record<string, readonly RowSource[]>>, attributes = 0): void {
  for (const feature of Object.keys(features)) add(feature, features[feature]!, attributes);
}

// Row 0 stands for "no instruction" in the decoder's tables.
add('none', [row('INVALID', '', '', NO_FLAGS, 0, 'undefined')]);
add('base', INTEGER_ROWS);
add('base', SYSTEM_ROWS);
add_features(INTEGER_FEATURE_ROWS);
add_features(SYSTEM_FEATURE_ROWS);
add_features(SSE_ROWS);
add_features(MMX_ROWS);
add_features(X87_ROWS, ATTR_X87);

/** Row 0: what an instruction that could not be decoded carries. */
export const INVALID_ROW: Row = rows[0]!;

/** Every row, indexed by `Row.id`. Row 0 is INVALID_ROW, all others are instructions. */
export const ROWS: readonly Row[] = rows;

/** True for instructions on bytes (operand size 1). */
export function is_byte_row(row: Row): boolean {
  return (row.attributes & ATTR_BYTE) !== 0;
}
