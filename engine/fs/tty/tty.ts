/**
 * Terminals as files: reading, writing, polling, and their life. Jobs and ioctls are in job_control.ts and
 * tty_ioctl.ts.
 */
import { EAGAIN, EFAULT, EIO, ENXIO, ESPIPE } from '../../abi/errno.ts';
import { FMODE_STREAM, O_NOCTTY, O_NONBLOCK } from '../../abi/fcntl.ts';
import { TCSETS, TCSETSF } from '../../abi/ioctl.ts';
import { POLLERR, POLLHUP, READABLE, WRITABLE } from '../../abi/poll.ts';
import { dev_minor } from '../../abi/stat.ts';
import {
  B38400,
  CREAD,
  CS8,
  DEFAULT_CC,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ICANON,
  ICRNL,
  IEXTEN,
  ISIG,
  IXON,
  ONLCR,
  OPOST,
  TOSTOP,
  VMIN,
  VTIME,
} from '../../abi/termios.ts';
import type { Ptr } from '../../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { TTY_LOCK } from '../../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_TTY } from '../../heap/machine.layout.ts';
import { I32, U8, U16 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { wake } from '../../heap/wait_queue.ts';
import { clear_timeout, deadline_passed, restart_timeout, set_timeout, signal_pending } from '../../kernel/block.ts';
import { current } from '../../kernel/current.ts';
import { Task } from '../../kernel/task.layout.ts';
import type { IoCursor } from '../../machine/io.ts';
import { register_character_device } from '../../vfs/device.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_TTY, file_alloc, register_file_operations } from '../../vfs/file.ts';
import { Inode } from '../../vfs/vfs.layout.ts';
import { Pipe } from '../anon/pipe.layout.ts';
import { pipe_create, pipe_put } from '../anon/pipe.ts';
import { pipe_hold_end, pipe_push, pipe_room } from '../anon/pipe_bytes.ts';
import {
  check_read,
  check_write,
  controlling_terminal,
  signal_foreground,
  signal_session,
  take_terminal,
} from './job_control.ts';
import {
  control,
  type Effects,
  input_room,
  is_marked,
  process_output,
  readable_bytes,
  receive,
  ring_at,
  typing_room,
} from './line_discipline.ts';
import { PTS_MAJOR, Tty, TtyRoot } from './tty.layout.ts';
import { tty_ioctl } from './tty_ioctl.ts';

type T = Ptr<'Tty'>;

export const tty_slab = slab(Tty);

const NS_PER_DECISECOND = 1e8;
/** Bytes of a write processed at a time. */
const WRITE_BATCH = 1024;
/** What a read that waits keeps: VTIME and VMIN in the lowest bytes, the mode, that it is there, bytes seen. */
const RULE_CANONICAL = 1 << 16;
const RULE = 1 << 17;
const SEEN_SHIFT = 18;

/** A terminal with Linux's settings for a new one, one reference and 24 by 80 characters; 0: no memory. */
export function tty_create(): T {
  const tty = tty_slab.alloc();
  if (tty === 0) return tty;
  const output = pipe_create();
  const input = output === 0 ? 0 : heap_page_alloc();
  if (input === 0) {
    if (output !== 0) {
      pipe_hold_end(output, false, 1);
      pipe_put(output);
    }
    tty_slab.free(tty);
    return 0 as T;
  }
  pipe_hold_end(output, false, 1);
  Tty.refs.store(tty, 1);
  Tty.output.set(tty, output);
  Tty.input.set(tty, input);
  Tty.iflag.set(tty, ICRNL | IXON);
  Tty.oflag.set(tty, OPOST | ONLCR);
  Tty.cflag.set(tty, B38400 | CS8 | CREAD);
  Tty.lflag.set(tty, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
  for (let i = 0; i < DEFAULT_CC.length; i++) U8[Tty.cc.at(tty) + i] = DEFAULT_CC[i] as number;
  U16[Tty.winsize.at(tty) >> 1] = 24;
  U16[(Tty.winsize.at(tty) >> 1) + 1] = 80;
  return tty;
}

const roots = slab(TtyRoot);

/** The machine's TtyRoot, made on first use; 0 when memory is exhausted. */
export function tty_root(): Ptr<'TtyRoot'> {
  const slot = (MachineHeader.roots.at(MACHINE) >> 2) + ROOT_TTY;
  const root = Atomics.load(I32, slot) as Ptr<'TtyRoot'>;
  if (root !== 0) return root;
  const fresh = roots.alloc();
  if (fresh === 0) return fresh;
  const winner = Atomics.compareExchange(I32, slot, 0, fresh) as Ptr<'TtyRoot'>;
  if (winner === 0) return fresh;
  roots.free(fresh);
  return winner;
}

/** Gives a new terminal the lowest free number in /dev/pts, and its owner: false when memory is exhausted. */
export function tty_publish(tty: T, uid: number, gid: number): boolean {
  const root = tty_root();
  if (root === 0) return false;
  Tty.uid.set(tty, uid);
  Tty.gid.set(tty, gid);
  lock(TtyRoot.lock.at(root), TTY_LOCK);
  let number = 0;
  let before = 0 as T;
  let next = TtyRoot.first.get(root);
  while (next !== 0 && Tty.number.get(next) === number) {
    number++;
    before = next;
    next = Tty.next.get(next);
  }
  Tty.number.set(tty, number);
  Tty.next.set(tty, next);
  if (before === 0) TtyRoot.first.set(root, tty);
  else Tty.next.set(before, tty);
  unlock(TtyRoot.lock.at(root), TTY_LOCK);
  return true;
}

function unpublish(tty: T): void {
  const root = tty_root();
  lock(TtyRoot.lock.at(root), TTY_LOCK);
  let before = 0 as T;
  let at = TtyRoot.first.get(root);
  for (; at !== 0 && at !== tty; at = Tty.next.get(at)) before = at;
  if (at !== 0 && before === 0) TtyRoot.first.set(root, Tty.next.get(tty));
  else if (at !== 0) Tty.next.set(before, Tty.next.get(tty));
  unlock(TtyRoot.lock.at(root), TTY_LOCK);
}

/** The terminal of the lowest number from `number` on whose master is open, with a reference; 0 none. */
export function tty_find(number: number): T {
  const root = tty_root();
  if (root === 0) return 0 as T;
  lock(TtyRoot.lock.at(root), TTY_LOCK);
  let at = TtyRoot.first.get(root);
  for (; at !== 0; at = Tty.next.get(at))
    if (Tty.number.get(at) >= number && Tty.hung_up.get(at) === 0 && take_reference(at)) break;
  unlock(TtyRoot.lock.at(root), TTY_LOCK);
  return at;
}

/** Takes a reference unless the last one has gone. */
function take_reference(tty: T): boolean {
  for (;;) {
    const refs = Tty.refs.load(tty);
    if (refs === 0) return false;
    if (Tty.refs.cas(tty, refs, refs + 1) === refs) return true;
  }
}

/** Takes a reference. */
export function tty_get(tty: T): T {
  Tty.refs.add(tty, 1);
  return tty;
}

/** Drops a reference; the last one ends the terminal. */
export function tty_put(tty: T): void {
  if (Tty.refs.add(tty, -1) > 1) return;
  unpublish(tty);
  const output = Tty.output.get(tty);
  pipe_hold_end(output, false, -1);
  wake(Pipe.queue.at(output), READABLE | POLLHUP, Number.MAX_SAFE_INTEGER);
  pipe_put(output);
  heap_page_free(Tty.input.get(tty));
  tty_slab.free(tty);
}

/** Makes a terminal the machine's console, which /dev/console opens. */
export function set_console(tty: T): void {
  TtyRoot.console.set(tty_root(), tty);
}

/** A terminal that goes is the console no more. */
export function unset_console(tty: T): void {
  const root = tty_root();
  lock(TtyRoot.lock.at(root), TTY_LOCK);
  if (TtyRoot.console.get(root) === tty) TtyRoot.console.set(root, 0 as T);
  unlock(TtyRoot.lock.at(root), TTY_LOCK);
}

/** The machine's console with a reference; 0 none. */
function console_tty(): T {
  const root = tty_root();
  if (root === 0) return 0 as T;
  lock(TtyRoot.lock.at(root), TTY_LOCK);
  const tty = TtyRoot.console.get(root);
  if (tty !== 0) tty_get(tty);
  unlock(TtyRoot.lock.at(root), TTY_LOCK);
  return tty;
}

/** An open file of the terminal, or 0 when memory is exhausted. `flags` are O_*. */
export function tty_open(tty: T, flags: number): Ptr<'File'> {
  const file = file_alloc(FILE_KIND_TTY, flags);
  if (file !== 0) bind(file, tty);
  return file;
}

function bind(file: Ptr<'File'>, tty: T): void {
  File.kind.set(file, FILE_KIND_TTY);
  File.mode.set(file, File.mode.get(file) | FMODE_STREAM);
  File.object.set(file, tty_get(tty));
  lock(Tty.lock.at(tty), TTY_LOCK);
  Tty.opens.set(tty, Tty.opens.get(tty) + 1);
  Tty.opened.set(tty, 1);
  unlock(Tty.lock.at(tty), TTY_LOCK);
}

/** A file closes; without any, the master reads EIO. */
function release(file: Ptr<'File'>): void {
  const tty = object_of(file);
  lock(Tty.lock.at(tty), TTY_LOCK);
  const left = Tty.opens.get(tty) - 1;
  Tty.opens.set(tty, left);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  if (left === 0) wake(Pipe.queue.at(Tty.output.get(tty)), READABLE | POLLHUP, Number.MAX_SAFE_INTEGER);
  tty_put(tty);
}

/** A program turns to the terminal: the host's side may hold its own back until then. */
function note_wanted(tty: T): void {
  if (Tty.wanted.load(tty) !== 0) return;
  Tty.wanted.store(tty, 1);
  wake(Pipe.queue.at(Tty.output.get(tty)), READABLE);
}

/** Bytes that may be typed now without loss. A line too long for the terminal has its end dropped, as on Linux. */
export function tty_room(tty: T): number {
  lock(Tty.lock.at(tty), TTY_LOCK);
  const room = typing_room(tty);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  return room;
}

/**
 * Takes bytes typed at the terminal from `from` on: cooks, echoes, signals. From the host or the master's
 * side. Answers how many were taken: the rest waits until programs have read. Where none were taken nobody is
 * woken: the one who types is on the queue too, and would try again for ever.
 */
export function tty_input(tty: T, bytes: Uint8Array, from = 0): number {
  const effects: Effects = { echo: [], signals: [] };
  let taken = from;
  lock(Tty.lock.at(tty), TTY_LOCK);
  const room = input_room(tty);
  const stopped = Tty.stopped.get(tty) !== 0;
  while (taken < bytes.length && typing_room(tty) > 0) receive(tty, bytes[taken++] as number, effects);
  const ready = taken > from && readable_bytes(tty) > 0;
  // A signal's flush or an erased character makes room for others who type; START lets programs write again.
  const writable = input_room(tty) > room || (stopped && Tty.stopped.get(tty) === 0);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  const output = Tty.output.get(tty);
  if (effects.echo.length > 0) pipe_push(output, Uint8Array.from(effects.echo));
  for (const signo of effects.signals) signal_foreground(tty, signo);
  if (ready) wake(Pipe.queue.at(output), READABLE);
  if (writable) wake(Pipe.queue.at(output), WRITABLE);
  return taken - from;
}

/** The other side has gone: reads end, writes fail, the session is told (SIGHUP, SIGCONT). */
export function tty_hang_up(tty: T): void {
  lock(Tty.lock.at(tty), TTY_LOCK);
  Tty.hung_up.set(tty, 1);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  signal_session(tty);
  wake(Pipe.queue.at(Tty.output.get(tty)), READABLE | WRITABLE | POLLHUP | POLLERR, Number.MAX_SAFE_INTEGER);
}

function object_of(file: Ptr<'File'>): T {
  return File.object.get(file) as T;
}

/** Copies out one line, or what fits of it; the mark of end-of-file is taken and not copied. */
function take_line(tty: T, io: IoCursor): number {
  let position = Tty.head.get(tty);
  const end = Tty.line_end.get(tty);
  let n = 0;
  while (position < end && io.remaining > 0) {
    const at = ring_at(tty, position);
    const marked = is_marked(tty, position);
    position++;
    if (marked && U8[at] === 0) break;
    io.fill_from(at, 1);
    n++;
    if (marked) break;
  }
  Tty.head.set(tty, position);
  return n;
}

/** Lines for a read that may have begun without them, and then wants `least` bytes: a line, and more until it has them. */
function take_lines(tty: T, io: IoCursor, least: number): number {
  let n = take_line(tty, io);
  while (n < least && io.remaining > 0 && readable_bytes(tty) > 0) n += take_line(tty, io);
  return n;
}

function take_raw(tty: T, io: IoCursor): number {
  const head = Tty.head.get(tty);
  const total = Math.min(io.remaining, Tty.tail.get(tty) - head);
  for (let i = 0; i < total; i++) io.fill_from(ring_at(tty, head + i), 1);
  Tty.head.set(tty, head + total);
  if (Tty.line_end.get(tty) < head + total) Tty.line_end.set(tty, head + total);
  return total;
}

/**
 * How a read waits is decided when it begins (n_tty_read): ICANON, VMIN and VTIME of that moment, which a read that waits
 * keeps in Task.syscall_phase. Whether it takes lines or bytes is what the terminal's mode is when there are some.
 */
function read_rule(tty: T): number {
  const kept = current === 0 ? 0 : Task.syscall_phase.get(current);
  if (kept !== 0) return kept;
  if ((Tty.lflag.get(tty) & ICANON) !== 0) return RULE | RULE_CANONICAL;
  return RULE | (control(tty, VMIN) << 8) | control(tty, VTIME);
}

/**
 * Whether a read takes the `ready` bytes that there are: VMIN of them, or what it asks for; all where it may not wait any
 * longer, or none has come for VTIME.
 */
function is_enough(file: Ptr<'File'>, rule: number, ready: number, wanted: number): boolean {
  if (ready >= Math.min((rule >> 8) & 0xff, wanted) || (File.flags.get(file) & O_NONBLOCK) !== 0) return true;
  if (current === 0) return false;
  if (signal_pending()) return true;
  const time = rule & 0xff;
  if (time === 0) return false;
  if (ready === rule >> SEEN_SHIFT) return deadline_passed();
  restart_timeout(time * NS_PER_DECISECOND);
  return false;
}

/** Without enough input: VMIN and VTIME decide (termios(3), "Canonical and noncanonical mode"). */
function read_waits(rule: number, ready: number): number {
  if (current !== 0) Task.syscall_phase.set(current, (rule & ((1 << SEEN_SHIFT) - 1)) | (ready << SEEN_SHIFT));
  const time = rule & 0xff;
  if ((rule & (RULE_CANONICAL | 0xff00)) !== 0) {
    // VTIME counts from a byte on; another reader may have taken that.
    if (ready === 0 && current !== 0) clear_timeout();
    return -EAGAIN;
  }
  if (time === 0) return 0;
  set_timeout(time * NS_PER_DECISECOND);
  return deadline_passed() ? 0 : -EAGAIN;
}

/** Whether the call has just begun: where a job stands is asked once, and not when its call has waited. */
function begins(): boolean {
  return current === 0 || Task.syscall_entries.get(current) === 0;
}

function read(file: Ptr<'File'>, io: IoCursor): number {
  const tty = object_of(file);
  if (io.wanted() === 0) return 0;
  const allowed = begins() ? check_read(tty) : 0;
  if (allowed !== 0) return allowed;
  note_wanted(tty);
  lock(Tty.lock.at(tty), TTY_LOCK);
  const canonical = (Tty.lflag.get(tty) & ICANON) !== 0;
  const rule = read_rule(tty);
  const ready = readable_bytes(tty);
  const hung_up = Tty.hung_up.get(tty) !== 0;
  const throttled = Tty.throttled.get(tty) !== 0;
  let n = -1;
  if (ready > 0 && (hung_up || is_enough(file, rule, ready, io.wanted())))
    n = canonical ? take_lines(tty, io, (rule >> 8) & 0xff) : take_raw(tty, io);
  if (n === 0 && io.missing > 0 && ready > 0) n = -EFAULT;
  const drained = throttled && typing_room(tty) > 0;
  unlock(Tty.lock.at(tty), TTY_LOCK);
  if (drained) wake(Pipe.queue.at(Tty.output.get(tty)), WRITABLE);
  if (n !== -1) return n;
  if (hung_up) return 0;
  return read_waits(rule, ready);
}

function write(file: Ptr<'File'>, io: IoCursor): number {
  const tty = object_of(file);
  if (io.wanted() === 0) return 0;
  const allowed = (Tty.lflag.get(tty) & TOSTOP) !== 0 && begins() ? check_write(tty) : 0;
  if (allowed !== 0) return allowed;
  if (Tty.hung_up.get(tty) !== 0) return -EIO;
  const output = Tty.output.get(tty);
  // A byte may become two.
  const n = Math.min(io.wanted(), WRITE_BATCH, Math.floor(pipe_room(output) / 2));
  // A batch is copied whole, before the terminal is asked (iterate_tty_write).
  if (io.remaining < Math.min(io.wanted(), WRITE_BATCH)) return -EFAULT;
  if (n === 0 || Tty.stopped.get(tty) !== 0) return -EAGAIN;
  const shown: number[] = [];
  lock(Tty.lock.at(tty), TTY_LOCK);
  for (let left = n; left > 0; ) {
    const piece = Math.min(left, io.piece_length());
    const at = io.piece_address();
    for (let i = 0; i < piece; i++) process_output(tty, U8[at + i] as number, shown);
    io.advance(piece);
    left -= piece;
  }
  unlock(Tty.lock.at(tty), TTY_LOCK);
  return pipe_push(output, Uint8Array.from(shown)) < 0 ? -EIO : n;
}

function poll(file: Ptr<'File'>): number {
  const tty = object_of(file);
  note_wanted(tty);
  let events = 0;
  lock(Tty.lock.at(tty), TTY_LOCK);
  // Without VTIME, VMIN bytes are what can be read (input_available_p).
  const raw = (Tty.lflag.get(tty) & ICANON) === 0 && control(tty, VTIME) === 0;
  if (readable_bytes(tty) >= (raw ? Math.max(1, control(tty, VMIN)) : 1)) events |= READABLE;
  if (Tty.hung_up.get(tty) !== 0) events |= READABLE | POLLHUP | POLLERR;
  const stopped = Tty.stopped.get(tty) !== 0;
  unlock(Tty.lock.at(tty), TTY_LOCK);
  if (!stopped && pipe_room(Tty.output.get(tty)) > 1) events |= WRITABLE;
  return events;
}

register_file_operations(FILE_KIND_TTY, {
  name: 'tty',
  read,
  write,
  poll,
  queue: (file) => Pipe.queue.at(Tty.output.get(object_of(file))),
  seek: () => -ESPIPE,
  ioctl(file, command, argument) {
    const tty = object_of(file);
    if (Tty.hung_up.get(tty) !== 0) return -EIO;
    if (command >= TCSETS && command <= TCSETSF) note_wanted(tty);
    return tty_ioctl(tty, command, argument);
  },
  release,
});

/** Numbers of /dev/tty and /dev/console. */
const TTY_MAJOR = 5;
const TTY_MINOR = 0;
const CONSOLE_MINOR = 1;

/** Opens a terminal, whose reference it takes over. */
function open_device(file: Ptr<'File'>, tty: T): number {
  if (tty === 0) return -ENXIO;
  bind(file, tty);
  tty_put(tty);
  return 0;
}

/** Opens the slave side; a session leader without a terminal makes it its own (open(2), O_NOCTTY). */
function open_slave(inode: Ptr<'Inode'>, file: Ptr<'File'>): number {
  const number = dev_minor(Inode.rdev.get(inode));
  const tty = tty_find(number);
  if (tty === 0) return -EIO;
  let result = 0;
  if (Tty.number.get(tty) !== number || Tty.shut.get(tty) !== 0) result = -EIO;
  else {
    bind(file, tty);
    if (current !== 0 && (File.flags.get(file) & O_NOCTTY) === 0) take_terminal(tty);
  }
  tty_put(tty);
  return result;
}

register_character_device(TTY_MAJOR, TTY_MINOR, (_inode, file) => open_device(file, controlling_terminal()));
register_character_device(PTS_MAJOR, -1, open_slave);
register_character_device(TTY_MAJOR, CONSOLE_MINOR, (_inode, file) => open_device(file, console_tty()));
