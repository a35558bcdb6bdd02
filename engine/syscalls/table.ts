/**
 * The syscall table: the rows of every family, by number. A number that no family serves has a row too
 * (support 'unsupported', ENOSYS), so that strace and the compatibility page can name it.
 */
import { ENOSYS } from '../abi/errno.ts';
import { SYSCALL_LIMIT, SYSCALL_NAMES } from '../abi/syscall_names.ts';
import { assert } from '../base/assert.ts';
import { CREDENTIAL_ROWS } from './credentials.ts';
import { DESCRIPTOR_ROWS } from './descriptors.ts';
import { EPOLL_ROWS } from './epoll.ts';
import { EVENTFD_ROWS } from './eventfd.ts';
import { EXEC_ROWS } from './exec.ts';
import { FILE_ROWS } from './file_rows.ts';
import { FUTEX_ROWS } from './futex.ts';
import { INOTIFY_ROWS } from './inotify.ts';
import { INSPECT_ROWS } from './inspect.ts';
import { IO_ROWS } from './io.ts';
import { MSG_ROWS } from './ipc_msg.ts';
import { SEM_ROWS } from './ipc_sem.ts';
import { SHM_ROWS } from './ipc_shm.ts';
import { MEMFD_ROWS } from './memfd.ts';
import { MEMORY_ROWS } from './memory.ts';
import { POLL_ROWS } from './poll.ts';
import { POSIX_TIMER_ROWS } from './posix_timer.ts';
import { PRCTL_ROWS } from './prctl.ts';
import { PROCESS_GROUP_ROWS } from './process_group.ts';
import { PROCESS_ROWS } from './processes.ts';
import type { SyscallRow } from './row.ts';
import { SCHEDULING_ROWS } from './scheduling.ts';
import { SIGNAL_ROWS } from './signal.ts';
import { SOCKET_ROWS } from './socket.ts';
import { SOCKET_MESSAGE_ROWS } from './socket_message.ts';
import { SOCKET_OPTION_ROWS } from './socket_options.ts';
import { SPLICE_ROWS } from './splice.ts';
import { SYSTEM_ROWS } from './system.ts';
import { TIME_ROWS } from './time.ts';
import { TIMERFD_ROWS } from './timerfd.ts';

const FAMILIES: readonly (readonly SyscallRow[])[] = [
  IO_ROWS,
  FILE_ROWS,
  DESCRIPTOR_ROWS,
  POLL_ROWS,
  EPOLL_ROWS,
  EVENTFD_ROWS,
  MEMFD_ROWS,
  INOTIFY_ROWS,
  TIMERFD_ROWS,
  SPLICE_ROWS,
  SOCKET_ROWS,
  SOCKET_MESSAGE_ROWS,
  SOCKET_OPTION_ROWS,
  MEMORY_ROWS,
  PROCESS_ROWS,
  INSPECT_ROWS,
  PROCESS_GROUP_ROWS,
  SIGNAL_ROWS,
  TIME_ROWS,
  FUTEX_ROWS,
  EXEC_ROWS,
  SYSTEM_ROWS,
  PRCTL_ROWS,
  POSIX_TIMER_ROWS,
  SCHEDULING_ROWS,
  CREDENTIAL_ROWS,
  SHM_ROWS,
  SEM_ROWS,
  MSG_ROWS,
];

/** Why calls that programs ask for are missing. */
const NOTES: Readonly<Record<string, string>> = {
  ptrace: 'tasks cannot be traced: debuggers and strace do not run inside the machine',
  seccomp: 'no filters; prctl(PR_SET_SECCOMP) answers EINVAL',
  setns: 'there are no namespaces to enter',
  rseq: 'as on a kernel without restartable sequences: the C library does without',
  acct: 'no process accounting file',
  io_setup: 'no asynchronous I/O contexts',
  io_uring_setup: 'no rings',
};

function not_implemented(): number {
  return -ENOSYS;
}

function collect(families: readonly (readonly SyscallRow[])[]): readonly (SyscallRow | undefined)[] {
  const rows = new Array<SyscallRow | undefined>(SYSCALL_LIMIT).fill(undefined);
  for (const row of families.flat()) {
    assert(row.name === SYSCALL_NAMES[row.number], `syscall row ${row.number} is not ${row.name}`);
    assert(rows[row.number] === undefined, `syscall ${row.name} has two rows`);
    rows[row.number] = row;
  }
  for (const [number, name] of SYSCALL_NAMES.entries()) {
    if (name === undefined) continue;
    const note = NOTES[name];
    const why = note === undefined ? {} : { note };
    rows[number] ??= { number, name, handler: not_implemented, args: [], support: 'unsupported', ...why };
  }
  return rows;
}

/** The row of each number below SYSCALL_LIMIT; `undefined` where Linux has no such call. */
export const SYSCALLS: readonly (SyscallRow | undefined)[] = collect(FAMILIES);

/** The row with this name, or `undefined`. */
export function syscall_by_name(name: string): SyscallRow | undefined {
  const number = SYSCALL_NAMES.indexOf(name);
  return number < 0 ? undefined : SYSCALLS[number];
}
