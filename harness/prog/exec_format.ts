/**
 * The form in which programs run: 32-bit words, made by `exec_encode.ts` and interpreted by the `program` platform.
 *
 *     program   MAGIC, calls, slots, { instruction }, END
 *     COPY_IN   word, address, value                    memory is filled before the call
 *     CALL      word, number, slot, fail_nth, value...  word's third byte: arguments; its fourth: CALL_ASYNC
 *     COPY_OUT  word, address, slot                     after a call that succeeded: memory to a slot
 *
 *     CONST     word, low, high
 *     RESULT    word, slot, low, high, divide low, divide high, add low, add high
 *     DATA      word, bytes padded to whole words       word's upper 24 bits: their number
 *
 * The lowest byte of each word is the instruction or the kind of value; of COPY_OUT, CONST and RESULT the second is
 * the size in memory (1, 2, 4, 8; the register of an argument has 8). Addresses are guest addresses. A slot holds 64 bits once its maker has succeeded: a result is slot / divide + add, and the number in
 * the words `low, high` before that. Divide 0 stands for 1. Slots are NO_SLOT where nothing uses a result.
 */

export const MAGIC = 0x7470_7231;
export const END = 0;
export const COPY_IN = 1;
export const CALL = 2;
export const COPY_OUT = 3;

export const CONST = 16;
export const RESULT = 17;
export const DATA = 18;

export const NO_SLOT = 0xffff_ffff;
export const CALL_ASYNC = 1;
/** Longest bytes of one DATA value. */
export const MAX_DATA_LENGTH = 0xff_ffff;
