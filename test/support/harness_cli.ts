/** Runs the command `tvisor-harness` as a user does. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const HARNESS = fileURLToPath(new URL('../../../dist/bundle/tvisor-harness.cjs', import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command with these words; killed after `limit` seconds. */
export function harness(words: readonly string[], limit = 60): CliResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [HARNESS, ...words], {
    encoding: 'utf8',
    timeout: limit * 1000,
    maxBuffer: 1 << 28,
  });
  return { status, stdout, stderr };
}
