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

const FAMILIES: readonly Family[] = [ARITHMETIC, MOVE, BITS, SHIFT, MULTIPLY, CONTROL, STRING, SYSTEM];

/** The semantics of `Row.semantics`, or undefined when there are none. */
export function semantics_of(key: string): Semantics | undefined {
  for (const family of FAMILIES) if (Object.hasOwn(family, key)) return family[key];
  return undefined;
}
