import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EBADF, EFAULT, EFBIG, EINVAL, ENXIO, EPIPE, ESPIPE } from '../../../engine/abi/errno.ts';
import { O_APPEND, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../../engine/abi/fcntl.ts';
import { RLIMIT_FSIZE } from '../../../engine/abi/resource.ts';
import { SIGPIPE, SIGXFSZ } from '../../../engine/abi/signal.ts';
import { S_IFIFO } from '../../../engine/abi/stat.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { pipe_slab } from '../../../engine/fs/anon/pipe.ts';
import { set_current } from '../../../engine/kernel/current.ts';
import { fd_close, fd_install, files_lookup } from '../../../engine/kernel/fd_table.ts';
import { set_group_rlimit } from '../../../engine/kernel/limits.ts';
import { PendingSignals } from '../../../engine/kernel/signal.layout.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { create_root_task } from '../../../engine/kernel/task.ts';
import { vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { do_munmap } from '../../../engine/mm/mmap.ts';
import { file_put } from '../../../engine/vfs/file.ts';
import { ASLEEP, call, is_awake, peek, peek_words, poke, resume, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

const PAGE = 4096;
let k: TestKernel;
let at = 0;

function setup(pages = 64): void {
  k = test_kernel();
  at = user_pages(k, pages);
}

function open(path: string, flags: number): number {
  return fd_install(k.files, k.space.open(path, flags) as Ptr<'File'>, flags);
}

/** The file behind a descriptor, as another task would use it. */
function fd_lookup(fd: number): number {
  const file = files_lookup(k.files, fd);
  file_put(file);
  return file;
}

function pipe(flags = 0): [number, number] {
  assert.is(call('pipe2', at, flags), 0);
  return peek_words(at, 2) as [number, number];
}

test('reads and writes move the position, positioned ones do not', () => {
  setup();
  const fd = open('/f', O_RDWR | O_CREAT);
  assert.is(call('write', fd, poke(at, 'hello world'), 11), 11);
  assert.is(call('lseek', fd, 6, 0), 6);
  assert.is(call('read', fd, at + 100, 100), 5);
  assert.is(peek(at + 100, 5), 'world');
  assert.is(call('pread64', fd, at + 100, 5, 0), 5);
  assert.is(peek(at + 100, 5), 'hello');
  assert.is(call('lseek', fd, 0, 1), 11);
  assert.is(call('pwrite64', fd, poke(at, 'J'), 1, 0), 1);
  assert.is(call('read', fd, at, 1), 0);
  assert.is(call('lseek', fd, -1, 0), -EINVAL);
  const appender = open('/f', O_WRONLY | O_APPEND);
  assert.is(call('write', appender, poke(at, '!!'), 2), 2);
  assert.is(call('lseek', appender, 0, 1), 13);
  assert.is(k.space.cat('/f'), 'Jello world!!');
  assert.is(call('read', appender, at, 1), -EBADF);
  assert.is(call('write', 99, at, 1), -EBADF);
});

test('vectors gather and scatter', () => {
  setup();
  const fd = open('/f', O_RDWR | O_CREAT);
  poke(at + 4096, 'abc');
  poke(at + 8190, 'defg');
  poke(at, words(at + 4096, (at + 4096) / 2 ** 32, 3, 0, 0, 0, 0, 0, at + 8190, (at + 8190) / 2 ** 32, 4, 0));
  assert.is(call('writev', fd, at, 3), 7);
  assert.is(k.space.cat('/f'), 'abcdefg');
  poke(at, words(at + 100, (at + 100) / 2 ** 32, 2, 0, at + 200, (at + 200) / 2 ** 32, 9, 0));
  assert.is(call('preadv', fd, at, 2, 1, 0), 6);
  assert.is(peek(at + 100, 2) + peek(at + 200, 4), 'bcdefg');
  assert.is(call('readv', fd, at, -1), -EINVAL);
  assert.is(call('readv', fd, at, 1025), -EINVAL);
  assert.is(call('readv', fd, 8, 1), -EFAULT);
});

test('bytes before a bad page are transferred, but a page of a pipe is filled whole or not at all', () => {
  setup();
  do_munmap(k.mm, at + 2 * PAGE, PAGE);
  const fd = open('/f', O_RDWR | O_CREAT);
  assert.is(call('write', fd, at, 3 * 4096), 8192);
  assert.is(call('write', fd, at + 8192, 10), -EFAULT);
  assert.is(call('pread64', fd, at + 4096, 8192, 0), 4096);
  const [, out] = pipe();
  assert.is(call('write', out, at + 8000, 1000), -EFAULT);
  assert.is(call('write', out, at, 3 * 4096), 8192);
});

test('a reader sleeps until bytes come, and the end of the writers wakes it', () => {
  setup();
  const [input, output] = pipe();
  assert.is(call('pread64', input, at, 1, 0), -ESPIPE);
  assert.is(call('lseek', input, 0, 0), -ESPIPE);
  assert.is(call('read', input, at + 512, 10), ASLEEP);
  assert.not(is_awake());
  k.space.write(fd_lookup(output), -1, 'ping');
  assert.ok(is_awake());
  assert.is(resume(), 4);
  assert.is(peek(at + 512, 4), 'ping');
  assert.is(call('read', input, at, 10), ASLEEP);
  fd_close(k.files, output);
  assert.ok(is_awake());
  assert.is(resume(), 0);
  assert.is(Task.held_count.get(k.task), 0);
});

test('a writer larger than the pipe sleeps with its progress', () => {
  setup(100);
  const [input, output] = pipe();
  const text = Array.from({ length: 100000 }, (_, i) => String.fromCharCode(i % 251)).join('');
  poke(at, text);
  assert.is(call('write', output, at, 100000), ASLEEP);
  const reader = fd_lookup(input);
  let got = '';
  while (!is_awake()) got += k.space.read(reader, -1, 4096);
  assert.is(got.length, 4096);
  assert.is(resume(), ASLEEP);
  while (got.length < 50000) got += k.space.read(reader, -1, 4096);
  assert.is(resume(), 100000);
  while (got.length < 100000) got += k.space.read(reader, -1, 4096);
  assert.ok(got === text);
});

test('a broken pipe is a signal and an error', () => {
  setup();
  const [input, output] = pipe();
  assert.is(call('close', input), 0);
  assert.is(call('write', output, at, 1), -EPIPE);
  const pending = Task.pending.at(k.task);
  assert.is(PendingSignals.set.lo(pending), 1 << (SIGPIPE - 1));
});

test('a file does not grow beyond RLIMIT_FSIZE', () => {
  setup();
  const fd = open('/f', O_RDWR | O_CREAT);
  set_group_rlimit(Task.group.get(k.task), RLIMIT_FSIZE, 10, 10);
  assert.is(call('write', fd, at, 100), 10);
  assert.is(call('write', fd, at, 1), -EFBIG);
  assert.is(PendingSignals.set.lo(Task.pending.at(k.task)), 1 << (SIGXFSZ - 1));
  assert.is(call('pwrite64', fd, at, 100, 5), 5);
});

test('opening a FIFO waits for the other end', () => {
  setup();
  k.space.mknod('/fifo', S_IFIFO | 0o666);
  poke(at, '/fifo\0');
  assert.is(call('open', at, O_WRONLY | O_NONBLOCK, 0), -ENXIO);
  assert.is(call('open', at, O_RDONLY, 0), ASLEEP);
  const reader = k.task;
  const other = create_root_task({
    mm: k.mm,
    files: k.files,
    fs: Task.fs.get(reader),
    credentials: Task.credentials.get(reader),
  });
  set_current(other, Task.cpu.get(other), vcpu_at(0));
  // The reader's descriptor is taken while it waits.
  assert.is(call('open', at, O_WRONLY, 0), 1);
  set_current(reader, Task.cpu.get(reader), vcpu_at(0));
  assert.is(resume(), 0);
  assert.is(call('write', 1, at, 5), 5);
  assert.is(call('read', 0, at + 64, 10), 5);
  assert.is(call('close', 1), 0);
  assert.is(call('read', 0, at + 64, 10), 0);
  assert.is(call('close', 0), 0);
  assert.is(pipe_slab.live(), 0);
});

test('descriptors: dup, fcntl, close_range', () => {
  setup();
  const [input, output] = pipe(O_NONBLOCK);
  assert.is(call('read', input, at, 1), -EAGAIN);
  assert.is(call('dup', output), 2);
  assert.is(call('dup2', output, 9), 9);
  assert.is(call('dup2', 9, 9), 9);
  assert.is(call('dup3', 9, 9, 0), -EINVAL);
  assert.is(call('dup2', 50, 9), -EBADF);
  assert.is(call('fcntl', 9, 0, 20), 20);
  assert.is(call('fcntl', 9, 1030, 20), 21);
  assert.is(call('fcntl', 21, 1), 1);
  assert.is(call('fcntl', 21, 2, 0), 0);
  assert.is(call('fcntl', 21, 1), 0);
  assert.is((call('fcntl', input, 3) as number) & 0o6003, O_NONBLOCK | O_RDONLY);
  assert.is(call('fcntl', input, 4, 0), 0);
  assert.is((call('fcntl', input, 3) as number) & O_NONBLOCK, 0);
  assert.is(call('fcntl', input, 1032), 65536);
  assert.is(call('fcntl', input, 1031, 5000), 8192);
  assert.is(call('close_range', 9, 0xffffffff, 0), 0);
  assert.is(call('fcntl', 20, 1), -EBADF);
  assert.is(call('ioctl', input, 0x541b, at), 0);
  assert.equal(peek_words(at, 1), [0]);
});

test.run();
