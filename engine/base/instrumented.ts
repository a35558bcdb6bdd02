/**
 * Whether this is the instrumented build, the one with kcov: a constant `false` in the plain bundle, where what
 * depends on it goes away, and in the tests' build unless a test sets the global variable first.
 */
export const KCOV: boolean = (globalThis as { TVISOR_KCOV?: boolean }).TVISOR_KCOV ?? false;

/** Element of `kcov_state` (kernel/kcov_trace.ts) that instrumented code tests before it reports a comparison. */
export const KCOV_COMPARISONS_ON = 2;
