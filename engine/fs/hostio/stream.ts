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
import { POLLERR, POLLHUP, POLLIN, POLLOUT, READABLE, WRITABLE } from '../../abi/poll.ts';
import type { Ptr } from '../../base/types.ts';
import { MACHINE, MachineHeader, ROOT_HOSTIO } from '../../heap/machine.layout.ts';
import { I32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { register_wake, WAKE_HOST, wait_enrol, wait_leave, wake } from '../../heap/wait_queue.ts';
import { File } from '../../vfs/file.layout.ts';
import { file_put } from '../../vfs/file.ts';
import { Pipe } from '../anon/pipe.layout.ts';
import { pipe_ends, pipe_open, pipe_put } from '../anon/pipe.ts';
import { pipe_hold_end, pipe_push, pipe_take } from '../anon/pipe_bytes.ts';
import { pipe_resize } from '../anon/pipe_size.ts';
import { HOST_INPUT, HOST_OUTPUT, HostIo, HostStream } from './hostio.layout.ts';

/** Bytes a stream holds: enough that the host's event loop is not the pace of a long transfer. */
const STREAM_BYTES = 1 << 20;

const roots = slab(HostIo);
export const host_streams = slab(HostStream);

/** The machine's HostIo, made on first use. */
export function host_io(): Ptr<'HostIo'> {
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

/** The bell's index in I32, for those who wait on it. */
export function bell_word(): number {
  return HostIo.bell.index(host_io());
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

/** Makes the host's end of a pipe: `direction` HOST_INPUT writes to it, HOST_OUTPUT reads it. 0: no memory. */
export function host_stream_attach(pipe: Ptr<'Pipe'>, direction: number): Ptr<'HostStream'> {
  if (host_io() === 0) return 0 as Ptr<'HostStream'>;
  const stream = host_streams.alloc();
  if (stream === 0) return stream;
  const entry = wait_enrol(Pipe.queue.at(pipe), stream, WAKE_HOST, POLLIN | POLLOUT | POLLERR | POLLHUP, false);
  if (entry === 0) {
    host_streams.free(stream);
    return 0 as Ptr<'HostStream'>;
  }
  HostStream.pipe.set(stream, pipe);
  HostStream.direction.set(stream, direction);
  HostStream.entry.set(stream, entry);
  pipe_resize(pipe, STREAM_BYTES, true);
  pipe_hold_end(pipe, direction === HOST_OUTPUT, 1);
  return stream;
}

/**
 * Makes a stream; the guest's end is left in `host_stream_made.file`. 0 when memory is exhausted.
 * `direction` is HOST_INPUT or HOST_OUTPUT.
 */
export function host_stream_create(direction: number): Ptr<'HostStream'> {
  if (pipe_open(0) < 0) return 0 as Ptr<'HostStream'>;
  const { read, write } = pipe_ends;
  const stream = host_stream_attach(File.object.get(read) as Ptr<'Pipe'>, direction);
  // The host's end has a count of its own: its file goes.
  file_put(direction === HOST_INPUT ? write : read);
  const file = direction === HOST_INPUT ? read : write;
  if (stream === 0) file_put(file);
  host_stream_made.file = file;
  return stream;
}

/** Gives the guest bytes of `source` from `from` on: how many fitted, or -EPIPE when no guest reads any more. */
export function host_push(stream: Ptr<'HostStream'>, source: Uint8Array, from = 0): number {
  return pipe_push(HostStream.pipe.get(stream), source, from);
}

/** Takes what the guest wrote, up to `target.length` bytes: 0 when there is nothing now, -1 at the end. */
export function host_take(stream: Ptr<'HostStream'>, target: Uint8Array): number {
  return pipe_take(HostStream.pipe.get(stream), target);
}

/** Closes the host's end: the guest reads EOF, or writes into EPIPE. The record is freed. */
export function host_close(stream: Ptr<'HostStream'>): void {
  const pipe = HostStream.pipe.get(stream);
  wait_leave(HostStream.entry.get(stream));
  pipe_hold_end(pipe, HostStream.direction.get(stream) === HOST_OUTPUT, -1);
  wake(Pipe.queue.at(pipe), READABLE | WRITABLE | POLLERR | POLLHUP, Number.MAX_SAFE_INTEGER);
  pipe_put(pipe);
  host_streams.free(stream);
}
