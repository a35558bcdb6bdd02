/**
 * Branded numbers: what a plain number means, checked by the compiler and free at run time.
 */

declare const record: unique symbol;

/** Address of a record of class R in the machine memory; 0 is null. */
export type Ptr<R extends string> = number & { readonly [record]: R };

/** The null pointer of any record class. */
export const NULL = 0 as never;

/** Address of a 4 KiB frame in the machine memory (a multiple of PAGE_SIZE); 0 is none. */
export type FrameAddr = number & { readonly __frame: true };

/** A guest virtual address: an exact double below 2^53, not yet validated. */
export type GuestAddr = number;

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;
