/**
 * The words that descriptions are written in. Each makes one type; see `types.ts` for what they mean.
 *
 *     call('read', [arg('fd', fd), arg('buf', out(blob())), arg('count', len('buf'))])
 */
import type {
  ArrayType,
  BufferType,
  ConstType,
  Direction,
  Field,
  FlagsType,
  IntSize,
  IntType,
  LenType,
  ProcType,
  PtrType,
  Resource,
  ResourceType,
  StructType,
  Type,
  UnionType,
  Variation,
  VmaType,
} from './types.ts';

type Numeric = number | bigint;

const U64 = 0xffff_ffff_ffff_ffffn;

function u64(value: Numeric): bigint {
  return BigInt(value) & U64;
}

/** Every field that a kind of type has. */
type Fields = { -readonly [K in Type extends infer T ? (T extends Type ? keyof T : never) : never]?: unknown };

/**
 * The type with the fields of all kinds, so that V8 sees one shape: generation, mutation and encoding look at the types
 * of whatever nodes come, and a field of objects of a dozen shapes is looked up in a table.
 */
function shaped<T extends Type>(type: T): T {
  const given = type as Fields;
  const all: Required<Fields> = {
    kind: given.kind,
    size: given.size,
    big_endian: given.big_endian,
    range: given.range,
    strict: given.strict,
    varies: given.varies,
    values: given.values,
    bitmask: given.bitmask,
    value: given.value,
    target: given.target,
    unit: given.unit,
    start: given.start,
    per_proc: given.per_proc,
    resource: given.resource,
    elem: given.elem,
    dir: given.dir,
    optional: given.optional,
    min_pages: given.min_pages,
    max_pages: given.max_pages,
    content: given.content,
    min: given.min,
    max: given.max,
    layout: given.layout,
    name: given.name,
    fields: given.fields,
    packed: given.packed,
    padded: given.padded,
  };
  return all as unknown as T;
}

/** Any number of `size` bytes. */
export function int(size: IntSize): IntType {
  return shaped({ kind: 'int', size, big_endian: false, range: undefined, strict: false });
}

export const int8 = int(1);
export const int16 = int(2);
export const int32 = int(4);
export const int64 = int(8);
/** A port or a protocol in network order. */
export const int16be: IntType = shaped({ ...int16, big_endian: true });
export const int32be: IntType = shaped({ ...int32, big_endian: true });

/** A number from `low` to `high`, rarely another. */
export function range(low: Numeric, high: Numeric, size: IntSize = 8): IntType {
  return shaped({ ...int(size), range: [BigInt(low), BigInt(high)] });
}

/** A number from `low` to `high`, never another: what would only end or stall the program stays out. */
export function only(low: Numeric, high: Numeric, size: IntSize = 8): IntType {
  return shaped({ ...range(low, high, size), strict: true });
}

/** What the kernel writes there is not the same each time. */
export function varying<T extends IntType | BufferType>(type: T, varies: Variation): T {
  return shaped({ ...type, varies });
}

/** Bytes that the kernel fills as a struct, of `size` bytes. */
export function written(size: number, layout: StructType): BufferType {
  return shaped({ ...bytes(size), layout });
}

/** The values of named constants. */
export type Constants = Readonly<Record<string, Numeric>>;

/** Those of a module's exports whose name has one of the prefixes: one list of constants for kernel and generator. */
export function pick(module: Readonly<Record<string, unknown>>, ...prefixes: string[]): Constants {
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(module))
    if (typeof value === 'number' && prefixes.some((prefix) => name.startsWith(prefix))) found[name] = value;
  if (Object.keys(found).length === 0) throw new Error(`no constant is called ${prefixes.join(' or ')}...`);
  return found;
}

function values_of(constants: Constants): bigint[] {
  return [...new Set(Object.values(constants).map(u64))];
}

/** Any combination of the constants. */
export function flags(constants: Constants, size: IntSize = 8): FlagsType {
  return shaped({ kind: 'flags', size, values: values_of(constants), bitmask: true, strict: false });
}

/** One of the constants. */
export function one_of(constants: Constants, size: IntSize = 8): FlagsType {
  return shaped({ ...flags(constants, size), bitmask: false });
}

/** Only the constants: no combination with other bits, no other value. */
export function strictly(type: FlagsType): FlagsType {
  return shaped({ ...type, strict: true });
}

/** Always `value`. */
export function fixed(value: Numeric, size: IntSize = 8): ConstType {
  return shaped({ kind: 'const', size, value: u64(value) });
}

/** Elements of an array, bytes of anything else. */
export function len(target: string, size: IntSize = 8): LenType {
  return shaped({ kind: 'len', size, target, unit: 'count' });
}

/** Bytes, of an array too. */
export function bytesize(target: string, size: IntSize = 8): LenType {
  return shaped({ kind: 'len', size, target, unit: 'bytes' });
}

export function bitsize(target: string, size: IntSize = 8): LenType {
  return shaped({ kind: 'len', size, target, unit: 'bits' });
}

/** Where a sibling starts in its struct. */
export function offsetof(target: string, size: IntSize = 8): LenType {
  return shaped({ kind: 'len', size, target, unit: 'offset' });
}

/** Numbers of which each process of a campaign has its own. */
export function proc(start: Numeric, per_proc: number, size: IntSize = 8): ProcType {
  return shaped({ kind: 'proc', size, start: u64(start), per_proc });
}

/** A kind of kernel object; `values` need no call to make them, the first is the default. */
export function resource(name: string, size: IntSize, parent: Resource | undefined, ...values: Numeric[]): Resource {
  const own = values.map(u64);
  return { name, size, parent, values: own.length > 0 ? own : (parent?.values ?? [U64]) };
}

export function of(kind: Resource): ResourceType {
  return shaped({ kind: 'resource', resource: kind });
}

export function ptr(dir: Direction, elem: Type): PtrType {
  return shaped({ kind: 'ptr', elem, dir, optional: false });
}

/** A pointer to what the call reads. */
export function input(elem: Type): PtrType {
  return ptr('in', elem);
}

/** A pointer to what the call writes. */
export function output(elem: Type): PtrType {
  return ptr('out', elem);
}

/** A pointer to what the call reads and writes. */
export function both(elem: Type): PtrType {
  return ptr('inout', elem);
}

/** The pointer, or null. */
export function maybe(type: PtrType): PtrType;
export function maybe(type: VmaType): VmaType;
export function maybe(type: PtrType | VmaType): PtrType | VmaType {
  return shaped({ ...type, optional: true });
}

/** Pages of the data area, `min` to `max` of them. */
export function vma(min = 1, max = 8): VmaType {
  return shaped({ kind: 'vma', min_pages: min, max_pages: max, optional: false });
}

/** Any bytes, `min` to `max` of them. */
export function blob(min = 0, max = 4096): BufferType {
  return shaped({ kind: 'buffer', content: 'blob', min, max, values: [], strict: false });
}

/** Exactly `size` bytes of any content. */
export function bytes(size: number): BufferType {
  return blob(size, size);
}

/** A NUL-terminated string, mostly one of `values`. */
export function string(...values: string[]): BufferType {
  return shaped({ kind: 'buffer', content: 'string', min: 1, max: 4096, values, strict: false });
}

/** A NUL-terminated string, always one of `values`. */
export function only_string(...values: string[]): BufferType {
  return shaped({ ...string(...values), strict: true });
}

/** The path of a file of the program's own, or one of `values`. */
export function filename(...values: string[]): BufferType {
  return shaped({ kind: 'buffer', content: 'filename', min: 1, max: 4096, values, strict: false });
}

/** `min` to `max` elements. */
export function array(elem: Type, min = 0, max = 4): ArrayType {
  return shaped({ kind: 'array', elem, min, max });
}

/** A field of a struct, an option of a union, or an argument of a call. */
export function arg(name: string, type: Type, dir?: Direction): Field {
  return { name, type, dir };
}

/** A struct laid out as the C compiler does. */
export function struct(name: string, ...fields: Field[]): StructType {
  return shaped({ kind: 'struct', name, fields, packed: false });
}

/** A struct without padding. */
export function packed(name: string, ...fields: Field[]): StructType {
  return shaped({ ...struct(name, ...fields), packed: true });
}

/** A C union: as large as its largest option. */
export function union(name: string, ...fields: Field[]): UnionType {
  return shaped({ kind: 'union', name, fields, padded: true });
}

/** A choice of options of different sizes. */
export function choice(name: string, ...fields: Field[]): UnionType {
  return shaped({ kind: 'union', name, fields, padded: false });
}
