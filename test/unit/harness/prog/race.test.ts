import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { print_program } from '../../../../harness/prog/print.ts';
import { assign_async, duplicate } from '../../../../harness/prog/race.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { each_seed, expect_valid, program, random_program } from '../../../support/programs.ts';

test('a call that makes what a later one needs is not async, nor is the last', () => {
  const source = program('r0 = eventfd2(0x0, 0x0)', 'sync()', 'read(r0, &(0x7f0000000000)=""/8, 0x8)', 'sync()');
  const seen = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const made = assign_async(new Random(seed), source);
    if (made === undefined) continue;
    expect_valid(made);
    assert.equal([made.calls[0]!.properties.async, made.calls[3]!.properties.async], [false, false]);
    seen.add(print_program(made));
  }
  assert.is(seen.size, 3, 'sync, read, or both');
});

test('a duplicate starts before the call, uses the same results, and nothing uses its own', () => {
  const source = program('r0 = eventfd2(0x0, 0x0)', 'r1 = dup(r0)', 'close(r1)');
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const made = duplicate(new Random(seed), source);
    if (made === undefined) continue;
    expect_valid(made);
    seen.add(print_program(made));
  }
  assert.ok(seen.has('r0 = eventfd2(0x0, 0x0)\ndup(r0) (async)\nr1 = dup(r0)\nclose(r1)\n'));
  assert.ok(seen.has('r0 = eventfd2(0x0, 0x0)\nr1 = dup(r0)\nclose(r1) (async)\nclose(r1)\n'));
  assert.is(print_program(source), 'r0 = eventfd2(0x0, 0x0)\nr1 = dup(r0)\nclose(r1)\n');
});

test('random programs stay valid', () => {
  each_seed(200, (random) => {
    const source = random_program(random, 8);
    for (const made of [assign_async(random, source), duplicate(random, source)])
      if (made !== undefined) expect_valid(made);
    expect_valid(source);
  });
});

test.run();
