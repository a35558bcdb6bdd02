/** Contents of buffers: sizes, strings and paths to begin with, and mutations of what is there. */
import type { BufferType } from '../desc/types.ts';
import type { DataArg } from './model.ts';
import type { Random } from './random.ts';

const WORDS = ['f0', 'tmpfs', 'user', 'root', 'security', 'posix_acl', 'self', 'size=', 'proc', 'lo'] as const;
const PUNCTUATION = '!@#$%^&*()-_+=[]{}\\|:;\'",.<>/?~ ' as const;
/** Mutation makes no buffer longer than this. */
const MAX_MUTATED = 64 * 1024;

function to_bytes(text: string, terminated: boolean): Uint8Array {
  const bytes = new Uint8Array(text.length + (terminated ? 1 : 0));
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const PATH_MAX = 4096;

/** The text before the NUL; of a path that is too long, its beginning. */
function text_of(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, PATH_MAX)));
}

/** A size that the type allows: mostly small, at times one of the ends. */
export function random_blob_size(random: Random, type: BufferType): number {
  const { min, max } = type;
  if (min === max) return min;
  if (random.one_in(50)) return random.one_in(2) ? min : max;
  const most = random.one_in(20) ? max : Math.min(max, min + 256);
  return random.between(min, most);
}

/** A NUL-terminated string; seldom one whose end is missing. */
export function random_string(random: Random, type: BufferType): Uint8Array {
  if (type.strict) return to_bytes(random.pick(type.values), true);
  const terminated = !random.one_in(100);
  if (type.values.length > 0 && random.n_out_of(2, 3)) return to_bytes(random.pick(type.values), terminated);
  let text = '';
  while (random.n_out_of(3, 4)) {
    const kind = random.below(4);
    if (kind === 0) text += random.pick(WORDS);
    else if (kind === 1) text += PUNCTUATION[random.below(PUNCTUATION.length)];
    else text += String.fromCharCode(random.between(1, 255));
  }
  return to_bytes(text, terminated || text === '');
}

/** A path: one that the program uses already, one of the type's, or a new one beside or below them. */
export function random_filename(random: Random, type: BufferType, files: readonly DataArg[]): Uint8Array {
  if (type.strict) return to_bytes(random.pick(type.values), true);
  if (random.one_in(100)) return to_bytes(`./${'x'.repeat(random.pick([254, 255, 256, 4093, 4094]))}`, true);
  if (files.length > 0 && random.n_out_of(2, 3)) {
    const path = text_of(random.pick(files).bytes);
    const below =
      path.length < 64 && random.one_in(5) ? `${path}/${random.one_in(5) ? '..' : `f${random.below(3)}`}` : path;
    return to_bytes(below, true);
  }
  if (type.values.length > 0 && random.n_out_of(2, 3)) return to_bytes(random.pick(type.values), true);
  return to_bytes(`./f${random.below(4)}`, !random.one_in(100));
}

type BlobMutator = (random: Random, bytes: Uint8Array, min: number, max: number) => Uint8Array;

/** Each changes bytes in one way, or answers the same array when it cannot. */
const BLOB_MUTATORS: readonly BlobMutator[] = [
  flip_bit,
  insert_bytes,
  remove_bytes,
  append_bytes,
  set_byte,
  set_number,
  add_number,
];

/** Changes a copy of `bytes`; at least once, and again 2 times out of 3. Its length stays from `min` to `max`. */
export function mutate_blob(random: Random, bytes: Uint8Array, min: number, max: number): Uint8Array {
  let result: Uint8Array = bytes.slice();
  const most = Math.max(min, Math.min(max, MAX_MUTATED));
  do {
    for (let tries = 0; tries < 10; tries++) {
      const before = result;
      result = random.pick(BLOB_MUTATORS)(random, result, min, most);
      if (result !== before) break;
    }
  } while (random.n_out_of(2, 3));
  return result;
}

function flip_bit(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  const copy = bytes.slice();
  copy[random.below(copy.length)]! ^= 1 << random.below(8);
  return copy;
}

/** A few random bytes in the middle; at the maximal length the end falls off. */
function insert_bytes(random: Random, bytes: Uint8Array, _min: number, max: number): Uint8Array {
  const count = random.between(1, 16);
  if (bytes.length === 0 || bytes.length === max) return bytes;
  const at = random.below(bytes.length);
  return joined(bytes.subarray(0, at), random.bytes(count), bytes.subarray(at)).subarray(0, max);
}

function remove_bytes(random: Random, bytes: Uint8Array, min: number): Uint8Array {
  const count = random.between(1, 16);
  if (bytes.length - count < min || count > bytes.length) return bytes;
  const at = random.below(bytes.length - count + 1);
  return joined(bytes.subarray(0, at), bytes.subarray(at + count));
}

function append_bytes(random: Random, bytes: Uint8Array, _min: number, max: number): Uint8Array {
  const count = Math.min(max - bytes.length, random.one_in(4) ? 256 : random.between(1, 32));
  return count <= 0 ? bytes : joined(bytes, random.bytes(count));
}

function set_byte(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  const copy = bytes.slice();
  copy[random.below(copy.length)] = random.below(256);
  return copy;
}

/** Puts an interesting number of 1, 2, 4 or 8 bytes anywhere, in either byte order. */
function set_number(random: Random, bytes: Uint8Array): Uint8Array {
  return with_number(random, bytes, () => random.integer());
}

/** Adds a small number, positive or negative, to one of 1, 2, 4 or 8 bytes. */
function add_number(random: Random, bytes: Uint8Array): Uint8Array {
  return with_number(random, bytes, (value) => value + BigInt(random.between(-35, 35) || 1));
}

function with_number(random: Random, bytes: Uint8Array, change: (value: bigint) => bigint): Uint8Array {
  const width = 1 << random.below(4);
  if (bytes.length < width) return bytes;
  const copy = bytes.slice();
  const at = random.below(bytes.length - width + 1);
  const big_endian = random.one_in(10);
  const place = (i: number): number => at + (big_endian ? width - 1 - i : i);
  let value = 0n;
  for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(copy[place(i)]!);
  value = BigInt.asUintN(64, change(value));
  for (let i = 0; i < width; i++, value >>= 8n) copy[place(i)] = Number(value & 0xffn);
  return copy;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
