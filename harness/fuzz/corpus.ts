/** The corpus in memory: programs that reached something new, drawn by how much they reach and what they cost. */
import type { ExecOutcome } from '../exec/executor.ts';
import type { Program } from '../prog/model.ts';
import type { Random } from '../prog/random.ts';

/** A program that is kept. Neither it nor its program changes. */
export interface Entry {
  readonly program: Program;
  readonly text: string;
  /** The call that reached something new. */
  readonly call: number;
  /** Seed of the order in which its tasks run. */
  readonly seed: number;
  /** Edges of that call, ascending. */
  readonly signal: Uint32Array;
  /** What a run costs, in `cost_of`'s unit. */
  readonly cost: number;
}

/** A page to reset takes as long as this many basic blocks. */
const BLOCKS_PER_PAGE = 20;
/** An entry of this cost is drawn by its signal alone, dearer ones the less the dearer they are. */
const FAIR_COST = 4000;

/** What a run costs, in basic blocks. No clock: the same campaign must draw the same entries. */
export function cost_of({ calls, dirty_pages }: ExecOutcome): number {
  return calls.reduce((sum, { pcs }) => sum + pcs.length, dirty_pages * BLOCKS_PER_PAGE);
}

/** How often an entry is drawn, relative to others. */
export function weight_of({ signal, cost }: Pick<Entry, 'signal' | 'cost'>): number {
  return Math.max(1, Math.round((signal.length * FAIR_COST) / Math.max(FAIR_COST, cost)));
}

export class Corpus {
  readonly entries: Entry[] = [];
  readonly programs: Program[] = [];
  private readonly texts = new Set<string>();
  /** Running sums of the entries' weights. */
  private readonly sums: number[] = [];

  get size(): number {
    return this.entries.length;
  }

  /** False when the same text with the same seed is there already. */
  add(entry: Entry): boolean {
    const key = `${entry.seed} ${entry.text}`;
    if (this.texts.has(key)) return false;
    this.texts.add(key);
    this.entries.push(entry);
    this.programs.push(entry.program);
    this.sums.push((this.sums.at(-1) ?? 0) + weight_of(entry));
    return true;
  }

  /** An entry, in proportion to its weight. The corpus must not be empty. */
  choose(random: Random): Entry {
    const { sums } = this;
    const drawn = random.below(sums.at(-1)!);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > drawn) high = middle;
      else low = middle + 1;
    }
    return this.entries[low]!;
  }
}
