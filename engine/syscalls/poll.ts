/**
 * Waiting for several files: poll(2), ppoll(2), select(2), pselect(2).
 *
 * Each entry of a handler scans all files. The first scan that finds nothing enrols on every queue and
 * keeps every file, and what the caller asked for (syscall_phase 1); later ones only scan. A descriptor that is closed
 * meanwhile is reported as such by the next scan.
 */
import { EBADF, EFAULT, EINVAL, ENOMEM, ERESTARTNOHAND, ERESTARTSYS } from '../abi/errno.ts';
import { O_PATH } from '../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, READABLE, WRITABLE } from '../abi/poll.ts';
import type { Ptr } from '../base/types.ts';
import { I32, U8, U16, U32 } from '../heap/memory.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import {
  deadline_passed,
  deadline_remaining,
  enrol_on,
  is_waiting,
  set_timeout,
  wait_enrolled,
  wait_until_deadline,
} from '../kernel/block.ts';
import { KeptArgument } from '../kernel/call_arguments.layout.ts';
import {
  KEPT_POLL,
  KEPT_SETS,
  keep_bytes,
  keep_piece,
  kept_piece,
  next_piece,
  PIECE_BYTES,
  recall_bytes,
} from '../kernel/call_arguments.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file, files_lookup, hold_file, nofile_limit } from '../kernel/fd_table.ts';
import { Files } from '../kernel/files.layout.ts';
import { RESTART_POLL, register_restart, restart_later } from '../kernel/restart.ts';
import { STAGE_BYTES, stage, stage_in } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, copy_out, put_user_u16, user_range } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { file_operations, file_put } from '../vfs/file.ts';
import { full, type SyscallRow } from './row.ts';
import { begin_mask, end_mask } from './temporary_mask.ts';
import { first_timeout, write_timespec, write_timeval } from './user_time.ts';

/** Value of syscall_phase once every queue was enrolled on. */
const PHASE_ENROLLED = 1;

const POLLFD_SIZE = 8;
/** Most structs pollfd that a call reads to the staging area; more of them it keeps from the start. */
const STAGED = STAGE_BYTES / POLLFD_SIZE;
const PIECE_POLLFDS = Math.floor(PIECE_BYTES / POLLFD_SIZE);
const ALWAYS = POLLERR | POLLHUP;

/** What enrolling did in this entry: -ENOMEM, or whether there was anything. */
let enrol_failed = false;

/** Events of a descriptor among `interest`, or POLLNVAL; enrols and keeps the file when asked to. */
function probe(fd: number, interest: number, enrol: boolean): number {
  const files = Task.files.get(current);
  const shared = Files.refs.load(files) > 1;
  const file = shared ? files_lookup(files, fd) : fd_file(fd);
  if (file === 0) return POLLNVAL;
  if ((File.flags.get(file) & O_PATH) !== 0) {
    if (shared) file_put(file);
    return POLLNVAL;
  }
  const operations = file_operations(file);
  const queue = enrol ? operations.queue(file) : (0 as Ptr<'WaitQueue'>);
  if (queue !== 0 && (!hold_file(-1, file) || enrol_on(queue, interest | ALWAYS) < 0)) enrol_failed = true;
  const events = operations.poll(file) & (interest | ALWAYS);
  if (shared) file_put(file);
  return events;
}

/** Fills in revents of `count` structs pollfd at a machine address: ready ones. */
function scan_run(at: number, count: number, enrol: boolean): number {
  let ready = 0;
  for (let entry = at; entry < at + count * POLLFD_SIZE; entry += POLLFD_SIZE) {
    const fd = I32[entry >> 2] as number;
    const events = fd < 0 ? 0 : probe(fd, U16[(entry + 4) >> 1] as number, enrol);
    U16[(entry + 6) >> 1] = events;
    if (events !== 0) ready++;
  }
  return ready;
}

/** Scans the call's structs pollfd, kept or in the staging area: ready ones. */
function scan_pollfds(count: number, enrol: boolean): number {
  let piece = kept_piece(KEPT_POLL);
  if (piece === 0) return scan_run(stage(), count, enrol);
  let ready = 0;
  for (; piece !== 0; piece = next_piece(piece))
    ready += scan_run(KeptArgument.data.at(piece), KeptArgument.length.get(piece) / POLLFD_SIZE, enrol);
  return ready;
}

/** Reads the structs pollfd, at the call's first entry: 0, -EFAULT, -ENOMEM. */
function take_pollfds(address: number, count: number): number {
  if (count <= STAGED) return stage_in(address, count * POLLFD_SIZE);
  let piece = 0 as Ptr<'KeptArgument'>;
  for (let first = 0; first < count; first += PIECE_POLLFDS) {
    const bytes = Math.min(PIECE_POLLFDS, count - first) * POLLFD_SIZE;
    piece = keep_piece(KEPT_POLL, bytes, piece);
    if (piece === 0) return -ENOMEM;
    if (copy_in(KeptArgument.data.at(piece), address + first * POLLFD_SIZE, bytes) < 0) return -EFAULT;
  }
  return 0;
}

/** Before a wait: keeps the structs pollfd. False when the heap is exhausted. */
function keep_pollfds(count: number): boolean {
  return count === 0 || kept_piece(KEPT_POLL) !== 0 || keep_bytes(KEPT_POLL, U8, stage(), count * POLLFD_SIZE);
}

/** Writes every revents to user memory, as Linux does also when a signal ends the call: 0 or -EFAULT. */
function write_revents(address: number, count: number): number {
  let piece = kept_piece(KEPT_POLL);
  if (!user_range(address, count * POLLFD_SIZE)) return -EFAULT;
  if (piece === 0) return copy_out(address, stage(), count * POLLFD_SIZE);
  let to = address + 6;
  for (; piece !== 0; piece = next_piece(piece)) {
    const end = KeptArgument.data.at(piece) + KeptArgument.length.get(piece);
    for (let at: number = KeptArgument.data.at(piece); at < end; at += POLLFD_SIZE, to += POLLFD_SIZE)
      if (put_user_u16(to, U16[(at + 6) >> 1] as number) < 0) return -EFAULT;
  }
  return 0;
}

/**
 * The wait common to all: `scan(enrol)` answers ready files or -errno; `keep(size)` keeps what it reads, before a wait.
 * `timeout_ns` is 0 for no wait, Infinity for no limit.
 */
function wait_for_any(
  scan: (enrol: boolean) => number,
  keep: (size: number) => boolean,
  size: number,
  timeout_ns: number,
): number {
  const ready = scan(false);
  if (ready !== 0 || timeout_ns === 0) return ready;
  if (Task.syscall_phase.get(current) === PHASE_ENROLLED) {
    if (deadline_passed()) return 0;
    return interrupted(Task.wait_head.get(current) === 0 ? wait_until_deadline() : wait_enrolled(false));
  }
  if (timeout_ns !== Number.POSITIVE_INFINITY) set_timeout(timeout_ns);
  enrol_failed = false;
  const again = scan(true);
  if (enrol_failed || !keep(size)) return -ENOMEM;
  if (again !== 0) return again;
  Task.syscall_phase.set(current, PHASE_ENROLLED);
  return interrupted(wait_enrolled(true));
}

/** These calls restart only when no handler runs (signal(7)). */
function interrupted(result: number): number {
  return result === -ERESTARTSYS ? -ERESTARTNOHAND : result;
}

function poll_fds(timeout_ns: number): number {
  const address = arg_u64(0);
  const count = arg_u32(1);
  if (Task.syscall_phase.get(current) === 0) {
    if (count > nofile_limit()) return -EINVAL;
    const taken = take_pollfds(address, count);
    if (taken < 0) return taken;
  }
  const result = wait_for_any((enrol) => scan_pollfds(count, enrol), keep_pollfds, count, timeout_ns);
  if (result === -ENOMEM || is_waiting(result)) return result;
  return write_revents(address, count) < 0 ? -EFAULT : result;
}

/** After a signal without handler, poll goes on under its first deadline. */
function sys_poll(): number {
  const timeout_ms = arg_i32(2);
  const result = poll_fds(timeout_ms < 0 ? Number.POSITIVE_INFINITY : timeout_ms * 1e6);
  return result === -ERESTARTNOHAND ? restart_later(RESTART_POLL) : result;
}
register_restart(RESTART_POLL, sys_poll);

function sys_ppoll(): number {
  const timeout = first_timeout(arg_u64(2), true);
  if (timeout < 0) return timeout;
  const masked = begin_mask(arg_u64(3), arg_u64(4));
  if (masked < 0) return masked;
  const result = poll_fds(timeout);
  if (!is_waiting(result)) write_remaining(arg_u64(2), true);
  return end_mask(result);
}

/** Linux tells how much time was left, unless the personality keeps it from it; a failure to do so changes nothing. */
function write_remaining(address: number, is_timespec: boolean): void {
  if (address === 0 || (Task.personality.get(current) & STICKY_TIMEOUTS) !== 0) return;
  const left = deadline_remaining();
  if (is_timespec) write_timespec(address, left);
  else write_timeval(address, left);
}

/** Words of the three sets of a select call, in and out: a cache of this thread for one entry. */
let sets = new Uint32Array(6 * 32);
let set_bytes = new Uint8Array(sets.buffer);

const SELECT_IN = READABLE | 0x80 | POLLHUP | POLLERR | POLLNVAL;
const SELECT_OUT = WRITABLE | 0x200 | POLLERR | POLLNVAL;
const SELECT_EXCEPT = POLLPRI | POLLNVAL;
const SELECT_EVENTS = [SELECT_IN, SELECT_OUT, SELECT_EXCEPT];
const SELECT_INTEREST = [POLLIN | 0xc0, POLLOUT | 0x300, POLLPRI];
/** personality(2): select and its kin leave the timeout as it is. */
const STICKY_TIMEOUTS = 0x400_0000;
const SCRATCH_WORDS = 64;

/** Reads `words` words of a set to index `at`: 0 or -EFAULT. A null set is empty. */
function read_set(address: number, at: number, words: number): number {
  sets.fill(0, at, at + words);
  if (address === 0) return 0;
  const scratch = Vcpu.scratch.at(current_vcpu);
  for (let done = 0; done < words; done += SCRATCH_WORDS) {
    const n = Math.min(SCRATCH_WORDS, words - done);
    if (copy_in(scratch, address + done * 4, n * 4) < 0) return -EFAULT;
    for (let i = 0; i < n; i++) sets[at + done + i] = U32[(scratch >> 2) + i] as number;
  }
  return 0;
}

function write_set(address: number, at: number, words: number): number {
  if (address === 0) return 0;
  const scratch = Vcpu.scratch.at(current_vcpu);
  for (let done = 0; done < words; done += SCRATCH_WORDS) {
    const n = Math.min(SCRATCH_WORDS, words - done);
    for (let i = 0; i < n; i++) U32[(scratch >> 2) + i] = sets[at + done + i] as number;
    if (copy_out(address + done * 4, scratch, n * 4) < 0) return -EFAULT;
  }
  return 0;
}

/** Scans descriptors below `limit`: bits found, or -EBADF. Results go to the upper half of `sets`. */
function scan_sets(limit: number, words: number, enrol: boolean): number {
  let ready = 0;
  sets.fill(0, 3 * words, 6 * words);
  for (let fd = 0; fd < limit; fd++) {
    const word = fd >> 5;
    const bit = 1 << (fd & 31);
    let interest = 0;
    for (let k = 0; k < 3; k++) {
      if (((sets[k * words + word] as number) & bit) !== 0) interest |= SELECT_INTEREST[k] as number;
    }
    if (interest === 0) continue;
    const events = probe(fd, interest, enrol);
    if (events === POLLNVAL && fd_file(fd) === 0) return -EBADF;
    for (let k = 0; k < 3; k++) {
      const wanted = ((sets[k * words + word] as number) & bit) !== 0;
      if (!wanted || (events & (SELECT_EVENTS[k] as number)) === 0) continue;
      const at = (k + 3) * words + word;
      sets[at] = (sets[at] as number) | bit;
      ready++;
    }
  }
  return ready;
}

/** Before a wait: keeps the sets. False when the heap is exhausted. */
function keep_sets(words: number): boolean {
  return keep_bytes(KEPT_SETS, set_bytes, 0, 3 * words * 4);
}

/** The sets that the call has kept: words of each. */
function recall_sets(): number {
  let bytes = 0;
  for (let piece = kept_piece(KEPT_SETS); piece !== 0; piece = next_piece(piece))
    bytes += KeptArgument.length.get(piece);
  if (set_bytes.length < bytes * 2) {
    sets = new Uint32Array(bytes / 2);
    set_bytes = new Uint8Array(sets.buffer);
  }
  return recall_bytes(KEPT_SETS, set_bytes, 0) / 12;
}

function select_sets(timeout_ns: number): number {
  const count = arg_i32(0);
  if (count < 0) return -EINVAL;
  // Descriptors that no table of this size holds are not looked at, as in Linux.
  const again = Task.syscall_phase.get(current) !== 0;
  const end = Math.ceil(Math.max(Files.end.get(Task.files.get(current)), 64) / 64) * 64;
  const words = again ? recall_sets() : Math.ceil(Math.min(count, end) / 64) * 2;
  const limit = Math.min(count, words * 32);
  if (sets.length < words * 6) {
    sets = new Uint32Array(words * 6);
    set_bytes = new Uint8Array(sets.buffer);
  }
  for (let k = 0; k < 3 && !again; k++) if (read_set(arg_u64(1 + k), k * words, words) < 0) return -EFAULT;
  const result = wait_for_any((enrol) => scan_sets(limit, words, enrol), keep_sets, words, timeout_ns);
  if (result < 0) return result;
  for (let k = 0; k < 3; k++) if (write_set(arg_u64(1 + k), (k + 3) * words, words) < 0) return -EFAULT;
  return result;
}

function sys_select(): number {
  const timeout = first_timeout(arg_u64(4), false);
  if (timeout < 0) return timeout;
  const result = select_sets(timeout);
  if (!is_waiting(result)) write_remaining(arg_u64(4), false);
  return result;
}

/** The sixth argument points to a pair: address and size of the mask. */
function sys_pselect6(): number {
  const timeout = first_timeout(arg_u64(4), true);
  if (timeout < 0) return timeout;
  const pair = arg_u64(5);
  let mask = 0;
  let size = 0;
  if (pair !== 0 && Task.syscall_entries.get(current) === 0) {
    const scratch = Vcpu.scratch.at(current_vcpu);
    if (copy_in(scratch, pair, 16) < 0) return -EFAULT;
    mask = (U32[(scratch >> 2) + 1] as number) * 4294967296 + (U32[scratch >> 2] as number);
    size = U32[(scratch >> 2) + 2] as number;
  }
  const masked = begin_mask(mask, size);
  if (masked < 0) return masked;
  const result = select_sets(timeout);
  if (!is_waiting(result)) write_remaining(arg_u64(4), true);
  return end_mask(result);
}

export const POLL_ROWS: readonly SyscallRow[] = [
  full(7, 'poll', sys_poll, 'fds:ptr', 'nfds:uint', 'timeout:int'),
  full(23, 'select', sys_select, 'nfds:int', 'read:ptr', 'write:ptr', 'except:ptr', 'timeout:struct(timeval)'),
  full(
    270,
    'pselect6',
    sys_pselect6,
    'nfds:int',
    'read:ptr',
    'write:ptr',
    'except:ptr',
    'timeout:struct(timespec)',
    'mask:ptr',
  ),
  full(271, 'ppoll', sys_ppoll, 'fds:ptr', 'nfds:uint', 'timeout:struct(timespec)', 'mask:struct(sigset)', 'size:size'),
];
