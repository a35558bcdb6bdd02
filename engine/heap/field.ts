// @hot
/**
 * Typed accessors of record fields. A record declaration (see `layout.ts`) is an object of these; each
 * knows its offset, and `get`/`set` compile to one typed-array access once the bundle has made the
 * declaration a local constant (an imported binding is not folded by V8, which costs 1.7x).
 */
import type { Ptr } from '../base/types.ts';
import { alone, F64, I32, U8, U16, U32, U64 } from './memory.ts';

const TWO_32 = 4294967296;

export class U8Field<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  get(p: Ptr<R>): number {
    return U8[p + this.offset] as number;
  }
  set(p: Ptr<R>, value: number): void {
    U8[p + this.offset] = value;
  }
}

export class U16Field<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  get(p: Ptr<R>): number {
    return U16[(p + this.offset) >> 1] as number;
  }
  set(p: Ptr<R>, value: number): void {
    U16[(p + this.offset) >> 1] = value;
  }
}

export class I32Field<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  get(p: Ptr<R>): number {
    return I32[(p + this.offset) >> 2] as number;
  }
  set(p: Ptr<R>, value: number): void {
    I32[(p + this.offset) >> 2] = value;
  }
}

export class U32Field<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  get(p: Ptr<R>): number {
    return U32[(p + this.offset) >> 2] as number;
  }
  set(p: Ptr<R>, value: number): void {
    U32[(p + this.offset) >> 2] = value;
  }
}

/** An atomic 32-bit signed word: lock words, states, reference counts, doorbells. */
export class AtomicField<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  load(p: Ptr<R>): number {
    const at = (p + this.offset) >> 2;
    return alone ? (I32[at] as number) : Atomics.load(I32, at);
  }
  store(p: Ptr<R>, value: number): void {
    const at = (p + this.offset) >> 2;
    if (alone) I32[at] = value;
    else Atomics.store(I32, at, value);
  }
  /** Adds and returns the old value. */
  add(p: Ptr<R>, value: number): number {
    const at = (p + this.offset) >> 2;
    if (!alone) return Atomics.add(I32, at, value);
    const old = I32[at] as number;
    I32[at] = old + value;
    return old;
  }
  or(p: Ptr<R>, value: number): number {
    const at = (p + this.offset) >> 2;
    if (!alone) return Atomics.or(I32, at, value);
    const old = I32[at] as number;
    I32[at] = old | value;
    return old;
  }
  and(p: Ptr<R>, value: number): number {
    const at = (p + this.offset) >> 2;
    if (!alone) return Atomics.and(I32, at, value);
    const old = I32[at] as number;
    I32[at] = old & value;
    return old;
  }
  exchange(p: Ptr<R>, value: number): number {
    const at = (p + this.offset) >> 2;
    if (!alone) return Atomics.exchange(I32, at, value);
    const old = I32[at] as number;
    I32[at] = value;
    return old;
  }
  /** Compare and swap; returns the old value, so success is `=== expected`. */
  cas(p: Ptr<R>, expected: number, value: number): number {
    const at = (p + this.offset) >> 2;
    if (!alone) return Atomics.compareExchange(I32, at, expected, value);
    const old = I32[at] as number;
    if (old === expected) I32[at] = value;
    return old;
  }
  /** Index of the word in `I32`, for Atomics.wait and notify. */
  index(p: Ptr<R>): number {
    return (p + this.offset) >> 2;
  }
}

/** A double: nanoseconds, byte counts, guest addresses (all exact below 2^53). */
export class F64Field<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  get(p: Ptr<R>): number {
    return F64[(p + this.offset) >> 3] as number;
  }
  set(p: Ptr<R>, value: number): void {
    F64[(p + this.offset) >> 3] = value;
  }
}

/** A 64-bit word as two halves; `get` and `set` as a double are exact below 2^53. */
export class U64Field<R extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  lo(p: Ptr<R>): number {
    return U32[(p + this.offset) >> 2] as number;
  }
  hi(p: Ptr<R>): number {
    return U32[(p + this.offset + 4) >> 2] as number;
  }
  /** As an unsigned number; inexact from 2^53 on. */
  get(p: Ptr<R>): number {
    return (U32[(p + this.offset + 4) >> 2] as number) * TWO_32 + (U32[(p + this.offset) >> 2] as number);
  }
  /** As a signed number; inexact outside +-2^53. */
  get_signed(p: Ptr<R>): number {
    return (I32[(p + this.offset + 4) >> 2] as number) * TWO_32 + (U32[(p + this.offset) >> 2] as number);
  }
  /** Stores an integer of +-2^53, negative ones in two's complement. */
  set(p: Ptr<R>, value: number): void {
    U32[(p + this.offset) >> 2] = value;
    U32[(p + this.offset + 4) >> 2] = Math.floor(value / TWO_32);
  }
  set_parts(p: Ptr<R>, lo: number, hi: number): void {
    U32[(p + this.offset) >> 2] = lo;
    U32[(p + this.offset + 4) >> 2] = hi;
  }
  /** For cold code and tests. */
  get_big(p: Ptr<R>): bigint {
    return U64[(p + this.offset) >> 3] as bigint;
  }
  set_big(p: Ptr<R>, value: bigint): void {
    U64[(p + this.offset) >> 3] = value;
  }
}

/** A pointer to a record of class T. */
export class PtrField<R extends string, T extends string> {
  readonly offset: number;
  constructor(offset: number) {
    this.offset = offset;
  }
  get(p: Ptr<R>): Ptr<T> {
    return I32[(p + this.offset) >> 2] as Ptr<T>;
  }
  set(p: Ptr<R>, value: Ptr<T>): void {
    I32[(p + this.offset) >> 2] = value;
  }
}

/** A record or an array of bytes inside the record: `at` is its address. */
export class EmbedField<R extends string, T extends string> {
  readonly offset: number;
  readonly size: number;
  constructor(offset: number, size: number) {
    this.offset = offset;
    this.size = size;
  }
  at(p: Ptr<R>): Ptr<T> {
    return (p + this.offset) as Ptr<T>;
  }
}
