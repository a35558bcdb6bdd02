// @hot
/**
 * The ring of pages in a pipe (Linux's pipe_buffer array), under the pipe's lock.
 *
 * A slot in use is a page with 1 to 4096 bytes from its beginning on; its word in the list is the page's address
 * plus that number less one. A write begins in the last page in use where the odd bytes beyond its whole pages
 * fit, and takes a new page for what is left: so small writes share pages, no atomic write is spread over two, and
 * a pipe is full when its slots are, however little is in them. A page is free again when all of it was read.
 *
 * A page may be a packet (pipe(2), O_DIRECT): nothing is added to it, a read ends with it, and what the read left of
 * it is lost. A bit at the slot's number says so.
 */
import { PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { U8, U32 } from '../../heap/memory.ts';
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

/** Whether the `i`-th slot from the first in use is a packet. */
export function is_packet_slot(pipe: Ptr<'Pipe'>, i: number): boolean {
  if (Pipe.packet_count.get(pipe) === 0) return false;
  const slot = (Pipe.first.get(pipe) + i) % Pipe.page_count.get(pipe);
  return ((U8[Pipe.packets.at(pipe) + (slot >>> 3)] as number) & (1 << (slot & 7))) !== 0;
}

/** Makes the `i`-th slot from the first in use a packet. */
export function make_packet_slot(pipe: Ptr<'Pipe'>, i: number): void {
  const slot = (Pipe.first.get(pipe) + i) % Pipe.page_count.get(pipe);
  const at = Pipe.packets.at(pipe) + (slot >>> 3);
  U8[at] = (U8[at] as number) | (1 << (slot & 7));
  Pipe.packet_count.set(pipe, Pipe.packet_count.get(pipe) + 1);
}

/** Room behind the last byte, in the last page in use; a packet has none, nor has what was moved there. */
export function tail_room(pipe: Ptr<'Pipe'>): number {
  const slots = Pipe.slots.get(pipe);
  return slots === 0 || Pipe.sealed.get(pipe) !== 0 || is_packet_slot(pipe, slots - 1)
    ? 0
    : PAGE_SIZE - slot_bytes(U32[slot_word(pipe, slots - 1)] as number);
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
  Pipe.sealed.set(pipe, 0);
  Pipe.used.set(pipe, Pipe.used.get(pipe) + length);
  return page;
}

/**
 * Copies in what fits of a write: bytes. A write of up to a page is stored whole or not at all. Where more of the
 * same write follows what the cursor holds, new pages are filled whole. `packet`: each new page is one.
 */
export function ring_put(pipe: Ptr<'Pipe'>, io: IoCursor, packet: boolean): number {
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
    if (packet) make_packet_slot(pipe, Pipe.slots.get(pipe) - 1);
    io.drain_to(page, n);
    left -= n;
  }
  return total - left;
}

/** Takes pages into use for what the cursor holds, each piece of a page in one of its own: bytes. */
export function ring_append(pipe: Ptr<'Pipe'>, io: IoCursor, packet: boolean): number {
  const before = io.done;
  while (io.remaining > 0 && !ring_full(pipe)) {
    const n = Math.min(io.piece_length(), PAGE_SIZE - (io.piece_address() & LENGTH_MASK));
    const page = add_slot(pipe, n);
    if (page === 0) break;
    if (packet) make_packet_slot(pipe, Pipe.slots.get(pipe) - 1);
    io.drain_to(page, n);
  }
  return io.done - before;
}

/** See `pipe_pieces`. */
export function ring_pieces(pipe: Ptr<'Pipe'>, pieces: number[], most: number, wanted: number): boolean {
  const slots = Math.min(Pipe.slots.get(pipe), most);
  let left = wanted;
  let grows = false;
  for (let i = 0; i < slots && left > 0; i++) {
    const bytes = slot_bytes(U32[slot_word(pipe, i)] as number) - (i === 0 ? Pipe.offset.get(pipe) : 0);
    const sealed = i === Pipe.slots.get(pipe) - 1 && Pipe.sealed.get(pipe) !== 0;
    grows = bytes <= left && !sealed;
    pieces.push(Math.min(bytes, left));
    left -= bytes;
  }
  return grows;
}

/** Copies out up to `io.remaining` bytes, at most `limit`, and leaves them in the ring: bytes. */
export function ring_copy(pipe: Ptr<'Pipe'>, io: IoCursor, limit = Pipe.used.get(pipe)): number {
  const total = Math.min(io.remaining, limit);
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

/** Bytes of a read of `wanted` that end with a page of the ring, or with the read, and are at most `limit`. */
export function ring_whole_slots(pipe: Ptr<'Pipe'>, wanted: number, limit: number): number {
  const slots = Pipe.slots.get(pipe);
  let total = 0;
  for (let i = 0; i < slots && total < wanted; i++) {
    const left = slot_bytes(U32[slot_word(pipe, i)] as number) - (i === 0 ? Pipe.offset.get(pipe) : 0);
    const n = Math.min(left, wanted - total);
    if (total + n > limit) break;
    total += n;
  }
  return total;
}

/** Copies out and takes what a read of a ring with packets gets: all up to the first packet, and no more: bytes. */
export function ring_take_packet(pipe: Ptr<'Pipe'>, io: IoCursor): number {
  const slots = Pipe.slots.get(pipe);
  let before = -Pipe.offset.get(pipe);
  let i = 0;
  while (i < slots && !is_packet_slot(pipe, i)) before += slot_bytes(U32[slot_word(pipe, i++)] as number);
  const end = before + (i < slots ? slot_bytes(U32[slot_word(pipe, i)] as number) : 0);
  const n = ring_copy(pipe, io, end);
  // A read that got to the packet takes all of it.
  ring_consume(pipe, n > Math.max(before, 0) ? end : n);
  return n;
}

/** The slot with this number is in use no longer. */
function end_packet(pipe: Ptr<'Pipe'>, slot: number): void {
  const at = Pipe.packets.at(pipe) + (slot >>> 3);
  const bit = 1 << (slot & 7);
  if (((U8[at] as number) & bit) === 0) return;
  U8[at] = (U8[at] as number) & ~bit;
  Pipe.packet_count.set(pipe, Pipe.packet_count.get(pipe) - 1);
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
    if (Pipe.packet_count.get(pipe) !== 0) end_packet(pipe, first);
    first = (first + 1) % count;
    slots--;
  }
  // Empty: start over in the first page, which is still warm.
  Pipe.first.set(pipe, slots === 0 ? 0 : first);
  Pipe.slots.set(pipe, slots);
  Pipe.offset.set(pipe, offset);
  Pipe.used.set(pipe, Pipe.used.get(pipe) - length);
}
