/**
 * The instruction table: all rows, numbered. The families write them (`table_*.ts`), `row.ts` says how to read them.
 */
import { ATTR_ALIGNED, ATTR_MMX, ATTR_X87, type OperandSpec, type Row } from './instruction.ts';
import { operand_spec, type RowSource } from './row.ts';
import { INTEGER_FEATURE_ROWS, INTEGER_ROWS } from './table_integer.ts';
import { MMX_ROWS } from './table_mmx.ts';
import { SSE_ROWS, UNALIGNED } from './table_sse.ts';
import { SYSTEM_FEATURE_ROWS, SYSTEM_ROWS } from './table_system.ts';
import { X87_ROWS } from './table_x87.ts';

const rows: Row[] = [];
const byte_rows: boolean[] = [];
const NO_OPERANDS: readonly OperandSpec[] = [];

function add(feature: string, sources: readonly RowSource[], attributes = 0): void {
  for (let i = 0; i < sources.length; i++) {
    const source = sources[i]!;
    const tokens = source.operands;
    const implied = tokens === '' || tokens === 'b';
    const operands = implied ? NO_OPERANDS : tokens.split(',').map(operand_spec);
    byte_rows.push(tokens === 'b' || is_byte_instruction(operands));
    rows.push({
      id: rows.length,
      mnemonic: source.mnemonic,
      encoding: source.encoding,
      operands,
      semantics: source.semantics,
      attributes: source.attributes | attributes | implied_attributes(source.mnemonic, operands),
      condition: source.condition,
      reads: source.flags.reads,
      writes: source.flags.writes,
      undefines: source.flags.undefines,
      feature,
    });
  }
}

/** A 16-byte SSE memory operand must be aligned; mm registers make it an MMX instruction. */
function implied_attributes(mnemonic: string, operands: readonly OperandSpec[]): number {
  let attributes = 0;
  let xmm = false;
  let memory_16 = false;
  for (let n = 0; n < operands.length; n++) {
    const { cls, from, size } = operands[n]!;
    if (cls === 'mm') attributes |= ATTR_MMX;
    if (cls === 'xmm') xmm = true;
    if ((from === 'rm' || from === 'rm_mem') && size === 16) memory_16 = true;
  }
  if (xmm && memory_16 && !UNALIGNED.includes(mnemonic)) attributes |= ATTR_ALIGNED;
  return attributes;
}

/** A byte instruction: its destination, or its only sized operand, is a byte. */
function is_byte_instruction(operands: readonly OperandSpec[]): boolean {
  const first = operands[0];
  return first !== undefined && first.size === 1 && first.from !== 'imm' && first.from !== 'rel' && first.cls === 'gpr';
}

function add_features(features: Readonly<Record<string, readonly RowSource[]>>, attributes = 0): void {
  for (const feature of Object.keys(features)) add(feature, features[feature]!, attributes);
}

// Row 0 stands for "no instruction" in the decoder's tables.
add('none', [
  {
    mnemonic: 'INVALID',
    encoding: '',
    operands: '',
    flags: { reads: 0, writes: 0, undefines: 0 },
    attributes: 0,
    semantics: 'undefined',
    condition: -1,
  },
]);
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
  return byte_rows[row.id]!;
}
