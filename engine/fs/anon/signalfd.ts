/**
 * signalfd(2): signals are read. A file takes those of its mask that are pending for the reader and its
 * process; it is told of new ones through the queue of the reader's process.
 */
import { EAGAIN, EFAULT, EINVAL, ENOTTY } from '../../abi/errno.ts';
import { O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SI_TIMER, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGSEGV } from '../../abi/signal.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_zero } from '../../heap/bytes.ts';
import { layout } from '../../heap/layout.ts';
import { I32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { current, current_vcpu } from '../../kernel/current.ts';
import { PendingSignals } from '../../kernel/signal.layout.ts';
import { lock_signals, unlock_signals } from '../../kernel/signal.ts';
import { take_signal, taken_info } from '../../kernel/signal_delivery.ts';
import { Task } from '../../kernel/task.layout.ts';
import { group_get, group_put } from '../../kernel/task.ts';
import { ThreadGroup } from '../../kernel/thread_group.layout.ts';
import type { IoCursor } from '../../machine/io.ts';
import { Vcpu } from '../../machine/vcpu.layout.ts';
import { File } from '../../vfs/file.layout.ts';
import { anon_file, FILE_KIND_SIGNALFD, no_transfer, register_file_operations } from '../../vfs/file.ts';

const l = layout('SignalFd');
export const SignalFd = l.done(
  {
    /** Signals that are taken, bit signo - 1; replaced by signalfd(fd, ...). */
    mask_lo: l.atomic(),
    mask_hi: l.atomic(),
  },
  8,
);

export const signalfd_slab = slab(SignalFd);

/** Bytes of a struct signalfd_siginfo. */
const INFO_SIZE = 128;
/** SIGKILL and SIGSTOP cannot be taken. */
const NEVER_LO = 0x4_0100;

/** A file that takes the signals of the mask, or 0 when the heap is exhausted. */
export function signalfd_create(mask_lo: number, mask_hi: number, flags: number): Ptr<'File'> {
  const object = signalfd_slab.alloc();
  if (object === 0) return 0 as Ptr<'File'>;
  const file = anon_file(FILE_KIND_SIGNALFD, object, O_RDWR | (flags & O_NONBLOCK));
  if (file === 0) signalfd_slab.free(object);
  else signalfd_set_mask(file, mask_lo, mask_hi);
  return file;
}

/** Whether the file is a signalfd. */
export function is_signalfd(file: Ptr<'File'>): boolean {
  return File.kind.get(file) === FILE_KIND_SIGNALFD;
}

/** Replaces the mask. */
export function signalfd_set_mask(file: Ptr<'File'>, mask_lo: number, mask_hi: number): void {
  const object = File.object.get(file) as Ptr<'SignalFd'>;
  SignalFd.mask_lo.store(object, mask_lo & ~NEVER_LO);
  SignalFd.mask_hi.store(object, mask_hi);
}

/** Lays the taken signal out as a struct signalfd_siginfo in kernel memory. */
function encode(at: number, info: Int32Array): void {
  bytes_zero(at, INFO_SIZE);
  const word = at >> 2;
  const signo = info[0] as number;
  const code = info[2] as number;
  I32[word] = signo;
  I32[word + 1] = info[1] as number;
  I32[word + 2] = code;
  if (code > 0 && (signo === SIGILL || signo === SIGFPE || signo === SIGSEGV || signo === SIGBUS)) {
    I32[word + 18] = info[4] as number;
    I32[word + 19] = info[5] as number;
  } else if (code === SI_TIMER) {
    I32[word + 6] = info[4] as number;
    I32[word + 8] = info[5] as number;
    I32[word + 11] = info[6] as number;
    I32[word + 12] = info[6] as number;
    I32[word + 13] = info[7] as number;
  } else {
    I32[word + 3] = info[4] as number;
    I32[word + 4] = info[5] as number;
    if (signo === SIGCHLD && code > 0) {
      I32[word + 10] = info[6] as number;
      for (let i = 0; i < 4; i++) I32[word + 14 + i] = info[8 + i] as number;
    } else if (code < 0) {
      I32[word + 11] = info[6] as number;
      I32[word + 12] = info[6] as number;
      I32[word + 13] = info[7] as number;
    }
  }
}

function read(file: Ptr<'File'>, io: IoCursor): number {
  const object = File.object.get(file) as Ptr<'SignalFd'>;
  const group = Task.group.get(current);
  const scratch = Vcpu.scratch.at(current_vcpu);
  if (io.wanted() < INFO_SIZE) return -EINVAL;
  let done = 0;
  while (io.wanted() >= INFO_SIZE) {
    lock_signals(group);
    const signo = take_signal(~SignalFd.mask_lo.load(object), ~SignalFd.mask_hi.load(object));
    unlock_signals(group);
    if (signo === 0) break;
    // What cannot be told is gone all the same.
    if (io.remaining < INFO_SIZE) return done > 0 ? done : -EFAULT;
    encode(scratch, taken_info());
    io.fill_from(scratch, INFO_SIZE);
    done += INFO_SIZE;
  }
  return done === 0 ? -EAGAIN : done;
}

function poll(file: Ptr<'File'>): number {
  if (current === 0) return 0;
  const object = File.object.get(file) as Ptr<'SignalFd'>;
  const group = Task.group.get(current);
  lock_signals(group);
  const own = Task.pending.at(current);
  const shared = ThreadGroup.pending.at(group);
  const lo = (PendingSignals.set.lo(own) | PendingSignals.set.lo(shared)) & SignalFd.mask_lo.load(object);
  const hi = (PendingSignals.set.hi(own) | PendingSignals.set.hi(shared)) & SignalFd.mask_hi.load(object);
  unlock_signals(group);
  return (lo | hi) !== 0 ? POLLIN : 0;
}

register_file_operations(FILE_KIND_SIGNALFD, {
  name: 'signalfd',
  read,
  write: no_transfer,
  poll,
  queue: () => ThreadGroup.signal_queue.at(Task.group.get(current)),
  // An epoll instance may outlive the process whose signals it watches.
  queue_hold: () => group_get(Task.group.get(current)),
  queue_drop: (group) => group_put(group as Ptr<'ThreadGroup'>),
  // A position that nothing uses (Linux's noop_llseek).
  seek: () => 0,
  ioctl: () => -ENOTTY,
  release: (file) => signalfd_slab.free(File.object.get(file) as Ptr<'SignalFd'>),
});
