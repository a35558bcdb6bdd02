/** Who looks at what one thread does as a vCPU, where somebody asked for that. */
import type { RegionObserver } from '../platform/jit/region_cache.ts';
import { Profiler } from './profiler.ts';
import { RegionLog } from './region_log.ts';

/** What is asked for of the vCPUs of a machine. */
export interface ObserverRequest {
  /** Regions are counted and kept: region_log.ts. */
  readonly inspect: boolean;
  /** What the sampler shares with the vCPUs of a profiled machine, null of others: profile_area.ts. */
  readonly profile: SharedArrayBuffer | null;
}

export interface VcpuObservers {
  readonly log: RegionLog | null;
  readonly profiler: Profiler | null;
  /** For the translator; null where it need not tell anything. */
  readonly regions: RegionObserver | null;
}

function both(log: RegionLog, profiler: Profiler): RegionObserver {
  return {
    counted: true,
    now: () => log.now(),
    made(region, bytes, ns, counters) {
      profiler.blocks.made(region);
      log.made(region, bytes, ns, counters);
    },
  };
}

/** The observers of vCPU `index` on the calling thread. */
export function make_observers(index: number, { inspect, profile }: ObserverRequest): VcpuObservers {
  const log = inspect ? new RegionLog(index) : null;
  const profiler = profile === null ? null : new Profiler(index, profile);
  const regions = log !== null && profiler !== null ? both(log, profiler) : (log ?? profiler?.blocks ?? null);
  return { log, profiler, regions };
}
