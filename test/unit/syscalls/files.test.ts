import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  E2BIG,
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOTDIR,
  EOPNOTSUPP,
  ERANGE,
  EXDEV,
} from '../../../engine/abi/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
} from '../../../engine/abi/fcntl.ts';
import {
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  RENAME_NOREPLACE,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../../engine/abi/path.ts';
import { S_IFCHR, S_IFDIR, S_IFREG, UTIME_NOW, UTIME_OMIT } from '../../../engine/abi/stat.ts';
import { call, peek, peek_words, poke, user_pages, words } from '../../support/calls.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

let buffer = 0;
let names = 0;
let next = 0;

function boot(): TestKernel {
  const k = test_kernel();
  buffer = user_pages(k, 4);
  names = user_pages(k, 4);
  next = names;
  return k;
}

/** A string in user memory. */
function str(text: string): number {
  if (next + text.length + 1 > names + 4 * 4096) next = names;
  const at = next;
  poke(at, `${text}\0`);
  next += text.length + 1;
  return at;
}

function open(path: string, flags = 0, mode = 0o644): number {
  return call('open', str(path), flags, mode) as number;
}

function save(path: string, text: string): void {
  const fd = open(path, O_WRONLY | O_CREAT);
  assert.ok(fd >= 0, `open ${path}: ${fd}`);
  poke(buffer, text);
  assert.is(call('write', fd, buffer, text.length), text.length);
  call('close', fd);
}

function word64(at: number): number {
  const [lo, hi] = peek_words(at, 2) as [number, number];
  return hi * 4294967296 + (lo >>> 0);
}

/** mode, nlink, size, from struct stat. */
function stat(path: string): { result: number | string; mode: number; nlink: number; size: number; mtime: number } {
  const result = call('stat', str(path), buffer);
  return {
    result,
    mode: (peek_words(buffer + 24, 1)[0] as number) >>> 0,
    nlink: word64(buffer + 16),
    size: word64(buffer + 48),
    mtime: word64(buffer + 88),
  };
}

test('open, write, stat, read, close', () => {
  boot();
  save('/f', 'hello');
  assert.is(stat('/f').size, 5);
  assert.is(stat('/f').mode, S_IFREG | 0o644);
  const fd = open('/f');
  assert.is(call('read', fd, buffer, 100), 5);
  assert.is(peek(buffer, 5), 'hello');
  assert.is(call('fstat', fd, buffer), 0);
  assert.is(call('close', fd), 0);
  assert.is(call('fstat', fd, buffer), -EBADF);
  assert.is(open('/f', O_CREAT | O_EXCL), -EEXIST);
  assert.is(open('/nothing'), -ENOENT);
  assert.is(open('/f/x'), -ENOTDIR);
  assert.is(open('/', O_WRONLY), -EISDIR);
  assert.is(open(''), -ENOENT);
  assert.is(call('open', 1, 0, 0), -EFAULT);
  assert.is(open(`/${'n'.repeat(256)}`), -ENAMETOOLONG);
  assert.is(open('/'.repeat(4096)), -ENAMETOOLONG);
  assert.is(call('stat', str('/f'), 1), -EFAULT);
});

test('descriptor-relative calls', () => {
  boot();
  assert.is(call('mkdir', str('/d'), 0o755), 0);
  const dir = open('/d', O_DIRECTORY);
  assert.ok(dir >= 0);
  assert.is(call('mkdirat', dir, str('e'), 0o700), 0);
  const fd = call('openat', dir, str('f'), O_CREAT | O_RDWR, 0o600) as number;
  assert.ok(fd >= 0);
  assert.is(stat('/d/f').mode, S_IFREG | 0o600);
  assert.is(call('newfstatat', dir, str('e'), buffer, 0), 0);
  assert.is(call('newfstatat', fd, str(''), buffer, AT_EMPTY_PATH), 0);
  assert.is(call('newfstatat', fd, str('x'), buffer, 0), -ENOTDIR);
  assert.is(call('newfstatat', 99, str('x'), buffer, 0), -EBADF);
  assert.is(call('newfstatat', 99, str('/d'), buffer, 0), 0, 'an absolute path needs no descriptor');
  assert.is(call('renameat2', dir, str('f'), AT_FDCWD, str('/g'), RENAME_NOREPLACE), 0);
  assert.is(call('unlinkat', dir, str('e'), 0), -EISDIR);
  assert.is(call('unlinkat', dir, str('e'), AT_REMOVEDIR), 0);
  assert.is(call('linkat', AT_FDCWD, str('/g'), dir, str('h'), 0), 0);
  assert.is(stat('/d/h').nlink, 2);
  assert.is(call('symlinkat', str('h'), dir, str('s')), 0);
  assert.is(call('readlinkat', dir, str('s'), buffer, 100), 1);
  assert.is(call('readlink', str('/d/h'), buffer, 100), -EINVAL);
  assert.is(call('fchdir', dir), 0);
  assert.is(call('getcwd', buffer, 100), 3);
  assert.is(peek(buffer, 3), '/d\0');
  assert.is(call('getcwd', buffer, 2), -ERANGE);
  assert.is(call('rmdir', str('/d')), -39);
});

test('an unnamed file gets a name through its descriptor', () => {
  boot();
  const fd = open('/', O_TMPFILE | O_RDWR, 0o600);
  assert.ok(fd >= 0);
  poke(buffer, 'late');
  call('write', fd, buffer, 4);
  assert.is(call('linkat', fd, str(''), AT_FDCWD, str('/named'), AT_EMPTY_PATH), 0);
  assert.is(stat('/named').nlink, 1);
  assert.is(stat('/named').size, 4);
});

test('O_PATH names a place and nothing more', () => {
  boot();
  save('/f', 'x');
  call('symlink', str('f'), str('/l'));
  const fd = open('/f', O_PATH);
  assert.is(call('read', fd, buffer, 1), -EBADF);
  assert.is(call('fchmod', fd, 0o600), -EBADF);
  assert.is(call('fstat', fd, buffer), 0);
  assert.is(open('/l', O_NOFOLLOW), -ELOOP);
  const link = open('/l', O_PATH | O_NOFOLLOW);
  assert.is(call('readlinkat', link, str(''), buffer, 10), 1);
});

test('openat2 stays where it is told to stay', () => {
  boot();
  call('mkdir', str('/d'), 0o755);
  save('/secret', 'x');
  save('/d/f', 'x');
  call('symlink', str('/secret'), str('/d/abs'));
  call('symlink', str('../secret'), str('/d/up'));
  call('symlink', str('f'), str('/d/in'));
  const dir = open('/d', O_DIRECTORY);
  const how = (path: string, resolve: number, size = 24): number | string => {
    poke(buffer, words(0, 0, 0, 0, resolve, 0, 0, 0));
    return call('openat2', dir, str(path), buffer, size);
  };
  assert.ok((how('f', RESOLVE_BENEATH) as number) >= 0);
  assert.ok((how('in', RESOLVE_BENEATH) as number) >= 0);
  assert.is(how('abs', RESOLVE_BENEATH), -EXDEV);
  assert.is(how('up', RESOLVE_BENEATH), -EXDEV);
  assert.is(how('..', RESOLVE_BENEATH), -EXDEV);
  assert.is(how('/d/f', RESOLVE_BENEATH), -EXDEV);
  assert.is(how('abs', RESOLVE_IN_ROOT), -ENOENT);
  assert.ok((how('/../f', RESOLVE_IN_ROOT) as number) >= 0);
  assert.is(how('in', RESOLVE_NO_SYMLINKS), -ELOOP);
  assert.ok((how('up', RESOLVE_NO_XDEV) as number) >= 0);
  assert.is(how('f', RESOLVE_BENEATH | RESOLVE_IN_ROOT), -EINVAL);
  assert.is(how('f', 0, 16), -EINVAL);
  assert.ok((how('f', 0, 32) as number) >= 0);
  poke(buffer, words(0, 0, 0, 0, 0, 0, 1, 0));
  assert.is(call('openat2', dir, str('f'), buffer, 32), -E2BIG);
});

test('getdents and getdents64', () => {
  boot();
  for (const name of ['a', 'bb', 'ccc']) save(`/${name}`, '');
  const fd = open('/', O_DIRECTORY);
  assert.is(call('getdents64', fd, buffer, 10), -EINVAL);
  const seen: string[] = [];
  for (let n = call('getdents64', fd, buffer, 50) as number; n > 0; n = call('getdents64', fd, buffer, 50) as number)
    for (let at = 0; at < n; ) {
      const size = peek(buffer + at + 16, 1).charCodeAt(0);
      seen.push((peek(buffer + at + 19, size - 19).split('\0')[0] as string) + peek(buffer + at + 18, 1).charCodeAt(0));
      at += size;
    }
  assert.equal(seen, ['.4', '..4', 'a8', 'bb8', 'ccc8']);
  assert.is(call('lseek', fd, 0, 0), 0);
  assert.is(call('getdents', fd, buffer, 4096), 5 * 24);
  assert.is(call('lseek', fd, 0, 0), 0);
  assert.is(call('getdents64', fd, 1, 4096), -EFAULT);
  assert.is(call('getdents64', fd, buffer, 4096), 5 * 24, 'a fault moves nothing');
});

test('attributes: chmod, chown, utimensat, umask, truncate', () => {
  boot();
  save('/f', 'hello');
  assert.is(call('chmod', str('/f'), 0o4711), 0);
  assert.is(stat('/f').mode, S_IFREG | 0o4711);
  assert.is(call('chown', str('/f'), 5, -1), 0);
  assert.is(stat('/f').mode, S_IFREG | 0o711, 'a change of owner drops set-user-id');
  poke(buffer + 512, words(1, 0, UTIME_OMIT, 0, 77, 0, 99, 0));
  assert.is(call('utimensat', AT_FDCWD, str('/f'), buffer + 512, 0), 0);
  assert.is(stat('/f').mtime, 77);
  poke(buffer + 512, words(0, 0, 0, 0, 0, 0, UTIME_NOW + 1, 0));
  assert.is(call('utimensat', AT_FDCWD, str('/f'), buffer + 512, 0), -EINVAL);
  assert.is(call('truncate', str('/f'), 2), 0);
  assert.is(stat('/f').size, 2);
  assert.is(call('truncate', str('/'), 2), -EISDIR);
  assert.is(call('truncate', str('/f'), -1), -EINVAL);
  assert.is(call('umask', 0o27), 0);
  call('mkdir', str('/d'), 0o777);
  assert.is(stat('/d').mode, S_IFDIR | 0o750);
  assert.is(call('umask', 0), 0o27);
  assert.is(call('mknod', str('/null'), S_IFCHR | 0o666, 0x103), 0);
  assert.is(stat('/null').mode, S_IFCHR | 0o666);
  assert.is(call('access', str('/f'), 8), -EINVAL);
  assert.is(call('faccessat2', AT_FDCWD, str('/f'), 1, 0), 0);
});

test('statx and statfs', () => {
  boot();
  save('/f', 'hello');
  assert.is(call('statx', AT_FDCWD, str('/f'), AT_SYMLINK_NOFOLLOW, 0xfff, buffer), 0);
  assert.is(word64(buffer + 40), 5);
  assert.is((peek_words(buffer, 1)[0] as number) & 0xfff, 0xfff);
  assert.is(call('statfs', str('/'), buffer), 0);
  assert.is(word64(buffer), 0x01021994);
  assert.is(word64(buffer + 64), 255);
});

test('mount, bind, umount', () => {
  boot();
  call('mkdir', str('/m'), 0o755);
  call('mkdir', str('/b'), 0o755);
  assert.is(call('mount', str('none'), str('/m'), str('tmpfs'), 0, str('size=64k')), 0);
  save('/m/f', 'x');
  assert.is(call('rename', str('/m/f'), str('/f')), -EXDEV);
  assert.is(call('rmdir', str('/m')), -EBUSY);
  assert.is(call('mount', str('/m'), str('/b'), 0, 4096, 0), 0);
  assert.is(stat('/b/f').size, 1);
  const fd = open('/b/f');
  assert.is(call('umount2', str('/b'), 0), -EBUSY);
  call('close', fd);
  assert.is(call('umount2', str('/b'), 0), 0);
  assert.is(call('umount2', str('/b'), 0), -EINVAL);
  call('chdir', str('/m'));
  assert.is(call('getcwd', buffer, 100), 3);
  assert.is(call('umount2', str('/m'), 2), 0, 'a lazy unmount takes the tree away at once');
  assert.is(stat('/m/f').result, -ENOENT);
  assert.is(stat('f').size, 1);
  assert.is(call('mount', str('none'), str('/m'), str('nosuchfs'), 0, 0), -19);
});

test('extended attributes', () => {
  boot();
  save('/f', 'x');
  poke(buffer, 'value');
  assert.is(call('setxattr', str('/f'), str('user.a'), buffer, 5, 0), 0);
  assert.is(call('setxattr', str('/f'), str('user.a'), buffer, 5, 1), -EEXIST);
  assert.is(call('getxattr', str('/f'), str('user.a'), buffer + 100, 100), 5);
  assert.is(peek(buffer + 100, 5), 'value');
  assert.is(call('getxattr', str('/f'), str('user.a'), buffer, 2), -ERANGE);
  assert.is(call('getxattr', str('/f'), str('user.b'), buffer, 2), -ENODATA);
  assert.is(call('setxattr', str('/f'), str('other.a'), buffer, 5, 0), -EOPNOTSUPP);
  assert.is(call('listxattr', str('/f'), buffer, 100), 7);
  assert.is(call('removexattr', str('/f'), str('user.a')), 0);
  assert.is(call('listxattr', str('/f'), buffer, 100), 0);
});

test('flock between two open files', () => {
  boot();
  save('/f', 'x');
  const a = open('/f');
  const b = open('/f');
  assert.is(call('flock', a, LOCK_SH), 0);
  assert.is(call('flock', b, LOCK_SH), 0);
  assert.is(call('flock', a, LOCK_EX | LOCK_NB), -EAGAIN);
  assert.is(call('flock', b, LOCK_UN), 0);
  assert.is(call('flock', b, LOCK_EX | LOCK_NB), 0, 'a failed conversion gave the old lock up');
  assert.is(call('close', b), 0);
  assert.is(call('flock', a, LOCK_EX | LOCK_NB), 0);
});

test.run();
