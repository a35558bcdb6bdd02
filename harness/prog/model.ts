/**
 * A program: a list of system calls with the memory that they read and write.
 *
 *     r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./f0\x00', 0x42, 0x1ff)
 *     write(r0, &(0x7f0000000080)="00112233", 0x4) (async)
 *
 * Each argument is a tree of nodes that follows the tree of its type (`desc/types.ts`): the type's kind decides the
 * node's kind, so a node can be replaced in place by another of the same type. Pointers lead into the **data area**,
 * DATA_SIZE bytes at the fixed guest address DATA_BASE; addresses in a program are offsets into it. What a call
 * makes (its result, or a number that it writes to memory) is a result node, and a later node that uses it refers to
 * it; the maker knows its users, so that removing a call leaves no reference behind. The text of a program
 * (`print.ts`, `parse.ts`) holds all there is to it.
 *
 * Everything in this folder is pure: a program is changed by who owns it, copies come from `clone_program`,
 * randomness from a seeded generator that the caller passes. Programs are generated (`generate.ts`), mutated
 * (`mutate.ts`), made smaller (`minimize.ts`), given the kernel's comparison operands (`hints.ts`) and turned into
 * instructions for the `program` platform (`exec_encode.ts`); `validate.ts` says what each of those must keep.
 */
import { of } from '../desc/build.ts';
import type { CallDescription } from '../desc/call.ts';
import type {
  ArrayType,
  BufferType,
  Direction,
  NumberType,
  PtrType,
  Resource,
  ResourceType,
  StructType,
  Type,
  UnionType,
  VmaType,
} from '../desc/types.ts';

/** Guest address of the data area. */
export const DATA_BASE = 0x2000_0000;
/** Size of the data area, in bytes. */
export const DATA_SIZE = 16 * 1024 * 1024;
export const DATA_PAGES = DATA_SIZE / 4096;
export const PAGE_SIZE = 4096;
/** The most calls that generation and mutation put into a program. */
export const MAX_CALLS = 40;
/** No call has more places to fail than this. */
export const MAX_FAIL_NTH = 0xffff;

/** int, flags, const, len, proc. */
export interface NumberArg {
  readonly kind: 'number';
  readonly type: NumberType;
  readonly dir: Direction;
  /** 64 bits; memory takes the lowest. Of a proc type: the number within the process's own range. */
  value: bigint;
}

/** A resource: a value of its own, or what another node makes. */
export interface ResultArg {
  readonly kind: 'result';
  readonly type: ResourceType;
  readonly dir: Direction;
  /** Without `source` the value itself; with it, what is used if the maker failed. */
  value: bigint;
  source: ResultArg | undefined;
  /** The value used is source / divide + add (unsigned; divide 0 means 1). */
  divide: bigint;
  add: bigint;
  /** Nodes whose `source` is this one; `NO_USERS` until there is one. */
  users: Set<ResultArg>;
}

/** ptr and vma. */
export interface PointerArg {
  readonly kind: 'pointer';
  readonly type: PtrType | VmaType;
  readonly dir: Direction;
  /** Not into the data area but this very value: null, or an address that cannot be. */
  special: bigint | undefined;
  /** Offset into the data area; 0 with `special`. */
  address: number;
  /** Bytes of whole pages, of a vma; 0 otherwise. */
  vma_size: number;
  /** What lies there. `undefined` for a vma, with `special`, and for a pointer to nothing in particular. */
  pointee: Arg | undefined;
}

/** buffer. */
export interface DataArg {
  readonly kind: 'data';
  readonly type: BufferType;
  readonly dir: Direction;
  /** What the program puts there; empty when the direction is out. Copies share them: never changed in place. */
  bytes: Uint8Array;
  /** Bytes that the kernel may fill, when the direction is out. */
  out_size: number;
}

/** struct (a node for each field) and array. */
export interface GroupArg {
  readonly kind: 'group';
  readonly type: StructType | ArrayType;
  readonly dir: Direction;
  inner: Arg[];
}

export interface UnionArg {
  readonly kind: 'union';
  readonly type: UnionType;
  readonly dir: Direction;
  /** Index of the chosen option. */
  option: number;
  inner: Arg;
}

export type Arg = NumberArg | ResultArg | PointerArg | DataArg | GroupArg | UnionArg;

export interface CallProperties {
  /** Made by a task of its own, beside the calls that follow. */
  async: boolean;
  /** The n-th place that can fail does, counted from 1 to MAX_FAIL_NTH; 0 is off. */
  fail_nth: number;
}

export interface Call {
  readonly description: CallDescription;
  readonly args: Arg[];
  /** What the call returns, where the description says that it stands for something. */
  readonly result: ResultArg | undefined;
  readonly properties: CallProperties;
}

export interface Program {
  calls: Call[];
}

export function make_number(type: NumberType, dir: Direction, value: bigint): NumberArg {
  return { kind: 'number', type, dir, value: BigInt.asUintN(64, value) };
}

/** Of every node that nothing uses: a set for each would be a fifth of the cost of a copy. Nothing is ever added. */
export const NO_USERS: Set<ResultArg> = new Set();

export function make_result(type: ResourceType, dir: Direction, value: bigint): ResultArg {
  const plain = BigInt.asUintN(64, value);
  return { kind: 'result', type, dir, value: plain, source: undefined, divide: 0n, add: 0n, users: NO_USERS };
}

/** A node that uses what `source` makes. */
export function make_use(type: ResourceType, dir: Direction, source: ResultArg): ResultArg {
  const node = make_result(type, dir, default_value(type));
  refer(node, source);
  return node;
}

export function make_pointer(
  type: PtrType | VmaType,
  dir: Direction,
  address: number,
  pointee: Arg | undefined,
): PointerArg {
  return { kind: 'pointer', type, dir, special: undefined, address, vma_size: 0, pointee };
}

export function make_special(type: PtrType | VmaType, dir: Direction, value: bigint): PointerArg {
  return { kind: 'pointer', type, dir, special: value, address: 0, vma_size: 0, pointee: undefined };
}

export function make_vma(type: VmaType, dir: Direction, address: number, size: number): PointerArg {
  return { kind: 'pointer', type, dir, special: undefined, address, vma_size: size, pointee: undefined };
}

/**
 * V8 reads a field in line where objects have at most four shapes, and asks a table of the whole process where they have
 * more: that was a twentieth of a campaign. So these three kinds of node have one shape, and all have four.
 */
function make_compound(
  kind: 'data' | 'group' | 'union',
  type: Type,
  dir: Direction,
  inner: Arg | Arg[] | undefined,
  option: number,
  bytes: Uint8Array,
  out_size: number,
): unknown {
  return { kind, type, dir, inner, option, bytes, out_size };
}

const NO_BYTES = new Uint8Array(0);

export function make_data(type: BufferType, dir: Direction, bytes: Uint8Array): DataArg {
  if (dir === 'out') return make_data_node(type, dir, NO_BYTES, bytes.length);
  return make_data_node(type, dir, bytes, 0);
}

export function make_data_node(type: BufferType, dir: Direction, bytes: Uint8Array, out_size: number): DataArg {
  return make_compound('data', type, dir, undefined, 0, bytes, out_size) as DataArg;
}

export function make_group(type: StructType | ArrayType, dir: Direction, inner: Arg[]): GroupArg {
  return make_compound('group', type, dir, inner, 0, NO_BYTES, 0) as GroupArg;
}

export function make_union(type: UnionType, dir: Direction, option: number, inner: Arg): UnionArg {
  return make_compound('union', type, dir, inner, option, NO_BYTES, 0) as UnionArg;
}

const result_types = new Map<Resource, ResourceType>();

function type_of_result(resource: Resource): ResourceType {
  const found = result_types.get(resource);
  if (found !== undefined) return found;
  const type = of(resource);
  result_types.set(resource, type);
  return type;
}

/** A call without its arguments. */
export function make_call(description: CallDescription): Call {
  const { result } = description;
  const made = result === undefined ? undefined : make_result(type_of_result(result), 'out', result.values[0]!);
  return { description, args: [], result: made, properties: { async: false, fail_nth: 0 } };
}

/** Bytes in memory of a buffer. */
export function data_size(node: DataArg): number {
  return node.dir === 'out' ? node.out_size : node.bytes.length;
}

/** The value that a number or a resource has when nothing is known about it. */
export function default_value(type: NumberType | ResourceType): bigint {
  switch (type.kind) {
    case 'int': {
      const [low, high] = type.range ?? [0n, 0n];
      return low <= 0n && high >= 0n ? 0n : BigInt.asUintN(64, low);
    }
    case 'flags':
      return type.bitmask || type.values.includes(0n) ? 0n : type.values[0]!;
    case 'const':
      return type.value;
    case 'resource':
      return type.resource.values[0]!;
    default:
      return 0n;
  }
}

/** The node that stands where nothing was given: the text leaves such nodes out, minimisation tries them. */
export function default_arg(type: Type, dir: Direction): Arg {
  switch (type.kind) {
    case 'resource':
      return make_result(type, dir, default_value(type));
    case 'ptr':
      return type.optional ? make_special(type, dir, 0n) : make_pointer(type, dir, 0, default_arg(type.elem, type.dir));
    case 'vma':
      return type.optional ? make_special(type, dir, 0n) : make_vma(type, dir, 0, type.min_pages * PAGE_SIZE);
    case 'buffer':
      return make_data(type, dir, default_bytes(type));
    case 'array':
      return make_group(
        type,
        dir,
        Array.from({ length: type.min }, () => default_arg(type.elem, dir)),
      );
    case 'struct':
      return make_group(
        type,
        dir,
        type.fields.map((field) => default_arg(field.type, field.dir ?? dir)),
      );
    case 'union': {
      const first = type.fields[0]!;
      return make_union(type, dir, 0, default_arg(first.type, first.dir ?? dir));
    }
    default:
      return make_number(type, dir, default_value(type));
  }
}

function default_bytes(type: BufferType): Uint8Array {
  if (!type.strict) return new Uint8Array(type.min);
  return new TextEncoder().encode(`${type.values[0]}\0`);
}

/** True when the node is what `default_arg` makes of its type, and no other node depends on it. */
export function is_default(node: Arg): boolean {
  switch (node.kind) {
    case 'number':
      return node.value === default_value(node.type);
    case 'result':
      return node.source === undefined && node.users.size === 0 && node.value === default_value(node.type);
    case 'pointer':
      return is_default_pointer(node);
    case 'data': {
      const plain = default_bytes(node.type);
      if (data_size(node) !== plain.length) return false;
      return node.dir === 'out' || node.bytes.every((byte, i) => byte === plain[i]);
    }
    case 'group':
      return (node.type.kind === 'struct' || node.inner.length === node.type.min) && node.inner.every(is_default);
    case 'union':
      return node.option === 0 && is_default(node.inner);
  }
}

function is_default_pointer(node: PointerArg): boolean {
  if (node.type.optional) return node.special === 0n;
  if (node.special !== undefined || node.address !== 0) return false;
  if (node.type.kind === 'vma') return node.vma_size === node.type.min_pages * PAGE_SIZE;
  return node.pointee !== undefined && node.pointee.kind === 'group' && is_any(node.pointee)
    ? false
    : node.pointee !== undefined && is_default(node.pointee);
}

/** Name of the array type that a squashed pointee has (`any.ts`). */
export const ANY = 'ANY';

/** True for the list of bytes, numbers and pointers that a squashed pointee is. */
export function is_any(node: Arg): boolean {
  return (
    node.kind === 'group' &&
    node.type.kind === 'array' &&
    node.type.elem.kind === 'union' &&
    node.type.elem.name === ANY
  );
}

/** Makes `node` use what `source` makes; it must not use anything yet. */
export function refer(node: ResultArg, source: ResultArg): void {
  node.source = source;
  if (source.users === NO_USERS) source.users = new Set([node]);
  else source.users.add(node);
}

/** Makes `node` stand on its own again, with its default value. */
export function unrefer(node: ResultArg): void {
  node.source?.users.delete(node);
  node.source = undefined;
  node.divide = 0n;
  node.add = 0n;
  node.value = default_value(node.type);
}
