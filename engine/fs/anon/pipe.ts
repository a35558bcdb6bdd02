// @hot
/**
 * Pipes and FIFOs (pipe(7)). Data goes straight between the pinned pages of the user and the pages of
 * the ring (pipe_ring.ts), under the pipe's lock.
 *
 * Writers are told when a full pipe has a free page again, so that a writer does not run for every byte
 * read; readers whenever bytes arrive (edge-triggered watchers count each arrival).
 *
 * Lock order: pipe (ANON_LOCK), then wait_queue or frames.
 */
import { EAGAIN, EFAULT, ENOMEM, ENOTTY, EPIPE, ESPIPE } from '../../abi/errno.ts';
import { FMODE_READ, FMODE_WRITE, O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../abi/fcntl.ts';
import { FIONREAD } from '../../abi/ioctl.ts';
import { POLLERR, POLLHUP, READABLE, WRITABLE } from '../../abi/poll.ts';
import { type FrameAddr, PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { heap_page_free } from '../../heap/heap_pages.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK, INODE_LOCK } from '../../heap/lock_order.ts';
import { U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { wake } from '../../heap/wait_queue.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { current } from '../../kernel/current.ts';
import { Task } from '../../kernel/task.layout.ts';
import { frame_put } from '../../machine/frames.ts';
import type { IoCursor } from '../../machine/io.ts';
import { put_user_u32 } from '../../mm/uaccess.ts';
import { File } from '../../vfs/file.layout.ts';
import { anon_file, FILE_KIND_PIPE, file_put, register_file_operations } from '../../vfs/file.ts';
import { iput } from '../../vfs/inode.ts';
import { Inode } from '../../vfs/vfs.layout.ts';
import { PIPE_DEFAULT_PAGES, Pipe } from './pipe.layout.ts';
import {
  ring_append,
  ring_consume,
  ring_copy,
  ring_full,
  ring_pieces,
  ring_put,
  ring_take_packet,
  ring_whole_slots,
  slot_page,
  tail_room,
} from './pipe_ring.ts';

export const pipe_slab = slab(Pipe);

/** An empty pipe with no ends open and no reference, or 0 when the heap is exhausted. */
export function pipe_create(): Ptr<'Pipe'> {
  const pipe = pipe_slab.alloc();
  if (pipe !== 0) Pipe.page_count.set(pipe, PIPE_DEFAULT_PAGES);
  return pipe;
}

/** Opens an end: counts it by the access mode of `flags` and binds the file to the pipe. */
export function open_end(pipe: Ptr<'Pipe'>, file: Ptr<'File'>): void {
  const mode = File.mode.get(file);
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  Pipe.refs.set(pipe, Pipe.refs.get(pipe) + 1);
  if ((mode & FMODE_READ) !== 0) {
    Pipe.readers.set(pipe, Pipe.readers.get(pipe) + 1);
    Pipe.reader_opens.set(pipe, (Pipe.reader_opens.get(pipe) + 1) >>> 0);
  }
  if ((mode & FMODE_WRITE) !== 0) {
    Pipe.writers.set(pipe, Pipe.writers.get(pipe) + 1);
    Pipe.writer_opens.set(pipe, (Pipe.writer_opens.get(pipe) + 1) >>> 0);
  }
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  File.object.set(file, pipe);
}

/** The two files of pipe(2), in `pipe_ends`, or -ENOMEM. `flags` may have O_NONBLOCK and O_DIRECT. */
export const pipe_ends = { read: 0 as Ptr<'File'>, write: 0 as Ptr<'File'> };

/** Makes a pipe and both its files, left in `pipe_ends`: 0 or -ENOMEM. */
export function pipe_open(flags: number): number {
  const pipe = pipe_create();
  if (pipe === 0) return -ENOMEM;
  const credentials = current === 0 ? 0 : Task.credentials.get(current);
  if (credentials !== 0) {
    Pipe.uid.set(pipe, Credentials.fsuid.get(credentials));
    Pipe.gid.set(pipe, Credentials.fsgid.get(credentials));
  }
  const reader = anon_file(FILE_KIND_PIPE, pipe, O_RDONLY | (flags & O_NONBLOCK));
  if (reader === 0) {
    pipe_slab.free(pipe);
    return -ENOMEM;
  }
  open_end(pipe, reader);
  const writer = anon_file(FILE_KIND_PIPE, pipe, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)));
  if (writer === 0) {
    file_put(reader);
    return -ENOMEM;
  }
  open_end(pipe, writer);
  pipe_ends.read = reader;
  pipe_ends.write = writer;
  return 0;
}

/** Bytes waiting to be read. */
export function pipe_used(pipe: Ptr<'Pipe'>): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const used = Pipe.used.get(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return used;
}

/** Reads what is there: bytes, 0 when no writer is left, -EAGAIN. `consume` false leaves them (tee). */
export function pipe_read(pipe: Ptr<'Pipe'>, io: IoCursor, consume = true): number {
  if (io.wanted() === 0) return 0;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const full = ring_full(pipe);
  let n = 0;
  if (Pipe.claimed.get(pipe) !== 0) n = 0;
  else if (io.missing > 0) n = read_accessible(pipe, io);
  else if (consume && Pipe.packet_count.get(pipe) !== 0) n = ring_take_packet(pipe, io);
  else {
    n = ring_copy(pipe, io);
    if (consume && n > 0) ring_consume(pipe, n);
  }
  const ended = n === 0 && Pipe.used.get(pipe) === 0 && Pipe.writers.get(pipe) === 0;
  const freed = full && !ring_full(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (freed) wake(Pipe.queue.at(pipe), WRITABLE, Number.MAX_SAFE_INTEGER);
  return n === 0 && !ended ? -EAGAIN : n;
}

/** Reads whole pages of the ring while the memory for them can be accessed: bytes, 0, or -EFAULT for the first. */
function read_accessible(pipe: Ptr<'Pipe'>, io: IoCursor): number {
  if (Pipe.packet_count.get(pipe) !== 0) return -EFAULT;
  const n = ring_whole_slots(pipe, io.wanted(), io.remaining);
  if (n === 0) return Pipe.used.get(pipe) === 0 ? 0 : -EFAULT;
  ring_copy(pipe, io, n);
  ring_consume(pipe, n);
  return n;
}

/**
 * Copies what is there without consuming it, and keeps other readers away until `pipe_settle`, which follows before
 * the caller blocks: bytes, 0 when no writer is left, -EAGAIN; only for bytes there is something to settle.
 */
export function pipe_claim(pipe: Ptr<'Pipe'>, io: IoCursor): number {
  if (io.remaining === 0) return 0;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const n = Pipe.claimed.get(pipe) !== 0 ? 0 : ring_copy(pipe, io);
  const ended = Pipe.used.get(pipe) === 0 && Pipe.writers.get(pipe) === 0;
  if (n > 0) Pipe.claimed.set(pipe, 1);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return n === 0 && !ended ? -EAGAIN : n;
}

/** Ends a claim: the first `length` of its bytes are consumed. */
export function pipe_settle(pipe: Ptr<'Pipe'>, length: number): void {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  Pipe.claimed.set(pipe, 0);
  const full = ring_full(pipe);
  ring_consume(pipe, length);
  const freed = full && !ring_full(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (freed) wake(Pipe.queue.at(pipe), WRITABLE, Number.MAX_SAFE_INTEGER);
  // Those who were kept away look again.
  wake(Pipe.queue.at(pipe), READABLE);
}

/** Writes what fits, in packets if so asked: bytes, -EPIPE when no reader is left, -EAGAIN, -ENOMEM. */
export function pipe_write(pipe: Ptr<'Pipe'>, io: IoCursor, packet = false): number {
  if (io.wanted() === 0) return 0;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  let n = -EPIPE;
  if (Pipe.readers.get(pipe) !== 0) {
    if (io.missing > 0) leave_accessible(pipe, io);
    const { remaining, missing } = io;
    n = ring_put(pipe, io, packet);
    if (n === 0 && (remaining > 0 || ring_full(pipe))) n = ring_full(pipe) ? -EAGAIN : -ENOMEM;
    else if (n === 0 && missing > 0) n = -EFAULT;
  }
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (n > 0) wake(Pipe.queue.at(pipe), READABLE);
  return n;
}

/**
 * Takes the bytes of splice(2) and its kin, each piece of a page in a page of its own (Linux's add_to_pipe): bytes, or as
 * `pipe_write`. `packet`: each page is one. `sealed`: later writes add nothing to the last.
 */
export function pipe_append(pipe: Ptr<'Pipe'>, io: IoCursor, packet: boolean, sealed: boolean): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  let n = -EPIPE;
  if (Pipe.readers.get(pipe) !== 0) {
    n = ring_append(pipe, io, packet);
    if (n > 0) Pipe.sealed.set(pipe, sealed ? 1 : 0);
    else n = ring_full(pipe) ? -EAGAIN : io.missing > 0 ? -EFAULT : -ENOMEM;
  }
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (n > 0) wake(Pipe.queue.at(pipe), READABLE);
  return n;
}

/** Pages in use. */
export function pipe_pages(pipe: Ptr<'Pipe'>): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const slots = Pipe.slots.get(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return slots;
}

/** Pages that can still be taken into use. */
export function pipe_free_pages(pipe: Ptr<'Pipe'>): number {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const free = Pipe.page_count.get(pipe) - Pipe.slots.get(pipe);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return free;
}

/**
 * How many bytes the pages in use hold, from the first on: up to `most` of them, and `wanted` bytes. Answers whether bytes
 * can be added to the last of those pages, were it the last in use.
 */
export function pipe_pieces(pipe: Ptr<'Pipe'>, pieces: number[], most: number, wanted: number): boolean {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const grows = ring_pieces(pipe, pieces, most, wanted);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return grows;
}

/** Cuts a write to the whole pages of the ring that can be filled from memory that can be accessed. */
function leave_accessible(pipe: Ptr<'Pipe'>, io: IoCursor): void {
  const odd = (io.wanted() + io.following) % PAGE_SIZE;
  const merged = odd <= tail_room(pipe) ? odd : 0;
  const left = io.remaining - merged;
  const usable = left < 0 ? 0 : merged + left - (left % PAGE_SIZE);
  io.following += io.wanted() - usable;
  io.remaining = usable;
  io.missing = 1;
}

/** Events as pipe_poll: hang-up for readers without writers, error for writers without readers. */
function poll(file: Ptr<'File'>): number {
  const pipe = File.object.get(file) as Ptr<'Pipe'>;
  const mode = File.mode.get(file);
  let events = 0;
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  if ((mode & FMODE_READ) !== 0) {
    if (Pipe.used.get(pipe) > 0) events |= READABLE;
    // A FIFO that no writer has opened since this reader came is not hung up (fifo(7)).
    if (Pipe.writers.get(pipe) === 0 && File.scratch.get(file) !== Pipe.writer_opens.get(pipe)) events |= POLLHUP;
  }
  if ((mode & FMODE_WRITE) !== 0) {
    if (!ring_full(pipe)) events |= WRITABLE;
    if (Pipe.readers.get(pipe) === 0) events |= POLLERR;
  }
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return events;
}

/** An end closes: the others learn of it, and the last one frees the pipe. */
function release(file: Ptr<'File'>): void {
  const pipe = File.object.get(file) as Ptr<'Pipe'>;
  const mode = File.mode.get(file);
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  if ((mode & FMODE_READ) !== 0) Pipe.readers.set(pipe, Pipe.readers.get(pipe) - 1);
  if ((mode & FMODE_WRITE) !== 0) Pipe.writers.set(pipe, Pipe.writers.get(pipe) - 1);
  const hung_up = (Pipe.readers.get(pipe) === 0) !== (Pipe.writers.get(pipe) === 0);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (hung_up) wake(Pipe.queue.at(pipe), READABLE | WRITABLE | POLLERR | POLLHUP, Number.MAX_SAFE_INTEGER);
  const inode = File.inode.get(file);
  if (inode === 0 || Inode.endpoint.get(inode) !== pipe) pipe_put(pipe);
  else put_fifo(inode, pipe);
  // The end of an open that waited has no dentry to keep its inode.
  if (inode !== 0 && File.dentry.get(file) === 0) iput(inode);
}

/** The last file of a FIFO takes the pipe, and what is in it, with it; the inode forgets it. */
function put_fifo(inode: Ptr<'Inode'>, pipe: Ptr<'Pipe'>): void {
  lock(Inode.lock.at(inode), INODE_LOCK);
  if (Pipe.refs.get(pipe) === 1) Inode.endpoint.set(inode, 0);
  pipe_put(pipe);
  unlock(Inode.lock.at(inode), INODE_LOCK);
}

/** One more holder of the pipe. */
export function pipe_get(pipe: Ptr<'Pipe'>): Ptr<'Pipe'> {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  Pipe.refs.set(pipe, Pipe.refs.get(pipe) + 1);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  return pipe;
}

/** A holder goes; the last one frees the pipe and its pages. */
export function pipe_put(pipe: Ptr<'Pipe'>): void {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const left = Pipe.refs.get(pipe) - 1;
  Pipe.refs.set(pipe, left);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (left > 0) return;
  const inode = Pipe.inode.load(pipe) as Ptr<'Inode'>;
  if (inode !== 0) iput(inode);
  const far = Pipe.far_pages.get(pipe);
  const slots = (far === 0 ? Pipe.pages.at(pipe) : far) >>> 2;
  const count = Pipe.page_count.get(pipe);
  for (let i = 0; i < count; i++) {
    const page = slot_page(U32[slots + i] as number);
    if (page !== 0) frame_put(page as FrameAddr);
  }
  if (far !== 0) heap_page_free(far);
  pipe_slab.free(pipe);
}

/** FIONREAD: bytes waiting. */
function ioctl(file: Ptr<'File'>, command: number, argument: number): number {
  if (command !== FIONREAD) return -ENOTTY;
  return put_user_u32(argument, pipe_used(File.object.get(file) as Ptr<'Pipe'>));
}

register_file_operations(FILE_KIND_PIPE, {
  name: 'pipe',
  read: (file, io) => pipe_read(File.object.get(file) as Ptr<'Pipe'>, io),
  write: (file, io) => pipe_write(File.object.get(file) as Ptr<'Pipe'>, io, (File.flags.get(file) & O_DIRECT) !== 0),
  poll,
  queue: (file) => Pipe.queue.at(File.object.get(file) as Ptr<'Pipe'>),
  seek: () => -ESPIPE,
  ioctl,
  release,
});
