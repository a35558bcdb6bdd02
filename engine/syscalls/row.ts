/**
 * A row of the syscall table: one description for dispatch, strace, the fuzzer's generator, the
 * compatibility page and the tests (DESIGN D5). Each family file exports its rows; `table.ts` collects
 * them by number.
 */

/**
 * An argument as `name:type`. Types:
 *   int uint long ulong size off        numbers
 *   fd dirfd pid uid gid signal mode    numbers with a meaning
 *   path string                         pointer to a NUL-terminated string
 *   ptr                                 any user pointer
 *   in(N) out(N) inout(N)               pointer to a buffer whose length is argument number N (from 0)
 *   struct(NAME) outstruct(NAME)        pointer to a structure read or written by the kernel
 *   iovec(N) outiovec(N)                array of N-th argument iovecs, read from (write family) or filled
 *   flags(NAME) enum(NAME)              a number decoded through the named set in trace/names.ts
 *   strings                             NULL-terminated array of strings (argv, envp)
 */
export type ArgumentSpec = `${string}:${string}`;

export type Support = 'full' | 'partial' | 'unsupported';

export interface SyscallRow {
  readonly number: number;
  readonly name: string;
  /** Arguments come from kernel/args.ts; results as ARCHITECTURE.md, "A system call", says. */
  readonly handler: () => number;
  readonly args: readonly ArgumentSpec[];
  readonly support: Support;
  /** What is missing, where support is partial; why, where it is unsupported. */
  readonly note?: string;
  /** How strace prints the result: default 'int'; 'ptr' in hex. */
  readonly result?: 'int' | 'ptr';
}

/** Shorthand for a fully supported call. */
export function full(number: number, name: string, handler: () => number, ...args: ArgumentSpec[]): SyscallRow {
  return { number, name, handler, args, support: 'full' };
}

/** Shorthand for a partly supported call; `note` says what is missing. */
export function partial(
  number: number,
  name: string,
  note: string,
  handler: () => number,
  ...args: ArgumentSpec[]
): SyscallRow {
  return { number, name, handler, args, support: 'partial', note };
}
