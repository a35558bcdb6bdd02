import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENOENT, EROFS } from '../../../engine/abi/errno.ts';
import { boot_mounts, unmount_all } from '../../../engine/fs/boot_mounts.ts';
import { install_host_files } from '../../../engine/fs/host/host_files.ts';
import { node_files } from '../../../engine/host/files.ts';
import { dentries_live } from '../../../engine/vfs/dcache.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { vfs_root } from '../../../engine/vfs/root.ts';
import { VfsRoot } from '../../../engine/vfs/vfs.layout.ts';
import { temporary_directory } from '../../support/host_tree.ts';
import { test_memory } from '../../support/memory.ts';
import { boot_vfs, make_credentials, TestSpace } from '../../support/vfs.ts';

test('a root under an overlay, volumes in it, and nothing left at the end', () => {
  const root = temporary_directory();
  const shared = temporary_directory();
  fs.mkdirSync(join(root, 'etc'));
  fs.writeFileSync(join(root, 'etc/name'), 'lower');
  fs.writeFileSync(join(shared, 'f'), 'volume');
  test_memory();
  boot_vfs();
  install_host_files(node_files);
  const volumes = [
    { host: shared, guest: '/mnt/rw', read_only: false },
    { host: shared, guest: '/mnt/ro', read_only: true },
  ];
  assert.is(boot_mounts({ root, volumes }), null);
  const s = TestSpace.at_mount(VfsRoot.root_mount.get(vfs_root()));
  s.context.credentials = make_credentials(0, 0);
  assert.is(s.cat('/etc/name'), 'lower');
  assert.is(s.save('/etc/name', 'upper'), 0);
  assert.is(s.cat('/mnt/ro/f'), 'volume');
  assert.is(s.save('/mnt/ro/f', 'x'), -EROFS);
  assert.is(s.save('/mnt/rw/g', 'made'), 0);
  assert.is(s.cat('/dev/null'), '');
  assert.is(s.readlink('/dev/fd'), '/proc/self/fd');
  assert.is(s.stat('/tmp'), 0);
  assert.is(s.status.mode & 0o7777, 0o1777);
  s.leave();
  unmount_all();
  assert.is(dentries_live(), 0, 'dentries left');
  assert.is(inodes_live(), 0, 'inodes left');
  assert.is(fs.readFileSync(join(root, 'etc/name'), 'utf8'), 'lower');
  assert.is(fs.readFileSync(join(shared, 'g'), 'utf8'), 'made');
});

test('a root that is not there is a failure with its errno', () => {
  test_memory();
  boot_vfs();
  install_host_files(node_files);
  const failure = boot_mounts({ root: '/no/such/directory' });
  assert.equal(failure, { path: '/no/such/directory', error: -ENOENT });
});

test.run();
