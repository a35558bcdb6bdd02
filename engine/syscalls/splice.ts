/**
 * Moving bytes between descriptors: sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2).
 *
 * Bytes go through frames of the kernel's own. What comes from a pipe is only looked at until the other
 * side has taken it, so that nothing is lost when that side takes less; what comes from a file is read at
 * an offset that moves by what was written. Progress over blocks is in Task.syscall_progress, the offsets are kept.
 */

import { EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, ENOMEM, EPIPE, ESPIPE, RETRY } from '../abi/errno.ts';
import { FMODE_READ, FMODE_STREAM, FMODE_WRITE, O_APPEND, O_NONBLOCK } from '../abi/fcntl.ts';
import { IN_ACCESS } from '../abi/inotify.ts';
import { POLLERR, POLLIN, POLLOUT } from '../abi/poll.ts';
import { SIGPIPE } from '../abi/signal.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { pipe_claim, pipe_read, pipe_settle } from '../fs/anon/pipe.ts';
import { F64, I32, U32 } from '../heap/memory.ts';
import { arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { KEPT_OFFSETS, keep_at, kept_at, kept_piece } from '../kernel/call_arguments.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { siginfo_user } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { frame_alloc_uninitialized, frame_put } from '../machine/frames.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { MAX_RW_COUNT } from '../mm/iov.ts';
import { copy_in, put_user_u64 } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_DIRECTORY, FILE_KIND_PIPE, FILE_KIND_REGULAR, file_operations } from '../vfs/file.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { full, partial, type SyscallRow } from './row.ts';
import {
  AT_POSITION,
  block,
  block_transfer,
  import_iovec,
  io,
  is_nonblocking,
  read_transfer,
  step,
  write_transfer,
} from './transfer.ts';

type F = Ptr<'File'>;

/** The ends of a move, as places among the kept offsets. */
const FROM = 0;
const TO = 1;

const SPLICE_F_NONBLOCK = 2;
const SPLICE_F_ALL = 15;
const FRAME_BYTES = 4096;
const BOUNCE_FRAMES = 16;

/** One side of a move: the descriptor, its file, and the offset (AT_POSITION: the file's own). */
interface Side {
  readonly fd: number;
  readonly file: F;
  readonly offset: number;
}

function is_pipe(file: F): boolean {
  return File.kind.get(file) === FILE_KIND_PIPE;
}

/** Points the cursor at the first `length` bytes of the frames. */
function aim(frames: readonly number[], length: number): void {
  io.reset();
  for (let i = 0; i * FRAME_BYTES < length; i++)
    io.push(frames[i] as number, Math.min(FRAME_BYTES, length - i * FRAME_BYTES));
}

/**
 * Reads up to `length` bytes without taking them: from a pipe's head, which `consume` settles unless they are kept,
 * or from a file at an offset.
 */
function look(from: Side, done: number, frames: readonly number[], length: number, keep: boolean): number {
  aim(frames, length);
  if (is_pipe(from.file)) {
    const pipe = File.object.get(from.file) as Ptr<'Pipe'>;
    return keep ? pipe_read(pipe, io, false) : pipe_claim(pipe, io);
  }
  const at = from.offset === AT_POSITION ? File.position.get(from.file) : from.offset + done;
  const n = file_operations(from.file).read(from.file, io, at);
  if (n > 0) notify_dentry(File.dentry.get(from.file), IN_ACCESS);
  return n;
}

/** Takes what the other side accepted. */
function consume(from: Side, length: number): void {
  if (is_pipe(from.file)) pipe_settle(File.object.get(from.file) as Ptr<'Pipe'>, length);
  else if (from.offset === AT_POSITION) File.position.set(from.file, File.position.get(from.file) + length);
}

function write_out(to: Side, done: number, frames: readonly number[], length: number): number {
  aim(frames, length);
  const offset = to.offset === AT_POSITION ? AT_POSITION : to.offset + done;
  return step(file_operations(to.file), to.file, offset, true);
}

/** Moves up to `count` bytes: how many, -errno, or what `block` answers. `keep` leaves them where they were (tee). */
function move(from: Side, to: Side, count: number, nonblocking: boolean, keep: boolean): number {
  const frames: number[] = [];
  while (frames.length < Math.min(BOUNCE_FRAMES, Math.ceil(count / FRAME_BYTES))) {
    const frame = frame_alloc_uninitialized();
    if (frame === 0) break;
    frames.push(frame);
  }
  const result = frames.length === 0 && count > 0 ? -ENOMEM : move_through(frames, from, to, count, nonblocking, keep);
  for (const frame of frames) frame_put(frame as FrameAddr);
  if (result === RETRY && !keep_offsets(from.offset, to.offset)) return Task.syscall_progress.get(current) || -ENOMEM;
  return result;
}

/** Before a wait: keeps the offsets that the call began at. False when the heap is exhausted. */
function keep_offsets(from: number, to: number): boolean {
  if ((from === AT_POSITION && to === AT_POSITION) || kept_piece(KEPT_OFFSETS) !== 0) return true;
  const at = keep_at(KEPT_OFFSETS, 16) >> 3;
  if (at === 0) return false;
  F64[at] = from;
  F64[at + 1] = to;
  return true;
}

function move_through(
  frames: readonly number[],
  from: Side,
  to: Side,
  count: number,
  nonblocking: boolean,
  keep: boolean,
): number {
  let done = Task.syscall_progress.get(current);
  while (done < count) {
    const to_events = file_operations(to.file).poll(to.file);
    if ((to_events & (POLLOUT | POLLERR)) === 0)
      return pause(to, POLLOUT, done, nonblocking || is_nonblocking(to.file));
    const n = look(from, done, frames, Math.min(count - done, frames.length * FRAME_BYTES), keep);
    if (n === -EAGAIN) return pause(from, POLLIN, done, done > 0 || nonblocking || is_nonblocking(from.file));
    if (n <= 0) return done > 0 ? done : n;
    const m = write_out(to, done, frames, n);
    if (!keep) consume(from, Math.max(m, 0));
    if (m === -EPIPE) send_to_task(current, SIGPIPE, siginfo_user(SIGPIPE));
    if (m === -EAGAIN) return pause(to, POLLOUT, done, nonblocking || is_nonblocking(to.file));
    if (m < 0) return done > 0 ? done : m;
    done += m;
    if (keep) return done;
  }
  return done;
}

/** Nothing moves now: what was moved, -EAGAIN, or a wait that keeps the progress. */
function pause(side: Side, events: number, done: number, nonblocking: boolean): number {
  if (nonblocking) return done > 0 ? done : -EAGAIN;
  Task.syscall_progress.set(current, done);
  const waited = block(side.fd, side.file, file_operations(side.file), events);
  return waited > -0x10000 && done > 0 ? done : waited;
}

/**
 * The offset at a user address, at the call's first entry, or AT_POSITION for none: -EFAULT, -EINVAL for a negative one.
 * `end`: FROM or TO.
 */
function offset_at(address: number, end: number): number {
  if (address === 0) return AT_POSITION;
  const kept = Task.kept_arguments.get(current) === 0 ? 0 : kept_at(KEPT_OFFSETS);
  if (kept !== 0) return F64[(kept >> 3) + end] as number;
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, address, 8) < 0) return -EFAULT;
  const offset = (I32[(scratch >> 2) + 1] as number) * 4294967296 + (U32[scratch >> 2] as number);
  return offset < 0 ? -EINVAL : offset;
}

/** Stores a moved offset. A call that goes on stores nothing yet. */
function store_offset(address: number, offset: number, moved: number): number {
  if (address === 0 || moved <= 0) return 0;
  return put_user_u64(address, offset + moved) < 0 ? -EFAULT : 0;
}

/** The side of a descriptor with `mode` access; -EBADF in `error` otherwise. */
let error = 0;
function side(fd: number, mode: number, offset: number): Side | null {
  const file = fd_file(fd);
  error = offset < AT_POSITION ? offset : 0;
  if (file === 0 || (File.mode.get(file) & mode) === 0) error = -EBADF;
  return error === 0 ? { fd, file, offset } : null;
}

function sys_sendfile(): number {
  const address = arg_u64(2);
  const from = side(arg_i32(1), FMODE_READ, offset_at(address, FROM));
  if (from === null) return error;
  const unplaced = (File.mode.get(from.file) & FMODE_STREAM) !== 0;
  if (unplaced && address !== 0) return -ESPIPE;
  const to = side(arg_i32(0), FMODE_WRITE, AT_POSITION);
  if (to === null) return error;
  if (unplaced) return -EINVAL;
  if ((File.flags.get(to.file) & O_APPEND) !== 0) return -EINVAL;
  const moved = move(from, to, Math.min(arg_u64(3), MAX_RW_COUNT), false, false);
  // The offset is stored even where nothing was left to send (Linux's sys_sendfile64).
  const stored = address !== 0 && moved === 0 ? put_user_u64(address, from.offset) : 0;
  return stored < 0 || store_offset(address, from.offset, moved) < 0 ? -EFAULT : moved;
}

function sys_splice(): number {
  const in_address = arg_u64(1);
  const out_address = arg_u64(3);
  const flags = arg_lo(5);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (arg_u64(4) === 0) return 0;
  const from = side(arg_i32(0), FMODE_READ, offset_at(in_address, FROM));
  if (from === null) return error;
  const to = side(arg_i32(2), FMODE_WRITE, offset_at(out_address, TO));
  if (to === null) return error;
  const pipes = (is_pipe(from.file) ? 1 : 0) + (is_pipe(to.file) ? 1 : 0);
  if (pipes === 0) return -EINVAL;
  if (is_pipe(from.file) ? in_address !== 0 : is_pipe(to.file) && out_address !== 0) return -ESPIPE;
  if (pipes === 2 && (out_address !== 0 || File.object.get(from.file) === File.object.get(to.file))) return -EINVAL;
  if (!is_pipe(from.file) && (File.mode.get(from.file) & FMODE_STREAM) !== 0) return -EINVAL;
  if (!is_pipe(to.file) && (File.flags.get(to.file) & O_APPEND) !== 0) return -EINVAL;
  const moved = move(from, to, Math.min(arg_u64(4), MAX_RW_COUNT), (flags & SPLICE_F_NONBLOCK) !== 0, false);
  const stored = store_offset(in_address, from.offset, moved) || store_offset(out_address, to.offset, moved);
  return stored < 0 ? stored : moved;
}

function sys_tee(): number {
  const flags = arg_lo(3);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (arg_u64(2) === 0) return 0;
  const from = side(arg_i32(0), FMODE_READ, AT_POSITION);
  if (from === null) return error;
  const to = side(arg_i32(1), FMODE_WRITE, AT_POSITION);
  if (to === null) return error;
  if (!is_pipe(from.file) || !is_pipe(to.file) || File.object.get(from.file) === File.object.get(to.file))
    return -EINVAL;
  return move(from, to, Math.min(arg_u64(2), MAX_RW_COUNT), (flags & SPLICE_F_NONBLOCK) !== 0, true);
}

function sys_vmsplice(): number {
  const fd = arg_i32(0);
  const file = fd_file(fd);
  const flags = arg_lo(3);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (file === 0 || !is_pipe(file)) return -EBADF;
  const imported = import_iovec(arg_u64(1), arg_i32(2));
  if (imported < 0) return imported;
  const nonblocking = (flags & SPLICE_F_NONBLOCK) !== 0 || (File.flags.get(file) & O_NONBLOCK) !== 0;
  if ((File.mode.get(file) & FMODE_WRITE) === 0) return read_transfer(fd, file, AT_POSITION, nonblocking);
  // It waits for room once, then gives what fits (Linux's vmsplice_to_pipe).
  const given = write_transfer(fd, file, AT_POSITION, true);
  return given !== -EAGAIN || nonblocking ? given : block_transfer(fd, file, file_operations(file), POLLOUT);
}

/** Whether two ranges of one file overlap. */
function overlaps(from: Side, to: Side, count: number): boolean {
  if (File.inode.get(from.file) !== File.inode.get(to.file)) return false;
  const a = from.offset === AT_POSITION ? File.position.get(from.file) : from.offset;
  const b = to.offset === AT_POSITION ? File.position.get(to.file) : to.offset;
  return a < b + count && b < a + count;
}

function sys_copy_file_range(): number {
  const in_address = arg_u64(1);
  const out_address = arg_u64(3);
  const from = side(arg_i32(0), FMODE_READ, offset_at(in_address, FROM));
  if (from === null) return error;
  const to = side(arg_i32(2), FMODE_WRITE, offset_at(out_address, TO));
  if (to === null) return error;
  if (arg_lo(5) !== 0) return -EINVAL;
  for (const { file } of [from, to]) {
    if (File.kind.get(file) === FILE_KIND_DIRECTORY) return -EISDIR;
    if (File.kind.get(file) !== FILE_KIND_REGULAR) return -EINVAL;
  }
  if ((File.flags.get(to.file) & O_APPEND) !== 0) return -EBADF;
  const count = Math.min(arg_u64(4), MAX_RW_COUNT);
  if (overlaps(from, to, count)) return -EINVAL;
  const moved = move(from, to, count, false, false);
  const stored = store_offset(in_address, from.offset, moved) || store_offset(out_address, to.offset, moved);
  return stored < 0 ? stored : moved;
}

const PACKET_NOTE = 'packets of a pipe become bytes of the other, unless that is in packet mode';

export const SPLICE_ROWS: readonly SyscallRow[] = [
  full(40, 'sendfile', sys_sendfile, 'out:fd', 'in:fd', 'offset:ptr', 'count:size'),
  partial(
    275,
    'splice',
    PACKET_NOTE,
    sys_splice,
    'in:fd',
    'in_offset:ptr',
    'out:fd',
    'out_offset:ptr',
    'length:size',
    'flags:uint',
  ),
  partial(276, 'tee', PACKET_NOTE, sys_tee, 'in:fd', 'out:fd', 'length:size', 'flags:uint'),
  full(278, 'vmsplice', sys_vmsplice, 'fd:fd', 'iov:iovec(2)', 'count:ulong', 'flags:uint'),
  full(
    326,
    'copy_file_range',
    sys_copy_file_range,
    'in:fd',
    'in_offset:ptr',
    'out:fd',
    'out_offset:ptr',
    'length:size',
    'flags:uint',
  ),
];
