/**
 * The host's time and chance (DESIGN D6): the only place where the engine asks for them. Satisfies the
 * HostClock of time/clock.ts.
 */
import { randomFillSync } from 'node:crypto';

export const host_clock = {
  /** Nanoseconds of the host's monotonic clock, the same on every thread; exact to about 100 days of uptime. */
  monotonic_ns(): number {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e9 + nanoseconds;
  },
  /** UTC since 1970; the host gives milliseconds. */
  wall(): { seconds: number; nanoseconds: number } {
    const ms = Date.now();
    return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1e6 };
  },
  /** Fills an array that is not shared. */
  random(bytes: Uint8Array): void {
    randomFillSync(bytes);
  },
};
