/**
 * TimeRoot: the machine's clock, its timer heap and its random state (ROOT_TIME). One record, made at boot.
 *
 * Lock order: timer_lock is a leaf; fire functions run after it is released.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

/** Values of `mode`. */
export const CLOCK_MODE_REAL = 0;
export const CLOCK_MODE_VIRTUAL = 1;

/**
 * The page of the vDSO's data: wall clock minus monotonic clock as whole seconds (i64) and ns (u64, below 1e9). The
 * sequence is odd while they change.
 */
export const VVAR_SEQUENCE = 0;
export const VVAR_SECONDS = 8;
export const VVAR_NANOSECONDS = 16;

const t = layout('Timer');
/**
 * A one-shot timer, embedded in its owner. Armed ones form a pairing heap by (deadline, sequence): arming needs
 * no memory, so it cannot fail.
 */
export const Timer = t.done(
  {
    /** Absolute, ns on the monotonic clock. */
    deadline: t.f64('guarded by timer_lock'),
    /** Breaks ties: earlier armed fires first. */
    sequence: t.f64('guarded by timer_lock'),
    child: t.ptr('Timer', 'guarded by timer_lock'),
    sibling: t.ptr('Timer', 'guarded by timer_lock'),
    /** Parent of a first child, left neighbour of the others, 0 for the root. */
    previous: t.ptr('Timer', 'guarded by timer_lock'),
    armed: t.u32('guarded by timer_lock'),
    /** Index of the fire function, and what it is told. */
    kind: t.u32('guarded by timer_lock'),
    owner: t.u32('guarded by timer_lock'),
    /** Handle of remote coverage of whoever armed it (kernel/kcov.ts), 0 none. */
    work_handle: t.u32('guarded by timer_lock'),
  },
  48,
);

const l = layout('TimeRoot');
export const TimeRoot = l.done(
  {
    mode: l.u32('immutable'),
    /** 1: random numbers come from `random_state` alone. */
    seeded: l.u32('immutable'),
    /** Host monotonic clock at boot, ns. */
    boot_host_ns: l.f64('immutable'),
    /** Virtual mode: ns since boot. Written under timer_lock. */
    virtual_ns: l.f64('guarded by timer_lock'),
    /** Wall clock minus monotonic clock: whole seconds and 0 <= nsec < 1e9. */
    wall_seconds: l.f64('guarded by timer_lock'),
    wall_nanoseconds: l.f64('guarded by timer_lock'),
    /** Machine address of the page where programs find the wall clock (VVAR_*), 0 none. */
    vvar: l.u32('guarded by timer_lock'),

    timer_lock: l.embed(Lock),
    root: l.ptr('Timer', 'guarded by timer_lock'),
    /** Timer whose fire function is running, 0 none. */
    firing: l.atomic(),
    /** vCPU index + 1 of the thread that fires. */
    firing_by: l.i32('guarded by timer_lock'),
    armed_count: l.u32('guarded by timer_lock'),
    next_sequence: l.f64('guarded by timer_lock'),
    /** Deadline of the heap's root, Infinity when it is empty; read without the lock as a hint. */
    next_deadline: l.f64('guarded by timer_lock'),

    random_lock: l.embed(Lock),
    random_state: l.bytes(16, 8, 'guarded by random_lock'),
  },
  256,
);
