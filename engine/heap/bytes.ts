// @hot
/**
 * Byte strings in machine memory. Linux names are bytes, not text: compare and hash them as they are,
 * and convert to JavaScript strings only where a person or the host reads them.
 */
import { memory_copy, memory_fill, U8 } from './memory.ts';

/** Copies `length` bytes; the ranges may overlap. */
export function bytes_copy(target: number, source: number, length: number): void {
  memory_copy(target, source, length);
}

/** Zeroes `length` bytes. */
export function bytes_zero(address: number, length: number): void {
  memory_fill(address, 0, length);
}

/** Whether two byte ranges are equal. */
export function bytes_equal(a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (U8[a + i] !== U8[b + i]) return false;
  return true;
}

/** Bytes before the first NUL, at most `limit`. */
export function bytes_length(address: number, limit: number): number {
  let length = 0;
  while (length < limit && U8[address + length] !== 0) length++;
  return length;
}

/** FNV-1a over a byte range, unsigned. */
export function bytes_hash(address: number, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ (U8[address + i] as number), 0x01000193);
  return hash >>> 0;
}

/**
 * Reads bytes as text for people: one character a byte (Latin-1), so that every byte string round-trips
 * through `bytes_write`.
 */
export function bytes_read(address: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += String.fromCharCode(U8[address + i] as number);
  return text;
}

/** Writes text whose characters are bytes (0-255), with no terminator. Returns its length. */
export function bytes_write(address: number, text: string): number {
  for (let i = 0; i < text.length; i++) U8[address + i] = text.charCodeAt(i);
  return text.length;
}
