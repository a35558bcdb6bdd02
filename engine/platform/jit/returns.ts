/**
 * Where the returns of a region are likely to lead: behind the calls, within the region, of the function that they end,
 * and from the function that the region begins with behind the call that was there when it was made. A return compares
 * with these addresses before it looks its target up.
 */
import type { Block } from './region.ts';

/** Addresses that a return compares with at most. */
const MAX_RETURNS = 2;

/** Whether a block ends with a return. */
export function is_return(block: Block): boolean {
  return block.insns.at(-1)?.template?.form.row.semantics === 'ret';
}

function is_call(block: Block): boolean {
  return block.insns.at(-1)?.template?.form.row.semantics === 'call';
}

/** Blocks that end with a return of the function that begins at a block; calls in it are taken to return. */
function returns_of(blocks: readonly Block[], ids: ReadonlyMap<number, number>, start: number): Block[] {
  const found: Block[] = [];
  const seen = new Set([start]);
  // A set iterates over what is added meanwhile.
  for (const id of seen) {
    const block = blocks[id] as Block;
    if (is_return(block)) found.push(block);
    else if (is_call(block)) {
      const behind = ids.get(block.insns.at(-1)!.next);
      if (behind !== undefined) seen.add(behind);
    } else for (const to of [block.taken, block.next]) if (to >= 0) seen.add(to);
  }
  return found;
}

/**
 * Notes likely targets in the blocks that end with returns. `ids` has the blocks by address; `continuation` is the block
 * that the function at block `root` returns to, or -1.
 */
export function predict_returns(
  blocks: readonly Block[],
  ids: ReadonlyMap<number, number>,
  root: number,
  continuation: number,
): void {
  const predict = (start: number, target: number): void => {
    for (const { returns } of returns_of(blocks, ids, start))
      if (returns.length < MAX_RETURNS && !returns.includes(target)) returns.push(target);
  };
  if (continuation >= 0) predict(root, continuation);
  for (const block of blocks) {
    const behind = is_call(block) && block.taken >= 0 ? ids.get(block.insns.at(-1)!.next) : undefined;
    if (behind !== undefined) predict(block.taken, behind);
  }
}
