/** The map of the instrumented build and its filter, with errors that say what to do. */
import { KCOV } from '../base/instrumented.ts';
import { coverage_map } from '../host/kcov_map.ts';
import type { CoverageMap } from '../kcov/map.ts';
import { source_filter } from '../kcov/selection.ts';
import { TvisorError } from './errors.ts';

const REBUILD = "build tvisor anew with 'npm run build'";

/** The map of the instrumented build. Throws a TvisorError where there is none. */
export function require_coverage_map(): CoverageMap {
  let map: CoverageMap | null;
  try {
    map = coverage_map();
  } catch (error) {
    throw new TvisorError(`the map of the instrumented build cannot be read (${(error as Error).message})`, REBUILD);
  }
  if (map === null) throw new TvisorError('this build of tvisor has no instrumented engine', REBUILD);
  return map;
}

/** The slots of the source files that a filter selects; null for an empty filter, which selects all. */
export function slots_of(filter: string): number[] | null {
  if (filter === '') return null;
  if (!KCOV) throw new TvisorError('an instrumentation filter needs the instrumented engine', 'add --kcov');
  const map = require_coverage_map();
  let selected: (path: string) => boolean;
  try {
    selected = source_filter(filter);
  } catch (error) {
    throw new TvisorError(`instrumentation filter: ${(error as Error).message}`, "write globs as 'vfs/**,mm/mmap.ts'");
  }
  const files = map.files().filter(selected);
  if (files.length === 0)
    throw new TvisorError(
      `the instrumentation filter '${filter}' selects no instrumented file`,
      "name files of engine/, as in 'vfs/**,mm/mmap.ts'; 'tvisor symbolize --all' shows them",
    );
  return files.map((path) => map.slot_of(path));
}
