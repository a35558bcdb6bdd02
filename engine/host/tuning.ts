/** Settings of the JavaScript engine for a process that is all tvisor's: the command, not the library. */
import { setFlagsFromString } from 'node:v8';

/** The last V8 that knows `--interrupt-budget` (Node 20's is 11, Node 22's 12); a later one complains aloud. */
const LAST_V8_WITH_BUDGET = 11;
const V8_BUDGET = 67_584;

let tuned = false;

/**
 * Lets functions run longer before they are optimized (bytecode executed; V8's own value is a fifteenth). A short
 * program's kernel is cold code: half of the processor time of `tvisor do -- /bin/true` went into compiling
 * what then ran no more, 129 ms against 73. What is really hot gets there 10 ms later.
 */
export function tune_for_short_programs(): void {
  const major = Number(process.versions.v8.split('.')[0]);
  if (major > LAST_V8_WITH_BUDGET) return;
  tuned = true;
  setFlagsFromString('--interrupt-budget=1000000');
}

/**
 * Takes that back, before threads start: the program has turned out to be a long one, and V8 rejects a code cache (50 ms
 * a thread) where flags are not those it was made under.
 */
export function tune_for_long_programs(): void {
  if (!tuned) return;
  tuned = false;
  setFlagsFromString(`--interrupt-budget=${V8_BUDGET}`);
}
