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
import { bind_memory, I32, U32 } from '../engine/heap/memory.ts';
import { slab } from '../engine/heap/slab.ts';
import { is_wanted, QUICK, report, TIME_MS } from './script.ts';

const l = layout('BenchRecord');
const BenchRecord = l.done(
  { lock: l.embed(Lock), a: l.i32('owner'), b: l.i32('owner'), c: l.u32('owner'), d: l.u32('owner') },
  24,
);
const records = slab(BenchRecord);
const BENCH_LOCK = { name: 'bench', rank: 1 };
const ROUNDS = 10_000;

/** Three reads and a write of one record, `ROUNDS` times. */
function fields_by_accessor(p: Ptr<'BenchRecord'>): number {
  let sum = 0;
  for (let i = 0; i < ROUNDS; i++) {
    sum = (sum + BenchRecord.a.get(p) + BenchRecord.b.get(p) + BenchRecord.c.get(p)) | 0;
    BenchRecord.d.set(p, sum);
  }
  return sum;
}

function fields_raw(p: number): number {
  let sum = 0;
  for (let i = 0; i < ROUNDS; i++) {
    sum = (sum + (I32[(p + 8) >> 2] as number) + (I32[(p + 12) >> 2] as number) + (U32[(p + 16) >> 2] as number)) | 0;
    U32[(p + 20) >> 2] = sum;
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
  ['4 fields, raw typed array', fields_raw],
  ['4 fields, record accessors', fields_by_accessor],
  ['lock and unlock', lock_pair],
  ['alloc and free', alloc_free],
];

/** Runs the suite; a sample is the mean over `ROUNDS` operations, in ns. */
async function bench_heap(): Promise<void> {
  bind_memory(boot_memory({ vcpus: 1, heap_bytes: 1 << 20, ram_bytes: 1 << 20 }));
  const record = records.alloc();
  const bench = new Bench({
    name: 'heap',
    time: QUICK ? 1 : TIME_MS,
    warmup: !QUICK,
    retainSamples: true,
    iterations: QUICK ? 2 : 64,
  });
  for (const [name, run] of ITEMS) if (is_wanted(name)) bench.add(name, () => run(record));
  await bench.run();
  for (const { name, result } of bench.tasks) {
    if (!('latency' in result)) throw new Error(`${name} was not measured: ${result.state}`);
    const samples = (result.latency.samples ?? []).slice(-500).map((ms) => (ms * 1e6) / ROUNDS);
    report({ suite: 'heap', name, column: 'best', unit: 'ns', better: 'lower', samples });
  }
}

await bench_heap();
