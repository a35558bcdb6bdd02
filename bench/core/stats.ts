/** Statistics of samples: what tables show, and whether two sets of samples differ. */

/** Quantile `q` in [0, 1] of at least one sample, linear between neighbours. */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Geometric mean of positive numbers; NaN of none. */
export function geometric_mean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Complementary error function; Chebyshev fit whose relative error stays below 1.2e-7 everywhere. */
function erfc(x: number): number {
  const z = Math.abs(x);
  const t = 1 / (1 + 0.5 * z);
  const COEFFICIENTS = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  const fit = COEFFICIENTS.reduceRight((sum, c) => sum * t + c, 0);
  const value = t * Math.exp(-z * z + fit);
  return x >= 0 ? value : 2 - value;
}

/** Up to this many samples on each side the distribution of U is counted, where no two samples are equal. */
const EXACT_LIMIT = 20;

/**
 * Number of ways to draw m of m + n ranks such that U is u, for each u: the coefficients of the Gaussian binomial
 * coefficient, built up one rank at a time.
 */
function u_distribution(m: number, n: number): number[] {
  const most = m * n;
  // ways[k][s]: choices of k of the ranks seen so far whose U is s.
  const ways = Array.from({ length: m + 1 }, () => new Array<number>(most + 1).fill(0));
  (ways[0] as number[])[0] = 1;
  for (let rank = 1; rank <= m + n; rank++)
    for (let k = Math.min(m, rank); k >= 1; k--) {
      const to = ways[k] as number[];
      const from = ways[k - 1] as number[];
      // The k-th smallest chosen, of rank `rank`, has rank - k unchosen ones below it.
      for (let u = most; u >= rank - k; u--) to[u] = (to[u] as number) + (from[u - (rank - k)] as number);
    }
  return ways[m] as number[];
}

export interface MannWhitney {
  /** Pairs in which the sample of `a` is the larger one; equal ones count half. */
  readonly u: number;
  /** Two-sided probability of a difference this large between samples of one distribution. */
  readonly p: number;
  readonly exact: boolean;
}

/** Ranks of all samples, those of `a` first; equal samples share the mean of their ranks. Also the tie term. */
function rank_all(all: readonly number[]): { ranks: number[]; ties: number } {
  const order = all.map((_, i) => i).sort((x, y) => (all[x] as number) - (all[y] as number));
  const ranks = new Array<number>(all.length);
  let ties = 0;
  for (let i = 0; i < order.length; ) {
    let end = i + 1;
    while (end < order.length && all[order[end] as number] === all[order[i] as number]) end++;
    for (let k = i; k < end; k++) ranks[order[k] as number] = (i + 1 + end) / 2;
    const count = end - i;
    ties += count ** 3 - count;
    i = end;
  }
  return { ranks, ties };
}

/**
 * The Mann-Whitney U test, two-sided: exact for small sets without equal samples, else the normal approximation with
 * corrections for continuity and ties (H. B. Mann, D. R. Whitney, 1947). Both sets have at least one sample.
 */
export function mann_whitney(a: readonly number[], b: readonly number[]): MannWhitney {
  const m = a.length;
  const n = b.length;
  const { ranks, ties } = rank_all([...a, ...b]);
  const rank_sum = ranks.slice(0, m).reduce((sum, rank) => sum + rank, 0);
  const u = rank_sum - (m * (m + 1)) / 2;
  const exact = ties === 0 && m <= EXACT_LIMIT && n <= EXACT_LIMIT;
  if (exact) {
    const ways = u_distribution(m, n);
    const all = ways.reduce((sum, count) => sum + count, 0);
    const tail = ways.slice(0, Math.min(u, m * n - u) + 1).reduce((sum, count) => sum + count, 0);
    return { u, p: Math.min(1, (2 * tail) / all), exact };
  }
  const total = m + n;
  const variance = ((m * n) / 12) * (total + 1 - ties / (total * (total - 1)));
  if (variance === 0) return { u, p: 1, exact };
  const distance = Math.max(0, Math.abs(u - (m * n) / 2) - 0.5);
  return { u, p: Math.min(1, erfc(distance / Math.sqrt(2 * variance))), exact };
}
