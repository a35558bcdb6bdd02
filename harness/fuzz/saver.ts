/**
 * Writes files so that each is whole or absent: a temporary file beside it, fsync, rename. What cannot be written
 * (a full disk) waits in memory and is tried again; nothing is dropped.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { message_of } from '../errors.ts';

/** Writes a file whole. Throws what the system says. */
export function write_whole(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${process.pid}`;
  const file = openSync(temporary, 'w');
  try {
    writeSync(file, text);
    fsyncSync(file);
  } catch (error) {
    closeSync(file);
    rmSync(temporary, { force: true });
    throw error;
  }
  closeSync(file);
  renameSync(temporary, path);
}

export class Saver {
  /** Why the last write failed; '' when all is well. */
  problem = '';
  private readonly waiting = new Map<string, string>();
  private readonly write: typeof write_whole;

  constructor(write: typeof write_whole = write_whole) {
    this.write = write;
  }

  /** Files that wait to be written. */
  get pending(): number {
    return this.waiting.size;
  }

  save(path: string, text: string): void {
    this.waiting.set(path, text);
    // While the disk is full each file would fail on its own: `retry` asks once in a while.
    if (this.problem === '') this.retry();
  }

  /** Tries what waits; true when nothing does any more. */
  retry(): boolean {
    for (const [path, text] of this.waiting) {
      try {
        this.write(path, text);
      } catch (error) {
        this.problem = message_of(error);
        return false;
      }
      this.waiting.delete(path);
    }
    this.problem = '';
    return true;
  }

  /** What could not be written, for a last resort. */
  rest(): [path: string, text: string][] {
    return [...this.waiting];
  }
}
