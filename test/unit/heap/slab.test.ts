/** Slabs: records, exhaustion, the way of pages to the heap and back, and a random comparison with a model. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ptr } from '../../../engine/base/types.ts';
import { heap_page_alloc, heap_page_free, heap_pages_used } from '../../../engine/heap/heap_pages.ts';
import { layout } from '../../../engine/heap/layout.ts';
import { U8, U32 } from '../../../engine/heap/memory.ts';
import { QUARANTINE_CELLS } from '../../../engine/heap/sanitize.ts';
import { SLAB_RESERVE_PAGES, slab, slab_reports } from '../../../engine/heap/slab.ts';
import { test_memory } from '../../support/memory.ts';
import { for_seeds, Random } from '../../support/seeds.ts';

const l = layout('TestRecord');
const TestRecord = l.done({ a: l.u32('owner'), b: l.f64('owner'), c: l.u64('owner') }, 24);
const records = slab(TestRecord);
const h = layout('TestHuge');
const TestHuge = h.done({ a: h.u32('owner'), rest: h.bytes(4016, 8, 'owner') }, 4024);
const huge = slab(TestHuge);
const m = layout('TestMiddle');
const TestMiddle = m.done({ a: m.u32('owner'), rest: m.bytes(600, 8, 'owner') }, 608);
const middle = slab(TestMiddle);

function panics(action: () => void, pattern: RegExp): void {
  assert.throws(action, (error: Error) => error.name === 'KernelPanic' && pattern.test(error.message));
}

/** Every record that can be had. */
function fill(): Ptr<'TestRecord'>[] {
  const all: Ptr<'TestRecord'>[] = [];
  for (let p = records.alloc(); p !== 0; p = records.alloc()) all.push(p);
  return all;
}

test('a record is zeroed, distinct, and reused after free', () => {
  test_memory();
  const first = records.alloc();
  const second = records.alloc();
  assert.not.equal(first, second);
  TestRecord.a.set(first, 7);
  TestRecord.c.set(first, -1);
  assert.is(TestRecord.c.get_big(first), 0xffffffffffffffffn);
  assert.is(records.live(), 2);
  records.free(first);
  const third = records.alloc();
  assert.is(TestRecord.a.get(third), 0);
  assert.is(records.live(), 2);
});

test('exhaustion is a value, and what was allocated stays usable', () => {
  test_memory({ heap_bytes: 64 << 10 });
  const all = fill();
  assert.ok(all.length > 1000);
  const last = all[all.length - 1] as Ptr<'TestRecord'>;
  records.free(last);
  assert.is(records.alloc(), last);
  assert.is(records.alloc(), 0);
});

for (const sanitize of [false, true])
  test(`a heap filled by one class is free for every other afterwards${sanitize ? ', sanitized' : ''}`, () => {
    test_memory({ heap_bytes: 1 << 20, sanitize });
    const all = fill();
    assert.is(heap_pages_used(), 256);
    assert.is(huge.alloc(), 0);
    for (const p of all) records.free(p);
    assert.is(records.live(), 0);
    const kept = heap_pages_used();
    assert.ok(kept <= SLAB_RESERVE_PAGES + (sanitize ? QUARANTINE_CELLS : 0), `${kept} pages kept`);
    let others = 0;
    while (huge.alloc() !== 0) others++;
    assert.is(others, 256 - kept);
  });

test('a record that comes and goes takes no page each time', () => {
  test_memory();
  records.free(records.alloc());
  const pages = heap_pages_used();
  const addresses: number[] = [];
  for (let i = 0; i < 10; i++) {
    const p = records.alloc();
    assert.is(heap_pages_used(), pages);
    records.free(p);
    addresses.push(p);
  }
  assert.is(new Set(addresses).size, 1);
});

test('null, a record of another class, and one whose page went back cannot be freed', () => {
  test_memory();
  panics(() => records.free(0 as Ptr<'TestRecord'>), /TestRecord: free of 0x0, which is no such record/);
  const other = middle.alloc();
  panics(() => records.free(other as number as Ptr<'TestRecord'>), /TestRecord: free of 0x[0-9a-f]+, which is no such/);
  const first = huge.alloc();
  const second = huge.alloc();
  huge.free(first);
  huge.free(second);
  panics(() => huge.free(second), /TestHuge: free of/);
});

test('a write after free is found when the page goes back', () => {
  test_memory({ sanitize: true });
  const kept = huge.alloc();
  const written = huge.alloc();
  huge.free(kept);
  huge.free(written);
  TestHuge.a.set(written, 1);
  panics(() => {
    const others: Ptr<'TestHuge'>[] = [];
    for (let i = 0; i < QUARANTINE_CELLS + SLAB_RESERVE_PAGES + 1; i++) others.push(huge.alloc());
    for (const p of others) huge.free(p);
  }, /TestHuge: written after free/);
});

const HEAP_BYTES = 256 << 10;

interface Live {
  readonly at: number;
  readonly size: number;
  readonly tag: number;
  readonly free: () => void;
}

/** One random step; the record's last byte and first word hold its tag while it lives. */
function step(random: Random, live: Live[], addresses: number[]): void {
  const kinds = [
    { size: TestRecord.SIZE, slab: records },
    { size: TestMiddle.SIZE, slab: middle },
    { size: TestHuge.SIZE, slab: huge },
  ];
  // Phases of growth and of decline, so that pages fill, empty and change hands.
  const growing = addresses.length % 1000 < 600;
  if (live.length === 0 || random.below(100) < (growing ? 70 : 20)) {
    const { size, slab } = random.pick(kinds);
    const at = slab.alloc() as number;
    addresses.push(at);
    if (at === 0) {
      assert.is(heap_pages_used(), HEAP_BYTES / 4096, 'a record is refused while the heap has pages');
      return;
    }
    for (let i = 0; i < size; i += 4) assert.is(U32[(at + i) >> 2], 0, 'a record is not zeroed');
    const tag = random.below(1 << 30);
    U32[at >> 2] = tag;
    U8[at + size - 1] = tag & 0xff;
    live.push({ at, size, tag, free: () => slab.free(at as never) });
    return;
  }
  const [record] = live.splice(random.below(live.length), 1) as [Live];
  assert.is(U32[record.at >> 2], record.tag, 'a record changed while it lived');
  assert.is(U8[record.at + record.size - 1], record.tag & 0xff);
  record.free();
  addresses.push(-1);
}

/** What must hold at any time, from the outside. */
function check_totals(live: readonly Live[], pages_taken: number): void {
  const sorted = [...live].sort((a, b) => a.at - b.at);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1] as Live;
    assert.ok((sorted[i] as Live).at >= before.at + before.size, 'records overlap');
  }
  const reports = slab_reports().filter(({ name }) => name.startsWith('Test'));
  let pages = pages_taken;
  for (const report of reports) {
    pages += report.pages;
    const cells = Math.floor((4096 - 32) / report.size);
    assert.ok(report.pages * cells >= report.live);
  }
  assert.is(heap_pages_used(), pages);
  assert.is(
    reports.reduce((sum, report) => sum + report.live, 0),
    live.length,
  );
}

function run_model(random: Random, sanitize: boolean): number[] {
  test_memory({ heap_bytes: HEAP_BYTES, sanitize });
  const live: Live[] = [];
  const addresses: number[] = [];
  const pages: number[] = [];
  for (let i = 0; i < 4000; i++) {
    step(random, live, addresses);
    // Pages of other owners come and go in between.
    if (random.below(20) === 0) pages.push(heap_page_alloc());
    else if (pages.length > 0 && random.below(15) === 0) {
      const page = pages.shift() as number;
      if (page !== 0) heap_page_free(page);
    }
    if (i % 200 === 0) check_totals(live, pages.filter((page) => page !== 0).length);
  }
  for (const record of live) record.free();
  for (const page of pages) if (page !== 0) heap_page_free(page);
  check_totals([], 0);
  return addresses;
}

for (const sanitize of [false, true])
  test(`random use against a model; the same use gives the same addresses${sanitize ? ', sanitized' : ''}`, () => {
    for_seeds(6, (random) => {
      const seed = random.below(1 << 30);
      const first = run_model(new Random(seed), sanitize);
      assert.equal(run_model(new Random(seed), sanitize), first);
      assert.ok(first.includes(0), 'the heap was never exhausted');
    });
  });

test.run();
