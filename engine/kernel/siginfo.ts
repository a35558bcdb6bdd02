/**
 * Builders of siginfo images: the first 48 bytes of the guest's struct siginfo (include/uapi/asm-generic/
 * siginfo.h), where everything that the kernel knows fits.
 *
 *   0 signo, 4 errno, 8 code, then from 16 by kind:
 *   kill, queue  16 pid, 20 uid, 24 value       child  16 pid, 20 uid, 24 status, 32 utime, 40 stime
 *   fault        16 address                     timer  16 id, 20 overrun, 24 value
 *
 * The builders return one staging array of this thread, valid until the next builder runs.
 */
import { SI_KERNEL, SI_QUEUE, SI_TIMER, SI_TKILL, SI_USER } from '../abi/signal.ts';
import { Credentials } from './credentials.layout.ts';
import { current } from './current.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

export const SIGINFO_WORDS = 12;
const TWO_32 = 4294967296;
const staging = new Int32Array(SIGINFO_WORDS);

function start(signo: number, code: number): Int32Array {
  staging.fill(0);
  staging[0] = signo;
  staging[2] = code;
  return staging;
}

function sender(info: Int32Array): Int32Array {
  if (current !== 0) {
    info[4] = ThreadGroup.tgid.get(Task.group.get(current));
    const credentials = Task.credentials.get(current);
    info[5] = credentials === 0 ? 0 : Credentials.uid.get(credentials);
  }
  return info;
}

/** kill(2) from the current task. */
export function siginfo_user(signo: number): Int32Array {
  return sender(start(signo, SI_USER));
}

/** tkill(2) and tgkill(2) from the current task. */
export function siginfo_tkill(signo: number): Int32Array {
  return sender(start(signo, SI_TKILL));
}

/** From the kernel itself, or from the host. */
export function siginfo_kernel(signo: number): Int32Array {
  return start(signo, SI_KERNEL);
}

/** sigqueue(3) from the current task. */
export function siginfo_queue(signo: number, value_lo: number, value_hi: number): Int32Array {
  const info = sender(start(signo, SI_QUEUE));
  info[6] = value_lo;
  info[7] = value_hi;
  return info;
}

/** A fault or exception at `address`. */
export function siginfo_fault(signo: number, code: number, address: number): Int32Array {
  const info = start(signo, code);
  info[4] = address | 0;
  info[5] = Math.floor(address / TWO_32) | 0;
  return info;
}

/** A change of a child: `code` is CLD_*, `status` its exit status or signal; times in clock ticks. */
export function siginfo_child(
  signo: number,
  code: number,
  pid: number,
  uid: number,
  status: number,
  ticks: number,
): Int32Array {
  const info = start(signo, code);
  info[4] = pid;
  info[5] = uid;
  info[6] = status;
  info[8] = ticks | 0;
  info[9] = Math.floor(ticks / TWO_32);
  return info;
}

/** Expiry of a POSIX timer. */
export function siginfo_timer(signo: number, id: number, overrun: number, lo: number, hi: number): Int32Array {
  const info = start(signo, SI_TIMER);
  info[4] = id;
  info[5] = overrun;
  info[6] = lo;
  info[7] = hi;
  return info;
}
