// @hot
/**
 * The ring of pages in a pipe (Linux's pipe_buffer array), under the pipe's lock.
 *
 * A slot in use is a page with 1 to 4096 bytes from its beginning on; its word in the list is the page's address
 * plus that number less one. A write begins in the last page in use where the odd bytes beyond its whole pages
 * fit, and takes a new page for what is left: so small writes share pages, no atomic write is spread over two, and
 * a pipe is full when its slots are, however little is in them. A page is free again when all of it was read.
 */
import { PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { U32 } from '../../heap/memory.ts';
import { frame_alloc_uninitialized } from '../../machine/frames.ts';
import type { IoCursor } from '../../machine/io.ts';
import { Pipe } from './pipe.layout.ts';

const LENGTH_MASK = PAGE_SIZE - 1;

/** Index in U32 of the word of a slot: the `i`-th from the first in use. */
export function slot_word(pipe: Ptr<'Pipe'>, i: number): number {
  const far = Pipe.far_pages.get(pipe);
  const list = far === 0 ? Pipe.pages.at(pipe) : far;
  return (list >>> 2) + ((Pipe.first.get(pipe) + i) % Pipe.page_count.get(pipe));
}

/** Address of the page of a slot's word; 0 when it has none. */
export function slot_page(word: number): number {
  return (word & ~LENGTH_MASK) >>> 0;
}

/** Bytes in the page of a slot in use. */
export function slot_bytes(word: number): number {
  return (word & LENGTH_MASK) + 1;
}

/** Whether every slot is in use. */
export function ring_full(pipe: Ptr<'Pipe'>): boolean {
  return Pipe.slots.get(pipe) >= Pipe.page_count.get(pipe);
}

/** Room behind the last byte, in the last page in use. */
export function tail_room(pipe: Ptr<'Pipe'>): number {
  const slots = Pipe.slots.get(pipe);
  return slots === 0 ? 0 : PAGE_SIZE - slot_bytes(U32[slot_word(pipe, slots - 1)] as number);
}

/** Appends to the last page in use: the address where `length` bytes, at most `tail_room`, go. */
export function grow_tail(pipe: Ptr<'Pipe'>, length: number): number {
  const at = slot_word(pipe, Pipe.slots.get(pipe) - 1);
  const word = U32[at] as number;
  U32[at] = word + length;
  Pipe.used.set(pipe, Pipe.used.get(pipe) + length);
  return slot_page(word) + slot_bytes(word);
}

/** Takes a slot into use, with `length` bytes: the address of its page, or 0 when RAM is exhausted. */
export function add_slot(pipe: Ptr<'Pipe'>, length: number): number {
  const slots = Pipe.slots.get(pipe);
  const at = slot_word(pipe, slots);
  let page = U32[at] as number;
  if (page === 0) page = frame_alloc_uninitialized();
  if (page === 0) return 0;
  U32[at] = page + length - 1;
  Pipe.slots.set(pipe, slots + 1);
  Pipe.used.set(pipe, Pipe.used.get(pipe) + length);
  return page;
}

/**
 * Copies in what fits of a write: bytes. A write of up to a page is stored whole or not at all. Where more of the
 * same write follows what the cursor holds, new pages are filled whole.
 */
export function ring_put(pipe: Ptr<'Pipe'>, io: IoCursor): number {
  let left = io.remaining;
  const total = left;
  const odd = (left + io.following) % PAGE_SIZE;
  if (odd !== 0 && odd <= left && odd <= tail_room(pipe)) {
    io.drain_to(grow_tail(pipe, odd), odd);
    left -= odd;
  }
  while (left > 0 && !ring_full(pipe)) {
    const n = Math.min(left, PAGE_SIZE);
    if (n < PAGE_SIZE && io.following > 0 && left < total) break;
    const page = add_slot(pipe, n);
    if (page === 0) break;
    io.drain_to(page, n);
    left -= n;
  }
  return total - left;
}

/** Copies out up to `io.remaining` bytes and leaves them in the ring: bytes. */
export function ring_copy(pipe: Ptr<'Pipe'>, io: IoCursor): number {
  const total = Math.min(io.remaining, Pipe.used.get(pipe));
  let offset = Pipe.offset.get(pipe);
  for (let left = total, i = 0; left > 0; i++) {
    const word = U32[slot_word(pipe, i)] as number;
    const n = Math.min(left, slot_bytes(word) - offset);
    io.fill_from(slot_page(word) + offset, n);
    offset = 0;
    left -= n;
  }
  return total;
}

/** Takes the first `length` bytes, of which there are as many, out of the ring. Pages stay for the next bytes. */
export function ring_consume(pipe: Ptr<'Pipe'>, length: number): void {
  let slots = Pipe.slots.get(pipe);
  let first = Pipe.first.get(pipe);
  let offset = Pipe.offset.get(pipe) + length;
  const count = Pipe.page_count.get(pipe);
  const list = slot_word(pipe, 0) - first;
  while (slots > 0) {
    const word = U32[list + first] as number;
    const bytes = slot_bytes(word);
    if (offset < bytes) break;
    offset -= bytes;
    U32[list + first] = slot_page(word);
    first = (first + 1) % count;
    slots--;
  }
  // Empty: start over in the first page, which is still warm.
  Pipe.first.set(pipe, slots === 0 ? 0 : first);
  Pipe.slots.set(pipe, slots);
  Pipe.offset.set(pipe, offset);
  Pipe.used.set(pipe, Pipe.used.get(pipe) - length);
}
