/** The map of the instrumented build's blocks, which lies beside its bundle. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CoverageMap } from '../../engine/kcov/map.ts';

/** The map; undefined where this is no instrumented build. Throws an Error when it is of another version. */
export function coverage_map(): CoverageMap | undefined {
  const path = fileURLToPath(new URL('./kcov.map.json', import.meta.url));
  return existsSync(path) ? new CoverageMap(readFileSync(path, 'utf8')) : undefined;
}
