/**
 * Memory exhaustion is a value: random calls on a machine with hardly any memory fail cleanly, keep the
 * address space consistent, and leave nothing behind.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EFAULT, ENOMEM } from '../../../engine/abi/errno.ts';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from '../../../engine/abi/mman.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { frames_free, frames_total } from '../../../engine/machine/frames.ts';
import { enter_idle, leave_guest, leave_idle, safe_point } from '../../../engine/machine/safe_point.ts';
import { ACCESS_WRITE, vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { mm_activate, mm_create, mm_fork, mm_put } from '../../../engine/mm/address_space.ts';
import { FAULT_OOM, guest_fault, mm_fault } from '../../../engine/mm/fault.ts';
import { do_madvise } from '../../../engine/mm/madvise.ts';
import { do_mmap, do_munmap } from '../../../engine/mm/mmap.ts';
import { do_mprotect } from '../../../engine/mm/mprotect.ts';
import { do_mremap } from '../../../engine/mm/mremap.ts';
import { put_user_u32 } from '../../../engine/mm/uaccess.ts';
import { test_machine, test_mm } from '../../support/mm.ts';
import { expect_consistent, expect_nothing_left } from '../../support/mm_check.ts';
import { random_of, seed_of } from '../../support/random.ts';

const RW = PROT_READ | PROT_WRITE;
const NO_FILE = 0 as Ptr<'File'>;

function random_calls(random: () => number, spaces: Ptr<'Mm'>[]): void {
  const below = (n: number): number => random() % n;
  const at = (): number => 0x1000_0000 + below(64) * 0x4_0000 + below(64) * 4096;
  const size = (): number => (1 + below(20)) * 4096;
  for (let i = 0; i < 600; i++) {
    const mm = spaces[below(spaces.length)] as Ptr<'Mm'>;
    mm_activate(mm, vcpu_at(0));
    let result = 0;
    switch (below(10)) {
      case 0:
        result = do_mmap(mm, at(), size(), below(4), MAP_PRIVATE | MAP_ANONYMOUS, NO_FILE, 0);
        break;
      case 1:
        result = do_mmap(mm, at(), size(), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, NO_FILE, 0);
        break;
      case 2:
        result = do_munmap(mm, at(), size());
        break;
      case 3:
        result = do_mprotect(mm, at(), size(), below(4));
        break;
      case 4:
        result = do_mremap(mm, at(), size(), size(), MREMAP_MAYMOVE, 0);
        break;
      case 5:
        result = do_madvise(mm, at(), size(), MADV_DONTNEED);
        break;
      case 6: {
        const child = spaces.length < 6 ? mm_fork(mm) : (0 as Ptr<'Mm'>);
        if (child !== 0) spaces.push(child);
        break;
      }
      case 7:
        if (spaces.length > 1) {
          mm_activate(0 as Ptr<'Mm'>, vcpu_at(0));
          mm_put(spaces.splice(below(spaces.length), 1)[0] as Ptr<'Mm'>);
        }
        break;
      default:
        for (let k = 0; k < 10; k++) put_user_u32(at(), k);
    }
    assert.ok(result >= 0 || result === -ENOMEM || result === -EFAULT, `result ${result}`);
  }
}

function rounds(name: string, memory: { ram_bytes: number; heap_bytes: number }): void {
  const seed = seed_of(name);
  for (let round = 0; round < 15; round++) {
    test_machine({ ...memory, sanitize: round % 2 === 1 });
    const spaces = [mm_create()];
    if ((spaces[0] as number) === 0) continue;
    random_calls(random_of(seed + round), spaces);
    for (const mm of spaces) expect_consistent(mm);
    for (const mm of spaces) mm_put(mm);
    expect_nothing_left();
  }
}

test('guest RAM that runs out', () => {
  rounds('exhausted RAM', { ram_bytes: 320 << 10, heap_bytes: 8 << 20 });
});

test('a kernel heap that runs out', () => {
  rounds('exhausted heap', { ram_bytes: 8 << 20, heap_bytes: 64 << 10 });
});

test('a guest that touches more than there is gets the OOM code, and all of it back at its end', () => {
  const mm = test_mm({ ram_bytes: 4 << 20 });
  assert.is(do_mmap(mm, 0, 8 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS, NO_FILE, 0), -ENOMEM);
  const at = do_mmap(mm, 0, 3 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS, NO_FILE, 0);
  const more = do_mmap(mm, 0, 3 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS, NO_FILE, 0);
  let result = 0;
  for (let a = at; a < at + (3 << 20) && result === 0; a += 4096) result = mm_fault(mm, a, ACCESS_WRITE);
  assert.is(result, 0);
  for (let a = more; a < more + (3 << 20) && result === 0; a += 4096) result = mm_fault(mm, a, ACCESS_WRITE);
  assert.is(result, FAULT_OOM);
  assert.is(frames_free(), 0);
  assert.is(put_user_u32(more + (3 << 20) - 4096, 1), -EFAULT);
  assert.is(do_munmap(mm, at, 3 << 20), 0);
  assert.ok(frames_free() > 500 && frames_free() < frames_total());
  assert.is(put_user_u32(more + (3 << 20) - 4096, 1), 0);
  mm_put(mm);
  expect_nothing_left();
});

test('a fault waits for frames that other vCPUs still hold back', () => {
  const mm = test_mm({ ram_bytes: 1 << 20, vcpus: 2 });
  leave_idle(vcpu_at(0));
  leave_idle(vcpu_at(1));
  const at = do_mmap(mm, 0, 800 << 10, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, NO_FILE, 0);
  do_munmap(mm, at, 800 << 10);
  assert.ok(frames_free() < 100, 'retired, not free');
  const again = do_mmap(mm, 0, 800 << 10, RW, MAP_PRIVATE | MAP_ANONYMOUS, NO_FILE, 0);
  // The other vCPU passes by while this one is at work.
  enter_idle(vcpu_at(1));
  for (let a = again; a < again + (800 << 10); a += 4096) assert.is(guest_fault(a, ACCESS_WRITE), 0);
  leave_guest(vcpu_at(0));
  mm_put(mm);
  for (let i = 0; i < 3; i++) safe_point(vcpu_at(0));
  enter_idle(vcpu_at(0));
  expect_nothing_left();
});

test.run();
