import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EBADF, EBUSY, EDEADLK, EFAULT, EINVAL, EPERM, ESPIPE } from '../../../engine/abi/errno.ts';
import { F_GETPIPE_SZ, F_SETPIPE_SZ, O_CREAT, O_NONBLOCK, O_PATH, O_RDWR } from '../../../engine/abi/fcntl.ts';
import { PROT_READ } from '../../../engine/abi/mman.ts';
import { AnonRoot } from '../../../engine/fs/anon/epoll.layout.ts';
import { anon_root } from '../../../engine/fs/anon/root.ts';
import { config_gz } from '../../../engine/fs/proc/config.ts';
import { fd_file } from '../../../engine/kernel/fd_table.ts';
import { files_create } from '../../../engine/kernel/files.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { create_root_task } from '../../../engine/kernel/task.ts';
import { File } from '../../../engine/vfs/file.layout.ts';
import { LOCK_POSIX, lock_set } from '../../../engine/vfs/locks.ts';
import { ASLEEP, call, peek_words, poke, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';
import { make_credentials } from '../../support/vfs.ts';

let buffer = 0;

function boot(): TestKernel {
  const k = test_kernel();
  buffer = user_pages(k, 4);
  return k;
}

function open(path: string, flags: number, mode = 0o755): number {
  poke(buffer, `${path}\0`);
  return call('open', buffer, flags, mode) as number;
}

function pipe(flags = 0): [number, number] {
  assert.is(call('pipe2', buffer, flags), 0);
  return peek_words(buffer, 2) as [number, number];
}

test('positions are looked for before access, and devices are not synchronised', () => {
  boot();
  const [read, write] = pipe();
  assert.is(call('pwrite64', read, buffer, 1, 0), -ESPIPE);
  assert.is(call('pread64', write, buffer, 1, 0), -ESPIPE);
  assert.is(call('fsync', read), -EINVAL);
  assert.is(call('epoll_ctl', 0, 1, open('/', O_PATH), buffer), -EBADF);
});

test('pipe sizes keep to pipe-max-size', () => {
  boot();
  AnonRoot.pipe_max_size.store(anon_root(), 8192);
  assert.is(call('setresuid', 1000, 1000, 1000), 0);
  const [read, write] = pipe();
  assert.is(call('fcntl', read, F_GETPIPE_SZ, 0), 8192);
  assert.is(call('fcntl', write, F_SETPIPE_SZ, 8193), -EPERM);
  assert.is(call('fcntl', write, F_SETPIPE_SZ, 0), 4096);
  assert.is(call('fcntl', write, F_SETPIPE_SZ, 0xffff_ffff), -EINVAL);
  assert.is(call('write', write, buffer, 4096), 4096);
  assert.is(call('fcntl', write, F_SETPIPE_SZ, 1), 4096);
  assert.not(call('fcntl', write, F_SETPIPE_SZ, 8192) === -EBUSY);
});

test('vmsplice gives what fits, and sendfile stores the offset of nothing', () => {
  boot();
  const [, write] = pipe(O_NONBLOCK);
  const large = 64 * 1024 + 100;
  const data = call('mmap', 0, large, PROT_READ | 2, 0x22, -1, 0) as number;
  const iov = new Uint8Array(16);
  new DataView(iov.buffer).setBigUint64(0, BigInt(data), true);
  new DataView(iov.buffer).setBigUint64(8, BigInt(large), true);
  poke(buffer, String.fromCharCode(...iov));
  assert.is(call('fcntl', write, 4, 0), 0, 'blocking again');
  assert.is(call('vmsplice', write, buffer, 1, 0), 65536);
  const empty = open('/empty', O_RDWR | O_CREAT);
  const out = open('/out', O_RDWR | O_CREAT);
  const fixed = call('mmap', 0, 4096, PROT_READ, 0x22, -1, 0) as number;
  assert.is(call('sendfile', out, empty, fixed, 10), -EFAULT);
});

test('/proc/config.gz is a gzip stream of option lines', () => {
  const text = gunzipSync(Buffer.from(config_gz(), 'latin1')).toString();
  assert.match(text, /^CONFIG_EVENTFD=y$/m);
  assert.match(text, /^# CONFIG_DNOTIFY is not set$/m);
});

test('waiting in a circle for record locks is a deadlock', () => {
  const k = boot();
  const first = open('/l', O_RDWR | O_CREAT);
  const flock = (type: number, start: number): number => {
    poke(buffer, words(type, 0, start, 0, 1, 0, 0, 0));
    return buffer;
  };
  const [SETLK, SETLKW, WRITE] = [6, 7, 1];
  assert.is(call('fcntl', first, SETLK, flock(WRITE, 0)), 0);
  const inode = File.inode.get(fd_file(first));
  const files = files_create();
  const fs = Task.fs.get(k.task);
  const other = create_root_task({ mm: k.mm, files, fs, credentials: make_credentials(0, 0) });
  assert.is(lock_set(inode, LOCK_POSIX, files, { type: WRITE, start: 1, end: 1, pid: 7 }), 0);
  // The other process waits for the byte that is held here.
  Task.lock_blocker.store(other, Task.files.get(k.task));
  assert.is(call('fcntl', first, SETLKW, flock(WRITE, 1)), -EDEADLK);
  assert.is(call('fcntl', first, SETLK, flock(WRITE, 1)), -EAGAIN);
  Task.lock_blocker.store(other, 0);
  assert.is(call('fcntl', first, SETLKW, flock(WRITE, 1)), ASLEEP);
  assert.is(Task.lock_blocker.load(k.task), files);
});

test('an absolute timer of the wall clock expires at its instant', () => {
  boot();
  const CLOCK_REALTIME = 0;
  const ABSTIME = 1;
  const fd = call('timerfd_create', CLOCK_REALTIME, 0) as number;
  assert.is(call('clock_gettime', CLOCK_REALTIME, buffer), 0);
  const now = peek_words(buffer, 1)[0] as number;
  poke(buffer, words(0, 0, 0, 0, now + 100, 0, 0, 0));
  assert.is(call('timerfd_settime', fd, ABSTIME, buffer, 0), 0);
  assert.is(call('timerfd_gettime', fd, buffer), 0);
  const left = peek_words(buffer + 16, 1)[0] as number;
  assert.ok(left >= 98 && left <= 100, `${left} seconds left`);
});

test.run();
