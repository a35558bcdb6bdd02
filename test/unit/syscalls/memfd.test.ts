import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EACCES, EBUSY, EFAULT, EINVAL, EPERM } from '../../../engine/abi/errno.ts';
import { F_ADD_SEALS, F_GET_SEALS, F_GETLK, F_SETLK, O_CREAT, O_RDWR } from '../../../engine/abi/fcntl.ts';
import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_NOEXEC_SEAL,
} from '../../../engine/abi/memfd.ts';
import { MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from '../../../engine/abi/mman.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../../../engine/abi/path.ts';
import { memfd_unmount } from '../../../engine/fs/memfd/memfd.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { call, peek, peek_words, poke, user_pages, words } from '../../support/calls.ts';
import { test_kernel } from '../../support/kernel.ts';

let buffer = 0;

function boot(): void {
  buffer = user_pages(test_kernel(), 4);
}

function memfd(flags: number): number {
  poke(buffer, 'name\0');
  const fd = call('memfd_create', buffer, flags) as number;
  assert.ok(fd >= 0, `memfd_create: ${fd}`);
  return fd;
}

test('a memfd is a file that seals protect', () => {
  boot();
  const inodes = inodes_live();
  const fd = memfd(MFD_ALLOW_SEALING);
  poke(buffer, 'hello');
  assert.is(call('write', fd, buffer, 5), 5);
  assert.is(call('fcntl', fd, F_GET_SEALS, 0), 0);
  assert.is(call('fcntl', fd, F_ADD_SEALS, 0x1000), -EINVAL);
  assert.is(call('fcntl', fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  assert.is(call('ftruncate', fd, 4), -EPERM);
  assert.is(call('ftruncate', fd, 5), 0);
  assert.is(call('ftruncate', fd, 6), 0);
  assert.is(call('fcntl', fd, F_ADD_SEALS, F_SEAL_GROW), 0);
  assert.is(call('ftruncate', fd, 7), -EPERM);
  assert.is(call('pwrite64', fd, buffer, 5, 2), -EPERM);
  assert.is(call('fallocate', fd, 0, 0, 8192), -EPERM);
  assert.is(call('pwrite64', fd, buffer, 5, 1), 5);
  assert.is(call('fcntl', fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
  assert.is(call('pwrite64', fd, buffer, 1, 0), -EPERM);
  assert.is(call('fallocate', fd, 3, 0, 4), -EPERM);
  assert.is(call('fcntl', fd, F_ADD_SEALS, 0), -EPERM);
  assert.is(call('pread64', fd, buffer, 10, 0), 6);
  assert.is(peek(buffer, 6), 'hhello');
  call('close', fd);
  memfd_unmount();
  assert.is(inodes_live(), inodes, 'inodes left');
});

test('write seals and shared mappings exclude each other', () => {
  boot();
  const fd = memfd(MFD_ALLOW_SEALING);
  assert.is(call('ftruncate', fd, 4096), 0);
  const view = call('mmap', 0, 4096, PROT_READ, MAP_SHARED, fd, 0) as number;
  assert.is(call('fcntl', fd, F_ADD_SEALS, F_SEAL_WRITE), -EBUSY, 'mprotect could make it writable');
  assert.is(call('munmap', view, 4096), 0);
  assert.is(call('fcntl', fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  assert.is(call('mmap', 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), -EPERM);
  const after = call('mmap', 0, 4096, PROT_READ, MAP_SHARED, fd, 0) as number;
  assert.ok(after > 0);
  assert.is(call('mprotect', after, 4096, PROT_READ | PROT_WRITE), -EACCES);
  assert.ok((call('mmap', 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) as number) > 0);
  assert.is(call('fcntl', fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
});

test('flags, names and first seals of memfd_create', () => {
  boot();
  assert.is(call('memfd_create', 1, 0), -EFAULT);
  poke(buffer, `${'n'.repeat(250)}\0`);
  assert.is(call('memfd_create', buffer, 0), -EINVAL);
  assert.ok((call('memfd_create', buffer + 1, 0) as number) >= 0);
  assert.is(call('memfd_create', buffer + 1, 0x100), -EINVAL);
  assert.is(call('fcntl', memfd(0), F_GET_SEALS, 0), F_SEAL_SEAL);
  const fd = memfd(MFD_NOEXEC_SEAL);
  assert.is(call('fcntl', fd, F_GET_SEALS, 0), F_SEAL_EXEC);
  assert.is(call('fchmod', fd, 0o755), -EPERM);
  assert.is(call('fchmod', fd, 0o600), 0);
});

test('F_GETLK tells about the conflicting lock that begins first', () => {
  boot();
  poke(buffer, '/f\0');
  const fd = call('open', buffer, O_RDWR | O_CREAT, 0o600) as number;
  const flock = (type: number, start: number, length: number): number => {
    poke(buffer, words(type, 0, start, 0, length, 0, 0, 0));
    return buffer;
  };
  const OFD_SETLK = 37;
  assert.is(call('fcntl', fd, OFD_SETLK, flock(F_WRLCK, 10, 5)), 0);
  assert.is(call('fcntl', fd, OFD_SETLK, flock(F_RDLCK, 2, 3)), 0);
  assert.is(call('fcntl', fd, OFD_SETLK, flock(F_WRLCK, 30, 3)), 0);
  assert.is(call('fcntl', fd, F_GETLK, flock(F_WRLCK, 0, 0)), 0);
  assert.equal([peek_words(buffer, 5)[2], peek_words(buffer, 5)[4]], [2, 3]);
  assert.is(call('fcntl', fd, OFD_SETLK, flock(F_UNLCK, 0, 0)), 0);
  assert.is(call('fcntl', 1000, F_SETLK, 1) as number, -9);
});

test.run();
