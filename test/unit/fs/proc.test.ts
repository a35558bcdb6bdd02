import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EACCES, EIO, ENOENT, ENOTDIR, ESRCH } from '../../../engine/abi/errno.ts';
import { O_RDWR, O_WRONLY } from '../../../engine/abi/fcntl.ts';
import { S_IFLNK, S_IFMT } from '../../../engine/abi/stat.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { pipe_ends, pipe_open, pipe_slab } from '../../../engine/fs/anon/pipe.ts';
import { populate_dev } from '../../../engine/fs/dev/populate.ts';
import { procfs_create } from '../../../engine/fs/proc/proc.ts';
import { sysfs_create } from '../../../engine/fs/sys/sys.ts';
import { tmpfs_create } from '../../../engine/fs/tmpfs/memory_super.ts';
import { fd_close, fd_install } from '../../../engine/kernel/fd_table.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { dentries_live } from '../../../engine/vfs/dcache.ts';
import { fs_context_put } from '../../../engine/vfs/fs_context.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { type TestKernel, test_kernel } from '../../support/kernel.ts';

function setup(): TestKernel {
  const k = test_kernel();
  k.space.mkdir('/proc');
  k.space.mkdir('/sys');
  k.space.mkdir('/dev');
  assert.ok(k.space.mount(procfs_create() as Ptr<'SuperBlock'>, '/proc') > 0);
  assert.ok(k.space.mount(sysfs_create() as Ptr<'SuperBlock'>, '/sys') > 0);
  assert.ok(k.space.mount(tmpfs_create({ mode: 0o755 }) as Ptr<'SuperBlock'>, '/dev') > 0);
  assert.is(populate_dev(k.space.context, '/dev'), 0);
  return k;
}

test('self leads to the process, whose files tell of it', () => {
  const { space: s, task } = setup();
  const pid = Task.tid.get(task);
  assert.is(s.readlink('/proc/self'), String(pid));
  assert.is(s.readlink('/proc/thread-self'), `${pid}/task/${pid}`);
  assert.is(s.cat('/proc/self/comm'), 'test\n');
  const stat = String(s.cat('/proc/self/stat')).trim().split(' ');
  assert.is(stat.length, 52);
  assert.is(stat[0], String(pid));
  assert.is(stat[1], '(test)');
  const status = String(s.cat(`/proc/${pid}/status`));
  assert.match(status, new RegExp(`^Name:\ttest\n[^]*\nPid:\t${pid}\n[^]*\nUid:\t0\t0\t0\t0\n`));
  assert.match(String(s.cat('/proc/self/limits')), /\nMax open files {12}1024 {17}524288 {15}files /);
  assert.is(s.cat('/proc/self/task/' + pid + '/comm'), 'test\n');
  assert.is(s.stat('/proc/4000'), -ENOENT);
  assert.is(s.stat('/proc/self/comm/x'), -ENOTDIR);
});

test('directories list what can be looked up', () => {
  const { space: s, task } = setup();
  const pid = String(Task.tid.get(task));
  const names = s.names('/proc') as string[];
  assert.ok(names.includes(pid) && names.includes('meminfo') && names.includes('self'));
  for (const path of ['/proc', '/proc/self', '/proc/sys/kernel', '/sys', '/sys/devices/system/cpu'])
    for (const { name, ino, type } of s.list(path, 3) as { name: string; ino: number; type: number }[]) {
      if (name === '.' || name === '..') continue;
      assert.is(s.stat(`${path}/${name}`, false), 0, `${path}/${name}`);
      assert.is(s.status.ino, ino);
      assert.is((s.status.mode & S_IFMT) >> 12, type);
    }
  assert.equal(s.names('/proc/self/task'), [pid]);
});

test('descriptors are links to what is open', () => {
  const { space: s, files } = setup();
  s.save('/file', 'hello');
  const file = s.open('/file', O_RDWR);
  fd_install(files, file as Ptr<'File'>, 0);
  pipe_open(0);
  fd_install(files, pipe_ends.read, 0, 5);
  fd_install(files, pipe_ends.write, 0, 6);
  assert.equal(s.names('/proc/self/fd'), ['0', '5', '6']);
  assert.is(s.readlink('/proc/self/fd/0'), '/file');
  assert.match(String(s.readlink('/proc/self/fd/5')), /^pipe:\[\d+\]$/);
  assert.is(s.cat('/proc/self/fd/0'), 'hello');
  assert.is(s.cat('/dev/stdin'), 'hello');
  assert.match(String(s.cat('/proc/self/fdinfo/0')), /^pos:\t0\nflags:\t02\nmnt_id:\t\d+\n$/);
  assert.is(s.stat('/proc/self/fd/1', false), -ENOENT);
  assert.is(s.stat('/proc/self/fd/6', false), 0);
  assert.is(s.status.mode & S_IFMT, S_IFLNK);
  for (const fd of [0, 5, 6]) fd_close(files, fd);
  assert.equal(s.names('/proc/self/fd'), []);
  assert.is(s.readlink('/proc/self/cwd'), '/');
  assert.is(s.readlink('/proc/self/exe'), -ENOENT);
  assert.is(ESRCH, 3);
});

test('a pipe can be opened again through its descriptor, and written through /dev/stdout', () => {
  const { space: s, files } = setup();
  pipe_open(0);
  const { read, write } = pipe_ends;
  fd_install(files, read, 0, 0);
  fd_install(files, write, 0, 1);
  assert.is(s.save('/dev/stdout', 'again'), 0);
  const file = s.open('/dev/stdin', 0);
  assert.ok(file > 0);
  assert.is(s.read(file, -1, 5), 'again');
  fd_close(files, 0);
  assert.is(s.save('/proc/self/fd/1', 'x'), 0);
  s.put(file);
  fd_close(files, 1);
  assert.is(pipe_slab.live(), 0);
});

test('what can be written takes effect, the rest refuses', () => {
  const { space: s } = setup();
  assert.is(s.save('/proc/self/comm', 'a name that is too long'), 0);
  assert.is(s.cat('/proc/self/comm'), 'a name that is \n');
  assert.is(s.save('/proc/sys/kernel/hostname', 'box\n'), 0);
  assert.is(s.cat('/proc/sys/kernel/hostname'), 'box\n');
  const file = s.open('/proc/uptime', O_WRONLY);
  assert.is(s.write(file, 0, 'x'), -EIO);
  s.put(file);
  s.as(1000, 1000);
  assert.is(s.open('/proc/uptime', O_WRONLY), -EACCES);
  assert.is(s.open('/proc/self/environ', 0), -EACCES);
});

test('the machine tells of itself', () => {
  const { space: s } = setup();
  assert.match(String(s.cat('/proc/meminfo')), /^MemTotal: +\d+ kB\nMemFree: +\d+ kB\n/);
  assert.is(String(s.cat('/proc/cpuinfo')).match(/^processor/gm)?.length, 2);
  assert.match(String(s.cat('/proc/mounts')), /^test \/ tmpfs rw,relatime 0 0\n/);
  assert.match(String(s.cat('/proc/self/mountinfo')), / \/proc rw,relatime - proc test rw\n/);
  assert.is(s.cat('/sys/devices/system/cpu/online'), '0-1\n');
  assert.equal(s.names('/sys/devices/system/cpu/cpu1/topology'), [
    'core_id',
    'physical_package_id',
    'thread_siblings_list',
  ]);
  assert.match(
    String(s.cat('/proc/sys/kernel/random/uuid')),
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/,
  );
});

test('memory devices', () => {
  const { space: s } = setup();
  assert.is(s.cat('/dev/null'), '');
  assert.is(s.save('/dev/null', 'gone'), 0);
  const zero = s.open('/dev/zero', O_RDWR);
  assert.is(s.read(zero, 0, 5), '\0\0\0\0\0');
  s.put(zero);
  const full = s.open('/dev/full', O_RDWR);
  assert.is(s.write(full, 0, 'x'), -28);
  s.put(full);
  const random = s.open('/dev/urandom', 0);
  assert.is.not(s.read(random, 0, 16), s.read(random, 0, 16));
  s.put(random);
});

test('nothing is left when the name space is closed', () => {
  const { space: s, task } = setup();
  s.cat('/proc/self/status');
  s.list('/proc/self/fd');
  s.cat('/sys/devices/system/cpu/cpu0/online');
  fs_context_put(Task.fs.get(task));
  assert.is(s.close(), 0);
  assert.is(dentries_live(), 0, 'dentries left');
  assert.is(inodes_live(), 0, 'inodes left');
});

test.run();
