/** Chooses descriptions by name, for the command line's --enable and --disable. */
import { type CallDescription, is_implemented } from './call.ts';
import { DESCRIPTIONS } from './target.ts';

/**
 * Which calls to use, for `make_target`: those that a pattern of `enable` matches (all without one) and none of
 * `disable`. A pattern is the name of a description or of a row, with `*` for any letters; a row's name stands for
 * all its variants. Throws an Error for a pattern that no call matches, and for one that enables only calls that the
 * kernel does not implement.
 */
export function select_calls(
  enable: readonly string[],
  disable: readonly string[],
  descriptions: readonly CallDescription[] = DESCRIPTIONS,
): (description: CallDescription) => boolean {
  const on = new Set(enable.flatMap((pattern) => matching(pattern, '--enable', descriptions)));
  const off = new Set(disable.flatMap((pattern) => matching(pattern, '--disable', descriptions)));
  for (const pattern of enable) {
    if (matching(pattern, '--enable', descriptions).some(is_implemented)) continue;
    throw new Error(`--enable ${pattern}: the kernel does not implement that system call`);
  }
  return (description) =>
    is_implemented(description) && (enable.length === 0 || on.has(description)) && !off.has(description);
}

function matching(pattern: string, flag: string, descriptions: readonly CallDescription[]): CallDescription[] {
  const words = pattern.split('*').map((word) => word.replace(/[$.+?()[\]{}|^\\]/g, '\\$&'));
  const whole = new RegExp(`^${words.join('.*')}$`);
  const found = descriptions.filter(({ name, row }) => whole.test(name) || whole.test(row.name));
  if (found.length === 0) throw new Error(`${flag} ${pattern}: no system call has that name`);
  return found;
}
