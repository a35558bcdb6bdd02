/** `--enable` and `--disable`: which system calls a campaign uses, by name or glob. */
import { type CallDescription, is_implemented } from '../desc/call.ts';
import { DESCRIPTIONS, make_target, type Target } from '../desc/target.ts';
import { message_of, usage_error } from '../errors.ts';
import { near } from './near.ts';

/**
 * The target of the calls that match a glob of `enable` (all that the kernel implements, without any) and none of
 * `disable`. A glob has `*` and `?`; it matches a description ('fcntl$F_GETFL') or all variants of a call ('fcntl').
 * Throws a HarnessError for a glob that matches nothing, and when no call is left.
 */
export function select_target(enable: readonly string[], disable: readonly string[]): Target {
  const wanted = enable.map((glob) => matcher(glob, '--enable'));
  const unwanted = disable.map((glob) => matcher(glob, '--disable'));
  const chosen = (description: CallDescription): boolean => {
    const by_name = wanted.length === 0 || wanted.some((matches) => matches(description));
    return is_implemented(description) && by_name && !unwanted.some((matches) => matches(description));
  };
  try {
    return make_target({ enable: chosen });
  } catch (error) {
    throw usage_error(message_of(error), 'the calls that are left need others that make their resources');
  }
}

function matcher(glob: string, flag: string): (description: CallDescription) => boolean {
  const pattern = new RegExp(
    `^${glob
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );
  const matches = ({ name, row }: CallDescription): boolean => pattern.test(name) || pattern.test(row.name);
  if (DESCRIPTIONS.some(matches)) return matches;
  const names = new Set(DESCRIPTIONS.flatMap(({ name, row }) => [name, row.name]));
  const like = near(glob.replace(/[*?]/g, ''), names);
  const remedy = like.length > 0 ? `did you mean ${like.join(' or ')}?` : "'tvisor help syscalls' lists them";
  throw usage_error(`${flag} ${glob}: there is no such system call`, remedy);
}

/** The two flags, for commands that have them. */
export const ENABLE_FLAGS = [
  { name: 'enable', value: 'GLOBS', help: "only these system calls ('open*,read,fcntl$*'); may be repeated" },
  { name: 'disable', value: 'GLOBS', help: 'not these system calls; may be repeated' },
] as const;
