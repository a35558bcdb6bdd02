/**
 * Moving bytes between descriptors: sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2).
 *
 * Bytes go through frames of the kernel's own. What comes from a pipe is only looked at until the other
 * side has taken it, so that nothing is lost when that side takes less; what comes from a file is read at
 * an offset that moves by what was written. Progress over blocks is in Task.syscall_progress, the offsets are kept.
 */

import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  EISDIR,
  ENOMEM,
  EOVERFLOW,
  EPIPE,
  ESPIPE,
  EXDEV,
  PREEMPTED,
} from '../abi/errno.ts';
import { FMODE_READ, FMODE_STREAM, FMODE_WRITE, O_APPEND, O_DIRECT } from '../abi/fcntl.ts';
import { IN_ACCESS } from '../abi/inotify.ts';
import { POLLERR, POLLIN, POLLOUT } from '../abi/poll.ts';
import { SIGPIPE } from '../abi/signal.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../abi/stat.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { file_inode } from '../fs/anon/attributes.ts';
import {
  pipe_append,
  pipe_claim,
  pipe_free_pages,
  pipe_pages,
  pipe_pieces,
  pipe_read,
  pipe_settle,
} from '../fs/anon/pipe.ts';
import { F64, I32, U32 } from '../heap/memory.ts';
import { arg_hi, arg_i32, arg_lo, arg_u64 } from '../kernel/args.ts';
import { is_waiting, signal_pending, wait_nowhere_but } from '../kernel/block.ts';
import { KEPT_OFFSETS, keep_at, kept_at, kept_piece } from '../kernel/call_arguments.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_opened, hold_file } from '../kernel/fd_table.ts';
import { slice_is_over } from '../kernel/long_call.ts';
import { siginfo_user } from '../kernel/siginfo.ts';
import { send_to_task } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { frame_alloc_uninitialized, frame_put } from '../machine/frames.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { MAX_RW_COUNT } from '../mm/iov.ts';
import { copy_in, put_user_u64 } from '../mm/uaccess.ts';
import { is_packet, socket_of } from '../socket/unix.ts';
import { File } from '../vfs/file.layout.ts';
import {
  FILE_KIND_DIRECTORY,
  FILE_KIND_EPOLL,
  FILE_KIND_EVENTFD,
  FILE_KIND_FULL,
  FILE_KIND_HOST_STREAM,
  FILE_KIND_INOTIFY,
  FILE_KIND_NULL,
  FILE_KIND_PIDFD,
  FILE_KIND_PIPE,
  FILE_KIND_PTMX,
  FILE_KIND_REGULAR,
  FILE_KIND_SIGNALFD,
  FILE_KIND_SOCKET,
  FILE_KIND_TIMERFD,
  FILE_KIND_TTY,
  file_operations,
} from '../vfs/file.ts';
import { notify_dentry } from '../vfs/notify.ts';
import { Inode } from '../vfs/vfs.layout.ts';
import { full, partial, type SyscallRow } from './row.ts';
import {
  AT_POSITION,
  began_nonblocking,
  block,
  block_transfer,
  broken_pipe,
  charge_piece,
  import_iovec,
  io,
  is_nonblocking,
  pin_from,
  read_transfer,
  step,
  transfer_length,
} from './transfer.ts';

type F = Ptr<'File'>;

/** The ends of a move, as places among the kept offsets. */
const FROM = 0;
const TO = 1;

const SPLICE_F_NONBLOCK = 2;
const SPLICE_F_ALL = 15;
const FRAME_BYTES = 4096;
const BOUNCE_FRAMES = 16;
/** Bytes pinned at a time for a pipe. */
const GIVEN_BYTES = 0x1_0000;

/** One side of a move: the descriptor, its file, and the offset (AT_POSITION: the file's own). */
interface Side {
  readonly fd: number;
  readonly file: F;
  readonly offset: number;
}

function is_pipe(file: F): boolean {
  return File.kind.get(file) === FILE_KIND_PIPE;
}

function pipe_of(file: F): Ptr<'Pipe'> {
  return File.object.get(file) as Ptr<'Pipe'>;
}

/** How many bytes go into each of the frames: those of one page each, which takes a page of a pipe of its own. */
const pieces: number[] = [];
/** Whether a pipe that takes these pieces may later add bytes to the last one: a page of a pipe moves as it is. */
let last_grows = false;

/** Cuts what follows the first `done` bytes into pieces for `count` frames: `wanted` bytes at most. Answers how many. */
function cut(from: Side, done: number, count: number, wanted: number): number {
  pieces.length = 0;
  last_grows = is_pipe(from.file) && pipe_pieces(pipe_of(from.file), pieces, count, wanted);
  let total = 0;
  for (const length of pieces) total += length;
  if (total > 0) return total;
  // A file's own pages move; what others read goes to new ones.
  const is_regular = File.kind.get(from.file) === FILE_KIND_REGULAR;
  const at = from.offset === AT_POSITION ? File.position.get(from.file) : from.offset + done;
  for (
    let page = FRAME_BYTES - (is_regular ? at % FRAME_BYTES : 0);
    pieces.length < count && total < wanted;
    page = FRAME_BYTES
  ) {
    const length = Math.min(page, wanted - total);
    pieces.push(length);
    total += length;
  }
  return total;
}

/** Points the cursor at the first `length` bytes of the pieces in the frames. */
function aim(frames: readonly number[], length: number): void {
  io.reset();
  for (let i = 0, left = length; left > 0; i++) {
    const n = Math.min(pieces[i] as number, left);
    io.push(frames[i] as number, n);
    left -= n;
  }
}

/**
 * Reads up to `length` bytes without taking them: from a pipe's head, which `consume` settles unless they are kept,
 * or from a file at an offset.
 */
function look(from: Side, frames: readonly number[], length: number, done: number, keep: boolean): number {
  aim(frames, length);
  if (is_pipe(from.file)) {
    const pipe = pipe_of(from.file);
    return keep ? pipe_read(pipe, io, false) : pipe_claim(pipe, io);
  }
  const at = from.offset === AT_POSITION ? File.position.get(from.file) : from.offset + done;
  const n = file_operations(from.file).read(from.file, io, at);
  if (n > 0) notify_dentry(File.dentry.get(from.file), IN_ACCESS);
  return n;
}

/** Takes what the other side accepted. */
function consume(from: Side, length: number): void {
  if (is_pipe(from.file)) pipe_settle(pipe_of(from.file), length);
  else if (from.offset === AT_POSITION) File.position.set(from.file, File.position.get(from.file) + length);
}

function write_out(to: Side, done: number, frames: readonly number[], length: number): number {
  if (!is_pipe(to.file) && NO_SPLICE_TO.has(File.kind.get(to.file))) return -EINVAL;
  aim(frames, length);
  if (is_pipe(to.file)) {
    const packets = (File.flags.get(to.file) & O_DIRECT) !== 0;
    return pipe_append(pipe_of(to.file), io, packets, !last_grows);
  }
  const offset = to.offset === AT_POSITION ? AT_POSITION : to.offset + done;
  return step(file_operations(to.file), to.file, offset, true);
}

/** Moves up to `count` bytes: how many, -errno, or what `block` answers. `keep` leaves them where they were (tee). */
function move(from: Side, to: Side, count: number, nonblocking: boolean, keep: boolean): number {
  const frames: number[] = [];
  // A file's bytes may begin within a page.
  const most = is_pipe(from.file) ? Math.min(count, pipe_pages(pipe_of(from.file)) || 1) : count / FRAME_BYTES + 1;
  while (frames.length < Math.min(BOUNCE_FRAMES, Math.ceil(most))) {
    const frame = frame_alloc_uninitialized();
    if (frame === 0) break;
    frames.push(frame);
  }
  const result = frames.length === 0 && count > 0 ? -ENOMEM : move_through(frames, from, to, count, nonblocking, keep);
  for (const frame of frames) frame_put(frame as FrameAddr);
  if (is_waiting(result) && !keep_ends(from, to)) return Task.syscall_progress.get(current) || -ENOMEM;
  return result;
}

/** Before a wait, or others run: keeps both files, and the offsets that the call began at. False when the heap is exhausted. */
function keep_ends(from: Side, to: Side): boolean {
  if (!hold_file(from.fd, from.file) || !hold_file(to.fd, to.file)) return false;
  if ((from.offset === AT_POSITION && to.offset === AT_POSITION) || kept_piece(KEPT_OFFSETS) !== 0) return true;
  const at = keep_at(KEPT_OFFSETS, 16) >> 3;
  if (at === 0) return false;
  F64[at] = from.offset;
  F64[at + 1] = to.offset;
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
    // What is no pipe says at the write that it has no room: there may be nothing to write at all.
    if (is_pipe(to.file) && (file_operations(to.file).poll(to.file) & (POLLOUT | POLLERR)) === 0)
      // A pipe is filled once (splice(2) may return less than was asked for).
      return pause(to, POLLOUT, done, done > 0 || nonblocking);
    // What is read from where it cannot be read again has to find room.
    const room = is_pipe(to.file) ? pipe_free_pages(pipe_of(to.file)) : frames.length;
    const length = cut(from, done, Math.min(frames.length, Math.max(room, 1)), count - done);
    const n = look(from, frames, length, done, keep);
    if (n === -EAGAIN) return pause(from, POLLIN, done, done > 0 || must_not_wait(from.file, nonblocking));
    if (n === 0 && done === 0) return check_readers(to.file);
    if (n <= 0) return done > 0 ? done : n;
    const m = write_out(to, done, frames, n);
    if (!keep) consume(from, Math.max(m, 0));
    if (m === -EPIPE) broken_pipe(to.file);
    if (m === -EAGAIN) {
      const refused = is_pipe(to.file) ? done > 0 || nonblocking : is_nonblocking(to.file);
      return pause(to, POLLOUT, done, refused);
    }
    if (m < 0) return done > 0 ? done : m;
    done += m;
    if (keep) return done;
    charge_piece(from.file, n);
    charge_piece(to.file, m);
    // Any signal cuts it short (Linux's splice_from_pipe_next).
    if (done < count && signal_pending()) return done;
    if (done < count && slice_is_over()) {
      Task.syscall_progress.set(current, done);
      return PREEMPTED;
    }
  }
  return done;
}

/**
 * Whether a read of a move is not to wait. What has no operation of its own for that is read as its owner says, whatever
 * the call says (Linux's copy_splice_read); so is what is no pipe written.
 */
function must_not_wait(from: F, nonblocking: boolean): boolean {
  if (is_pipe(from)) return nonblocking;
  const kind = File.kind.get(from);
  const heeds = kind === FILE_KIND_HOST_STREAM || (kind === FILE_KIND_SOCKET && !is_packet(socket_of(from)));
  return (nonblocking && heeds) || is_nonblocking(from);
}

/** Nothing moves now: what was moved, -EAGAIN, or a wait that keeps the progress. */
function pause(side: Side, events: number, done: number, nonblocking: boolean): number {
  if (nonblocking) return done > 0 ? done : -EAGAIN;
  Task.syscall_progress.set(current, done);
  const operations = file_operations(side.file);
  wait_nowhere_but(operations.queue(side.file));
  const waited = block(side.fd, side.file, operations, events);
  return waited > -0x10000 && done > 0 ? done : waited;
}

/** What stands for an offset that cannot be read, and how far those below 0 are moved from AT_POSITION. */
const OFFSET_FAULT = -2;
const BELOW_ZERO = -16;

/**
 * The offset at a user address, at the call's first entry, or AT_POSITION for none; OFFSET_FAULT; BELOW_ZERO and less
 * for a negative one. `end`: FROM or TO.
 */
function offset_at(address: number, end: number): number {
  if (address === 0) return AT_POSITION;
  const kept = Task.kept_arguments.get(current) === 0 ? 0 : kept_at(KEPT_OFFSETS);
  if (kept !== 0) return F64[(kept >> 3) + end] as number;
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (copy_in(scratch, address, 8) < 0) return OFFSET_FAULT;
  const offset = (I32[(scratch >> 2) + 1] as number) * 4294967296 + (U32[scratch >> 2] as number);
  return offset < 0 ? offset + BELOW_ZERO : offset;
}

/** Stores a moved offset. A call that goes on stores nothing yet. */
function store_offset(address: number, offset: number, moved: number): number {
  if (address === 0 || moved <= 0) return 0;
  return put_user_u64(address, offset + moved) < 0 ? -EFAULT : 0;
}

/** Whether the file was opened for `mode`, FMODE_READ or FMODE_WRITE. */
function is_open_for(file: F, mode: number): boolean {
  return (File.mode.get(file) & mode) !== 0;
}

/** Whether the file can be read and written at an offset (Linux's FMODE_PREAD). */
function has_offsets(file: F): boolean {
  return (File.mode.get(file) & FMODE_STREAM) === 0;
}

/** Files whose bytes are gone once they were read, so that they must go by way of a pipe (no FMODE_LSEEK). */
const PASSING_KINDS: ReadonlySet<number> = new Set([
  ...[FILE_KIND_PIPE, FILE_KIND_SOCKET, FILE_KIND_PIDFD, FILE_KIND_TTY, FILE_KIND_PTMX, FILE_KIND_HOST_STREAM],
]);
/** Files that Linux cannot splice from, and those that it cannot splice to: they lack the operation. */
const NO_SPLICE: readonly number[] = [
  ...[FILE_KIND_DIRECTORY, FILE_KIND_EVENTFD, FILE_KIND_EPOLL, FILE_KIND_TIMERFD, FILE_KIND_SIGNALFD],
  ...[FILE_KIND_INOTIFY, FILE_KIND_PIDFD],
];
const NO_SPLICE_FROM: ReadonlySet<number> = new Set([...NO_SPLICE, FILE_KIND_NULL]);
const NO_SPLICE_TO: ReadonlySet<number> = new Set([...NO_SPLICE, FILE_KIND_FULL]);

/** A pipe that nobody reads refuses even no bytes: 0, or SIGPIPE and -EPIPE. */
function check_readers(to: F): number {
  if (!is_pipe(to) || (file_operations(to).poll(to) & POLLERR) === 0) return 0;
  send_to_task(current, SIGPIPE, siginfo_user(SIGPIPE));
  return -EPIPE;
}

/** Moves between what is not both a pipe, after the checks of the call. */
function move_checked(from: Side, to: Side, count: number, nonblocking: boolean): number {
  const broken = check_readers(to.file);
  if (broken !== 0 || count === 0) return broken;
  if (!is_pipe(from.file) && NO_SPLICE_FROM.has(File.kind.get(from.file))) return -EINVAL;
  return move(from, to, Math.min(count, MAX_RW_COUNT), nonblocking, false);
}

/** sendfile(2) from `offset`: bytes, -errno, or what `block` answers. */
function send(offset: number): number {
  const from = { fd: arg_i32(1), file: fd_opened(arg_i32(1)), offset };
  if (from.file === 0 || !is_open_for(from.file, FMODE_READ)) return -EBADF;
  if (offset !== AT_POSITION && !has_offsets(from.file)) return -ESPIPE;
  if (offset < AT_POSITION) return -EINVAL;
  const to = { fd: arg_i32(0), file: fd_opened(arg_i32(0)), offset: AT_POSITION };
  if (to.file === 0 || !is_open_for(to.file, FMODE_WRITE)) return -EBADF;
  if (!is_pipe(to.file)) {
    if ((File.flags.get(to.file) & O_APPEND) !== 0 || PASSING_KINDS.has(File.kind.get(from.file))) return -EINVAL;
  } else if (is_pipe(from.file) && arg_u64(3) > 0) return check_readers(to.file) || -EINVAL;
  return move_checked(from, to, arg_u64(3), pipe_began_nonblocking(to.file));
}

/** Whether the file is a pipe whose owner had asked not to be blocked when the call began. */
function pipe_began_nonblocking(file: F): boolean {
  return is_pipe(file) && began_nonblocking(file);
}

function sys_sendfile(): number {
  const address = arg_u64(2);
  const offset = offset_at(address, FROM);
  if (offset === OFFSET_FAULT) return -EFAULT;
  const moved = send(offset);
  if (address === 0 || moved <= INTERNAL_RESULTS) return moved;
  // The offset is stored whatever came of the call (Linux's sys_sendfile64).
  const now = (offset <= BELOW_ZERO ? offset - BELOW_ZERO : offset) + Math.max(moved, 0);
  return put_user_u64(address, now) < 0 ? -EFAULT : moved;
}

/** Results from here down are not a call's but the dispatcher's (abi/errno.ts). */
const INTERNAL_RESULTS = -0x10000;

/** Whether a move was not to wait for its pipes when it began: each one's O_NONBLOCK is about both (Linux's do_splice). */
function must_not_wait_for_pipes(flags: number, from: F, to: F): boolean {
  return (flags & SPLICE_F_NONBLOCK) !== 0 || pipe_began_nonblocking(from) || pipe_began_nonblocking(to);
}

function sys_splice(): number {
  const in_address = arg_u64(1);
  const out_address = arg_u64(3);
  const flags = arg_lo(5);
  if (arg_u64(4) === 0) return 0;
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  const in_file = fd_opened(arg_i32(0));
  const out_file = fd_opened(arg_i32(2));
  if (in_file === 0 || out_file === 0) return -EBADF;
  if (is_pipe(in_file) ? in_address !== 0 : is_pipe(out_file) && out_address !== 0) return -ESPIPE;
  if (is_pipe(in_file) && is_pipe(out_file) && out_address !== 0) return -ESPIPE;
  const to = { fd: arg_i32(2), file: out_file, offset: offset_at(out_address, TO) };
  const from = { fd: arg_i32(0), file: in_file, offset: offset_at(in_address, FROM) };
  if (to.offset === OFFSET_FAULT || from.offset === OFFSET_FAULT) return -EFAULT;
  if (!is_open_for(in_file, FMODE_READ) || !is_open_for(out_file, FMODE_WRITE)) return -EBADF;
  const checked = check_ends(from, to);
  if (checked !== 0) return checked;
  const nonblocking = must_not_wait_for_pipes(flags, in_file, out_file);
  const moved = is_pipe(in_file)
    ? move(from, to, Math.min(arg_u64(4), MAX_RW_COUNT), nonblocking, false)
    : move_checked(from, to, arg_u64(4), nonblocking);
  const stored = store_offset(out_address, to.offset, moved) || store_offset(in_address, from.offset, moved);
  return stored < 0 ? stored : moved;
}

/** Whether splice(2) can move between the two: 0 or -EINVAL. */
function check_ends(from: Side, to: Side): number {
  if (is_pipe(from.file) && is_pipe(to.file))
    return File.object.get(from.file) === File.object.get(to.file) ? -EINVAL : 0;
  if (!is_pipe(from.file) && !is_pipe(to.file)) return -EINVAL;
  const other = is_pipe(from.file) ? to : from;
  if (other.offset !== AT_POSITION && (other.offset < 0 || !has_offsets(other.file))) return -EINVAL;
  if (other === from) return 0;
  return (File.flags.get(to.file) & O_APPEND) !== 0 || NO_SPLICE_TO.has(File.kind.get(to.file)) ? -EINVAL : 0;
}

function sys_tee(): number {
  const flags = arg_lo(3);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (arg_u64(2) === 0) return 0;
  const from = { fd: arg_i32(0), file: fd_opened(arg_i32(0)), offset: AT_POSITION };
  const to = { fd: arg_i32(1), file: fd_opened(arg_i32(1)), offset: AT_POSITION };
  if (from.file === 0 || to.file === 0) return -EBADF;
  if (!is_open_for(from.file, FMODE_READ) || !is_open_for(to.file, FMODE_WRITE)) return -EBADF;
  if (!is_pipe(from.file) || !is_pipe(to.file) || File.object.get(from.file) === File.object.get(to.file))
    return -EINVAL;
  return move(from, to, Math.min(arg_u64(2), MAX_RW_COUNT), must_not_wait_for_pipes(flags, from.file, to.file), true);
}

/** Gives a pipe the pages of the transfer described, as far as they can be accessed and fit: bytes or -errno. */
function give_pages(file: F): number {
  let done = 0;
  while (done < transfer_length()) {
    const pinned = pin_from(done, GIVEN_BYTES, false);
    if (pinned < 0 && done > 0) break;
    const given = pipe_append(pipe_of(file), io, (File.flags.get(file) & O_DIRECT) !== 0, true);
    if (given < 0) return done > 0 ? done : given;
    done += given;
  }
  return done;
}

function sys_vmsplice(): number {
  const fd = arg_i32(0);
  const flags = arg_lo(3);
  if ((flags & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  const file = fd_opened(fd);
  if (file === 0 || !is_open_for(file, FMODE_READ | FMODE_WRITE)) return -EBADF;
  const imported = import_iovec(arg_u64(1), arg_i32(2));
  if (imported < 0) return imported;
  if (transfer_length() === 0) return 0;
  if (!is_pipe(file)) return -EBADF;
  // It does not look at O_NONBLOCK.
  const nonblocking = (flags & SPLICE_F_NONBLOCK) !== 0;
  if (!is_open_for(file, FMODE_WRITE)) return read_transfer(fd, file, AT_POSITION, nonblocking);
  // It waits for room once, then gives what fits (Linux's vmsplice_to_pipe).
  const given = give_pages(file);
  if (given === -EPIPE) broken_pipe(file);
  return given !== -EAGAIN || nonblocking ? given : block_transfer(fd, file, file_operations(file), POLLOUT);
}

/** The type of the files that copy_file_range(2) copies between, and their modes: 0 or -errno. */
function check_copied(from: F, to: F): number {
  const from_inode = file_inode(from);
  const to_inode = file_inode(to);
  if (from_inode === 0 || to_inode === 0) return -ENOMEM;
  const types = [Inode.mode.get(from_inode) & S_IFMT, Inode.mode.get(to_inode) & S_IFMT];
  if (types.includes(S_IFDIR)) return -EISDIR;
  if (types.some((type) => type !== S_IFREG)) return -EINVAL;
  if (!is_open_for(from, FMODE_READ) || !is_open_for(to, FMODE_WRITE)) return -EBADF;
  if ((File.flags.get(to) & O_APPEND) !== 0) return -EBADF;
  return Inode.sb.get(from_inode) === Inode.sb.get(to_inode) ? 0 : -EXDEV;
}

/** Whether the end of a copy from `at` on is no longer a number of 64 bits. A double does not hold large ones exactly. */
function wraps(at: number): boolean {
  return BigInt.asUintN(64, BigInt(at)) + ((BigInt(arg_hi(4)) << 32n) | BigInt(arg_lo(4))) >= 2n ** 64n;
}

/** How much copy_file_range(2) may copy from what the files' sizes say: a count, or -errno. */
function copied_count(from: Side, to: Side, wanted: number): number {
  const start = (side: Side): number => {
    if (side.offset === AT_POSITION) return File.position.get(side.file);
    return side.offset <= BELOW_ZERO ? side.offset - BELOW_ZERO : side.offset;
  };
  const [a, b] = [start(from), start(to)];
  if (wraps(a) || wraps(b)) return -EOVERFLOW;
  const inode = file_inode(from.file);
  const size = Inode.size.get(inode);
  const count = a >= size ? 0 : Math.min(wanted, size - a);
  if (inode === file_inode(to.file) && b + count > a && b < a + count) return -EINVAL;
  return a < 0 || b < 0 ? -EINVAL : count;
}

function sys_copy_file_range(): number {
  const in_address = arg_u64(1);
  const out_address = arg_u64(3);
  const in_file = fd_opened(arg_i32(0));
  const out_file = fd_opened(arg_i32(2));
  if (in_file === 0 || out_file === 0) return -EBADF;
  const from = { fd: arg_i32(0), file: in_file, offset: offset_at(in_address, FROM) };
  if (from.offset === OFFSET_FAULT) return -EFAULT;
  const to = { fd: arg_i32(2), file: out_file, offset: offset_at(out_address, TO) };
  if (to.offset === OFFSET_FAULT) return -EFAULT;
  if (arg_lo(5) !== 0) return -EINVAL;
  const checked = check_copied(in_file, out_file);
  let count = checked < 0 ? checked : copied_count(from, to, arg_u64(4));
  // Where it goes on after others have run, what it is to copy is known.
  if (Task.syscall_progress.get(current) > 0) count = Task.syscall_aux.get(current);
  if (count <= 0) return count;
  Task.syscall_aux.set(current, Math.min(count, MAX_RW_COUNT));
  const moved = move(from, to, Math.min(count, MAX_RW_COUNT), false, false);
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
