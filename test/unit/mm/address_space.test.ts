import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EFAULT, ENAMETOOLONG } from '../../../engine/abi/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../../engine/abi/mman.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { heap_page_alloc } from '../../../engine/heap/heap_pages.ts';
import { bind_memory, bound_memory, U8 } from '../../../engine/heap/memory.ts';
import { frame_alloc, frame_put, frames_used } from '../../../engine/machine/frames.ts';
import { set_this_vcpu } from '../../../engine/machine/this_vcpu.ts';
import { vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { use_mm } from '../../../engine/mm/active.ts';
import { mm_activate, mm_create, mm_fork, mm_put } from '../../../engine/mm/address_space.ts';
import { do_mmap, do_munmap } from '../../../engine/mm/mmap.ts';
import {
  copy_in,
  copy_in_string,
  copy_out,
  get_user_i32,
  get_user_u32,
  get_user_u64,
  put_user_u32,
  put_user_u64,
  USER_FAULT,
} from '../../../engine/mm/uaccess.ts';
import { test_machine, test_mm } from '../../support/mm.ts';
import { expect_nothing_left } from '../../support/mm_check.ts';

const RW = PROT_READ | PROT_WRITE;
const NO_FILE = 0 as Ptr<'File'>;

function anonymous(mm: Ptr<'Mm'>, length: number, flags = MAP_PRIVATE, prot = RW): number {
  return do_mmap(mm, 0, length, prot, flags | MAP_ANONYMOUS, NO_FILE, 0);
}

test('the first mapping ends at mmap_base, memory reads zero and keeps what is written', () => {
  const mm = test_mm();
  const at = anonymous(mm, 8192);
  assert.is(at, 0x7fff_f7ff_f000 - 8192);
  assert.is(get_user_u32(at + 4), 0);
  assert.is(put_user_u32(at + 4, 0xdeadbeef), 0);
  assert.is(get_user_u32(at + 4), 0xdeadbeef);
  assert.is(put_user_u64(at + 4092, -2), 0);
  assert.is(get_user_u64(at + 4092), 2 ** 64 - 2);
  assert.is(get_user_i32(at + 4092), -2);
  assert.is(get_user_u32(at + 8192), -EFAULT);
  assert.is(get_user_i32(at - 4), USER_FAULT);
  assert.is(do_munmap(mm, at, 8192), 0);
  assert.is(get_user_u32(at), -EFAULT);
  mm_put(mm);
  expect_nothing_left();
});

test('fork shares private pages until one side writes', () => {
  const mm = test_mm();
  const at = anonymous(mm, 4096 * 4);
  put_user_u32(at, 1);
  put_user_u32(at + 4096, 2);
  get_user_u32(at + 8192);
  const used = frames_used();
  const child = mm_fork(mm);
  // The child's four tables only.
  assert.is(frames_used(), used + 4);
  mm_activate(child, vcpu_at(0));
  assert.is(get_user_u32(at), 1);
  put_user_u32(at, 11);
  mm_activate(mm, vcpu_at(0));
  assert.is(get_user_u32(at), 1);
  put_user_u32(at + 4096, 12);
  assert.is(frames_used(), used + 6);
  mm_activate(child, vcpu_at(0));
  assert.is(get_user_u32(at), 11);
  assert.is(get_user_u32(at + 4096), 2);
  mm_put(mm);
  // The last owner writes in place.
  const before = frames_used();
  put_user_u32(at + 4096, 3);
  assert.is(frames_used(), before);
  mm_put(child);
  expect_nothing_left();
});

test('shared anonymous memory survives fork', () => {
  const mm = test_mm();
  const at = anonymous(mm, 8192, MAP_SHARED);
  const child = mm_fork(mm);
  put_user_u32(at, 5);
  mm_activate(child, vcpu_at(0));
  assert.is(get_user_u32(at), 5);
  put_user_u32(at + 4096, 6);
  mm_activate(mm, vcpu_at(0));
  assert.is(get_user_u32(at + 4096), 6);
  mm_put(mm);
  mm_put(child);
  expect_nothing_left();
});

test('copies cross pages and stop at what is not there', () => {
  const mm = test_mm();
  const at = anonymous(mm, 8192);
  const buffer = heap_page_alloc();
  for (let i = 0; i < 256; i++) U8[buffer + i] = i;
  assert.is(copy_out(at + 4000, buffer, 256), 0);
  assert.is(copy_in(buffer + 1024, at + 4000, 256), 0);
  for (let i = 0; i < 256; i++) assert.is(U8[buffer + 1024 + i], i);
  assert.is(copy_out(at + 8000, buffer, 256), -EFAULT);
  assert.is(copy_in_string(at + 4001, buffer, 4096), 255);
  assert.is(copy_in_string(at + 4001, buffer, 255), -ENAMETOOLONG);
  assert.is(copy_in_string(at + 8192, buffer, 255), -EFAULT);
  assert.is(do_mmap(mm, at, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NO_FILE, 0), at);
  assert.is(get_user_u32(at), -EFAULT);
  mm_put(mm);
  expect_nothing_left();
});

test('a new address space in the place of a dead one is another one', () => {
  const mm = test_mm();
  const at = anonymous(mm, 4096);
  put_user_u32(at, 1);
  // Another thread drops the last reference while this one still has it cached.
  set_this_vcpu(vcpu_at(1));
  const cached = use_mm(0 as Ptr<'Mm'>);
  mm_put(mm);
  const next = mm_create();
  assert.is(next, mm);
  set_this_vcpu(vcpu_at(0));
  use_mm(cached);
  mm_activate(next, vcpu_at(0));
  assert.is(get_user_u32(at), -EFAULT);
  assert.is(anonymous(next, 4096), at);
  assert.is(get_user_u32(at), 0);
  mm_put(next);
  expect_nothing_left();
});

test('machines on one thread do not see each other', () => {
  const first = test_mm();
  const memory = bound_memory() as WebAssembly.Memory;
  const at = anonymous(first, 4096);
  put_user_u32(at, 1);
  // The second machine has its page table in another frame.
  test_machine();
  const spare = frame_alloc();
  const second = mm_create();
  mm_activate(second, vcpu_at(0));
  assert.is(second, first, 'the same address in another memory');
  assert.is(get_user_u32(at), -EFAULT);
  assert.is(anonymous(second, 4096), at);
  put_user_u32(at, 2);
  frame_put(spare);
  bind_memory(memory);
  mm_activate(first, vcpu_at(0));
  assert.is(get_user_u32(at), 1);
  mm_put(first);
  expect_nothing_left();
});

test.run();
