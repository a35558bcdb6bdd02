/**
 * Model tests over several seeds: each failure names its seed and the command that repeats it.
 */
import { random_of } from './random.ts';

export class Random {
  readonly next: () => number;

  constructor(seed: number) {
    this.next = random_of(seed);
  }

  /** 0 <= n < limit. */
  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

/** Runs `body` with `count` seeds (or TVISOR_SEED alone). */
export function for_seeds(count: number, body: (random: Random) => void): void {
  const given = process.env.TVISOR_SEED;
  const first = Number(given ?? (process.env.CI === undefined ? Date.now() % 0x7fff_ffff : 1));
  for (let seed = first; seed < first + (given === undefined ? count : 1); seed++) {
    try {
      body(new Random(seed));
    } catch (error) {
      console.log(`seed ${seed} (repeat: TVISOR_SEED=${seed} node ${process.argv[1]})`);
      throw error;
    }
  }
}

/** Runs an asynchronous `body` with one seed: TVISOR_SEED, or one of its own. */
export async function with_seed(body: (random: Random) => Promise<void>): Promise<void> {
  const seed = Number(process.env.TVISOR_SEED ?? (process.env.CI === undefined ? Date.now() % 0x7fff_ffff : 1));
  try {
    await body(new Random(seed));
  } catch (error) {
    console.log(`seed ${seed} (repeat: TVISOR_SEED=${seed} node ${process.argv[1]})`);
    throw error;
  }
}
