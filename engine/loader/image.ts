/**
 * Bytes between an executable file, kernel memory and a new address space. The loader parses JS byte arrays:
 * exec is cold, and what is parsed is a copy that the guest can no longer change.
 */
import { EIO, ENOMEM } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8 } from '../heap/memory.ts';
import { copy_out_mm } from '../mm/uaccess.ts';
import { kernel_read } from '../vfs/kernel_io.ts';

const PAGE = 4096;

/** Up to `length` bytes of a file, fewer only at its end; or -errno. */
export function read_bytes(file: Ptr<'File'>, position: number, length: number): Uint8Array | number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const bytes = new Uint8Array(length);
  let done = 0;
  let result = 0;
  while (done < length) {
    result = kernel_read(file, position + done, page, Math.min(PAGE, length - done));
    if (result <= 0) break;
    bytes.set(U8.subarray(page, page + result), done);
    done += result;
  }
  heap_page_free(page);
  return result < 0 ? result : bytes.subarray(0, done);
}

/** Exactly `length` bytes of a file, or -errno; -EIO when the file ends before (Linux's elf_read). */
export function read_exactly(file: Ptr<'File'>, position: number, length: number): Uint8Array | number {
  // A position that no file reaches: it is not exact as a number either.
  if (position > Number.MAX_SAFE_INTEGER - length) return -EIO;
  const bytes = read_bytes(file, position, length);
  if (typeof bytes === 'number') return bytes;
  return bytes.length === length ? bytes : -EIO;
}

/** Writes bytes into an address space that no task runs in yet: 0, -EFAULT or -ENOMEM. */
export function write_bytes(mm: Ptr<'Mm'>, address: number, bytes: Uint8Array): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  let result = 0;
  for (let done = 0; done < bytes.length && result === 0; done += PAGE) {
    const chunk = bytes.subarray(done, done + PAGE);
    U8.set(chunk, page);
    result = copy_out_mm(mm, address + done, page, chunk.length);
  }
  heap_page_free(page);
  return result;
}

/** Calls `use` with the address of a NUL-terminated copy of `bytes` (at most 4095) in kernel memory. */
export function with_string(bytes: Uint8Array, use: (address: number) => number): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  U8.set(bytes.subarray(0, PAGE - 1), page);
  U8[page + Math.min(bytes.length, PAGE - 1)] = 0;
  const result = use(page);
  heap_page_free(page);
  return result;
}
