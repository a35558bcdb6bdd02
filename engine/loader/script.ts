/**
 * Reads the first line of a script: `#!interpreter [argument]`.
 *
 * As Linux (fs/binfmt_script.c): only the first 256 bytes of the file count; blanks around the path are
 * skipped; the rest of the line, trailing blanks removed, is one argument; a path cut off by the
 * window's end makes the file no executable at all, a cut-off argument is passed as it is.
 */
import { ENOEXEC } from '../abi/errno.ts';

/** Bytes of a file that decide its format (BINPRM_BUF_SIZE). */
export const SCRIPT_WINDOW = 256;
/** Interpreters that are themselves scripts: how deep Linux follows before ELOOP. */
export const MAX_INTERPRETER_DEPTH = 5;

const NUL = 0;
const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;

export interface ScriptLine {
  readonly interpreter: Uint8Array;
  /** The one argument, or null. */
  readonly argument: Uint8Array | null;
}

function is_blank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** Whether the file starts with `#!`. */
export function is_script(window: Uint8Array): boolean {
  return window[0] === 0x23 && window[1] === 0x21;
}

/** The first line of a script, from the first SCRIPT_WINDOW bytes of the file (zero-padded); or -ENOEXEC. */
export function parse_script(window: Uint8Array): ScriptLine | number {
  const buffer = window.subarray(0, SCRIPT_WINDOW);
  let end = buffer.indexOf(NEWLINE);
  const cut_off = end < 0;
  if (cut_off) {
    end = buffer.length - 1;
    let at = 2;
    while (at < end && is_blank(buffer[at])) at++;
    if (at === end) return -ENOEXEC;
    // The path must end inside the window, or a cut-off path might name another program.
    while (at < end && !is_blank(buffer[at]) && buffer[at] !== NUL) at++;
    if (at === end) return -ENOEXEC;
  }
  while (end > 2 && is_blank(buffer[end - 1])) end--;
  let start = 2;
  while (start < end && is_blank(buffer[start])) start++;
  // A NUL right away is an empty path, which is not refused here: opening it fails (EACCES).
  if (start === end) return -ENOEXEC;
  let path_end = start;
  while (path_end < end && !is_blank(buffer[path_end]) && buffer[path_end] !== NUL) path_end++;
  const interpreter = buffer.slice(start, path_end);
  let at = path_end;
  while (at < end && is_blank(buffer[at])) at++;
  if (at >= end || buffer[at] === NUL) return { interpreter, argument: null };
  const nul = buffer.indexOf(NUL, at);
  return { interpreter, argument: buffer.slice(at, nul >= 0 && nul < end ? nul : end) };
}
