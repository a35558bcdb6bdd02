import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mutate_program } from '../../../../harness/prog/mutate.ts';
import { Packer, unpack } from '../../../../harness/prog/pack.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { assign_async } from '../../../../harness/prog/race.ts';
import { each_seed, expect_valid, program, random_program, TABLE, TARGET } from '../../../support/programs.ts';

const packer = new Packer(TARGET);

test('packed programs come back as they were', () => {
  each_seed(200, (random) => {
    let sample = random_program(random, random.between(1, 12));
    mutate_program({ target: TARGET, table: TABLE, random, corpus: [random_program(random, 3)] }, sample);
    sample = assign_async(random, sample) ?? sample;
    sample.calls.at(-1)!.properties.fail_nth = random.below(200);
    const back = unpack(TARGET, packer.pack(sample).slice());
    expect_valid(back);
    assert.is(print_program(back), print_program(sample));
  });
});

test('what is cut off or nonsense is an error', () => {
  const words = packer.pack(program('r0 = eventfd2(0x7, 0x0)', 'close(r0)')).slice();
  for (let length = 1; length < words.length; length++)
    assert.throws(() => unpack(TARGET, words.subarray(0, length)), /cut off/);
  assert.throws(() => unpack(TARGET, new Uint32Array([1, 9999])), /unknown call/);
});

test.run();
