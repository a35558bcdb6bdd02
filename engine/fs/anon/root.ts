/** The machine's AnonRoot, made on first use by whichever thread comes first. */
import { assert } from '../../base/assert.ts';
import type { Ptr } from '../../base/types.ts';
import { MACHINE, MachineHeader, ROOT_ANON } from '../../heap/machine.layout.ts';
import { I32 } from '../../heap/memory.ts';
import { slab } from '../../heap/slab.ts';
import { AnonRoot } from './epoll.layout.ts';
import { PIPE_MAX_SIZE } from './pipe.layout.ts';

const anon_roots = slab(AnonRoot);

/** The root record; boot calls this once so that live counts start with it. */
export function anon_root(): Ptr<'AnonRoot'> {
  const slot = (MachineHeader.roots.at(MACHINE) >> 2) + ROOT_ANON;
  const root = Atomics.load(I32, slot) as Ptr<'AnonRoot'>;
  if (root !== 0) return root;
  const fresh = anon_roots.alloc();
  assert(fresh !== 0, 'anon_root: no heap');
  AnonRoot.pipe_max_size.store(fresh, PIPE_MAX_SIZE);
  AnonRoot.inotify_max_events.store(fresh, 16384);
  AnonRoot.inotify_max_instances.store(fresh, 128);
  AnonRoot.inotify_max_watches.store(fresh, 8192);
  const winner = Atomics.compareExchange(I32, slot, 0, fresh) as Ptr<'AnonRoot'>;
  if (winner === 0) return fresh;
  anon_roots.free(fresh);
  return winner;
}
