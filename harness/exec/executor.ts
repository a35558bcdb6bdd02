/**
 * The executor's face: what the campaign asks of a machine that runs programs, and what it learns.
 *
 * An executor owns one machine with an inline vCPU in the calling thread, booted once and reset from its snapshot
 * after every program, so that each program meets the same state. `run` is synchronous: nothing of a program is left
 * when it returns.
 */

/** What kcov collects while the calls run. */
export type Collect = 'none' | 'pc' | 'cmp';

/** Memory of the program, as guest addresses. */
export interface MemoryRange {
  readonly address: number;
  readonly length: number;
}

export interface ExecOptions {
  readonly collect: Collect;
  /** Seed of the order in which tasks run (async calls) and of the machine's randomness; same seed, same run. */
  readonly seed: number;
  /** Compare live counts of every record class with those before the program (see `Leak`). */
  readonly check_leaks: boolean;
  /** Verify after the reset, by hash of the whole state, that it was exact. */
  readonly verify_reset: boolean;
  /** Memory to read when a call has ended, for each call; default none. */
  readonly capture?: readonly (readonly MemoryRange[])[];
  /** The program ends at a call that blocks for good, instead of going on behind it in another thread. */
  readonly ends_at_block?: boolean;
}

/** One comparison: its two operands (64 bits as low and high words), their size in bytes, and where it is. */
export interface Comparison {
  readonly size: 1 | 2 | 4 | 8;
  /** Whether the second operand is a constant of the source. */
  readonly constant: boolean;
  readonly low1: number;
  readonly high1: number;
  readonly low2: number;
  readonly high2: number;
  readonly pc: number;
}

export interface CallOutcome {
  /** False: never started, because the program ended before (a panic, its fuel, an exit). */
  readonly started: boolean;
  /** False: started and did not end by itself (blocked at the end of the program). */
  readonly finished: boolean;
  /** Value >= 0, or -errno; 0 unless finished. Exact below 2^53. */
  readonly result: number;
  /** Whether the fault asked for with fail_nth was injected. */
  readonly fault_injected: boolean;
  /** PCs in order with repeats: the low words (their high word is 0xffffffff). Valid until the next `run`. */
  readonly pcs: Uint32Array;
  readonly comparisons: readonly Comparison[];
  /** The captured ranges when the call had ended: of each what could be read. Absent without `capture`. */
  readonly memory?: readonly Uint8Array[];
}

/** A record class that did not return to the count it had before the program. */
export interface Leak {
  readonly record: string;
  readonly before: number;
  readonly after: number;
}

/** A structured kernel panic; `kind`, `function_name` and `record` make the deduplication title. */
export interface PanicInfo {
  readonly kind: 'assert' | 'sanitizer' | 'lock_order' | 'exception';
  readonly message: string;
  readonly function_name: string;
  /** Record class concerned, or ''. */
  readonly record: string;
  /** Index of the call that ran, -1 outside of calls. */
  readonly call: number;
  readonly stack: string;
}

/**
 * done: every call ended, blocked, or had more to transfer than the program has fuel for; hang: the fuel was used up
 * otherwise before the program ended; panic: a broken invariant,
 * after which the machine was made anew; corrupt: the verification of the reset found a difference.
 */
export type ExecStatus = 'done' | 'hang' | 'panic' | 'corrupt';

export interface ExecOutcome {
  /** Number of the program's process, of an executor that has any. */
  readonly pid?: number;
  readonly status: ExecStatus;
  /** One for each CALL instruction, in program order. */
  readonly calls: readonly CallOutcome[];
  readonly panic: PanicInfo | null;
  readonly leaks: readonly Leak[];
  /** Where the reset was not exact: a text that names address and record, for 'corrupt'. */
  readonly corruption: string;
  /** Pages that the reset copied back, and how long that took. */
  readonly dirty_pages: number;
  readonly reset_ns: number;
  /** Calls that blocked at the end, and ended when they were made to look again. Absent is none. */
  readonly lost_wakeups?: readonly LostWakeup[];
}

export interface LostWakeup {
  /** Index of the call. */
  readonly call: number;
  /** What it answered then. */
  readonly result: number;
}

export interface Executor {
  /** Runs a program in the form of `prog/exec_format.ts`. Throws only on a malformed program. */
  run(program: Uint32Array, options: ExecOptions): ExecOutcome;
  /** Whether this build of the engine collects coverage. */
  readonly instrumented: boolean;
  /** Number of basic blocks of the instrumented kernel, 0 without. */
  readonly blocks: number;
  close(): void;
}
