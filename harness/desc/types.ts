/**
 * Types of system call arguments and of what they point to. A description (`call.ts`) gives each argument of
 * a call such a type; the generator, the mutators, the minimiser, the text form and the encoder all work from it.
 *
 * Types are immutable and shared between programs. The names are syzkaller's where it has one.
 */

/** Who writes the memory: the program before the call (in), the kernel (out), or both. */
export type Direction = 'in' | 'out' | 'inout';

/** Size of a number in memory, in bytes. As an argument of a call each number fills a register. */
export type IntSize = 1 | 2 | 4 | 8;

/** Why a number that the kernel writes differs from run to run, or from kernel to kernel. */
export type Variation = 'time' | 'inode' | 'device' | 'address' | 'amount' | 'random' | 'machine';

/** A plain number. `strict`: values outside the range are never tried, not even now and then. */
export interface IntType {
  readonly kind: 'int';
  readonly size: IntSize;
  readonly big_endian: boolean;
  /** Smallest and largest value, inclusive, compared as signed 64-bit numbers. */
  readonly range: readonly [bigint, bigint] | undefined;
  readonly strict: boolean;
  readonly varies?: Variation;
}

/** Named values: any combination of bits, or (`bitmask` false) one of them. */
export interface FlagsType {
  readonly kind: 'flags';
  readonly size: IntSize;
  readonly values: readonly bigint[];
  readonly bitmask: boolean;
  readonly strict: boolean;
}

/** Always this value. */
export interface ConstType {
  readonly kind: 'const';
  readonly size: IntSize;
  readonly value: bigint;
}

/** The size of a sibling argument or field, of what a pointer leads to, or of the enclosing struct ('parent'). */
export interface LenType {
  readonly kind: 'len';
  readonly size: IntSize;
  /** Name of a sibling, with dots into its fields; 'parent' is the enclosing struct. */
  readonly target: string;
  /** count: elements of an array, bytes of anything else. offset: where the sibling starts in its struct. */
  readonly unit: 'count' | 'bytes' | 'bits' | 'offset';
}

/** Numbers that differ between the processes of a campaign: process n has start + n * per_proc and up. */
export interface ProcType {
  readonly kind: 'proc';
  readonly size: IntSize;
  readonly start: bigint;
  readonly per_proc: number;
}

/** A kind of kernel object that calls make and other calls use: file descriptors, process and timer numbers. */
export interface Resource {
  readonly name: string;
  readonly size: IntSize;
  /** A resource can be used wherever its parent can. */
  readonly parent: Resource | undefined;
  /** Values that need no call to make them; the first is the default. Never empty. */
  readonly values: readonly bigint[];
}

export interface ResourceType {
  readonly kind: 'resource';
  readonly resource: Resource;
}

/** A pointer into the data area. */
export interface PtrType {
  readonly kind: 'ptr';
  readonly elem: Type;
  readonly dir: Direction;
  /** The null pointer makes sense to the call. */
  readonly optional: boolean;
}

/** Address of whole pages of the data area. */
export interface VmaType {
  readonly kind: 'vma';
  readonly min_pages: number;
  readonly max_pages: number;
  readonly optional: boolean;
}

/** Bytes: anything (blob), NUL-terminated text from `values` (string), or a path of a file (filename). */
export interface BufferType {
  readonly kind: 'buffer';
  readonly content: 'blob' | 'string' | 'filename';
  readonly min: number;
  readonly max: number;
  /** Known contents, without the terminating NUL. With `strict` no others are made. */
  readonly values: readonly string[];
  readonly strict: boolean;
  /** What the kernel writes there, for who reads it back. */
  readonly layout?: StructType;
  readonly varies?: Variation;
}

export interface ArrayType {
  readonly kind: 'array';
  readonly elem: Type;
  readonly min: number;
  readonly max: number;
}

export interface Field {
  readonly name: string;
  readonly type: Type;
  /** Where it differs from the direction of the pointer that leads here. */
  readonly dir: Direction | undefined;
}

export interface StructType {
  readonly kind: 'struct';
  readonly name: string;
  readonly fields: readonly Field[];
  /** No padding between fields. */
  readonly packed: boolean;
}

/** One of the options, and as large as it (`padded`: as large as the largest). */
export interface UnionType {
  readonly kind: 'union';
  readonly name: string;
  readonly fields: readonly Field[];
  readonly padded: boolean;
}

/** Types whose value is a number of its own. */
export type NumberType = IntType | FlagsType | ConstType | LenType | ProcType;

export type Type = NumberType | ResourceType | PtrType | VmaType | BufferType | ArrayType | StructType | UnionType;

export const POINTER_SIZE = 8;

/** `value` rounded up to a multiple of `alignment`. */
export function align_up(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Alignment in memory, in bytes, by the rules of the x86-64 ABI. */
export function alignment_of(type: Type): number {
  switch (type.kind) {
    case 'int':
    case 'flags':
    case 'const':
    case 'len':
    case 'proc':
      return type.size;
    case 'resource':
      return type.resource.size;
    case 'ptr':
    case 'vma':
      return POINTER_SIZE;
    case 'buffer':
      return 1;
    case 'array':
      return alignment_of(type.elem);
    case 'struct':
      return type.packed ? 1 : alignment_of_all(type);
    case 'union':
      return alignment_of_all(type);
  }
}

/** Types never change: what is computed from their fields is kept. */
const alignments = new WeakMap<Type, number>();
const sizes = new WeakMap<Type, number | undefined>();

function alignment_of_all(type: StructType | UnionType): number {
  let alignment = alignments.get(type);
  if (alignment === undefined) {
    alignment = alignment_of_fields(type.fields);
    alignments.set(type, alignment);
  }
  return alignment;
}

function alignment_of_fields(fields: readonly Field[]): number {
  return fields.reduce((most, field) => Math.max(most, alignment_of(field.type)), 1);
}

/** Size in memory, in bytes; `undefined` where it depends on the value. */
export function fixed_size(type: Type): number | undefined {
  switch (type.kind) {
    case 'int':
    case 'flags':
    case 'const':
    case 'len':
    case 'proc':
      return type.size;
    case 'resource':
      return type.resource.size;
    case 'ptr':
    case 'vma':
      return POINTER_SIZE;
    case 'buffer':
      return type.min === type.max ? type.min : undefined;
    case 'array': {
      const size = fixed_size(type.elem);
      return size === undefined || type.min !== type.max ? undefined : size * type.min;
    }
    case 'struct':
    case 'union':
      return fixed_size_of_all(type);
  }
}

function fixed_size_of_all(type: StructType | UnionType): number | undefined {
  if (sizes.has(type)) return sizes.get(type);
  const size = type.kind === 'struct' ? fixed_struct_size(type) : fixed_union_size(type);
  sizes.set(type, size);
  return size;
}

function fixed_struct_size(type: StructType): number | undefined {
  let size = 0;
  for (const field of type.fields) {
    const field_size = fixed_size(field.type);
    if (field_size === undefined) return undefined;
    size = type.packed ? size + field_size : align_up(size, alignment_of(field.type)) + field_size;
  }
  return align_up(size, alignment_of(type));
}

function fixed_union_size(type: UnionType): number | undefined {
  let size = 0;
  for (const [i, field] of type.fields.entries()) {
    const field_size = fixed_size(field.type);
    if (field_size === undefined || (!type.padded && i > 0 && field_size !== size)) return undefined;
    size = Math.max(size, field_size);
  }
  return type.padded ? align_up(size, alignment_of(type)) : size;
}

/** True when a result of kind `made` can stand where `wanted` is asked for: it is that kind, or inherits from it. */
export function resource_fits(made: Resource, wanted: Resource): boolean {
  for (let kind: Resource | undefined = made; kind !== undefined; kind = kind.parent) if (kind === wanted) return true;
  return false;
}

/** The last ancestor of a resource: all that share it are numbers of one name space. */
export function resource_root(resource: Resource): Resource {
  while (resource.parent !== undefined) resource = resource.parent;
  return resource;
}
