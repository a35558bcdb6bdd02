import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AT_EXECFN, AT_PAGESZ, AT_PLATFORM, AT_RANDOM } from '../../../engine/abi/elf.ts';
import { E2BIG } from '../../../engine/abi/errno.ts';
import { build_stack, check_strings, STACK_TOP } from '../../../engine/loader/stack.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test('the image holds argc, argv, envp, auxv and what they point to', () => {
  const image = build_stack(
    encode('/bin/x'),
    ['x', 'one', ''].map(encode),
    ['A=1'].map(encode),
    [
      [AT_PAGESZ, 4096],
      [AT_RANDOM, 0],
      [AT_EXECFN, 0],
      [AT_PLATFORM, 0],
    ],
    new Uint8Array(16).fill(0xab),
  );
  const view = new DataView(image.bytes.buffer);
  const word = (address: number): number => Number(view.getBigUint64(address - image.address, true));
  const string = (address: number): string => {
    const at = address - image.address;
    return new TextDecoder().decode(image.bytes.subarray(at, image.bytes.indexOf(0, at)));
  };
  assert.is(image.rsp % 16, 0);
  let at = image.rsp;
  const next = (): number => {
    at += 8;
    return word(at - 8);
  };
  assert.is(next(), 3);
  assert.equal([string(next()), string(next()), string(next()), next()], ['x', 'one', '', 0]);
  assert.equal([string(next()), next()], ['A=1', 0]);
  assert.is(at, image.auxv_start);
  assert.equal([next(), next()], [AT_PAGESZ, 4096]);
  assert.is(next(), AT_RANDOM);
  assert.is(image.bytes[next() - image.address], 0xab);
  assert.is(next(), AT_EXECFN);
  assert.is(string(next()), '/bin/x');
  assert.is(next(), AT_PLATFORM);
  assert.is(string(next()), 'x86_64');
  assert.equal([next(), next()], [0, 0]);
  assert.is(at, image.auxv_end);
  assert.is(string(image.arg_start), 'x');
  assert.is(string(image.env_start), 'A=1');
  assert.is(image.env_end + '/bin/x'.length + 1, STACK_TOP - 8);
});

test('limits are those of Linux', () => {
  const limit = 8 << 20;
  const name = encode('x');
  assert.is(check_strings(name, [new Uint8Array(131071)], [], limit), 0);
  assert.is(check_strings(name, [new Uint8Array(131072)], [], limit), -E2BIG);
  const many = Array.from({ length: 15 }, () => new Uint8Array(131071));
  assert.is(check_strings(name, many, [], limit), 0);
  assert.is(check_strings(name, [...many, new Uint8Array(131071)], [], limit), -E2BIG);
  assert.is(check_strings(name, [new Uint8Array(100000)], [], 4096), 0, 'at least 128 KiB');
  assert.is(
    check_strings(
      name,
      Array.from({ length: 300000 }, () => name),
      [],
      limit,
    ),
    -E2BIG,
  );
});

test.run();
