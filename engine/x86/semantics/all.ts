/**
 * All semantics by their key in the instruction table.
 */
import type { Family, Semantics } from '../ir.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { BITS } from './bits.ts';
import { CONTROL } from './control.ts';
import { MOVE } from './move.ts';
import { MULTIPLY } from './multiply.ts';
import { SHIFT } from './shift.ts';
import { STRING } from './string.ts';
import { SYSTEM } from './system.ts';
import { VECTOR_FLOAT } from './vector_float.ts';
import { VECTOR_INTEGER } from './vector_integer.ts';
import { VECTOR_MOVE } from './vector_move.ts';
import { X87 } from './x87.ts';

const FAMILIES: readonly Family[] = [
  ARITHMETIC,
  MOVE,
  BITS,
  SHIFT,
  MULTIPLY,
  CONTROL,
  STRING,
  SYSTEM,
  VECTOR_MOVE,
  VECTOR_INTEGER,
  VECTOR_FLOAT,
  X87,
];

/** The semantics of `Row.semantics`, or undefined when there are none. */
export function semantics_of(key: string): Semantics | undefined {
  for (const family of FAMILIES) if (Object.hasOwn(family, key)) return family[key];
  return undefined;
}
