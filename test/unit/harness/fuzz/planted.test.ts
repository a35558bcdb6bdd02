/**
 * Defects planted in the real kernel, found by campaigns: each by the right oracle, and reduced to the call that has
 * it. The plants are in a tracer of system calls, as if sysinfo(2) were broken.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../../engine/base/types.ts';
import { EventFd } from '../../../../engine/fs/anon/eventfd.layout.ts';
import { heap_page_alloc } from '../../../../engine/heap/heap_pages.ts';
import { Lock, lock } from '../../../../engine/heap/lock.ts';
import { FILES_LOCK, SLAB_LOCK } from '../../../../engine/heap/lock_order.ts';
import { U32 } from '../../../../engine/heap/memory.ts';
import { fd_file } from '../../../../engine/kernel/fd_table.ts';
import { Vma } from '../../../../engine/mm/mm.layout.ts';
import { vmas } from '../../../../engine/mm/vma.ts';
import { set_syscall_tracer } from '../../../../engine/syscalls/dispatch.ts';
import { syscall_by_name } from '../../../../engine/syscalls/table.ts';
import { File } from '../../../../engine/vfs/file.layout.ts';
import { FILE_KIND_EVENTFD } from '../../../../engine/vfs/file.ts';
import { select_target } from '../../../../harness/cmd/enable.ts';
import { type Crash, Fuzzer } from '../../../../harness/fuzz/fuzzer.ts';
import { BlackBox, Runner } from '../../../../harness/fuzz/runner.ts';
import { SignalSet } from '../../../../harness/fuzz/signal.ts';
import { Stats } from '../../../../harness/fuzz/stats.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { executor } from '../../../support/executor.ts';
import { seed_of } from '../../../support/random.ts';

const SEED = seed_of('planted');
const BROKEN = syscall_by_name('sysinfo')?.number;
const TARGET = select_target(['sysinfo', 'getpid', 'eventfd2', 'read', 'write', 'close', 'dup', 'pipe2'], []);
const MOST_RUNS = 20_000;

/** A campaign on the kernel with a defect in sysinfo(2), until its first finding. */
function campaign(plant: () => void): Crash {
  const stats = new Stats();
  const crashes: Crash[] = [];
  const fuzzer = new Fuzzer({
    target: TARGET,
    runner: new Runner(executor(), TARGET, stats, new BlackBox(), 100),
    random: new Random(SEED),
    known: new SignalSet(undefined, 12),
    stats,
    sink: { input() {}, crash: (crash) => crashes.push(crash), repeated() {} },
    stop: () => stats.execs >= MOST_RUNS,
  });
  set_syscall_tracer({ enter: (number) => (number === BROKEN ? plant() : undefined), block() {}, leave() {} });
  try {
    while (crashes.length === 0 && !fuzzer.stop()) fuzzer.step();
  } finally {
    set_syscall_tracer(null);
  }
  assert.is(crashes.length, 1, `nothing found in ${stats.execs} programs`);
  return crashes[0]!;
}

function expect_found(plant: () => void, title: RegExp): void {
  const { finding, program, recurs } = campaign(plant);
  assert.match(finding.title, title);
  assert.ok(recurs, finding.details);
  assert.equal(
    program.calls.map(({ description }) => description.name),
    ['sysinfo'],
  );
}

test('a use after free', () => {
  expect_found(() => {
    const vma = vmas.alloc();
    vmas.free(vma);
    Vma.flags.set(vma, 7);
    // The quarantine lets go of the record in the end, and looks at it.
    for (let i = 0; i < 4096; i++) vmas.free(vmas.alloc());
  }, /^sanitizer: Vma in /);
});

test('a leak', () => {
  expect_found(() => {
    vmas.alloc();
  }, /^leak: Vma$/);
});

test('a lock inversion', () => {
  expect_found(() => {
    const page = heap_page_alloc() as unknown as Parameters<typeof lock>[0];
    U32.fill(0, page >> 2, (page >> 2) + 8);
    lock(page, SLAB_LOCK);
    lock((page + Lock.SIZE) as typeof page, FILES_LOCK);
  }, /^lock order: files in /);
});

test('a broken invariant', () => {
  expect_found(() => {
    throw new TypeError('planted');
  }, /^exception: in /);
});

test('a lost wake-up', () => {
  const { finding, program } = campaign(() => {
    // What a write that forgets its readers does.
    for (let fd = 3; fd < 8; fd++) {
      const file = fd_file(fd);
      if (file !== 0 && File.kind.get(file) === FILE_KIND_EVENTFD)
        EventFd.count.set_parts(File.object.get(file) as Ptr<'EventFd'>, 1, 0);
    }
  });
  // Any call that reads an eventfd will do, or waits for its events.
  assert.match(finding.title, /^lost wake-up: \w+$/);
  const names = program.calls.map(({ description }) => description.row.name);
  const waiter = finding.title.split(' ').at(-1) as string;
  for (const name of [/^eventfd2?$/, new RegExp(`^${waiter}$`), /^sysinfo$/])
    assert.ok(
      names.some((called) => name.test(called)),
      names.join(),
    );
  assert.ok(names.length <= 7, names.join());
});

test.run();
