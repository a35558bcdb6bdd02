/**
 * Commands of terminals (ioctl_tty(2)). Input cannot be simulated: TIOCSTI is unknown (-ENOTTY).
 */
import { EFAULT, EINVAL, ENOTTY } from '../../abi/errno.ts';
import {
  FIONREAD,
  TCFLSH,
  TCGETS,
  TCSBRK,
  TCSBRKP,
  TCSETS,
  TCSETSF,
  TCSETSW,
  TCXONC,
  TIOCGPGRP,
  TIOCGSID,
  TIOCGWINSZ,
  TIOCNOTTY,
  TIOCOUTQ,
  TIOCSCTTY,
  TIOCSPGRP,
  TIOCSWINSZ,
} from '../../abi/ioctl.ts';
import { READABLE, WRITABLE } from '../../abi/poll.ts';
import { SIGWINCH } from '../../abi/signal.ts';
import { ICANON, IXON, TERMIOS_CC, TERMIOS_SIZE, VSTART, VSTOP } from '../../abi/termios.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_copy, bytes_equal } from '../../heap/bytes.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { TTY_LOCK } from '../../heap/lock_order.ts';
import { I32, U8, U32 } from '../../heap/memory.ts';
import { wake } from '../../heap/wait_queue.ts';
import { current_vcpu } from '../../kernel/current.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import { copy_in, copy_out, put_user_u32 } from '../../mm/uaccess.ts';
import { Pipe } from '../anon/pipe.layout.ts';
import { pipe_used } from '../anon/pipe.ts';
import { pipe_push } from '../anon/pipe_bytes.ts';
import {
  check_write,
  drop_terminal,
  is_controlling,
  set_foreground,
  signal_foreground,
  take_terminal,
} from './job_control.ts';
import { control, flush_input, readable_bytes, restart_output } from './line_discipline.ts';
import { STOPPED_BY_CALL, Tty } from './tty.layout.ts';

type T = Ptr<'Tty'>;

const WINSIZE_SIZE = 8;
/** Queues of TCFLSH. What was written has come to the other end at once: there is nothing in TCOFLUSH's. */
export const TCOFLUSH = 1;
export const TCIOFLUSH = 2;
/** Actions of TCXONC. */
export const TCOOFF = 0;
export const TCOON = 1;
export const TCIOFF = 2;
export const TCION = 3;

function scratch_area(): number {
  return Vcpu.scratch.at(current_vcpu);
}

function get_termios(tty: T, argument: number): number {
  const at = scratch_area();
  lock(Tty.lock.at(tty), TTY_LOCK);
  U32[at >> 2] = Tty.iflag.get(tty);
  U32[(at >> 2) + 1] = Tty.oflag.get(tty);
  U32[(at >> 2) + 2] = Tty.cflag.get(tty);
  U32[(at >> 2) + 3] = Tty.lflag.get(tty);
  U8[at + TERMIOS_CC - 1] = Tty.line.get(tty);
  bytes_copy(at + TERMIOS_CC, Tty.cc.at(tty), Tty.cc.size);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  return copy_out(argument, at, TERMIOS_SIZE) < 0 ? -EFAULT : 0;
}

function set_termios(tty: T, argument: number, flush: boolean): number {
  const allowed = check_write(tty);
  if (allowed !== 0) return allowed;
  const at = scratch_area();
  if (copy_in(at, argument, TERMIOS_SIZE) < 0) return -EFAULT;
  lock(Tty.lock.at(tty), TTY_LOCK);
  const lflag = U32[(at >> 2) + 3] as number;
  const changed_mode = ((lflag ^ Tty.lflag.get(tty)) & ICANON) !== 0;
  const had_flow = Tty.iflag.get(tty);
  Tty.iflag.set(tty, U32[at >> 2] as number);
  Tty.oflag.set(tty, U32[(at >> 2) + 1] as number);
  Tty.cflag.set(tty, U32[(at >> 2) + 2] as number);
  Tty.lflag.set(tty, lflag);
  Tty.line.set(tty, U8[at + TERMIOS_CC - 1] as number);
  bytes_copy(Tty.cc.at(tty), at + TERMIOS_CC, Tty.cc.size);
  // What was typed before a change of mode can be read after it.
  if (changed_mode) Tty.line_end.set(tty, Tty.tail.get(tty));
  if ((had_flow & ~Tty.iflag.get(tty) & IXON) !== 0) restart_output(tty);
  if (flush) flush_input(tty);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  // Whatever changed may decide for readers, writers and pollers (n_tty_set_termios).
  wake(Pipe.queue.at(Tty.output.get(tty)), READABLE | WRITABLE, Number.MAX_SAFE_INTEGER);
  return 0;
}

function get_window(tty: T, argument: number): number {
  const at = scratch_area();
  bytes_copy(at, Tty.winsize.at(tty), WINSIZE_SIZE);
  return copy_out(argument, at, WINSIZE_SIZE) < 0 ? -EFAULT : 0;
}

/** Sets the window's size from kernel memory; a change tells the foreground (SIGWINCH). */
export function set_window(tty: T, source: number): void {
  lock(Tty.lock.at(tty), TTY_LOCK);
  const changed = !bytes_equal(Tty.winsize.at(tty), source, WINSIZE_SIZE);
  bytes_copy(Tty.winsize.at(tty), source, WINSIZE_SIZE);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  if (changed) signal_foreground(tty, SIGWINCH);
}

function set_window_from(tty: T, argument: number): number {
  const at = scratch_area();
  if (copy_in(at, argument, WINSIZE_SIZE) < 0) return -EFAULT;
  set_window(tty, at);
  return 0;
}

function foreground_from(tty: T, argument: number): number {
  const at = scratch_area();
  if (copy_in(at, argument, 4) < 0) return -EFAULT;
  const pgid = I32[at >> 2] as number;
  return pgid < 0 ? -EINVAL : set_foreground(tty, pgid);
}

function put_number(argument: number, value: number): number {
  return put_user_u32(argument, value) < 0 ? -EFAULT : 0;
}

function flush(tty: T, queue: number): number {
  const allowed = check_write(tty);
  if (allowed !== 0) return allowed;
  if (queue > TCIOFLUSH) return -EINVAL;
  if (queue !== TCOFLUSH) {
    lock(Tty.lock.at(tty), TTY_LOCK);
    flush_input(tty);
    unlock(Tty.lock.at(tty), TTY_LOCK);
    wake(Pipe.queue.at(Tty.output.get(tty)), WRITABLE);
  }
  return 0;
}

/** TCXONC: stops what is shown, or shows the other end the STOP or START character, which only TCOOFF keeps back. */
function flow_control(tty: T, action: number): number {
  const allowed = check_write(tty);
  if (allowed !== 0) return allowed;
  if (action > TCION) return -EINVAL;
  lock(Tty.lock.at(tty), TTY_LOCK);
  const stopped = Tty.stopped.get(tty);
  // TCOON undoes TCOOFF, and not what the STOP character alone has done.
  const goes_on = action === TCOON && (stopped & STOPPED_BY_CALL) !== 0;
  if (action === TCOOFF) Tty.stopped.set(tty, stopped | STOPPED_BY_CALL);
  else if (goes_on) Tty.stopped.set(tty, 0);
  const sent =
    action < TCIOFF || (stopped & STOPPED_BY_CALL) !== 0 ? 0 : control(tty, action === TCIOFF ? VSTOP : VSTART);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  if (goes_on) wake(Pipe.queue.at(Tty.output.get(tty)), WRITABLE);
  if (sent !== 0) pipe_push(Tty.output.get(tty), Uint8Array.of(sent));
  return 0;
}

/** Carries out a command: its result, or -ENOTTY for one that terminals do not know. */
export function tty_ioctl(tty: T, command: number, argument: number): number {
  switch (command) {
    case TCGETS:
      return get_termios(tty, argument);
    case TCSETS:
    case TCSETSW:
      return set_termios(tty, argument, false);
    case TCSETSF:
      return set_termios(tty, argument, true);
    case TIOCGWINSZ:
      return get_window(tty, argument);
    case TIOCSWINSZ:
      return set_window_from(tty, argument);
    case TIOCGPGRP:
      return is_controlling(tty) ? put_number(argument, Tty.foreground.get(tty)) : -ENOTTY;
    case TIOCSPGRP:
      return foreground_from(tty, argument);
    case TIOCGSID:
      return is_controlling(tty) ? put_number(argument, Tty.session.get(tty)) : -ENOTTY;
    case TIOCSCTTY:
      return take_terminal(tty);
    case TIOCNOTTY:
      return drop_terminal(tty);
    case FIONREAD:
      return put_number(argument, readable_bytes(tty));
    case TIOCOUTQ:
      return put_number(argument, pipe_used(Tty.output.get(tty)));
    case TCFLSH:
      return flush(tty, argument);
    case TCXONC:
      return flow_control(tty, argument);
    case TCSBRK:
    case TCSBRKP:
      return check_write(tty);
    default:
      return -ENOTTY;
  }
}
