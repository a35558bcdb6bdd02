/**
 * Invariants of an address space: the VMA tree, the gaps, the counters, the page table's counts.
 */
import * as assert from 'uvu/assert';
import type { FrameAddr, Ptr } from '../../engine/base/types.ts';
import { U32 } from '../../engine/heap/memory.ts';
import { frames_used, zero_frame } from '../../engine/machine/frames.ts';
import { PTE_FILE, PTE_SHMEM, TASK_SIZE } from '../../engine/machine/page_table.layout.ts';
import { next_table, pte_frame, pte_slot, table_end } from '../../engine/machine/page_table.ts';
import { mms } from '../../engine/mm/address_space.ts';
import { Mm, Vma } from '../../engine/mm/mm.layout.ts';
import { vmas } from '../../engine/mm/vma.ts';
import { cached_pages, mappings } from '../../engine/vfs/mapping.ts';
import { mapping_nodes } from '../../engine/vfs/mapping_tree.ts';

/** Every frame but the zero frame is free, and no record is left. */
export function expect_nothing_left(): void {
  assert.is(frames_used(), 1, 'frames in use');
  assert.is(cached_pages(), 0, 'cached pages');
  assert.is(mms.live(), 0, 'Mm');
  assert.is(vmas.live(), 0, 'Vma');
  assert.is(mappings.live(), 0, 'Mapping');
  assert.is(mapping_nodes.live(), 0, 'MappingNode');
}

function expect_tree(node: Ptr<'Vma'>): number {
  if (node === 0) return 0;
  const left = expect_tree(Vma.left.get(node));
  const right = expect_tree(Vma.right.get(node));
  assert.is(Vma.max_gap.get(node), Math.max(Vma.gap.get(node), left, right), 'max_gap');
  return Vma.max_gap.get(node);
}

/** Checks everything that can be derived from something else. */
export function expect_consistent(mm: Ptr<'Mm'>): void {
  let end = 0;
  let count = 0;
  let pages = 0;
  let prev = 0 as Ptr<'Vma'>;
  for (let v = Mm.first.get(mm); v !== 0; v = Vma.next.get(v)) {
    assert.ok(Vma.start.get(v) >= end && Vma.end.get(v) > Vma.start.get(v), 'order of VMAs');
    assert.is(Vma.gap.get(v), Vma.start.get(v) - end, 'gap');
    assert.is(Vma.prev.get(v), prev, 'prev');
    end = Vma.end.get(v);
    pages += (end - Vma.start.get(v)) / 4096;
    prev = v;
    count++;
  }
  assert.is(Mm.last.get(mm), prev, 'last');
  assert.is(Mm.map_count.get(mm), count, 'map_count');
  assert.is(Mm.total_vm.get(mm), pages, 'total_vm');
  expect_tree(Mm.root.get(mm));
  expect_resident(mm);
}

function expect_resident(mm: Ptr<'Mm'>): void {
  const root = Mm.page_table.get(mm) as FrameAddr;
  let anon = 0;
  let file = 0;
  let shmem = 0;
  for (let a = next_table(root, 0, TASK_SIZE); a < TASK_SIZE; a = next_table(root, table_end(a), TASK_SIZE)) {
    const slot = pte_slot(root, a - (a % 0x40_0000));
    for (let i = 0; i < 1024; i++) {
      const entry = U32[slot + i] as number;
      if (entry === 0) continue;
      if ((entry & PTE_FILE) !== 0) file++;
      else if ((entry & PTE_SHMEM) !== 0) shmem++;
      else if (pte_frame(entry) !== zero_frame()) anon++;
    }
  }
  assert.equal(
    [Mm.rss_anon.get(mm), Mm.rss_file.get(mm), Mm.rss_shmem.get(mm)],
    [anon, file, shmem],
    'resident anonymous, file and shared pages',
  );
}
