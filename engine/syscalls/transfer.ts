// @hot
/**
 * The one loop behind every read and write system call: pins the user's buffers piece by piece, calls
 * the file, keeps progress over blocks.
 *
 * A transfer is a list of buffers (one for read, many for readv), an offset or the file's position, and
 * the file. Bytes before an unreadable page are transferred, as in Linux; the error comes only when
 * nothing was. A blocked write keeps its progress in Task.syscall_progress.
 */

import { EAGAIN, EBADF, EFAULT, EFBIG, EINVAL, EIO, ENOMEM, EPIPE } from '../abi/errno.ts';
import { FMODE_READ, FMODE_STREAM, FMODE_WRITE, O_APPEND, O_NONBLOCK } from '../abi/fcntl.ts';
import { IN_ACCESS, IN_MODIFY } from '../abi/inotify.ts';
import { POLLIN, POLLOUT } from '../abi/poll.ts';
import { RLIM_INFINITY, RLIMIT_FSIZE } from '../abi/resource.ts';
import { SIGPIPE, SIGXFSZ } from '../abi/signal.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { FILE_POSITION_LOCK } from '../heap/lock_order.ts';
import { wait_on } from '../kernel/block.ts';
import { current } from '../kernel/current.ts';
import { fd_file, hold_file } from '../kernel/fd_table.ts';
import { rlimit } from '../kernel/limits.ts';
import { siginfo_user } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { frame_alloc_uninitialized, frame_put } from '../machine/frames.ts';
import { IoCursor } from '../machine/io.ts';
import { IOV_MAX, IOVEC_BYTES, load_iovec, loaded_base, loaded_length, MAX_RW_COUNT } from '../mm/iov.ts';
import { copy_in, pin } from '../mm/uaccess.ts';
import { UnixSocket } from '../socket/socket.layout.ts';
import { is_packet, socket_of } from '../socket/unix.ts';
import { File } from '../vfs/file.layout.ts';
import {
  FILE_KIND_PIPE,
  FILE_KIND_REGULAR,
  FILE_KIND_SOCKET,
  type FileOperations,
  file_operations,
} from '../vfs/file.ts';
import { notify_active, notify_dentry } from '../vfs/notify.ts';
import { last_write_position } from '../vfs/regular.ts';
import { Inode } from '../vfs/vfs.layout.ts';
import { wait_for_socket } from './socket_wait.ts';

/** Bytes pinned at a time: files that hold little at once are not worth faulting in much. */
const STREAM_CHUNK = 0x1_0000;
const FILE_CHUNK = 0x10_0000;
/** A pipe's write of at most this many bytes is atomic (PIPE_BUF), and this many buffers fit into a cursor. */
const GATHER_BYTES = 4096;
const GATHER_BUFFERS = 120;
/** `offset` of a transfer at the file's own position. */
export const AT_POSITION = -1;

/** This thread's cursor; it does not live across a block. */
export const io = new IoCursor();

const bases = new Float64Array(IOV_MAX);
const lengths = new Float64Array(IOV_MAX);
let buffers = 0;
let total = 0;

/** Describes a transfer with one buffer. */
export function single_buffer(address: number, length: number): void {
  bases[0] = address;
  lengths[0] = Math.min(length, MAX_RW_COUNT);
  buffers = 1;
  total = lengths[0] as number;
}

/** Reads an array of struct iovec: 0, -EINVAL for bad lengths or too many, -EFAULT. */
export function import_iovec(address: number, count: number): number {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  buffers = 0;
  total = 0;
  for (let i = 0; i < count; i++) {
    if (!load_iovec(address + i * IOVEC_BYTES)) return -EFAULT;
    const length = loaded_length();
    if (length >= 2 ** 63) return -EINVAL;
    bases[i] = loaded_base();
    lengths[i] = Math.min(length, MAX_RW_COUNT - total);
    total += lengths[i] as number;
    buffers++;
  }
  return 0;
}

/** Bytes of the transfer described last. */
export function transfer_length(): number {
  return total;
}

/** Fills the cursor with what follows the first `done` bytes, at most `limit`: 0, or -EFAULT when nothing could be. */
export function pin_from(done: number, limit: number, write: boolean): number {
  io.reset();
  let skip = done;
  for (let i = 0; i < buffers && io.remaining < limit; i++) {
    const length = lengths[i] as number;
    if (skip >= length) {
      skip -= length;
      continue;
    }
    const room = (io.free_pieces() - 1) * 4096;
    const n = Math.min(length - skip, limit - io.remaining, room);
    if (n <= 0) break;
    const before = io.remaining;
    const failed = pin(io, (bases[i] as number) + skip, n, write) < 0;
    if (failed || io.remaining - before < n) break;
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
function broken_pipe(file: Ptr<'File'>): void {
  if (File.kind.get(file) === FILE_KIND_SOCKET && is_packet(socket_of(file))) return;
  send_to_task(current, SIGPIPE, siginfo_user(SIGPIPE));
}

/** Cuts a write at RLIMIT_FSIZE; one that begins there is SIGXFSZ and -EFBIG (setrlimit(2)). */
function limit_size(file: Ptr<'File'>, at: number): number {
  const limit = rlimit(RLIMIT_FSIZE);
  if (limit >= RLIM_INFINITY || io.remaining === 0) return 0;
  const start = (File.flags.get(file) & O_APPEND) !== 0 ? Inode.size.get(File.inode.get(file)) : at;
  if (start >= limit) {
    send_to_task(current, SIGXFSZ, siginfo_user(SIGXFSZ));
    return -EFBIG;
  }
  io.remaining = Math.min(io.remaining, limit - start);
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
    const appended = write && (File.flags.get(file) & O_APPEND) !== 0 && File.kind.get(file) === FILE_KIND_REGULAR;
    File.position.set(file, (appended ? last_write_position() : at) + n);
  }
  unlock(position_lock, FILE_POSITION_LOCK);
  if (n > 0 && notify_active()) notify_dentry(File.dentry.get(file), write ? IN_MODIFY : IN_ACCESS);
  return n;
}

/** Transfers from the file to the buffers described: bytes, -errno, or what `wait_on` answers. */
export function read_transfer(fd: number, file: Ptr<'File'>, offset: number, nonblocking: boolean): number {
  const operations = file_operations(file);
  const chunk = chunk_of(file);
  let done = 0;
  for (;;) {
    if (pin_from(done, Math.min(chunk, total - done), true) < 0 && total > 0) return done > 0 ? done : -EFAULT;
    const wanted = io.remaining;
    const n = step(operations, file, offset === AT_POSITION ? offset : offset + done, false);
    if (n > 0) done += n;
    if (n === wanted && n > 0 && done < total) continue;
    if (done > 0 || n !== -EAGAIN || nonblocking) return done > 0 ? done : n;
    return block(fd, file, operations, POLLIN);
  }
}

/** Gathers a write that is atomic, but in more pieces than the cursor holds, in a frame: its address, or 0. */
function gather(): number {
  const frame = frame_alloc_uninitialized();
  let done = 0;
  for (let i = 0; i < buffers && frame !== 0; i++) {
    const length = lengths[i] as number;
    const copied = copy_in(frame + done, bases[i] as number, length);
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
  return n !== -EAGAIN || nonblocking ? n : block(fd, file, operations, POLLOUT);
}

/** Transfers from the buffers described to the file: bytes, -errno, or what `wait_on` answers. */
export function write_transfer(fd: number, file: Ptr<'File'>, offset: number, nonblocking: boolean): number {
  const operations = file_operations(file);
  const chunk = chunk_of(file);
  if (buffers > GATHER_BUFFERS && total > 0 && total <= GATHER_BYTES && File.kind.get(file) === FILE_KIND_PIPE)
    return gathered_transfer(fd, file, nonblocking);
  let done = Task.syscall_progress.get(current);
  for (;;) {
    if (pin_from(done, Math.min(chunk, total - done), false) < 0 && total > 0) return done > 0 ? done : -EFAULT;
    const wanted = io.remaining;
    io.following = total - done - wanted;
    const n = step(operations, file, offset === AT_POSITION ? offset : offset + done, true);
    if (n > 0) done += n;
    if (n > 0 && done < total && (n === wanted || (File.mode.get(file) & FMODE_STREAM) !== 0)) continue;
    if (n === -EPIPE) broken_pipe(file);
    if (n !== -EAGAIN || nonblocking) return done > 0 ? done : n;
    Task.syscall_progress.set(current, done);
    const waited = block(fd, file, operations, POLLOUT);
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

/** Whether the file's owner asked not to be blocked. */
export function is_nonblocking(file: Ptr<'File'>): boolean {
  return (File.flags.get(file) & O_NONBLOCK) !== 0;
}
