/**
 * Two vCPUs in one address space: shoot-downs of rights, copy-on-write under a running writer, and pins.
 */
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../engine/abi/mman.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { heap_page_alloc } from '../../../engine/heap/heap_pages.ts';
import { I32 } from '../../../engine/heap/memory.ts';
import { enter_idle, leave_idle, safe_point } from '../../../engine/machine/safe_point.ts';
import { vcpu_at } from '../../../engine/machine/vcpu.layout.ts';
import { use_mm } from '../../../engine/mm/active.ts';
import { mm_activate, mm_create, mm_fork, mm_get, mm_put } from '../../../engine/mm/address_space.ts';
import { do_mmap, do_munmap } from '../../../engine/mm/mmap.ts';
import { do_mprotect } from '../../../engine/mm/mprotect.ts';
import { get_user_u32, put_user_u32 } from '../../../engine/mm/uaccess.ts';
import { test_machine } from '../../support/mm.ts';
import { expect_nothing_left } from '../../support/mm_check.ts';
import type { WorkerTask } from '../../support/mm_worker.ts';

const RW = PROT_READ | PROT_WRITE;
const NO_FILE = 0 as Ptr<'File'>;
const AT = 0x2000_0000;
const PAGES = 4;
const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

interface Pair {
  readonly mm: Ptr<'Mm'>;
  readonly control: number;
  readonly ended: Promise<void>;
}

/** Starts the second vCPU on a fresh address space with PAGES pages mapped at AT. */
function start(what: WorkerTask['what']): Pair {
  const memory = test_machine({ ram_bytes: 8 << 20 });
  leave_idle(vcpu_at(0));
  const mm = mm_create();
  mm_get(mm);
  mm_activate(mm, vcpu_at(0));
  assert.is(do_mmap(mm, AT, PAGES * 4096, RW, FLAGS, NO_FILE, 0), AT);
  const control = heap_page_alloc() >> 2;
  I32.fill(0, control, control + 4);
  const workerData: WorkerTask = { memory, mm, what, address: AT, pages: PAGES, control };
  const worker = new Worker(new URL('../../support/mm_worker.js', import.meta.url), { workerData });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
  while (Atomics.load(I32, control + 1) === 0) Atomics.wait(I32, control + 1, 0, 10);
  return { mm, control, ended };
}

/** Waits until the other vCPU has done more rounds, as an idle vCPU does. */
function let_run(pair: Pair, rounds: number): void {
  const from = Atomics.load(I32, pair.control + 2);
  while (((Atomics.load(I32, pair.control + 2) - from) | 0) < rounds) safe_point(vcpu_at(0));
}

async function finish(pair: Pair): Promise<void> {
  Atomics.store(I32, pair.control, 1);
  await pair.ended;
  assert.is(I32[pair.control + 3], 0, 'errors seen by the other vCPU');
  mm_activate(0 as Ptr<'Mm'>, vcpu_at(0));
  mm_put(pair.mm);
  mm_put(pair.mm);
  for (let i = 0; i < 3; i++) safe_point(vcpu_at(0));
  enter_idle(vcpu_at(0));
  expect_nothing_left();
}

function words(): number[] {
  const all: number[] = [];
  for (let i = 0; i < PAGES; i++) all.push(get_user_u32(AT + i * 4096));
  return all;
}

test('no store gets through once mprotect has taken the right away', async () => {
  const pair = start('store');
  for (let i = 0; i < 100; i++) {
    let_run(pair, 20);
    assert.is(do_mprotect(pair.mm, AT, PAGES * 4096, PROT_READ), 0);
    const before = words();
    let_run(pair, 20);
    assert.equal(words(), before, `round ${i}`);
    assert.is(do_mprotect(pair.mm, AT, PAGES * 4096, RW), 0);
  }
  await finish(pair);
});

test('no store reaches memory that was unmapped and reused', async () => {
  const pair = start('store');
  for (let i = 0; i < 100; i++) {
    let_run(pair, 10);
    assert.is(do_munmap(pair.mm, AT, PAGES * 4096), 0);
    const at = do_mmap(pair.mm, AT + 0x10_0000, PAGES * 4096, RW, FLAGS, NO_FILE, 0);
    for (let n = 0; n < PAGES; n++) put_user_u32(at + n * 4096, 77);
    let_run(pair, 10);
    for (let n = 0; n < PAGES; n++) assert.is(get_user_u32(at + n * 4096), 77, `round ${i}`);
    assert.is(do_munmap(pair.mm, at, PAGES * 4096), 0);
    assert.is(do_mmap(pair.mm, AT, PAGES * 4096, RW, FLAGS, NO_FILE, 0), AT);
  }
  await finish(pair);
});

test('a fork under a running writer is a snapshot', async () => {
  const pair = start('store');
  for (let i = 0; i < 100; i++) {
    let_run(pair, 10);
    const child = mm_fork(pair.mm);
    use_mm(child);
    const before = words();
    let_run(pair, 10);
    assert.equal(words(), before, `round ${i}`);
    use_mm(pair.mm);
    mm_put(child);
  }
  await finish(pair);
});

test('a kernel copy into pinned pages is not lost to copy-on-write, and does not reach the child', async () => {
  const pair = start('pin');
  for (let i = 0; i < 150; i++) {
    const child = mm_fork(pair.mm);
    use_mm(child);
    const before = words();
    use_mm(pair.mm);
    // Another thread of the parent breaks the sharing by a store to its half of the page.
    for (let n = 0; n < PAGES; n++) put_user_u32(AT + n * 4096 + 3000, i);
    let_run(pair, 1);
    use_mm(child);
    assert.equal(words(), before, `round ${i}`);
    use_mm(pair.mm);
    mm_put(child);
  }
  await finish(pair);
});

test.run();
