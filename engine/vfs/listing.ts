/**
 * A snapshot of a directory that cannot be read piece by piece in a stable way (a host directory): taken
 * when an open directory is first read, kept in frames until it is rewound or closed.
 *
 * File.object points to the first frame. A frame begins with the address of the next one and the number
 * of entries in it; an entry is
 *
 *   +0 f64 inode number   +8 u16 length of the name   +10 u8 type (DT_*)   +11 name, padded to 8 bytes
 */
import { ENOMEM } from '../abi/errno.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { F64, U8, U16, U32 } from '../heap/memory.ts';
import { frame_alloc_uninitialized, frame_put } from '../machine/frames.ts';
import { File } from './file.layout.ts';
import type { DirectorySink } from './inode.ts';

const HEADER = 8;
const ENTRY = 11;

/** Fills a listing; 0 or -ENOMEM from each `add`. */
export class ListingBuilder {
  private first = 0;
  private frame = 0;
  private at = 0;

  /** Begins an empty listing. 0 or -ENOMEM. */
  begin(): number {
    this.first = 0;
    this.frame = 0;
    return this.next_frame() ? 0 : -ENOMEM;
  }

  private next_frame(): boolean {
    const frame = frame_alloc_uninitialized();
    if (frame === 0) return false;
    U32[frame >>> 2] = 0;
    U32[(frame + 4) >>> 2] = 0;
    if (this.frame === 0) this.first = frame;
    else U32[this.frame >>> 2] = frame;
    this.frame = frame;
    this.at = frame + HEADER;
    return true;
  }

  /** Appends an entry; the name is at most 255 bytes. */
  add(name: Uint8Array, ino: number, type: number): number {
    const size = (ENTRY + name.length + 7) & ~7;
    if (this.at + size > this.frame + 4096 && !this.next_frame()) return -ENOMEM;
    const { at } = this;
    F64[at / 8] = ino;
    U16[(at + 8) >>> 1] = name.length;
    U8[at + 10] = type;
    U8.set(name, at + ENTRY);
    this.at = at + size;
    U32[(this.frame + 4) >>> 2] = (U32[(this.frame + 4) >>> 2] as number) + 1;
    return 0;
  }

  /** Hands the listing to the file, which has none. */
  finish(file: Ptr<'File'>): void {
    File.object.set(file, this.first);
  }

  /** As `listing_emit`, for a listing that no file holds. */
  emit(start: number, base: number, sink: DirectorySink): number {
    return emit_frames(this.first, start, base, sink);
  }

  /** Frees what was built. */
  abandon(): void {
    free_frames(this.first);
  }
}

function free_frames(frame: number): void {
  while (frame !== 0) {
    const next = U32[frame >>> 2] as number;
    frame_put(frame as FrameAddr);
    frame = next;
  }
}

/** Feeds entries number `start` and up to the sink (their positions offset by `base`); the new number. */
export function listing_emit(file: Ptr<'File'>, start: number, base: number, sink: DirectorySink): number {
  return emit_frames(File.object.get(file), start, base, sink);
}

function emit_frames(first: number, start: number, base: number, sink: DirectorySink): number {
  let index = 0;
  for (let frame = first; frame !== 0; frame = U32[frame >>> 2] as number) {
    const count = U32[(frame + 4) >>> 2] as number;
    if (index + count <= start) {
      index += count;
      continue;
    }
    let at = frame + HEADER;
    for (let i = 0; i < count; i++, index++) {
      const length = U16[(at + 8) >>> 1] as number;
      if (index >= start) {
        const ino = F64[at / 8] as number;
        if (!sink.emit(at + ENTRY, length, ino, U8[at + 10] as number, base + index + 1)) return index;
      }
      at += (ENTRY + length + 7) & ~7;
    }
  }
  return Math.max(index, start);
}

/** Drops the file's listing, if it has one. */
export function directory_listing_free(file: Ptr<'File'>): void {
  const first = File.object.get(file);
  File.object.set(file, 0);
  free_frames(first);
}
