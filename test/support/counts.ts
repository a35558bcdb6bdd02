/** Live records of every class, for leak checks. */
import { heap_pages_used } from '../../engine/heap/heap_pages.ts';
import { slab_reports } from '../../engine/heap/slab.ts';
import type { Machine } from '../../engine/index.ts';
import { frames_used } from '../../engine/machine/frames.ts';
import { DROP_NAMES, DROP_PAGES, drop_caches } from '../../engine/vfs/drop_caches.ts';

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

/**
 * The counts of a machine whose programs have ended, with what is only cached given up; taken once they no longer
 * change, since the last of a process goes a moment after its status is known.
 */
export async function quiet_counts(machine: Machine): Promise<Record<string, number>> {
  for (let before = ''; ; ) {
    (machine as unknown as { enter(): void }).enter();
    drop_caches(DROP_PAGES | DROP_NAMES);
    const counts = live_counts();
    const text = JSON.stringify(counts);
    if (text === before) return counts;
    before = text;
    await new Promise((done) => setTimeout(done, 10));
  }
}
