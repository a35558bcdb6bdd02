/**
 * Seeded randomness for tests. A random test calls `seed_of` with its name, which prints the seed and
 * the command that repeats it; TVISOR_SEED sets it.
 */

/** The seed of this run, printed with the command that repeats it. */
export function seed_of(name: string): number {
  const given = process.env.TVISOR_SEED;
  const seed = given === undefined ? (process.env.CI === undefined ? Date.now() % 0x7fff_ffff : 1) : Number(given);
  console.log(`${name}: seed ${seed} (repeat: TVISOR_SEED=${seed} node ${process.argv[1]})`);
  return seed;
}

/** A xorshift generator of unsigned 31-bit numbers. */
export function random_of(seed: number): () => number {
  let x = (seed | 0) === 0 ? 0x9e3779b9 : seed | 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 1;
  };
}
