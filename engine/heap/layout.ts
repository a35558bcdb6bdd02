/**
 * Record declarations: one declaration gives offsets, a size assertion, typed accessors and a dumper.
 *
 *     const l = layout('Pipe');
 *     export const Pipe = l.done({
 *       lock: l.embed(Lock),                 // pipe.lock
 *       head: l.u32('guarded by lock'),
 *       readers: l.atomic(),
 *     }, 64);
 *
 * Every field that is shared names its access class: 'immutable' (set before the record is published),
 * 'guarded by X', 'atomic', or 'owner' (only the vCPU that runs the owning task). The access class is
 * data: the dumper prints it and the tidy test demands it.
 *
 * Fields are declared in memory order inside the literal: a field takes its offset when it is made,
 * because V8 folds `Pipe.head.offset` only where nothing assigned it a second time.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import {
  AtomicField,
  EmbedField,
  F64Field,
  I32Field,
  PtrField,
  U8Field,
  U16Field,
  U32Field,
  U64Field,
} from './field.ts';

export type Access = 'immutable' | 'atomic' | 'owner' | `guarded by ${string}`;

/** What the dumper and the slabs know of a record class. */
export interface LayoutInfo {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly { readonly offset: number; readonly type: string; readonly access: Access }[];
}

const layouts = new Map<object, LayoutInfo>();

/** The description of a declared record class. */
export function layout_of(declaration: object): LayoutInfo {
  const info = layouts.get(declaration);
  assert(info !== undefined, 'layout_of: not a record declaration');
  return info;
}

/** All record classes declared so far, for the inspector and the tidy test. */
export function all_layouts(): readonly LayoutInfo[] {
  return [...layouts.values()];
}

/** Phantom type carrier: `RecordName<typeof Task>` is 'Task'. */
export interface Declared<R extends string> {
  readonly NAME: R;
  readonly SIZE: number;
}

export class LayoutBuilder<R extends string> {
  readonly name: R;
  private cursor = 0;
  private readonly fields: { offset: number; type: string; access: Access }[] = [];

  constructor(name: R) {
    this.name = name;
  }

  private take(size: number, align: number, type: string, access: Access): number {
    const offset = Math.ceil(this.cursor / align) * align;
    this.cursor = offset + size;
    this.fields.push({ offset, type, access });
    return offset;
  }

  u8(access: Access): U8Field<R> {
    return new U8Field<R>(this.take(1, 1, 'u8', access));
  }
  u16(access: Access): U16Field<R> {
    return new U16Field<R>(this.take(2, 2, 'u16', access));
  }
  i32(access: Access): I32Field<R> {
    return new I32Field<R>(this.take(4, 4, 'i32', access));
  }
  u32(access: Access): U32Field<R> {
    return new U32Field<R>(this.take(4, 4, 'u32', access));
  }
  atomic(): AtomicField<R> {
    return new AtomicField<R>(this.take(4, 4, 'atomic', 'atomic'));
  }
  f64(access: Access): F64Field<R> {
    return new F64Field<R>(this.take(8, 8, 'f64', access));
  }
  u64(access: Access): U64Field<R> {
    return new U64Field<R>(this.take(8, 8, 'u64', access));
  }
  /** A pointer to a record of class `target` (its name, so that layouts may refer to each other). */
  ptr<T extends string>(target: T, access: Access): PtrField<R, T> {
    return new PtrField<R, T>(this.take(4, 4, `ptr ${target}`, access));
  }
  /** A declared record inside this one. Its fields keep their own access classes. */
  embed<T extends string>(declaration: Declared<T>): EmbedField<R, T> {
    const info = layout_of(declaration);
    return new EmbedField<R, T>(this.take(info.size, 8, info.name, 'owner'), info.size);
  }
  /** `size` raw bytes, aligned to `align`. */
  bytes(size: number, align: number, access: Access): EmbedField<R, 'bytes'> {
    return new EmbedField<R, 'bytes'>(this.take(size, align, `bytes ${size}`, access), size);
  }

  /** Closes the declaration; `size` is the record's full size, checked against the fields. */
  done<F extends object>(fields: F, size: number): Readonly<F> & Declared<R> {
    assert(this.cursor <= size, `${this.name}: fields take ${this.cursor} bytes, the declared size is ${size}`);
    assert(size % 8 === 0, `${this.name}: size ${size} is not a multiple of 8`);
    // The literal itself is returned, not a spread copy: a copy of many properties becomes a dictionary,
    // whose loads V8 cannot fold.
    const declaration = Object.assign(fields, { NAME: this.name, SIZE: size });
    layouts.set(declaration, { name: this.name, size, fields: this.fields });
    return declaration;
  }
}

/** Starts the declaration of a record class. */
export function layout<R extends string>(name: R): LayoutBuilder<R> {
  return new LayoutBuilder(name);
}

export type { Ptr };
