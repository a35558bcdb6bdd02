import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EBUSY, ENXIO, EPERM, EPIPE } from '../../../../engine/abi/errno.ts';
import { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../../../engine/abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../../../engine/abi/poll.ts';
import type { Ptr } from '../../../../engine/base/types.ts';
import { fifo_open, fifo_ready } from '../../../../engine/fs/anon/fifo.ts';
import { Pipe } from '../../../../engine/fs/anon/pipe.layout.ts';
import {
  pipe_create,
  pipe_ends,
  pipe_get,
  pipe_open,
  pipe_put,
  pipe_read,
  pipe_slab,
  pipe_used,
  pipe_write,
} from '../../../../engine/fs/anon/pipe.ts';
import { pipe_capacity, pipe_resize } from '../../../../engine/fs/anon/pipe_size.ts';
import { U8 } from '../../../../engine/heap/memory.ts';
import { File } from '../../../../engine/vfs/file.layout.ts';
import { FILE_KIND_PIPE, file_alloc, file_operations, file_put, file_slab } from '../../../../engine/vfs/file.ts';
import { buffer, cursor, cursor_of } from '../../../support/buffer.ts';
import { test_memory } from '../../../support/memory.ts';
import { for_seeds } from '../../../support/seeds.ts';

const BUFFER_PAGES = 80;
let at = 0;

function setup(): { read: Ptr<'File'>; write: Ptr<'File'>; pipe: Ptr<'Pipe'> } {
  test_memory();
  at = buffer(BUFFER_PAGES);
  assert.is(pipe_open(0), 0);
  return { read: pipe_ends.read, write: pipe_ends.write, pipe: File.object.get(pipe_ends.read) as Ptr<'Pipe'> };
}

function events(file: Ptr<'File'>): number {
  return file_operations(file).poll(file) & (POLLIN | POLLOUT | POLLERR | POLLHUP);
}

test('bytes come out in order, and ends announce their state', () => {
  const { read, write, pipe } = setup();
  assert.is(events(read), 0);
  assert.is(events(write), POLLOUT);
  assert.is(pipe_read(pipe, cursor(at, 10)), -EAGAIN);
  assert.is(pipe_write(pipe, cursor_of(at, [1, 2, 3])), 3);
  assert.is(events(read), POLLIN);
  assert.is(pipe_read(pipe, cursor(at + 8, 2)), 2);
  assert.is(pipe_read(pipe, cursor(at + 10, 2)), 1);
  assert.equal([...U8.slice(at + 8, at + 11)], [1, 2, 3]);
  file_put(read);
  assert.is(events(write), POLLOUT | POLLERR);
  assert.is(pipe_write(pipe, cursor(at, 1)), -EPIPE);
  file_put(write);
  assert.is(pipe_slab.live(), 0);
  assert.is(file_slab.live(), 0);
});

test('the end of the writers is the end of the file, after the data', () => {
  const { read, write, pipe } = setup();
  pipe_write(pipe, cursor_of(at, [7]));
  file_put(write);
  assert.is(events(read), POLLIN | POLLHUP);
  assert.is(pipe_read(pipe, cursor(at, 9)), 1);
  assert.is(pipe_read(pipe, cursor(at, 9)), 0);
  assert.is(events(read), POLLHUP);
  file_put(read);
});

test('writes of up to PIPE_BUF bytes are all or nothing', () => {
  const { write, pipe } = setup();
  assert.is(pipe_write(pipe, cursor(at, 65536 - 100)), 65436);
  assert.is(pipe_write(pipe, cursor(at, 4096)), -EAGAIN);
  assert.is(events(write), 0);
  assert.is(pipe_write(pipe, cursor(at, 100)), 100);
  assert.is(pipe_write(pipe, cursor(at, 1)), -EAGAIN);
  assert.is(pipe_read(pipe, cursor(at, 5000)), 5000);
  assert.is(pipe_write(pipe, cursor(at, 8192)), 5000);
});

test('a pipe behaves as a bounded queue of bytes', () => {
  for_seeds(5, (random) => {
    const { read, write, pipe } = setup();
    let model: number[] = [];
    let capacity = 65536;
    let next = 0;
    for (let step = 0; step < 150; step++) {
      const length = random.pick([1, 2, 100, 4095, 4096, 4097, 9000, 70000, random.below(20000) + 1]);
      const piece = random.pick([4096, 1000, 333]);
      const choice = random.below(20);
      if (choice < 10) {
        const bytes = Array.from({ length }, () => (next = (next + 7) & 0xff));
        const room = capacity - model.length;
        const expected = room === 0 || (length <= 4096 && room < length) ? -EAGAIN : Math.min(room, length);
        // A bigger piece count than the cursor holds is cut by the caller, so keep pieces large then.
        const io = cursor_of(at, bytes, length > 20000 ? 4096 : piece);
        assert.is(pipe_write(pipe, io), expected);
        if (expected > 0) model = model.concat(bytes.slice(0, expected));
        next = model.at(-1) ?? 0;
      } else if (choice < 18) {
        const consume = choice !== 17;
        const n = pipe_read(pipe, cursor(at, length, length > 20000 ? 4096 : piece), consume);
        assert.is(n, model.length === 0 ? -EAGAIN : Math.min(length, model.length));
        if (n > 0) {
          assert.ok(Buffer.from(U8.slice(at, at + n)).equals(Buffer.from(model.slice(0, n))), `bytes at step ${step}`);
          if (consume) model = model.slice(n);
        }
      } else {
        const size = random.pick([1, 4096, 10000, 65536, 100000, 1 << 20]);
        const result = pipe_resize(pipe, size, false);
        if (result === -EBUSY) assert.ok(model.length + 4096 > size);
        else {
          assert.ok(result >= size);
          assert.is(pipe_capacity(pipe), result);
          capacity = result;
        }
      }
      assert.is(pipe_used(pipe), model.length);
      assert.is(events(read), model.length > 0 ? POLLIN : 0);
      assert.is(events(write), capacity - model.length >= 4096 ? POLLOUT : 0);
    }
    file_put(read);
    file_put(write);
    assert.is(pipe_slab.live(), 0);
  });
});

test('the capacity has a limit for the unprivileged', () => {
  const { pipe } = setup();
  assert.is(pipe_resize(pipe, (1 << 20) + 1, false), -EPERM);
  assert.is(pipe_resize(pipe, 5000, false), 8192);
});

test('opening a FIFO waits for the other end', () => {
  test_memory();
  const pipe = pipe_get(pipe_create());
  const early = file_alloc(FILE_KIND_PIPE, O_WRONLY | O_NONBLOCK);
  assert.is(fifo_open(pipe, early), -ENXIO);
  const reader = file_alloc(FILE_KIND_PIPE, O_RDONLY);
  assert.is(fifo_open(pipe, reader), -EAGAIN);
  assert.not(fifo_ready(reader));
  assert.is(fifo_open(pipe, early), 0);
  assert.ok(fifo_ready(reader));
  file_put(early);
  // The writer has come and gone: the open still completes, and then meets the end of the file.
  assert.ok(fifo_ready(reader));
  assert.is(file_operations(reader).poll(reader) & POLLHUP, POLLHUP);
  const both = file_alloc(FILE_KIND_PIPE, O_RDWR);
  assert.is(fifo_open(pipe, both), 0);
  file_put(both);
  file_put(reader);
  const polite = file_alloc(FILE_KIND_PIPE, O_RDONLY | O_NONBLOCK);
  assert.is(fifo_open(pipe, polite), 0);
  assert.is(file_operations(polite).poll(polite), 0);
  file_put(polite);
  assert.is(Pipe.refs.get(pipe), 1);
  pipe_put(pipe);
  assert.is(pipe_slab.live(), 0);
  assert.is(file_slab.live(), 0);
});

test.run();
