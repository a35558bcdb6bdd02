/**
 * KeptArgument: a piece of what a call that sleeps has read from user memory (kernel/call_arguments.ts). A piece longer
 * than KEPT_INLINE is a heap page of its own with the same head, and is no record of the class.
 */
import { layout } from '../heap/layout.ts';

/** Bytes of data in a record. */
export const KEPT_INLINE = 64;

const l = layout('KeptArgument');
export const KeptArgument = l.done(
  {
    /** The call's next piece; those of one argument follow one another. */
    next: l.ptr('KeptArgument', 'owner'),
    /** KEPT_*: which argument. */
    key: l.u32('owner'),
    /** Bytes of data. */
    length: l.u32('owner'),
    data: l.bytes(KEPT_INLINE, 8, 'owner'),
  },
  80,
);
