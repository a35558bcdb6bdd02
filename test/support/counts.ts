/** Live records of every class of the bound machine, for leak checks. */
import { heap_pages_used } from '../../engine/heap/heap_pages.ts';
import { slab_reports } from '../../engine/heap/slab.ts';
import { frames_used } from '../../engine/machine/frames.ts';

/**
 * Class name to number of live records, without classes that have none; the frames in use; and the heap pages in use
 * that are not cut into records.
 */
export function live_counts(): Record<string, number> {
  const counts: Record<string, number> = { frames: frames_used(), 'heap pages': heap_pages_used() };
  for (const { name, live, pages } of slab_reports()) {
    if (live !== 0) counts[name] = live;
    counts['heap pages'] = (counts['heap pages'] as number) - pages;
  }
  return counts;
}
