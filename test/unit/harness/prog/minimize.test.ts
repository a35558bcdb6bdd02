import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minimize, type Predicate } from '../../../../harness/prog/minimize.ts';
import type { Program } from '../../../../harness/prog/model.ts';
import { print_call, print_program } from '../../../../harness/prog/print.ts';
import { each_seed, expect_valid, program, random_program } from '../../../support/programs.ts';

/** The text of what is left when the predicate sees texts; every program it is shown is valid. */
function minimized(source: Program, call_index: number, keep: (text: string, index: number) => boolean): string {
  const text = print_program(source);
  const found = minimize(source, call_index, (tried, index) => {
    expect_valid(tried);
    return keep(print_program(tried), index);
  });
  expect_valid(found.program);
  assert.is(print_program(source), text, 'the given program stays as it is');
  return print_program(found.program);
}

test('calls: trailing, unrelated, one by one', () => {
  const source = program(
    'r0 = eventfd2(0x1, 0x0)',
    'getpid()',
    "mkdir(&(0x7f0000000000)='./f0\\x00', 0x1ff)",
    'r1 = dup(r0)',
    'read(r1, &(0x7f0000000040)=""/8, 0x8)',
    'sync()',
  );
  const kept = 'r0 = eventfd2(0x0, 0x0)\nr1 = dup(r0)\nread(r1, &(0x7f0000000040), 0x0)\n';
  assert.is(
    minimized(source, 4, (text) => /eventfd2.*dup\(r0\).*read\(r1/s.test(text)),
    kept,
  );
});

test('a result that was handed on gives way to the first of them', () => {
  const source = program('r0 = eventfd2(0x1, 0x0)', 'r1 = dup(r0)', 'r2 = dup(r1)', 'close(r2)');
  const closes_one = (text: string): boolean => /r\d = eventfd2/.test(text) && /close\(r\d\)/.test(text);
  assert.is(minimized(source, -1, closes_one), 'r0 = eventfd2(0x0, 0x0)\nclose(r0)\n');
});

test('trailing and unrelated calls go in one try each', () => {
  const source = program('getpid()', 'gettid()', 'r0 = eventfd2(0x0, 0x0)', 'close(r0)', 'sync()', 'sync()');
  const texts: string[] = [];
  const keep: Predicate = (tried, index) => {
    texts.push(`${index} ${tried.calls.length}`);
    return print_call(tried, index).startsWith('close(r0)');
  };
  const { program: left, call_index } = minimize(source, 3, keep, { calls_only: true });
  assert.equal(texts, ['3 4', '1 2', '0 1']);
  assert.is(call_index, 1);
  assert.is(print_program(left), 'r0 = eventfd2(0x0, 0x0)\nclose(r0)\n');
});

test('without a call of interest every call may go but the last', () => {
  const source = program('sync()', 'getpid()', 'gettid()');
  assert.is(
    minimized(source, -1, () => true),
    'sync()\n',
  );
  assert.is(
    minimized(source, -1, (text) => text.includes('getpid')),
    'getpid()\n',
  );
});

test('arguments: each kind has its minimiser', () => {
  const pairs: [before: string, keep: RegExp, after: string][] = [
    ['lseek(0x3, 0x1234, 0x2)', /lseek/, 'lseek(0xffffffffffffffff, 0x0, 0x0)'],
    ['eventfd2(0x1, 0x80801)', /0x80/, 'eventfd2(0x0, 0x80000)'],
    ['nanosleep(&(0x7f0000000000)={0x1, 0x2}, &(0x7f0000000040))', /nanosleep/, 'nanosleep(&(0x7f0000000000), 0x0)'],
    ['nanosleep(&(0x7f0000000000)={0x1, 0x2}, 0x0)', /0x2/, 'nanosleep(&(0x7f0000000000)={0x0, 0x2}, 0x0)'],
    [
      'write(0x1, &(0x7f0000000000)="0011223344556677", 0x8)',
      /22/,
      'write(0xffffffffffffffff, &(0x7f0000000000)="000022", 0x3)',
    ],
    [
      'read(0x0, &(0x7f0000000000)=""/100, 0x64)',
      /"\/(1[7-9]|[2-9]\d|100)\b/,
      'read(0xffffffffffffffff, &(0x7f0000000000)=""/17, 0x11)',
    ],
    ["chdir(&(0x7f0000000000)='./f0\\x00')", /'.*f0/, "chdir(&(0x7f0000000000)='./f0\\x00')"],
    [
      'writev(0x1, &(0x7f0000000000)=[{&(0x7f0000000040)="01", 0x1}, {0x0, 0x7}, {&(0x7f0000000080)="0203", 0x2}], 0x3)',
      /02/,
      'writev(0xffffffffffffffff, &(0x7f0000000000)=[{&(0x7f0000000080)="02", 0x1}], 0x1)',
    ],
    [
      'rt_sigaction(0xa, &(0x7f0000000000)={@address=&(0x7f0000ffe000/0x1000)=nil, 0x4}, 0x0, 0x8)',
      /0x4}/,
      'rt_sigaction(0x0, &(0x7f0000000000)={@standard, 0x4}, 0x0, 0x8)',
    ],
    ['r0 = getpid()\nkill(r0, 0x9)', /kill\(.*0x9/, 'kill(0x0, 0x9)'],
    [
      'semop(0x0, &(0x7f0000000000)=[{0x1, 0x1}, {0x2, 0x2}], 0x2)',
      /0x2}/,
      'semop(0xffffffffffffffff, &(0x7f0000000000)=[{0x0, 0x2}], 0x1)',
    ],
    ['sync() (async, fail_nth: 3)', /sync/, 'sync()'],
    ['sync() (async, fail_nth: 3)', /fail_nth/, 'sync() (fail_nth: 3)'],
    [
      'nanosleep(&(0x7f0000000000)=ANY=[@ANYBLOB="0100", @ANYRES32=0x0, @ANYBLOB="0203"], 0x0)',
      /02/,
      'nanosleep(&(0x7f0000000000)=ANY=[@ANYBLOB="02"], 0x0)',
    ],
  ];
  for (const [before, keep, after] of pairs)
    assert.is(
      minimized(program(before), -1, (text) => keep.test(text)),
      `${after}\n`,
      before,
    );
});

test('the number of tries is bounded', () => {
  const source = program('lseek(0x3, 0x1234, 0x2)', 'lseek(0x3, 0x1234, 0x2)', 'lseek(0x3, 0x1234, 0x2)');
  let tries = 0;
  const count: Predicate = () => ++tries > 100;
  minimize(source, 2, count, { max_tries: 3 });
  assert.is(tries, 3);
});

test('what stays of a random program is a known minimum', () => {
  each_seed(60, (random) => {
    const source = random_program(random, 12);
    // Two calls must stay, in order: no other call and no argument matters.
    const a = random.below(source.calls.length);
    const b = random.below(source.calls.length);
    const names = [a, b].sort((x, y) => x - y).map((i) => source.calls[i]!.description.name);
    const keep = (tried: Program): boolean => {
      let next = 0;
      for (const { description } of tried.calls) if (next < 2 && description.name === names[next]) next++;
      return a === b ? next >= 1 : next === 2;
    };
    const { program: left } = minimize(source, -1, (tried) => {
      expect_valid(tried);
      return keep(tried);
    });
    assert.is(left.calls.length, a === b ? 1 : 2, print_program(left));
  });
});

test.run();
