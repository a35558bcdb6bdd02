/**
 * Parses the argument specifications of `row.ts` for strace, the generator and the tests.
 */
import type { ArgumentSpec, SyscallRow } from './row.ts';

/** Types that stand alone. */
const PLAIN = [
  ...['int', 'uint', 'long', 'ulong', 'size', 'off', 'fd', 'dirfd', 'pid', 'uid', 'gid', 'signal', 'mode'],
  ...['path', 'string', 'ptr', 'strings'],
] as const;
/** Types with the number of another argument in brackets. */
const SIZED = ['in', 'out', 'inout', 'iovec', 'outiovec'] as const;
/** Types with a name in brackets. */
const NAMED = ['struct', 'outstruct', 'flags', 'enum'] as const;

export type PlainType = (typeof PLAIN)[number];
export type SizedType = (typeof SIZED)[number];
export type NamedType = (typeof NAMED)[number];

/** A parsed argument: what it is called, what it is, and what the brackets held. */
export type Argument =
  | { readonly name: string; readonly type: PlainType }
  | { readonly name: string; readonly type: SizedType; readonly length_argument: number }
  | { readonly name: string; readonly type: NamedType; readonly set: string };

const SHAPE = /^([a-z_][a-z0-9_]*):([a-z]+)(?:\(([A-Za-z0-9_]+)\))?$/;

/** The parsed form of `spec`. Throws an Error that names the specification when it is malformed. */
export function parse_argument(spec: ArgumentSpec): Argument {
  const match = SHAPE.exec(spec);
  const [, name = '', type = '', inner] = match ?? [];
  if (match === null) throw new Error(`argument '${spec}': not name:type or name:type(X)`);
  if (PLAIN.includes(type as PlainType) && inner === undefined) return { name, type: type as PlainType };
  if (SIZED.includes(type as SizedType) && inner !== undefined && /^[0-5]$/.test(inner))
    return { name, type: type as SizedType, length_argument: Number(inner) };
  if (NAMED.includes(type as NamedType) && inner !== undefined && !/^\d/.test(inner))
    return { name, type: type as NamedType, set: inner };
  throw new Error(`argument '${spec}': unknown type, or wrong brackets for it`);
}

/** The parsed arguments of a row. */
export function parse_arguments(row: SyscallRow): readonly Argument[] {
  return row.args.map(parse_argument);
}
