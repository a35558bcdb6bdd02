import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EINVAL } from '../../../../engine/abi/errno.ts';
import { POLLIN, POLLOUT } from '../../../../engine/abi/poll.ts';
import type { Ptr } from '../../../../engine/base/types.ts';
import { EFD_SEMAPHORE, eventfd_create, eventfd_slab } from '../../../../engine/fs/anon/eventfd.ts';
import { U64 } from '../../../../engine/heap/memory.ts';
import { file_operations, file_put } from '../../../../engine/vfs/file.ts';
import { buffer, cursor } from '../../../support/buffer.ts';
import { test_memory } from '../../../support/memory.ts';

let at = 0;

function add(file: Ptr<'File'>, value: bigint): number {
  U64[at >> 3] = value;
  return file_operations(file).write(file, cursor(at, 8), -1);
}

function take(file: Ptr<'File'>): bigint | number {
  const n = file_operations(file).read(file, cursor(at, 8), -1);
  return n === 8 ? (U64[at >> 3] as bigint) : n;
}

function events(file: Ptr<'File'>): number {
  return file_operations(file).poll(file) & (POLLIN | POLLOUT);
}

test('a counter adds writes and a read takes all', () => {
  test_memory();
  at = buffer();
  const file = eventfd_create(3, 0);
  assert.is(add(file, 4n), 8);
  assert.is(events(file), POLLIN | POLLOUT);
  assert.is(take(file), 7n);
  assert.is(take(file), -EAGAIN);
  assert.is(events(file), POLLOUT);
  assert.is(add(file, 0n), 8);
  assert.is(take(file), -EAGAIN);
  assert.is(file_operations(file).read(file, cursor(at, 7), -1), -EINVAL);
  file_put(file);
  assert.is(eventfd_slab.live(), 0);
});

test('the largest value is 2^64 - 2', () => {
  test_memory();
  at = buffer();
  const file = eventfd_create(0, 0);
  assert.is(add(file, 0xffff_ffff_ffff_ffffn), -EINVAL);
  assert.is(add(file, 0xffff_ffff_ffff_fffen), 8);
  assert.is(events(file), POLLIN);
  assert.is(add(file, 1n), -EAGAIN);
  assert.is(take(file), 0xffff_ffff_ffff_fffen);
  assert.is(add(file, 0xffff_ffffn), 8);
  assert.is(add(file, 1n), 8);
  assert.is(take(file), 0x1_0000_0000n);
});

test('a semaphore gives one at a time', () => {
  test_memory();
  at = buffer();
  const file = eventfd_create(0, EFD_SEMAPHORE);
  assert.is(add(file, 0x1_0000_0000n), 8);
  assert.is(take(file), 1n);
  assert.is(take(file), 1n);
  assert.is(add(file, 0xffff_ffff_0000_0001n), -EAGAIN);
});

test.run();
