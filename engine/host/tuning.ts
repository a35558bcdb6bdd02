/**
 * Settings of the JavaScript engine: for a process that is all tvisor's (the command, not the library), and for the
 * modules of translated code alone.
 */
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

/** V8's own value of `--wasm-tiering-budget`: bytes of a function's code that run before it is optimized. */
const V8_TIERING_BUDGET = Number(process.versions.v8.split('.')[0]) <= LAST_V8_WITH_BUDGET ? 1_800_000 : 13_000_000;
const REGION_BUDGET_A_BYTE = 20_000;
const LARGEST_BUDGET = 2_000_000_000;

/** Regions in a unit are known to be hot: V8 begins to optimize them when they have run some dozen times. */
const UNIT_BUDGET = 200_000;

/** Compiles with so many bytes of a function's code that run before it is optimized. */
function compile(bytes: Uint8Array<ArrayBuffer>, budget: number): WebAssembly.Module {
  // A module takes the flag's value when it is made. Where it stays, threads that start find their code cache void.
  setFlagsFromString(`--wasm-tiering-budget=${budget}`);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    setFlagsFromString(`--wasm-tiering-budget=${V8_TIERING_BUDGET}`);
  }
}

/**
 * Compiles the module of a region, or of a unit of them. Each way out of a function costs the budget its whole size, so
 * V8 optimized a region of 400 instructions, for 30 ms, when it had run a hundred times: up to a fifth of the time
 * of programs of some seconds. With a budget by its size it has run some thousand times.
 */
export function compile_region(bytes: Uint8Array<ArrayBuffer>, is_unit: boolean): WebAssembly.Module {
  if (is_unit) return compile(bytes, UNIT_BUDGET);
  return compile(bytes, Math.min(Math.max(bytes.length * REGION_BUDGET_A_BYTE, V8_TIERING_BUDGET), LARGEST_BUDGET));
}
