import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  arg,
  array,
  bitsize,
  blob,
  bytes,
  bytesize,
  fixed,
  input,
  int8,
  int16,
  int32,
  int64,
  len,
  maybe,
  offsetof,
  packed,
  proc,
  struct,
  union,
  vma,
} from '../../../../harness/desc/build.ts';
import { call } from '../../../../harness/desc/call.ts';
import { make_target } from '../../../../harness/desc/target.ts';
import { alignment_of, fixed_size, type StructType } from '../../../../harness/desc/types.ts';
import { default_arg, type GroupArg, type PointerArg } from '../../../../harness/prog/model.ts';
import { parse_program } from '../../../../harness/prog/parse.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { assign_sizes, for_each_offset, size_of } from '../../../../harness/prog/size.ts';

test('structs are laid out as a C compiler does', () => {
  const mixed = struct('mixed', arg('a', int8), arg('b', int32), arg('c', int16), arg('d', int64), arg('e', int8));
  const inner = struct(
    'outer',
    arg('x', int8),
    arg('inner', struct('inner', arg('y', int16), arg('z', int8))),
    arg('w', int8),
  );
  const either = union('either', arg('a', int64), arg('b', bytes(9)));
  const cases: [StructType | typeof either, number, number][] = [
    [mixed, 32, 8],
    [packed('packed', ...mixed.fields), 16, 1],
    [inner, 8, 2],
    [either, 16, 8],
    [struct('of pointers', arg('a', int8), arg('p', input(int8)), arg('v', vma())), 24, 8],
  ];
  for (const [type, size, alignment] of cases) {
    assert.is(fixed_size(type), size, type.name);
    assert.is(alignment_of(type), alignment, type.name);
    assert.is(size_of(default_arg(type, 'in')), size, type.name);
  }
  const offsets: number[] = [];
  for_each_offset(default_arg(mixed, 'in') as GroupArg, (_, offset) => offsets.push(offset));
  assert.equal(offsets, [0, 4, 8, 16, 24]);
  assert.is(fixed_size(struct('open ended', arg('a', int32), arg('data', blob()))), undefined);
});

const HEAD = struct(
  'head',
  arg('count', len('items', 4)),
  arg('items', input(array(int32))),
  arg('size', bytesize('items', 4)),
);
const LENGTHS = struct(
  'lengths',
  arg('whole', bytesize('parent', 2)),
  arg('bits', bitsize('data', 2)),
  arg('where', offsetof('data', 2)),
  arg('deep', len('head.items', 2)),
  arg('head', input(HEAD)),
  arg('data', blob(0, 16)),
);
const CALL = call('read', [
  arg('first', len('second')),
  arg('second', maybe(input(LENGTHS))),
  arg('third', bytesize('second')),
]);
const target = make_target({ descriptions: [CALL], enable: () => true });

test('lengths count elements, bytes and bits, of siblings, their fields and the whole', () => {
  const text =
    'read(0x99, &(0x7f0000000000)={0x0, 0x0, 0x0, 0x0, &(0x7f0000000040)={0x0, &(0x7f0000000080)=[0x1, 0x2, 0x3], 0x0}, "001122"}, 0x0)';
  const parsed = parse_program(target, text);
  assign_sizes(parsed.calls[0]!);
  assert.is(
    print_program(parsed),
    'read(0x18, &(0x7f0000000000)={0x18, 0x18, 0x10, 0x3, &(0x7f0000000040)={0x3, &(0x7f0000000080)=[0x1, 0x2, 0x3], 0xc}, "001122"}, 0x18)\n',
  );
  const pointer = parsed.calls[0]!.args[1] as PointerArg;
  pointer.special = 0n;
  pointer.pointee = undefined;
  assign_sizes(parsed.calls[0]!);
  assert.is(print_program(parsed), 'read(0x0, 0x0, 0x0)\n');
});

test('pages count in bytes', () => {
  const pages = make_target({
    descriptions: [call('mincore', [arg('addr', vma()), arg('length', len('addr')), arg('n', proc(0, 4))])],
    enable: () => true,
  });
  const parsed = parse_program(pages, 'mincore(&(0x7f0000001000/0x3000)=nil, 0x0, 0x0)');
  assign_sizes(parsed.calls[0]!);
  assert.is(print_program(parsed), 'mincore(&(0x7f0000001000/0x3000)=nil, 0x3000, 0x0)\n');
});

test('defaults of constants are their values', () => {
  const type = struct('constant', arg('tag', fixed(7, 4)), arg('value', int32));
  assert.equal(
    (default_arg(type, 'in') as GroupArg).inner.map((node) => (node.kind === 'number' ? node.value : -1n)),
    [7n, 0n],
  );
});

test.run();
