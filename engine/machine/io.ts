// @hot
/**
 * IoCursor: the memory side of a read or write, as pinned pieces of machine memory.
 *
 * The syscall layer pins the user's buffer page by page before any object lock is taken (mm/uaccess.ts);
 * the object then copies straight between its own storage and the pieces, under its lock, without ever
 * faulting. Pinned pieces stay valid until the vCPU's next safe point: a frame is reused only after
 * every vCPU has passed one. One cursor is reused per thread; it does not live across a block.
 */
import { bytes_copy, bytes_zero } from '../heap/bytes.ts';

/** Pieces pinned at a time: 1 MiB of pages, plus one for an unaligned start. */
export const IO_MAX_PIECES = 257;

export class IoCursor {
  private readonly addresses = new Float64Array(IO_MAX_PIECES);
  private readonly lengths = new Float64Array(IO_MAX_PIECES);
  private count = 0;
  private piece = 0;
  private offset = 0;
  /** Bytes not yet transferred. */
  remaining = 0;
  /** Bytes transferred. */
  done = 0;
  /** Bytes of the same transfer that follow those pinned now. */
  following = 0;
  /** Bytes between the two that were to be pinned and cannot be accessed: who gets to them answers -EFAULT. */
  missing = 0;

  /** Empties the cursor. */
  reset(): this {
    this.count = 0;
    this.piece = 0;
    this.offset = 0;
    this.remaining = 0;
    this.done = 0;
    this.following = 0;
    this.missing = 0;
    return this;
  }

  /** Bytes that the caller wants transferred now, whether they can be accessed or not. */
  wanted(): number {
    return this.remaining + this.missing;
  }

  /** Whether another piece fits. */
  full(): boolean {
    return this.count === IO_MAX_PIECES;
  }

  /** Whether nothing was pushed since the last reset. */
  empty(): boolean {
    return this.count === 0;
  }

  /** How many more pieces fit. */
  free_pieces(): number {
    return IO_MAX_PIECES - this.count;
  }

  /** Appends a piece of machine memory; one that continues the last piece makes it longer. */
  push(address: number, length: number): void {
    const last = this.count - 1;
    if (last >= this.piece && (this.addresses[last] as number) + (this.lengths[last] as number) === address) {
      this.lengths[last] = (this.lengths[last] as number) + length;
      this.remaining += length;
      return;
    }
    this.addresses[this.count] = address;
    this.lengths[this.count] = length;
    this.count++;
    this.remaining += length;
  }

  /** The next contiguous piece: its address (see `piece_length`). Only while `remaining` > 0. */
  piece_address(): number {
    return (this.addresses[this.piece] as number) + this.offset;
  }

  piece_length(): number {
    return (this.lengths[this.piece] as number) - this.offset;
  }

  /** Moves past `length` bytes of the current piece. */
  advance(length: number): void {
    this.offset += length;
    this.remaining -= length;
    this.done += length;
    if (this.offset === this.lengths[this.piece]) {
      this.piece++;
      this.offset = 0;
    }
  }

  /** Moves past up to `length` bytes without touching them. */
  skip(length: number): void {
    for (let left = Math.min(length, this.remaining); left > 0; ) {
      const n = Math.min(left, this.piece_length());
      left -= n;
      this.advance(n);
    }
  }

  /** Copies up to `length` bytes from machine memory at `source` into the pieces (a read). */
  fill_from(source: number, length: number): number {
    let left = Math.min(length, this.remaining);
    const total = left;
    while (left > 0) {
      const n = Math.min(left, this.piece_length());
      bytes_copy(this.piece_address(), source, n);
      source += n;
      left -= n;
      this.advance(n);
    }
    return total;
  }

  /** Copies up to `length` bytes from the pieces to machine memory at `target` (a write). */
  drain_to(target: number, length: number): number {
    let left = Math.min(length, this.remaining);
    const total = left;
    while (left > 0) {
      const n = Math.min(left, this.piece_length());
      const from = this.piece_address();
      bytes_copy(target, from, n);
      target += n;
      left -= n;
      this.advance(n);
    }
    return total;
  }

  /** Fills up to `length` bytes of the pieces with zeros. */
  fill_zero(length: number): number {
    let left = Math.min(length, this.remaining);
    const total = left;
    while (left > 0) {
      const n = Math.min(left, this.piece_length());
      const at = this.piece_address();
      bytes_zero(at, n);
      left -= n;
      this.advance(n);
    }
    return total;
  }
}
