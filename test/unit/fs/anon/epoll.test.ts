import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EEXIST, EINVAL, ELOOP, ENOENT, EPERM } from '../../../../engine/abi/errno.ts';
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, POLLHUP, POLLIN, POLLOUT } from '../../../../engine/abi/poll.ts';
import type { Ptr } from '../../../../engine/base/types.ts';
import {
  epoll_add,
  epoll_collect,
  epoll_create,
  epoll_delete,
  epoll_item_slab,
  epoll_modify,
  epoll_ready_count,
  epoll_slab,
} from '../../../../engine/fs/anon/epoll.ts';
import { eventfd_create } from '../../../../engine/fs/anon/eventfd.ts';
import { pipe_ends, pipe_open } from '../../../../engine/fs/anon/pipe.ts';
import { U32, U64 } from '../../../../engine/heap/memory.ts';
import { wait_entries } from '../../../../engine/heap/wait_queue.ts';
import { file_get, file_operations, file_put, file_slab } from '../../../../engine/vfs/file.ts';
import { buffer, cursor } from '../../../support/buffer.ts';
import { fake_task } from '../../../support/fake_task.ts';
import { test_memory } from '../../../support/memory.ts';
import { for_seeds, type Random } from '../../../support/seeds.ts';

let at = 0;

function setup(): Ptr<'File'> {
  test_memory();
  fake_task();
  at = buffer();
  return epoll_create();
}

/** The ready (data, events) pairs, as a map. */
function collect(epoll: Ptr<'File'>, max = 300): Map<number, number> {
  const n = epoll_collect(epoll, cursor(at, 4096), max);
  const found = new Map<number, number>();
  for (let i = 0; i < n; i++) found.set(U32[(at >> 2) + i * 3 + 1] as number, U32[(at >> 2) + i * 3] as number);
  assert.is(found.size, n, 'an item is reported once');
  return found;
}

function signal(event: Ptr<'File'>): void {
  U64[(at + 2048) >> 3] = 1n;
  file_operations(event).write(event, cursor(at + 2048, 8), -1);
}

function drain(event: Ptr<'File'>): void {
  file_operations(event).read(event, cursor(at + 2048, 8), -1);
}

test('level-triggered items stay, edge-triggered ones report each change once, one-shot ones once', () => {
  const epoll = setup();
  const event = eventfd_create(0, 0);
  epoll_add(epoll, 5, event, POLLIN, 1, 0);
  epoll_add(epoll, 6, event, (POLLIN | EPOLLET) >>> 0, 2, 0);
  epoll_add(epoll, 7, event, POLLIN | EPOLLONESHOT, 3, 0);
  assert.is(collect(epoll).size, 0);
  signal(event);
  assert.equal([...collect(epoll).keys()].sort(), [1, 2, 3]);
  assert.equal([...collect(epoll).keys()], [1]);
  signal(event);
  assert.equal([...collect(epoll).keys()].sort(), [1, 2]);
  assert.is(epoll_modify(epoll, 7, event, POLLIN | EPOLLONESHOT, 3, 0), 0);
  assert.equal([...collect(epoll).keys()].sort(), [1, 3]);
  drain(event);
  assert.is(collect(epoll).size, 0);
  file_put(event);
  assert.is(epoll_item_slab.live(), 0);
  file_put(epoll);
  assert.is(wait_entries.live(), 0);
});

test('control errors', () => {
  const epoll = setup();
  const event = eventfd_create(0, 0);
  assert.is(epoll_add(epoll, 5, event, POLLIN, 0, 0), 0);
  assert.is(epoll_add(epoll, 5, event, POLLIN, 0, 0), -EEXIST);
  assert.is(epoll_add(epoll, 6, event, POLLIN | EPOLLEXCLUSIVE, 0, 0), 0);
  assert.is(epoll_modify(epoll, 6, event, POLLIN, 0, 0), -EINVAL);
  assert.is(epoll_modify(epoll, 7, event, POLLIN, 0, 0), -ENOENT);
  assert.is(epoll_delete(epoll, 7, event), -ENOENT);
  assert.is(epoll_delete(epoll, 5, event), 0);
  assert.is(epoll_add(epoll, 3, epoll, POLLIN, 0, 0), -EINVAL);
  assert.is(EPERM, 1);
});

test('nested instances pass readiness up; circles and deep chains are refused', () => {
  const outer = setup();
  const chain = [outer];
  for (let i = 0; i < 6; i++) chain.push(epoll_create());
  const event = eventfd_create(0, 0);
  const link = (from: number, to: number): number =>
    epoll_add(chain[from] as Ptr<'File'>, to, chain[to] as Ptr<'File'>, POLLIN, to, 0);
  assert.is(link(0, 1), 0);
  assert.is(link(1, 2), 0);
  assert.is(link(2, 0), -ELOOP);
  assert.is(link(2, 3), 0);
  assert.is(link(3, 4), 0);
  assert.is(link(4, 5), -ELOOP);
  assert.is(epoll_add(chain[4] as Ptr<'File'>, 9, event, POLLIN, 9, 0), 0);
  assert.is(file_operations(outer).poll(outer), 0);
  signal(event);
  assert.is(file_operations(outer).poll(outer) & POLLIN, POLLIN);
  assert.equal([...collect(outer).keys()], [1]);
  drain(event);
  assert.is(collect(outer).size, 0);
  for (const file of chain) file_put(file);
  file_put(event);
  assert.is(epoll_slab.live() + epoll_item_slab.live() + wait_entries.live() + file_slab.live(), 0);
});

test('a watch ends with the last reference to the file, not with the descriptor', () => {
  const epoll = setup();
  const event = eventfd_create(1, 0);
  file_get(event);
  epoll_add(epoll, 5, event, POLLIN, 1, 0);
  file_put(event);
  assert.is(collect(epoll).size, 1);
  file_put(event);
  assert.is(collect(epoll).size, 0);
  assert.is(epoll_ready_count(epoll), 0);
});

test('a pipe tells of hang-up without being asked to', () => {
  const epoll = setup();
  pipe_open(0);
  epoll_add(epoll, 3, pipe_ends.read, 0, 1, 0);
  file_put(pipe_ends.write);
  assert.equal([...collect(epoll)], [[1, POLLHUP]]);
});

interface Watch {
  mode: number;
  /** A change since the last report (edge), or armed (one-shot). */
  pending: boolean;
}

function model_ready(watch: Watch | undefined, count: number): boolean {
  if (watch === undefined || count === 0) return false;
  return watch.mode === POLLIN || watch.pending;
}

test('epoll agrees with a model over random operations', () => {
  for_seeds(10, (random: Random) => {
    const epoll = setup();
    const files = Array.from({ length: 8 }, () => eventfd_create(0, 0));
    const counts = files.map(() => 0);
    const watches: (Watch | undefined)[] = files.map(() => undefined);
    const modes = [POLLIN, (POLLIN | EPOLLET) >>> 0, POLLIN | EPOLLONESHOT];
    for (let step = 0; step < 400; step++) {
      const i = random.below(files.length);
      const file = files[i] as Ptr<'File'>;
      const choice = random.below(6);
      const mode = random.pick(modes);
      if (choice === 0) {
        assert.is(epoll_add(epoll, i, file, mode, i, 0), watches[i] === undefined ? 0 : -EEXIST);
        watches[i] ??= { mode, pending: true };
      } else if (choice === 1) {
        assert.is(epoll_modify(epoll, i, file, mode, i, 0), watches[i] === undefined ? -ENOENT : 0);
        if (watches[i] !== undefined) watches[i] = { mode, pending: true };
      } else if (choice === 2) {
        assert.is(epoll_delete(epoll, i, file), watches[i] === undefined ? -ENOENT : 0);
        watches[i] = undefined;
      } else if (choice === 3) {
        signal(file);
        counts[i] = 1;
        const watch = watches[i];
        if (watch !== undefined && (watch.mode & EPOLLONESHOT) === 0) watch.pending = true;
      } else if (choice === 4) {
        drain(file);
        counts[i] = 0;
      } else {
        const expected = files.map((_, k) => k).filter((k) => model_ready(watches[k], counts[k] as number));
        const max = random.below(10) + 1;
        const found = [...collect(epoll, max).keys()].sort();
        if (max >= expected.length) assert.equal(found, expected);
        else assert.is(found.length, max);
        for (const k of found) {
          assert.ok(expected.includes(k));
          (watches[k] as Watch).pending = false;
        }
      }
    }
    for (const file of files) file_put(file);
    file_put(epoll);
    assert.is(epoll_slab.live() + epoll_item_slab.live() + wait_entries.live() + file_slab.live(), 0);
  });
});

test('an interest in writing is met at once', () => {
  const epoll = setup();
  pipe_open(0);
  epoll_add(epoll, 4, pipe_ends.write, POLLOUT, 4, 0);
  assert.equal([...collect(epoll)], [[4, POLLOUT]]);
});

test.run();
