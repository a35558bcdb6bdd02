/** /proc/PID/smaps: the regions of maps with what of them is in memory. */
import type { FrameAddr, Ptr } from '../../base/types.ts';
import { zero_frame } from '../../machine/frames.ts';
import { PTE_FILE, PTE_SHMEM } from '../../machine/page_table.layout.ts';
import { next_table, pte_frame, pte_get, pte_slot } from '../../machine/page_table.ts';
import { Mm, VM_LOCKED } from '../../mm/mm.layout.ts';
import { mm_lock, mm_unlock } from '../../mm/mm_lock.ts';
import type { Subject } from '../pseudo/node.ts';
import { each_line, maps_line, type Region } from './maps.ts';

/** Pages of a range that are mapped: all of them, and those that are private copies. */
function resident(mm: Ptr<'Mm'>, start: number, end: number): { all: number; anonymous: number } {
  const root = Mm.page_table.get(mm) as FrameAddr;
  let all = 0;
  let anonymous = 0;
  mm_lock(mm);
  for (let a = next_table(root, start, end); a < end; a = next_table(root, a + 4096, end)) {
    const slot = pte_slot(root, a);
    const entry = slot === 0 ? 0 : pte_get(slot);
    if (entry === 0 || pte_frame(entry) === zero_frame()) continue;
    all++;
    if ((entry & (PTE_FILE | PTE_SHMEM)) === 0) anonymous++;
  }
  mm_unlock(mm);
  return { all, anonymous };
}

function field(name: string, kilobytes: number): string {
  return `${`${name}:`.padEnd(16)}${String(kilobytes).padStart(8)} kB\n`;
}

function region_text(region: Region, mm: Ptr<'Mm'>): string {
  const { all, anonymous } = resident(mm, region.start, region.end);
  return (
    `${maps_line(region, mm)}\n` +
    field('Size', (region.end - region.start) / 1024) +
    field('KernelPageSize', 4) +
    field('MMUPageSize', 4) +
    field('Rss', all * 4) +
    field('Anonymous', anonymous * 4) +
    field('Swap', 0) +
    field('Locked', (region.flags & VM_LOCKED) !== 0 ? all * 4 : 0)
  );
}

/** /proc/PID/smaps_rollup: the sums of smaps. */
export function smaps_rollup(subject: Subject): string | number {
  let first = -1;
  let last = 0;
  let rss = 0;
  let anonymous = 0;
  let locked = 0;
  const result = each_line(subject, (region, mm) => {
    const found = resident(mm, region.start, region.end);
    if (first < 0) first = region.start;
    last = region.end;
    rss += found.all;
    anonymous += found.anonymous;
    if ((region.flags & VM_LOCKED) !== 0) locked += found.all;
    return '';
  });
  if (typeof result === 'number' || first < 0) return result;
  const range = `${first.toString(16).padStart(8, '0')}-${last.toString(16).padStart(8, '0')} ---p 00000000 00:00 0 `;
  const sums =
    field('Rss', rss * 4) + field('Anonymous', anonymous * 4) + field('Swap', 0) + field('Locked', locked * 4);
  return `${range.padEnd(73)}[rollup]\n${sums}`;
}

/** /proc/PID/smaps (proc_pid_smaps(5)): without the proportional sizes. */
export function smaps(subject: Subject): string | number {
  return each_line(subject, region_text);
}
