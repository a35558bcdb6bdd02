/**
 * The heap in parts, by what a part's bytes need to change. Most of a small machine's heap is free cells of record
 * classes and empty buckets of hash tables, at which a reset need not look unless the class, or the table, was used:
 *
 *     live and quarantined cells, heads of pages, other pages    at any time
 *     cells on free lists               when a record of the class is taken or given back: SlabDescriptor.changes
 *     buckets of dentries and inodes    when one goes in or out: VfsRoot.*_hash_changes
 *
 * A stray store to a free cell is seen by the sanitizer, or by the next verification, which looks at everything.
 */
import type { Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader, SLAB_DIRECTORY } from '../heap/machine.layout.ts';
import { U32 } from '../heap/memory.ts';
import { SlabDescriptor, SlabPage } from '../heap/slab.layout.ts';
import { DENTRY_HASH_PAGES, INODE_HASH_PAGES, vfs_root } from '../vfs/root.ts';
import { VfsRoot } from '../vfs/vfs.layout.ts';
import { BLOCK } from './compare.ts';

const PAGE = 4096;
const BLOCKS = PAGE / BLOCK;

export interface Part {
  /** A machine address and a number of bytes, multiples of BLOCK. */
  readonly start: number;
  readonly length: number;
  /** Address of a word that changes before the part does; 0: the part may change at any time. */
  readonly counter: number;
}

/** The heap's pages from `start` to `end` as parts, in order. */
export function heap_parts(start: number, end: number): Part[] {
  const tables = hash_pages();
  const classes = slab_pages(start, end);
  const parts: Part[] = [];
  for (let page = start; page < end; page += PAGE) {
    const table = tables.get(page);
    const used = classes.get(page);
    for (let i = 0; i < BLOCKS; i++) {
      let counter = table ?? 0;
      if (used !== undefined && used.blocks[i] === 0) counter = used.counter;
      add_block(parts, page + i * BLOCK, counter);
    }
  }
  return parts;
}

function add_block(parts: Part[], start: number, counter: number): void {
  const last = parts.at(-1);
  if (last === undefined || last.counter !== counter) parts.push({ start, length: BLOCK, counter });
  else parts[parts.length - 1] = { start: last.start, length: last.length + BLOCK, counter };
}

/** The pages of the name space's hash tables, each with its counter. */
function hash_pages(): Map<number, number> {
  const pages = new Map<number, number>();
  const root = vfs_root();
  if (root === 0) return pages;
  const add = (table: number, count: number, counter: number): void => {
    for (let i = 0; i < count; i++) pages.set(U32[(table >>> 2) + i] as number, counter);
  };
  add(VfsRoot.dentry_hash.at(root), DENTRY_HASH_PAGES, root + VfsRoot.dentry_hash_changes.offset);
  add(VfsRoot.inode_hash.at(root), INODE_HASH_PAGES, root + VfsRoot.inode_hash_changes.offset);
  return pages;
}

interface SlabPageUse {
  readonly counter: number;
  /** 1 for each block with something else than free cells. */
  readonly blocks: Uint8Array;
}

/** The pages that record classes hold. Of a class whose pages are not all found, none is. */
function slab_pages(start: number, end: number): Map<number, SlabPageUse> {
  const found = new Map<number, SlabPageUse>();
  const pages_of = new Map<Ptr<'SlabDescriptor'>, number[]>();
  for (let page = start; page < end; page += PAGE) {
    const d = SlabPage.slab.get(page as Ptr<'SlabPage'>);
    const blocks = is_class(d) ? blocks_in_use(page as Ptr<'SlabPage'>, d) : undefined;
    if (blocks === undefined) continue;
    found.set(page, { counter: d + SlabDescriptor.changes.offset, blocks });
    pages_of.set(d, [...(pages_of.get(d) ?? []), page]);
  }
  for (const [d, pages] of pages_of)
    if (SlabDescriptor.pages.get(d) !== pages.length) for (const page of pages) found.delete(page);
  return found;
}

function is_class(d: Ptr<'SlabDescriptor'>): boolean {
  const offset = d - SLAB_DIRECTORY;
  return (
    offset >= 0 &&
    offset % SlabDescriptor.SIZE === 0 &&
    offset / SlabDescriptor.SIZE < MachineHeader.slab_count.get(MACHINE)
  );
}

/** What of a class's page is not free cells; undefined when the page is something else that looks like one. */
function blocks_in_use(page: Ptr<'SlabPage'>, d: Ptr<'SlabDescriptor'>): Uint8Array | undefined {
  const size = SlabDescriptor.object_size.get(d);
  const first = page + SlabPage.SIZE;
  const count = Math.floor((PAGE - SlabPage.SIZE) / size);
  const free = new Set<number>();
  for (let p = SlabPage.free_head.get(page); p !== 0; p = U32[p >>> 2] as number) {
    const index = (p - first) / size;
    if (!Number.isInteger(index) || index < 0 || index >= count || free.has(index)) return undefined;
    free.add(index);
  }
  if (SlabPage.used.get(page) !== count - free.size) return undefined;
  const blocks = new Uint8Array(BLOCKS);
  const mark = (from: number, to: number): void => {
    blocks.fill(1, Math.floor((from - page) / BLOCK), Math.ceil((to - page) / BLOCK));
  };
  mark(page, first);
  for (let i = 0; i < count; i++) if (!free.has(i)) mark(first + i * size, first + (i + 1) * size);
  return blocks;
}
