/**
 * The host's time and chance (DESIGN D6): the only place where the engine asks for them. Satisfies the
 * HostClock of time/clock.ts.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { load_builtin } from './builtin.ts';

/** The host's random device, open; -1 where there is none, undefined before it was looked for. */
let device: number | undefined;

function open_device(): number {
  let fd = -1;
  try {
    fd = openSync('/dev/urandom', 'r');
    if (fstatSync(fd).isCharacterDevice()) return fd;
    closeSync(fd);
  } catch {
    // A host without one, such as Windows.
  }
  return -1;
}

/** Whether the random device has filled the array. */
function fill_from_device(bytes: Uint8Array): boolean {
  device ??= open_device();
  if (device < 0) return false;
  let filled = 0;
  while (filled < bytes.length) {
    const count = readSync(device, bytes, filled, bytes.length - filled, null);
    if (count <= 0) return false;
    filled += count;
  }
  return true;
}

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
    if (!fill_from_device(bytes)) load_builtin('node:crypto').randomFillSync(bytes);
  },
};
