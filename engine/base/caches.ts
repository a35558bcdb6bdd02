/**
 * The caches of a thread: what its JavaScript objects remember of a machine to save time. All of them may be dropped at
 * any moment between two guest instructions, and nothing that a program can observe changes (DESIGN D1); tests do so at
 * random. A module with such a cache registers it here when it is loaded; `test/tidy` looks for those that do not.
 */

export interface ThreadCache {
  readonly name: string;
  /** Forgets everything. Called between two guest instructions; the machine is bound, or about to be unbound. */
  drop(): void;
}

const registered: ThreadCache[] = [];

/** Registers a cache of this thread, at module load. */
export function register_cache(name: string, drop: () => void): void {
  registered.push({ name, drop });
}

/** The caches of this thread. */
export function thread_caches(): readonly ThreadCache[] {
  return registered;
}

/** Drops every cache of this thread. */
export function drop_thread_caches(): void {
  for (const cache of registered) cache.drop();
}
