/**
 * The instruction table: all rows, numbered. The families write them (`table_*.ts`), `row.ts` says how to read them.
 */
import type { OperandSpec, Row } from './instruction.ts';
import { operand_spec, type RowSource } from './row.ts';
import { INTEGER_FEATURE_ROWS, INTEGER_ROWS } from './table_integer.ts';
import { SYSTEM_FEATURE_ROWS, SYSTEM_ROWS } from './table_system.ts';

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
      attributes: source.attributes | attributes,
      condition: source.condition,
      reads: source.flags.reads,
      writes: source.flags.writes,
      undefines: source.flags.undefines,
      feature,
    });
  }
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

/** Row 0: what an instruction that could not be decoded carries. */
export const INVALID_ROW: Row = rows[0]!;

/** Every row, indexed by `Row.id`. Row 0 is INVALID_ROW, all others are instructions. */
export const ROWS: readonly Row[] = rows;

/** True for instructions on bytes (operand size 1). */
export function is_byte_row(row: Row): boolean {
  return byte_rows[row.id]!;
}
