// @hot
/**
 * The radix tree of a mapping: page number to frame. All under the mapping's lock.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { MAPPING_NODE_SHIFT, MAPPING_NODE_SLOTS, Mapping, MappingNode } from './mapping.layout.ts';

export const mapping_nodes = slab(MappingNode);

/** Highest page number a mapping can hold; files end below 16 TiB. */
export const MAPPING_MAX_INDEX = 0xffff_fffe;
const SLOT_MASK = MAPPING_NODE_SLOTS - 1;

/** Pages that a tree of each height can number; computing the power took half of the time of a lookup. */
const CAPACITY = Array.from({ length: 8 }, (_, height) => 2 ** (MAPPING_NODE_SHIFT * height));

function capacity(height: number): number {
  return CAPACITY[height] as number;
}

function slot_at(node: number, index: number, level: number): number {
  const position = level >= 6 ? 0 : (index >>> (MAPPING_NODE_SHIFT * level)) & SLOT_MASK;
  return (MappingNode.slots.at(node as Ptr<'MappingNode'>) >>> 2) + position;
}

/** The cached frame of a page, or 0. */
export function tree_find(mapping: Ptr<'Mapping'>, index: number): FrameAddr {
  const height = Mapping.height.get(mapping);
  if (index >= capacity(height)) return 0 as FrameAddr;
  let node = Mapping.root.get(mapping);
  for (let level = height - 1; level >= 0 && node !== 0; level--) node = U32[slot_at(node, index, level)] as number;
  return node as FrameAddr;
}

/** Puts a frame in for a page that has none; false when the kernel heap is exhausted. */
export function tree_insert(mapping: Ptr<'Mapping'>, index: number, frame: FrameAddr): boolean {
  if (!grow(mapping, index)) return false;
  const height = Mapping.height.get(mapping);
  if (height === 0) {
    Mapping.root.set(mapping, frame);
    Mapping.pages.set(mapping, 1);
    return true;
  }
  if (Mapping.root.get(mapping) === 0) {
    const root = mapping_nodes.alloc();
    if (root === 0) return false;
    Mapping.root.set(mapping, root);
  }
  let node = Mapping.root.get(mapping) as Ptr<'MappingNode'>;
  for (let level = height - 1; level > 0; level--) {
    const at = slot_at(node, index, level);
    let below = U32[at] as number;
    if (below === 0) {
      below = mapping_nodes.alloc();
      if (below === 0) {
        // Nodes made on the way down are empty: take them out again.
        tree_prune(mapping, index);
        return false;
      }
      U32[at] = below;
      MappingNode.count.set(node, MappingNode.count.get(node) + 1);
    }
    node = below as Ptr<'MappingNode'>;
  }
  U32[slot_at(node, index, 0)] = frame;
  MappingNode.count.set(node, MappingNode.count.get(node) + 1);
  Mapping.pages.set(mapping, Mapping.pages.get(mapping) + 1);
  return true;
}

/** Adds levels until the tree can number `index`. */
function grow(mapping: Ptr<'Mapping'>, index: number): boolean {
  while (index >= capacity(Mapping.height.get(mapping))) {
    const root = Mapping.root.get(mapping);
    if (root !== 0) {
      const node = mapping_nodes.alloc();
      if (node === 0) return false;
      U32[MappingNode.slots.at(node) >>> 2] = root;
      MappingNode.count.set(node, 1);
      Mapping.root.set(mapping, node);
    }
    Mapping.height.set(mapping, Mapping.height.get(mapping) + 1);
  }
  return true;
}

/** Takes a page's frame out and returns it (0 when there was none); empty nodes are freed. */
export function tree_remove(mapping: Ptr<'Mapping'>, index: number): FrameAddr {
  const frame = tree_find(mapping, index);
  if (frame === 0) return frame;
  const height = Mapping.height.get(mapping);
  Mapping.pages.set(mapping, Mapping.pages.get(mapping) - 1);
  if (height === 0) {
    Mapping.root.set(mapping, 0);
    return frame;
  }
  let node = Mapping.root.get(mapping) as Ptr<'MappingNode'>;
  for (let level = height - 1; level > 0; level--)
    node = U32[slot_at(node, index, level)] as number as Ptr<'MappingNode'>;
  U32[slot_at(node, index, 0)] = 0;
  MappingNode.count.set(node, MappingNode.count.get(node) - 1);
  tree_prune(mapping, index);
  return frame;
}

/** Frees the empty nodes on the path to `index`. */
function tree_prune(mapping: Ptr<'Mapping'>, index: number): void {
  for (;;) {
    const height = Mapping.height.get(mapping);
    let parent_slot = 0;
    let parent = 0 as Ptr<'MappingNode'>;
    let node = Mapping.root.get(mapping) as Ptr<'MappingNode'>;
    if (height === 0 || node === 0) return;
    for (let level = height - 1; level > 0 && MappingNode.count.get(node) !== 0; level--) {
      const at = slot_at(node, index, level);
      const below = U32[at] as number;
      if (below === 0) return;
      parent_slot = at;
      parent = node;
      node = below as Ptr<'MappingNode'>;
    }
    if (MappingNode.count.get(node) !== 0) return;
    mapping_nodes.free(node);
    if (parent === 0) {
      Mapping.root.set(mapping, 0);
      Mapping.height.set(mapping, 0);
      return;
    }
    U32[parent_slot] = 0;
    MappingNode.count.set(parent, MappingNode.count.get(parent) - 1);
  }
}

/** The lowest cached page number from `index` on, or -1. */
export function tree_next(mapping: Ptr<'Mapping'>, index: number): number {
  const height = Mapping.height.get(mapping);
  const root = Mapping.root.get(mapping);
  if (root === 0 || index >= capacity(height)) return -1;
  if (height === 0) return index === 0 ? 0 : -1;
  return next_in(root, height - 1, 0, index);
}

function next_in(node: number, level: number, base: number, index: number): number {
  const step = capacity(level);
  const first = index <= base ? 0 : Math.floor((index - base) / step);
  const slots = MappingNode.slots.at(node as Ptr<'MappingNode'>) >>> 2;
  for (let i = first; i < MAPPING_NODE_SLOTS; i++) {
    const below = U32[slots + i] as number;
    if (below === 0) continue;
    const at = base + i * step;
    const found = level === 0 ? at : next_in(below, level - 1, at, index);
    if (found >= 0) return found;
  }
  return -1;
}
