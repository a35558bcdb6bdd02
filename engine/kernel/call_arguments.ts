/**
 * What a system call has read from user memory, kept while it sleeps.
 *
 * Linux copies an argument in once, when the call begins, and what other threads write there afterwards makes no
 * difference. Here no task keeps a stack: a call that sleeps is entered again from the top. So whoever is about to
 * sleep keeps what it has read (`keep_bytes`, `keep_at`), and reads it from there when it is entered again
 * (`recall_bytes`, `kept_at`). A call that does not sleep keeps nothing. What was kept goes when the call ends, however
 * it ends (the dispatcher, `release_arguments`); a call that is restarted after a signal is a new one, and reads anew.
 *
 * All calls that can sleep, and what each would read again:
 *
 *   readv writev preadv pwritev (2)        struct iovec                       KEPT_VECTOR
 *   vmsplice                               struct iovec                       KEPT_VECTOR
 *   recvmsg recvmmsg                       struct msghdr, its iovec           KEPT_HEADER, KEPT_VECTOR
 *   sendmsg sendmmsg                       the same, and: the address         KEPT_NAME
 *                                          descriptors and credentials        KEPT_ATTACHED
 *                                          a datagram for a full queue        KEPT_TEXT
 *   sendto connect                         the address                        KEPT_NAME
 *   sendto write (of a datagram)           a datagram for a full queue        KEPT_TEXT
 *   write (of an eventfd)                  the number                         KEPT_TEXT
 *   splice sendfile                        offsets                            KEPT_OFFSETS
 *   semop semtimedop                       struct sembuf                      KEPT_OPERATIONS
 *   msgsnd                                 the message                        KEPT_MESSAGE
 *   fcntl (F_SETLKW, F_OFD_SETLKW)         struct flock, as a range           KEPT_LOCK
 *   poll ppoll                             struct pollfd                      KEPT_POLL
 *   select pselect6                        the three sets                     KEPT_SETS
 *   ppoll pselect6 epoll_pwait (2)         the signal mask: is the task's own from the first entry on
 *   all with a timeout                     is Task.syscall_deadline from the first entry on
 *   open openat openat2 (of a FIFO)        path and struct open_how: the place is in Task.syscall_phase, the flags and the
 *                                          reserved descriptor in Task.syscall_progress
 *   read readv (of a terminal)             how it waits is in Task.syscall_phase (fs/tty/tty.ts)
 *   execve execveat clone clone3 vfork     read in the first phase only
 *   rt_sigsuspend rt_sigtimedwait          read in the first phase only
 *   futex futex_waitv                      read in the first phase only: FutexWaiter
 *   nanosleep clock_nanosleep              only the deadline
 *   read pread64 recvfrom msgrcv accept accept4 wait4 waitid epoll_wait tee flock pause: nothing (accept's reserved
 *   descriptor is in Task.syscall_aux)
 *
 * Descriptors are looked up once too: whoever waits holds its files (`hold_file`).
 *
 * Bytes for a pipe, a terminal or a stream are not arguments in this sense: Linux too reads them when there is room.
 */
import type { Ptr } from '../base/types.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { KEPT_INLINE, KeptArgument } from './call_arguments.layout.ts';
import { current } from './current.ts';
import { CALL_ARGUMENTS, Task } from './task.layout.ts';

export const KEPT_VECTOR = 0;
export const KEPT_HEADER = 1;
export const KEPT_NAME = 2;
export const KEPT_ATTACHED = 3;
export const KEPT_TEXT = 4;
export const KEPT_OFFSETS = 5;
export const KEPT_OPERATIONS = 6;
export const KEPT_MESSAGE = 7;
export const KEPT_LOCK = 8;
export const KEPT_POLL = 9;
export const KEPT_SETS = 10;

type Piece = Ptr<'KeptArgument'>;

/** Most bytes of one piece. */
export const PIECE_BYTES = 4096 - KeptArgument.data.offset;

export const kept_arguments = slab(KeptArgument);

const releases: (((data: number) => void) | undefined)[] = [];

/** Installs what gives back the things that an argument of this kind refers to, at module load. */
export function register_kept_release(key: number, release: (data: number) => void): void {
  releases[key] = release;
}

/** The first piece of what the current call keeps under `key`, 0 when it keeps nothing there. */
export function kept_piece(key: number): Piece {
  let piece = Task.kept_arguments.get(current);
  while (piece !== 0 && KeptArgument.key.get(piece) !== key) piece = KeptArgument.next.get(piece);
  return piece;
}

/** The piece of the same argument that follows, or 0. */
export function next_piece(piece: Piece): Piece {
  const next = KeptArgument.next.get(piece);
  return next !== 0 && KeptArgument.key.get(next) === KeptArgument.key.get(piece) ? next : (0 as Piece);
}

/**
 * A piece of `length` bytes, at most PIECE_BYTES, for `key`: the argument's first, or the one after `last`. Its data is
 * undefined. 0 when the heap is exhausted.
 */
export function keep_piece(key: number, length: number, last = 0 as Piece): Piece {
  const piece = length > KEPT_INLINE ? (heap_page_alloc() as Piece) : kept_arguments.alloc();
  if (piece === 0) return piece;
  KeptArgument.next.set(piece, last === 0 ? Task.kept_arguments.get(current) : KeptArgument.next.get(last));
  KeptArgument.key.set(piece, key);
  KeptArgument.length.set(piece, length);
  if (last !== 0) KeptArgument.next.set(last, piece);
  else Task.kept_arguments.set(current, piece);
  Task.call_leftovers.set(current, Task.call_leftovers.get(current) | CALL_ARGUMENTS);
  return piece;
}

/** Machine address of an argument of one piece, 8-byte aligned, or 0 when nothing is kept under `key`. */
export function kept_at(key: number): number {
  const piece = kept_piece(key);
  return piece === 0 ? 0 : KeptArgument.data.at(piece);
}

/** Keeps an argument of one piece: its machine address, for the caller to fill, or 0 when the heap is exhausted. */
export function keep_at(key: number, length: number): number {
  const piece = keep_piece(key, length);
  return piece === 0 ? 0 : KeptArgument.data.at(piece);
}

/** Keeps `length` bytes of an array (U8: machine memory) from index `at` on; false when the heap is exhausted. */
export function keep_bytes(key: number, source: Uint8Array, at: number, length: number): boolean {
  let last = 0 as Piece;
  let done = 0;
  do {
    const n = Math.min(length - done, PIECE_BYTES);
    last = keep_piece(key, n, last);
    if (last === 0) return false;
    U8.set(source.subarray(at + done, at + done + n), KeptArgument.data.at(last));
    done += n;
  } while (done < length);
  return true;
}

/** Copies a kept argument to an array (U8: machine memory) from index `at` on: its bytes, -1 when nothing is kept. */
export function recall_bytes(key: number, target: Uint8Array, at: number): number {
  let piece = kept_piece(key);
  if (piece === 0) return -1;
  let done = 0;
  for (; piece !== 0; piece = next_piece(piece)) {
    const data = KeptArgument.data.at(piece);
    const n = KeptArgument.length.get(piece);
    target.set(U8.subarray(data, data + n), at + done);
    done += n;
  }
  return done;
}

/** The call has ended, or goes on to other arguments: gives back all that it keeps. */
export function release_arguments(): void {
  let piece = Task.kept_arguments.get(current);
  Task.kept_arguments.set(current, 0 as Piece);
  while (piece !== 0) {
    const next = KeptArgument.next.get(piece);
    releases[KeptArgument.key.get(piece)]?.(KeptArgument.data.at(piece));
    if (KeptArgument.length.get(piece) > KEPT_INLINE) heap_page_free(piece);
    else kept_arguments.free(piece);
    piece = next;
  }
}
