/** The built library and command: benchmarks measure what users run. */
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const BUNDLE = join(dirname(fileURLToPath(import.meta.url)), '..', 'bundle');

/** The command's script, for process.execPath. */
export const COMMAND = join(BUNDLE, 'tvisor.cjs');

/** The library out of the bundle, where CHECKED is off. */
export async function load_machine(): Promise<typeof import('../engine/index.ts')> {
  return await import(pathToFileURL(join(BUNDLE, 'engine.js')).href);
}
