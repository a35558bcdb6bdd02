/** Record locks of fcntl(2): of processes (F_SETLK) and of open file descriptions (F_OFD_SETLK). */
import { EAGAIN, EBADF, EDEADLK, EFAULT, EINVAL, ENOLCK, ENOMEM, EOVERFLOW } from '../abi/errno.ts';
import {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_SETLK,
  F_SETLKW,
  FMODE_READ,
  FMODE_WRITE,
} from '../abi/fcntl.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../abi/path.ts';
import { POLLOUT } from '../abi/poll.ts';
import type { Ptr } from '../base/types.ts';
import { F64, I32, U16, U32 } from '../heap/memory.ts';
import { arg_u64 } from '../kernel/args.ts';
import { wait_on } from '../kernel/block.ts';
import { KEPT_LOCK, keep_at, kept_at, kept_piece } from '../kernel/call_arguments.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { files_lookup, hold_file } from '../kernel/fd_table.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { for_each_task } from '../kernel/pid.ts';
import { Task } from '../kernel/task.layout.ts';
import { ThreadGroup } from '../kernel/thread_group.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { copy_in, copy_out } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { file_put } from '../vfs/file.ts';
import {
  LOCK_END,
  LOCK_OFD,
  LOCK_POSIX,
  type LockRange,
  lock_blocker,
  lock_queue,
  lock_set,
  lock_test,
} from '../vfs/locks.ts';
import { Inode } from '../vfs/vfs.layout.ts';

const FLOCK_SIZE = 32;
const TWO_32 = 4294967296;
const range: LockRange = { type: 0, start: 0, end: 0, pid: 0 };

function word64(at: number): number {
  return (I32[(at >> 2) + 1] as number) * TWO_32 + (U32[at >> 2] as number);
}

function set_word64(at: number, value: number): void {
  U32[at >> 2] = value;
  U32[(at >> 2) + 1] = Math.floor(value / TWO_32);
}

/** 0 of what has no inode of its own. */
function inode_size(file: Ptr<'File'>): number {
  const inode = File.inode.get(file);
  return inode === 0 ? 0 : Inode.size.get(inode);
}

/** The range asked for, from user memory at the call's first entry: 0 or -errno. */
function take_range(file: Ptr<'File'>, scratch: number): number {
  const kept = (Task.kept_arguments.get(current) === 0 ? 0 : kept_at(KEPT_LOCK)) >> 3;
  if (kept === 0) return copy_in(scratch, arg_u64(2), FLOCK_SIZE) < 0 ? -EFAULT : decode(file, scratch);
  range.type = F64[kept] as number;
  range.start = F64[kept + 1] as number;
  range.end = F64[kept + 2] as number;
  range.pid = F64[kept + 3] as number;
  return 0;
}

/** Before a wait: keeps the range. False when the heap is exhausted. */
function keep_range(): boolean {
  if (kept_piece(KEPT_LOCK) !== 0) return true;
  const at = keep_at(KEPT_LOCK, 32) >> 3;
  if (at === 0) return false;
  F64[at] = range.type;
  F64[at + 1] = range.start;
  F64[at + 2] = range.end;
  F64[at + 3] = range.pid;
  return true;
}

/** The largest offset, and what there is of a range in it (flock64_to_posix_lock): doubles do not tell it from 2^63. */
const OFFSET_MAX = 2n ** 63n - 1n;

function exact64(at: number): bigint {
  return (BigInt(I32[(at >> 2) + 1] as number) << 32n) | BigInt(U32[at >> 2] as number);
}

/** Whether the range in the scratch area, from `base` on, begins or ends behind what an offset can be. */
function is_beyond(base: number, scratch: number): boolean {
  const start = BigInt(base) + exact64(scratch + 8);
  const length = exact64(scratch + 16);
  return start > OFFSET_MAX || (length > 0n && start + length - 1n > OFFSET_MAX);
}

/** Decodes the struct flock in the scratch area: 0, -EINVAL, -EOVERFLOW. */
function decode(file: Ptr<'File'>, scratch: number): number {
  const whence = U16[(scratch + 2) >> 1] as number;
  if (whence > 2) return -EINVAL;
  const base = whence === 0 ? 0 : whence === 1 ? File.position.get(file) : inode_size(file);
  const length = word64(scratch + 16);
  if (is_beyond(base, scratch)) return -EOVERFLOW;
  // Bytes that a double cannot number are one.
  const start = Math.min(base + word64(scratch + 8), LOCK_END);
  range.type = U16[scratch >> 1] as number;
  range.start = length < 0 ? start + length : start;
  range.end = length === 0 ? LOCK_END : length < 0 ? start - 1 : Math.min(start + length - 1, LOCK_END);
  range.pid = ThreadGroup.tgid.get(Task.group.get(current));
  const known = range.type === F_RDLCK || range.type === F_WRLCK || range.type === F_UNLCK;
  return range.start < 0 || !known ? -EINVAL : 0;
}

function encode(scratch: number): void {
  U16[scratch >> 1] = range.type;
  if (range.type === F_UNLCK) return;
  U16[(scratch + 2) >> 1] = 0;
  set_word64(scratch + 8, range.start);
  set_word64(scratch + 16, range.end === LOCK_END ? 0 : range.end - range.start + 1);
  I32[(scratch + 24) >> 2] = range.pid;
}

/** Longest chain of waiters looked at (Linux's MAX_DEADLK_ITERATIONS). */
const DEADLOCK_DEPTH = 10;

/** Whether `blocker` waits, by way of others, for a record lock of `owner`: then waiting for it would never end. */
function closes_circle(owner: number, blocker: number): boolean {
  for (let depth = 0; depth < DEADLOCK_DEPTH && blocker !== 0; depth++) {
    if (blocker === owner) return true;
    blocker = waits_for(blocker);
  }
  return false;
}

/** The Files that a task with this one waits for, or 0. */
function waits_for(files: number): number {
  let found = 0;
  lock_tasklist();
  for_each_task((task) => {
    if (Task.files.get(task) === files) found = Task.lock_blocker.load(task);
    return found !== 0;
  });
  unlock_tasklist();
  return found;
}

/**
 * A close that came while the call waited found no lock to give up: it goes now, with EBADF (Linux's fcntl_setlk looks
 * at the descriptor again).
 */
function keep_if_open(fd: number, file: Ptr<'File'>): number {
  const files = Task.files.get(current);
  const now = files_lookup(files, fd);
  if (now !== 0) file_put(now);
  if (now === file) return 0;
  range.type = F_UNLCK;
  lock_set(File.inode.get(file), LOCK_POSIX, files, range);
  return -EBADF;
}

/** F_GETLK, F_SETLK, F_SETLKW and their OFD kin; -EINVAL for any other command. */
export function record_lock(fd: number, file: Ptr<'File'>, command: number): number {
  const ofd = command === F_OFD_GETLK || command === F_OFD_SETLK || command === F_OFD_SETLKW;
  if (!ofd && command !== F_GETLK && command !== F_SETLK && command !== F_SETLKW) return -EINVAL;
  const scratch = Vcpu.scratch.at(current_vcpu);
  const inode = File.inode.get(file);
  const taken = take_range(file, scratch);
  if (taken < 0) return taken;
  // An OFD lock has no process (fcntl(2): l_pid must be zero).
  const misplaced_pid = ofd && Task.syscall_entries.get(current) === 0 && I32[(scratch + 24) >> 2] !== 0;
  if (!ofd) Task.lock_blocker.store(current, 0);
  const flavor = ofd ? LOCK_OFD : LOCK_POSIX;
  const owner = ofd ? file : Task.files.get(current);
  if (command === F_GETLK || command === F_OFD_GETLK) {
    // F_UNLCK asks an open file description for a lock of its own (since 6.7).
    if (misplaced_pid || (!ofd && range.type === F_UNLCK)) return -EINVAL;
    if (inode === 0) range.type = F_UNLCK;
    else lock_test(inode, flavor, owner, range);
    encode(scratch);
    return copy_out(arg_u64(2), scratch, FLOCK_SIZE) < 0 ? -EFAULT : 0;
  }
  const mode = File.mode.get(file);
  if (range.type === F_RDLCK && (mode & FMODE_READ) === 0) return -EBADF;
  if (range.type === F_WRLCK && (mode & FMODE_WRITE) === 0) return -EBADF;
  if (misplaced_pid) return -EINVAL;
  // Anonymous files share one inode in Linux, and meet there; here each is on its own.
  if (inode === 0) return 0;
  const result = lock_set(inode, flavor, owner, range);
  if (result === 0 && !ofd && range.type !== F_UNLCK) return keep_if_open(fd, file);
  if (result !== -EAGAIN) return result;
  if (command !== F_SETLKW && command !== F_OFD_SETLKW) return -EAGAIN;
  if (!ofd) {
    const blocker = lock_blocker(inode, flavor, owner, range);
    if (closes_circle(owner, blocker)) return -EDEADLK;
    Task.lock_blocker.store(current, blocker);
  }
  const queue = lock_queue(inode);
  if (queue === 0) return -ENOLCK;
  return keep_range() && hold_file(fd, file) ? wait_on(queue, POLLOUT) : -ENOMEM;
}
