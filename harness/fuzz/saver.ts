/**
 * Writes files so that each is whole or absent: a temporary file beside it, fsync, rename. What cannot be written
 * (a full disk) waits in memory and is tried again; nothing is dropped.
 *
 * A campaign's files are written by the system's threads: fsync took 57 % of the main thread's time when that wrote
 * them itself, and what workers had to say waited meanwhile.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { message_of } from '../errors.ts';

function temporary_of(path: string): string {
  return `${path}.tmp-${process.pid}`;
}

/** Writes a file whole. Throws what the system says. */
export function write_whole(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = temporary_of(path);
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

/** As `write_whole`, without holding up this thread. */
async function write_later(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = temporary_of(path);
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await file.close();
  await rename(temporary, path);
}

/** Files written at the same time: as many as there are threads for it. */
const MOST_AT_ONCE = 4;

export class Saver {
  /** Why the last write failed; '' when all is well. */
  problem = '';
  private readonly waiting = new Map<string, string>();
  private readonly in_progress = new Map<string, Promise<void>>();
  private readonly write: typeof write_later;

  constructor(write: typeof write_later = write_later) {
    this.write = write;
  }

  /** Files that wait to be written. */
  get pending(): number {
    return this.waiting.size;
  }

  save(path: string, text: string): void {
    this.waiting.set(path, text);
    // While the disk is full each file would fail on its own: `retry` asks once in a while.
    if (this.problem === '') this.begin(MOST_AT_ONCE);
  }

  /** Tries what waits, one file first after a failure; true when nothing waits any more. */
  async retry(): Promise<boolean> {
    await this.in_progress_ends();
    if (this.problem !== '') {
      this.begin(1);
      await this.in_progress_ends();
    }
    while (this.problem === '' && this.waiting.size > 0) {
      this.begin(MOST_AT_ONCE);
      await this.in_progress_ends();
    }
    return this.waiting.size === 0;
  }

  private async in_progress_ends(): Promise<void> {
    while (this.in_progress.size > 0) await Promise.all(this.in_progress.values());
  }

  /** Begins to write until `most` files are in progress. A file is written once at a time. */
  private begin(most: number): void {
    for (const [path, text] of this.waiting) {
      if (this.in_progress.size >= most) return;
      if (!this.in_progress.has(path)) this.in_progress.set(path, this.write_one(path, text));
    }
  }

  private async write_one(path: string, text: string): Promise<void> {
    try {
      await this.write(path, text);
      if (this.waiting.get(path) === text) this.waiting.delete(path);
      this.problem = '';
    } catch (error) {
      this.problem = message_of(error);
    }
    this.in_progress.delete(path);
    if (this.problem === '') this.begin(MOST_AT_ONCE);
  }

  /** What could not be written, for a last resort. */
  rest(): [path: string, text: string][] {
    return [...this.waiting];
  }
}
