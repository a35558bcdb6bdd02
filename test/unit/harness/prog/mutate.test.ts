import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { can_squash, squash } from '../../../../harness/prog/any.ts';
import { mutate_blob } from '../../../../harness/prog/buffers.ts';
import { make_choice_table } from '../../../../harness/prog/choice_table.ts';
import { MAX_CALLS, type PointerArg, type Program } from '../../../../harness/prog/model.ts';
import {
  drop_call,
  insert_call,
  type MutateContext,
  mutate_program,
  splice,
  squash_memory,
} from '../../../../harness/prog/mutate.ts';
import { parse_program } from '../../../../harness/prog/parse.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { clone_program, for_each_arg, remove_call } from '../../../../harness/prog/walk.ts';
import { each_seed, expect_valid, program, random_program, TABLE, TARGET } from '../../../support/programs.ts';

function context(random: Random, corpus: readonly Program[] = []): MutateContext {
  return { target: TARGET, table: TABLE, random, corpus };
}

test('mutation keeps programs valid and their text readable', () => {
  each_seed(200, (random) => {
    const corpus = [random_program(random, 4), random_program(random, 8)];
    const texts = corpus.map(print_program);
    const mutated = random_program(random, random.between(1, 10));
    for (let i = 0; i < 8; i++) {
      mutate_program(context(random, corpus), mutated);
      expect_valid(mutated);
      assert.ok(mutated.calls.length <= MAX_CALLS);
      const text = print_program(mutated);
      assert.is(print_program(parse_program(TARGET, text)), text);
    }
    assert.equal(corpus.map(print_program), texts, 'the corpus stays as it is');
  });
});

test('each operator alone keeps programs valid', () => {
  const operators = [splice, insert_call, drop_call, squash_memory];
  each_seed(200, (random) => {
    const corpus = [random_program(random, 5)];
    for (const operator of operators) {
      const mutated = random_program(random, 6);
      operator(context(random, corpus), mutated);
      expect_valid(mutated);
    }
  });
});

test('mutation nearly always changes the program', () => {
  let same = 0;
  const rounds = 300;
  for (let seed = 0; seed < rounds; seed++) {
    const random = new Random(seed);
    const mutated = random_program(random, 5);
    const text = print_program(mutated);
    mutate_program(context(random), mutated);
    if (print_program(mutated) === text) same++;
  }
  assert.ok(same < rounds / 20, `${same} of ${rounds} are unchanged`);
});

test('a copy is not touched by what happens to the original', () => {
  each_seed(100, (random) => {
    const original = random_program(random, 6);
    const copy = clone_program(original);
    const text = print_program(copy);
    mutate_program(context(random, [copy]), original);
    assert.is(print_program(copy), text);
  });
});

test('mutation finds its way from one program to another', () => {
  const pairs: [string, string][] = [
    ['close(0x3)\n', 'close(0xffffffffffffffff)\n'],
    ['eventfd2(0x3, 0x0)\n', 'eventfd2(0x1, 0x800)\n'],
    ["chdir(&(0x7f0000000000)='x\\x00')\n", "chdir(&(0x7f0000000000)='./f1\\x00')\n"],
    ['write(0x1, &(0x7f0000000000)="00", 0x1)\n', 'write(0x1, &(0x7f0000000000)="00", 0x0)\n'],
  ];
  for (const [start, goal] of pairs) {
    const random = new Random(1);
    let found = false;
    for (let i = 0; i < 20_000 && !found; i++) {
      const mutated = program(start);
      mutate_program({ ...context(random), max_calls: 1 }, mutated);
      // Where the path lies does not matter.
      found = print_program(mutated).replace(/0x7f[0-9a-f]{10}/, '0x7f0000000000') === goal;
    }
    assert.ok(found, goal);
  }
});

test('removing a call gives defaults to those that used it', () => {
  const changed = program('r0 = eventfd2(0x0, 0x0)', 'r1 = dup(r0)', 'read(r1, &(0x7f0000000000)=""/8, 0x8)');
  remove_call(changed, 0);
  assert.is(print_program(changed), 'r0 = dup(0xffffffffffffffff)\nread(r0, &(0x7f0000000000)=""/8, 0x8)\n');
  remove_call(changed, 0);
  assert.is(print_program(changed), 'read(0xffffffffffffffff, &(0x7f0000000000)=""/8, 0x8)\n');
  expect_valid(changed);
});

test('squashing keeps bytes, results and pointers', () => {
  const pairs: [string, string][] = [
    [
      'nanosleep(&(0x7f0000000000)={0x1, 0x2}, 0x0)',
      'nanosleep(&(0x7f0000000000)=ANY=[@ANYBLOB="01000000000000000200000000000000"], 0x0)',
    ],
    [
      'r0 = eventfd2(0x0, 0x0)\nepoll_ctl$EPOLL_CTL_ADD(0xffffffffffffffff, 0x1, r0, &(0x7f0000000000)={0x5, @fd=r0})',
      'r0 = eventfd2(0x0, 0x0)\nepoll_ctl$EPOLL_CTL_ADD(0xffffffffffffffff, 0x1, r0, &(0x7f0000000000)=ANY=[@ANYBLOB="05000000", @ANYRES32=r0, @ANYBLOB="00000000"])',
    ],
    [
      'writev(0xffffffffffffffff, &(0x7f0000000000)=[{&(0x7f0000000040)="ffee", 0x2}, {0x0, 0x7}], 0x2)',
      'writev(0xffffffffffffffff, &(0x7f0000000000)=ANY=[@ANYPTR=&(0x7f0000000040)=ANY=[@ANYBLOB="ffee"], @ANYBLOB="020000000000000000000000000000000700000000000000"], 0x2)',
    ],
  ];
  for (const [before, after] of pairs) {
    const changed = program(before);
    const pointers: PointerArg[] = [];
    for_each_arg(changed.calls.at(-1)!, (node) => {
      if (node.kind === 'pointer' && can_squash(node)) pointers.push(node);
    });
    squash(pointers[0]!);
    expect_valid(changed);
    assert.is(print_program(changed), `${after}\n`);
  }
});

test('blobs stay within their bounds, and each mutation changes something', () => {
  each_seed(500, (random) => {
    const bytes = random.bytes(random.between(0, 40));
    const [min, max] = [random.below(bytes.length + 1), bytes.length + random.below(40)];
    const mutated = mutate_blob(random, bytes, min, max);
    assert.ok(mutated.length >= min && mutated.length <= max, `${mutated.length} of ${min}..${max}`);
  });
});

test('a call is chosen more often beside those it shares a resource with', () => {
  const call = (name: string) => TARGET.by_name.get(name)!;
  const close = TABLE.priority(call('epoll_create1'), call('epoll_wait'));
  const far = TABLE.priority(call('epoll_create1'), call('mlockall'));
  assert.ok(close > 5 * far, `${close} and ${far}`);
  assert.is(TABLE.priority(call('read'), call('exit_group')), 0);
  const corpus = Array.from({ length: 50 }, () => program('mlockall(0x1)', 'epoll_create1(0x0)'));
  const learnt = make_choice_table(TARGET, corpus);
  const share = (table: typeof TABLE): number =>
    table.priority(call('mlockall'), call('epoll_create1')) / table.priority(call('mlockall'), call('mkdir'));
  assert.ok(share(learnt) > 10 * share(TABLE));
});

test('choices follow priorities, and every call is chosen at times', () => {
  const random = new Random(3);
  const beside = TARGET.by_name.get('epoll_create1')!;
  const counts = new Map<string, number>();
  for (let i = 0; i < 250_000; i++) {
    const { name } = TABLE.choose(random, beside);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const chosen = TARGET.calls.filter(({ traits }) => !traits.terminal);
  assert.equal(
    chosen.filter(({ name }) => !counts.has(name)).map(({ name }) => name),
    [],
  );
  assert.ok(counts.get('epoll_wait')! > 3 * counts.get('mlockall')!);
});

test('generation reaches every call and makes most uses of resources real', () => {
  const random = new Random(5);
  const calls = new Set<string>();
  let real = 0;
  let uses = 0;
  // Every first call is drawn evenly: 20 times each, by expectation.
  for (let i = 0; i < 20 * TARGET.calls.length; i++)
    for (const call of random_program(random, 2).calls) {
      calls.add(call.description.name);
      for_each_arg(call, (node) => {
        if (node.kind !== 'result' || node.dir === 'out') return;
        uses++;
        if (node.source !== undefined) real++;
      });
    }
  assert.equal(
    TARGET.calls.filter(({ name }) => !calls.has(name)).map(({ name }) => name),
    [],
  );
  assert.ok(real / uses > 0.7, `${real} of ${uses} resources are made by a call`);
});

test.run();
