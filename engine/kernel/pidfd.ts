/**
 * pidfds (pidfd_open(2)): open files that hold a process's number and become readable at its end.
 */
import { EBADF, EMFILE, ENOMEM, ENOTTY, ESPIPE } from '../abi/errno.ts';
import { O_EXCL, O_NONBLOCK } from '../abi/fcntl.ts';
import { POLLHUP, READABLE } from '../abi/poll.ts';
import type { Ptr } from '../base/types.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_PIDFD, file_alloc, file_put, no_transfer, register_file_operations } from '../vfs/file.ts';
import { current } from './current.ts';
import { fd_fill, fd_reserve, fd_unreserve, files_lookup } from './fd_table.ts';
import { lock_tasklist, unlock_tasklist } from './kernel.ts';
import { pid_get, pid_put } from './pid.ts';
import { TASK_STATE_MASK, TASK_ZOMBIE, Task } from './task.layout.ts';
import { GROUP_ZOMBIE, Pid, ThreadGroup } from './thread_group.layout.ts';

const O_RDWR = 2;

/** A descriptor and file reserved for a number that is still to come. */
export interface PidfdReservation {
  readonly fd: number;
  readonly file: Ptr<'File'>;
}

/** Reserves a pidfd in the current task's table; `fd` is -errno when that fails. */
export function pidfd_reserve(flags: number): PidfdReservation {
  const files = Task.files.get(current);
  if (files === 0) return { fd: -EMFILE, file: 0 as Ptr<'File'> };
  // It has positions, though nothing can be read or written at them: since 6.9 it is a file of pidfs.
  const file = file_alloc(FILE_KIND_PIDFD, flags | O_RDWR);
  if (file === 0) return { fd: -ENOMEM, file };
  const fd = fd_reserve(files, 0);
  if (fd < 0) file_put(file);
  return { fd, file };
}

/** Makes the reserved pidfd stand for `pid`. Under the tasklist lock. */
export function pidfd_bind(reservation: PidfdReservation, pid: Ptr<'Pid'>): void {
  File.object.set(reservation.file, pid_get(pid));
}

/** Publishes a bound pidfd as a descriptor, close-on-exec; or gives an unbound one back. */
export function pidfd_finish(reservation: PidfdReservation): void {
  const files = Task.files.get(current);
  if (File.object.get(reservation.file) !== 0) {
    fd_fill(files, reservation.fd, reservation.file, true);
    return;
  }
  fd_unreserve(files, reservation.fd);
  file_put(reservation.file);
}

/** The number behind descriptor `fd`, with a reference; -EBADF when it is no pidfd. */
export function pidfd_lookup(fd: number): number {
  const files = Task.files.get(current);
  const file = files === 0 ? (0 as Ptr<'File'>) : files_lookup(files, fd);
  if (file === 0) return -EBADF;
  const found = File.kind.get(file) === FILE_KIND_PIDFD;
  const pid = found ? pid_get(File.object.get(file) as Ptr<'Pid'>) : 0;
  file_put(file);
  return found ? pid : -EBADF;
}

/** Drops the reference of `pidfd_lookup`. */
export function pidfd_drop(pid: Ptr<'Pid'>): void {
  lock_tasklist();
  pid_put(pid);
  unlock_tasklist();
}

/** Whether descriptor `fd` was opened or set not to block: waitid(2) on it answers EAGAIN then. */
export function pidfd_is_nonblocking(fd: number): boolean {
  const files = Task.files.get(current);
  const file = files === 0 ? (0 as Ptr<'File'>) : files_lookup(files, fd);
  if (file === 0) return false;
  const result = (File.flags.get(file) & O_NONBLOCK) !== 0;
  file_put(file);
  return result;
}

/** Opened for the thread alone, not for its process (PIDFD_THREAD): the flag is that of O_EXCL. */
export function pidfd_is_thread(fd: number): boolean {
  const files = Task.files.get(current);
  const file = files === 0 ? (0 as Ptr<'File'>) : files_lookup(files, fd);
  if (file === 0) return false;
  const result = File.kind.get(file) === FILE_KIND_PIDFD && (File.flags.get(file) & O_EXCL) !== 0;
  file_put(file);
  return result;
}

/** Whether the process behind a number, or the thread, has ended: a zombie, or gone. */
function has_ended(pid: Ptr<'Pid'>, thread: boolean): boolean {
  const task = Pid.task.get(pid);
  if (thread && task !== 0) return (Task.state.load(task) & TASK_STATE_MASK) === TASK_ZOMBIE;
  return task === 0 || (ThreadGroup.flags.load(Task.group.get(task)) & GROUP_ZOMBIE) !== 0;
}

register_file_operations(FILE_KIND_PIDFD, {
  name: 'pidfd',
  read: no_transfer,
  write: no_transfer,
  poll(file) {
    const pid = File.object.get(file) as Ptr<'Pid'>;
    lock_tasklist();
    const thread = (File.flags.get(file) & O_EXCL) !== 0;
    const events = has_ended(pid, thread) ? READABLE | (Pid.task.get(pid) === 0 ? POLLHUP : 0) : 0;
    unlock_tasklist();
    return events;
  },
  queue: (file) => Pid.exit_queue.at(File.object.get(file) as Ptr<'Pid'>),
  seek: () => -ESPIPE,
  ioctl: () => -ENOTTY,
  release(file) {
    const pid = File.object.get(file) as Ptr<'Pid'>;
    if (pid === 0) return;
    lock_tasklist();
    pid_put(pid);
    unlock_tasklist();
  },
});
