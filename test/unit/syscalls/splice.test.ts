import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAFNOSUPPORT, EAGAIN, EBADF, EINVAL, ENOTSOCK, ESPIPE } from '../../../engine/abi/errno.ts';
import { O_CREAT, O_NONBLOCK, O_RDWR } from '../../../engine/abi/fcntl.ts';
import { POLLIN } from '../../../engine/abi/poll.ts';
import { SIGUSR1 } from '../../../engine/abi/signal.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { pipe_claim, pipe_settle } from '../../../engine/fs/anon/pipe.ts';
import { signalfd_slab } from '../../../engine/fs/anon/signalfd.ts';
import { timerfd_slab } from '../../../engine/fs/anon/timerfd.ts';
import { fd_install, files_lookup } from '../../../engine/kernel/fd_table.ts';
import { siginfo_user } from '../../../engine/kernel/siginfo.ts';
import { send_to_task } from '../../../engine/kernel/signal.ts';
import { set_blocked } from '../../../engine/kernel/signal_delivery.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { ThreadGroup } from '../../../engine/kernel/thread_group.layout.ts';
import { frames_used } from '../../../engine/machine/frames.ts';
import { advance_virtual } from '../../../engine/time/clock.ts';
import { timers_run } from '../../../engine/time/timer.ts';
import { File } from '../../../engine/vfs/file.layout.ts';
import { file_put } from '../../../engine/vfs/file.ts';
import { buffer, cursor } from '../../support/buffer.ts';
import { ASLEEP, call, peek, peek_words, poke, resume, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

let k: TestKernel;
let at = 0;

function setup(): void {
  k = test_kernel();
  at = user_pages(k, 16);
}

function pipe(flags = 0): [number, number] {
  assert.is(call('pipe2', at, flags), 0);
  return peek_words(at, 2) as [number, number];
}

function open(path: string): number {
  return fd_install(k.files, k.space.open(path, O_RDWR | O_CREAT) as Ptr<'File'>, 0);
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

test('sendfile copies from an offset or the position, and goes on after a full pipe', () => {
  setup();
  const text = Array.from({ length: 150000 }, (_, i) => String.fromCharCode(i % 253)).join('');
  k.space.save('/in', text);
  const input = open('/in');
  const output = open('/out');
  assert.is(call('sendfile', output, input, 0, 100000), 100000);
  assert.is(call('lseek', input, 0, 1), 100000);
  assert.is(call('sendfile', output, input, 0, 100000), 50000);
  assert.ok(k.space.cat('/out') === text);
  poke(at + 64, words(10, 0));
  assert.is(call('sendfile', output, input, at + 64, 5), 5);
  assert.equal(peek_words(at + 64, 2), [15, 0]);
  assert.is(call('lseek', input, 0, 1), 150000);
  const [from, to] = pipe();
  poke(at + 64, words(0, 0));
  const before = frames_used();
  // A pipe is filled once; what finds it full waits.
  assert.is(call('sendfile', to, input, at + 64, 150000), 65536);
  assert.equal(peek_words(at + 64, 2), [65536, 0]);
  assert.is(call('sendfile', to, input, at + 64, 150000), ASLEEP);
  let got = String(k.space.read(file_of(from), -1, 65536));
  assert.is(resume(), 65536);
  got += k.space.read(file_of(from), -1, 65536);
  assert.is(call('sendfile', to, input, at + 64, 150000), 18928);
  got += k.space.read(file_of(from), -1, 65536);
  assert.ok(got === text);
  assert.equal(peek_words(at + 64, 2), [150000, 0]);
  assert.ok(frames_used() <= before + 16);
  assert.is(call('sendfile', output, from, 0, 10), -EINVAL);
});

test('splice and tee move bytes between pipes and files', () => {
  setup();
  const [a, b] = pipe();
  const [c, d] = pipe(O_NONBLOCK);
  k.space.write(file_of(b), -1, 'hello world');
  assert.is(call('tee', a, d, 5, 0), 5);
  assert.is(call('splice', a, 0, d, 0, 100, 0), 11);
  assert.is(k.space.read(file_of(c), -1, 100), 'hellohello world');
  k.space.save('/f', '0123456789');
  const file = open('/f');
  poke(at + 64, words(4, 0));
  assert.is(call('splice', file, at + 64, b, 0, 3, 0), 3);
  assert.equal(peek_words(at + 64, 1), [7]);
  assert.is(call('splice', a, 0, file, at + 64, 3, 0), 3);
  assert.is(k.space.cat('/f'), '0123456456');
  assert.is(call('splice', a, 0, d, 0, 10, 2), -EAGAIN);
  assert.is(call('splice', a, at, d, 0, 10, 0), -ESPIPE);
  assert.is(call('splice', file, 0, file, 0, 10, 0), -EINVAL);
});

test('copy_file_range copies between files', () => {
  setup();
  k.space.save('/f', '0123456789');
  const file = open('/f');
  const other = open('/g');
  assert.is(call('copy_file_range', file, 0, other, 0, 100, 0), 10);
  assert.is(k.space.cat('/g'), '0123456789');
  poke(at, words(0, 0, 5, 0));
  assert.is(call('copy_file_range', file, at, file, at + 8, 6, 0), -EINVAL);
  assert.is(call('copy_file_range', file, at, file, at + 8, 5, 0), 5);
  assert.is(k.space.cat('/f'), '0123401234');
});

test('a timerfd counts its expirations', () => {
  setup();
  const fd = call('timerfd_create', 1, 0) as number;
  poke(at, words(0, 0, 1000000, 0, 0, 0, 5000000, 0));
  assert.is(call('timerfd_settime', fd, 0, at, 0), 0);
  assert.is(call('read', fd, at + 64, 8), ASLEEP);
  pass(4999000);
  pass(2500);
  assert.is(resume(), 8);
  assert.equal(peek_words(at + 64, 2), [1, 0]);
  pass(3200000);
  assert.is(call('read', fd, at + 64, 8), 8);
  assert.equal(peek_words(at + 64, 2), [3, 0]);
  assert.is(call('timerfd_gettime', fd, at + 64), 0);
  assert.equal(peek_words(at + 64, 4), [0, 0, 1000000, 0]);
  assert.is(call('timerfd_settime', fd, 0, at + 512, 0), 0);
  pass(1e9);
  poke(at, words(fd, POLLIN));
  assert.is(call('poll', at, 1, 0), 0);
  call('close', fd);
  assert.is(timerfd_slab.live(), 0);
});

test('a signalfd takes signals', () => {
  setup();
  set_blocked(1 << (SIGUSR1 - 1), 0);
  poke(at, words(1 << (SIGUSR1 - 1), 0));
  const fd = call('signalfd4', -1, at, 8, 0) as number;
  assert.is(call('read', fd, at + 64, 128), ASLEEP);
  send_to_task(k.task, SIGUSR1, siginfo_user(SIGUSR1));
  assert.is(resume(), 128);
  assert.equal(peek_words(at + 64, 1), [SIGUSR1]);
  poke(at, words(fd, POLLIN));
  assert.is(call('poll', at, 1, 0), 0);
  const epoll = call('epoll_create1', 0) as number;
  poke(at, words(POLLIN, 1, 0));
  // The queue is the process's: it stays for as long as it is watched.
  const group = Task.group.get(k.task);
  const refs = ThreadGroup.refs.load(group);
  assert.is(call('epoll_ctl', epoll, 1, fd, at), 0);
  assert.is(ThreadGroup.refs.load(group), refs + 1);
  send_to_task(k.task, SIGUSR1, siginfo_user(SIGUSR1));
  assert.is(call('epoll_wait', epoll, at, 4, 0), 1);
  call('close', epoll);
  assert.is(ThreadGroup.refs.load(group), refs);
  call('close', fd);
  assert.is(signalfd_slab.live(), 0);
});

test('bytes that a splice is passing on are read by nobody else', () => {
  setup();
  const [reader, writer] = pipe();
  call('write', writer, poke(at, 'abcdef'), 6);
  const object = File.object.get(file_of(reader) as Ptr<'File'>) as Ptr<'Pipe'>;
  const page = buffer();
  assert.is(pipe_claim(object, cursor(page, 4)), 4);
  assert.is(pipe_claim(object, cursor(page + 8, 4)), -EAGAIN);
  assert.is(call('read', reader, at + 64, 10), ASLEEP);
  pipe_settle(object, 3);
  assert.is(resume(), 3);
  assert.is(peek(at + 64, 3), 'def');
});

test('a small write to a pipe is atomic however many buffers it has', () => {
  setup();
  const [reader, writer] = pipe(O_NONBLOCK);
  const vector = at + 4096;
  poke(
    vector,
    Array.from({ length: 1000 }, (_, i) => words((at + (i % 26)) >>> 0, Math.floor(at / 2 ** 32), 4, 0)).join(''),
  );
  poke(at, 'abcdefghijklmnopqrstuvwxyzabcd');
  assert.is(call('writev', writer, vector, 1000), 4000);
  assert.is(call('read', reader, at + 32768, 8000), 4000);
  assert.is(peek(at + 32768, 8), 'abcdbcde');
  for (let i = 0; i < 15; i++) call('write', writer, at + 32768, 4096);
  call('write', writer, at + 32768, 1000);
  assert.is(call('writev', writer, vector, 1000), -EAGAIN);
  assert.is(call('read', reader, at + 32768, 904), 904);
  assert.is(call('writev', writer, vector, 1000), -EAGAIN);
  assert.is(call('read', reader, at + 32768, 3192), 3192);
  assert.is(call('writev', writer, vector, 1000), 4000);
});

test('there is no network, and a pipe is no socket', () => {
  setup();
  assert.is(call('socket', 2, 1, 0), -EAFNOSUPPORT);
  assert.is(call('connect', 9, at, 0), -EBADF);
  assert.is(call('connect', pipe()[0], at, 0), -ENOTSOCK);
});

test.run();
