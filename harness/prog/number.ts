/** Numbers in memory: width, sign and byte order; and which values a type allows. */
import type { BufferType, IntSize, NumberType } from '../desc/types.ts';

/** The `size` lowest bytes of `value`, in the byte order of the type. */
export function bytes_of_number(type: NumberType, value: bigint): Uint8Array {
  const bytes = new Uint8Array(type.size);
  const low = Number(BigInt.asUintN(32, value));
  const high = type.size === 8 ? Number(BigInt.asUintN(32, value >> 32n)) : 0;
  for (let i = 0; i < type.size; i++) {
    const byte = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
    bytes[is_big_endian(type) ? type.size - 1 - i : i] = byte;
  }
  return bytes;
}

export function is_big_endian(type: NumberType): boolean {
  return type.kind === 'int' && type.big_endian;
}

/** The lowest `size` bytes of `value` in the opposite order. */
export function swap_bytes(value: bigint, size: IntSize): bigint {
  let swapped = 0n;
  for (let i = 0; i < size; i++) {
    swapped = (swapped << 8n) | (value & 0xffn);
    value >>= 8n;
  }
  return swapped;
}

/** True when a value lies in a range; values and bounds are signed 64-bit numbers. */
export function in_range(value: bigint, range: readonly [bigint, bigint]): boolean {
  const signed = BigInt.asIntN(64, value);
  return signed >= range[0] && signed <= range[1];
}

/** True when the type allows the value, also in a mutated program. */
export function allowed(type: NumberType, value: bigint): boolean {
  switch (type.kind) {
    case 'int':
      return !type.strict || type.range === undefined || in_range(value, type.range);
    case 'flags':
      return (
        !type.strict ||
        (type.bitmask ? (value & ~type.values.reduce((all, bit) => all | bit, 0n)) === 0n : type.values.includes(value))
      );
    case 'const':
      return value === type.value;
    case 'proc':
      return value < BigInt(type.per_proc);
    case 'len':
      return true;
  }
}

/** True when the type allows the contents: of a strict one only its values, with their NUL or without it. */
export function allowed_bytes(type: BufferType, bytes: Uint8Array): boolean {
  if (!type.strict) return true;
  const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  const is_it = (value: string): boolean =>
    value.length === end && bytes.subarray(0, end).every((byte, i) => byte === value.charCodeAt(i));
  return type.values.some(is_it);
}
