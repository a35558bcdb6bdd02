/**
 * Buffers in machine memory for tests of file operations, in place of pinned user memory.
 */
import { heap_page_alloc } from '../../engine/heap/heap_pages.ts';
import { U8 } from '../../engine/heap/memory.ts';
import { IoCursor } from '../../engine/machine/io.ts';

/** Machine memory of `pages` contiguous heap pages. Only directly after the memory was made. */
export function buffer(pages = 1): number {
  const first = heap_page_alloc();
  for (let i = 1; i < pages; i++) heap_page_alloc();
  return first;
}

/** A cursor over `length` bytes at `address`, in pieces of at most `piece` bytes. */
export function cursor(address: number, length: number, piece = 4096): IoCursor {
  const io = new IoCursor().reset();
  for (let done = 0; done < length; done += piece) io.push(address + done, Math.min(piece, length - done));
  return io;
}

/** A cursor over the bytes, stored at `address`. */
export function cursor_of(address: number, bytes: Uint8Array | readonly number[], piece = 4096): IoCursor {
  U8.set(bytes, address);
  return cursor(address, bytes.length, piece);
}
