import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Comparisons, hints_for, mutate_with_hints } from '../../../../harness/prog/hints.ts';
import type { Program } from '../../../../harness/prog/model.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { each_seed, expect_valid, program, random_program } from '../../../support/programs.ts';

function comparisons(...pairs: [bigint, bigint][]): Comparisons {
  const found = new Comparisons();
  for (const [operand, other] of pairs) found.add(operand, other);
  return found;
}

test('shrink, expand and byte order', () => {
  const cases: [name: string, value: bigint, size: 1 | 2 | 4 | 8, operand: bigint, other: bigint, hints: bigint[]][] = [
    ['whole value', 0x12345678n, 4, 0x12345678n, 0xcafebaben, [0xcafebaben]],
    ['shrink to u16', 0x1234567890abcdefn, 8, 0xcdefn, 0xbeefn, [0x1234567890abbeefn]],
    ['shrink to u8', 0xabcdn, 2, 0xcdn, 0x42n, [0xab42n]],
    ['no u16 is that large', 0x1234567890abcdefn, 8, 0xcdefn, 0x1beefn, []],
    ['expand s8 to s32', 0xffn, 1, 0xffffffffn, 0xfffffffen, [0xfen]],
    ['expand s16 to s64', 0xfff0n, 2, 0xfffffffffffffff0n, 0xffffffffffff8123n, [0x8123n]],
    ['expand, other in the low bytes only', 0xffn, 1, 0xffffn, 0x42n, [0x42n]],
    ['no s8 extends to that', 0xffn, 1, 0xffffffffn, 0xabcdfffen, []],
    ['positive values are not extended', 0x7en, 1, 0xffffff7en, 0xfffffffen, []],
    ['byte order u16', 0xabcdn, 2, 0xcdabn, 0xbeefn, [0xefben]],
    ['byte order u32', 0x11223344n, 4, 0x44332211n, 0xaabbccddn, [0xddccbbaan]],
    ['not seen', 0x11223344n, 4, 0x1n, 0xaabbccddn, []],
    ['itself is no hint', 0x11223344n, 4, 0x11223344n, 0x11223344n, []],
    ['special integers are tried anyway', 0x11223344n, 4, 0x11223344n, 0x1000n, []],
  ];
  for (const [name, value, size, operand, other, hints] of cases)
    assert.equal(hints_for(value, size, comparisons([operand, other])), hints, name);
});

function hinted(text: string, ...pairs: [bigint, bigint][]): string[] {
  const found: string[] = [];
  const source = program(text);
  mutate_with_hints(source, source.calls.length - 1, comparisons(...pairs), (mutated: Program) => {
    expect_valid(mutated);
    found.push(print_program(mutated).trim());
    return true;
  });
  assert.is(print_program(source).trim(), text);
  return found;
}

test('hints go into numbers, buffers and plain resources of one call', () => {
  assert.equal(hinted('lseek(0x3, 0x1234, 0x1)', [0x1234n, 0xbeefn]), ['lseek(0x3, 0xbeef, 0x1)']);
  assert.equal(hinted('write(0x1, &(0x7f0000000000)="00aabb11", 0x4)', [0xbbaan, 0xbeefn]), [
    'write(0x1, &(0x7f0000000000)="00efbe11", 0x4)',
  ]);
  assert.equal(hinted('close(0x77)', [0x77n, 0x99n]), ['close(0x99)']);
  assert.equal(hinted('lseek(0x3, 0x1234, 0x1)', [0x1234n, 0xbeefn], [0x1234n, 0xcafen]).length, 2);
});

test('constants, strict numbers, results and lengths take no hints', () => {
  assert.equal(hinted('fcntl$F_GETFD(0x3, 0x1, 0x0)', [0x1n, 0xbeefn]), []);
  assert.equal(hinted('r0 = eventfd2(0x77, 0x0)\nclose(r0)', [0xffffffffffffffffn, 0xbeefn]), []);
  assert.equal(hinted('write(0x1, &(0x7f0000000000)="f0f1f2f3", 0x4)', [4n, 0xbeefn]), []);
});

test('a network-order field may be seen in either order', () => {
  const text = (port: string): string =>
    `connect(0xffffffffffffffff, &(0x7f0000000000)=@in={0x2, ${port}, 0x7f000002}, 0x10)`;
  assert.equal(hinted(text('0x4e21'), [0x214en, 0xbeefn]), [text('0xefbe')]);
  assert.equal(hinted(text('0x4e21'), [0x4e21n, 0xbeefn]), [text('0xbeef')]);
});

test('the caller can stop; hints keep random programs valid', () => {
  let calls = 0;
  mutate_with_hints(program('lseek(0x3, 0x1234, 0x1)'), 0, comparisons([0x1234n, 0xbeefn], [0x1234n, 0xcafen]), () => {
    calls++;
    return false;
  });
  assert.is(calls, 1);
  each_seed(100, (random) => {
    const source = random_program(random, 3);
    const seen = new Comparisons();
    for (let i = 0; i < 256; i++) seen.add(BigInt(i), random.u64() >> BigInt(random.below(64)));
    for (let i = 0; i < source.calls.length; i++) {
      let count = 0;
      mutate_with_hints(source, i, seen, (mutated) => {
        expect_valid(mutated);
        return ++count < 10;
      });
    }
    expect_valid(source);
  });
});

test.run();
