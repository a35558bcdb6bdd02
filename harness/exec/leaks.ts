/**
 * Live records of each class and frames, before a program and after it. What a program leaves behind on purpose
 * (files, mounts, System V objects) is no leak: where the quick comparison finds more than before, first the program's
 * own file system is unmounted, then everything, and compared with what that leaves of a fresh machine. The reset brings
 * everything back.
 */
import type { Ptr } from '../../engine/base/types.ts';
import { unmount_all } from '../../engine/fs/boot_mounts.ts';
import { heap_pages_used } from '../../engine/heap/heap_pages.ts';
import { MACHINE, MachineHeader, SLAB_DIRECTORY } from '../../engine/heap/machine.layout.ts';
import { SlabDescriptor } from '../../engine/heap/slab.layout.ts';
import { slab_reports } from '../../engine/heap/slab.ts';
import { ipc_clear } from '../../engine/kernel/ipc/clear.ts';
import { frames_used } from '../../engine/machine/frames.ts';
import { collect_sockets } from '../../engine/socket/collect.ts';
import type { Leak } from './executor.ts';

/** Live records by place in the slab directory; behind them frames, and heap pages that are no slab's. */
export type LiveCounts = Int32Array;
const OTHERS = ['frames', 'heap pages'];

/** The counts now. Takes no lock: no task runs. */
function live_counts(): LiveCounts {
  const counts = new Int32Array(MachineHeader.slab_count.get(MACHINE) + OTHERS.length);
  read_counts(counts);
  return counts;
}

function read_counts(counts: LiveCounts): void {
  const classes = counts.length - OTHERS.length;
  let slab_pages = 0;
  for (let i = 0; i < classes; i++) {
    const d = (SLAB_DIRECTORY + i * SlabDescriptor.SIZE) as Ptr<'SlabDescriptor'>;
    counts[i] = SlabDescriptor.live.get(d);
    slab_pages += SlabDescriptor.pages.get(d);
  }
  counts[classes] = frames_used();
  counts[classes + 1] = heap_pages_used() - slab_pages;
}

/** What ends things that outlive processes, little first. The machine is of no use afterwards, until it is reset. */
type Stage = () => void;

function end_everything(): void {
  collect_sockets();
  ipc_clear();
  unmount_all();
}

export class LeakCheck {
  private readonly before: LiveCounts;
  private readonly stages: readonly { readonly end: Stage; readonly counts: LiveCounts }[];
  private readonly now: LiveCounts;

  /** The machine has no process yet; it is of no use afterwards. `unmount` ends the programs' own file system. */
  constructor(unmount: Stage) {
    this.before = live_counts();
    this.now = live_counts();
    const end_files = (): void => {
      // Their names are inodes there.
      collect_sockets();
      unmount();
    };
    this.stages = [end_files, end_everything].map((end) => {
      end();
      return { end, counts: live_counts() };
    });
  }

  /** What is alive beyond that; all processes have been reaped. */
  find(): Leak[] {
    let expected = this.before;
    read_counts(this.now);
    for (const { end, counts } of this.stages) {
      if (equal(this.now, expected)) return [];
      end();
      read_counts(this.now);
      expected = counts;
    }
    if (equal(this.now, expected)) return [];
    const names = [...slab_reports().map(({ name }) => name), ...OTHERS];
    const leaks: Leak[] = [];
    for (const [i, record] of names.entries()) {
      const before = expected[i] as number;
      const after = this.now[i] as number;
      if (before !== after) leaks.push({ record, before, after });
    }
    return leaks;
  }
}

function equal(a: LiveCounts, b: LiveCounts): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
