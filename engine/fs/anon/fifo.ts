/**
 * Opening a FIFO (fifo(7)): a pipe reached through an inode. A blocking open of one end completes when
 * the other end has been opened, even if it was closed again since.
 */
import { EAGAIN, ENOMEM, ENXIO, RETRY } from '../../abi/errno.ts';
import { FMODE_READ, FMODE_STREAM, FMODE_WRITE, O_ACCMODE, O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN, POLLOUT, READABLE, WRITABLE } from '../../abi/poll.ts';
import { S_IFIFO } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK, INODE_LOCK } from '../../heap/lock_order.ts';
import { wake } from '../../heap/wait_queue.ts';
import { wait_on } from '../../kernel/block.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { current } from '../../kernel/current.ts';
import { hold_file } from '../../kernel/fd_table.ts';
import { Task } from '../../kernel/task.layout.ts';
import { d_alloc_root, dput } from '../../vfs/dcache.ts';
import { register_fifo_open } from '../../vfs/device.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_PATH, FILE_KIND_PIPE, file_alloc, file_put } from '../../vfs/file.ts';
import { INODE_KIND_PIPE, iget, inode_alloc, iput, register_inode_operations } from '../../vfs/inode.ts';
import type { PathRef } from '../../vfs/path_ref.ts';
import { Inode, Mount } from '../../vfs/vfs.layout.ts';
import { Pipe } from './pipe.layout.ts';
import { open_end, pipe_create, pipe_get, pipe_put } from './pipe.ts';

/** Events to wait for on the pipe's queue while an open is pending. */
export const FIFO_OPEN_EVENTS = POLLIN | POLLOUT;

/**
 * Attaches a file of FILE_KIND_PIPE to the FIFO's pipe. 0: open. -EAGAIN: attached, and the open waits on
 * `Pipe.queue` until `fifo_ready`. -ENXIO: a non-blocking writer without a reader; nothing is attached.
 */
export function fifo_open(pipe: Ptr<'Pipe'>, file: Ptr<'File'>): number {
  const mode = File.mode.get(file) & (FMODE_READ | FMODE_WRITE);
  const nonblocking = (File.flags.get(file) & O_NONBLOCK) !== 0;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const partners = mode === FMODE_READ ? Pipe.writers.get(pipe) : Pipe.readers.get(pipe);
  const opens = mode === FMODE_READ ? Pipe.writer_opens.get(pipe) : Pipe.reader_opens.get(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (mode === FMODE_WRITE && nonblocking && partners === 0) return -ENXIO;
  File.mode.set(file, mode | FMODE_STREAM);
  open_end(pipe, file);
  wake(Pipe.queue.at(pipe), READABLE | WRITABLE, Number.MAX_SAFE_INTEGER);
  if (partners > 0 || mode === (FMODE_READ | FMODE_WRITE)) return 0;
  File.scratch.set(file, opens);
  return nonblocking ? 0 : -EAGAIN;
}

/** Whether a pending open is complete; it then behaves like any other end. */
export function fifo_ready(file: Ptr<'File'>): boolean {
  const pipe = File.object.get(file) as Ptr<'Pipe'>;
  const reader = (File.mode.get(file) & FMODE_READ) !== 0;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const opens = reader ? Pipe.writer_opens.get(pipe) : Pipe.reader_opens.get(pipe);
  const ready = opens !== File.scratch.get(file);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return ready;
}

/** The pipe of a FIFO's inode, referenced; made by the first open. 0 when the heap is exhausted. */
function pipe_of(inode: Ptr<'Inode'>): Ptr<'Pipe'> {
  lock(Inode.lock.at(inode), INODE_LOCK);
  let pipe = Inode.endpoint.get(inode) as Ptr<'Pipe'>;
  if (pipe === 0) {
    pipe = pipe_create();
    Inode.endpoint.set(inode, pipe);
  }
  if (pipe !== 0) pipe_get(pipe);
  unlock(Inode.lock.at(inode), INODE_LOCK);
  return pipe;
}

/** Drops the reference of `pipe_of`. */
function drop_pipe(inode: Ptr<'Inode'>, pipe: Ptr<'Pipe'>): void {
  lock(Inode.lock.at(inode), INODE_LOCK);
  if (Pipe.refs.get(pipe) === 1) Inode.endpoint.set(inode, 0);
  pipe_put(pipe);
  unlock(Inode.lock.at(inode), INODE_LOCK);
}

/**
 * Opens a FIFO by its inode. While the open waits, a file of its own stands for the end, and another for the place
 * that was opened; the call holds them (syscall_aux and syscall_phase), and the open that completes takes over. Also
 * RETRY, BLOCKED and -ERESTARTSYS.
 */
function special_fifo_open(inode: Ptr<'Inode'>, file: Ptr<'File'>): number {
  const pipe = pipe_of(inode);
  if (pipe === 0) return -ENOMEM;
  const result = open_or_wait(inode, file, pipe);
  drop_pipe(inode, pipe);
  return result;
}

function open_or_wait(inode: Ptr<'Inode'>, file: Ptr<'File'>, pipe: Ptr<'Pipe'>): number {
  if (Inode.kind.get(inode) === INODE_KIND_PIPE) {
    // A pipe(2) reached through /proc is open at once, whoever is left at its other end (fifo_open, is_pipe).
    File.kind.set(file, FILE_KIND_PIPE);
    File.mode.set(file, File.mode.get(file) | FMODE_STREAM);
    open_end(pipe, file);
    wake(Pipe.queue.at(pipe), READABLE | WRITABLE, Number.MAX_SAFE_INTEGER);
    return 0;
  }
  const pending = Task.syscall_aux.get(current) as Ptr<'File'>;
  if (pending !== 0) {
    if (!fifo_ready(pending)) return wait_on(Pipe.queue.at(pipe), FIFO_OPEN_EVENTS);
    File.kind.set(file, FILE_KIND_PIPE);
    File.mode.set(file, File.mode.get(file) | FMODE_STREAM);
    open_end(pipe, file);
    return 0;
  }
  const flags = File.flags.get(file);
  const probe = file_alloc(FILE_KIND_PIPE, flags);
  if (probe === 0) return -ENOMEM;
  File.kind.set(file, FILE_KIND_PIPE);
  const nonblocking = (flags & O_NONBLOCK) !== 0;
  if (nonblocking || (flags & O_ACCMODE) === O_RDWR || has_partner(pipe, file)) {
    File.kind.set(probe, FILE_KIND_PATH);
    file_put(probe);
    const opened = fifo_open(pipe, file);
    return opened === -EAGAIN ? 0 : opened;
  }
  // A reference: the FIFO may lose its name while the open waits.
  File.inode.set(probe, iget(inode));
  const opened = fifo_open(pipe, probe);
  const held = hold_file(-1, probe) && hold_file(-1, file);
  file_put(probe);
  if (!held) return -ENOMEM;
  Task.syscall_aux.set(current, probe);
  // The call goes on at this place, whatever its path leads to by then: Linux walks it once.
  Task.syscall_phase.set(current, file);
  return opened === 0 ? RETRY : wait_on(Pipe.queue.at(pipe), FIFO_OPEN_EVENTS);
}

/** Whether the other end of a FIFO is open now. */
function has_partner(pipe: Ptr<'Pipe'>, file: Ptr<'File'>): boolean {
  const reader = (File.mode.get(file) & FMODE_READ) !== 0;
  return (reader ? Pipe.writers.get(pipe) : Pipe.readers.get(pipe)) > 0;
}

register_fifo_open(special_fifo_open);

register_inode_operations(INODE_KIND_PIPE, { name: 'pipefs' });

/**
 * Makes a pipe a place that can be opened again (/proc/self/fd/0): a nameless dentry with a FIFO inode, on
 * the mount given. 0 or -ENOMEM.
 */
export function pipe_place(pipe: Ptr<'Pipe'>, mount: Ptr<'Mount'>, out: PathRef): number {
  const sb = Mount.sb.get(mount);
  const inode = inode_alloc(sb, INODE_KIND_PIPE, S_IFIFO | 0o600, pipe);
  if (inode === 0) return -ENOMEM;
  Inode.endpoint.set(inode, pipe);
  const credentials = Task.credentials.get(current);
  if (credentials !== 0) {
    Inode.uid.set(inode, Credentials.fsuid.get(credentials));
    Inode.gid.set(inode, Credentials.fsgid.get(credentials));
  }
  const dentry = d_alloc_root(sb, inode);
  if (dentry === 0) {
    iput(inode);
    return -ENOMEM;
  }
  out.set(mount, dentry);
  dput(dentry);
  return 0;
}
