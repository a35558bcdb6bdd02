/** Statistics of benchmarks: against values that others computed, and by counting. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { geometric_mean, mann_whitney, median, quantile } from '../../../bench/core/stats.ts';

function near(actual: number, expected: number, relative = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual} is not ${expected}`);
}

test('quantiles lie between the samples around them', () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 2, 3]), 2.5);
  assert.is(quantile([10, 20, 30, 40, 50], 0), 10);
  assert.is(quantile([10, 20, 30, 40, 50], 1), 50);
  near(quantile([10, 20, 30, 40, 50], 0.99), 49.6);
  assert.ok(Number.isNaN(median([])));
});

test('geometric mean', () => {
  near(geometric_mean([2, 8]), 4);
  near(geometric_mean([1, 10, 100]), 10);
});

// The example of SciPy's manual (scipy.stats.mannwhitneyu): ages at which diabetes was found.
const MALES = [19, 22, 16, 29, 24];
const FEMALES = [20, 11, 17, 12];

test('Mann-Whitney, exact: the published example', () => {
  const { u, p, exact } = mann_whitney(MALES, FEMALES);
  assert.is(u, 17);
  assert.is(exact, true);
  near(p, 0.1111111111111111);
  const swapped = mann_whitney(FEMALES, MALES);
  assert.is(swapped.u, 3);
  near(swapped.p, p);
});

test('Mann-Whitney, normal approximation: ties and continuity are corrected', () => {
  // SciPy 1.11: mannwhitneyu(a, b, method="asymptotic").
  const a = [1, 2, 2, 3, 5, 5, 8];
  const b = [2, 4, 5, 6, 7, 8, 9, 9];
  const { u, p, exact } = mann_whitney(a, b);
  assert.is(exact, false);
  assert.is(u, 12.5);
  near(p, 0.07983871964585261);
  const large = Array.from({ length: 30 }, (_, i) => i * 2);
  const shifted = Array.from({ length: 25 }, (_, i) => i * 2 + 11);
  near(mann_whitney(large, shifted).p, 0.20792927248164417);
});

test('Mann-Whitney of equal samples finds nothing', () => {
  assert.is(mann_whitney([5, 5, 5], [5, 5]).p, 1);
  assert.is(mann_whitney([1, 2, 3, 4], [1, 2, 3, 4]).p, 1);
});

/** Two-sided p by trying every way to choose which of the ranks belong to the first set. */
function counted(m: number, n: number, u: number): number {
  let all = 0;
  let as_far = 0;
  const centre = (m * n) / 2;
  for (let chosen = 0; chosen < 1 << (m + n); chosen++) {
    let size = 0;
    let wins = 0;
    for (let rank = 0; rank < m + n; rank++)
      if ((chosen >> rank) & 1) {
        size++;
        wins += rank + 1 - size;
      }
    if (size !== m) continue;
    all++;
    if (Math.abs(wins - centre) >= Math.abs(u - centre)) as_far++;
  }
  return as_far / all;
}

test('Mann-Whitney, exact: equals counting every arrangement', () => {
  const orders: (readonly [readonly number[], readonly number[]])[] = [
    [[1], [2]],
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    [
      [1, 4, 6, 9],
      [2, 3, 5, 7, 8],
    ],
    [
      [9, 8, 1],
      [2, 3, 4, 5, 6, 7],
    ],
  ];
  for (const [a, b] of orders) {
    const { u, p } = mann_whitney(a, b);
    near(p, counted(a.length, b.length, u), 1e-12);
  }
});

test.run();
