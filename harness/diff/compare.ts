/** The first thing that two runs of a program do differently. */
import { DOES_NOT_END, type ObservedCall } from './observe.ts';

export type DifferenceKind = 'result' | 'memory';

export interface Difference {
  /** Index of the call. */
  readonly call: number;
  /** Name of its description. */
  readonly name: string;
  readonly kind: DifferenceKind;
  /** What the call wrote differently; '' for its result. */
  readonly field: string;
  readonly native: string;
  readonly ours: string;
}

/**
 * The differences of the first `count` calls, in order, up to one that changes what later calls find: what follows that
 * may only be its consequence. Two different errors change nothing, and neither does what is written to memory
 * (descriptors there are results, and come first).
 */
export function differences(
  names: readonly string[],
  native: readonly ObservedCall[],
  ours: readonly ObservedCall[],
  count: number = names.length,
): Difference[] {
  const found: Difference[] = [];
  for (let call = 0; call < count; call++) {
    const name = names[call]!;
    const [theirs, own] = [native[call]!, ours[call]!];
    if (theirs.result !== own.result) {
      found.push({ call, name, kind: 'result', field: '', native: theirs.result, ours: own.result });
      if (is_error(theirs.result) && is_error(own.result)) continue;
      return found;
    }
    if (theirs.result === DOES_NOT_END) return found;
    for (const [i, { name: field, value }] of theirs.fields.entries()) {
      const other = own.fields[i]!.value;
      if (value !== other) found.push({ call, name, kind: 'memory', field, native: value, ours: other });
    }
  }
  return found;
}

function is_error(result: string): boolean {
  return result.startsWith('-');
}

/** By what differences are told apart: call, kind, and both results (only their kind where they are numbers). */
export function title_of({ name, kind, field, native, ours }: Difference): string {
  if (kind === 'memory') return `${name} writes ${field.replaceAll(/\[\]/g, '')} differently`;
  return `${name}: Linux ${outcome(native)}, tvisor ${outcome(ours)}`;
}

function outcome(result: string): string {
  if (result === DOES_NOT_END) return 'does not end';
  return result.startsWith('-') ? result : 'succeeds';
}
