/**
 * The heap: what a field access, an allocation and a lock cost, against a raw typed-array access.
 *
 *     npm run bench -- heap
 */
import { Bench } from 'tinybench';
import type { Ptr } from '../engine/base/types.ts';
import { boot_memory } from '../engine/heap/boot.ts';
import { layout } from '../engine/heap/layout.ts';
import { Lock, lock, unlock } from '../engine/heap/lock.ts';
import { bind_memory, I32, U32 } from '../engine/heap/memory.ts';
import { slab } from '../engine/heap/slab.ts';

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

/** Runs the suite and prints ns an operation and the ratio to raw access. */
export async function bench_heap(): Promise<void> {
  bind_memory(boot_memory({ vcpus: 1, heap_bytes: 1 << 20, ram_bytes: 1 << 20 }));
  const record = records.alloc();
  const bench = new Bench({ name: 'heap', time: 300 });
  bench
    .add('4 fields, raw typed array', () => {
      fields_raw(record);
    })
    .add('4 fields, record accessors', () => {
      fields_by_accessor(record);
    })
    .add('lock and unlock', () => lock_pair(record))
    .add('alloc and free', alloc_free);
  await bench.run();
  const ns = bench.tasks.map((task) => {
    const result = task.result;
    return 'latency' in result ? (result.latency.min * 1e6) / ROUNDS : Number.NaN;
  });
  const raw = ns[0] as number;
  bench.tasks.forEach((task, i) => {
    const value = ns[i] as number;
    console.log(`${task.name.padEnd(30)} ${value.toFixed(2).padStart(8)} ns   ${(value / raw).toFixed(2)}x raw`);
  });
}

await bench_heap();
