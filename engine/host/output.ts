/** Files that tvisor itself writes: each is there whole, or not at all. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes a host file, by way of another beside it. Throws the host's error when it cannot be written. */
export function write_whole(path: string, text: string): void {
  const scratch = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(scratch, text);
    renameSync(scratch, path);
  } catch (error) {
    rmSync(scratch, { force: true });
    throw error;
  }
}
