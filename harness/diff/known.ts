/**
 * Differences from Linux that were looked at and are meant to be, or that are the host's. A difference that no rule
 * here fits is a defect until somebody has looked at it.
 */
import type { Difference } from './compare.ts';

export interface KnownDifference {
  /** Why it is so. */
  readonly reason: string;
  /** The description's name, whole. */
  readonly name: RegExp;
  /** What is written differently, whole; '' is the result. Default: the result. */
  readonly field?: RegExp;
  /** What Linux answers or writes, and what the machine does, whole; default anything. */
  readonly native?: RegExp;
  readonly ours?: RegExp;
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    reason:
      "tmpfs counts a directory's size by entries since Linux 6.6 and by nothing defined before; ours is 0, as of a directory that has no blocks",
    name: /stat|lstat|fstat|newfstatat|statx/,
    field: /.*\.(st_size|stx_size)/,
  },
];

/** The rule that the difference fits. */
export function known_difference(
  difference: Difference,
  rules: readonly KnownDifference[] = KNOWN_DIFFERENCES,
): KnownDifference | undefined {
  return rules.find(
    ({ name, field, native, ours }) =>
      whole(name, difference.name) &&
      whole(field ?? /(?:)/, difference.field) &&
      whole(native, difference.native) &&
      whole(ours, difference.ours),
  );
}

function whole(pattern: RegExp | undefined, text: string): boolean {
  return pattern === undefined || new RegExp(`^(?:${pattern.source})$`).test(text);
}
