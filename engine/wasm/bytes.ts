/**
 * A growing byte buffer with the integer encodings of the WebAssembly binary format.
 */
export class Bytes {
  private data = new Uint8Array(256);
  length = 0;

  private reserve(more: number): void {
    if (this.length + more <= this.data.length) return;
    const larger = new Uint8Array(Math.max(this.data.length * 2, this.length + more));
    larger.set(this.data.subarray(0, this.length));
    this.data = larger;
  }

  u8(value: number): this {
    this.reserve(1);
    this.data[this.length++] = value;
    return this;
  }

  /** Replaces a byte. */
  patch(at: number, value: number): void {
    this.data[at] = value;
  }

  /** Unsigned LEB128 of an integer below 2^32. */
  u32(value: number): this {
    if (value >= 0 && value < 0x80) return this.u8(value);
    value >>>= 0;
    while (value >= 0x80) {
      this.u8((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    return this.u8(value);
  }

  /** The same in so many bytes, enough for the value. */
  padded_u32(value: number, bytes: number): this {
    value >>>= 0;
    for (let i = 1; i < bytes; i++, value >>>= 7) this.u8((value & 0x7f) | 0x80);
    return this.u8(value);
  }

  /** Signed LEB128 of a 32-bit integer. */
  s32(value: number): this {
    value |= 0;
    for (;;) {
      const low = value & 0x7f;
      value >>= 7;
      if ((value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0)) return this.u8(low);
      this.u8(low | 0x80);
    }
  }

  /** Signed LEB128 of a 64-bit integer. */
  s64(value: bigint): this {
    value = BigInt.asIntN(64, value);
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) return this.s32(Number(value));
    for (;;) {
      const low = Number(value & 0x7fn);
      value >>= 7n;
      if ((value === 0n && (low & 0x40) === 0) || (value === -1n && (low & 0x40) !== 0)) return this.u8(low);
      this.u8(low | 0x80);
    }
  }

  f32(value: number): this {
    return this.raw(new Uint8Array(new Float32Array([value]).buffer));
  }

  f64(value: number): this {
    return this.raw(new Uint8Array(new Float64Array([value]).buffer));
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** Length-prefixed UTF-8. */
  name(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u32(bytes.length).raw(bytes);
  }

  /** Length-prefixed content of another buffer. */
  sized(other: Bytes): this {
    return this.u32(other.length).raw(other.bytes());
  }

  /** The content; a view that the next write may invalidate. */
  bytes(): Uint8Array {
    return this.data.subarray(0, this.length);
  }
}
