/**
 * tmpfs, the overlay and a volume against the host's own file system: the same random operations on both,
 * every result and the final trees compared.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../engine/base/types.ts';
import { tmpfs_create } from '../../../engine/fs/tmpfs/memory_super.ts';
import { d_reclaim, dentries_live } from '../../../engine/vfs/dcache.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { dump_tree, guest_tree, native_tree, random_operation } from '../../support/file_ops.ts';
import { host_super, overlay_super, temporary_directory } from '../../support/host_tree.ts';
import { test_memory } from '../../support/memory.ts';
import { for_seeds, type Random } from '../../support/seeds.ts';
import { boot_vfs, TestSpace } from '../../support/vfs.ts';

/** Deep enough that ".." stays inside the tree. */
const DEEP = 'r/r/r/r/r/r/r/r/r/r/r/r';
const OPERATIONS = 400;

process.umask(0);

function run_both(s: TestSpace, base: string, random: Random, reclaim: boolean): void {
  const guest = guest_tree(s);
  const host = native_tree(base);
  const log: string[] = [];
  for (let i = 0; i < OPERATIONS; i++) {
    const { text, run } = random_operation(random);
    const expected = run(host);
    const actual = run(guest);
    log.push(`${text} = ${String(expected).slice(0, 60)}`);
    if (actual !== expected)
      assert.unreachable(`operation ${i}: got ${String(actual).slice(0, 60)}\n  ${log.slice(-25).join('\n  ')}`);
    if (reclaim && random.below(4) === 0) d_reclaim(100);
  }
  assert.equal(dump_tree(guest), dump_tree(host));
}

function end(s: TestSpace): void {
  assert.is(s.close(), 0);
  assert.is(dentries_live(), 0, 'dentries left');
  assert.is(inodes_live(), 0, 'inodes left');
}

function deep_directory(): { top: string; base: string } {
  const top = temporary_directory();
  const base = join(top, DEEP);
  fs.mkdirSync(base, { recursive: true, mode: 0o755 });
  return { top, base };
}

test('tmpfs does what the host does', () => {
  for_seeds(10, (random) => {
    test_memory();
    boot_vfs();
    const s = new TestSpace(tmpfs_create({}) as Ptr<'SuperBlock'>);
    for (const part of DEEP.split('/')) {
      s.mkdir(part, 0o755);
      s.chdir(part);
    }
    run_both(s, deep_directory().base, random, false);
    end(s);
  });
});

test('the overlay does what the host does, and leaves the lower layer alone', () => {
  for_seeds(10, (random) => {
    const lower = deep_directory();
    const seedling = native_tree(lower.base);
    for (let i = 0; i < 150; i++) random_operation(random).run(seedling);
    const copy = join(temporary_directory(), 'copy');
    fs.cpSync(lower.top, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    equalize(lower.top, copy);
    const before = dump_tree(native_tree(lower.base));
    test_memory();
    boot_vfs();
    const s = new TestSpace(overlay_super(lower.top));
    s.chdir(DEEP);
    run_both(s, join(copy, DEEP), random, true);
    end(s);
    assert.equal(dump_tree(native_tree(lower.base)), before);
  });
});

/** Gives the copy the modes of the original, and the original the copy's separated hard links. */
function equalize(original: string, copy: string): void {
  fs.chmodSync(copy, fs.statSync(original).mode & 0o7777);
  for (const name of fs.readdirSync(original)) {
    const from = join(original, name);
    const to = join(copy, name);
    const st = fs.lstatSync(from);
    if (st.isSymbolicLink()) {
      const target = fs.readlinkSync(from);
      fs.unlinkSync(from);
      fs.symlinkSync(target, from);
      continue;
    }
    if (st.isDirectory()) {
      equalize(from, to);
      continue;
    }
    if (st.nlink > 1) {
      const data = fs.readFileSync(from);
      fs.unlinkSync(from);
      fs.writeFileSync(from, data);
    }
    fs.chmodSync(from, st.mode & 0o7777);
    fs.chmodSync(to, st.mode & 0o7777);
  }
}

/** Runs `body` with another effective user and group, and no supplementary groups. */
function as_user<T>(uid: number, gid: number, body: () => T): T {
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return body();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

const is_root = process.geteuid?.() === 0;

test('permissions, sticky and set-group-id directories are those of the host', () => {
  if (!is_root) return;
  process.setgroups?.([]);
  for_seeds(10, (random) => {
    const { top, base } = deep_directory();
    fs.chmodSync(top, 0o755);
    fs.chmodSync(base, 0o777);
    test_memory();
    boot_vfs();
    const s = new TestSpace(tmpfs_create({ mode: 0o755 }) as Ptr<'SuperBlock'>);
    for (const part of DEEP.split('/')) {
      s.mkdir(part, 0o755);
      s.chdir(part);
    }
    s.chmod('.', 0o777);
    const guest = guest_tree(s);
    // Relative to the working directory, as in the guest: what is above it may lose its permissions.
    process.chdir(base);
    const host = native_tree('.');
    const log: string[] = [];
    for (let i = 0; i < OPERATIONS; i++) {
      const uid = random.pick([0, 1000, 1000, 1000, 1001]);
      const { text, run } = random_operation(random);
      const expected = as_user(uid, uid, () => run(host));
      s.as(uid, uid);
      const actual = run(guest);
      log.push(`${uid}: ${text} = ${String(expected).slice(0, 60)}`);
      if (actual !== expected) {
        assert.unreachable(`operation ${i}: got ${String(actual).slice(0, 60)}\n  ${log.slice(-25).join('\n  ')}`);
      }
    }
    s.as(0, 0);
    assert.equal(dump_tree(guest), dump_tree(host));
    end(s);
  });
});

test('a volume does what the host does', () => {
  for_seeds(6, (random) => {
    const volume = deep_directory();
    test_memory();
    boot_vfs();
    const s = new TestSpace(host_super(volume.top, { writable: true, volatile: true }));
    s.chdir(DEEP);
    run_both(s, deep_directory().base, random, true);
    end(s);
  });
});

test.run();
