// @hot
/**
 * The VMAs of an address space, ordered by address: a treap (Linux uses a maple tree) and a list.
 *
 * Each node knows the free gap below it and the largest gap of its subtree, so that finding a VMA and
 * finding a free range both take O(log n). Priorities come from a counter in the Mm, so that the same
 * calls build the same tree. The caller holds mm.lock.
 */
import type { Ptr } from '../base/types.ts';
import { Mm, VM_GROWSDOWN, Vma } from './mm.layout.ts';

type V = Ptr<'Vma'>;
const NONE = 0 as V;

/** Bytes kept free below a stack (stack_guard_gap, 256 pages). */
export const STACK_GUARD_GAP = 256 * 4096;

/** The first VMA that ends above `address` (Linux's find_vma), or 0. */
export function vma_find(mm: Ptr<'Mm'>, address: number): V {
  let node = Mm.root.get(mm);
  let found = NONE;
  while (node !== 0) {
    if (Vma.end.get(node) > address) {
      found = node;
      if (Vma.start.get(node) <= address) break;
      node = Vma.left.get(node);
    } else node = Vma.right.get(node);
  }
  return found;
}

/** The VMA that contains `address`, or 0. */
export function vma_at(mm: Ptr<'Mm'>, address: number): V {
  const vma = vma_find(mm, address);
  return vma !== 0 && Vma.start.get(vma) <= address ? vma : NONE;
}

/** The first VMA that overlaps the range, or 0. */
export function vma_overlap(mm: Ptr<'Mm'>, start: number, end: number): V {
  const vma = vma_find(mm, start);
  return vma !== 0 && Vma.start.get(vma) < end ? vma : NONE;
}

function update(node: V): void {
  let max = Vma.gap.get(node);
  const left = Vma.left.get(node);
  const right = Vma.right.get(node);
  if (left !== 0 && Vma.max_gap.get(left) > max) max = Vma.max_gap.get(left);
  if (right !== 0 && Vma.max_gap.get(right) > max) max = Vma.max_gap.get(right);
  Vma.max_gap.set(node, max);
}

let split_left = NONE;
let split_right = NONE;

/** Splits a subtree into nodes below and from `start` on: `split_left`, `split_right`. */
function split(node: V, start: number): void {
  if (node === 0) {
    split_left = NONE;
    split_right = NONE;
  } else if (Vma.start.get(node) < start) {
    split(Vma.right.get(node), start);
    Vma.right.set(node, split_left);
    update(node);
    split_left = node;
  } else {
    split(Vma.left.get(node), start);
    Vma.left.set(node, split_right);
    update(node);
    split_right = node;
  }
}

function join(left: V, right: V): V {
  if (left === 0) return right;
  if (right === 0) return left;
  if (Vma.priority.get(left) >= Vma.priority.get(right)) {
    Vma.right.set(left, join(Vma.right.get(left), right));
    update(left);
    return left;
  }
  Vma.left.set(right, join(left, Vma.left.get(right)));
  update(right);
  return right;
}

function insert(node: V, vma: V): V {
  if (node === 0 || Vma.priority.get(vma) > Vma.priority.get(node)) {
    split(node, Vma.start.get(vma));
    Vma.left.set(vma, split_left);
    Vma.right.set(vma, split_right);
    update(vma);
    return vma;
  }
  if (Vma.start.get(vma) < Vma.start.get(node)) Vma.left.set(node, insert(Vma.left.get(node), vma));
  else Vma.right.set(node, insert(Vma.right.get(node), vma));
  update(node);
  return node;
}

function erase(node: V, vma: V): V {
  if (node === vma) return join(Vma.left.get(vma), Vma.right.get(vma));
  if (Vma.start.get(vma) < Vma.start.get(node)) Vma.left.set(node, erase(Vma.left.get(node), vma));
  else Vma.right.set(node, erase(Vma.right.get(node), vma));
  update(node);
  return node;
}

function refresh(node: V, vma: V): void {
  if (node !== vma) refresh(Vma.start.get(vma) < Vma.start.get(node) ? Vma.left.get(node) : Vma.right.get(node), vma);
  update(node);
}

function set_gap(vma: V): void {
  const prev = Vma.prev.get(vma);
  Vma.gap.set(vma, Vma.start.get(vma) - (prev === 0 ? 0 : Vma.end.get(prev)));
}

/** Recomputes the gap below a VMA whose neighbour below, or whose own start, changed. */
function gap_changed(mm: Ptr<'Mm'>, vma: V): void {
  set_gap(vma);
  refresh(Mm.root.get(mm), vma);
}

/** Puts a VMA into tree and list; its range must be free. */
export function vma_insert(mm: Ptr<'Mm'>, vma: V): void {
  const next = vma_find(mm, Vma.start.get(vma));
  const prev = next === 0 ? Mm.last.get(mm) : Vma.prev.get(next);
  Vma.prev.set(vma, prev);
  Vma.next.set(vma, next);
  if (prev === 0) Mm.first.set(mm, vma);
  else Vma.next.set(prev, vma);
  if (next === 0) Mm.last.set(mm, vma);
  else Vma.prev.set(next, vma);
  let seed = Mm.seed.get(mm) + 0x9e37_79b9;
  Mm.seed.set(mm, seed);
  seed = Math.imul(seed ^ (seed >>> 16), 0x85eb_ca6b);
  seed = Math.imul(seed ^ (seed >>> 13), 0xc2b2_ae35);
  Vma.priority.set(vma, (seed ^ (seed >>> 16)) >>> 0);
  set_gap(vma);
  Mm.root.set(mm, insert(Mm.root.get(mm), vma));
  Mm.map_count.set(mm, Mm.map_count.get(mm) + 1);
  if (next !== 0) gap_changed(mm, next);
}

/** Takes a VMA out of tree and list. */
export function vma_remove(mm: Ptr<'Mm'>, vma: V): void {
  const prev = Vma.prev.get(vma);
  const next = Vma.next.get(vma);
  Mm.root.set(mm, erase(Mm.root.get(mm), vma));
  if (prev === 0) Mm.first.set(mm, next);
  else Vma.next.set(prev, next);
  if (next === 0) Mm.last.set(mm, prev);
  else Vma.prev.set(next, prev);
  Mm.map_count.set(mm, Mm.map_count.get(mm) - 1);
  if (next !== 0) gap_changed(mm, next);
}

/** Moves a VMA's bounds without changing the order of VMAs. */
export function vma_resize(mm: Ptr<'Mm'>, vma: V, start: number, end: number): void {
  Vma.start.set(vma, start);
  Vma.end.set(vma, end);
  gap_changed(mm, vma);
  const next = Vma.next.get(vma);
  if (next !== 0) gap_changed(mm, next);
}

/** Where the room that a VMA takes begins: a stack keeps its guard gap free. */
export function vma_start_gap(vma: V): number {
  const start = Vma.start.get(vma);
  return (Vma.flags.get(vma) & VM_GROWSDOWN) !== 0 ? Math.max(0, start - STACK_GUARD_GAP) : start;
}

/** The highest free range of `length` bytes within [low, high): its start, or -1. */
export function gap_find_top(mm: Ptr<'Mm'>, length: number, low: number, high: number): number {
  const last = Mm.last.get(mm);
  const from = Math.max(low, last === 0 ? 0 : Vma.end.get(last));
  if (high - from >= length) return high - length;
  return search_top(Mm.root.get(mm), length, low, high);
}

function search_top(node: V, length: number, low: number, high: number): number {
  if (node === 0 || Vma.max_gap.get(node) < length) return -1;
  if (Vma.end.get(node) < high) {
    const found = search_top(Vma.right.get(node), length, low, high);
    if (found >= 0) return found;
  }
  const bottom = Math.max(low, Vma.start.get(node) - Vma.gap.get(node));
  const top = Math.min(high, vma_start_gap(node));
  if (top - bottom >= length) return top - length;
  return Vma.start.get(node) > low ? search_top(Vma.left.get(node), length, low, high) : -1;
}

/** The lowest free range of `length` bytes within [low, high): its start, or -1. */
export function gap_find_bottom(mm: Ptr<'Mm'>, length: number, low: number, high: number): number {
  const found = search_bottom(Mm.root.get(mm), length, low, high);
  if (found >= 0) return found;
  const last = Mm.last.get(mm);
  const from = Math.max(low, last === 0 ? 0 : Vma.end.get(last));
  return high - from >= length ? from : -1;
}

function search_bottom(node: V, length: number, low: number, high: number): number {
  if (node === 0 || Vma.max_gap.get(node) < length) return -1;
  if (Vma.start.get(node) > low) {
    const found = search_bottom(Vma.left.get(node), length, low, high);
    if (found >= 0) return found;
  }
  const bottom = Math.max(low, Vma.start.get(node) - Vma.gap.get(node));
  const top = Math.min(high, vma_start_gap(node));
  if (top - bottom >= length) return bottom;
  return Vma.end.get(node) < high ? search_bottom(Vma.right.get(node), length, low, high) : -1;
}
