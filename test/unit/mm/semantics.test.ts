import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from '../../../engine/abi/errno.ts';
import { O_RDWR } from '../../../engine/abi/fcntl.ts';
import {
  MAP_32BIT,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_GROWSDOWN,
  MAP_LOCKED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../../engine/abi/mman.ts';
import type { FrameAddr, Ptr } from '../../../engine/base/types.ts';
import { heap_page_alloc } from '../../../engine/heap/heap_pages.ts';
import { U8, U32 } from '../../../engine/heap/memory.ts';
import { register_code_invalidation } from '../../../engine/machine/code_events.ts';
import { FRAME_CODE, FrameInfo } from '../../../engine/machine/frame.layout.ts';
import { frame_info, frames_free } from '../../../engine/machine/frames.ts';
import { IoCursor } from '../../../engine/machine/io.ts';
import { ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE, vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { mm_activate, mm_fork, mm_put, mm_set_limits } from '../../../engine/mm/address_space.ts';
import { do_brk, set_brk } from '../../../engine/mm/brk.ts';
import { FAULT_ACCERR, FAULT_MAPERR, FAULT_SIGBUS, mm_fault } from '../../../engine/mm/fault.ts';
import { FutexKey, futex_key } from '../../../engine/mm/futex_key.ts';
import { iovec_length, pin_iovec } from '../../../engine/mm/iov.ts';
import { Mm } from '../../../engine/mm/mm.layout.ts';
import { do_mmap, do_munmap } from '../../../engine/mm/mmap.ts';
import { mm_statistics, vma_snapshot } from '../../../engine/mm/stats.ts';
import {
  clear_user,
  get_user_u32,
  get_user_u64,
  pin,
  put_user_u32,
  put_user_u64,
  user_read_address,
} from '../../../engine/mm/uaccess.ts';
import { File } from '../../../engine/vfs/file.layout.ts';
import { file_alloc, file_put, register_file_operations } from '../../../engine/vfs/file.ts';
import { Mapping } from '../../../engine/vfs/mapping.layout.ts';
import {
  mapping_create,
  mapping_get,
  mapping_put,
  mapping_truncate,
  register_mapping_kind,
} from '../../../engine/vfs/mapping.ts';
import { test_mm } from '../../support/mm.ts';
import { expect_consistent, expect_nothing_left } from '../../support/mm_check.ts';

const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;
const NO_FILE = 0 as Ptr<'File'>;
const KIND = 61;
let pages_read = 0;

register_mapping_kind(KIND, {
  name: 'numbered pages',
  evictable: true,
  read_page(_mapping: Ptr<'Mapping'>, index: number, frame: FrameAddr): number {
    pages_read++;
    U32.fill(index + 1, frame >>> 2, (frame >>> 2) + 1024);
    return 0;
  },
});
const unused = (): never => {
  throw new Error('not an operation of this file');
};
register_file_operations(KIND, {
  name: 'numbered pages',
  read: unused,
  write: unused,
  poll: unused,
  queue: unused,
  seek: unused,
  ioctl: unused,
  mmap(file: Ptr<'File'>): Ptr<'Mapping'> {
    mapping_get(File.object.get(file) as Ptr<'Mapping'>);
    return File.object.get(file) as Ptr<'Mapping'>;
  },
  release(file: Ptr<'File'>): void {
    mapping_put(File.object.get(file) as Ptr<'Mapping'>);
  },
});

function numbered_file(pages: number): Ptr<'File'> {
  const file = file_alloc(KIND, O_RDWR);
  File.object.set(file, mapping_create(KIND, 0 as Ptr<'Inode'>, pages * 4096));
  return file;
}

function end(mm: Ptr<'Mm'>): void {
  expect_consistent(mm);
  mm_put(mm);
  expect_nothing_left();
}

test('faults tell what is wrong', () => {
  const mm = test_mm();
  const file = numbered_file(2);
  const at = do_mmap(mm, 0, 4 * 4096, PROT_READ, MAP_PRIVATE, file, 0);
  assert.is(mm_fault(mm, at, ACCESS_READ), 0);
  assert.is(mm_fault(mm, at, ACCESS_WRITE), FAULT_ACCERR);
  assert.is(mm_fault(mm, at, ACCESS_EXEC), FAULT_ACCERR);
  assert.is(mm_fault(mm, at + 2 * 4096, ACCESS_READ), FAULT_SIGBUS);
  assert.is(mm_fault(mm, at + 4 * 4096, ACCESS_READ), FAULT_MAPERR);
  assert.is(mm_fault(mm, 0, ACCESS_READ), FAULT_MAPERR);
  assert.is(mm_fault(mm, 2 ** 63, ACCESS_READ), FAULT_MAPERR);
  assert.is(mm_fault(mm, 0x7fff_ffff_f000, ACCESS_READ), FAULT_MAPERR);
  const code = do_mmap(mm, 0, 4096, PROT_EXEC, ANON, NO_FILE, 0);
  assert.is(mm_fault(mm, code, ACCESS_EXEC), 0);
  assert.is(mm_fault(mm, code, ACCESS_READ), 0, 'x86: executable is readable');
  const none = do_mmap(mm, 0, 4096, PROT_NONE, ANON, NO_FILE, 0);
  assert.is(mm_fault(mm, none, ACCESS_READ), FAULT_ACCERR);
  file_put(file);
  end(mm);
});

test('a stack grows to its limit and keeps its guard gap', () => {
  const mm = test_mm();
  mm_set_limits(mm, Infinity, Infinity, 64 << 10, 0);
  const top = 0x7fff_ffff_f000;
  const at = do_mmap(mm, top - 8192, 8192, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, NO_FILE, 0);
  assert.is(at, top - 8192);
  assert.is(put_user_u32(top - (64 << 10), 1), 0);
  assert.is(put_user_u32(top - (64 << 10) - 4, 1), -EFAULT);
  assert.is(mm_statistics(mm).stack_vm, 16);
  mm_set_limits(mm, Infinity, Infinity, 8 << 20, 0);
  const below = top - (2 << 20);
  assert.is(do_mmap(mm, below - 4096, 4096, RW, ANON | MAP_FIXED, NO_FILE, 0), below - 4096);
  assert.is(put_user_u32(below + (1 << 20), 1), 0, 'the gap is 256 pages');
  assert.is(put_user_u32(below + (1 << 20) - 4, 1), -EFAULT);
  assert.is(do_munmap(mm, below - 4096, 4096), 0);
  assert.is(put_user_u32(below, 1), 0);
  end(mm);
});

test('brk grows, shrinks, stops at the limit and at a neighbour', () => {
  const mm = test_mm();
  set_brk(mm, 0x60_0800);
  assert.is(do_brk(mm, 0), 0x60_0800);
  assert.is(do_brk(mm, 0x60_5001), 0x60_5001);
  assert.is(put_user_u32(0x60_5ffc, 3), 0);
  assert.is(put_user_u32(0x60_6000, 3), -EFAULT);
  assert.is(vma_snapshot(mm, 0)?.name, '[heap]');
  assert.is(do_brk(mm, 0x60_1000), 0x60_1000);
  assert.is(get_user_u32(0x60_5000), -EFAULT);
  do_mmap(mm, 0x60_8000, 4096, RW, ANON | MAP_FIXED, NO_FILE, 0);
  assert.is(do_brk(mm, 0x60_8001), 0x60_1000);
  assert.is(do_brk(mm, 0x60_8000), 0x60_8000);
  mm_set_limits(mm, Infinity, 64 << 10, 8 << 20, 0);
  assert.is(do_munmap(mm, 0x60_8000, 4096), 0);
  assert.is(do_brk(mm, 0x70_0000), 0x60_8000);
  end(mm);
});

test('placement: hints, MAP_32BIT, limits, locking', () => {
  const mm = test_mm();
  assert.is(do_mmap(mm, 0x5000_0123, 4096, RW, ANON, NO_FILE, 0), 0x5000_0000);
  assert.is(do_mmap(mm, 0x5000_0000, 4096, RW, ANON, NO_FILE, 0), 0x7fff_f7ff_e000, 'a taken hint is only a hint');
  assert.is(do_mmap(mm, 0x2000, 4096, RW, ANON, NO_FILE, 0), 65536, 'hints start at mmap_min_addr');
  const low = do_mmap(mm, 0, 4096, RW, ANON | MAP_32BIT, NO_FILE, 0);
  assert.ok(low >= 0x4000_0000 && low < 0x8000_0000);
  assert.is(do_mmap(mm, 0, 0, RW, ANON, NO_FILE, 0), -EINVAL);
  assert.is(do_mmap(mm, 0, 2 ** 47, RW, ANON, NO_FILE, 0), -ENOMEM);
  assert.is(do_mmap(mm, 0, 2 ** 63, RW, ANON, NO_FILE, 0), -ENOMEM);
  const total = Mm.total_vm.get(mm) * 4096;
  mm_set_limits(mm, total + 8192, Infinity, 8 << 20, 4096);
  assert.is(do_mmap(mm, 0, 12288, RW, ANON, NO_FILE, 0), -ENOMEM);
  assert.is(do_mmap(mm, 0, 8192, RW, ANON | MAP_LOCKED, NO_FILE, 0), -EAGAIN);
  assert.ok(do_mmap(mm, 0, 4096, RW, ANON | MAP_LOCKED, NO_FILE, 0) > 0);
  assert.is(mm_statistics(mm).locked_vm, 1);
  assert.is(mm_statistics(mm).rss_anon, 1);
  end(mm);
});

test('clean cache pages go when memory runs out, and are read again', () => {
  const mm = test_mm({ ram_bytes: 2 << 20 });
  const file = numbered_file(300);
  const at = do_mmap(mm, 0, 300 * 4096, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  assert.is(get_user_u32(at + 299 * 4096), 300);
  assert.is(do_munmap(mm, at, 300 * 4096), 0);
  const cached = frames_free();
  const big = do_mmap(mm, 0, 400 * 4096, RW, ANON, NO_FILE, 0);
  for (let i = 0; i < 400; i++) assert.is(put_user_u32(big + i * 4096, i), 0, `page ${i} with ${cached} free before`);
  assert.is(do_munmap(mm, big, 400 * 4096), 0);
  const before = pages_read;
  const again = do_mmap(mm, 0, 300 * 4096, RW, MAP_PRIVATE, file, 0);
  for (let i = 0; i < 300; i++) assert.is(get_user_u32(again + i * 4096), i + 1);
  assert.ok(pages_read > before);
  put_user_u32(again, 77);
  mapping_truncate(File.object.get(file) as Ptr<'Mapping'>, 4096 + 100);
  assert.is(get_user_u32(again), 77, 'a private copy before the end stays');
  assert.is(get_user_u32(again + 4096 + 96), 2);
  assert.is(get_user_u32(again + 4096 + 100), 0, 'zeros behind the end');
  assert.is(get_user_u32(again + 8192), -EFAULT);
  assert.is(Mapping.size.get(File.object.get(file) as Ptr<'Mapping'>), 4196);
  file_put(file);
  end(mm);
});

test('pins and vectors', () => {
  const mm = test_mm();
  const at = do_mmap(mm, 0, 3 * 4096, RW, ANON, NO_FILE, 0);
  const io = new IoCursor();
  assert.is(pin(io, at + 4000, 12288, true), 8288, 'stops at what is not mapped');
  assert.is(io.remaining, 8288);
  const page = heap_page_alloc();
  U8.fill(0x41, page, page + 4096);
  assert.is(io.fill_from(page, 200), 200);
  assert.is(get_user_u32(at + 4196), 0x41414141);
  assert.is(get_user_u32(at + 4200), 0);
  assert.is(pin(io.reset(), at + 12288, 1, false), -EFAULT);
  const vector = at;
  put_user_u64(vector, at + 100);
  put_user_u64(vector + 8, 10);
  put_user_u64(vector + 16, 1);
  put_user_u64(vector + 24, 0);
  put_user_u64(vector + 32, at + 8190);
  put_user_u64(vector + 40, 5000);
  assert.is(iovec_length(vector, 3), 5010);
  assert.is(pin_iovec(io.reset(), vector, 3, 5, 5005, true), 5 + 4098);
  assert.is(iovec_length(vector, 1025), -EINVAL);
  assert.is(iovec_length(vector, -1), -EINVAL);
  assert.is(iovec_length(at + 12288, 1), -EFAULT);
  put_user_u64(vector + 8, -1);
  assert.is(get_user_u64(vector + 8), 2 ** 64);
  assert.is(iovec_length(vector, 1), -EINVAL);
  put_user_u64(vector, 0x7fff_ffff_ffff);
  put_user_u64(vector + 8, 2);
  assert.is(iovec_length(vector, 1), -EFAULT);
  assert.is(clear_user(at + 1, 12287), 0);
  assert.is(get_user_u32(at + 4196), 0);
  end(mm);
});

test('futex keys: private by address, shared by page', () => {
  const mm = test_mm();
  const own = do_mmap(mm, 0, 4096, RW, ANON, NO_FILE, 0);
  const shared = do_mmap(mm, 0, 8192, RW, MAP_SHARED | MAP_ANONYMOUS, NO_FILE, 0);
  const child = mm_fork(mm);
  const a = new FutexKey();
  const b = new FutexKey();
  const same = (): boolean => a.object === b.object && a.offset === b.offset;
  futex_key(mm, shared + 4100, true, a);
  futex_key(child, shared + 4100, true, b);
  assert.ok(same());
  futex_key(child, shared + 4100, false, b);
  assert.not(same());
  futex_key(mm, own, true, a);
  futex_key(child, own, true, b);
  assert.not(same());
  futex_key(mm, own, false, b);
  assert.ok(same());
  assert.is(futex_key(mm, 0, true, a), -EFAULT);
  assert.is(vma_snapshot(mm, shared)?.name, '/dev/zero (deleted)');
  mm_put(child);
  end(mm);
});

test('the kernel writing to code makes every thread forget it', () => {
  const mm = test_mm();
  const at = do_mmap(mm, 0, 4096, RW | PROT_EXEC, ANON, NO_FILE, 0);
  put_user_u32(at, 1);
  const frame = user_read_address(at) as FrameAddr;
  const forgotten: number[] = [];
  register_code_invalidation({ frame: (f) => forgotten.push(f), all: () => forgotten.push(-1) });
  FrameInfo.flags.or(frame_info(frame), FRAME_CODE);
  put_user_u32(at, 2);
  assert.equal(forgotten, [frame]);
  FrameInfo.flags.or(frame_info(frame), FRAME_CODE);
  assert.is(do_munmap(mm, at, 4096), 0);
  assert.equal(forgotten, [frame, frame]);
  mm_activate(mm, vcpu_at(0));
  end(mm);
});

test.run();
