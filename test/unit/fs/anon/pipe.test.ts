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
  // A page of which a part was read has no room at its front.
  assert.is(pipe_read(pipe, cursor(at, 5000)), 5000);
  assert.is(pipe_write(pipe, cursor(at, 8192)), 4096);
});

/** What Linux's ring holds: bytes, and where those of each page end and begin. */
class Model {
  bytes: number[] = [];
  pages: { begin: number; end: number }[] = [];
  capacity = 16;

  write(bytes: readonly number[]): number {
    const odd = bytes.length % 4096;
    const last = this.pages.at(-1);
    let done = 0;
    if (odd !== 0 && last !== undefined && last.end + odd <= 4096) {
      last.end += odd;
      done = odd;
    }
    while (done < bytes.length && this.pages.length < this.capacity) {
      const end = Math.min(4096, bytes.length - done);
      this.pages.push({ begin: 0, end });
      done += end;
    }
    this.bytes.push(...bytes.slice(0, done));
    return done === 0 ? -EAGAIN : done;
  }

  consume(length: number): void {
    this.bytes = this.bytes.slice(length);
    for (let page = this.pages[0]; page !== undefined && length > 0; page = this.pages[0]) {
      const n = Math.min(length, page.end - page.begin);
      page.begin += n;
      length -= n;
      if (page.begin < page.end) return;
      this.pages.shift();
    }
  }
}

test('a pipe behaves as a bounded queue of pages', () => {
  for_seeds(5, (random) => {
    const { read, write, pipe } = setup();
    const model = new Model();
    let next = 0;
    for (let step = 0; step < 150; step++) {
      const length = random.pick([1, 2, 100, 4095, 4096, 4097, 9000, 70000, random.below(20000) + 1]);
      const piece = random.pick([4096, 1000, 333]);
      const choice = random.below(20);
      if (choice < 10) {
        const bytes = Array.from({ length }, () => (next = (next + 7) & 0xff));
        // A bigger piece count than the cursor holds is cut by the caller, so keep pieces large then.
        const io = cursor_of(at, bytes, length > 20000 ? 4096 : piece);
        assert.is(pipe_write(pipe, io), model.write(bytes));
        next = model.bytes.at(-1) ?? 0;
      } else if (choice < 18) {
        const consume = choice !== 17;
        const n = pipe_read(pipe, cursor(at, length, length > 20000 ? 4096 : piece), consume);
        assert.is(n, model.bytes.length === 0 ? -EAGAIN : Math.min(length, model.bytes.length));
        if (n > 0) {
          assert.ok(
            Buffer.from(U8.slice(at, at + n)).equals(Buffer.from(model.bytes.slice(0, n))),
            `bytes at step ${step}`,
          );
          if (consume) model.consume(n);
        }
      } else {
        const size = random.pick([1, 4096, 10000, 65536, 100000, 1 << 20]);
        const result = pipe_resize(pipe, size, false);
        const pages = 2 ** Math.ceil(Math.log2(Math.ceil(size / 4096)));
        assert.is(result, pages < model.pages.length ? -EBUSY : pages * 4096);
        if (result > 0) model.capacity = pages;
        assert.is(pipe_capacity(pipe), model.capacity * 4096);
      }
      assert.is(pipe_used(pipe), model.bytes.length);
      assert.is(events(read), model.bytes.length > 0 ? POLLIN : 0);
      assert.is(events(write), model.pages.length < model.capacity ? POLLOUT : 0);
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
