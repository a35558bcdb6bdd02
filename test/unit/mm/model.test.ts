/**
 * Random address-space calls against a model: pages in a Map. After each call some pages are read or
 * written through user access and compared; at the end every frame and record must be back.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { O_RDWR } from '../../../engine/abi/fcntl.ts';
import {
  MADV_DONTNEED,
  MADV_REMOVE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
} from '../../../engine/abi/mman.ts';
import type { FrameAddr, Ptr } from '../../../engine/base/types.ts';
import { F64, U32 } from '../../../engine/heap/memory.ts';
import { safe_point } from '../../../engine/machine/safe_point.ts';
import { vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { mm_activate, mm_create, mm_fork, mm_put } from '../../../engine/mm/address_space.ts';
import { do_madvise } from '../../../engine/mm/madvise.ts';
import { Vma } from '../../../engine/mm/mm.layout.ts';
import { do_mmap, do_munmap } from '../../../engine/mm/mmap.ts';
import { do_mprotect } from '../../../engine/mm/mprotect.ts';
import { do_mremap } from '../../../engine/mm/mremap.ts';
import { get_user_u32, put_user_u32 } from '../../../engine/mm/uaccess.ts';
import { vma_at } from '../../../engine/mm/vma_tree.ts';
import { File } from '../../../engine/vfs/file.layout.ts';
import { file_alloc, file_put, register_file_operations } from '../../../engine/vfs/file.ts';
import { Mapping } from '../../../engine/vfs/mapping.layout.ts';
import {
  mapping_create,
  mapping_get,
  mapping_put,
  mapping_sync,
  mapping_truncate,
  register_mapping_kind,
} from '../../../engine/vfs/mapping.ts';
import { test_machine } from '../../support/mm.ts';
import { expect_consistent, expect_nothing_left } from '../../support/mm_check.ts';
import { random_of, seed_of } from '../../support/random.ts';

const FILE_KIND = 60;
const CACHED_KIND = 60;
const ARENA = 0x1000_0000;
const ARENA_PAGES = 48;
const FILE_PAGES = 24;

/** The bytes behind files of the cached kind, as a disk would hold them. */
const disks = new Map<number, Map<number, number>>();

register_mapping_kind(CACHED_KIND, {
  name: 'test disk',
  evictable: true,
  read_page(mapping: Ptr<'Mapping'>, index: number, frame: FrameAddr): number {
    F64.fill(0, frame / 8, frame / 8 + 512);
    U32[(frame + 8) >>> 2] = disks.get(Mapping.object.get(mapping))?.get(index) ?? 0;
    return 0;
  },
  write_page(mapping: Ptr<'Mapping'>, index: number, frame: FrameAddr): number {
    disks.get(Mapping.object.get(mapping))?.set(index, U32[(frame + 8) >>> 2] as number);
    return 0;
  },
});

const never = (): never => {
  throw new Error('not an operation of this file');
};
register_file_operations(FILE_KIND, {
  name: 'test file',
  read: never,
  write: never,
  poll: never,
  queue: never,
  seek: never,
  ioctl: never,
  mmap(file: Ptr<'File'>): Ptr<'Mapping'> {
    const mapping = File.object.get(file) as Ptr<'Mapping'>;
    mapping_get(mapping);
    return mapping;
  },
  release(file: Ptr<'File'>): void {
    mapping_put(File.object.get(file) as Ptr<'Mapping'>);
  },
});

interface Store {
  pages: Map<number, number>;
  size: number;
}
interface Page {
  prot: number;
  shared: boolean;
  store: Store | null;
  index: number;
  own: number | undefined;
}
interface Space {
  mm: Ptr<'Mm'>;
  pages: Map<number, Page>;
}
interface TestFile {
  file: Ptr<'File'>;
  store: Store;
}

class Model {
  readonly random: () => number;
  readonly spaces: Space[] = [];
  readonly files: TestFile[] = [];
  stamp = 1;

  constructor(seed: number) {
    this.random = random_of(seed);
    for (let i = 0; i < 2; i++) this.files.push(make_file(i));
    this.spaces.push({ mm: mm_create(), pages: new Map() });
  }

  below(n: number): number {
    return this.random() % n;
  }

  range(): { start: number; count: number } {
    const start = this.below(ARENA_PAGES);
    return { start, count: 1 + this.below(Math.min(12, ARENA_PAGES - start)) };
  }

  space(): Space {
    return this.spaces[this.below(this.spaces.length)] as Space;
  }
}

function make_file(i: number): TestFile {
  // One file is written back to a disk, the pages of the other are the data (tmpfs).
  const size = FILE_PAGES * 4096;
  const mapping = mapping_create(i === 0 ? CACHED_KIND : 0, 0 as Ptr<'Inode'>, size);
  Mapping.object.set(mapping, i);
  disks.set(i, new Map());
  const file = file_alloc(FILE_KIND, O_RDWR);
  File.object.set(file, mapping);
  return { file, store: { pages: new Map(), size } };
}

const address = (page: number): number => ARENA + page * 4096;

function map(m: Model, s: Space): void {
  const { start, count } = m.range();
  const prot = m.below(4);
  const shared = m.below(2) === 0;
  const with_file = m.below(2) === 0 ? (m.files[m.below(m.files.length)] as TestFile) : null;
  const offset = m.below(FILE_PAGES);
  const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | (with_file === null ? MAP_ANONYMOUS : 0);
  const file = with_file?.file ?? (0 as Ptr<'File'>);
  const length = count * 4096 - m.below(4096);
  assert.is(
    do_mmap(s.mm, address(start), length, prot, flags, file, with_file === null ? 0 : offset * 4096),
    address(start),
  );
  const store = with_file?.store ?? (shared ? { pages: new Map<number, number>(), size: count * 4096 } : null);
  for (let i = 0; i < count; i++) {
    const index = with_file === null ? i : offset + i;
    s.pages.set(start + i, { prot, shared, store, index, own: undefined });
  }
}

function unmap(m: Model, s: Space): void {
  const { start, count } = m.range();
  assert.is(do_munmap(s.mm, address(start), count * 4096), 0);
  for (let i = 0; i < count; i++) s.pages.delete(start + i);
}

function protect(m: Model, s: Space): void {
  const { start, count } = m.range();
  const prot = m.below(4);
  const result = do_mprotect(s.mm, address(start), count * 4096, prot);
  let expected = 0;
  for (let i = 0; i < count && expected === 0; i++) {
    const page = s.pages.get(start + i);
    if (page === undefined) expected = -12;
    else page.prot = prot;
  }
  assert.is(result, expected, 'mprotect');
}

function remap(m: Model, s: Space): void {
  const { start, count } = m.range();
  const vma = vma_at(s.mm, address(start));
  if (vma === 0 || Vma.end.get(vma) < address(start + count)) return;
  const to = m.range();
  if (start < to.start + to.count && to.start < start + count) return;
  const flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  const result = do_mremap(s.mm, address(start), count * 4096, to.count * 4096, flags, address(to.start));
  assert.is(result, address(to.start), 'mremap');
  const moved: Page[] = [];
  for (let i = 0; i < count; i++) {
    moved.push(s.pages.get(start + i) as Page);
    s.pages.delete(start + i);
  }
  const first = moved[0] as Page;
  for (let i = 0; i < to.count; i++) {
    const page = moved[i] ?? { ...first, index: first.index + i, own: undefined };
    s.pages.set(to.start + i, page);
  }
}

function dontneed(m: Model, s: Space): void {
  const { start, count } = m.range();
  let holes = false;
  for (let i = 0; i < count; i++) {
    const page = s.pages.get(start + i);
    if (page === undefined) holes = true;
    else page.own = undefined;
  }
  assert.is(do_madvise(s.mm, address(start), count * 4096, MADV_DONTNEED), holes ? -12 : 0);
}

function punch(m: Model, s: Space): void {
  const start = m.below(ARENA_PAGES);
  const page = s.pages.get(start);
  const result = do_madvise(s.mm, address(start), 4096, MADV_REMOVE);
  if (page === undefined) assert.is(result, -12);
  else if (page.store === null) assert.is(result, -22);
  else if (!page.shared) assert.is(result, -13);
  else {
    assert.is(result, 0);
    if (page.index * 4096 < page.store.size || m.files[0]?.store !== page.store) page.store.pages.delete(page.index);
  }
}

function fork(m: Model, s: Space): void {
  if (m.spaces.length >= 4) return;
  const pages = new Map<number, Page>();
  for (const [n, page] of s.pages) pages.set(n, { ...page });
  m.spaces.push({ mm: mm_fork(s.mm), pages });
}

function exit(m: Model): void {
  if (m.spaces.length < 2) return;
  const [s] = m.spaces.splice(m.below(m.spaces.length), 1);
  mm_activate(0 as Ptr<'Mm'>, vcpu_at(0));
  mm_put((s as Space).mm);
}

function truncate(m: Model): void {
  const f = m.files[m.below(m.files.length)] as TestFile;
  const size = m.below(FILE_PAGES + 1) * 4096;
  mapping_truncate(File.object.get(f.file) as Ptr<'Mapping'>, size);
  if (f.store === m.files[0]?.store)
    for (const i of disks.get(0)?.keys() ?? []) if (i * 4096 >= size) disks.get(0)?.delete(i);
  if (size < f.store.size) {
    for (const i of f.store.pages.keys()) if (i * 4096 >= size) f.store.pages.delete(i);
    for (const s of m.spaces)
      for (const page of s.pages.values())
        if (page.store === f.store && page.index * 4096 >= size) page.own = undefined;
  }
  f.store.size = size;
}

/** What a read of the page gives, or -EFAULT. */
function model_read(page: Page | undefined): number {
  if (page === undefined || page.prot === 0) return -14;
  if (page.own !== undefined) return page.own;
  if (page.store === null) return 0;
  return page.index * 4096 < page.store.size ? (page.store.pages.get(page.index) ?? 0) : -14;
}

function access(m: Model, s: Space): void {
  const n = m.below(ARENA_PAGES);
  const page = s.pages.get(n);
  mm_activate(s.mm, vcpu_at(0));
  if (m.below(2) === 0) {
    assert.is(get_user_u32(address(n) + 8), model_read(page), `read of page ${n}`);
    return;
  }
  const value = m.stamp++;
  const beyond = page?.store != null && page.index * 4096 >= page.store.size && page.own === undefined;
  const allowed = page !== undefined && (page.prot & 2) !== 0 && !beyond;
  assert.is(put_user_u32(address(n) + 8, value), allowed ? 0 : -14, `write of page ${n}`);
  if (page === undefined || !allowed) return;
  if (page.shared && page.store !== null) page.store.pages.set(page.index, value);
  else page.own = value;
}

function step(m: Model): void {
  const s = m.space();
  const what = m.below(100);
  if (what < 12) map(m, s);
  else if (what < 18) unmap(m, s);
  else if (what < 26) protect(m, s);
  else if (what < 32) remap(m, s);
  else if (what < 35) dontneed(m, s);
  else if (what < 37) punch(m, s);
  else if (what < 40) fork(m, s);
  else if (what < 42) exit(m);
  else if (what < 44) truncate(m);
  else if (what < 46)
    mapping_sync(File.object.get((m.files[0] as TestFile).file) as Ptr<'Mapping'>, 0, FILE_PAGES * 4096);
  else for (let i = 0; i < 6; i++) access(m, s);
  safe_point(vcpu_at(0));
}

test('random calls agree with the model, and leave nothing behind', () => {
  const seed = seed_of('mm model');
  for (let round = 0; round < 40; round++) {
    test_machine({ ram_bytes: 4 << 20, sanitize: round % 2 === 1 });
    const m = new Model(seed + round);
    for (let i = 0; i < 400; i++) {
      step(m);
      if (i % 20 === 0) for (const s of m.spaces) expect_consistent(s.mm);
    }
    for (const s of m.spaces) {
      mm_activate(s.mm, vcpu_at(0));
      for (let n = 0; n < ARENA_PAGES; n++) assert.is(get_user_u32(address(n) + 8), model_read(s.pages.get(n)));
      expect_consistent(s.mm);
    }
    for (const s of m.spaces) mm_put(s.mm);
    for (const f of m.files) file_put(f.file);
    expect_nothing_left();
  }
});

test.run();
