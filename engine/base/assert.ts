/**
 * Assertions of the kernel's invariants.
 *
 * A broken invariant is a kernel panic: the machine stops with a report, the host process lives on.
 * `assert` always runs; hot files put theirs behind `if (CHECKED)`, which the bundled build removes.
 */

/** True in tests and in the instrumented build; a constant `false` in the bundle, where dead branches go away. */
export const CHECKED: boolean = (globalThis as { TVISOR_CHECKED?: boolean }).TVISOR_CHECKED ?? true;

/** Thrown when the kernel finds one of its own invariants broken. Only `sentry/` catches it. */
export class KernelPanic extends Error {
  override readonly name = 'KernelPanic';
}

/** Ends the machine with a report. */
export function panic(message: string): never {
  throw new KernelPanic(message);
}

/** Panics unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) panic(message);
}
