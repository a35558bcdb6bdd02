/** Graphs as nested loops. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { structure } from '../../../../engine/platform/jit/structure.ts';

test('a loop with one way in begins with its header, and one within it is its own', () => {
  const { headers, loop_of, states } = structure([[1], [1, 2], [0, 3], []], [0]);
  assert.equal([...headers].sort(), [0, 1]);
  assert.is(loop_of[1]!.parent, loop_of[0]);
  assert.is(states.size, 1);
});

test('inner loops of one block that are entries of a loop need no dispatch', () => {
  // 0 -> 1 (its own) -> 2 (its own) -> 0, entered at 1 and 2.
  const { headers, loop_of } = structure([[1], [1, 2], [2, 0, 3], []], [1, 2]);
  assert.equal([...headers].sort(), [0, 1, 2]);
  const around = loop_of[0]!;
  assert.is(around.header, 0);
  assert.equal([...around.entries].sort(), [0, 1, 2]);
  for (const inner of [1, 2]) {
    assert.is(loop_of[inner]!.parent, around);
    assert.equal(loop_of[inner]!.entries, [inner]);
  }
});

test('of several entries without a loop of their own the one that most branches lead to is the header', () => {
  // The loop of an interpreter: 0 leads to 1, 2 and 3, and they back to it or out.
  const { headers } = structure([[1, 2, 3], [0, 4], [0], [0], []], [0, 1, 2, 3]);
  assert.equal([...headers], [0]);
});

test.run();
