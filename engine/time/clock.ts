/**
 * The machine's clocks (DESIGN D6): real, from a host clock installed on each thread, or virtual.
 *
 * Virtual time moves in three ways only: a slice of guest code adds one ns for each instruction retired, each
 * reading of a clock by the guest adds CLOCK_READ_NS (so that a loop which polls the clock ends), and when every
 * task sleeps it jumps to the next timer.
 */
import { assert } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { lock, unlock } from '../heap/lock.ts';
import { TIMER_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_TIME } from '../heap/machine.layout.ts';
import { F64, I32, U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import {
  CLOCK_MODE_REAL,
  CLOCK_MODE_VIRTUAL,
  TimeRoot,
  VVAR_NANOSECONDS,
  VVAR_SECONDS,
  VVAR_SEQUENCE,
} from './time.layout.ts';

export const NS_PER_SECOND = 1_000_000_000;
/** What one reading of a clock costs in virtual time. */
export const CLOCK_READ_NS = 100;
/** Wall clock of a virtual machine at boot: 2024-01-01T00:00:00Z. */
export const VIRTUAL_EPOCH_SECONDS = 1_704_067_200;

/** The host's sources of time and chance; installed on each thread that works on a machine. */
export interface HostClock {
  /** A monotonic clock in ns, the same on every thread of the process. */
  monotonic_ns(): number;
  /** Seconds and nanoseconds since 1970, UTC. */
  wall(): { seconds: number; nanoseconds: number };
  /** Fills a non-shared array with random bytes. */
  random(bytes: Uint8Array): void;
}

let host: HostClock | null = null;

/** Installs this thread's host clock; a machine with a virtual clock and a seed needs none. */
export function install_host_clock(clock: HostClock | null): void {
  host = clock;
}

/** The host clock of this thread. */
export function host_clock(): HostClock {
  assert(host !== null, 'no host clock is installed on this thread');
  return host;
}

export const time_roots = slab(TimeRoot);

export interface TimeOptions {
  readonly clock: 'real' | 'virtual';
  /** Seed of the random numbers; absent: the host's. */
  readonly seed?: number;
}

/** Makes the machine's TimeRoot at boot. Panics when the heap is too small for it. */
export function boot_time(options: TimeOptions): void {
  const root = time_roots.alloc();
  assert(root !== 0, 'boot_time: no heap');
  TimeRoot.mode.set(root, options.clock === 'real' ? CLOCK_MODE_REAL : CLOCK_MODE_VIRTUAL);
  TimeRoot.next_deadline.set(root, Number.POSITIVE_INFINITY);
  if (options.clock === 'real') {
    const wall = host_clock().wall();
    TimeRoot.boot_host_ns.set(root, host_clock().monotonic_ns());
    TimeRoot.wall_seconds.set(root, wall.seconds);
    TimeRoot.wall_nanoseconds.set(root, wall.nanoseconds);
  } else {
    TimeRoot.wall_seconds.set(root, VIRTUAL_EPOCH_SECONDS);
  }
  if (options.seed !== undefined) {
    TimeRoot.seeded.set(root, 1);
    set_random_state(root, options.seed);
  }
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_TIME] = root;
}

function set_random_state(root: Ptr<'TimeRoot'>, seed: number): void {
  const state = TimeRoot.random_state.at(root) >> 2;
  for (let i = 0; i < 4; i++) U32[state + i] = Math.imul(seed + i + 1, 0x9e37_79b9) ^ (seed >>> 16);
}

/** Starts the random numbers of a seeded machine over. */
export function seed_random(seed: number): void {
  set_random_state(time_root(), seed);
}

/** The machine's TimeRoot. */
export function time_root(): Ptr<'TimeRoot'> {
  return I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_TIME] as Ptr<'TimeRoot'>;
}

/** Whether time is virtual. */
export function clock_is_virtual(): boolean {
  return TimeRoot.mode.get(time_root()) === CLOCK_MODE_VIRTUAL;
}

/** Nanoseconds since the machine's boot, never falling: CLOCK_MONOTONIC and CLOCK_BOOTTIME. */
export function monotonic_ns(): number {
  const root = time_root();
  if (TimeRoot.mode.get(root) === CLOCK_MODE_VIRTUAL) return TimeRoot.virtual_ns.get(root);
  return Math.max(0, Math.floor(host_clock().monotonic_ns() - TimeRoot.boot_host_ns.get(root)));
}

/** As `monotonic_ns`, for a reading on behalf of the guest: virtual time moves by CLOCK_READ_NS. */
export function read_monotonic_ns(): number {
  const now = monotonic_ns();
  if (clock_is_virtual()) advance_virtual(CLOCK_READ_NS);
  return now;
}

/** Moves virtual time forward; nothing on a real clock. */
export function advance_virtual(ns: number): void {
  const root = time_root();
  if (TimeRoot.mode.get(root) !== CLOCK_MODE_VIRTUAL) return;
  lock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  TimeRoot.virtual_ns.set(root, TimeRoot.virtual_ns.get(root) + ns);
  unlock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
}

/**
 * Virtual time never jumps further, 104 days: behind it a double does not count single nanoseconds, and a timer with a
 * short period would come due again and again at the same instant.
 */
const LAST_JUMP_NS = 2 ** 53;

/** Jumps virtual time to the next timer, when every task sleeps. Returns whether there was one. */
export function jump_to_next_timer(): boolean {
  const root = time_root();
  if (TimeRoot.mode.get(root) !== CLOCK_MODE_VIRTUAL) return false;
  lock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  const next = TimeRoot.next_deadline.get(root);
  const found = next <= LAST_JUMP_NS;
  if (found && next > TimeRoot.virtual_ns.get(root)) TimeRoot.virtual_ns.set(root, next);
  unlock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  return found;
}

/** Whole seconds of the wall clock at monotonic time `ns`; `wall_nanoseconds_at` gives the rest. */
export function wall_seconds_at(ns: number): number {
  const root = time_root();
  return TimeRoot.wall_seconds.get(root) + Math.floor((TimeRoot.wall_nanoseconds.get(root) + ns) / NS_PER_SECOND);
}

/** Nanoseconds, 0 to 999,999,999, of the wall clock at monotonic time `ns`. */
export function wall_nanoseconds_at(ns: number): number {
  return (TimeRoot.wall_nanoseconds.get(time_root()) + ns) % NS_PER_SECOND;
}

/** Seconds since 1970 now: what file timestamps and time(2) use. */
export function wall_seconds(): number {
  return wall_seconds_at(monotonic_ns());
}

/** Sets the wall clock (clock_settime). Timers on CLOCK_REALTIME that are armed keep their instant. */
export function set_wall_clock(seconds: number, nanoseconds: number): void {
  const root = time_root();
  const now = monotonic_ns();
  lock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  const offset = nanoseconds - (now % NS_PER_SECOND);
  TimeRoot.wall_seconds.set(root, seconds - Math.floor(now / NS_PER_SECOND) - (offset < 0 ? 1 : 0));
  TimeRoot.wall_nanoseconds.set(root, offset < 0 ? offset + NS_PER_SECOND : offset);
  write_vvar(root);
  unlock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
}

/** From now on programs find the wall clock in this page (a machine address), written whenever it is set. */
export function publish_wall_clock(page: number): void {
  const root = time_root();
  lock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
  TimeRoot.vvar.set(root, page);
  write_vvar(root);
  unlock(TimeRoot.timer_lock.at(root), TIMER_LOCK);
}

/** Under timer_lock. Readers retry while the sequence is odd or has moved. */
function write_vvar(root: Ptr<'TimeRoot'>): void {
  const page = TimeRoot.vvar.get(root);
  if (page === 0) return;
  const seconds = TimeRoot.wall_seconds.get(root);
  Atomics.add(I32, (page + VVAR_SEQUENCE) >> 2, 1);
  U32[(page + VVAR_SECONDS) >>> 2] = seconds;
  U32[(page + VVAR_SECONDS + 4) >>> 2] = Math.floor(seconds / 4294967296);
  U32[(page + VVAR_NANOSECONDS) >>> 2] = TimeRoot.wall_nanoseconds.get(root);
  Atomics.add(I32, (page + VVAR_SEQUENCE) >> 2, 1);
}

/** Monotonic instant of a wall-clock instant. */
export function monotonic_from_wall(seconds: number, nanoseconds: number): number {
  const root = time_root();
  return (
    (seconds - TimeRoot.wall_seconds.get(root)) * NS_PER_SECOND + nanoseconds - TimeRoot.wall_nanoseconds.get(root)
  );
}

/** Deadline of the next timer as a hint, without a lock; Infinity when there is none. */
export function next_deadline_hint(): number {
  return F64[(time_root() + TimeRoot.next_deadline.offset) >> 3] as number;
}
