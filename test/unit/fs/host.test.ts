import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EIO, ENOENT, ENOTEMPTY, ENXIO, EROFS } from '../../../engine/abi/errno.ts';
import { O_APPEND, O_RDWR } from '../../../engine/abi/fcntl.ts';
import { faults_countdown, set_faults } from '../../../engine/heap/fault_injection.ts';
import { dentries_live } from '../../../engine/vfs/dcache.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { host_super, overlay_super, temporary_directory } from '../../support/host_tree.ts';
import { test_memory } from '../../support/memory.ts';
import { boot_vfs, TestSpace } from '../../support/vfs.ts';

function handles(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

function volume(path: string, writable = true): TestSpace {
  test_memory();
  boot_vfs();
  return new TestSpace(host_super(path, { writable, volatile: true }));
}

function overlay(path: string, size?: number): TestSpace {
  test_memory();
  boot_vfs();
  return new TestSpace(overlay_super(path, size));
}

function end(s: TestSpace): void {
  assert.is(s.close(), 0);
  assert.is(dentries_live(), 0, 'dentries left');
  assert.is(inodes_live(), 0, 'inodes left');
}

function tree(): string {
  const path = temporary_directory();
  fs.mkdirSync(join(path, 'd/e'), { recursive: true });
  fs.writeFileSync(join(path, 'd/f'), 'lower data');
  fs.writeFileSync(join(path, 'd/big'), 'x'.repeat(10000));
  fs.symlinkSync('d/f', join(path, 'l'));
  fs.symlinkSync('/etc/passwd', join(path, 'absolute'));
  fs.symlinkSync('../../../../../../etc/passwd', join(path, 'upwards'));
  fs.linkSync(join(path, 'd/f'), join(path, 'hard'));
  return path;
}

test('an operation on the host fails with EIO where fault injection says so, and nothing is lost', () => {
  const before = handles();
  const results: (number | string)[] = [];
  for (let nth = 1; nth < 40; nth++) {
    const s = volume(tree(), false);
    set_faults(nth);
    const file = s.open('/d/f', 0);
    const text = file < 0 ? file : s.read(file, 0, 10);
    const reached = faults_countdown === 0;
    set_faults(0);
    if (file > 0) s.put(file);
    end(s);
    if (!reached) {
      assert.is(text, 'lower data');
      break;
    }
    results.push(text);
  }
  assert.ok(results.filter((result) => result === -EIO).length >= 3, results.join());
  // A name that could not be remembered, or attributes not looked at again, are no reason to fail.
  assert.ok(
    results.every((result) => result === 'lower data' || Number(result) < 0),
    results.join(),
  );
  assert.is(handles(), before);
});

test('a read-only host tree is shown as it is', () => {
  const path = tree();
  const before = handles();
  const s = volume(path, false);
  assert.is(s.cat('/l'), 'lower data');
  assert.equal(s.names('/'), ['absolute', 'd', 'hard', 'l', 'upwards']);
  const st = fs.statSync(join(path, 'd/f'), { bigint: true });
  s.stat('/hard');
  assert.is(s.status.nlink, 2);
  assert.is(s.status.size, 10);
  assert.is(
    s.status.mtime * 1e9 + s.status.mtime_ns,
    Number(st.mtimeNs / 1000000000n) * 1e9 + Number(st.mtimeNs % 1000000000n),
  );
  const ino = s.status.ino;
  s.stat('/d/f');
  assert.is(s.status.ino, ino, 'two names of one file are one inode');
  assert.is(s.save('/new', 'x'), -EROFS);
  assert.is(s.unlink('/hard'), -EROFS);
  end(s);
  assert.is(handles(), before, 'host handles left');
});

test('links of the host cannot lead outside', () => {
  const s = volume(tree());
  assert.is(s.stat('/absolute'), -ENOENT);
  assert.is(s.stat('/upwards'), -ENOENT);
  assert.is(s.stat('/../../etc/passwd'), -ENOENT);
  assert.is(s.readlink('/absolute'), '/etc/passwd');
  end(s);
});

test('a directory swapped for a link between two steps does not lead outside', () => {
  const path = tree();
  const secret = temporary_directory();
  fs.writeFileSync(join(secret, 'f'), 'secret');
  fs.mkdirSync(join(path, 'swap'));
  fs.writeFileSync(join(path, 'swap/f'), 'mine');
  const s = volume(path);
  assert.is(s.cat('/swap/f'), 'mine');
  fs.renameSync(join(path, 'swap'), join(path, 'moved'));
  fs.symlinkSync(secret, join(path, 'swap'));
  assert.not.equal(s.cat('/swap/f'), 'secret');
  fs.unlinkSync(join(path, 'swap'));
  fs.renameSync(join(path, 'moved'), join(path, 'swap'));
  for (let i = 0; i < 50; i++) {
    fs.renameSync(join(path, 'swap'), join(path, 'moved'));
    fs.symlinkSync(secret, join(path, 'swap'));
    assert.not.equal(s.cat('/swap/f'), 'secret');
    assert.not.equal(s.save('/swap/g', 'escape'), 0);
    fs.unlinkSync(join(path, 'swap'));
    fs.renameSync(join(path, 'moved'), join(path, 'swap'));
    assert.is(s.cat('/swap/f'), 'mine');
  }
  assert.equal(fs.readdirSync(secret), ['f']);
  end(s);
});

test('a volume: changes reach the host at once, and changes of the host are seen', () => {
  const path = tree();
  const before = handles();
  const s = volume(path);
  assert.is(s.save('/d/new', 'written'), 0);
  assert.is(fs.readFileSync(join(path, 'd/new'), 'utf8'), 'written');
  const file = s.open('/d/new', O_RDWR | O_APPEND);
  assert.is(s.write(file, 0, ' more'), 5);
  assert.is(s.read(file, 0, 100), 'written more');
  fs.writeFileSync(join(path, 'd/new'), 'changed outside');
  assert.is(s.cat('/d/new'), 'changed outside');
  s.put(file);
  assert.is(s.mkdir('/dir', 0o750), 0);
  assert.is(fs.statSync(join(path, 'dir')).mode & 0o777, 0o750);
  assert.is(s.symlink('target', '/dir/sym'), 0);
  assert.is(fs.readlinkSync(join(path, 'dir/sym')), 'target');
  assert.is(s.rename('/d/new', '/dir/renamed'), 0);
  assert.is(s.cat('/dir/renamed'), 'changed outside');
  assert.is(s.rmdir('/dir'), -ENOTEMPTY);
  assert.is(s.chmod('/dir/renamed', 0o600), 0);
  assert.is(fs.statSync(join(path, 'dir/renamed')).mode & 0o777, 0o600);
  assert.is(s.truncate('/dir/renamed', 3), 0);
  assert.is(fs.readFileSync(join(path, 'dir/renamed'), 'utf8'), 'cha');
  assert.is(s.unlink('/dir/renamed'), 0);
  assert.is(s.unlink('/dir/sym'), 0);
  assert.is(s.rmdir('/dir'), 0);
  assert.equal(fs.readdirSync(path).sort(), ['absolute', 'd', 'hard', 'l', 'upwards']);
  fs.writeFileSync(join(path, 'appeared'), '1');
  assert.is(s.cat('/appeared'), '1');
  fs.unlinkSync(join(path, 'appeared'));
  assert.is(s.stat('/appeared'), -ENOENT);
  end(s);
  assert.is(handles(), before, 'host handles left');
});

test('an unlinked volume file that is open lives on', () => {
  const path = tree();
  const s = volume(path);
  const file = s.open('/d/big', O_RDWR);
  assert.is(s.unlink('/d/big'), 0);
  assert.is((s.read(file, 0, 20000) as string).length, 10000);
  assert.is(s.write(file, 0, 'yy'), 2);
  assert.is(s.read(file, 0, 3), 'yyx');
  s.put(file);
  end(s);
});

test('the overlay changes nothing below', () => {
  const path = tree();
  const before = handles();
  const s = overlay(path);
  const file = s.open('/d/big', O_RDWR);
  assert.is(s.write(file, 5000, 'HELLO'), 5);
  assert.is(s.read(file, 4998, 9), 'xxHELLOxx');
  assert.is(s.truncate('/d/big', 5003), 0);
  assert.is(s.truncate('/d/big', 9000), 0);
  assert.is(s.read(file, 4998, 9), `xxHEL${'\0'.repeat(4)}`);
  s.put(file);
  assert.is(s.chmod('/d/f', 0o600), 0);
  assert.is(s.rename('/d', '/moved'), 0);
  assert.is(s.stat('/d'), -ENOENT);
  assert.is(s.cat('/moved/f'), 'lower data');
  assert.equal(s.names('/moved'), ['big', 'e', 'f']);
  assert.is(s.save('/moved/added', 'a'), 0);
  assert.is(s.unlink('/moved/f'), 0);
  assert.equal(s.names('/moved'), ['added', 'big', 'e']);
  assert.is(s.mkdir('/d'), 0);
  assert.equal(s.names('/d'), []);
  assert.is(s.stat('/hard'), 0);
  assert.is(s.status.mode & 0o777, 0o600, 'hard links below stay one inode');
  assert.is(s.status.nlink, 1);
  assert.is(s.rmdir('/moved'), -ENOTEMPTY);
  for (const name of ['added', 'big']) assert.is(s.unlink(`/moved/${name}`), 0);
  assert.is(s.rmdir('/moved/e'), 0);
  assert.is(s.rmdir('/moved'), 0);
  end(s);
  assert.is(fs.readFileSync(join(path, 'd/big'), 'utf8'), 'x'.repeat(10000));
  assert.is(handles(), before, 'host handles left');
});

test('special files are shown and cannot be opened', () => {
  const s = volume('/dev', false);
  assert.is(s.stat('/null'), 0);
  assert.is(s.status.mode & 0o170000, 0o020000);
  assert.is(s.open('/null', 0), -ENXIO);
  end(s);
});

test('the host root hides what belongs to its kernel', () => {
  test_memory();
  boot_vfs();
  const s = new TestSpace(host_super('/', { is_root: true }));
  assert.equal(s.names('/proc'), []);
  assert.is(s.stat('/proc/self'), -ENOENT);
  assert.is(s.stat('/dev/null'), -ENOENT);
  assert.is(s.stat('/etc/passwd'), 0);
  end(s);
});

test.run();
