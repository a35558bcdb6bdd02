/**
 * The platforms by name.
 */
import { create_interpreter } from './interp/interp.ts';
import { create_jit, DEFAULT_JIT_OPTIONS } from './jit/jit.ts';
import type { JitOptions, RegionObserver } from './jit/region_cache.ts';
import type { Platform, PlatformHooks } from './platform.ts';

/**
 * `interp` interprets; `jit` also translates what is hot; `jit-eager` translates whatever it comes to, at once, which
 * is slow, for tests.
 */
export type PlatformName = 'interp' | 'jit' | 'jit-eager';

/** Units are made soon, but not so often that nothing else is done. */
const EAGER: JitOptions = { heat: 1, eager: true, units: { period: 61, samples: 16, cost: 20 } };

export const PLATFORMS: readonly PlatformName[] = ['interp', 'jit', 'jit-eager'];

/**
 * The platform of that name for this thread; see `create_interpreter`. A translator shows its regions to `observer` and
 * compiles them by `compile`.
 */
export function create_platform(
  name: PlatformName,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  hooks: PlatformHooks,
  observer: RegionObserver | null,
  compile: NonNullable<JitOptions['compile']>,
): Platform {
  if (name === 'interp') return create_interpreter(module, memory, hooks);
  const options = { ...(name === 'jit' ? DEFAULT_JIT_OPTIONS : EAGER), compile };
  return create_jit(module, memory, hooks, observer === null ? options : { ...options, observer });
}
