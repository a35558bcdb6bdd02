/** What is kept of a region to write its code once more: all but its instructions, which are decoded again. */
import { type Block, decode_insn, type Insn, type Region } from './region.ts';

export interface Outline extends Omit<Region, 'blocks'> {
  /** With the number of their instructions. */
  readonly blocks: readonly (Omit<Block, 'insns'> & { readonly size: number })[];
}

/** What is to be kept of a region. */
export function outline_of(region: Region): Outline {
  return { ...region, blocks: region.blocks.map(({ insns, ...block }) => ({ ...block, size: insns.length })) };
}

/** Instructions of an outlined region. */
export function size_of({ blocks }: Outline): number {
  return blocks.reduce((sum, { size }) => sum + size, 0);
}

/** The region of an outline; null where its code is no longer what it was. */
export function region_of(outline: Outline): Region | null {
  const blocks: Block[] = [];
  for (const { size, ...block } of outline.blocks) {
    const insns: Insn[] = [];
    for (let at = block.rip; insns.length < size; ) {
      const insn = decode_insn((rip) => outline.pages.get(Math.floor(rip / 4096)) ?? 0, at);
      if (insn === null) return null;
      insns.push(insn);
      at = insn.next;
    }
    blocks.push({ ...block, insns });
  }
  return { ...outline, blocks };
}
