/**
 * Names of loads and stores by type and size.
 */
import type { ValueType } from '../wasm/opcodes.ts';

/** Load and store of an integer of `size` bytes as i64. */
export const LOAD_U64: Readonly<Record<number, string>> = {
  1: 'i64.load8_u',
  2: 'i64.load16_u',
  4: 'i64.load32_u',
  8: 'i64.load',
};
export const LOAD_S64: Readonly<Record<number, string>> = {
  1: 'i64.load8_s',
  2: 'i64.load16_s',
  4: 'i64.load32_s',
  8: 'i64.load',
};
export const STORE_64: Readonly<Record<number, string>> = {
  1: 'i64.store8',
  2: 'i64.store16',
  4: 'i64.store32',
  8: 'i64.store',
};

/** The load that reads `size` bytes as a type. */
export function load_name(type: ValueType, size: number, signed: boolean): string {
  if (type === 'i64') return (signed ? LOAD_S64 : LOAD_U64)[size] as string;
  if (type === 'v128') return size === 16 ? 'v128.load' : size === 8 ? 'v128.load64_zero' : 'v128.load32_zero';
  if (type === 'i32' && size < 4) return `i32.load${size * 8}_${signed ? 's' : 'u'}`;
  return `${type}.load`;
}

/** The store that writes the low `size` bytes of a type. */
export function store_name(type: ValueType, size: number): string {
  if (type === 'i64') return STORE_64[size] as string;
  if (type === 'i32' && size < 4) return `i32.store${size * 8}`;
  return `${type}.store`;
}
