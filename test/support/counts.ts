/** Live records of every class of the bound machine, for leak checks. */
import { MACHINE, MachineHeader, SLAB_DIRECTORY } from '../../engine/heap/machine.layout.ts';
import { U8 } from '../../engine/heap/memory.ts';
import { SlabDescriptor } from '../../engine/heap/slab.layout.ts';
import { frames_used } from '../../engine/machine/frames.ts';

/** Class name to number of live records, without classes that have none; and the frames in use. */
export function live_counts(): Record<string, number> {
  const counts: Record<string, number> = { frames: frames_used() };
  for (let i = 0; i < MachineHeader.slab_count.get(MACHINE); i++) {
    const d = (SLAB_DIRECTORY + i * SlabDescriptor.SIZE) as Parameters<typeof SlabDescriptor.live.load>[0];
    const at = SlabDescriptor.name.at(d);
    let name = '';
    for (let j = 0; j < 31 && U8[at + j] !== 0; j++) name += String.fromCharCode(U8[at + j] as number);
    const live = SlabDescriptor.live.load(d);
    if (live !== 0) counts[name] = live;
  }
  return counts;
}
