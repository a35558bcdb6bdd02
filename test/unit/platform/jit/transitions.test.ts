import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Part, Transitions, type UnitLimits } from '../../../../engine/platform/jit/transitions.ts';

const LIMITS: UnitLimits = { members: 4, instructions: 100, pages: 3 };

/** A region on a page of its own. */
function part(number: number, instructions = 10): Part {
  return { members: [number], instructions, pages: new Set([number]) };
}

function noted(...ways: readonly (readonly [from: number, to: number, count: number])[]): Transitions {
  const transitions = new Transitions();
  for (const [from, to, count] of ways) for (let i = 0; i < count; i++) transitions.note(from, to);
  return transitions;
}

/** Members, sorted, and weights of the clusters. */
function clusters(transitions: Transitions, part_of: (number: number) => Part | null, limits = LIMITS): string[] {
  return transitions
    .clusters(part_of, limits)
    .map(({ members, weight }) => `${[...members].sort((a, b) => a - b)}: ${weight}`)
    .sort();
}

test('regions that lead to each other come together', () => {
  const transitions = noted([1, 2, 5], [2, 1, 4], [2, 3, 3], [7, 8, 2], [9, 1, 1]);
  assert.equal(clusters(transitions, part), ['1,2,3: 12', '7,8: 2']);
});

test('the most frequent way comes first, and bounds hold', () => {
  const transitions = noted([1, 2, 2], [2, 3, 9], [3, 4, 8], [4, 5, 7]);
  assert.equal(clusters(transitions, part), ['1: 0', '2,3,4: 17', '5: 0']);
  const big = (number: number): Part => part(number, 60);
  assert.equal(clusters(transitions, big), ['1: 0', '2: 0', '3: 0', '4: 0', '5: 0']);
});

test('a unit that there is counts as a whole', () => {
  const unit: Part = { members: [1, 2, 3], instructions: 30, pages: new Set([1]) };
  const part_of = (number: number): Part => (number <= 3 ? unit : part(number));
  assert.equal(clusters(noted([1, 2, 6], [3, 4, 3], [4, 5, 2]), part_of), ['1,2,3,4: 9', '5: 0']);
});

test('what is left alone stays outside', () => {
  assert.equal(
    clusters(noted([1, 2, 5], [2, 3, 5]), (number) => (number === 2 ? null : part(number))),
    ['1: 0', '3: 0'],
  );
});

test('ways between forgotten regions, and only those, are forgotten', () => {
  const transitions = noted([1, 2, 5], [2, 3, 5]);
  transitions.forget([1, 2]);
  assert.equal(clusters(transitions, part), ['2,3: 5']);
  assert.equal(transitions.followers(1), []);
  assert.equal(transitions.followers(2), [3]);
});

test('their number is bounded', () => {
  const transitions = noted([8000, 8001, 3]);
  for (let i = 0; i < 30_000; i++) transitions.note(i % 90, 100 + (i % 7919));
  assert.ok(clusters(transitions, part).length < 20_000);
});

test.run();
