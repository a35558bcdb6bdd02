/**
 * The heap: what a field access, an allocation and a lock cost, against a raw typed-array access.
 *
 *     tvisor-harness bench heap
 */
import { Bench } from 'tinybench';
import type { Ptr } from '../engine/base/types.ts';
import { boot_memory } from '../engine/heap/boot.ts';
import { layout } from '../engine/heap/layout.ts';
import { Lock, lock, unlock } from '../engine/heap/lock.ts';
import { bind_memory, I32 } from '../engine/heap/memory.ts';
import { slab } from '../engine/heap/slab.ts';
import { is_wanted, QUICK, report, TIME_MS } from './script.ts';

const l = layout('BenchRecord');
const BenchRecord = l.done(
  {
    lock: l.embed(Lock),
    a: l.i32('owner'),
    b: l.i32('owner'),
    c: l.i32('owner'),
    d: l.i32('owner'),
    e: l.i32('owner'),
    f: l.i32('owner'),
    g: l.i32('owner'),
    sum: l.i32('owner'),
  },
  40,
);
const records = slab(BenchRecord);
const BENCH_LOCK = { name: 'bench', rank: 1 };
const ROUNDS = 10_000;
/** The record that the field loops take by turns with the one they are given. */
let second = 0;

/**
 * Seven reads and a write of a record, `ROUNDS` times. As many, so that V8 peels neither loop: of the shorter one it
 * would do the checks once, before the loop, and compare that with accesses that each have their own, as in the kernel.
 */
function fields_by_accessor(first: Ptr<'BenchRecord'>): number {
  let sum = 0;
  let p = first;
  for (let i = 0; i < ROUNDS; i++) {
    sum = (sum + BenchRecord.a.get(p) + BenchRecord.b.get(p) + BenchRecord.c.get(p)) | 0;
    sum = (sum + BenchRecord.d.get(p) + BenchRecord.e.get(p) + BenchRecord.f.get(p) + BenchRecord.g.get(p)) | 0;
    BenchRecord.sum.set(p, sum);
    p = (first ^ second ^ p) as Ptr<'BenchRecord'>;
  }
  return sum;
}

function fields_raw(first: number): number {
  let sum = 0;
  let p = first;
  for (let i = 0; i < ROUNDS; i++) {
    sum = (sum + I32[(p + 8) >> 2]! + I32[(p + 12) >> 2]! + I32[(p + 16) >> 2]!) | 0;
    sum = (sum + I32[(p + 20) >> 2]! + I32[(p + 24) >> 2]! + I32[(p + 28) >> 2]! + I32[(p + 32) >> 2]!) | 0;
    I32[(p + 36) >> 2] = sum;
    p = first ^ second ^ p;
  }
  return sum;
}

function lock_pair(p: Ptr<'BenchRecord'>): void {
  for (let i = 0; i < ROUNDS; i++) {
    lock(BenchRecord.lock.at(p), BENCH_LOCK);
    unlock(BenchRecord.lock.at(p), BENCH_LOCK);
  }
}

function alloc_free(): void {
  for (let i = 0; i < ROUNDS; i++) records.free(records.alloc());
}

const ITEMS: readonly (readonly [name: string, run: (record: Ptr<'BenchRecord'>) => void])[] = [
  ['8 fields, raw typed array', fields_raw],
  ['8 fields, record accessors', fields_by_accessor],
  ['lock and unlock', lock_pair],
  ['alloc and free', alloc_free],
];

/** The items run by turns, so often: a processor whose clock changes then changes it for all of them. */
const TURNS = QUICK ? 1 : 6;

/** One turn: each item for its share of the time; a sample is the mean over `ROUNDS` operations, in ns. */
async function take_turn(record: Ptr<'BenchRecord'>, samples: Map<string, number[]>): Promise<void> {
  const bench = new Bench({
    name: 'heap',
    time: QUICK ? 1 : TIME_MS / TURNS,
    warmup: !QUICK,
    retainSamples: true,
    iterations: QUICK ? 2 : 16,
  });
  for (const [name, run] of ITEMS) if (is_wanted(name)) bench.add(name, () => run(record));
  await bench.run();
  for (const { name, result } of bench.tasks) {
    if (!('latency' in result)) throw new Error(`${name} was not measured: ${result.state}`);
    const kept = (result.latency.samples ?? []).slice(-100).map((ms) => (ms * 1e6) / ROUNDS);
    samples.set(name, [...(samples.get(name) ?? []), ...kept]);
  }
}

async function bench_heap(): Promise<void> {
  bind_memory(boot_memory({ vcpus: 1, heap_bytes: 1 << 20, ram_bytes: 1 << 20 }));
  const record = records.alloc();
  second = records.alloc();
  const samples = new Map<string, number[]>();
  for (let turn = 0; turn < TURNS; turn++) await take_turn(record, samples);
  for (const [name, taken] of samples)
    report({ suite: 'heap', name, column: 'best', unit: 'ns', better: 'lower', samples: taken });
}

await bench_heap();
