import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EBADF, EMFILE } from '../../../engine/abi/errno.ts';
import { O_CLOEXEC, O_RDONLY, O_RDWR } from '../../../engine/abi/fcntl.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import {
  fd_close,
  fd_file,
  fd_fill,
  fd_flags,
  fd_install,
  fd_replace,
  fd_reserve,
  fd_set_flags,
  fd_unreserve,
  files_next,
  files_slab,
  held_files_slab,
  hold_file,
  release_held_files,
} from '../../../engine/kernel/fd_table.ts';
import { NR_OPEN } from '../../../engine/kernel/files.layout.ts';
import {
  files_close_on_exec,
  files_close_range,
  files_copy,
  files_get,
  files_put,
} from '../../../engine/kernel/files.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { File } from '../../../engine/vfs/file.layout.ts';
import { anon_file, file_get, file_put, file_slab, register_file_operations } from '../../../engine/vfs/file.ts';
import { fake_task } from '../../support/fake_task.ts';
import { test_memory } from '../../support/memory.ts';

const KIND = 60;
let released: number[] = [];
register_file_operations(KIND, {
  name: 'test',
  read: () => 0,
  write: () => 0,
  poll: () => 0,
  queue: () => 0 as Ptr<'WaitQueue'>,
  seek: () => 0,
  ioctl: () => 0,
  release: (file) => {
    released.push(File.object.get(file));
  },
});

function setup(): { task: Ptr<'Task'>; files: Ptr<'Files'> } {
  test_memory();
  released = [];
  const task = fake_task();
  return { task, files: Task.files.get(task) };
}

function make(tag: number, flags = O_RDWR): Ptr<'File'> {
  return anon_file(KIND, tag, flags);
}

test('the lowest free descriptor is allotted, with holes and floors', () => {
  const { files } = setup();
  for (let i = 0; i < 100; i++) assert.is(fd_install(files, make(i), 0), i);
  assert.is(fd_close(files, 70), 0);
  assert.is(fd_close(files, 3), 0);
  assert.equal(released, [70, 3]);
  assert.is(fd_close(files, 3), -EBADF);
  assert.is(fd_install(files, make(1), 0, 10), 70);
  assert.is(fd_install(files, make(2), 0, 10), 100);
  assert.is(fd_install(files, make(3), 0), 3);
  assert.is(fd_install(files, make(4), 0), 101);
  files_put(files);
  assert.is(file_slab.live(), 0);
  assert.is(files_slab.live(), 0);
});

test('full pages are stepped over and the end of the table is EMFILE', () => {
  const { files } = setup();
  const file = make(1);
  for (let i = 0; i < 3000; i++) assert.is(fd_install(files, file_get(file), 0), i);
  fd_close(files, 2999);
  assert.is(fd_install(files, file_get(file), 0, 64), 2999);
  assert.is(fd_install(files, file_get(file), 0, NR_OPEN - 1), NR_OPEN - 1);
  assert.is(fd_install(files, file, 0, NR_OPEN - 1), -EMFILE);
  assert.is(fd_replace(files, NR_OPEN, file, 0), -EBADF);
  assert.is(fd_file(NR_OPEN + 5), 0);
  assert.is(fd_file(-1), 0);
  assert.is(fd_file(200000), 0);
  files_put(files);
  assert.equal(released, []);
  file_put(file);
  assert.equal(released, [1]);
});

test('a reserved descriptor is taken but has no file', () => {
  const { files } = setup();
  const fd = fd_reserve(files, 0);
  assert.is(fd_file(fd), 0);
  assert.is(fd_close(files, fd), -EBADF);
  assert.is(fd_reserve(files, 0), 1);
  fd_unreserve(files, 1);
  const file = make(9);
  fd_fill(files, fd, file, true);
  assert.is(fd_file(fd), file);
  assert.is(fd_flags(files, fd), 1);
  assert.is(fd_install(files, make(10), 0), 1);
});

test('close-on-exec marks, sweeps and ranges', () => {
  const { files } = setup();
  for (let i = 0; i < 10; i++) fd_install(files, make(i), i % 2 === 0 ? O_CLOEXEC : O_RDONLY);
  fd_set_flags(files, 0, false);
  files_close_range(files, 7, 8, true);
  files_close_on_exec(files);
  assert.equal(released, [2, 4, 6, 7, 8]);
  files_close_range(files, 3, 0xffffffff, false);
  assert.equal(released, [2, 4, 6, 7, 8, 3, 5, 9]);
  assert.is(files_next(files, 2), -1);
});

test('a copy shares descriptions and keeps its own descriptors', () => {
  const { files } = setup();
  for (let i = 0; i < 80; i++) fd_install(files, make(i), i === 5 ? O_CLOEXEC : 0);
  const copy = files_copy(files);
  fd_close(files, 5);
  assert.equal(released, []);
  assert.is(fd_flags(copy, 5), 1);
  assert.is(fd_flags(files, 5), -EBADF);
  fd_close(copy, 5);
  assert.equal(released, [5]);
  files_put(copy);
  assert.equal(released, [5]);
  files_put(files);
  assert.is(released.length, 80);
  assert.is(file_slab.live(), 0);
});

test('dup2 drops the file it replaces', () => {
  const { files } = setup();
  fd_install(files, make(1), 0);
  assert.is(fd_replace(files, 70, make(2), O_CLOEXEC), 70);
  assert.is(fd_replace(files, 70, make(3), 0), 70);
  assert.equal(released, [2]);
  assert.is(fd_flags(files, 70), 0);
});

test('a shared table counts references until the call ends', () => {
  const { task, files } = setup();
  const file = make(1);
  fd_install(files, file, 0);
  assert.is(fd_file(0), file);
  assert.is(File.refs.load(file), 1);
  files_get(files);
  assert.is(fd_file(0), file);
  assert.is(File.refs.load(file), 2);
  fd_close(files, 0);
  assert.equal(released, []);
  release_held_files(task);
  assert.equal(released, [1]);
  assert.is(Task.held_count.get(task), 0);
});

test('a blocked call finds the same file again after a close', () => {
  const { task, files } = setup();
  const first = make(1);
  fd_install(files, first, 0);
  assert.ok(hold_file(0, first));
  assert.ok(hold_file(0, first));
  fd_close(files, 0);
  fd_install(files, make(2), 0);
  assert.is(fd_file(0), first);
  release_held_files(task);
  assert.equal(released, [1]);
  assert.not.equal(fd_file(0), 0);
});

test('any number of files can be held', () => {
  const { task, files } = setup();
  for (let i = 0; i < 500; i++) {
    const file = make(i);
    assert.ok(hold_file(-1, file));
    file_put(file);
  }
  assert.equal(released, []);
  release_held_files(task);
  assert.is(released.length, 500);
  assert.is(held_files_slab.live(), 0);
  files_put(files);
});

test.run();
