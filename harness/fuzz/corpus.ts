/** The corpus in memory: programs that reached something new, drawn by how much they reach. */
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
    this.sums.push((this.sums.at(-1) ?? 0) + Math.max(1, entry.signal.length));
    return true;
  }

  /** An entry, in proportion to the size of its signal. The corpus must not be empty. */
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
