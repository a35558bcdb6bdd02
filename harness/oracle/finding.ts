/** What an oracle says about a run: the kind of defect, and a title by which findings are told apart. */
import { createHash } from 'node:crypto';

/**
 * panic: a broken invariant or an unexpected exception of the kernel; sanitizer, lock_order: those checkers' panics;
 * leak: live records that no program accounts for; hang: fuel used up; corruption: a reset that was not exact;
 * non_determinism: two runs that differ; lost_worker: the thread itself died or no longer answered.
 */
export type FindingKind =
  | 'panic'
  | 'sanitizer'
  | 'lock_order'
  | 'leak'
  | 'hang'
  | 'corruption'
  | 'non_determinism'
  | 'lost_worker';

export interface Finding {
  readonly kind: FindingKind;
  /** The key of deduplication: no addresses, no numbers that differ from run to run. */
  readonly title: string;
  /** The whole story, several lines. */
  readonly details: string;
  /** Index of the call concerned, -1 when it is none in particular. */
  readonly call: number;
}

/** Name of a finding's directory: the same title always gives the same. */
export function title_hash(title: string): string {
  return createHash('sha1').update(title).digest('hex').slice(0, 16);
}
