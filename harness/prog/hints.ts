/**
 * Hints: a kernel that compares something from an argument with a constant says what the argument should have been.
 * For each number and buffer of a call, every operand that the kernel saw is looked up, and what it was compared
 * with is put in its place. The kernel may have seen less of the value than the program has, more, or its bytes in
 * the other order:
 *
 *   Shrink: only some low bytes were compared; the rest of the value stays.
 *     f(u64 x)  { if (x as u16 == 0xbeef) ... }
 *     argument  0x1234567890abcdef
 *     compared  0xcdef with 0xbeef
 *     hint      0x1234567890abbeef
 *
 *   Expand: the kernel widened a signed value before it compared.
 *     f(s8 x)   { if (x as s32 == 0xfffffffe) ... }
 *     argument  0xff
 *     compared  0xffffffff with 0xfffffffe
 *     hint      0xfe
 *
 *   Byte order: the value is in network order.
 *     f(be16 x) { if (ntohs(x) == 0xbeef) ... }
 *     argument  0xabcd
 *     compared  0xcdab with 0xbeef
 *     hint      0xefbe
 *
 * A hint that does not fit the bytes that were compared is none: 0x1cdef says nothing about a u16.
 */
import type { IntSize } from '../desc/types.ts';
import type { Arg, Program } from './model.ts';
import { allowed, swap_bytes } from './number.ts';
import { is_special_int } from './random.ts';
import { clone_program, for_each_node } from './walk.ts';

/** Operands of comparisons during one call: what the program's side was, and what it was compared with. */
export class Comparisons {
  private readonly pairs = new Map<bigint, Set<bigint>>();

  /** Notes that `operand` was compared with `other`. Generation tries special integers anyway: they are no hints. */
  add(operand: bigint, other: bigint): void {
    if (is_special_int(BigInt.asUintN(64, other))) return;
    const key = BigInt.asUintN(64, operand);
    const others = this.pairs.get(key) ?? new Set<bigint>();
    this.pairs.set(key, others.add(BigInt.asUintN(64, other)));
  }

  /** What the operand met. */
  compared_with(operand: bigint): Iterable<bigint> {
    return this.pairs.get(operand) ?? [];
  }

  get size(): number {
    return this.pairs.size;
  }
}

/** Only this many bytes of a buffer are looked at: each costs eight lookups. */
const MAX_DATA = 128;

/**
 * Calls `use` with a program for each hint that fits an argument of the call at `index`. `use` answers false to end
 * it. The given program stays as it is; each program that is passed belongs to `use`.
 */
export function mutate_with_hints(
  program: Program,
  index: number,
  comparisons: Comparisons,
  use: (program: Program) => boolean,
): void {
  const seen = new Set<string>();
  for (const [position, node] of hint_nodes(program, index).entries())
    for (const change of changes(node, comparisons)) {
      const key = `${position} ${change.at} ${change.value}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const copy = clone_program(program);
      apply(hint_nodes(copy, index)[position]!, change);
      if (!use(copy)) return;
    }
}

/** What to put into a node: a number, or 8 bytes of a buffer from `at` on. */
interface Change {
  readonly at: number;
  readonly value: bigint;
}

/** The nodes whose values the kernel gets from the program, but for lengths and constants. */
function hint_nodes(program: Program, index: number): Arg[] {
  const found: Arg[] = [];
  for (const arg of program.calls[index]!.args)
    for_each_node(arg, (node) => {
      if (node.dir === 'out') return;
      if (node.kind === 'number' && ['int', 'flags', 'proc'].includes(node.type.kind)) found.push(node);
      else if (node.kind === 'result' && node.source === undefined) found.push(node);
      else if (node.kind === 'data' && !node.type.strict && node.type.content !== 'filename') found.push(node);
    });
  return found;
}

function changes(node: Arg, comparisons: Comparisons): Change[] {
  if (node.kind === 'data') return data_changes(node.bytes, comparisons);
  if (node.kind === 'result')
    return hints_for(node.value, node.type.resource.size, comparisons).map((value) => ({ at: 0, value }));
  if (node.kind !== 'number') return [];
  const { type } = node;
  const hints = hints_for(node.value, type.size, comparisons);
  return hints.filter((value) => allowed(type, value)).map((value) => ({ at: 0, value }));
}

/** A buffer may hold a number at any place. */
function data_changes(bytes: Uint8Array, comparisons: Comparisons): Change[] {
  const found: Change[] = [];
  for (let at = 0; at < Math.min(bytes.length, MAX_DATA); at++)
    for (const value of hints_for(read_word(bytes, at), 8, comparisons)) found.push({ at, value });
  return found;
}

/** The 8 bytes at `at`, with zeros behind the end. */
function read_word(bytes: Uint8Array, at: number): bigint {
  let value = 0n;
  for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i] ?? 0);
  return value;
}

function apply(node: Arg, { at, value }: Change): void {
  if (node.kind === 'number' || node.kind === 'result') {
    node.value = value;
    return;
  }
  if (node.kind !== 'data') return;
  node.bytes = node.bytes.slice();
  for (let i = 0; i < 8 && at + i < node.bytes.length; i++)
    node.bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

/** The values that comparisons suggest instead of `value`, of which `size` bytes are in memory. */
export function hints_for(value: bigint, size: IntSize, comparisons: Comparisons): bigint[] {
  const found = new Set<bigint>();
  for (const width of [1, 2, 4, 8] as const) {
    if (width <= size) add_hints(found, value, width, comparisons);
  }
  found.delete(value);
  return [...found];
}

/** Hints from comparisons of the `width` lowest bytes: as they are, widened, and in the other order. */
function add_hints(found: Set<bigint>, value: bigint, width: IntSize, comparisons: Comparisons): void {
  const bits = width * 8;
  const low = BigInt.asUintN(bits, value);
  const keep = (other: bigint): bigint => ((value >> BigInt(bits)) << BigInt(bits)) | other;
  for (const other of comparisons.compared_with(low)) if (other >> BigInt(bits) === 0n) found.add(keep(other));
  const swapped = swap_bytes(low, width);
  if (width > 1)
    for (const other of comparisons.compared_with(swapped))
      if (other >> BigInt(bits) === 0n) found.add(keep(swap_bytes(other, width)));
  if (low >> BigInt(bits - 1) === 0n) return;
  for (const wide of [16, 32, 64].filter((wide) => wide > bits)) {
    const extended = BigInt.asUintN(wide, BigInt.asIntN(bits, low));
    for (const other of comparisons.compared_with(extended)) {
      const narrow = BigInt.asUintN(bits, other);
      // The other side has the same extension, or none: otherwise no value of this width can meet it.
      if (other === narrow || BigInt.asUintN(wide, BigInt.asIntN(bits, narrow)) === other) found.add(keep(narrow));
    }
  }
}
