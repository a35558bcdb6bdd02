/**
 * Futexes (ROOT_FUTEX): buckets of waiters, hashed by key. Guarded by the bucket's lock.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

export const FUTEX_BUCKETS = 128;

const w = layout('FutexWaiter');
export const FutexWaiter = w.done(
  {
    /** Key: see mm/futex_key.ts. */
    offset: w.f64('guarded by the bucket'),
    object: w.u32('guarded by the bucket'),
    bitset: w.u32('immutable'),
    task: w.ptr('Task', 'immutable'),
    next: w.ptr('FutexWaiter', 'guarded by the bucket'),
    previous: w.ptr('FutexWaiter', 'guarded by the bucket'),
    /** Bucket it is in; changes when it is requeued, under both buckets' locks. */
    bucket: w.atomic(),
    /** 1 once a wake has taken it off its bucket. */
    woken: w.atomic(),
    /** Next waiter of the same futex_waitv call. */
    sibling: w.ptr('FutexWaiter', 'owner'),
  },
  40,
);

const b = layout('FutexBucket');
export const FutexBucket = b.done(
  {
    lock: b.embed(Lock),
    head: b.ptr('FutexWaiter', 'guarded by lock'),
    tail: b.ptr('FutexWaiter', 'guarded by lock'),
  },
  16,
);

const t = layout('FutexTable');
export const FutexTable = t.done(
  { buckets: t.bytes(FUTEX_BUCKETS * 16, 8, 'guarded by the bucket') },
  FUTEX_BUCKETS * 16,
);
