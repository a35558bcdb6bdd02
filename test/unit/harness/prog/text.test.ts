import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { make_target } from '../../../../harness/desc/target.ts';
import { make_choice_table } from '../../../../harness/prog/choice_table.ts';
import { exec_encode } from '../../../../harness/prog/exec_encode.ts';
import { generate_program } from '../../../../harness/prog/generate.ts';
import type { DataArg, PointerArg, Program } from '../../../../harness/prog/model.ts';
import { parse_program } from '../../../../harness/prog/parse.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { ParseError } from '../../../../harness/prog/scanner.ts';
import { clone_program } from '../../../../harness/prog/walk.ts';
import { each_seed, expect_valid, program, random_program, TARGET } from '../../../support/programs.ts';

test('texts that print as they were read', () => {
  const texts = [
    'r0 = openat(0xffffffffffffff9c, &(0x7f0000000040)=\'./f0\\x00\', 0x42, 0x1ff)\nwrite(r0, &(0x7f0000000080)="00112233", 0x4)\n',
    'pipe2(&(0x7f0000000000)={<r0=>0xffffffffffffffff, <r1=>0xffffffffffffffff}, 0x0)\ndup2(r0, r1)\n',
    'r0 = eventfd2(0x0, 0x800)\nread(r0, &(0x7f0000000000)=""/8, 0x8) (async)\nclose(r0) (async, fail_nth: 3)\n',
    'r0 = getpid()\nkill(r0/2+1, 0x0)\n',
    'mmap(&(0x7f0000001000/0x3000)=nil, 0x3000, 0x3, 0x32, 0xffffffffffffffff, 0x0)\n',
    "write(0x1, &(0x7f0000000000)='a\\n\\'\\\\'/100, 0x64)\n",
    'write(0x1, 0x0, 0x0)\n',
    'writev(0x1, &(0x7f0000000000)=[{&(0x7f0000000040)="01", 0x1}, {0x9999999999999999}], 0x2)\n',
    'rt_sigaction(0xa, &(0x7f0000000000)={@address=&(0x7f0000ffe000/0x1000)=nil, 0x4}, 0x0, 0x8)\n',
    'r0 = getpid()\nclone3(&(0x7f0000000000)=ANY=[@ANYBLOB="0011", @ANYRES32=r0, @ANYPTR=&(0x7f0000000040)=ANY=[@ANYBLOB="22"]], 0x58)\n',
  ];
  for (const text of texts) {
    const parsed = parse_program(TARGET, text);
    expect_valid(parsed);
    assert.is(print_program(parsed), text);
  }
});

test('blanks, comments, decimal numbers and missing arguments are understood', () => {
  const parsed = program(
    '# two calls',
    '',
    '  r7 =  eventfd2( 1 , 0x800 )',
    'read(r7, &(0x7f0000000000))',
    'nanosleep(nil, nil)',
  );
  assert.is(
    print_program(parsed),
    'r0 = eventfd2(0x1, 0x800)\nread(r0, &(0x7f0000000000), 0x0)\nnanosleep(0x0, 0x0)\n',
  );
});

test('a string is its bytes, escapes and length included', () => {
  const parsed = program("open(&(0x7f0000000000)='a\\x00\\'\\\"\\t\\xff'/8, 0x0, 0x0)");
  const data = (parsed.calls[0]!.args[0] as PointerArg).pointee as DataArg;
  assert.equal([...data.bytes], [97, 0, 39, 34, 9, 255, 0, 0]);
});

test('errors name line, column and what was expected', () => {
  const errors: [string, number, number, RegExp][] = [
    ['close(r0)', 1, 7, /no call before this one makes r0/],
    ['getpid()\nclos(0x1)', 2, 1, /no system call is described as 'clos'/],
    ['eventfd$x()', 1, 1, /described as 'eventfd\$x': known are eventfd$/],
    ['close(', 1, 7, /expected a number or a result, found the end of the line/],
    ['close(0x1, 0x2)', 1, 12, /close takes 1, this is one more/],
    ['exit(0x0)\n\ngetpid()', 3, 1, /exit ends the program/],
    ['utimensat(0x0, 0x0, &(0x7f0000000000)=[{}, {}, {}], 0x0)', 1, 39, /expected 2 elements, found 3/],
    ["openat$kcov(0xffffffffffffff9c, &(0x7f0000000000)='x', 0x0)", 1, 51, /expected '.sys.kernel.debug.kcov'/],
    ['close(0x1) (fail_nth: 65536)', 1, 13, /fail_nth is at most 65535/],
    ['close(0x1) x', 1, 12, /expected the end of the call, found 'x'/],
    ['close(0x10000000000000000)', 1, 7, /does not fit into 64 bits/],
    ['r0 = close(0x1)', 1, 1, /close makes nothing that could be called r0/],
    ["write(0x1, &(0x7f0000000000)='abc, 0x3)", 1, 30, /the string does not end/],
    ["write(0x1, &(0x7f0000000000)='\\q', 0x3)", 1, 31, /unknown escape/],
    ['write(0x1, &(0x7f0000000000)="0", 0x3)', 1, 31, /expected pairs of hex digits/],
    ['write(0x1, &(0x7f0000000000)="00"/1000000000000, 0x3)', 1, 30, /the length does not fit/],
    ['write(0x1, &(0x20)="00", 0x3)', 1, 14, /outside the data area/],
    ['mmap(&(0x7f0000000800/0x1000)=nil)', 1, 8, /multiples of 0x1000/],
    ['fcntl$F_GETFD(0x1, 0x7, 0x0)', 1, 20, /0x7 is not allowed here/],
    ['close(0x1) (sync)', 1, 13, /unknown property 'sync'/],
    ['r0 = getpid()\nr0 = gettid()', 2, 1, /r0 has a meaning already/],
    ['r0 = getpid()\nclose(r0)', 2, 7, /r0 is a pid, and a fd is wanted/],
    ['rt_sigaction(0xa, &(0x7f0000000000)={@none}, 0x0, 0x8)', 1, 39, /union handler has no option 'none'/],
    ['statx(0x0, &(0x7f0000000000), 0x0, 0x0, &(0x7f0000000000)=""/7)', 1, 59, /expected 256 bytes, found 7/],
    ["write(0x1, &(0x7f0000000000)='\u00e9', 0x3)", 1, 31, /only ASCII/],
  ];
  for (const [text, line, column, reason] of errors) {
    try {
      parse_program(TARGET, text);
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, ParseError, `${text}: ${error}`);
      const found = error as ParseError;
      assert.equal([found.line, found.column], [line, column], `${text}: ${found.message}`);
      assert.match(found.reason, reason);
      assert.ok(found.message.includes(`line ${line}, column ${column}`));
    }
  }
});

function round_trip(made: Program): void {
  expect_valid(made);
  const text = print_program(made);
  const parsed = parse_program(TARGET, text);
  expect_valid(parsed);
  assert.is(print_program(parsed), text);
  assert.equal(exec_encode(parsed), exec_encode(made), text);
}

test('generated programs are valid and their text reads back', () => {
  each_seed(1500, (random) => {
    const made = random_program(random, random.between(1, 12));
    assert.ok(made.calls.length >= 1);
    round_trip(made);
    const copy = clone_program(made);
    expect_valid(copy);
    assert.is(print_program(copy), print_program(made));
  });
});

/** The text with one change: a letter, a piece from elsewhere, or a cut. */
function corrupted(random: Random, text: string): string {
  const at = random.below(text.length);
  const end = Math.min(text.length, at + random.between(1, 12));
  switch (random.below(4)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(random.between(0x20, 0x7e)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(end);
    case 2:
      return text.slice(0, random.below(text.length)) + text.slice(at);
    default:
      return text.slice(0, at) + text.slice(at, end) + text.slice(at);
  }
}

test('a damaged text is an error with a place, or a valid program', () => {
  each_seed(400, (random) => {
    let text = print_program(random_program(random, 3));
    for (let i = 0; i < 4; i++) {
      text = corrupted(random, text);
      if (text === '') return;
      try {
        const parsed = parse_program(TARGET, text);
        expect_valid(parsed);
        const printed = print_program(parsed);
        assert.is(print_program(parse_program(TARGET, printed)), printed);
      } catch (error) {
        if (!(error instanceof ParseError)) throw new Error(`${error}\n${text}`, { cause: error });
        assert.ok(error.line >= 1 && error.column >= 1);
      }
    }
  });
});

test('values nested without end are refused', () => {
  const deep = `${'ANY=[@ANYPTR=&(0x7f0000000000)='.repeat(5000)}`;
  assert.throws(() => program(`clone3(&(0x7f0000000000)=${deep}`), /more than 100 values inside each other/);
});

test('the same seed makes the same program, on a target and a table of its own', () => {
  const [first, second] = [1, 2].map(() => {
    const target = make_target({ enable: () => true });
    return print_program(generate_program(target, make_choice_table(target), new Random(7), 20));
  });
  assert.is(first, second);
});

test.run();
