import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EBADF, EEXIST, EINVAL, ENOENT, ENOTDIR } from '../../../engine/abi/errno.ts';
import { O_CREAT, O_NONBLOCK, O_RDWR } from '../../../engine/abi/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_ATTRIB,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_ISDIR,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_ONESHOT,
  IN_ONLYDIR,
  IN_OPEN,
  IN_Q_OVERFLOW,
  IN_UNMOUNT,
} from '../../../engine/abi/inotify.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { AnonRoot } from '../../../engine/fs/anon/epoll.layout.ts';
import { inotify_slab } from '../../../engine/fs/anon/inotify.ts';
import { anon_root } from '../../../engine/fs/anon/root.ts';
import { procfs_create } from '../../../engine/fs/proc/proc.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { vfs_root } from '../../../engine/vfs/root.ts';
import { VfsRoot } from '../../../engine/vfs/vfs.layout.ts';
import { ASLEEP, call, peek, peek_words, poke, user_pages, words } from '../../support/calls.ts';
import { test_kernel } from '../../support/kernel.ts';

let buffer = 0;
let names = 0;

function boot(): void {
  const k = test_kernel();
  buffer = user_pages(k, 4);
  names = user_pages(k, 2);
}

function str(text: string, at = names): number {
  poke(at, `${text}\0`);
  return at;
}

function make(path: string): number {
  return call('open', str(path), O_RDWR | O_CREAT, 0o644) as number;
}

function watch(fd: number, path: string, mask: number): number {
  return call('inotify_add_watch', fd, str(path), mask) as number;
}

interface Seen {
  readonly wd: number;
  readonly mask: number;
  readonly name: string;
}

/** Everything in the queue, and the cookies of it. */
let cookies: number[] = [];
function drain(fd: number): Seen[] {
  const seen: Seen[] = [];
  cookies = [];
  for (;;) {
    const n = call('read', fd, buffer, 4096) as number;
    if (n === -EAGAIN) return seen;
    assert.ok(n > 0, `read: ${n}`);
    for (let at = buffer; at < buffer + n; ) {
      const [wd, mask, cookie, length] = peek_words(at, 4) as [number, number, number, number];
      const name = length === 0 ? '' : (peek(at + 16, length) as string).replace(/\0+$/, '');
      seen.push({ wd, mask: mask >>> 0, name });
      cookies.push(cookie);
      at += 16 + length;
    }
  }
}

const event = (wd: number, mask: number, name = ''): Seen => ({ wd, mask, name });

test('a directory tells of its entries, a file of itself', () => {
  boot();
  call('mkdir', str('/d'), 0o755);
  const fd = call('inotify_init1', O_NONBLOCK) as number;
  const d = watch(fd, '/d', IN_ALL_EVENTS);
  const file = make('/d/f');
  assert.equal(drain(fd), [event(d, IN_CREATE, 'f'), event(d, IN_OPEN, 'f')]);
  const f = watch(fd, '/d/f', IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF);
  poke(buffer, 'xx');
  call('write', file, buffer, 1);
  call('write', file, buffer, 1);
  call('fchmod', file, 0o600);
  call('close', file);
  assert.equal(drain(fd), [
    event(d, IN_MODIFY, 'f'),
    event(f, IN_MODIFY),
    event(d, IN_MODIFY, 'f'),
    event(f, IN_MODIFY),
    event(d, IN_ATTRIB, 'f'),
    event(f, IN_ATTRIB),
    event(d, IN_CLOSE_WRITE, 'f'),
  ]);
  const long = 'n'.repeat(100);
  call('rename', str('/d/f'), str(`/d/${long}`, names + 512));
  assert.equal(drain(fd), [event(d, IN_MOVED_FROM, 'f'), event(d, IN_MOVED_TO, long), event(f, IN_MOVE_SELF)]);
  assert.ok(cookies[0] !== 0 && cookies[0] === cookies[1] && cookies[2] === 0);
  call('mkdir', str('/d/e'), 0o755);
  call('rmdir', str('/d/e'));
  call('unlink', str(`/d/${long}`));
  assert.equal(drain(fd), [
    event(d, IN_CREATE | IN_ISDIR, 'e'),
    event(d, IN_DELETE | IN_ISDIR, 'e'),
    event(f, IN_ATTRIB),
    event(f, IN_DELETE_SELF),
    event(f, IN_IGNORED),
    event(d, IN_DELETE, long),
  ]);
  assert.is(VfsRoot.watches.load(vfs_root()), 1);
});

test('a file that is still open ends with its last descriptor', () => {
  boot();
  const fd = call('inotify_init1', O_NONBLOCK) as number;
  const file = make('/f');
  const f = watch(fd, '/f', IN_DELETE_SELF);
  const excluded = watch(fd, '/', IN_MODIFY | IN_EXCL_UNLINK);
  call('unlink', str('/f'));
  call('write', file, buffer, 1);
  assert.equal(drain(fd), [], `${excluded}: an unlinked entry is no event`);
  call('close', file);
  assert.equal(drain(fd), [event(f, IN_DELETE_SELF), event(f, IN_IGNORED)]);
});

test('masks, errors, one shot and overflow', () => {
  boot();
  call('close', make('/f'));
  const fd = call('inotify_init1', O_NONBLOCK) as number;
  assert.is(watch(fd, '/f', 0), -EINVAL);
  assert.is(watch(fd, '/none', IN_OPEN), -ENOENT);
  assert.is(watch(fd, '/f', IN_OPEN | IN_ONLYDIR), -ENOTDIR);
  assert.is(watch(99, '/f', IN_OPEN), -EBADF);
  assert.is(call('inotify_init1', 1), -EINVAL);
  const wd = watch(fd, '/f', IN_OPEN);
  assert.is(watch(fd, '/f', IN_OPEN | IN_MASK_CREATE), -EEXIST);
  assert.is(watch(fd, '/f', IN_CLOSE_WRITE | IN_MASK_ADD), wd);
  call('close', make('/f'));
  assert.is(call('ioctl', fd, 0x541b, buffer), 0);
  assert.is(peek_words(buffer, 1)[0], 32);
  assert.is(call('read', fd, buffer, 15), -EINVAL);
  assert.equal(drain(fd), [event(wd, IN_OPEN), event(wd, IN_CLOSE_WRITE)]);
  assert.is(call('inotify_rm_watch', fd, wd), 0);
  assert.is(call('inotify_rm_watch', fd, wd), -EINVAL);
  const once = watch(fd, '/f', IN_OPEN | IN_ONESHOT);
  call('close', make('/f'));
  call('close', make('/f'));
  assert.equal(drain(fd), [event(wd, IN_IGNORED), event(once, IN_OPEN), event(once, IN_IGNORED)]);
  AnonRoot.inotify_max_events.store(anon_root(), 2);
  const again = watch(fd, '/f', IN_OPEN | IN_CLOSE_WRITE);
  assert.ok(again > once);
  for (let i = 0; i < 3; i++) call('close', make('/f'));
  assert.equal(drain(fd), [event(again, IN_OPEN), event(again, IN_CLOSE_WRITE), event(-1, IN_Q_OVERFLOW)]);
});

test('unmounting and closing let go of what is watched; an empty queue is waited for', () => {
  boot();
  call('mkdir', str('/m'), 0o755);
  str('tmpfs', names + 512);
  assert.is(call('mount', names + 512, str('/m'), names + 512, 0, 0), 0);
  call('close', make('/m/f'));
  const fd = call('inotify_init1', O_NONBLOCK) as number;
  const f = watch(fd, '/m/f', IN_ALL_EVENTS);
  assert.is(call('umount2', str('/m'), 0), 0);
  assert.equal(drain(fd), [event(f, IN_UNMOUNT), event(f, IN_IGNORED)]);
  const inodes = inodes_live();
  call('close', make('/g'));
  watch(fd, '/g', IN_ALL_EVENTS);
  watch(fd, '/', IN_ALL_EVENTS);
  call('unlink', str('/g'));
  call('close', fd);
  assert.is(inotify_slab.live(), 0);
  assert.is(VfsRoot.watches.load(vfs_root()), 0);
  assert.is(inodes_live(), inodes);
  const blocking = call('inotify_init') as number;
  watch(blocking, '/', IN_CREATE);
  assert.is(call('read', blocking, buffer, 100), ASLEEP);
});

test('polling /proc/mounts tells of each change of the mount tree once', () => {
  const k = test_kernel();
  buffer = user_pages(k, 4);
  names = user_pages(k, 2);
  k.space.mkdir('/proc');
  k.space.mkdir('/m');
  assert.ok(k.space.mount(procfs_create() as Ptr<'SuperBlock'>, '/proc') > 0);
  const fd = call('open', str('/proc/self/mounts'), 0, 0) as number;
  assert.ok(fd >= 0);
  const POLLPRI = 2;
  const POLLERR = 8;
  poke(buffer, words(fd, POLLPRI));
  const revents = (): number => {
    call('poll', buffer, 1, 0);
    return (peek_words(buffer + 4, 1)[0] as number) >>> 16;
  };
  assert.is(revents(), 0);
  str('tmpfs', names + 512);
  assert.is(call('mount', names + 512, str('/m'), names + 512, 0, 0), 0);
  assert.is(revents(), POLLERR | POLLPRI);
  assert.is(revents(), 0);
  assert.is(call('poll', buffer, 1, -1), ASLEEP);
});

test.run();
