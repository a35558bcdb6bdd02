/**
 * Assertions of the kernel's invariants.
 *
 * A broken invariant is a kernel panic: the machine stops with a report, the host process lives on.
 * `assert` always runs; hot files put theirs behind `if (CHECKED)`, which the bundled build removes.
 */

/** True in tests and in the instrumented build; a constant `false` in the bundle, where dead branches go away. */
export const CHECKED: boolean = (globalThis as { TVISOR_CHECKED?: boolean }).TVISOR_CHECKED ?? true;

/** Who found the broken invariant: an assertion, the sanitized heap, or the lock order checker. */
export type PanicKind = 'assert' | 'sanitizer' | 'lock_order';

/** Thrown when the kernel finds one of its own invariants broken. Only `sentry/` catches it. */
export class KernelPanic extends Error {
  override readonly name = 'KernelPanic';
  readonly kind: PanicKind;
  /** The record class or lock class concerned, or ''. */
  readonly record: string;

  constructor(message: string, kind: PanicKind, record: string) {
    super(message);
    this.kind = kind;
    this.record = record;
  }
}

/** Ends the machine with a report. */
export function panic(message: string, kind: PanicKind = 'assert', record = ''): never {
  throw new KernelPanic(message, kind, record);
}

/** Panics unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) panic(message);
}
