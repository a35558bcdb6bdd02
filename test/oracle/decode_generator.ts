/**
 * Byte strings for the decoder's oracle: encodings of table rows, the same with a byte changed, prefixes before random
 * opcodes, and noise. The same seed gives the same strings.
 */
import { Prng } from '../../engine/base/prng.ts';
import { encodable_rows, random_encoding } from '../../engine/x86/encode_random.ts';

/** Bytes of a slot: the longest instruction and one more. */
export const SLOT = 16;

const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x48, 0x40, 0x41, 0x4f];

export class DecodeGenerator {
  private readonly prng: Prng;
  private readonly rows = encodable_rows();

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  /** Fills each slot of `bytes` with a candidate. */
  fill(bytes: Uint8Array): void {
    const { prng } = this;
    for (let at = 0; at + SLOT <= bytes.length; at += SLOT) {
      for (let n = 0; n < SLOT; n += 4) {
        const noise = prng.u32();
        bytes[at + n] = noise;
        bytes[at + n + 1] = noise >>> 8;
        bytes[at + n + 2] = noise >>> 16;
        bytes[at + n + 3] = noise >>> 24;
      }
      const kind = prng.below(8);
      if (kind < 3) this.put_row(bytes, at);
      else if (kind < 7) this.put_opcode(bytes, at);
    }
  }

  private put_row(bytes: Uint8Array, at: number): void {
    const { prng } = this;
    const encoding = random_encoding(prng.pick(this.rows), prng);
    bytes.set(encoding, at);
    if (prng.one_in(3)) bytes[at + prng.below(encoding.length)] = prng.u32();
    else if (prng.one_in(4)) {
      bytes.copyWithin(at + 1, at, at + SLOT - 1);
      bytes[at] = prng.pick(PREFIXES);
    }
  }

  private put_opcode(bytes: Uint8Array, at: number): void {
    const { prng } = this;
    const end = at + SLOT;
    let cursor = at;
    const prefixes = prng.one_in(32) ? prng.below(15) : prng.below(4);
    for (let n = 0; n < prefixes; n++) bytes[cursor++] = prng.pick(PREFIXES);
    const map = prng.below(8);
    if (map >= 2 && cursor < end) bytes[cursor++] = 0x0f;
    if (map >= 6 && cursor < end) bytes[cursor++] = map === 6 ? 0x38 : 0x3a;
  }
}
