/**
 * A system call in words, as strace writes it. Pure: registers and guest memory come through interfaces.
 */
import type { Argument } from '../syscalls/args_spec.ts';
import { enum_name, errno_name, flag_names, signal_name } from './names.ts';

/** The caller's registers and memory. */
export interface TraceSource {
  /** The halves of argument `n`, unsigned. */
  lo(n: number): number;
  hi(n: number): number;
  /** The byte at a guest address, or -1 where it cannot be read. */
  byte(address: number): number;
}

const SHOWN_BYTES = 32;
const SHOWN_STRINGS = 8;
const AT_FDCWD = -100;

function hex(lo: number, hi: number): string {
  return `0x${hi === 0 ? lo.toString(16) : hi.toString(16) + lo.toString(16).padStart(8, '0')}`;
}

function pointer(lo: number, hi: number): string {
  return lo === 0 && hi === 0 ? 'NULL' : hex(lo, hi);
}

function signed(lo: number, hi: number): number {
  return (hi | 0) * 4294967296 + lo;
}

const ESCAPES: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };

function quote(bytes: readonly number[]): string {
  const text = bytes.map(
    (byte) => ESCAPES[byte] ?? (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\${byte.toString(8)}`),
  );
  return `"${text.join('')}"`;
}

/** Up to SHOWN_BYTES bytes; null where the first cannot be read. */
function buffer(source: TraceSource, address: number, length: number): string | null {
  const bytes: number[] = [];
  const shown = Math.min(length, SHOWN_BYTES);
  for (let i = 0; i < shown; i++) {
    const byte = source.byte(address + i);
    if (byte < 0) return null;
    bytes.push(byte);
  }
  return quote(bytes) + (length > shown ? '...' : '');
}

/** A NUL-terminated string, cut at `limit`; null where it cannot be read. */
function string(source: TraceSource, address: number, limit: number): string | null {
  const bytes: number[] = [];
  for (let i = 0; i < limit; i++) {
    const byte = source.byte(address + i);
    if (byte < 0) return null;
    if (byte === 0) return quote(bytes);
    bytes.push(byte);
  }
  return `${quote(bytes)}...`;
}

function word(source: TraceSource, address: number): number {
  let value = 0;
  for (let i = 7; i >= 0; i--) {
    const byte = source.byte(address + i);
    if (byte < 0) return -1;
    value = value * 256 + byte;
  }
  return value;
}

function strings(source: TraceSource, address: number): string | null {
  const shown: string[] = [];
  for (let i = 0; ; i++) {
    const at = word(source, address + i * 8);
    if (at < 0) return null;
    if (at === 0) return `[${shown.join(', ')}]`;
    if (i === SHOWN_STRINGS) return `[${shown.join(', ')}, ...]`;
    shown.push(string(source, at, 64) ?? `0x${at.toString(16)}`);
  }
}

function iovecs(source: TraceSource, address: number, count: number): string | null {
  const shown: string[] = [];
  for (let i = 0; i < Math.min(count, 4); i++) {
    const base = word(source, address + i * 16);
    const length = word(source, address + i * 16 + 8);
    if (base < 0 || length < 0) return null;
    shown.push(`{${buffer(source, base, length) ?? `0x${base.toString(16)}`}, ${length}}`);
  }
  return `[${shown.join(', ')}${count > 4 ? ', ...' : ''}]`;
}

/** Whether an argument is filled by the kernel, so that it is shown after the call. */
export function is_output(argument: Argument): boolean {
  return argument.type === 'out' || argument.type === 'outstruct' || argument.type === 'outiovec';
}

/** One argument in words. `result` bounds what a filled buffer holds; it is -1 before the call. */
export function format_argument(argument: Argument, n: number, source: TraceSource, result: number): string {
  const lo = source.lo(n);
  const hi = source.hi(n);
  const address = hi * 4294967296 + lo;
  const count_of = (other: number): number => source.hi(other) * 4294967296 + source.lo(other);
  const or_pointer = (text: string | null): string => (address === 0 || text === null ? pointer(lo, hi) : text);
  switch (argument.type) {
    case 'int':
    case 'pid':
    case 'fd':
      return String(lo | 0);
    case 'dirfd':
      return (lo | 0) === AT_FDCWD ? 'AT_FDCWD' : String(lo | 0);
    case 'uid':
    case 'gid':
      return String(lo | 0);
    case 'uint':
      return String(lo);
    case 'long':
    case 'off':
      return String(signed(lo, hi));
    case 'ulong':
    case 'size':
      return hi > 0x1fffff ? hex(lo, hi) : String(address);
    case 'signal':
      return signal_name(lo | 0);
    case 'mode':
      return `0${(lo & 0o177777).toString(8)}`;
    case 'path':
    case 'string':
      return or_pointer(string(source, address, 256));
    case 'strings':
      return or_pointer(strings(source, address));
    case 'in':
    case 'inout':
      return or_pointer(buffer(source, address, count_of(argument.length_argument)));
    case 'out':
      return result < 0
        ? pointer(lo, hi)
        : or_pointer(buffer(source, address, Math.min(result, count_of(argument.length_argument))));
    case 'iovec':
      return or_pointer(iovecs(source, address, Math.min(count_of(argument.length_argument), 1024)));
    case 'flags':
      return flag_names(argument.set, lo);
    case 'enum':
      return enum_name(argument.set, lo | 0);
    default:
      return pointer(lo, hi);
  }
}

/** A result in words: a number, an address, or -1 and the errno's name. */
export function format_result(result: number, as_pointer: boolean): string {
  if (result < 0 && result > -4096)
    return result <= -512 ? `? (to be restarted, ${-result})` : `-1 ${errno_name(-result)}`;
  return as_pointer ? `0x${result.toString(16)}` : String(result);
}
