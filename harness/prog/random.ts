/** The draws that generation and mutation are made of, on the seeded generator of engine/base. */
import { Prng } from '../../engine/base/prng.ts';

/** Values at which kernels decide: small ones, powers of two and their neighbours, the ends of each width. */
const SPECIAL_INTS: readonly bigint[] = [
  ...[0n, 1n, 31n, 32n, 63n, 64n, 127n, 128n, 129n, 255n, 256n, 257n, 511n, 512n, 1023n, 1024n, 1025n],
  ...[2047n, 2048n, 4095n, 4096n, (1n << 15n) - 1n, 1n << 15n, (1n << 15n) + 1n, (1n << 16n) - 1n, 1n << 16n],
  ...[(1n << 31n) - 1n, 1n << 31n, (1n << 31n) + 1n, (1n << 32n) - 1n, 1n << 32n, (1n << 32n) + 1n],
  ...[(1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n],
];

const SPECIAL = new Set(SPECIAL_INTS);

/** True for the values that `Random.integer` often makes. */
export function is_special_int(value: bigint): boolean {
  return SPECIAL.has(value);
}

export class Random extends Prng {
  /** True `n` times out of `total`. */
  n_out_of(n: number, total: number): boolean {
    return this.below(total) < n;
  }

  /** 64 random bits. */
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** An integer from 0 to `limit` - 1 that is small more often than large. */
  small(limit: number): number {
    return Math.min(this.below(limit), this.below(limit));
  }

  /** A number that a kernel may find interesting: small, special or wide, now and then negative or shifted. */
  integer(): bigint {
    let value: bigint;
    if (this.n_out_of(100, 182)) value = BigInt(this.below(10));
    else if (this.n_out_of(50, 82)) value = this.pick(SPECIAL_INTS);
    else if (this.n_out_of(10, 32)) value = BigInt(this.below(256));
    else if (this.n_out_of(10, 22)) value = BigInt(this.below(4096));
    else if (this.n_out_of(10, 12)) value = BigInt(this.below(65536));
    else value = BigInt(this.below(2 ** 31));
    if (this.n_out_of(100, 107)) return value;
    return BigInt.asUintN(64, this.n_out_of(5, 7) ? -value : value << BigInt(this.below(64)));
  }

  /** A number from `low` to `high` (signed), its ends more often than others. */
  in_range(low: bigint, high: bigint): bigint {
    if (this.one_in(10)) return BigInt.asUintN(64, this.one_in(2) ? low : high);
    return BigInt.asUintN(64, low + (this.u64() % (high - low + 1n)));
  }

  /** Random bytes. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }
}
