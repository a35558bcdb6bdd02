/** What the host says about itself and about the process that embeds the machine. */
import { availableParallelism } from 'node:os';

/** Cores that this process may use. */
export function available_cores(): number {
  return availableParallelism();
}

/** The caller's user and group, 0 where the host has no such notion. */
export function caller_ids(): { uid: number; gid: number; groups: readonly number[] } {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  };
}

/** The caller's environment, without variables that are not strings. */
export function caller_environment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value;
  return env;
}
