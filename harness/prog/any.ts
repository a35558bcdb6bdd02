/**
 * Squashed memory. A pointer's pointee may be replaced by ANY: a list of raw bytes in which only references to
 * results and pointers keep their meaning. Mutation can then change what the types would never let it change:
 *
 *     &(0x7f0000000000)={0x1, r0, &(0x7f0000000040)}
 *     &(0x7f0000000000)=ANY=[@ANYBLOB="01000000", @ANYRES32=r0, @ANYPTR=&(0x7f0000000040)]
 */
import { arg, array, blob, choice, of, resource } from '../desc/build.ts';
import type { ArrayType, BufferType, PtrType, ResourceType, UnionType } from '../desc/types.ts';
import {
  ANY,
  type Arg,
  type GroupArg,
  is_any,
  make_data,
  make_group,
  make_pointer,
  make_result,
  make_union,
  type PointerArg,
  type ResultArg,
  refer,
} from './model.ts';
import { bytes_of_number } from './number.ts';
import { for_each_offset, size_of } from './size.ts';
import { children } from './walk.ts';

const ANY_BLOB: BufferType = blob(0, 4096);
/** A reference in squashed memory fits every use: it belongs to no kind of resource. */
const ANY_RESOURCES: readonly ResourceType[] = ([1, 2, 4, 8] as const).map((size) =>
  of(resource(`ANYRES${size * 8}`, size, undefined, 0)),
);
/** The type refers to itself: what a pointer in squashed memory leads to is squashed too. */
const ANY_POINTER: PtrType = {
  kind: 'ptr',
  dir: 'in',
  optional: false,
  get elem() {
    return ANY_ARRAY;
  },
};

const ANY_UNION: UnionType = choice(
  ANY,
  arg('ANYBLOB', ANY_BLOB),
  ...ANY_RESOURCES.map((type) => arg(type.resource.name, type)),
  arg('ANYPTR', ANY_POINTER),
);

/** The type of a squashed pointee. */
export const ANY_ARRAY: ArrayType = array(ANY_UNION, 0, 1 << 16);

/** True for a result node of squashed memory. */
export function is_any_resource(type: ResourceType): boolean {
  return ANY_RESOURCES.includes(type);
}

/** True when squash can do something with the pointee: the program fills it, and it is more than plain bytes. */
export function can_squash(node: PointerArg): boolean {
  const { pointee } = node;
  if (pointee === undefined || node.type.kind !== 'ptr' || node.type.dir !== 'in') return false;
  return pointee.kind === 'group' && !is_any(pointee) && size_of(pointee) > 0 && plain_enough(pointee);
}

/** What the kernel writes cannot be squashed: it has no bytes, and users of its results would lose them. */
function plain_enough(node: Arg): boolean {
  return node.dir === 'in' && children(node).every(plain_enough);
}

/** Replaces the pointee by its bytes. Pointers in it keep their pointees, results their makers. */
export function squash(node: PointerArg): void {
  if (!can_squash(node)) return;
  node.pointee = squashed(node.pointee!);
}

function squashed(pointee: Arg): GroupArg {
  if (is_any(pointee)) return pointee as GroupArg;
  const out = new Squasher();
  out.add(pointee);
  out.pad(size_of(pointee));
  return out.finish();
}

class Squasher {
  private readonly parts: Arg[] = [];
  private bytes: number[] = [];
  private size = 0;

  add(node: Arg): void {
    switch (node.kind) {
      case 'number':
        this.push(bytes_of_number(node.type, node.value));
        break;
      case 'result':
        this.add_result(node);
        break;
      case 'data':
        this.push(node.bytes);
        break;
      case 'pointer':
        this.add_pointer(node);
        break;
      case 'union': {
        const start = this.size;
        this.add(node.inner);
        this.pad(start + size_of(node));
        break;
      }
      case 'group':
        this.add_group(node);
        break;
    }
  }

  /** Zeros up to `end`. */
  pad(end: number): void {
    if (end > this.size) this.push(new Uint8Array(end - this.size));
  }

  finish(): GroupArg {
    this.flush();
    return make_group(ANY_ARRAY, 'in', this.parts);
  }

  private add_group(node: GroupArg): void {
    const start = this.size;
    for_each_offset(node, (child, offset) => {
      this.pad(start + offset);
      this.add(child);
    });
    this.pad(start + size_of(node));
  }

  private add_result(node: ResultArg): void {
    const size = node.type.resource.size;
    if (node.source === undefined) {
      this.push(bytes_of_number({ kind: 'const', size, value: 0n }, node.value));
      return;
    }
    const option = 1 + ANY_RESOURCES.findIndex((type) => type.resource.size === size);
    const copy = make_result(ANY_UNION.fields[option]!.type as ResourceType, 'in', node.value);
    const { source, divide, add } = node;
    source.users.delete(node);
    node.source = undefined;
    refer(copy, source);
    Object.assign(copy, { divide, add });
    this.part(option, copy, size);
  }

  private add_pointer(node: PointerArg): void {
    if (node.special !== undefined) {
      this.push(bytes_of_number({ kind: 'const', size: 8, value: 0n }, node.special));
      return;
    }
    const pointee = node.pointee === undefined ? undefined : squashed(node.pointee);
    this.part(ANY_UNION.fields.length - 1, make_pointer(ANY_POINTER, 'in', node.address, pointee), 8);
  }

  private part(option: number, inner: Arg, size: number): void {
    this.flush();
    this.parts.push(make_union(ANY_UNION, 'in', option, inner));
    this.size += size;
  }

  private push(bytes: Uint8Array): void {
    for (const byte of bytes) this.bytes.push(byte);
    this.size += bytes.length;
  }

  private flush(): void {
    if (this.bytes.length === 0) return;
    this.parts.push(make_union(ANY_UNION, 'in', 0, make_data(ANY_BLOB, 'in', Uint8Array.from(this.bytes))));
    this.bytes = [];
  }
}
