import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EPIPE } from '../../../../engine/abi/errno.ts';
import { pipe_slab } from '../../../../engine/fs/anon/pipe.ts';
import { HOST_INPUT, HOST_OUTPUT } from '../../../../engine/fs/hostio/hostio.layout.ts';
import {
  bell_count,
  bell_rung,
  host_close,
  host_push,
  host_stream_create,
  host_stream_made,
  host_streams,
  host_take,
} from '../../../../engine/fs/hostio/stream.ts';
import { U8 } from '../../../../engine/heap/memory.ts';
import { wait_entries } from '../../../../engine/heap/wait_queue.ts';
import { file_operations, file_put, file_slab } from '../../../../engine/vfs/file.ts';
import { buffer, cursor, cursor_of } from '../../../support/buffer.ts';
import { test_memory } from '../../../support/memory.ts';

test('input reaches the guest in order and ends', () => {
  test_memory();
  const at = buffer(4);
  const stream = host_stream_create(HOST_INPUT);
  const file = host_stream_made.file;
  const { read } = file_operations(file);
  assert.is(read(file, cursor(at, 10), -1), -EAGAIN);
  assert.is(host_push(stream, Uint8Array.of(1, 2, 3, 4), 1), 3);
  assert.is(read(file, cursor(at, 10), -1), 3);
  assert.equal([...U8.slice(at, at + 3)], [2, 3, 4]);
  const big = new Uint8Array(3 << 20).fill(7);
  assert.is(host_push(stream, big), 1 << 20);
  assert.is(host_push(stream, big, 1 << 20), 0);
  const before = bell_count();
  assert.is(read(file, cursor(at, 16384), -1), 16384);
  assert.not.equal(bell_count(), before);
  assert.is(host_push(stream, big, 1 << 20), 16384);
  host_close(stream);
  let total = 0;
  for (let n = 1; n > 0; total += n) n = read(file, cursor(at, 16384), -1);
  assert.is(total, 1 << 20);
  file_put(file);
  assert.is(pipe_slab.live() + host_streams.live() + wait_entries.live() + file_slab.live(), 0);
});

test('output reaches the host, which sees the end; a host that leaves breaks the pipe', () => {
  test_memory();
  const at = buffer();
  const stream = host_stream_create(HOST_OUTPUT);
  const file = host_stream_made.file;
  const target = new Uint8Array(8);
  assert.is(host_take(stream, target), 0);
  assert.is(file_operations(file).write(file, cursor_of(at, [5, 6, 7]), -1), 3);
  assert.is(host_take(stream, target.subarray(0, 2)), 2);
  assert.is(host_take(stream, target.subarray(2)), 1);
  assert.equal([...target.subarray(0, 3)], [5, 6, 7]);
  file_put(file);
  assert.is(host_take(stream, target), -1);
  host_close(stream);
  const other = host_stream_create(HOST_OUTPUT);
  const broken = host_stream_made.file;
  host_close(other);
  assert.is(file_operations(broken).write(broken, cursor(at, 1), -1), -EPIPE);
  file_put(broken);
  assert.is(pipe_slab.live() + host_streams.live() + wait_entries.live() + file_slab.live(), 0);
});

test('the bell wakes a waiting event loop', async () => {
  test_memory();
  const at = buffer();
  const stream = host_stream_create(HOST_OUTPUT);
  const file = host_stream_made.file;
  const seen = bell_count();
  setTimeout(() => file_operations(file).write(file, cursor(at, 1), -1), 5);
  await bell_rung(seen);
  assert.is(host_take(stream, new Uint8Array(4)), 1);
  await bell_rung(seen);
});

test.run();
