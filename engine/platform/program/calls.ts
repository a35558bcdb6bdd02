/**
 * A program of system calls, as the `program` platform runs it: each call with the memory it reads, its arguments,
 * and the numbers it writes that later calls use. Made from the words of harness/prog/exec_format.ts; never changed.
 */

/** A number of 64 bits: written down, or computed from what an earlier call made. */
export class CallValue {
  /** Bytes in memory: 1, 2, 4 or 8. */
  readonly size: number;
  /** The number itself; with a slot, what stands for it when its maker failed. */
  readonly lo: number;
  readonly hi: number;
  /** Where the result lies, or -1. */
  readonly slot: number;
  /** The value is slot / divide + add, unsigned. Divide 0 stands for 1. */
  readonly divide: bigint;
  readonly add: bigint;
  /** Whether it is not the slot itself. */
  readonly computed: boolean;

  constructor(size: number, lo: number, hi: number, slot = -1, divide = 0n, add = 0n) {
    this.size = size;
    this.lo = lo;
    this.hi = hi;
    this.slot = slot;
    this.divide = divide;
    this.add = add;
    this.computed = divide > 1n || add !== 0n;
  }
}

/** 64 bits, on their way. */
export interface LoadedNumber {
  lo: number;
  hi: number;
}

/** From what the slot of a value holds to the value. */
export function compute_value(value: CallValue, number: LoadedNumber): void {
  const slot = (BigInt(number.hi) << 32n) | BigInt(number.lo);
  const result = BigInt.asUintN(64, slot / (value.divide === 0n ? 1n : value.divide) + value.add);
  number.lo = Number(result & 0xffff_ffffn);
  number.hi = Number(result >> 32n);
}

export interface CopyIn {
  readonly address: number;
  /** Bytes as they are, or a number. */
  readonly value: Uint8Array | CallValue;
}

export interface CopyOut {
  readonly address: number;
  readonly size: number;
  readonly slot: number;
}

export interface ProgramCall {
  readonly number: number;
  readonly args: readonly CallValue[];
  readonly copy_in: readonly CopyIn[];
  readonly copy_out: readonly CopyOut[];
  /** Where its result goes, or -1. */
  readonly slot: number;
  /** Runs in a task of its own, beside the calls behind it. */
  readonly is_async: boolean;
  /** Which reservation of memory fails in it, 0 none. */
  readonly fail_nth: number;
}

/** How long a child lives, in ms: long enough to meet other calls. */
const CHILD_MS = 20;
/** How much longer than the one made before it, so that children end in their order on a host's clock too. */
const CHILD_STEP_MS = 10;

/** Whether a call makes a child that does not go on with the program: clone, fork, vfork, clone3. */
export function makes_child(number: number): boolean {
  return (number >= 56 && number <= 58) || number === 435;
}

/** How long the child lives that call `index` makes, in ms; that of what no call made, as the first one's. */
export function child_ms(calls: readonly ProgramCall[], index: number): number {
  let ms = CHILD_MS;
  for (let i = 0; i < Math.min(index, calls.length); i++)
    if (makes_child((calls[i] as ProgramCall).number)) ms += CHILD_STEP_MS;
  return ms;
}
