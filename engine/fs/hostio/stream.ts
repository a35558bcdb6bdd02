/**
 * Host streams: standard input, output and error of a program that the host started, as pipes with one
 * end in the host. The guest's side is an ordinary pipe: blocking, poll, EOF and EPIPE are those of
 * pipes. The host's side runs on the host's thread and never blocks:
 *
 *   input    host_push (how much fitted), host_close when its source has ended: the guest reads EOF
 *   output   host_take (what there is), host_close when its sink is gone: the guest gets EPIPE
 *
 * A change made by the guest rings the machine's bell; `bell_rung` resolves when it has rung since a
 * reading of `bell_count`. Read the count, serve all streams until nothing moves, then wait: no ring is
 * lost and nothing polls.
 */
import { EPIPE } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, READABLE, WRITABLE } from '../../abi/poll.ts';
import { PAGE_SIZE, type Ptr } from '../../base/types.ts';
import { lock, unlock } from '../../heap/lock.ts';
import { ANON_LOCK } from '../../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_HOSTIO } from '../../heap/machine.layout.ts';
import { I32, U8, U32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { register_wake, WAKE_HOST, wait_enrol, wait_leave, wake } from '../../heap/wait_queue.ts';
import { frame_alloc_uninitialized } from '../../machine/frames.ts';
import { File } from '../../vfs/file.layout.ts';
import { file_put } from '../../vfs/file.ts';
import { Pipe } from '../anon/pipe.layout.ts';
import { free_bytes, PIPE_BUF, page_slot, pipe_ends, pipe_open, pipe_put, used_bytes } from '../anon/pipe.ts';
import { pipe_resize } from '../anon/pipe_size.ts';
import { HOST_INPUT, HOST_OUTPUT, HostIo, HostStream } from './hostio.layout.ts';

/** Bytes a stream holds: enough that the host's event loop is not the pace of a long transfer. */
const STREAM_BYTES = 1 << 20;

const roots = slab(HostIo);
export const host_streams = slab(HostStream);

/** The machine's HostIo, made on first use. */
function host_io(): Ptr<'HostIo'> {
  const slot = (MachineHeader.roots.at(MACHINE) >> 2) + ROOT_HOSTIO;
  const root = Atomics.load(I32, slot) as Ptr<'HostIo'>;
  if (root !== 0) return root;
  const fresh = roots.alloc();
  if (fresh === 0) return fresh;
  const winner = Atomics.compareExchange(I32, slot, 0, fresh) as Ptr<'HostIo'>;
  if (winner === 0) return fresh;
  roots.free(fresh);
  return winner;
}

/** Tells the host that something changed. */
export function ring_bell(): void {
  const root = host_io();
  HostIo.bell.add(root, 1);
  Atomics.notify(I32, HostIo.bell.index(root));
}

register_wake(WAKE_HOST, () => {
  ring_bell();
  return false;
});

/** How often the bell has rung (modulo 2^32). */
export function bell_count(): number {
  return HostIo.bell.load(host_io());
}

/** What Atomics.waitAsync answers; the library of the language version we compile for lacks it. */
interface AsyncWait {
  waitAsync(
    array: Int32Array,
    index: number,
    value: number,
  ): { async: false; value: 'not-equal' | 'timed-out' } | { async: true; value: Promise<'ok' | 'timed-out'> };
}

/** Resolves once `bell_count` is no longer `seen`. */
export async function bell_rung(seen: number): Promise<void> {
  const wait = (Atomics as unknown as AsyncWait).waitAsync(I32, HostIo.bell.index(host_io()), seen);
  if (wait.async) await wait.value;
}

/** The guest's file of the stream made last. */
export const host_stream_made = { file: 0 as Ptr<'File'> };

/**
 * Makes a stream; the guest's end is left in `host_stream_made.file`. 0 when memory is exhausted.
 * `direction` is HOST_INPUT or HOST_OUTPUT.
 */
export function host_stream_create(direction: number): Ptr<'HostStream'> {
  const stream = host_streams.alloc();
  if (stream === 0) return stream;
  if (host_io() === 0 || pipe_open(0) < 0) {
    host_streams.free(stream);
    return 0 as Ptr<'HostStream'>;
  }
  const pipe = File.object.get(pipe_ends.read) as Ptr<'Pipe'>;
  pipe_resize(pipe, STREAM_BYTES, true);
  const entry = wait_enrol(Pipe.queue.at(pipe), stream, WAKE_HOST, POLLIN | POLLOUT | POLLERR | POLLHUP, false);
  if (entry === 0) {
    file_put(pipe_ends.read);
    file_put(pipe_ends.write);
    host_streams.free(stream);
    return 0 as Ptr<'HostStream'>;
  }
  HostStream.pipe.set(stream, pipe);
  HostStream.direction.set(stream, direction);
  HostStream.entry.set(stream, entry);
  // The host keeps its end's count and the pipe alive without a file: the file goes, the count stays.
  keep_host_end(pipe, direction);
  file_put(direction === HOST_INPUT ? pipe_ends.write : pipe_ends.read);
  host_stream_made.file = direction === HOST_INPUT ? pipe_ends.read : pipe_ends.write;
  return stream;
}

function keep_host_end(pipe: Ptr<'Pipe'>, direction: number): void {
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  Pipe.refs.set(pipe, Pipe.refs.get(pipe) + 1);
  if (direction === HOST_INPUT) Pipe.writers.set(pipe, Pipe.writers.get(pipe) + 1);
  else Pipe.readers.set(pipe, Pipe.readers.get(pipe) + 1);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
}

/** Gives the guest bytes of `source` from `from` on: how many fitted, or -EPIPE when no guest reads any more. */
export function host_push(stream: Ptr<'HostStream'>, source: Uint8Array, from = 0): number {
  const pipe = HostStream.pipe.get(stream);
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const open = Pipe.readers.get(pipe) > 0;
  let left = open ? Math.min(source.length - from, free_bytes(pipe)) : 0;
  let position = Pipe.tail.get(pipe);
  const start = position;
  while (left > 0) {
    const slot = page_slot(pipe, position);
    let page = U32[slot] as number;
    if (page === 0) {
      page = frame_alloc_uninitialized();
      if (page === 0) break;
      U32[slot] = page;
    }
    const offset = position % PAGE_SIZE;
    const n = Math.min(left, PAGE_SIZE - offset);
    const at = from + position - start;
    U8.set(source.subarray(at, at + n), page + offset);
    position += n;
    left -= n;
  }
  Pipe.tail.set(pipe, position);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (position > start) wake(Pipe.queue.at(pipe), READABLE);
  return open ? position - start : -EPIPE;
}

/** Takes what the guest wrote, up to `target.length` bytes: 0 when there is nothing now, -1 at the end. */
export function host_take(stream: Ptr<'HostStream'>, target: Uint8Array): number {
  const pipe = HostStream.pipe.get(stream);
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  const room = free_bytes(pipe);
  const total = Math.min(target.length, used_bytes(pipe));
  let position = Pipe.head.get(pipe);
  for (let done = 0; done < total; ) {
    const offset = position % PAGE_SIZE;
    const n = Math.min(total - done, PAGE_SIZE - offset);
    const page = (U32[page_slot(pipe, position)] as number) + offset;
    target.set(U8.subarray(page, page + n), done);
    position += n;
    done += n;
  }
  const emptied = position === Pipe.tail.get(pipe);
  Pipe.head.set(pipe, emptied ? 0 : position);
  if (emptied) Pipe.tail.set(pipe, 0);
  const ended = total === 0 && Pipe.writers.get(pipe) === 0;
  const crossed = room < PIPE_BUF && free_bytes(pipe) >= PIPE_BUF;
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  if (crossed) wake(Pipe.queue.at(pipe), WRITABLE, Number.MAX_SAFE_INTEGER);
  return ended ? -1 : total;
}

/** Closes the host's end: the guest reads EOF, or writes into EPIPE. The record is freed. */
export function host_close(stream: Ptr<'HostStream'>): void {
  const pipe = HostStream.pipe.get(stream);
  const output = HostStream.direction.get(stream) === HOST_OUTPUT;
  wait_leave(HostStream.entry.get(stream));
  lock(Pipe.lock.at(pipe), ANON_LOCK);
  if (output) Pipe.readers.set(pipe, Pipe.readers.get(pipe) - 1);
  else Pipe.writers.set(pipe, Pipe.writers.get(pipe) - 1);
  unlock(Pipe.lock.at(pipe), ANON_LOCK);
  wake(Pipe.queue.at(pipe), READABLE | WRITABLE | POLLERR | POLLHUP, Number.MAX_SAFE_INTEGER);
  pipe_put(pipe);
  host_streams.free(stream);
}
