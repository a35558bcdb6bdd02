/**
 * Whether this is the instrumented build, the one with kcov: a constant `false` in the plain bundle, where what
 * depends on it goes away, and in the tests' build unless a test sets the global variable first.
 */
export const KCOV: boolean = (globalThis as { TVISOR_KCOV?: boolean }).TVISOR_KCOV ?? false;
