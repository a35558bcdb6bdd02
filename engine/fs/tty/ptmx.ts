/**
 * Masters of pseudo-terminals (pty(7), ptmx(4)): opening /dev/ptmx makes a terminal, whose slave side is
 * /dev/pts/N. The master reads what programs show there, and what it writes is typed.
 *
 * Packet mode (TIOCPKT) is not supported: -EINVAL. TCFLSH drops all that is shown and not read, on Linux 4 KiB of it.
 */
import { EAGAIN, EFAULT, EINVAL, EIO, ENODEV, ENOMEM, ESPIPE } from '../../abi/errno.ts';
import { FMODE_STREAM, O_CLOEXEC } from '../../abi/fcntl.ts';
import {
  FIONREAD,
  TCFLSH,
  TCXONC,
  TIOCGPGRP,
  TIOCGPTLCK,
  TIOCGPTN,
  TIOCGPTPEER,
  TIOCGSID,
  TIOCNOTTY,
  TIOCPKT,
  TIOCSCTTY,
  TIOCSIG,
  TIOCSPTLCK,
} from '../../abi/ioctl.ts';
import { POLLHUP, READABLE, WRITABLE } from '../../abi/poll.ts';
import { SIGINT, SIGQUIT, SIGTSTP } from '../../abi/signal.ts';
import { DEFAULT_CC, VSTART, VSTOP } from '../../abi/termios.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_write } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { TTY_LOCK } from '../../heap/lock_order.ts';
import { I32, U8 } from '../../heap/memory.ts';
import { wake } from '../../heap/wait_queue.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { current, current_vcpu } from '../../kernel/current.ts';
import { fd_install } from '../../kernel/fd_table.ts';
import { Task } from '../../kernel/task.layout.ts';
import type { IoCursor } from '../../machine/io.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import { copy_in, put_user_u32 } from '../../mm/uaccess.ts';
import { register_character_device } from '../../vfs/device.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_PTMX, file_put, register_file_operations } from '../../vfs/file.ts';
import { vfs_open } from '../../vfs/open.ts';
import { PathContext } from '../../vfs/path.ts';
import { Pipe } from '../anon/pipe.layout.ts';
import { pipe_put, pipe_read, pipe_used } from '../anon/pipe.ts';
import { pipe_hold_end, pipe_take } from '../anon/pipe_bytes.ts';
import { signal_foreground } from './job_control.ts';
import { Tty } from './tty.layout.ts';
import { tty_create, tty_hang_up, tty_input, tty_publish, tty_put, tty_room } from './tty.ts';
import { TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON, tty_ioctl } from './tty_ioctl.ts';

type T = Ptr<'Tty'>;

/** Number of /dev/ptmx. */
export const PTMX_MAJOR = 5;
export const PTMX_MINOR = 2;

/** Bytes typed at a time. */
const TYPE_BATCH = 4096;

function object_of(file: Ptr<'File'>): T {
  return File.object.get(file) as T;
}

/** Whether no program has the slave side open any more. */
function is_left(tty: T): boolean {
  return Tty.opened.get(tty) !== 0 && Tty.opens.get(tty) === 0;
}

function read(file: Ptr<'File'>, io: IoCursor): number {
  const tty = object_of(file);
  const left = is_left(tty);
  const n = pipe_read(Tty.output.get(tty), io);
  return n === -EAGAIN && left ? -EIO : n;
}

function write(file: Ptr<'File'>, io: IoCursor): number {
  const tty = object_of(file);
  if (io.wanted() === 0) return 0;
  if (Tty.typing_stopped.get(tty) !== 0) return -EAGAIN;
  const total = Math.min(io.wanted(), TYPE_BATCH);
  // A batch is copied whole (iterate_tty_write).
  if (io.remaining < total) return -EFAULT;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  io.drain_to(page, total);
  const n = tty_input(tty, U8.slice(page, page + total));
  heap_page_free(page);
  return n === 0 ? -EAGAIN : n;
}

function poll(file: Ptr<'File'>): number {
  const tty = object_of(file);
  let events = 0;
  if (pipe_used(Tty.output.get(tty)) > 0) events |= READABLE;
  if (Tty.typing_stopped.get(tty) === 0 && tty_room(tty) > 0) events |= WRITABLE;
  if (is_left(tty)) events |= POLLHUP;
  return events;
}

function put_number(argument: number, value: number): number {
  return put_user_u32(argument, value) < 0 ? -EFAULT : 0;
}

function set_shut(tty: T, argument: number): number {
  const at = Vcpu.scratch.at(current_vcpu);
  if (copy_in(at, argument, 4) < 0) return -EFAULT;
  Tty.shut.set(tty, I32[at >> 2] === 0 ? 0 : 1);
  return 0;
}

/** TIOCGPTPEER: a descriptor of the slave side, opened with `flags`. */
function open_peer(tty: T, flags: number): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  U8[page + bytes_write(page, `/dev/pts/${Tty.number.get(tty)}`)] = 0;
  const context = new PathContext();
  context.fs = Task.fs.get(current);
  context.credentials = Task.credentials.get(current);
  const file = vfs_open(context, page, flags, 0);
  heap_page_free(page);
  if (file < 0) return file;
  const fd = fd_install(Task.files.get(current), file as Ptr<'File'>, flags & O_CLOEXEC);
  if (fd < 0) file_put(file as Ptr<'File'>);
  return fd;
}

/** TCFLSH: the master's own input is what is shown. */
function flush(tty: T, queue: number): number {
  if (queue > TCIOFLUSH) return -EINVAL;
  const output = Tty.output.get(tty);
  if (queue !== TCOFLUSH) pipe_take(output, new Uint8Array(pipe_used(output)));
  return 0;
}

/** TCXONC: the master's own output is what it types. Its own STOP and START characters are those of a new terminal. */
function flow_control(tty: T, action: number): number {
  if (action > TCION) return -EINVAL;
  if (action >= TCIOFF) {
    const sent = DEFAULT_CC[action === TCIOFF ? VSTOP : VSTART] as number;
    if (Tty.typing_stopped.get(tty) === 0) tty_input(tty, Uint8Array.of(sent));
    return 0;
  }
  lock(Tty.lock.at(tty), TTY_LOCK);
  Tty.typing_stopped.set(tty, action === TCOOFF ? 1 : 0);
  unlock(Tty.lock.at(tty), TTY_LOCK);
  if (action === TCOON) wake(Pipe.queue.at(Tty.output.get(tty)), WRITABLE);
  return 0;
}

function ioctl(file: Ptr<'File'>, command: number, argument: number): number {
  const tty = object_of(file);
  switch (command >>> 0) {
    case TIOCGPTN:
      return put_number(argument, Tty.number.get(tty));
    case TIOCSPTLCK:
      return set_shut(tty, argument);
    case TIOCGPTLCK:
      return put_number(argument, Tty.shut.get(tty));
    case TIOCGPTPEER:
      return open_peer(tty, argument);
    case TIOCSIG:
      if (argument !== SIGINT && argument !== SIGQUIT && argument !== SIGTSTP) return -EINVAL;
      signal_foreground(tty, argument);
      return 0;
    case TIOCGPGRP:
      return put_number(argument, Tty.foreground.get(tty));
    case TIOCGSID:
      return put_number(argument, Tty.session.get(tty));
    case FIONREAD:
      return put_number(argument, pipe_used(Tty.output.get(tty)));
    case TCFLSH:
      return flush(tty, argument);
    case TCXONC:
      return flow_control(tty, argument);
    case TIOCPKT:
    case TIOCSCTTY:
    case TIOCNOTTY:
      return -EINVAL;
    default:
      return tty_ioctl(tty, command, argument);
  }
}

/** The master has gone: the terminal is hung up, and /dev/pts/N with it. */
function release(file: Ptr<'File'>): void {
  const tty = object_of(file);
  const output = Tty.output.get(tty);
  tty_hang_up(tty);
  pipe_hold_end(output, true, -1);
  pipe_put(output);
  tty_put(tty);
}

register_file_operations(FILE_KIND_PTMX, {
  name: 'ptmx',
  read,
  write,
  poll,
  queue: (file) => Pipe.queue.at(Tty.output.get(object_of(file))),
  seek: () => -ESPIPE,
  ioctl,
  release,
});

register_character_device(PTMX_MAJOR, PTMX_MINOR, (_inode, file) => {
  const tty = tty_create();
  if (tty === 0) return -ENOMEM;
  const credentials = current === 0 ? (0 as Ptr<'Credentials'>) : Task.credentials.get(current);
  const uid = credentials === 0 ? 0 : Credentials.euid.get(credentials);
  const gid = credentials === 0 ? 0 : Credentials.egid.get(credentials);
  if (!tty_publish(tty, uid, gid)) {
    tty_put(tty);
    return -ENODEV;
  }
  Tty.shut.set(tty, 1);
  pipe_hold_end(Tty.output.get(tty), true, 1);
  File.kind.set(file, FILE_KIND_PTMX);
  File.mode.set(file, File.mode.get(file) | FMODE_STREAM);
  File.object.set(file, tty);
  return 0;
});
