/**
 * The host descriptors that the bound machine holds: a bit for each in its memory, set by whichever thread opened it,
 * so that they are closed at the machine's end, whatever state that left it in. They belong to the process, so they
 * are no part of a snapshot.
 */
import { closeSync } from 'node:fs';
import { ENFILE } from '../abi/errno.ts';
import { BOOT_TABLES_END, HOST_HANDLES } from '../heap/machine.layout.ts';
import { I32 } from '../heap/memory.ts';

const LIMIT = (BOOT_TABLES_END - HOST_HANDLES) * 8;

function word_of(handle: number): number {
  return (HOST_HANDLES >> 2) + (handle >>> 5);
}

/** Notes a descriptor just opened, or closes it: the descriptor, or -ENFILE when its number is too high to be noted. */
export function handle_opened(handle: number): number {
  if (handle >= LIMIT) {
    closeSync(handle);
    return -ENFILE;
  }
  Atomics.or(I32, word_of(handle), 1 << (handle & 31));
  return handle;
}

/** Closes a descriptor of the bound machine. Throws the host's error. */
export function handle_close(handle: number): void {
  // Before it is closed, since another thread may get the same number at once.
  if (handle < LIMIT) Atomics.and(I32, word_of(handle), ~(1 << (handle & 31)));
  closeSync(handle);
}

/** Closes every descriptor of the bound machine. None of its threads runs any more. */
export function close_all_handles(): void {
  for (let handle = 0; handle < LIMIT; handle++) {
    if ((handle & 31) === 0 && I32[word_of(handle)] === 0) handle += 31;
    else if (((I32[word_of(handle)] as number) & (1 << (handle & 31))) !== 0) handle_close(handle);
  }
}
