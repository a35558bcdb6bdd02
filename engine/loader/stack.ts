/**
 * The first stack of a program: strings, platform name, random bytes, auxiliary vector, environment and
 * argument pointers, argc; from high addresses to low, byte for byte where Linux puts them
 * (fs/exec.c bprm_execve and fs/binfmt_elf.c create_elf_tables, without stack randomisation).
 *
 *   STACK_TOP - 8      a null word
 *                      the executable's name (AT_EXECFN)
 *                      environment strings, the last one highest
 *                      argument strings, the last one highest
 *   16-byte boundary   "x86_64", 16 random bytes
 *                      auxiliary vector, NULL, envp, NULL, argv
 *   rsp (16-aligned)   argc
 */
import { AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM } from '../abi/elf.ts';
import { E2BIG } from '../abi/errno.ts';

/** First address above the stack: the end of user addresses. */
export const STACK_TOP = 0x7fff_ffff_f000;
/** Longest single argument or environment string, with its NUL (MAX_ARG_STRLEN). */
export const MAX_ARG_STRLEN = 131072;
const PLATFORM = 'x86_64';
/** Arguments and environment together never take more than this: three quarters of Linux's _STK_LIM. */
const MAX_STRINGS = 6 << 20;
/** What Linux always allows, however small the stack limit (ARG_MAX). */
const MIN_STRINGS = 131072;

export interface StackImage {
  /** What goes to [address, STACK_TOP). */
  readonly bytes: Uint8Array;
  readonly address: number;
  /** Initial rsp; equal to `address`. */
  readonly rsp: number;
  /** Where /proc/pid/cmdline, environ and auxv find theirs. */
  readonly arg_start: number;
  readonly arg_end: number;
  readonly env_start: number;
  readonly env_end: number;
  readonly auxv_start: number;
  readonly auxv_end: number;
}

/**
 * Whether the strings fit: 0 or -E2BIG. As Linux, a quarter of the stack limit (but at least 128 KiB and
 * at most 6 MiB) holds the strings and one pointer for each. Strings are without their NUL.
 */
export function check_strings(
  filename: Uint8Array,
  argv: readonly Uint8Array[],
  envp: readonly Uint8Array[],
  stack_limit: number,
): number {
  const limit = Math.max(Math.min(Math.floor(stack_limit / 4), MAX_STRINGS), MIN_STRINGS);
  let total = filename.length + 1 + (Math.max(argv.length, 1) + envp.length) * 8;
  for (const strings of [argv, envp]) {
    for (const string of strings) {
      if (string.length + 1 > MAX_ARG_STRLEN) return -E2BIG;
      total += string.length + 1;
      if (total > limit) return -E2BIG;
    }
  }
  return total > limit ? -E2BIG : 0;
}

/**
 * Builds the image. `auxv` holds (type, value) pairs without AT_NULL; the values of AT_RANDOM, AT_EXECFN
 * and AT_PLATFORM are filled in here. Values are exact doubles. `random` is 16 bytes.
 */
export function build_stack(
  filename: Uint8Array,
  argv: readonly Uint8Array[],
  envp: readonly Uint8Array[],
  auxv: readonly (readonly [number, number])[],
  random: Uint8Array,
): StackImage {
  const length_of = (strings: readonly Uint8Array[]): number => strings.reduce((sum, s) => sum + s.length + 1, 0);
  const execfn = STACK_TOP - 8 - (filename.length + 1);
  const env_start = execfn - length_of(envp);
  const arg_start = env_start - length_of(argv);
  const platform = arg_start - (arg_start % 16) - (PLATFORM.length + 1);
  const random_at = platform - 16;
  const auxv_words = auxv.length * 2 + 2;
  const pointer_words = 1 + argv.length + 1 + envp.length + 1;
  // Linux counts the auxiliary vector and the pointers apart and aligns only the final stack pointer.
  let rsp = random_at - (random_at % 8) - (auxv_words + pointer_words) * 8;
  rsp -= rsp % 16;
  const bytes = new Uint8Array(STACK_TOP - rsp);
  const view = new DataView(bytes.buffer);
  const put_strings = (start: number, strings: readonly Uint8Array[]): number[] => {
    let at = start;
    return strings.map((string) => {
      const address = at;
      bytes.set(string, address - rsp);
      at += string.length + 1;
      return address;
    });
  };
  bytes.set(filename, execfn - rsp);
  for (let i = 0; i < PLATFORM.length; i++) bytes[platform - rsp + i] = PLATFORM.charCodeAt(i);
  bytes.set(random.subarray(0, 16), random_at - rsp);
  let at = 0;
  const put_word = (value: number): void => {
    view.setUint32(at, value, true);
    view.setUint32(at + 4, Math.floor(value / 4294967296), true);
    at += 8;
  };
  put_word(argv.length);
  for (const address of put_strings(arg_start, argv)) put_word(address);
  put_word(0);
  for (const address of put_strings(env_start, envp)) put_word(address);
  put_word(0);
  const auxv_start = rsp + at;
  for (const [type, value] of auxv) {
    put_word(type);
    if (type === AT_RANDOM) put_word(random_at);
    else if (type === AT_EXECFN) put_word(execfn);
    else if (type === AT_PLATFORM) put_word(platform);
    else put_word(value);
  }
  put_word(AT_NULL);
  put_word(0);
  return {
    bytes,
    address: rsp,
    rsp,
    arg_start,
    arg_end: env_start,
    env_start,
    env_end: execfn,
    auxv_start,
    auxv_end: rsp + at,
  };
}
