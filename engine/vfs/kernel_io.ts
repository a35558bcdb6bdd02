/**
 * Reading and writing files from inside the kernel: the loader, core of copy_file_range, tests.
 */
import type { Ptr } from '../base/types.ts';
import { IoCursor } from '../machine/io.ts';
import { file_operations } from './file.ts';

const io = new IoCursor();

/** Reads up to `length` bytes at `position` into machine memory; bytes read (short only at the end) or -errno. */
export function kernel_read(file: Ptr<'File'>, position: number, target: number, length: number): number {
  let done = 0;
  while (done < length) {
    io.reset().push(target + done, length - done);
    const n = file_operations(file).read(file, io, position + done);
    if (n < 0) return done > 0 ? done : n;
    if (n === 0) break;
    done += n;
  }
  return done;
}

/** Writes `length` bytes from machine memory at `position`; bytes written or -errno. */
export function kernel_write(file: Ptr<'File'>, position: number, source: number, length: number): number {
  let done = 0;
  while (done < length) {
    io.reset().push(source + done, length - done);
    const n = file_operations(file).write(file, io, position + done);
    if (n < 0) return done > 0 ? done : n;
    if (n === 0) break;
    done += n;
  }
  return done;
}
