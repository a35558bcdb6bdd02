/**
 * The description of a system call for the generator. Name, number and number of arguments are those of its row
 * in the syscall table (DESIGN D5: one description of a call); here each argument is refined to a type.
 */
import type { SyscallRow } from '../../engine/syscalls/row.ts';
import { syscall_by_name } from '../../engine/syscalls/table.ts';
import type { Field, Resource } from './types.ts';

/** What a call does to the task that makes it, for those who place calls in programs and run them. */
export interface CallTraits {
  /** The task ends here: only the last call of a program may be one of these. */
  readonly terminal?: true;
  /** May start another task. The child makes no calls of its own; it exits at once with status 0. */
  readonly child?: true;
  /** The program may lose its address space or be stopped here: rarely chosen. */
  readonly rare?: true;
  /** Never generated, for this reason. It can still be written by hand. */
  readonly by_hand?: string;
}

export interface CallDescription {
  /** The row's name, or 'row$variant' where one call has several shapes (fcntl, ioctl, prctl...). */
  readonly name: string;
  readonly row: SyscallRow;
  readonly args: readonly Field[];
  /** What a result that is not an error stands for. */
  readonly result: Resource | undefined;
  readonly traits: CallTraits;
}

/** Describes the call `name` ('row' or 'row$variant'). Throws an Error when the syscall table has no such name. */
export function call(
  name: string,
  args: readonly Field[] = [],
  result?: Resource,
  traits: CallTraits = {},
): CallDescription {
  const row = syscall_by_name(name.replace(/\$.*/, ''));
  if (row === undefined) throw new Error(`description '${name}': the syscall table has no such call`);
  return { name, row, args, result, traits };
}

/** True when the kernel implements the call, fully or in part. */
export function is_implemented(description: CallDescription): boolean {
  return description.row.support !== 'unsupported';
}
