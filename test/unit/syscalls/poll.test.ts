import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EBADF, EFAULT, EINTR, EINVAL } from '../../../engine/abi/errno.ts';
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT } from '../../../engine/abi/poll.ts';
import { SIGUSR1 } from '../../../engine/abi/signal.ts';
import { wait_entries } from '../../../engine/heap/wait_queue.ts';
import { fd_close, files_lookup } from '../../../engine/kernel/fd_table.ts';
import { siginfo_kernel } from '../../../engine/kernel/siginfo.ts';
import { send_to_task } from '../../../engine/kernel/signal.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { advance_virtual } from '../../../engine/time/clock.ts';
import { timers_run } from '../../../engine/time/timer.ts';
import { file_put } from '../../../engine/vfs/file.ts';
import { ASLEEP, call, is_awake, peek_words, poke, resume, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

let k: TestKernel;
let at = 0;

function setup(): void {
  k = test_kernel();
  at = user_pages(k, 16);
}

function pipe(): [number, number] {
  assert.is(call('pipe', at), 0);
  return peek_words(at, 2) as [number, number];
}

function file_of(fd: number): number {
  const file = files_lookup(k.files, fd);
  file_put(file);
  return file;
}

function pass(ns: number): void {
  advance_virtual(ns);
  timers_run();
}

test('poll tells what is ready, and sleeps until something is', () => {
  setup();
  const [input, output] = pipe();
  poke(at, words(input, POLLIN, output, POLLOUT, -1, POLLIN, 77, POLLIN));
  assert.is(call('poll', at, 4, -1), 2);
  assert.equal(
    peek_words(at, 8).map((w, i) => (i % 2 === 1 ? w >>> 16 : 0)),
    [0, 0, 0, POLLOUT, 0, 0, 0, POLLNVAL],
  );
  assert.is(call('poll', at, 1, 0), 0);
  assert.is(call('poll', at, 1, -1), ASLEEP);
  k.space.write(file_of(output), -1, 'x');
  assert.is(resume(), 1);
  assert.is((peek_words(at + 4, 1)[0] as number) >>> 16, POLLIN);
  fd_close(k.files, output);
  assert.is(call('poll', at, 1, -1), 1);
  assert.is((peek_words(at + 4, 1)[0] as number) >>> 16, POLLIN | POLLHUP);
  assert.is(call('poll', 16, 1, 0), -EFAULT);
  assert.is(call('poll', at, 2000000, 0), -EINVAL);
  assert.is(wait_entries.live(), 0);
});

test('a timeout ends poll, and a descriptor closed meanwhile is reported', () => {
  setup();
  const [input] = pipe();
  poke(at, words(input, POLLIN));
  assert.is(call('poll', at, 1, 10), ASLEEP);
  pass(9e6);
  assert.not(is_awake());
  pass(2e6);
  assert.is(resume(), 0);
  assert.is(call('poll', at, 0, 5), ASLEEP);
  pass(6e6);
  assert.is(resume(), 0);
  assert.is(call('poll', at, 1, 10), ASLEEP);
  fd_close(k.files, input);
  pass(2e7);
  assert.is(resume(), 1);
  assert.is((peek_words(at + 4, 1)[0] as number) >>> 16, POLLNVAL);
  assert.is(wait_entries.live(), 0);
});

test('poll of a thousand descriptors', () => {
  setup();
  const [input, output] = pipe();
  const fds = [input];
  for (let i = 0; i < 900; i++) fds.push(call('dup', input) as number);
  poke(at, fds.map((fd) => words(fd, POLLIN)).join(''));
  assert.is(call('poll', at, fds.length, -1), ASLEEP);
  k.space.write(file_of(output), -1, 'x');
  assert.is(resume(), fds.length);
  assert.is(wait_entries.live(), 0);
});

test('select works on sets and tells the time left', () => {
  setup();
  const [input, output] = pipe();
  const sets = (): void => {
    poke(at, words((1 << input) | (1 << output), 0));
    poke(at + 128, words((1 << input) | (1 << output), 0));
  };
  sets();
  assert.is(call('select', 64, at, at + 128, 0, 0), 1);
  assert.equal(peek_words(at, 1), [0]);
  assert.equal(peek_words(at + 128, 1), [1 << output]);
  poke(at, words(1 << input, 0));
  poke(at + 256, words(1, 0, 500000, 0));
  assert.is(call('select', input + 1, at, 0, 0, at + 256), ASLEEP);
  pass(1e9);
  k.space.write(file_of(output), -1, 'x');
  assert.is(resume(), 1);
  assert.equal(peek_words(at + 256, 4), [0, 0, 500000, 0]);
  poke(at, words(1 << 9, 0));
  assert.is(call('select', 64, at, 0, 0, 0), -EBADF);
  assert.is(call('select', -1, at, 0, 0, 0), -EINVAL);
});

test('epoll_wait sleeps, is woken, times out, and is interrupted', () => {
  setup();
  const [input, output] = pipe();
  const epoll = call('epoll_create1', 0) as number;
  poke(at, words(POLLIN, 42, 43));
  assert.is(call('epoll_ctl', epoll, 1, input, at), 0);
  assert.is(call('epoll_wait', epoll, at + 64, 8, 0), 0);
  assert.is(call('epoll_wait', epoll, at + 64, 8, -1), ASLEEP);
  k.space.write(file_of(output), -1, 'x');
  assert.is(resume(), 1);
  assert.equal(peek_words(at + 64, 3), [POLLIN, 42, 43]);
  assert.is(call('epoll_wait', epoll, 8, 8, -1), -EFAULT);
  assert.is(call('epoll_wait', epoll, at, 0, -1), -EINVAL);
  k.space.read(file_of(input), -1, 10);
  assert.is(call('epoll_wait', epoll, at + 64, 8, 5), ASLEEP);
  pass(6e6);
  assert.is(resume(), 0);
  assert.is(call('epoll_wait', epoll, at + 64, 8, -1), ASLEEP);
  send_to_task(k.task, SIGUSR1, siginfo_kernel(SIGUSR1));
  assert.is(resume(), -EINTR);
  assert.is(Task.held_count.get(k.task), 0);
});

test('eventfd through the calls', () => {
  setup();
  const fd = call('eventfd2', 3, 0) as number;
  assert.is(call('read', fd, at, 8), 8);
  assert.equal(peek_words(at, 2), [3, 0]);
  assert.is(call('read', fd, at, 8), ASLEEP);
  poke(at + 8, words(9, 0));
  k.space.write(file_of(fd), -1, words(9, 0));
  assert.is(resume(), 8);
  assert.equal(peek_words(at, 2), [9, 0]);
  assert.is(call('eventfd2', 0, 64), -EINVAL);
});

test.run();
