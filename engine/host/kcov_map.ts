/** The map of the instrumented build, which the build leaves beside its bundle. */
import { existsSync, readFileSync } from 'node:fs';
import { CoverageMap } from '../kcov/map.ts';

/** Beside this module in the instrumented bundle, in its folder seen from the plain one and from dist/engine/host. */
const PLACES = ['./kcov.map.json', './kcov/kcov.map.json', '../../bundle/kcov/kcov.map.json'];

let map: CoverageMap | null = null;

/** The map, read once, or null where there is no instrumented build. Throws an Error for a file that is no map. */
export function coverage_map(): CoverageMap | null {
  const url = PLACES.map((place) => new URL(place, import.meta.url)).find((candidate) => existsSync(candidate));
  if (map === null && url !== undefined) map = new CoverageMap(readFileSync(url, 'utf8'));
  return map;
}
