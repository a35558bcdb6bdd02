/**
 * A walk of cached names against the Walker, which RESOLVE_NO_MAGICLINKS leaves everything to: they must come to the same
 * place, or error, and leave no references behind.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RESOLVE_NO_MAGICLINKS } from '../../../engine/abi/path.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { tmpfs_create } from '../../../engine/fs/tmpfs/memory_super.ts';
import { bytes_write } from '../../../engine/heap/bytes.ts';
import { heap_page_alloc } from '../../../engine/heap/heap_pages.ts';
import { U8 } from '../../../engine/heap/memory.ts';
import { d_reclaim, dentries_live } from '../../../engine/vfs/dcache.ts';
import { fs_set_root } from '../../../engine/vfs/fs_context.ts';
import { inodes_live } from '../../../engine/vfs/inode.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_walk } from '../../../engine/vfs/path.ts';
import { PathRef } from '../../../engine/vfs/path_ref.ts';
import { test_memory } from '../../support/memory.ts';
import { for_seeds, type Random } from '../../support/seeds.ts';
import { boot_vfs, TestSpace } from '../../support/vfs.ts';

const NAMES = ['a', 'b', 'c', 'f', 'l', 'm', 'none', '.', '..', '.x', 'closed', 'a'.repeat(300)];
const O_DIRECTORY = 0o200000;

/** A path of names of the tree below, of others and of slashes. */
function random_path(random: Random): string {
  let path = random.below(3) === 0 ? '/' : '';
  for (let i = random.below(6); i >= 0; i--) {
    const usual = random.below(40) > 0;
    path += NAMES[random.below(usual ? NAMES.length - 1 : NAMES.length)]!;
    if (i > 0 || random.below(6) === 0) path += '/'.repeat(1 + (random.below(8) === 0 ? 1 : 0));
  }
  return path;
}

/** Directories within each other, with files, links, file systems mounted on two, and one that nobody may search. */
function make_tree(s: TestSpace): void {
  const tmpfs = (): Ptr<'SuperBlock'> => tmpfs_create({}) as Ptr<'SuperBlock'>;
  for (const path of ['a', 'a/b', 'a/b/c', 'b', 'b/a', 'c', 'c/closed', 'm', 'a/.x']) assert.is(s.mkdir(path), 0);
  assert.ok(s.mount(tmpfs(), '/m') > 0);
  for (const path of ['m/a', 'm/b', 'm/b/m']) assert.is(s.mkdir(path), 0);
  assert.ok(s.mount(tmpfs(), '/m/b/m') > 0);
  for (const path of ['f', 'a/f', 'a/b/f', 'm/f', 'm/b/m/f', 'c/closed/f']) assert.is(s.save(path, 'x'), 0);
  for (const [target, path] of [
    ['a/b', 'l'],
    ['../b', 'a/l'],
    ['/m', 'b/l'],
    ['none', 'm/l'],
  ] as const)
    assert.is(s.symlink(target, path), 0);
  assert.is(s.chmod('c/closed', 0), 0);
}

test('a walk of cached names comes to where the Walker comes', () => {
  for_seeds(10, (random) => {
    test_memory();
    boot_vfs();
    const s = new TestSpace(tmpfs_create({}) as Ptr<'SuperBlock'>);
    make_tree(s);
    const page = heap_page_alloc();
    const [quick, slow] = [new PathRef(), new PathRef()];
    const { context } = s;
    let directory = 0 as Ptr<'File'>;
    for (let i = 0; i < 1500; i++) {
      if (i % 50 === 0) {
        s.as(random.below(2) * 1000, 0);
        if (directory !== 0) s.put(directory);
        directory = 0 as Ptr<'File'>;
        const opened = random.below(2) === 0 ? s.open(random_path(random), O_DIRECTORY) : 0;
        if (opened > 0) directory = opened as Ptr<'File'>;
        if (random.below(3) === 0) s.chdir(random_path(random));
        if (i === 1000 && random.below(2) === 0) change_root(s, '/a');
        d_reclaim(random.below(20));
      }
      const path = random_path(random);
      const flags = (random.below(2) * LOOKUP_FOLLOW) | (random.below(2) * LOOKUP_DIRECTORY);
      U8[page + bytes_write(page, path)] = 0;
      context.start = path.startsWith('/') ? (0 as Ptr<'File'>) : directory;
      const found = path_walk(context, page, flags, quick);
      context.resolve = RESOLVE_NO_MAGICLINKS;
      const expected = path_walk(context, page, flags, slow);
      context.resolve = 0;
      assert.is(found, expected, `${path}, flags ${flags}`);
      assert.is(quick.dentry, slow.dentry, path);
      assert.is(quick.mount, slow.mount, path);
      quick.put();
      slow.put();
    }
    if (directory !== 0) s.put(directory);
    context.start = 0 as Ptr<'File'>;
    assert.is(s.close(), 0);
    assert.is(dentries_live(), 0, 'dentries left');
    assert.is(inodes_live(), 0, 'inodes left');
  });
});

/** What chroot(2) does. */
function change_root(s: TestSpace, path: string): void {
  const page = heap_page_alloc();
  const root = new PathRef();
  U8[page + bytes_write(page, path)] = 0;
  s.context.start = 0 as Ptr<'File'>;
  if (path_walk(s.context, page, LOOKUP_FOLLOW, root) === 0) fs_set_root(s.context.fs, root);
}

test.run();
