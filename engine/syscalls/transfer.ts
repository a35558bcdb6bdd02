// @hot
/**
 * The one loop behind every read and write system call: pins the user's buffers piece by piece, calls
 * the file, keeps progress over blocks.
 *
 * A transfer is a list of buffers (one for read, many for readv), an offset or the file's position, and
 * the file. Bytes before an unreadable page are transferred, as in Linux; the error comes only when
 * nothing was. A blocked write keeps its progress in Task.syscall_progress, and a vector is kept while its call sleeps.
 */

import { EAGAIN, EBADF, EFAULT, EFBIG, EINVAL, EIO, ENOMEM, EPIPE, PREEMPTED } from '../abi/errno.ts';
import { FMODE_READ, FMODE_STREAM, FMODE_WRITE, O_NONBLOCK } from '../abi/fcntl.ts';
import { IN_ACCESS, IN_MODIFY } from '../abi/inotify.ts';
import { POLLIN, POLLOUT } from '../abi/poll.ts';
import { RLIM_INFINITY, RLIMIT_FSIZE } from '../abi/resource.ts';
import { SIGPIPE, SIGXFSZ } from '../abi/signal.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_POSITION_LOCK } from '../heap/lock_order.ts';
import { fatal_signal_pending, signal_pending, wait_on } from '../kernel/block.ts';
import { KeptArgument } from '../kernel/call_arguments.layout.ts';
import {
  KEPT_TEXT,
  KEPT_VECTOR,
  keep_bytes,
  keep_piece,
  kept_piece,
  next_piece,
  PIECE_BYTES,
  recall_bytes,
} from '../kernel/call_arguments.ts';
import { current } from '../kernel/current.ts';
import { fd_file, hold_file } from '../kernel/fd_table.ts';
import { rlimit } from '../kernel/limits.ts';
import { COPY_NS, charge, LONG_PIECE, RANDOM_NS, slice_is_over, TERMINAL_NS } from '../kernel/long_call.ts';
import { siginfo_user } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { frame_alloc_uninitialized, frame_put } from '../machine/frames.ts';
import { IoCursor } from '../machine/io.ts';
import { IOV_MAX, IOVEC_BYTES, load_iovec, loaded_base, loaded_length, MAX_RW_COUNT } from '../mm/iov.ts';
import { copy_in, pin, user_range } from '../mm/uaccess.ts';
import { UnixSocket } from '../socket/socket.layout.ts';
import { is_packet, socket_of, waits_for_target } from '../socket/unix.ts';
import { File } from '../vfs/file.layout.ts';
import {
  FILE_KIND_DEBUG,
  FILE_KIND_EVENTFD,
  FILE_KIND_FULL,
  FILE_KIND_HOST_STREAM,
  FILE_KIND_INOTIFY,
  FILE_KIND_KCOV,
  FILE_KIND_PIPE,
  FILE_KIND_PTMX,
  FILE_KIND_RANDOM,
  FILE_KIND_REGULAR,
  FILE_KIND_SOCKET,
  FILE_KIND_TTY,
  FILE_KIND_ZERO,
  type FileOperations,
  file_operations,
} from '../vfs/file.ts';
import { notify_active, notify_dentry } from '../vfs/notify.ts';
import { appends_to, last_write_position } from '../vfs/regular.ts';
import { Inode } from '../vfs/vfs.layout.ts';
import { wait_for_socket } from './socket_wait.ts';

/** Bytes pinned at a time: files that hold little at once are not worth faulting in much. */
const STREAM_CHUNK = 0x1_0000;
const FILE_CHUNK = 0x10_0000;
/** A pipe's write of at most this many bytes is atomic (PIPE_BUF), and this many buffers fit into a cursor. */
const GATHER_BYTES = 4096;
const GATHER_BUFFERS = 120;
const NO_SOCKET = 0 as Ptr<'UnixSocket'>;
/** `offset` of a transfer at the file's own position. */
export const AT_POSITION = -1;

/** This thread's cursor; it does not live across a block. */
export const io = new IoCursor();

/** The buffers of the transfer: pairs of base and length. */
const pairs = new Float64Array(2 * IOV_MAX);
const pair_bytes = new Uint8Array(pairs.buffer);
const PAIR_BYTES = 16;
let buffers = 0;
let total = 0;
/** Whether the buffers were described in user memory. */
let is_vector = false;

/** Describes a transfer with one buffer. */
export function single_buffer(address: number, length: number): void {
  total = Math.min(length, MAX_RW_COUNT);
  pairs[0] = address;
  pairs[1] = total;
  buffers = 1;
  is_vector = false;
}

/** Reads an array of struct iovec, at the call's first entry: 0, -EINVAL for bad lengths or too many, -EFAULT. */
export function import_iovec(address: number, count: number): number {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  is_vector = true;
  if (Task.kept_arguments.get(current) !== 0 && recall_vector()) return 0;
  buffers = 0;
  total = 0;
  for (let i = 0; i < count; i++) {
    if (!load_iovec(address + i * IOVEC_BYTES)) return -EFAULT;
    const wanted = loaded_length();
    if (wanted >= 2 ** 63) return -EINVAL;
    const length = Math.min(wanted, MAX_RW_COUNT - total);
    if (!user_range(loaded_base(), length)) return -EFAULT;
    pairs[2 * i] = loaded_base();
    pairs[2 * i + 1] = length;
    total += length;
    buffers++;
  }
  return 0;
}

/** The vector that the call has kept; false when it has kept none. */
function recall_vector(): boolean {
  const bytes = recall_bytes(KEPT_VECTOR, pair_bytes, 0);
  if (bytes < 0) return false;
  buffers = bytes / PAIR_BYTES;
  total = 0;
  for (let i = 0; i < buffers; i++) total += pairs[2 * i + 1] as number;
  return true;
}

/** Before a wait: keeps the vector, if there is one. False when the heap is exhausted. */
export function keep_vector(): boolean {
  return !is_vector || kept_piece(KEPT_VECTOR) !== 0 || keep_bytes(KEPT_VECTOR, pair_bytes, 0, buffers * PAIR_BYTES);
}

/** Whether the transfer described last came from an array of struct iovec. */
export function transfer_is_vector(): boolean {
  return is_vector;
}

/** Bytes of the transfer described last. */
export function transfer_length(): number {
  return total;
}

/**
 * Fills the cursor with what follows the first `done` bytes, at most `limit`, and tells it what is missing there: 0, or
 * -EFAULT when nothing could be.
 */
export function pin_from(done: number, limit: number, write: boolean): number {
  io.reset();
  let skip = done;
  for (let i = 0; i < buffers && io.remaining < limit; i++) {
    const length = pairs[2 * i + 1] as number;
    if (skip >= length) {
      skip -= length;
      continue;
    }
    const room = (io.free_pieces() - 1) * 4096;
    const n = Math.min(length - skip, limit - io.remaining, room);
    if (n <= 0) break;
    const before = io.remaining;
    pin(io, (pairs[2 * i] as number) + skip, n, write);
    const pinned = io.remaining - before;
    if (pinned < n) {
      io.missing = n - pinned;
      break;
    }
    skip = 0;
    if (n < length && io.remaining >= limit) break;
  }
  return io.remaining === 0 ? -EFAULT : 0;
}

function chunk_of(file: Ptr<'File'>): number {
  // A message is one transfer, whatever its length.
  if (File.kind.get(file) === FILE_KIND_SOCKET) return FILE_CHUNK;
  return (File.mode.get(file) & FMODE_STREAM) !== 0 ? STREAM_CHUNK : FILE_CHUNK;
}

/** A write to what nobody reads any more: SIGPIPE, except where messages keep their bounds (send(2)). */
export function broken_pipe(file: Ptr<'File'>): void {
  if (File.kind.get(file) === FILE_KIND_SOCKET && is_packet(socket_of(file))) return;
  send_to_task(current, SIGPIPE, siginfo_user(SIGPIPE));
}

/** Cuts a write at RLIMIT_FSIZE; one that begins there is SIGXFSZ and -EFBIG (setrlimit(2)). */
function limit_size(file: Ptr<'File'>, at: number): number {
  const limit = rlimit(RLIMIT_FSIZE);
  if (limit >= RLIM_INFINITY || io.wanted() === 0) return 0;
  const start = appends_to(file) ? Inode.size.get(File.inode.get(file)) : at;
  if (start >= limit) {
    send_to_task(current, SIGXFSZ, siginfo_user(SIGXFSZ));
    return -EFBIG;
  }
  io.remaining = Math.min(io.remaining, limit - start);
  io.missing = Math.min(io.missing, limit - start - io.remaining);
  return 0;
}

/** One read or write of what the cursor holds, at `offset` or at the file's position, which then moves. */
export function step(operations: FileOperations, file: Ptr<'File'>, offset: number, write: boolean): number {
  if ((File.mode.get(file) & FMODE_STREAM) !== 0)
    return write ? operations.write(file, io, -1) : operations.read(file, io, -1);
  const position_lock = File.position_lock.at(file);
  lock(position_lock, FILE_POSITION_LOCK);
  const own = File.position.get(file);
  const at = offset === AT_POSITION ? own : offset;
  const limited = write && File.kind.get(file) === FILE_KIND_REGULAR ? limit_size(file, at) : 0;
  const n = limited < 0 ? limited : write ? operations.write(file, io, at) : operations.read(file, io, at);
  if (offset === AT_POSITION && n > 0) {
    // An append began where the file ended.
    const appended = write && appends_to(file) && File.kind.get(file) === FILE_KIND_REGULAR;
    File.position.set(file, (appended ? last_write_position() : at) + n);
  }
  unlock(position_lock, FILE_POSITION_LOCK);
  if (n > 0 && notify_active()) notify_dentry(File.dentry.get(file), write ? IN_MODIFY : IN_ACCESS);
  return n;
}

/**
 * Whether the file is asked although the buffers cannot be accessed: it may have ended, be full, refuse the transfer or
 * make the call wait, all of which comes before -EFAULT in Linux. A stream of the host's would take it for no bytes.
 */
function may_say_else(file: Ptr<'File'>, done: number): boolean {
  const kind = File.kind.get(file);
  return done === 0 && kind !== FILE_KIND_HOST_STREAM && kind !== FILE_KIND_KCOV && kind !== FILE_KIND_DEBUG;
}

/** Tells what a piece of a transfer has cost. */
export function charge_piece(file: Ptr<'File'>, bytes: number): void {
  const kind = File.kind.get(file);
  const is_terminal = kind === FILE_KIND_TTY || kind === FILE_KIND_PTMX;
  charge(bytes * (is_terminal ? TERMINAL_NS : kind === FILE_KIND_RANDOM ? RANDOM_NS : COPY_NS));
}

/**
 * Files whose long transfers any signal cuts short (Linux's read_iter_zero, get_random_bytes_user, iterate_tty_write);
 * those of others only what ends the process (generic_perform_write).
 */
function is_interruptible(file: Ptr<'File'>): boolean {
  switch (File.kind.get(file)) {
    case FILE_KIND_ZERO:
    case FILE_KIND_FULL:
    case FILE_KIND_RANDOM:
    case FILE_KIND_TTY:
    case FILE_KIND_PTMX:
      return true;
    default:
      return false;
  }
}

/** Between two pieces of a transfer, `done` bytes in all: 0 to go on, or what the call answers. */
function between_pieces(fd: number, file: Ptr<'File'>, piece: number, done: number): number {
  if (piece < LONG_PIECE) charge_piece(file, piece);
  if (is_interruptible(file) ? signal_pending() : fatal_signal_pending()) return done;
  if (!slice_is_over()) return 0;
  if (!hold_file(fd, file) || !keep_vector()) return done;
  Task.syscall_progress.set(current, done);
  return PREEMPTED;
}

/** Transfers from the file to the buffers described: bytes, -errno, or what `wait_on` answers. */
export function read_transfer(fd: number, file: Ptr<'File'>, offset: number, nonblocking: boolean): number {
  const operations = file_operations(file);
  const chunk = chunk_of(file);
  let done = Task.syscall_progress.get(current);
  for (;;) {
    if (pin_from(done, Math.min(chunk, total - done), true) < 0 && total > 0 && !may_say_else(file, done))
      return done > 0 ? done : -EFAULT;
    const wanted = io.remaining;
    const n = step(operations, file, offset === AT_POSITION ? offset : offset + done, false);
    if (n > 0) done += n;
    if (n >= LONG_PIECE) charge_piece(file, n);
    if (n === wanted && n > 0 && done < total) {
      const answer = between_pieces(fd, file, n, done);
      if (answer === 0) continue;
      return answer;
    }
    if (done > 0 || n !== -EAGAIN || nonblocking) return done > 0 ? done : n;
    return block_transfer(fd, file, operations, POLLIN);
  }
}

/** Gathers a write that is atomic, but in more pieces than the cursor holds, in a frame: its address, or 0. */
function gather(): number {
  const frame = frame_alloc_uninitialized();
  let done = 0;
  for (let i = 0; i < buffers && frame !== 0; i++) {
    const length = pairs[2 * i + 1] as number;
    const copied = copy_in(frame + done, pairs[2 * i] as number, length);
    if (copied < 0) break;
    done += length;
  }
  io.reset();
  if (done > 0) io.push(frame, done);
  return frame;
}

/** A write of many small buffers to a pipe: all at once or not at all (pipe(7), PIPE_BUF). */
function gathered_transfer(fd: number, file: Ptr<'File'>, nonblocking: boolean): number {
  const operations = file_operations(file);
  const frame = gather();
  if (frame === 0) return -ENOMEM;
  const n = io.remaining === 0 ? -EFAULT : operations.write(file, io, -1);
  frame_put(frame as FrameAddr);
  if (n === -EPIPE) send_to_task(current, SIGPIPE, siginfo_user(SIGPIPE));
  return n !== -EAGAIN || nonblocking ? n : block_transfer(fd, file, operations, POLLOUT);
}

/**
 * Before a wait: keeps the bytes of the whole transfer, of which the file has taken none: 0, -ENOMEM, -EFAULT. Later
 * entries write them by `push_text`.
 */
export function keep_text(): number {
  if (kept_piece(KEPT_TEXT) !== 0) return 0;
  let piece = 0 as Ptr<'KeptArgument'>;
  let done = 0;
  do {
    io.reset();
    if (total > 0 && pin_from(done, PIECE_BYTES, false) < 0) return -EFAULT;
    const n = Math.min(io.remaining, total - done, PIECE_BYTES);
    piece = keep_piece(KEPT_TEXT, n, piece);
    if (piece === 0) return -ENOMEM;
    io.drain_to(KeptArgument.data.at(piece), n);
    done += n;
  } while (done < total);
  return 0;
}

/** Points the cursor at the bytes that the call has kept; false when it has kept none. */
export function push_text(): boolean {
  let piece = kept_piece(KEPT_TEXT);
  if (piece === 0) return false;
  io.reset();
  for (; piece !== 0; piece = next_piece(piece)) io.push(KeptArgument.data.at(piece), KeptArgument.length.get(piece));
  return true;
}

/** Whether Linux has copied the bytes of a write that has to wait: an eventfd's number, a datagram for a full queue. */
function is_copied_first(file: Ptr<'File'>): boolean {
  const kind = File.kind.get(file);
  return kind === FILE_KIND_EVENTFD || (kind === FILE_KIND_SOCKET && waits_for_target(socket_of(file), NO_SOCKET));
}

/** A write that goes on with the bytes it has kept. */
function kept_transfer(fd: number, file: Ptr<'File'>, nonblocking: boolean): number {
  const operations = file_operations(file);
  const n = operations.write(file, io, -1);
  if (n === -EPIPE) broken_pipe(file);
  return n !== -EAGAIN || nonblocking ? n : block_transfer(fd, file, operations, POLLOUT);
}

/**
 * Transfers from the buffers described to the file: bytes, -errno, or what `wait_on` answers. `quiet`: a broken pipe
 * sends no signal.
 */
export function write_transfer(
  fd: number,
  file: Ptr<'File'>,
  offset: number,
  nonblocking: boolean,
  quiet = false,
): number {
  if (Task.kept_arguments.get(current) !== 0 && push_text()) return kept_transfer(fd, file, nonblocking);
  const operations = file_operations(file);
  const chunk = chunk_of(file);
  if (buffers > GATHER_BUFFERS && total > 0 && total <= GATHER_BYTES && File.kind.get(file) === FILE_KIND_PIPE)
    return gathered_transfer(fd, file, nonblocking);
  const start = Task.syscall_progress.get(current);
  let done = start;
  for (;;) {
    if (pin_from(done, Math.min(chunk, total - done), false) < 0 && total > 0 && !may_say_else(file, done))
      return done > 0 ? done : -EFAULT;
    const wanted = io.remaining;
    io.following = total - done - io.wanted();
    const n = step(operations, file, offset === AT_POSITION ? offset : offset + done, true);
    if (n > 0) done += n;
    if (n >= LONG_PIECE) charge_piece(file, n);
    if (n > 0 && done < total && (n === wanted || (File.mode.get(file) & FMODE_STREAM) !== 0)) {
      const answer = between_pieces(fd, file, n, done);
      if (answer === 0) continue;
      return answer;
    }
    if (n === -EPIPE && !quiet) broken_pipe(file);
    const refused = nonblocking || (done > start && pipe_refuses(file));
    if (n !== -EAGAIN || refused) return done > 0 ? done : n;
    Task.syscall_progress.set(current, done);
    const kept = is_copied_first(file) ? keep_text() : 0;
    if (kept < 0) return kept;
    const waited = block_transfer(fd, file, operations, POLLOUT);
    return waited > -0x10000 && done > 0 ? done : waited;
  }
}

/** Keeps the file and waits until it announces one of `events`. */
export function block(fd: number, file: Ptr<'File'>, operations: FileOperations, events: number): number {
  const queue = operations.queue(file);
  if (queue === 0) return -EIO;
  if (File.kind.get(file) === FILE_KIND_SOCKET) {
    const timeout = events === POLLIN ? UnixSocket.receive_timeout : UnixSocket.send_timeout;
    return wait_for_socket(fd, file, queue, events, timeout.get(socket_of(file)));
  }
  if (!hold_file(fd, file)) return -ENOMEM;
  return wait_on(queue, events);
}

/** As `block`, in a transfer from or to the buffers described last. */
export function block_transfer(fd: number, file: Ptr<'File'>, operations: FileOperations, events: number): number {
  return keep_vector() ? block(fd, file, operations, events) : -ENOMEM;
}

/** The file of a descriptor open for reading, or -EBADF. */
export function readable_file(fd: number): number {
  const file = fd_file(fd);
  return file === 0 || (File.mode.get(file) & FMODE_READ) === 0 ? -EBADF : file;
}

/** The file of a descriptor open for writing, or -EBADF. */
export function writable_file(fd: number): number {
  const file = fd_file(fd);
  return file === 0 || (File.mode.get(file) & FMODE_WRITE) === 0 ? -EBADF : file;
}

/** Whether a write that has filled a pipe is not to wait for more room: it looks again each time (Linux's pipe_write). */
function pipe_refuses(file: Ptr<'File'>): boolean {
  return File.kind.get(file) === FILE_KIND_PIPE && (File.flags.get(file) & O_NONBLOCK) !== 0;
}

/** Whether the file's owner had asked not to be blocked when the call began, which has not slept if it is so. */
export function began_nonblocking(file: Ptr<'File'>): boolean {
  return (File.flags.get(file) & O_NONBLOCK) !== 0 && Task.syscall_entries.get(current) === 0;
}

/**
 * Whether the file's owner asked not to be blocked. Most files are asked once, when a call begins: a call that sleeps
 * already does not hear of it. Terminals and inotify are asked each time (Linux's n_tty_read, inotify_read).
 */
export function is_nonblocking(file: Ptr<'File'>): boolean {
  if ((File.flags.get(file) & O_NONBLOCK) === 0) return false;
  if (began_nonblocking(file)) return true;
  const kind = File.kind.get(file);
  return kind === FILE_KIND_TTY || kind === FILE_KIND_PTMX || kind === FILE_KIND_INOTIFY;
}
