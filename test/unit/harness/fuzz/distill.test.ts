import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { distill, type Sample } from '../../../../harness/fuzz/distill.ts';
import { each_seed } from '../../../support/programs.ts';

function samples(...edges: readonly (readonly number[])[]): Sample[] {
  return edges.map((own, i) => ({ program: { calls: [] }, seed: i, edges: new Set(own), cost: own.length }));
}

test('programs that add nothing go', () => {
  assert.equal(distill(samples([1, 2, 3], [1], [2, 3], [4])), [1, 2, 3]);
  assert.equal(distill(samples([1], [1], [1])), [0]);
  assert.equal(distill([]), []);
});

test('what is kept covers all that was covered', () => {
  each_seed(100, (random) => {
    const all = samples(
      ...Array.from({ length: 20 }, () => Array.from({ length: random.between(1, 8) }, () => random.below(40))),
    );
    const kept = distill(all);
    const union = (some: readonly Sample[]): number => new Set(some.flatMap(({ edges }) => [...edges])).size;
    assert.is(union(kept.map((i) => all[i]!)), union(all));
    assert.ok(kept.length <= all.length);
    assert.equal(
      kept,
      [...new Set(kept)].sort((a, b) => a - b),
    );
  });
});

test.run();
