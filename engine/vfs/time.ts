/**
 * The wall clock that stamps inodes, injected by the machine (DESIGN D6); the epoch until then.
 */

/** Whole seconds since the epoch, and nanoseconds within the second. */
export interface WallClock {
  seconds(): number;
  nanoseconds(): number;
}

let clock: WallClock = { seconds: () => 0, nanoseconds: () => 0 };

/** Installs the machine's wall clock on this thread. */
export function set_vfs_clock(wall: WallClock): void {
  clock = wall;
}

/** Whole seconds since the epoch. */
export function now_seconds(): number {
  return clock.seconds();
}

/** Nanoseconds within the second, 0 to 999,999,999; read after `now_seconds`. */
export function now_nanoseconds(): number {
  return clock.nanoseconds();
}
