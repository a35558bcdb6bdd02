import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY } from '../../../engine/abi/errno.ts';
import { O_CREAT, O_EXCL, O_RDWR, O_TMPFILE } from '../../../engine/abi/fcntl.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from '../../../engine/abi/path.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { tmpfs_create } from '../../../engine/fs/tmpfs/memory_super.ts';
import { dentries_live } from '../../../engine/vfs/dcache.ts';
import { inode_operations, inodes_live } from '../../../engine/vfs/inode.ts';
import { LOOKUP_EMPTY } from '../../../engine/vfs/path.ts';
import { test_memory } from '../../support/memory.ts';
import { boot_vfs, TestSpace } from '../../support/vfs.ts';

function space(options = {}): TestSpace {
  test_memory();
  boot_vfs();
  return new TestSpace(tmpfs_create(options) as Ptr<'SuperBlock'>);
}

function end(s: TestSpace): void {
  assert.is(s.close(), 0);
  assert.is(dentries_live(), 0, 'dentries left');
  assert.is(inodes_live(), 0, 'inodes left');
}

test('files hold data across pages, with holes that read as zeros', () => {
  const s = space();
  const file = s.open('/f', O_RDWR | O_CREAT);
  assert.ok(file > 0);
  assert.is(s.write(file, 4090, 'hello world'), 11);
  assert.is(s.read(file, 4085, 100), '\0\0\0\0\0hello world');
  assert.is(s.write(file, 1 << 20, 'x'), 1);
  s.stat('/f');
  assert.is(s.status.size, (1 << 20) + 1);
  assert.is(s.status.blocks, 24);
  assert.is(s.truncate('/f', 4092), 0);
  assert.is(s.truncate('/f', 5000), 0);
  assert.is(s.read(file, 4088, 1000), '\0\0he' + '\0'.repeat(908));
  s.put(file);
  end(s);
});

test('names: create, link, rename, exchange, remove', () => {
  const s = space();
  assert.is(s.mkdir('/a'), 0);
  assert.is(s.mkdir('/a'), -EEXIST);
  assert.is(s.save('/a/x', 'one'), 0);
  assert.is(s.link('/a/x', '/a/y'), 0);
  assert.is(s.stat('/a/y'), 0);
  assert.is(s.status.nlink, 2);
  assert.is(s.rename('/a/x', '/z'), 0);
  assert.is(s.rename('/z', '/a/y'), 0, 'two names of one inode: nothing happens');
  assert.is(s.cat('/z'), 'one');
  assert.is(s.save('/w', 'two'), 0);
  assert.is(s.rename('/w', '/z', RENAME_NOREPLACE), -EEXIST);
  assert.is(s.rename('/w', '/a', RENAME_EXCHANGE), 0);
  assert.is(s.cat('/a'), 'two');
  assert.equal(s.names('/w'), ['y']);
  assert.is(s.rmdir('/w'), -ENOTEMPTY);
  assert.is(s.unlink('/w'), -EISDIR);
  assert.is(s.unlink('/w/y'), 0);
  assert.is(s.rmdir('/w'), 0);
  assert.equal(s.names('/'), ['a', 'z']);
  assert.is(s.mkdir('/d/e'), -ENOENT);
  assert.is(s.mkdir('/a/e'), -ENOTDIR);
  s.mkdir('/p');
  s.mkdir('/p/q');
  assert.is(s.rename('/p', '/p/q/r'), -EINVAL);
  end(s);
});

test('symbolic links: chains, loops, trailing slashes, missing targets', () => {
  const s = space();
  s.mkdir('/d');
  s.save('/d/f', 'data');
  assert.is(s.symlink('d', '/l'), 0);
  assert.is(s.symlink('/l/f', '/m'), 0);
  assert.is(s.cat('/m'), 'data');
  assert.is(s.readlink('/m'), '/l/f');
  s.symlink('loop', '/loop');
  assert.is(s.stat('/loop'), -ELOOP);
  assert.is(s.stat('/loop', false), 0);
  assert.is(s.stat('/m/'), -ENOTDIR);
  s.symlink('new', '/dangling');
  assert.is(s.open('/dangling', O_CREAT | O_EXCL | O_RDWR), -EEXIST);
  assert.is(s.save('/dangling', 'made'), 0);
  assert.is(s.cat('/new'), 'made');
  const long = 'x'.repeat(300);
  assert.is(s.symlink(long, '/long'), 0);
  assert.is(s.readlink('/long'), long);
  end(s);
});

test('an unlinked open file lives on; O_TMPFILE can be given a name', () => {
  const s = space();
  const file = s.open('/f', O_RDWR | O_CREAT);
  s.write(file, 0, 'alive');
  assert.is(s.unlink('/f'), 0);
  assert.is(s.read(file, 0, 10), 'alive');
  assert.is(s.stat('/f'), -ENOENT);
  s.put(file);
  const unnamed = s.open('/', O_TMPFILE | O_RDWR);
  assert.ok(unnamed > 0, `O_TMPFILE: ${unnamed}`);
  s.write(unnamed, 0, 'named later');
  s.context.start = unnamed as Ptr<'File'>;
  assert.is(LOOKUP_EMPTY, 4);
  s.put(unnamed);
  s.context.start = 0 as Ptr<'File'>;
  end(s);
});

test('limits of data and of inodes are ENOSPC, and freeing gives room again', () => {
  const s = space({ size: 16 * 4096, inodes: 4 });
  assert.is(s.save('/a', 'x'.repeat(10 * 4096)), 0);
  const b = s.open('/b', O_RDWR | O_CREAT);
  assert.is(s.write(b, 0, 'y'.repeat(10 * 4096)), 6 * 4096);
  assert.is(s.write(b, 6 * 4096, 'y'), -ENOSPC);
  assert.is(s.unlink('/a'), 0);
  assert.is(s.write(b, 6 * 4096, 'y'), 1);
  assert.is(s.mkdir('/c'), 0);
  assert.is(s.mkdir('/d'), 0);
  assert.is(s.mkdir('/e'), -ENOSPC);
  s.put(b);
  end(s);
});

test('fallocate reserves and punches', () => {
  const s = space();
  s.save('/f', 'abcdefgh'.repeat(2048));
  const punched = s.with_inode('/f', 0, (inode) => {
    const allocate = inode_operations(inode).allocate;
    return allocate?.(inode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4, 8188) ?? -1;
  });
  assert.is(punched, 0);
  const text = s.cat('/f') as string;
  assert.is(text.slice(0, 5), 'abcd\0');
  assert.is(text.slice(8190, 8194), '\0\0ab');
  s.stat('/f');
  assert.is(s.status.blocks, 24);
  end(s);
});

test('getdents in small steps sees each entry once, also while names go', () => {
  const s = space();
  for (let i = 0; i < 100; i++) s.save(`/f${i}`, '');
  const seen = s.list('/', 3);
  assert.ok(Array.isArray(seen));
  assert.is(new Set(seen.map(({ name }) => name)).size, 102);
  assert.is(seen.length, 102);
  for (let i = 0; i < 100; i += 2) s.unlink(`/f${i}`);
  assert.is((s.names('/') as string[]).length, 50);
  end(s);
});

test('a directory deeper than any stack is dismantled', () => {
  const s = space({ inodes: 5000 });
  for (let i = 0; i < 2000; i++) {
    assert.is(s.mkdir('d'), 0);
    assert.is(s.chdir('d'), 0);
  }
  end(s);
});

test.run();
