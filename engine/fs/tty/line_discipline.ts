/**
 * The line discipline (termios(3); Linux's n_tty.c): from bytes typed to bytes read, echo and signals;
 * from bytes written to bytes shown. All under the terminal's lock; signals to send and bytes to echo are
 * collected and go out after it is released.
 */

import { SIGINT, SIGQUIT, SIGTSTP } from '../../abi/signal.ts';
import {
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHONL,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IXON,
  NOFLSH,
  ONLCR,
  OPOST,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VQUIT,
  VSTART,
  VSTOP,
  VSUSP,
  VWERASE,
} from '../../abi/termios.ts';
import type { Ptr } from '../../base/types.ts';
import { U8 } from '../../heap/memory.ts';
import { INPUT_BYTES, STOPPED_BY_CALL, STOPPED_BY_CHARACTER, Tty } from './tty.layout.ts';

type T = Ptr<'Tty'>;

/** Those who found no room to type are told when there is this much again. */
const LOW_ROOM = 128;

const NEWLINE = 10;
const RETURN = 13;
const BACKSPACE = 8;
const SPACE = 32;
const DELETE = 127;

/** What a batch of input leads to beside the ring: bytes to show, and signals for the foreground. */
export interface Effects {
  readonly echo: number[];
  readonly signals: number[];
}

/** A control character of the terminal; 0 means disabled. */
export function control(tty: T, index: number): number {
  return U8[Tty.cc.at(tty) + index] as number;
}

function is_control(tty: T, index: number, byte: number): boolean {
  const c = control(tty, index);
  return c !== 0 && c === byte;
}

function mark_at(tty: T, position: number): number {
  return Tty.marks.at(tty) + ((position % INPUT_BYTES) >> 3);
}

/** Whether the byte at a ring position ends a line. */
export function is_marked(tty: T, position: number): boolean {
  return ((U8[mark_at(tty, position)] as number) & (1 << (position & 7))) !== 0;
}

/** Address of a ring position. */
export function ring_at(tty: T, position: number): number {
  return Tty.input.get(tty) + (position % INPUT_BYTES);
}

/** Appends a byte unless the ring is full; a line can always be ended. */
function store(tty: T, byte: number, ends_line: boolean): void {
  const tail = Tty.tail.get(tty);
  const room = INPUT_BYTES - (tail - Tty.head.get(tty));
  if (room <= (ends_line ? 0 : 1)) return;
  U8[ring_at(tty, tail)] = byte;
  const at = mark_at(tty, tail);
  const bit = 1 << (tail & 7);
  U8[at] = ends_line ? (U8[at] as number) | bit : (U8[at] as number) & ~bit;
  Tty.tail.set(tty, tail + 1);
  if (ends_line || (Tty.lflag.get(tty) & ICANON) === 0) Tty.line_end.set(tty, tail + 1);
}

/** Drops all input. */
export function flush_input(tty: T): void {
  const tail = Tty.tail.get(tty);
  Tty.head.set(tty, tail);
  Tty.line_end.set(tty, tail);
}

function echo_byte(tty: T, byte: number, out: number[]): void {
  const lflag = Tty.lflag.get(tty);
  const shown = (lflag & ECHOCTL) !== 0 && (byte < SPACE || byte === DELETE) && byte !== NEWLINE && byte !== 9;
  if (shown) out.push(94, byte ^ 64);
  else process_output(tty, byte, out);
}

/** Takes back the last byte of the line in progress, and its echo. */
function erase_one(tty: T, out: number[]): boolean {
  const tail = Tty.tail.get(tty);
  if (tail === Tty.line_end.get(tty)) return false;
  const byte = U8[ring_at(tty, tail - 1)] as number;
  Tty.tail.set(tty, tail - 1);
  const lflag = Tty.lflag.get(tty);
  // A continuation byte of UTF-8 takes no column.
  if ((lflag & ECHO) === 0 || (lflag & ECHOE) === 0 || (byte & 0xc0) === 0x80) return true;
  const width = (lflag & ECHOCTL) !== 0 && (byte < SPACE || byte === DELETE) ? 2 : 1;
  for (let i = 0; i < width; i++) out.push(BACKSPACE, SPACE, BACKSPACE);
  return true;
}

function erase_word(tty: T, out: number[]): void {
  const last = (): number =>
    Tty.tail.get(tty) === Tty.line_end.get(tty) ? 0 : (U8[ring_at(tty, Tty.tail.get(tty) - 1)] as number);
  while (last() === SPACE || last() === 9) erase_one(tty, out);
  while (last() !== 0 && last() !== SPACE && last() !== 9) erase_one(tty, out);
}

function erase_line(tty: T, byte: number, out: number[]): void {
  const lflag = Tty.lflag.get(tty);
  if ((lflag & ECHOKE) !== 0) {
    while (erase_one(tty, out));
    return;
  }
  Tty.tail.set(tty, Tty.line_end.get(tty));
  if ((lflag & ECHO) === 0) return;
  echo_byte(tty, byte, out);
  if ((lflag & ECHOK) !== 0) process_output(tty, NEWLINE, out);
}

/** Characters that are commands in canonical mode; whether this was one. */
function edit(tty: T, byte: number, out: number[]): boolean {
  const lflag = Tty.lflag.get(tty);
  if (is_control(tty, VERASE, byte)) erase_one(tty, out);
  else if (is_control(tty, VKILL, byte)) erase_line(tty, byte, out);
  else if ((lflag & IEXTEN) !== 0 && is_control(tty, VWERASE, byte)) erase_word(tty, out);
  else if ((lflag & IEXTEN) !== 0 && is_control(tty, VLNEXT, byte)) Tty.literal.set(tty, 1);
  else if (is_control(tty, VEOF, byte)) store(tty, 0, true);
  else if (byte === NEWLINE || is_control(tty, VEOL, byte) || is_control(tty, VEOL2, byte)) {
    if ((lflag & ECHO) !== 0 || (byte === NEWLINE && (lflag & ECHONL) !== 0)) echo_byte(tty, byte, out);
    store(tty, byte, true);
  } else return false;
  return true;
}

/** Characters that raise a signal; whether this was one. */
function raise(tty: T, byte: number, effects: Effects): boolean {
  let signo = 0;
  if (is_control(tty, VINTR, byte)) signo = SIGINT;
  else if (is_control(tty, VQUIT, byte)) signo = SIGQUIT;
  else if (is_control(tty, VSUSP, byte)) signo = SIGTSTP;
  if (signo === 0) return false;
  effects.signals.push(signo);
  if ((Tty.iflag.get(tty) & IXON) !== 0) restart_output(tty);
  if ((Tty.lflag.get(tty) & NOFLSH) === 0) flush_input(tty);
  if ((Tty.lflag.get(tty) & ECHO) !== 0) echo_byte(tty, byte, effects.echo);
  return true;
}

/** Output goes on after the STOP character, but not after TCOOFF (Linux's start_tty). */
export function restart_output(tty: T): void {
  if ((Tty.stopped.get(tty) & STOPPED_BY_CALL) === 0) Tty.stopped.set(tty, 0);
}

/** START and STOP; whether this was one. */
function flow(tty: T, byte: number): boolean {
  const start = is_control(tty, VSTART, byte);
  if (!start && !is_control(tty, VSTOP, byte)) return false;
  if (start) restart_output(tty);
  else Tty.stopped.set(tty, Tty.stopped.get(tty) | STOPPED_BY_CHARACTER);
  return true;
}

/** Takes one typed byte. Under the terminal's lock. */
export function receive(tty: T, byte: number, effects: Effects): void {
  const iflag = Tty.iflag.get(tty);
  const lflag = Tty.lflag.get(tty);
  if ((iflag & ISTRIP) !== 0) byte &= 0x7f;
  if (Tty.literal.get(tty) !== 0) {
    Tty.literal.set(tty, 0);
  } else {
    if ((iflag & IXON) !== 0 && flow(tty, byte)) return;
    if ((lflag & ISIG) !== 0 && raise(tty, byte, effects)) return;
    if (byte === RETURN) {
      if ((iflag & IGNCR) !== 0) return;
      if ((iflag & ICRNL) !== 0) byte = NEWLINE;
    } else if (byte === NEWLINE && (iflag & INLCR) !== 0) byte = RETURN;
    if ((lflag & ICANON) !== 0 && edit(tty, byte, effects.echo)) return;
  }
  if ((lflag & ECHO) !== 0) echo_byte(tty, byte, effects.echo);
  store(tty, byte, false);
}

/** Appends what a written byte shows as to `out`. */
export function process_output(tty: T, byte: number, out: number[]): void {
  const oflag = Tty.oflag.get(tty);
  if (byte === NEWLINE && (oflag & (OPOST | ONLCR)) === (OPOST | ONLCR)) out.push(RETURN);
  out.push(byte);
}

/**
 * Bytes that may be typed: what the ring has room for, or where it holds nothing but the beginning of a line, any
 * number, since only more input can end the line.
 */
export function input_room(tty: T): number {
  const head = Tty.head.get(tty);
  if ((Tty.lflag.get(tty) & ICANON) !== 0 && Tty.line_end.get(tty) === head) return INPUT_BYTES;
  return INPUT_BYTES - 1 - (Tty.tail.get(tty) - head);
}

/**
 * Bytes that may be typed now. Once there was no room, there is none again until LOW_ROOM bytes are free: those who wait
 * for it are then woken once and not for each byte that a program reads (Linux throttles the other end).
 */
export function typing_room(tty: T): number {
  const room = input_room(tty);
  if (room === 0) Tty.throttled.set(tty, 1);
  else if (room >= LOW_ROOM) Tty.throttled.set(tty, 0);
  return Tty.throttled.get(tty) === 0 ? room : 0;
}

/** Bytes a read may take now, and where it stops: a whole line, or in raw mode everything. */
export function readable_bytes(tty: T): number {
  const canonical = (Tty.lflag.get(tty) & ICANON) !== 0;
  return (canonical ? Tty.line_end.get(tty) : Tty.tail.get(tty)) - Tty.head.get(tty);
}
